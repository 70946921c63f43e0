/** Deploys in any order: what a worker does not understand waits unharmed, and somebody is told. */
import { expect, it } from 'vitest'
import { natural, none, providerKey } from '../ports/definition.ts'
import type { Operation } from './api.ts'
import { answers, lost, onEachStore, scripted, silent, type World } from './world.fixture.ts'

const idempotency = providerKey({ retention: '1h' })
const cents = { 1: (old: never) => ({ cents: (old as { amount: number }).amount * 100 }) }

async function submittedBy(world: World, operation: Operation, key: string, input: unknown): Promise<void> {
  const { steward } = await world.open({ operations: [operation] })
  await world.got(steward.submit(operation, { key, input }))
}

onEachStore((make) => {
  it('upgrades a waiting call of an older version and sends it once', async () => {
    const world = make()
    const old = scripted(world, { idempotency }, answers(1))
    await submittedBy(world, old, 'a', { amount: 5 })
    const next = scripted(world, { idempotency, version: 2, upgrade: cents }, answers(1))
    await world.work({ operations: [next] })
    const call = await world.reaches(next, 'a', 'succeeded')
    await world.pass(2_000)
    expect(next.sent.map((one) => one.input)).toEqual([{ cents: 500 }])
    expect(old.sent).toEqual([])
    expect(call).toMatchObject({ version: 2, attempts: 1, input: { amount: 5 } })
  })

  it('leaves calls of a newer version or another operation alone: no attempt burnt, nothing claimed, an alert', async () => {
    const world = make()
    const next = scripted(world, { idempotency, version: 2, giveUpAfter: '1h' }, answers(1))
    const other = scripted(world, { name: 'other', idempotency, giveUpAfter: '1h' }, answers(1))
    await submittedBy(world, next, 'a', {})
    await submittedBy(world, other, 'a', {})
    const old = scripted(world, { idempotency, giveUpAfter: '1h' }, answers(1))
    const worker = await world.work({ operations: [old] })
    await world.until(async () => (await world.alerted()).length >= 2, 60_000)
    await world.pass(20_000)
    expect((await world.alerted()).filter((kind) => kind !== 'not_understood')).toEqual([])
    for (const operation of [next, other]) expect(await world.call(operation, 'a')).toMatchObject({ state: 'waiting', attempts: 0 })
    expect(worker.watched.count('write')).toBe(0)
    await world.work({ operations: [next, other] })
    for (const operation of [next, other]) await world.reaches(operation, 'a', 'succeeded')
    expect(old.sent).toEqual([])
  })

  it('waits unharmed and says so when an upgrade throws, and sends once it is mended', async () => {
    const world = make()
    const old = scripted(world, { idempotency, giveUpAfter: '1h' }, answers(1))
    await submittedBy(world, old, 'a', { amount: 5 })
    const broken = scripted(world, { idempotency, giveUpAfter: '1h', version: 2, upgrade: { 1: () => { throw new Error('no such field') } } }, answers(1))
    const worker = await world.work({ operations: [broken] })
    await world.until(async () => (await world.alerted()).includes('not_understood'), 100_000)
    await world.pass(10_000)
    expect(await world.call(broken, 'a')).toMatchObject({ state: 'waiting', attempts: 0, version: 1 })
    expect((await world.alerted())).toEqual(['not_understood'])
    expect((await world.call(broken, 'a')).reason).toContain('no such field')
    await world.got(worker.steward.close())
    const mended = scripted(world, { idempotency, giveUpAfter: '1h', version: 2, upgrade: cents }, answers(1))
    await world.work({ operations: [mended] })
    await world.reaches(mended, 'a', 'succeeded')
    expect(broken.sent).toEqual([])
    expect(mended.sent).toHaveLength(1)
  })

  it.each([['natural', natural('x')], ['providerKey', idempotency]])('does not repeat an attempt in doubt with the content of another version (%s), says so, and lets the old version go on', async (_name, answer) => {
    const world = make()
    const old = scripted(world, { idempotency: answer, giveUpAfter: '1h' }, lost, answers(1))
    const first = await world.work({ operations: [old] })
    await world.got(first.steward.perform(old, { key: 'a', input: { amount: 5 }, wait: 1 }))
    await world.got(first.steward.close())
    const next = scripted(world, { idempotency: answer, giveUpAfter: '1h', version: 2, upgrade: cents }, answers(1))
    const worker = await world.work({ operations: [next] })
    world.processes.reverse()
    await world.until(async () => (await world.alerted()).includes('not_understood'), 100_000)
    await world.pass(60_000)
    expect(next.sent).toEqual([])
    expect(await world.alerted()).toEqual(['not_understood'])
    await world.got(worker.steward.close())
    await world.work({ operations: [old] })
    world.processes.reverse()
    await world.reaches(old, 'a', 'succeeded')
    expect(old.sent.map((one) => one.input)).toEqual([{ amount: 5 }, { amount: 5 }])
    expect(next.sent).toEqual([])
  })

  it('asks the lookup for an attempt in doubt of another version, then sends the upgraded input under a fresh key', async () => {
    const world = make()
    const lookup = () => Promise.resolve({ absent: true as const })
    const answer = providerKey({ retention: '1h', lookup, settle: '1s' })
    const old = scripted(world, { idempotency: answer, giveUpAfter: '1h' }, lost)
    const first = await world.work({ operations: [old] })
    await world.got(first.steward.perform(old, { key: 'a', input: { amount: 5 }, wait: 1 }))
    await world.got(first.steward.close())
    const next = scripted(world, { idempotency: answer, giveUpAfter: '1h', version: 2, upgrade: cents }, answers(1))
    await world.work({ operations: [next] })
    world.processes.reverse()
    await world.reaches(next, 'a', 'succeeded')
    expect(next.sent).toHaveLength(1)
    expect(next.sent[0]).toMatchObject({ generation: 2, input: { cents: 500 } })
    expect(next.sent[0]?.idempotencyKey).not.toBe(old.sent[0]?.idempotencyKey)
  })

  it('tells of attempts that nobody knows, although the look for what is due late fails; and that it does, when it goes on', async () => {
    const world = make()
    const charge = scripted(world, { idempotency, timeout: '2s', giveUpAfter: '2h' }, silent)
    const gone = await world.work({ operations: [charge] })
    await world.got(gone.steward.submit(charge, { key: 'a', input: {} }))
    await world.until(() => charge.sent.length === 1)
    gone.system.frozen = true
    const other = await world.work({ operations: [scripted(world, { name: 'other', idempotency }, answers(1))] })
    world.processes.reverse()
    other.watched.refuse = (method) => { if (method === 'lateLanes') throw new Error('canceling statement due to statement timeout') }
    await world.pass(60_000)
    expect(await world.alerted()).toEqual(['not_understood'])
    await world.until(async () => (await world.alerted()).length > 1, 600_000)
    expect(await world.alerted()).toEqual(['not_understood', 'looks_given_up'])
    expect(other.alerts.at(-1)).toMatchObject({ severity: 'page', operation: '*', message: expect.stringContaining('canceling statement') as unknown })
    // Minutes of pulses, each a commit: on a busy disk that takes its time.
  }, 180_000)

  it('tells from a process that only submits, and knows the operation, of an attempt whose worker is gone and which nobody takes over', async () => {
    const world = make()
    const charge = scripted(world, { idempotency, timeout: '20s', giveUpAfter: '1h' }, silent, answers(1))
    const web = await world.open({ operations: [charge] })
    const gone = await world.work({ operations: [charge] })
    await world.got(web.steward.submit(charge, { key: 'a', input: {} }))
    await world.until(() => charge.sent.length === 1)
    gone.system.frozen = true
    await world.pass(45_000)
    expect(await world.alerted()).toEqual([])
    await world.pass(60_000)
    expect(web.alerts.map(({ kind, message }) => [kind, message])).toEqual([['no_worker', expect.stringContaining('may have happened')]])
    expect((await world.call(charge, 'a')).state).toBe('running')
    await world.work({ operations: [charge] })
    await world.reaches(charge, 'a', 'succeeded')
  })

  it('works an operation it first hears of when a call of it is submitted, without a false alert', async () => {
    const world = make()
    const known = scripted(world, { name: 'known', idempotency }, answers(1))
    const fresh = scripted(world, { name: 'fresh', idempotency: none('x'), giveUpAfter: '1h' }, answers(1))
    const { steward } = await world.work({ operations: [known] })
    await world.got(steward.submit(fresh, { key: 'a', input: {}, runAt: world.time.wallMs + 1_000 }))
    await world.reaches(fresh, 'a', 'succeeded')
    expect((await world.call(fresh, 'a')).attempts).toBe(1)
    const workers = await world.processes[0]!.watched.store.workers()
    expect(workers[0]?.lanes.map((lane) => lane.operation)).toEqual(['known', 'fresh'])
  })
})
