/** What holds a provider, an operation or a group back, and how it is let go. */
import { expect, it } from 'vitest'
import { natural, none, providerKey, reconcile, SendVerdict } from '../ports/definition.ts'
import { ana, answers, gate, lost, onEachStore, scripted, status, throws } from './world.fixture.ts'

const idempotency = providerKey({ retention: '1h' })

onEachStore((make) => {
  it('lets nobody send to a provider before the time it asked for, in any process, and in none of its operations', async () => {
    const world = make()
    const busy = throws(() => new SendVerdict({ kind: 'not_applied', reason: 'slow down', status: 429, refused: 'load', retryAfterMs: 20_000 }))
    const first = scripted(world, { name: 'first', provider: 'acme', idempotency }, busy, answers(1))
    const second = scripted(world, { name: 'second', provider: 'acme', idempotency }, answers(1))
    const free = scripted(world, { name: 'free', provider: 'other', idempotency }, answers(1))
    const one = await world.work({ operations: [first, second, free] })
    const two = await world.work({ operations: [first, second, free] })
    await world.got(one.steward.perform(first, { key: 'a', input: {}, wait: 1 }))
    const untilAt = (first.sent[0]?.at ?? 0) + 20_000
    await world.pass(500)
    await world.got(two.steward.perform(second, { key: 'b', input: {}, wait: 1 }))
    await world.got(two.steward.submit(second, { key: 'c', input: {} }))
    expect(await world.got(two.steward.perform(free, { key: 'd', input: {} }))).toMatchObject({ state: 'succeeded' })
    await world.until(() => first.sent.length === 2 && second.sent.length === 2, 60_000)
    for (const { at } of [...first.sent.slice(1), ...second.sent]) {
      expect(at).toBeGreaterThanOrEqual(untilAt)
      expect(at).toBeLessThan(untilAt + 2_000)
    }
    expect(await world.alerted()).toEqual([])
  })

  it('lets nobody send before the time that the provider asked for when a person paused and resumed meanwhile', async () => {
    const world = make()
    const busy = throws(() => new SendVerdict({ kind: 'not_applied', reason: 'slow down', status: 429, refused: 'load', retryAfterMs: 20_000 }))
    const charge = scripted(world, { provider: 'acme', idempotency }, busy, answers(1))
    const { steward } = await world.work({ operations: [charge] })
    await world.got(steward.perform(charge, { key: 'a', input: {}, wait: 1 }))
    const untilAt = (charge.sent[0]?.at ?? 0) + 20_000
    await world.until(async () => (await steward.controls()).length === 1)
    await world.got(steward.pause({ provider: 'acme' }, ana))
    await world.pass(1_000)
    await world.got(steward.resume({ provider: 'acme' }, ana))
    expect(await world.got(steward.controls())).toMatchObject([{ mode: 'hold', untilAt }])
    await world.until(() => charge.sent.length === 2, 60_000)
    expect(charge.sent[1]?.at).toBeGreaterThanOrEqual(untilAt)
  })

  it('obeys what a lookup is told, too', async () => {
    const world = make()
    let asked = 0
    const lookup = (): Promise<{ absent: true }> => {
      asked++
      if (asked === 1) throw Object.assign(new Error('429'), { status: 429, headers: { 'retry-after': '20' } })
      return Promise.resolve({ absent: true })
    }
    const charge = scripted(world, { provider: 'acme', idempotency: reconcile(lookup, { settle: '1s', lookupEvery: '1s' }) }, lost, answers(1))
    const other = scripted(world, { name: 'other', provider: 'acme', idempotency }, answers(1))
    const { steward, watched } = await world.work({ operations: [charge, other] })
    await world.got(steward.perform(charge, { key: 'a', input: {}, wait: 1 }))
    await world.until(() => asked === 1)
    const toldAt = world.time.wallMs
    await world.got(steward.submit(other, { key: 'b', input: {} }))
    await world.reaches(charge, 'a', 'succeeded')
    await world.reaches(other, 'b', 'succeeded')
    expect(other.sent[0]?.at).toBeGreaterThanOrEqual(toldAt + 20_000)
    expect(charge.sent[1]?.at).toBeGreaterThanOrEqual(toldAt + 20_000)
    expect(watched.count('control')).toBe(0)
  })

  it('stores the hold of the operation and that of its provider with the answer that asked for both', async () => {
    const world = make()
    const both = throws(() => new SendVerdict({ kind: 'not_applied', reason: 'locked out', status: 403, refused: 'caller', retryAfterMs: 20_000 }))
    const charge = scripted(world, { provider: 'acme', idempotency, holdAfter: { refusals: 1 } }, both, answers(1))
    const { steward, watched } = await world.work({ operations: [charge] })
    await world.got(steward.perform(charge, { key: 'a', input: {}, wait: 1 }))
    expect((await world.got(steward.controls())).map(({ kind, name }) => `${kind} ${name}`)).toEqual(['operation charge', 'provider acme'])
    expect(watched.count('control')).toBe(0)
  })

  it('holds an operation after refused callers in a row, tells once, tries one at a time, and never ends a call for it', async () => {
    const world = make()
    const door = gate()
    const charge = scripted(world, { idempotency, timeout: '30s', giveUpAfter: '1h', holdAfter: { refusals: 3 } }, status(401), status(401), status(401), door.step)
    const { steward } = await world.work({ operations: [charge] })
    for (let n = 0; n < 3; n++) await world.got(steward.submit(charge, { key: `k${n}`, input: {} }))
    await world.until(async () => (await world.alerted()).includes('operation_held'))
    const heldAt = world.time.wallMs
    for (let n = 3; n < 8; n++) await world.got(steward.submit(charge, { key: `k${n}`, input: {} }))
    expect(await world.got(steward.perform(charge, { key: 'direct', input: {}, wait: '1s' }))).toMatchObject({ state: 'waiting', effect: 'did_not_happen' })
    await world.until(() => door.entered() === 1, 60_000)
    expect(world.time.wallMs - heldAt).toBeGreaterThanOrEqual(14_000)
    expect(world.time.wallMs - heldAt).toBeLessThan(17_000)
    await world.pass(5_000)
    expect(door.entered()).toBe(1)
    door.fail(Object.assign(new Error('401'), { status: 401 }))
    const again = world.time.wallMs
    await world.until(() => door.entered() === 2, 120_000)
    expect(world.time.wallMs - again).toBeGreaterThanOrEqual(29_000)
    await world.until(() => { door.release(); return charge.sent.length >= 13 }, 60_000)
    await world.pass(2_000)
    door.release()
    for (const key of ['k0', 'k1', 'k2', 'k7', 'direct']) expect(await world.reaches(charge, key, 'succeeded')).toMatchObject({ state: 'succeeded' })
    expect(await world.alerted()).toEqual(['operation_held'])
  })

  it('counts a burst of refused callers that were all out at once as one hold, not as many', async () => {
    const world = make()
    const door = gate()
    const charge = scripted(world, { idempotency, timeout: '30s', giveUpAfter: '1h', holdAfter: { refusals: 3 } }, ...Array.from({ length: 40 }, () => door.step), answers(1))
    const { steward } = await world.work({ operations: [charge] })
    for (let n = 0; n < 40; n++) await world.got(steward.submit(charge, { key: `k${n}`, input: {} }))
    await world.until(() => door.entered() === 40)
    door.fail(Object.assign(new Error('401'), { status: 401 }))
    await world.pass(1_000)
    expect(await world.alerted()).toEqual(['operation_held'])
    await world.until(() => charge.sent.length === 41, 20_000)
  })

  it('pauses an operation without any way to find out after doubts in a row, until a person resumes it', async () => {
    const world = make()
    const wire = scripted(world, { name: 'wire', idempotency: none('x'), giveUpAfter: '10h', holdAfter: { doubts: 3 } }, lost, lost, lost, answers(1))
    const { steward } = await world.work({ operations: [wire], concurrency: 1 })
    for (let n = 0; n < 6; n++) await world.got(steward.submit(wire, { key: `k${n}`, input: {} }))
    await world.until(async () => (await world.alerted()).includes('operation_held'))
    await world.pass(60_000)
    expect(wire.sent).toHaveLength(3)
    await world.got(steward.resume({ operation: 'wire' }, ana))
    await world.until(() => wire.sent.length === 6)
    expect((await world.alerted()).filter((kind) => kind === 'operation_held')).toHaveLength(1)
  })

  it('lengthens a hold only by attempts that began after it', async () => {
    const world = make()
    const put = scripted(world, { name: 'put', idempotency: natural('x'), giveUpAfter: '10h', holdAfter: { doubts: 2 } }, lost, lost, lost, answers(1))
    const { steward } = await world.work({ operations: [put] })
    await world.got(steward.submit(put, { key: 'a', input: {} }))
    await world.until(() => put.sent.length === 4, 300_000)
    const [, second, third, fourth] = put.sent.map((one) => one.at) as [number, number, number, number]
    expect(third - second).toBeGreaterThanOrEqual(15_000)
    expect(fourth - third).toBeGreaterThanOrEqual(30_000)
    expect(fourth - third).toBeLessThan(35_000)
  })

  it('tells when an unusual share of calls is rejected, once', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, throws(() => new SendVerdict({ kind: 'rejected', reason: 'invalid currency' })))
    const { steward } = await world.work({ operations: [charge] })
    const all = Promise.all(Array.from({ length: 60 }, async (_, n) => (await steward.submit(charge, { key: `k${n}`, input: {} })).outcome()))
    for (const outcome of await world.got(all)) expect(outcome.state).toBe('rejected')
    await world.pass(2_000)
    expect(await world.alerted()).toEqual(['rejected_share'])
  })

  it('is paused across a restart, and a pause outranks a hold', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, throws(() => new SendVerdict({ kind: 'not_applied', reason: 'slow down', retryAfterMs: 3_000 })), answers(1))
    const first = await world.work({ operations: [charge] })
    await world.got(first.steward.perform(charge, { key: 'a', input: {}, wait: 1 }))
    await world.got(first.steward.pause({ provider: 'charge' }, ana))
    await world.got(first.steward.close())
    const second = await world.work({ operations: [charge] })
    world.processes.reverse()
    await world.pass(20_000)
    expect(charge.sent).toHaveLength(1)
    await world.got(second.steward.resume({ provider: 'charge' }, ana))
    await world.reaches(charge, 'a', 'succeeded')
  })
})
