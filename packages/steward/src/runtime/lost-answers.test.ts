/** Answers of the store that get lost, hang or come when nobody expects them any more: found by a second reader. */
import { expect, it } from 'vitest'
import { StewardError } from '../core/errors.ts'
import { natural, none, reconcile } from '../ports/definition.ts'
import type { CallWrite } from '../ports/store.ts'
import { ana, answers, gate, lost, onEachStore, scripted, World } from './world.fixture.ts'

const idempotency = none('the provider has no way to be asked')
const unknown = (): never => { throw new StewardError('STEWARD_STORE_UNAVAILABLE', 'the answer got lost', { outcome: 'unknown' }) }
const tooMany = Object.assign(new Error('429'), { status: 429, headers: { 'retry-after': '600' } })

onEachStore((make) => {
  it('does not take the sending of a worker for the begin of an insert that was never stored', async () => {
    const world = make()
    const door = gate()
    const charge = scripted(world, { timeout: '30s', idempotency }, door.step, answers('second'))
    const { steward, watched } = await world.work({ operations: [charge] })
    await world.pass(1_500)
    let inserts = 0
    let down = true
    watched.refuse = (method) => { if (method === 'insert' && ++inserts < 20) unknown() }
    watched.loseAnswer = (method) => { if (method === 'insert' && inserts >= 20 && down) unknown() }
    await expect(world.got(steward.submit(charge, { key: 'a', input: {} }))).rejects.toMatchObject({ details: { outcome: 'unknown' } })
    down = false
    await world.until(() => door.entered() === 1)
    watched.refuse = (method) => { if (method === 'write') throw new StewardError('STEWARD_STORE_UNAVAILABLE', 'busy', {}) }
    door.release('first')
    await world.pass(2_600)
    watched.refuse = () => undefined
    expect(await world.reaches(charge, 'a', 'succeeded')).toMatchObject({ attempts: 1, result: 'first' })
    expect(charge.sent).toHaveLength(1)
  })

  it('tells the caller that nobody knows when the store is closed while an unanswered insert is repeated', async () => {
    const world = make()
    const charge = scripted(world, { idempotency: natural('x') }, answers(1))
    const { steward, watched } = await world.open({ operations: [charge] })
    const other = await world.open({ operations: [charge] })
    watched.loseAnswer = (method) => { if (method === 'insert') unknown() }
    const said = steward.submit(charge, { key: 'a', input: {} }).then(() => null, (error: unknown) => error)
    await world.pass(100)
    await world.got(steward.close({ grace: 1 }))
    expect(await world.got(said)).toMatchObject({ code: 'STEWARD_STORE_UNAVAILABLE', details: { outcome: 'unknown' } })
    expect(await world.got(other.steward.find(charge, 'a'))).toMatchObject({ state: 'waiting' })
  })

  it('holds the provider when a lookup is told to come back and somebody changed the call meanwhile', async () => {
    const world = make()
    const asked: (() => void)[] = []
    const charge = scripted(world, { timeout: '5s', idempotency: reconcile(() => new Promise((_resolve, reject) => void asked.push(() => reject(tooMany))), { settle: '1s' }) }, lost)
    const { steward } = await world.work({ operations: [charge] })
    await world.got(steward.submit(charge, { key: 'a', input: {} }))
    await world.until(() => asked.length === 1)
    await world.got(steward.cancel(charge, 'a', ana))
    asked[0]?.()
    await world.pass(1_000)
    expect(await world.got(steward.controls())).toMatchObject([{ kind: 'provider', mode: 'hold' }])
    // One question may have been on its way when the pause was set; none follows.
    const before = asked.length
    await world.pass(60_000)
    expect(asked).toHaveLength(before)
  })

  it('holds the provider when the one that says so is late', async () => {
    const world = make()
    const door = gate()
    const charge = scripted(world, { timeout: '1s', backoff: { base: '2s', cap: '2s' }, idempotency: natural('x') }, door.step)
    const { steward } = await world.work({ operations: [charge] })
    await world.got(steward.submit(charge, { key: 'a', input: {} }))
    await world.until(() => door.entered() === 1)
    await world.pass(1_050)
    door.fail(tooMany)
    await world.pass(30_000)
    expect(await world.got(steward.controls())).toMatchObject([{ kind: 'provider', mode: 'hold' }])
    expect(charge.sent).toHaveLength(1)
  })
})

it('does not take a second begin for the one whose answer it waits for', async () => {
  const world = new World('memory')
  const door = gate()
  const charge = scripted(world, { timeout: '30s', idempotency }, door.step, answers('second'))
  const { steward, watched, system } = await world.work({ operations: [charge] })
  await world.pass(1_500)
  // The answer of an idle claim gets lost, then a begin that is not stored; the question after it hangs for five seconds.
  let [claims, begins, gets] = [1, 1, 0]
  let hanging: Promise<unknown> | null = null
  watched.loseAnswer = (method) => { if (method === 'claim' && claims-- > 0) unknown() }
  watched.refuse = (method) => { if (method === 'write' && begins-- > 0) unknown() }
  watched.alter = (method, answer) => {
    if (method !== 'get' || ++gets !== 1) return answer
    hanging = new Promise((_resolve, reject) => void system.after(5_000, () => reject(new StewardError('STEWARD_STORE_UNAVAILABLE', 'timed out', {}))))
    return hanging
  }
  await world.got(steward.submit(charge, { key: 'a', input: {}, runAt: world.time.wallMs + 1_000 }))
  await world.until(() => door.entered() === 1)
  expect(hanging).not.toBeNull()
  await world.pass(6_000)
  door.release('first')
  expect(await world.reaches(charge, 'a', 'succeeded')).toMatchObject({ result: 'first' })
  expect(charge.sent).toHaveLength(1)
  await world.close()
})

it('closes as unsent a begin that was given up for lost and arrives when the call is ours again', async () => {
  const world = new World('memory')
  const charge = scripted(world, { timeout: '2s', idempotency }, answers('first'))
  const { steward, watched } = await world.work({ operations: [charge] })
  const raw = world.rawStore()
  await raw.open({ namespace: 'default', notice: () => undefined })
  await world.pass(1_500)
  let late: readonly CallWrite[] | null = null
  let begins = 1
  watched.refuse = (method, args) => {
    if (method !== 'write' || begins-- <= 0) return
    late = structuredClone(args[0]) as readonly CallWrite[]
    unknown()
  }
  watched.alter = (method, answer) => {
    if (method !== 'claim' || late === null || (answer as readonly unknown[]).length === 0) return answer
    const writes = late
    late = null
    return raw.write(writes).then(() => answer)
  }
  await world.got(steward.submit(charge, { key: 'a', input: {}, runAt: world.time.wallMs + 1_000 }))
  expect(await world.reaches(charge, 'a', 'succeeded')).toMatchObject({ attempts: 2 })
  expect(charge.sent).toHaveLength(1)
  await world.close()
})
