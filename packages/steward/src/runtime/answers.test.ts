import { describe, expect, it } from 'vitest'
import { accepted, type LookupContext, type LookupResult, natural, none, providerKey, reconcile, SendVerdict } from '../ports/definition.ts'
import { ana, answers, gate, lost, onEachStore, scripted, status, throws, unreachable, type World } from './world.fixture.ts'

const rejectedConclusively = throws(() => new SendVerdict({ kind: 'rejected', reason: 'card declined', conclusive: true }))
const rejectedOnly = throws(() => new SendVerdict({ kind: 'rejected', reason: 'card declined' }))

type Asked = { readonly at: number; readonly context: LookupContext }
/** A lookup that follows a script, the last answer for ever. */
function lookups(world: World, ...script: (LookupResult<unknown> | (() => never))[]): { readonly asked: Asked[]; readonly lookup: (input: unknown, context: LookupContext) => Promise<LookupResult<unknown>> } {
  const asked: Asked[] = []
  return {
    asked,
    lookup: (_input, context) => {
      const next = script[Math.min(asked.length, script.length - 1)] as (typeof script)[number]
      asked.push({ at: world.time.wallMs, context })
      return Promise.resolve().then(() => (typeof next === 'function' ? next() : next))
    },
  }
}

onEachStore((make) => {
  describe('providerKey', () => {
    const idempotency = providerKey({ retention: '1h' })

    it('sends the same key again after a lost response, and ends succeeded', async () => {
      const world = make()
      const charge = scripted(world, { idempotency }, lost, answers({ id: 'ch_1' }))
      const { steward } = await world.work({ operations: [charge] })
      const outcome = await world.got(steward.perform(charge, { key: 'o_1', input: { amount: 1 }, wait: '20s' }))
      expect(outcome).toMatchObject({ effect: 'happened', state: 'succeeded', result: { id: 'ch_1' }, attempts: 2, ended: true })
      expect(charge.sent).toHaveLength(2)
      expect(charge.sent[1]?.idempotencyKey).toBe(charge.sent[0]?.idempotencyKey)
      expect(await world.alerted()).toEqual([])
    })

    it.each([['401s', status(401)], ['refused connections', unreachable]])('never ends as "did not happen" when a lost response is followed by %s until time is up', async (_name, step) => {
      const world = make()
      const charge = scripted(world, { idempotency, giveUpAfter: '20s', holdAfter: { refusals: 3 } }, lost, step)
      const { steward } = await world.work({ operations: [charge] })
      const submitted = await world.got(steward.submit(charge, { key: 'o_1', input: {} }))
      const outcome = await world.got(submitted.outcome())
      expect(outcome).toMatchObject({ effect: 'unknown', state: 'in_doubt', ended: false })
      expect(charge.sent.length).toBeGreaterThan(2)
      expect((await world.alerted()).filter((kind) => kind === 'in_doubt')).toHaveLength(1)
      await world.pass(10_000)
      expect((await world.call(charge, 'o_1')).state).toBe('in_doubt')
    })

    it('ends rejected when a replay is refused conclusively, and does not when the refusal speaks for its attempt alone', async () => {
      const world = make()
      const sure = scripted(world, { name: 'sure', idempotency }, lost, rejectedConclusively)
      const unsure = scripted(world, { name: 'unsure', idempotency }, lost, rejectedOnly)
      const { steward } = await world.work({ operations: [sure, unsure] })
      const [a, b] = await world.got(Promise.all([steward.submit(sure, { key: 'a', input: {} }), steward.submit(unsure, { key: 'a', input: {} })]))
      expect(await world.got(a.outcome())).toMatchObject({ effect: 'did_not_happen', state: 'rejected' })
      expect(await world.got(b.outcome())).toMatchObject({ effect: 'unknown', state: 'in_doubt' })
      expect(unsure.sent).toHaveLength(2)
    })

    it('gives a spent key up for a second generation only once a lookup says that it is absent', async () => {
      const world = make()
      const { lookup, asked } = lookups(world, { cannotTell: 'search is down' }, { absent: true })
      const spent = throws(() => new SendVerdict({ kind: 'unknown', reason: 'a replayed 500', keySpent: true }))
      const charge = scripted(world, { idempotency: providerKey({ retention: '1h', lookup, settle: '2s', lookupEvery: '1s' }), timeout: '3s' }, spent, answers({ id: 'ch_2' }))
      const { steward } = await world.work({ operations: [charge] })
      const outcome = await world.got((await world.got(steward.submit(charge, { key: 'o_1', input: {} }))).outcome())
      expect(outcome).toMatchObject({ state: 'succeeded', attempts: 2 })
      expect(charge.sent.map((one) => one.generation)).toEqual([1, 2])
      expect(charge.sent[1]?.idempotencyKey).not.toBe(charge.sent[0]?.idempotencyKey)
      expect(asked[0]?.at).toBeGreaterThanOrEqual((charge.sent[0]?.at ?? 0) + 5_000)
      expect(asked[1]?.context.idempotencyKeys).toEqual([charge.sent[0]?.idempotencyKey])
    })

    it('asks the lookup instead of sending once the provider may have forgotten the key', async () => {
      const world = make()
      const { lookup, asked } = lookups(world, { found: { id: 'ch_1' }, reference: 'ch_1' })
      const charge = scripted(world, { idempotency: providerKey({ retention: '10s', margin: '1s', lookup, settle: '1s' }), giveUpAfter: '10m', backoff: { base: '3s', cap: '3s' } }, lost)
      const { steward, system } = await world.open({ operations: [charge] })
      system.randomValue = 0.99
      steward.start()
      const outcome = await world.got((await world.got(steward.submit(charge, { key: 'o_1', input: {} }))).outcome())
      expect(outcome).toMatchObject({ state: 'succeeded', result: { id: 'ch_1' } })
      const begins = (await world.call(charge, 'o_1')).story.flatMap((entry) => (entry.what === 'begun' ? [entry.at] : []))
      expect(begins.length).toBeGreaterThan(2)
      for (const at of begins) expect(at).toBeLessThanOrEqual((begins[0] ?? 0) + 8_000)
      expect(asked).toHaveLength(1)
    })
  })

  describe('natural', () => {
    it('sends again after a lost response', async () => {
      const world = make()
      const put = scripted(world, { name: 'put', idempotency: natural('PUT of the whole document') }, lost, lost, answers(null))
      const { steward } = await world.work({ operations: [put] })
      expect(await world.got(steward.perform(put, { key: 'doc', input: {}, wait: '20s' }))).toMatchObject({ effect: 'happened', attempts: 3, result: null })
      expect(put.sent).toHaveLength(3)
    })
  })

  describe('reconcile', () => {
    it('asks only after deadline and settle time, sends again when absent, and never twice without asking', async () => {
      const world = make()
      const { lookup, asked } = lookups(world, { absent: true }, { found: { id: 'p_1' }, reference: 'p_1' })
      const pay = scripted(world, { name: 'pay', idempotency: reconcile(lookup, { settle: '5s', lookupEvery: '1s' }), timeout: '2s' }, lost, lost)
      const { steward } = await world.work({ operations: [pay] })
      const outcome = await world.got((await world.got(steward.submit(pay, { key: 'o_1', input: {} }))).outcome())
      expect(outcome).toMatchObject({ state: 'succeeded', result: { id: 'p_1' }, attempts: 2 })
      expect(pay.sent).toHaveLength(2)
      expect(asked).toHaveLength(2)
      for (const at of [0, 1]) expect(asked[at]?.at).toBeGreaterThanOrEqual((pay.sent[at]?.at ?? 0) + 7_000)
    })

    it('asks again while the provider cannot tell, then leaves it to a person', async () => {
      const world = make()
      const { lookup, asked } = lookups(world, () => { throw new Error('down') }, { cannotTell: 'index is stale' })
      const pay = scripted(world, { name: 'pay', idempotency: reconcile(lookup, { settle: '1s', lookupEvery: '1s', lookupFor: '20s' }), giveUpAfter: '10m' }, lost)
      const { steward } = await world.work({ operations: [pay] })
      const outcome = await world.got((await world.got(steward.submit(pay, { key: 'o_1', input: {} }))).outcome())
      expect(outcome).toMatchObject({ effect: 'unknown', state: 'in_doubt' })
      expect(asked.length).toBeGreaterThan(2)
      expect(pay.sent).toHaveLength(1)
      expect(await world.alerted()).toEqual(['in_doubt'])
    })

    it('counts a lookup that throws nonsense, returns nonsense or never settles as "cannot tell"', async () => {
      const world = make()
      const answersOf: (() => unknown)[] = [() => { throw undefined }, () => null, () => 'absent', () => ({ absent: 'yes' }), () => new Promise(() => { /* never */ }), () => Promise.reject(null), () => ({ found: { id: 1 } })]
      let asked = 0
      const lookup = (): Promise<LookupResult<unknown>> => answersOf[Math.min(asked++, answersOf.length - 1)]?.() as Promise<LookupResult<unknown>>
      const pay = scripted(world, { name: 'pay', idempotency: reconcile(lookup, { settle: '1s', lookupEvery: '1s' }), giveUpAfter: '30m' }, lost)
      const { steward } = await world.work({ operations: [pay] })
      const outcome = await world.got((await world.got(steward.submit(pay, { key: 'o_1', input: {} }))).outcome(), 600_000)
      expect(outcome).toMatchObject({ state: 'succeeded', result: { id: 1 } })
      expect(asked).toBe(7)
      expect(pay.sent).toHaveLength(1)
    })

    it('wants as many absences in a row as the operation asks for', async () => {
      const world = make()
      const { lookup, asked } = lookups(world, { absent: true }, { cannotTell: 'hm' }, { absent: true }, { absent: true })
      const pay = scripted(world, { name: 'pay', idempotency: reconcile(lookup, { settle: '1s', absences: 2, lookupEvery: '1s' }), giveUpAfter: '10m' }, lost, answers({ ok: 1 }))
      const { steward } = await world.work({ operations: [pay] })
      await world.got((await world.got(steward.submit(pay, { key: 'o_1', input: {} }))).outcome(), 600_000)
      expect(asked).toHaveLength(4)
      expect(pay.sent).toHaveLength(2)
    })
  })

  describe('none', () => {
    const doubtful = async (world: World) => {
      const wire = scripted(world, { name: 'wire', idempotency: none('a bank file') }, lost, answers({ ok: true }))
      const process = await world.work({ operations: [wire] })
      const outcome = await world.got(process.steward.perform(wire, { key: 'o_1', input: {} }))
      expect(outcome).toMatchObject({ effect: 'unknown', state: 'in_doubt', attempts: 1 })
      return { wire, ...process }
    }

    it('is in doubt at once, pages exactly once, and is never sent again by itself', async () => {
      const world = make()
      const { wire, alerts } = await doubtful(world)
      await world.pass(60_000)
      expect(wire.sent).toHaveLength(1)
      expect(await world.alerted()).toEqual(['in_doubt'])
      expect(alerts.map((alert) => [alert.kind, alert.severity])).toEqual([['in_doubt', 'page']])
    })

    it('retries what certainly did not happen', async () => {
      const world = make()
      const wire = scripted(world, { name: 'wire', idempotency: none('a bank file') }, unreachable, status(429), answers({ ok: true }))
      const { steward } = await world.work({ operations: [wire] })
      expect(await world.got(steward.perform(wire, { key: 'o_1', input: {}, wait: '30s' }))).toMatchObject({ state: 'succeeded', attempts: 3 })
    })

    it('is closed by a person: it happened', async () => {
      const world = make()
      const { wire, steward } = await doubtful(world)
      const view = await world.got(steward.settle(wire, 'o_1', { ...ana, outcome: 'happened', result: { ref: 1 }, reference: 'w_1' }))
      expect(view).toMatchObject({ state: 'succeeded', effect: 'happened', result: { ref: 1 } })
      await world.pass(60_000)
      expect(wire.sent).toHaveLength(1)
    })

    it('is closed by a person: it did not, send it again', async () => {
      const world = make()
      const { wire, steward, alerts } = await doubtful(world)
      await world.pass(2_000)
      await world.got(steward.settle(wire, 'o_1', { ...ana, outcome: 'send_again' }))
      await world.reaches(wire, 'o_1', 'succeeded')
      expect(wire.sent.map((one) => one.generation)).toEqual([1, 2])
      expect(alerts).toHaveLength(1)
    })

    it('is closed by a person: it did not, leave it', async () => {
      const world = make()
      const { wire, steward } = await doubtful(world)
      await world.pass(2_000)
      const view = await world.got(steward.settle(wire, 'o_1', { ...ana, outcome: 'stop' }))
      expect(view).toMatchObject({ state: 'cancelled', effect: 'did_not_happen' })
      await world.pass(60_000)
      expect(wire.sent).toHaveLength(1)
    })

    it('refuses a decision that is none of the three, and stays in doubt', async () => {
      const world = make()
      const { wire, steward } = await doubtful(world)
      await world.pass(2_000)
      await expect(world.got(steward.settle(wire, 'o_1', { ...ana, outcome: 'did-happen' as 'happened' }))).rejects.toMatchObject({ code: 'STEWARD_OPTION_INVALID' })
      expect((await world.call(wire, 'o_1')).state).toBe('in_doubt')
    })
  })

  describe('accepted', () => {
    const idempotency = providerKey({ retention: '1h' })

    it('waits for a fact and is not sent again', async () => {
      const world = make()
      const payout = scripted(world, { name: 'payout', idempotency }, () => accepted('po_1'))
      const { steward } = await world.work({ operations: [payout] })
      expect(await world.got(steward.perform(payout, { key: 'p', input: {}, wait: '5s' }))).toMatchObject({ effect: 'pending', state: 'accepted' })
      await world.pass(30_000)
      expect(payout.sent).toHaveLength(1)
      await world.got(steward.confirm(payout, 'p', { by: 'webhook evt_1', reference: 'po_1', result: { paid: true } }))
      expect(await world.call(payout, 'p')).toMatchObject({ state: 'succeeded', result: { paid: true } })
      expect(await world.alerted()).toEqual([])
    })

    it('ends rejected when evidence refutes it', async () => {
      const world = make()
      const payout = scripted(world, { name: 'payout', idempotency }, () => accepted('po_1'))
      const { steward } = await world.work({ operations: [payout] })
      await world.got(steward.perform(payout, { key: 'p', input: {}, wait: '1s' }))
      await world.pass(1_000)
      await world.got(steward.refute(payout, 'p', { by: 'webhook evt_2', at: world.time.wallMs, reason: 'account closed' }))
      expect(await world.call(payout, 'p')).toMatchObject({ state: 'rejected', effect: 'did_not_happen' })
      await world.pass(60_000)
      expect(payout.sent).toHaveLength(1)
    })

    it('asks its lookup every pollEvery until the result is there', async () => {
      const world = make()
      const { lookup, asked } = lookups(world, { cannotTell: 'processing' }, { cannotTell: 'processing' }, { found: { paid: true }, reference: 'po_1' })
      const payout = scripted(world, { name: 'payout', idempotency: providerKey({ retention: '1h', lookup }), pollEvery: '5s' }, () => accepted('po_1'))
      const { steward } = await world.work({ operations: [payout] })
      const submitted = await world.got(steward.submit(payout, { key: 'p', input: {} }))
      expect(await world.got(submitted.outcome())).toMatchObject({ state: 'succeeded', result: { paid: true } })
      expect(asked).toHaveLength(3)
      expect(asked[0]?.context.reference).toBe('po_1')
      expect((asked[1]?.at ?? 0) - (asked[0]?.at ?? 0)).toBeGreaterThanOrEqual(3_000)
      expect(payout.sent).toHaveLength(1)
    })

    it('alerts when the result is overdue, and goes on waiting', async () => {
      const world = make()
      const payout = scripted(world, { name: 'payout', idempotency, acceptedOverdue: '10s' }, () => accepted('po_1'))
      const { steward, watched } = await world.work({ operations: [payout] })
      await world.got(steward.perform(payout, { key: 'p', input: {}, wait: '1s' }))
      await world.pass(15_000)
      expect(await world.alerted()).toEqual(['accepted_overdue'])
      const before = watched.count('claim')
      await world.pass(4_000)
      expect(watched.count('claim') - before).toBeLessThan(40)
      expect((await world.call(payout, 'p')).state).toBe('accepted')
    })
  })

  it('lets a late answer of an attempt that was timed out settle the doubt', async () => {
    const world = make()
    const door = gate()
    const wire = scripted(world, { name: 'wire', idempotency: none('a bank file') }, door.step)
    const { steward } = await world.work({ operations: [wire] })
    expect(await world.got(steward.perform(wire, { key: 'o_1', input: {}, wait: '5s' }))).toMatchObject({ state: 'in_doubt' })
    door.release({ id: 'w_1' })
    expect(await world.reaches(wire, 'o_1', 'succeeded')).toMatchObject({ result: { id: 'w_1' } })
    expect((await world.call(wire, 'o_1')).story.at(-1)).toMatchObject({ what: 'late', verdict: 'applied' })
  })
})
