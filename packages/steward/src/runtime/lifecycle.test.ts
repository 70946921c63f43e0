/** From submit to the end: time, priority, people, successors. */
import { expect, it } from 'vitest'
import { natural, none, providerKey, reconcile, SendVerdict } from '../ports/definition.ts'
import { ana, answers, gate, lost, onEachStore, scripted, status, throws, unreachable } from './world.fixture.ts'

const idempotency = providerKey({ retention: '1h' })
const rejected = throws(() => new SendVerdict({ kind: 'rejected', reason: 'card declined' }))

onEachStore((make) => {
  it('does not ask the store for the outcome of a call that this process is sending', async () => {
    const world = make()
    const send = gate()
    const charge = scripted(world, { idempotency: natural('sets the same') }, send.step)
    const { steward, watched } = await world.work({ operations: [charge] })
    const submitted = await world.got(steward.submit(charge, { key: 'a', input: {} }))
    await world.until(() => send.entered() === 1)
    const asked = watched.count('get', 'getMany')
    const outcome = submitted.outcome()
    await world.rest()
    send.release()
    expect(await world.got(outcome)).toMatchObject({ effect: 'happened', result: { ok: true } })
    expect(watched.count('get', 'getMany')).toBe(asked)
  })

  it('sends not before runAt, and promptly then', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, answers(1))
    const { steward } = await world.work({ operations: [charge] })
    const runAt = world.time.wallMs + 7_300
    await world.got(steward.submit(charge, { key: 'a', input: {}, runAt }))
    await world.reaches(charge, 'a', 'succeeded')
    expect(charge.sent[0]?.at).toBeGreaterThanOrEqual(runAt)
    expect(charge.sent[0]?.at).toBeLessThan(runAt + 20)
  })

  it('finds a call that another process submitted for later, on time', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, answers(1))
    await world.work({ operations: [charge] })
    const other = await world.open({ operations: [charge] })
    await world.pass(3_000)
    const runAt = world.time.wallMs + 5_450
    await world.got(other.steward.submit(charge, { key: 'a', input: {}, runAt }))
    await world.reaches(charge, 'a', 'succeeded')
    expect((charge.sent[0]?.at ?? 0) - runAt).toBeLessThan(1_000)
    expect(charge.sent[0]?.at).toBeGreaterThanOrEqual(runAt)
  })

  it('takes the lower priority number first', async () => {
    const world = make()
    const door = gate()
    const charge = scripted(world, { idempotency, timeout: '50s' }, door.step)
    const { steward } = await world.work({ operations: [charge], concurrency: 1 })
    const runAt = world.time.wallMs + 1_000
    for (const [key, priority] of [['low', 10], ['normal', 0], ['high', -10], ['normal2', 0]] as const) await world.got(steward.submit(charge, { key, input: { key }, priority, runAt }))
    await world.until(() => { door.release(); return charge.sent.length === 4 })
    expect(charge.sent.map((one) => (one.input as { key: string }).key)).toEqual(['high', 'normal', 'normal2', 'low'])
  })

  it('expires unsent calls on time, loudly, also while they are paused', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, answers(1))
    const { steward } = await world.work({ operations: [charge] })
    await world.got(steward.pause({ operation: 'charge' }, ana))
    const expiresAt = world.time.wallMs + 4_000
    const submitted = await world.got(steward.submit(charge, { key: 'a', input: {}, expiresAt }))
    expect(await world.got(submitted.outcome())).toMatchObject({ effect: 'did_not_happen', state: 'expired' })
    expect(world.time.wallMs).toBeLessThan(expiresAt + 2_000)
    await world.got(steward.resume({ operation: 'charge' }, ana))
    await world.pass(3_000)
    expect(charge.sent).toHaveLength(0)
    expect(await world.alerted()).toEqual(['expired'])
  })

  it('is not expired but in doubt when it expires after a lost response, and no later send leaves', async () => {
    const world = make()
    const charge = scripted(world, { idempotency, backoff: { base: '20s', cap: '20s' } }, lost, answers(1))
    const { steward } = await world.work({ operations: [charge] })
    const submitted = await world.got(steward.submit(charge, { key: 'a', input: {}, expiresAt: world.time.wallMs + 3_000 }))
    expect(await world.got(submitted.outcome())).toMatchObject({ effect: 'unknown', state: 'in_doubt' })
    await world.pass(30_000)
    expect(charge.sent).toHaveLength(1)
    expect(await world.alerted()).toEqual(['in_doubt'])
  })

  it('is given up loudly when its time is spent, having certainly not happened', async () => {
    const world = make()
    const charge = scripted(world, { idempotency, giveUpAfter: '5s' }, unreachable)
    const { steward } = await world.work({ operations: [charge] })
    const submitted = await world.got(steward.submit(charge, { key: 'a', input: {} }))
    expect(await world.got(submitted.outcome())).toMatchObject({ effect: 'did_not_happen', state: 'exhausted' })
    expect(await world.alerted()).toEqual(['exhausted'])
    const sends = charge.sent.length
    await world.pass(20_000)
    expect(charge.sent).toHaveLength(sends)
  })

  it('counts maxAttempts with the first attempt included', async () => {
    const world = make()
    const charge = scripted(world, { idempotency, maxAttempts: 3 }, unreachable)
    const { steward } = await world.work({ operations: [charge] })
    expect(await world.got((await world.got(steward.submit(charge, { key: 'a', input: {} }))).outcome())).toMatchObject({ state: 'exhausted', attempts: 3 })
    expect(charge.sent).toHaveLength(3)
  })

  it('cancels what waits, and refuses to cancel twice', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, answers(1))
    const { steward } = await world.work({ operations: [charge] })
    await world.got(steward.submit(charge, { key: 'a', input: {}, runAt: world.time.wallMs + 5_000 }))
    expect(await world.got(steward.cancel(charge, 'a', ana))).toMatchObject({ state: 'cancelled', effect: 'did_not_happen' })
    await expect(world.got(steward.cancel(charge, 'a', ana))).rejects.toMatchObject({ code: 'STEWARD_ACTION_REFUSED' })
    await world.pass(10_000)
    expect(charge.sent).toHaveLength(0)
    expect(await world.alerted()).toEqual([])
  })

  it('retries at once when a person says so', async () => {
    const world = make()
    const charge = scripted(world, { idempotency, backoff: { base: '40s', cap: '40s' }, giveUpAfter: '10m' }, unreachable, answers(1))
    const { steward } = await world.work({ operations: [charge] })
    await world.got(steward.submit(charge, { key: 'a', input: {} }))
    await world.until(() => charge.sent.length === 1)
    const at = world.time.wallMs
    await world.got(steward.retryNow(charge, 'a', ana))
    await world.reaches(charge, 'a', 'succeeded')
    expect(world.time.wallMs - at).toBeLessThan(1_000)
  })

  it('lets a new key take the purpose of one that certainly did not happen, once', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, rejected, answers(1))
    const { steward } = await world.work({ operations: [charge] })
    await world.got(steward.perform(charge, { key: 'card1', input: {} }))
    expect(await world.got(steward.perform(charge, { key: 'card2', input: {}, supersedes: 'card1' }))).toMatchObject({ state: 'succeeded' })
    expect((await world.call(charge, 'card1')).supersededBy).toBe('card2')
    await expect(world.got(steward.submit(charge, { key: 'card3', input: {}, supersedes: 'card1' }))).rejects.toMatchObject({ code: 'STEWARD_SUPERSEDES_REFUSED' })
    await expect(world.got(steward.redrive(charge, 'card1', ana))).rejects.toMatchObject({ code: 'STEWARD_ACTION_REFUSED' })
    expect((await world.got(steward.submit(charge, { key: 'card2', input: {}, supersedes: 'card1' }))).status).toBe('joined')
    expect(charge.sent).toHaveLength(2)
  })

  it('admits one of several successors that come at once', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, rejected, answers(1))
    const { steward } = await world.work({ operations: [charge] })
    await world.got(steward.perform(charge, { key: 'old', input: {} }))
    const tries = await world.got(Promise.allSettled(Array.from({ length: 5 }, (_, n) => steward.submit(charge, { key: `new${n}`, input: {}, supersedes: 'old' }))))
    expect(tries.filter((one) => one.status === 'fulfilled')).toHaveLength(1)
    await world.pass(3_000)
    expect(charge.sent).toHaveLength(2)
  })

  it.each([['running', null], ['in doubt', lost]] as const)('refuses a successor while the old call is %s', async (_name, step) => {
    const world = make()
    const door = gate()
    const wire = scripted(world, { name: 'wire', idempotency: none('x'), timeout: '30s' }, step ?? door.step, answers(1))
    const { steward } = await world.work({ operations: [wire] })
    await world.got(steward.submit(wire, { key: 'old', input: {} }))
    await world.until(() => wire.sent.length === 1)
    await world.pass(100)
    await expect(world.got(steward.submit(wire, { key: 'new', input: {}, supersedes: 'old' }))).rejects.toMatchObject({ code: 'STEWARD_SUPERSEDES_REFUSED' })
    expect(await world.got(steward.find(wire, 'new'))).toBeNull()
    door.release()
  })

  it('redrives one call under a fresh key, and a second time not', async () => {
    const world = make()
    const charge = scripted(world, { idempotency, maxAttempts: 1 }, unreachable, answers(1))
    const { steward } = await world.work({ operations: [charge] })
    await world.got((await world.got(steward.submit(charge, { key: 'a', input: {} }))).outcome())
    await world.got(steward.redrive(charge, 'a', ana))
    await world.reaches(charge, 'a', 'succeeded')
    expect(charge.sent.map((one) => one.generation)).toEqual([1, 2])
    await expect(world.got(steward.redrive(charge, 'a', ana))).rejects.toMatchObject({ code: 'STEWARD_ACTION_REFUSED' })
    await world.pass(2_000)
    expect(charge.sent).toHaveLength(2)
  })

  it('looks first when a call in doubt is redriven', async () => {
    const world = make()
    let exists: boolean | null = null
    const lookup = () => Promise.resolve(exists === null ? { cannotTell: 'down' } : exists ? { found: { id: 1 } } : { absent: true as const })
    const pay = scripted(world, { name: 'pay', idempotency: reconcile(lookup, { settle: '1s', lookupEvery: '1s', lookupFor: '3s' }), giveUpAfter: '5s' }, lost)
    const { steward } = await world.work({ operations: [pay] })
    expect(await world.got((await world.got(steward.submit(pay, { key: 'a', input: {} }))).outcome())).toMatchObject({ state: 'in_doubt' })
    exists = true
    expect((await world.got(steward.redrive(pay, 'a', ana))).state).toBe('checking')
    await world.reaches(pay, 'a', 'succeeded')
    expect(pay.sent).toHaveLength(1)
  })

  it('redrives many by filter in a low lane; a dry run and a repetition change nothing', async () => {
    const world = make()
    let up = false
    const charge = scripted(world, { idempotency, maxAttempts: 1 }, (context, input) => (up ? 1 : unreachable(context, input)))
    const { steward } = await world.work({ operations: [charge] })
    const all = Promise.all(Array.from({ length: 250 }, async (_, n) => (await steward.submit(charge, { key: `k${n}`, input: {} })).outcome()))
    for (const outcome of await world.got(all)) expect(outcome.state).toBe('exhausted')
    const dry = await world.got(steward.redriveMany({ operation: 'charge' }, { ...ana, dryRun: true }))
    expect(dry).toMatchObject({ matched: 250, dryRun: true, refused: [] })
    await world.pass(1_500)
    expect(charge.sent).toHaveLength(250)
    up = true
    const done = await world.got(steward.redriveMany({ operation: 'charge' }, ana))
    expect(done.redriven).toHaveLength(250)
    await world.until(() => charge.sent.length === 500)
    expect((await world.call(charge, 'k9')).priority).toBe(10)
    await world.pass(1_000)
    expect(await world.got(steward.redriveMany({ operation: 'charge' }, ana))).toMatchObject({ matched: 0 })
    await world.pass(1_000)
    expect(charge.sent).toHaveLength(500)
  }, 30_000)

  it('is worked by another process when a process that does not work performs, and the first try does not succeed', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, status(500), answers(1))
    const web = await world.open({ operations: [charge] })
    expect(await world.got(web.steward.perform(charge, { key: 'a', input: {}, wait: '2s' }))).toMatchObject({ effect: 'unknown', state: 'waiting', attempts: 1, ended: false })
    const waiting = web.steward.outcome(charge, 'a')
    await world.work({ operations: [charge] })
    expect(await world.got(waiting)).toMatchObject({ state: 'succeeded', attempts: 2 })
    expect(natural('x').kind).toBe('natural')
  })

  it('prunes ended calls, keeps what outlives them, and joins or refuses by their digests', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, answers({ id: 1 }))
    const { steward } = await world.work({ operations: [charge], keepEndedFor: '10s' })
    await world.got(steward.perform(charge, { key: 'a', input: { amount: 1, note: 'x' } }))
    await world.until(async () => (await steward.find(charge, 'a')) === null)
    expect(await world.got(steward.perform(charge, { key: 'a', input: { note: 'x', amount: 1 } }))).toMatchObject({ effect: 'happened', state: 'succeeded', ended: true })
    await expect(world.got(steward.submit(charge, { key: 'a', input: { amount: 2, note: 'x' } }))).rejects.toMatchObject({ code: 'STEWARD_KEY_REUSED', details: { fields: ['amount'] } })
    expect(charge.sent).toHaveLength(1)
  })
})
