/** How calls enter: what was known before, what an unheard answer left, and what is bounded. */
import { expect, it } from 'vitest'
import { StewardError } from '../core/errors.ts'
import { natural, none } from '../ports/definition.ts'
import type { Store } from '../ports/store.ts'
import { answers, gate, onEachStore, scripted, status, type World } from './world.fixture.ts'

const idempotency = natural('x')
const unreachable = (): never => { throw new StewardError('STEWARD_STORE_UNAVAILABLE', 'nobody listens there. Nothing was stored.', { outcome: 'not_stored' }) }
const unknown = (): never => { throw new StewardError('STEWARD_STORE_UNAVAILABLE', 'the answer got lost', { outcome: 'unknown' }) }

onEachStore((make) => {
  it('never sends what was confirmed before it was submitted, even when the confirmation names an attempt', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, answers(1))
    const { steward } = await world.work({ operations: [charge] })
    expect(await world.got(steward.confirm(charge, 'a', { by: 'webhook', attempt: 1, reference: 'ch_1' }))).toBeNull()
    await world.got(steward.submit(charge, { key: 'a', input: {} }))
    await world.pass(2_000)
    expect(await world.call(charge, 'a')).toMatchObject({ state: 'succeeded', attempts: 0 })
    expect(charge.sent).toHaveLength(0)
  })

  it('says that an early refutation of an attempt that was never begun is not kept, and sends', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, answers(1))
    const { steward, lines } = await world.work({ operations: [charge] })
    await world.got(steward.refute(charge, 'a', { by: 'webhook', attempt: 1 }))
    await world.got(steward.submit(charge, { key: 'a', input: {} }))
    await world.reaches(charge, 'a', 'succeeded')
    expect(lines.filter((line) => line.message.includes('a fact that came before its call'))).toMatchObject([{ level: 'warn', fields: { key: 'a', kind: 'refuted' } }])
  })

  it.each(['perform', 'submit'] as const)('sends once after the answer to the insert of a %s got lost', async (how) => {
    const world = make()
    const charge = scripted(world, { idempotency }, answers(1))
    const { steward, watched } = await world.work({ operations: [charge] })
    await world.pass(1_500)
    let times = 1
    watched.loseAnswer = (method) => { if (method === 'insert' && times-- > 0) unknown() }
    await world.got<unknown>(how === 'perform' ? steward.perform(charge, { key: 'a', input: {} }) : steward.submit(charge, { key: 'a', input: {} }))
    expect(await world.reaches(charge, 'a', 'succeeded')).toMatchObject({ attempts: 1 })
    expect(charge.sent).toHaveLength(1)
  })

  it('waits for a store that went away with the answer to an insert, and hears from it that the call is stored', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, answers(1))
    const { steward, watched } = await world.open({ operations: [charge] })
    let away = false
    watched.loseAnswer = (method) => { if (method === 'insert' && !away) { away = true; unknown() } }
    watched.refuse = (method) => { if (method === 'insert' && away && world.time.monotonic < 4_000) unreachable() }
    expect(await world.got(steward.submit(charge, { key: 'a', input: {} }))).toMatchObject({ status: 'created' })
    expect(world.time.monotonic).toBeGreaterThanOrEqual(4_000)
    expect(await steward.list()).toHaveLength(1)
  })

  it('says that nobody knows, when the answer to an insert got lost and the store does not come back', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, answers(1))
    const { steward, watched } = await world.open({ operations: [charge] })
    let away = false
    watched.loseAnswer = (method) => { if (method === 'insert') { away = true; unknown() } }
    watched.refuse = (method) => { if (method === 'insert' && away) unreachable() }
    const message = expect.stringContaining('whether charge "a" was stored is not known') as string
    await expect(world.got(steward.submit(charge, { key: 'a', input: {} }))).rejects.toMatchObject({ code: 'STEWARD_STORE_UNAVAILABLE', message, details: { outcome: 'unknown' } })
    expect(await steward.list()).toHaveLength(1)
  })

  it('says at once that nothing was stored, when the store is not there from the start', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, answers(1))
    const { steward, watched } = await world.open({ operations: [charge] })
    watched.refuse = (method) => { if (method === 'insert') unreachable() }
    await expect(steward.submit(charge, { key: 'a', input: {} })).rejects.toMatchObject({ code: 'STEWARD_STORE_UNAVAILABLE', details: { outcome: 'not_stored' } })
    expect(await steward.list()).toEqual([])
  })

  it('sends once a call that was inserted as claimed and whose answer got lost', async () => {
    const world = make()
    const busy = gate()
    const charge = scripted(world, { idempotency, timeout: '30s' }, busy.step, answers(1))
    const { steward, watched } = await world.work({ operations: [charge], concurrency: 1 })
    await world.pass(1_500)
    await world.got(steward.submit(charge, { key: 'first', input: {} }))
    await world.rest()
    let times = 1
    watched.loseAnswer = (method) => { if (method === 'insert' && times-- > 0) unknown() }
    await world.got(steward.submit(charge, { key: 'a', input: {} }))
    busy.release()
    await world.reaches(charge, 'a', 'succeeded')
    expect(charge.sent).toHaveLength(2)
  })

  it('sends once a call that its own worker took while the answer to its insert was lost', async () => {
    const world = make()
    const busy = gate()
    const charge = scripted(world, { idempotency: none('x') }, busy.step)
    const { steward } = await world.open({ operations: [charge] }, takenByItself(world))
    steward.start()
    await world.got(steward.submit(charge, { key: 'a', input: {} }))
    await world.rest()
    busy.release()
    await world.reaches(charge, 'a', 'succeeded')
    expect(charge.sent).toHaveLength(1)
  })

  it('leases no more to itself than it claims ahead, however many are submitted at once', async () => {
    const world = make()
    const busy = gate()
    const charge = scripted(world, { idempotency, timeout: '30s' }, busy.step)
    const { steward, watched } = await world.work({ operations: [charge], concurrency: 4 })
    await world.pass(1_500)
    await world.got(steward.submitMany(charge, Array.from({ length: 300 }, (_, n) => ({ key: `k${n}`, input: {} }))))
    await world.rest()
    const [worker] = await watched.store.workers()
    const leased = await watched.store.leasedTo({ worker: worker?.worker ?? '', epoch: worker?.epoch ?? 0 }, 1_000)
    expect(leased.length).toBeGreaterThanOrEqual(4)
    expect(leased.length).toBeLessThanOrEqual(4 + 16)
    await world.until(async () => { busy.release(); return (await steward.backlog()).length === 0 })
    expect(charge.sent).toHaveLength(300)
  })

  it('names the refused items of a submitMany and says that the others are stored', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, answers(1))
    const { steward } = await world.work({ operations: [charge] })
    const refused = world.got(steward.submitMany(charge, [{ key: 'a', input: 1 }, { key: 'b', input: 1, supersedes: 'nobody' }]))
    await expect(refused).rejects.toMatchObject({ code: 'STEWARD_SUPERSEDES_REFUSED', message: expect.stringContaining('1 of 2 calls of charge were refused ("b"); the other 1 are stored') as string, details: { refused: [{ key: 'b', code: 'STEWARD_SUPERSEDES_REFUSED' }] } })
    await world.reaches(charge, 'a', 'succeeded')
    expect(await world.got(steward.find(charge, 'b'))).toBeNull()
  })

  it('joins the successor when it is submitted again after the old call was pruned', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, status(422), answers(1))
    const { steward } = await world.work({ operations: [charge], keepEndedFor: '20s' })
    await world.got(steward.perform(charge, { key: 'old', input: {} }))
    await world.got(steward.submit(charge, { key: 'new', input: {}, supersedes: 'old', runAt: world.time.wallMs + 100_000 }))
    await world.until(async () => (await steward.find(charge, 'old')) === null)
    expect(await world.got(steward.submit(charge, { key: 'new', input: {}, supersedes: 'old' }))).toMatchObject({ status: 'joined' })
    await expect(world.got(steward.submit(charge, { key: 'other', input: {}, supersedes: 'old' }))).rejects.toMatchObject({ code: 'STEWARD_SUPERSEDES_REFUSED' })
    expect(await world.got(steward.find(charge, 'other'))).toBeNull()
    await world.reaches(charge, 'new', 'succeeded')
    await world.until(async () => (await steward.find(charge, 'new')) === null)
    expect(await world.got(steward.submit(charge, { key: 'new', input: {}, supersedes: 'old' }))).toMatchObject({ status: 'joined' })
    expect(charge.sent).toHaveLength(2)
  })
})

/**
 * The insert is stored for any worker. The one in this process claims and begins it in the same millisecond, and only
 * then is the insert's answer lost; so is that of its repetition.
 */
function takenByItself(world: World): Store {
  const [stored, begun] = [signal(), signal()]
  const inner = world.rawStore()
  let inserts = 0
  const steps: Partial<Store> = {
    insert: async (batch) => {
      const results = await inner.insert(batch)
      stored.give()
      await begun.given
      return ++inserts <= 2 ? unknown() : results
    },
    claim: async (query) => { await stored.given; return await inner.claim(query) },
    write: async (batch) => {
      const results = await inner.write(batch)
      if (batch.some((write) => write.call.state === 'running')) begun.give()
      return results
    },
  }
  return new Proxy(inner, { get: (target, name) => {
    const member: unknown = Reflect.get(steps, name) ?? Reflect.get(target, name)
    return typeof member === 'function' ? (member.bind(target) as unknown) : member
  } })
}

function signal(): { readonly given: Promise<void>; give(): void } {
  let give = (): void => undefined
  const given = new Promise<void>((resolve) => { give = resolve })
  return { given, give: () => give() }
}
