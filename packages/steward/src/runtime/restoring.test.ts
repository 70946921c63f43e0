/** A database that came back as it was before: nobody sends on its word until a person has said what it lost. */
import { describe, expect, it } from 'vitest'
import { accepted, natural, none, providerKey, reconcile } from '../ports/definition.ts'
import { backupOf as backupOfFile } from '../sqlite/backup.fixture.ts'
import { backupOf as backupOfSchema } from '../postgres/backup.fixture.ts'
import { ana, answers, gate, lost, onEachStore, scripted, type Sent, status, type World } from './world.fixture.ts'

/** Copies what the world has stored; what returns sets it back, under its processes. */
async function backup(world: World): Promise<() => Promise<void>> {
  if (world.kind === 'memory') return await Promise.resolve(world.backup())
  if (world.pool) {
    const restore = await backupOfSchema(world.pool, world.schema)
    // The server itself is the one that it was: whoever opens next finds out (postgres/incarnation.test.ts has real recoveries).
    return async () => {
      await restore()
      const store = world.rawStore()
      await store.open({ namespace: 'default', notice: () => undefined })
      await store.close()
    }
  }
  const restore = backupOfFile(world.path)
  return () => Promise.resolve(restore())
}

const isHeld = async (world: World): Promise<boolean> => (await world.got(world.processes[0]!.steward.controls())).some((control) => control.kind === 'store')

onEachStore((make, kind) => {
  describe('a worker that lives on while its database is set back', () => {
    it('sends nothing more, tells somebody, and goes on when a person has said what was lost', async () => {
      const world = make()
      const charge = scripted(world, { idempotency: none('a blind API') }, answers({ ok: true }))
      const { steward, alerts } = await world.work({ operations: [charge] })
      await world.got(steward.submit(charge, { key: 'sent', input: {}, runAt: world.time.wallMs + 5_000 }))
      const lostSince = world.time.wallMs
      const restore = await backup(world)
      await world.reaches(charge, 'sent', 'succeeded')
      await world.got(steward.submit(charge, { key: 'forgotten', input: {} }))
      await world.reaches(charge, 'forgotten', 'succeeded')
      await world.pass(3_000)
      await restore()
      await world.got(steward.submit(charge, { key: 'new', input: {} }))
      await world.pass(20_000)
      expect(charge.sent).toHaveLength(2)
      expect(await isHeld(world)).toBe(true)
      expect(alerts.filter((alert) => alert.kind === 'database_set_back')).toHaveLength(1)
      expect(await world.got(steward.find(charge, 'forgotten'))).toBeNull()

      const dry = await world.got(steward.restored({ ...ana, lostSince, dryRun: true }))
      expect(dry).toMatchObject({ dryRun: true, presumed: { inDoubt: 2, sentAgain: 0, lookedUp: 0, running: 0 } })
      expect(await isHeld(world)).toBe(true)
      const report = await world.got(steward.restored({ ...ana, lostSince }))
      expect(report).toMatchObject({ ...dry, dryRun: false })
      expect(report.inDoubt.map(({ key }) => key)).toEqual(['sent', 'new'])
      expect(await isHeld(world)).toBe(false)
      expect(await world.call(charge, 'sent')).toMatchObject({ state: 'in_doubt', attempts: 1, story: expect.arrayContaining([expect.objectContaining({ what: 'presumed', attempt: 1, lostSinceAt: lostSince, by: ana.by, why: ana.why })]) as unknown })
      await world.got(steward.submit(charge, { key: 'afterwards', input: {} }))
      await world.reaches(charge, 'afterwards', 'succeeded')
      expect(charge.sent).toHaveLength(3)
    })

    it('keeps the answer that comes late for what it sent, and denies nothing by it', async () => {
      const world = make()
      const first = gate()
      const charge = scripted(world, { idempotency: none('a blind API'), timeout: '60s' }, first.step, answers(2))
      const { steward } = await world.work({ operations: [charge] })
      await world.got(steward.submit(charge, { key: 'a', input: {}, runAt: world.time.wallMs + 3_000 }))
      const restore = await backup(world)
      await world.until(() => charge.sent.length === 1)
      await world.pass(2_000)
      await restore()
      await world.pass(10_000)
      expect(await isHeld(world)).toBe(true)
      expect(await world.call(charge, 'a')).toMatchObject({ state: 'waiting', attempts: 0 })
      await world.got(steward.restored({ ...ana, lostSince: world.time.wallMs - 60_000 }))
      expect(await world.call(charge, 'a')).toMatchObject({ state: 'in_doubt' })
      first.release({ id: 'ch_1' })
      expect(await world.reaches(charge, 'a', 'succeeded')).toMatchObject({ result: { id: 'ch_1' } })
      expect(charge.sent).toHaveLength(1)
    })
  })

  describe('a worker whose call the database has forgotten altogether', () => {
    /** Its call was submitted and sent since the backup to which the database has gone back. */
    async function forgotten() {
      const world = make()
      const first = gate()
      const charge = scripted(world, { idempotency: none('a blind API'), timeout: '60s' }, first.step, answers(2))
      const { steward } = await world.work({ operations: [charge] })
      await world.pass(2_000)
      const restore = await backup(world)
      await world.pass(2_000)
      await world.got(steward.submit(charge, { key: 'forgotten', input: {} }))
      await world.until(() => charge.sent.length === 1)
      await world.pass(2_000)
      await restore()
      await world.pass(10_000)
      return { world, first, charge, steward }
    }

    it('keeps the answer that it brings for whoever submits the call again: it is not sent a second time', async () => {
      const { world, first, charge, steward } = await forgotten()
      expect(await isHeld(world)).toBe(true)
      expect(await world.got(steward.find(charge, 'forgotten'))).toBeNull()
      first.release({ id: 'ch_1' })
      await world.pass(1_000)
      await world.got(steward.restored({ ...ana, lostSince: world.time.wallMs - 60_000 }))
      await world.got(steward.submit(charge, { key: 'forgotten', input: {} }))
      expect(await world.reaches(charge, 'forgotten', 'succeeded')).toMatchObject({ result: { id: 'ch_1' } })
      expect(charge.sent).toHaveLength(1)
    })

    it('confirms the call that its caller has submitted again meanwhile', async () => {
      const { world, first, charge, steward } = await forgotten()
      await world.got(steward.submit(charge, { key: 'forgotten', input: {} }))
      first.release({ id: 'ch_1' })
      await world.reaches(charge, 'forgotten', 'succeeded')
      await world.got(steward.restored({ ...ana, lostSince: world.time.wallMs - 60_000 }))
      await world.pass(5_000)
      expect(charge.sent).toHaveLength(1)
    })

    it('ends the wait for its outcome, and says what that leaves', async () => {
      const world = make()
      const charge = scripted(world, { idempotency: none('a blind API'), timeout: '60s' }, gate().step)
      const { steward } = await world.work({ operations: [charge] })
      await world.pass(2_000)
      const restore = await backup(world)
      const submitted = await world.got(steward.submit(charge, { key: 'forgotten', input: {} }))
      const heard = Promise.allSettled([submitted.outcome(), steward.outcome(charge, 'forgotten')])
      await world.until(() => charge.sent.length === 1)
      await restore()
      expect(await world.got(heard)).toMatchObject(Array.from({ length: 2 }, () => ({ status: 'rejected', reason: { code: 'STEWARD_CALL_FORGOTTEN' } })))
    })

    const taken = accepted('ch_1')

    it('tells people, once, of one that the provider took: no fact says yet that it happened', async () => {
      const { world, first, charge, steward } = await forgotten()
      const { alerts, watched } = world.processes[0]!
      let raises = 0
      watched.refuse = (method) => { if (method === 'raise' && raises++ === 0) throw new Error('the connection broke') }
      watched.loseAnswer = (method) => { if (method === 'raise' && raises === 2) throw new Error('the connection broke') }
      first.release(taken)
      await world.pass(10_000)
      expect(raises).toBe(3)
      const told = alerts.filter((alert) => alert.kind === 'accepted_forgotten')
      expect(told).toMatchObject([{ severity: 'page', operation: 'charge', key: 'forgotten', state: null, message: expect.stringContaining('took charge "forgotten" as ch_1') as unknown, next: expect.stringContaining('confirm') as unknown }])
      expect(await world.got(steward.find(charge, 'forgotten'))).toBeNull()
    })

    it('has the call that was submitted again meanwhile wait for the result of what the provider took', async () => {
      const { world, first, charge, steward } = await forgotten()
      await world.got(steward.submit(charge, { key: 'forgotten', input: {} }))
      first.release(taken)
      await world.reaches(charge, 'forgotten', 'accepted')
      expect(await world.alerted()).toContain('accepted_forgotten')
      await world.got(steward.restored({ ...ana, lostSince: world.time.wallMs - 60_000 }))
      await world.pass(5_000)
      expect(await world.call(charge, 'forgotten')).toMatchObject({ state: 'accepted' })
      expect(charge.sent).toHaveLength(1)
    })
  })

  describe('what was waiting when a database was set back', () => {
    it('is sent again under its key, asked about, or in doubt, as its answer allows', async () => {
      const world = make()
      const seen: string[] = []
      const found = { lookup: () => { seen.push('asked'); return Promise.resolve({ found: { id: 'ch_1' } }) } }
      const keyed = scripted(world, { name: 'keyed', idempotency: providerKey({ retention: '24h' }) }, answers(1))
      const forgets = scripted(world, { name: 'forgets', idempotency: providerKey({ retention: '2m', margin: '1s' }) }, answers(1))
      const asked = scripted(world, { name: 'asked', idempotency: reconcile(found.lookup, { settle: '1s' }) }, answers(1))
      const put = scripted(world, { name: 'put', idempotency: natural('a PUT') }, answers(1))
      const blind = scripted(world, { name: 'blind', idempotency: none('a blind API') }, answers(1))
      const all = [keyed, forgets, asked, put, blind]
      const { steward } = await world.open({ operations: all })
      for (const operation of all) {
        await world.got(steward.submit(operation, { key: 'due', input: {} }))
        await world.got(steward.submit(operation, { key: 'later', input: {}, runAt: world.time.wallMs + 60_000 }))
      }
      const lostSince = world.time.wallMs - 300_000
      const report = await world.got(steward.restored({ ...ana, lostSince }))
      expect(report).toMatchObject({ presumed: { sentAgain: 2, lookedUp: 1, inDoubt: 2, running: 0 }, untouched: 5, noticedAt: expect.any(Number) as number })
      steward.start()
      await world.reaches(keyed, 'due', 'succeeded')
      await world.reaches(put, 'due', 'succeeded')
      await world.reaches(asked, 'due', 'succeeded')
      expect([seen.length, asked.sent.length]).toEqual([1, 0])
      expect([await world.call(blind, 'due'), await world.call(forgets, 'due')]).toMatchObject([{ state: 'in_doubt' }, { state: 'in_doubt' }])
      expect(blind.sent.length + forgets.sent.length).toBe(0)
      // The generation's key is the one that may have been sent: nothing else makes the resend safe.
      expect(keyed.sent.map(({ generation, attempt }) => [generation, attempt])).toEqual([[1, 2]])
      for (const operation of all) await world.reaches(operation, 'later', 'succeeded')
    })

    it('neither ends by time nor is cancelled or redriven on the word of the old record, and takes evidence', async () => {
      const world = make()
      const charge = scripted(world, { idempotency: none('a blind API'), giveUpAfter: '30s' }, answers(1))
      const { steward } = await world.work({ operations: [charge] })
      for (const key of ['a', 'b', 'c']) await world.got(steward.submit(charge, { key, input: {}, runAt: world.time.wallMs + 2_000, expiresAt: world.time.wallMs + 30_000 }))
      const lostSince = world.time.wallMs
      const restore = await backup(world)
      await world.reaches(charge, 'c', 'succeeded')
      await world.pass(2_000)
      await restore()
      await world.pass(60_000)
      expect((await world.call(charge, 'a')).state).toBe('waiting')
      for (const action of [(): Promise<unknown> => steward.cancel(charge, 'a', ana), () => steward.retryNow(charge, 'a', ana), () => steward.redrive(charge, 'a', ana), () => steward.settle(charge, 'a', { ...ana, outcome: 'stop' }), () => steward.redriveMany({}, ana)]) {
        await expect(world.got(action())).rejects.toMatchObject({ code: 'STEWARD_STORE_SET_BACK' })
      }
      expect(await world.got(steward.confirm(charge, 'b', { by: "the provider's list", reference: 'ch_2' }))).toMatchObject({ state: 'succeeded' })
      expect(await world.got(steward.settle(charge, 'c', { ...ana, outcome: 'happened' }))).toMatchObject({ state: 'succeeded' })
      expect((await world.got(steward.tell(charge, 'a'))).answers.next).toMatch(/^Nothing, until somebody has said what the database lost when it was set back .*steward restored --lost-since TIME/)
      expect((await world.got(steward.tell(charge, 'a'))).answers.retry).toMatch(/^No/)
      await world.got(steward.restored({ ...ana, lostSince }))
      await world.pass(5_000)
      expect(await world.call(charge, 'a')).toMatchObject({ state: 'in_doubt' })
      expect(charge.sent).toHaveLength(3)
    })
  })

  describe('what denies an attempt while a database is set back', () => {
    /** In doubt when it was copied; told since that it did not happen, sent a second time, and applied. */
    async function sentSince(world: World, charge: ReturnType<typeof scripted>): Promise<void> {
      const { steward } = await world.work({ operations: [charge] })
      await world.got(steward.submit(charge, { key: 'a', input: {} }))
      await world.reaches(charge, 'a', 'in_doubt')
      await world.pass(3_000)
      const restore = await backup(world)
      await world.pass(3_000)
      await world.got(steward.settle(charge, 'a', { ...ana, outcome: 'send_again' }))
      await world.reaches(charge, 'a', 'succeeded')
      await world.pass(3_000)
      await restore()
      await world.pass(10_000)
      expect(await isHeld(world)).toBe(true)
      expect(await world.call(charge, 'a')).toMatchObject({ state: 'in_doubt', attempts: 1 })
    }

    it('is refused: of what the database forgot it says nothing, and it would be sent a third time', async () => {
      const world = make()
      const charge = scripted(world, { idempotency: none('a blind API') }, lost, answers({ id: 'ch_1' }))
      await sentSince(world, charge)
      const { steward } = world.processes[0]!
      await expect(world.got(steward.refute(charge, 'a', { by: 'webhook evt_1', attempt: 1 }))).rejects.toMatchObject({ code: 'STEWARD_STORE_SET_BACK' })
      await world.got(steward.restored({ ...ana, lostSince: world.time.wallMs - 60_000 }))
      expect(await world.got(steward.refute(charge, 'a', { by: 'webhook evt_1', attempt: 1 }))).toMatchObject({ state: 'in_doubt' })
      await world.pass(5_000)
      expect(charge.sent).toHaveLength(2)
    })

    it('is kept back where it is a late answer, until somebody has said what was lost', async () => {
      const world = make()
      const first = gate()
      const charge = scripted(world, { idempotency: none('a blind API'), timeout: '2s' }, first.step, answers({ id: 'ch_1' }))
      await sentSince(world, charge)
      first.fail(Object.assign(new Error('card declined'), { status: 402 }))
      await world.pass(5_000)
      expect(await world.call(charge, 'a')).toMatchObject({ state: 'in_doubt', attempts: 1 })
      await world.got(world.processes[0]!.steward.restored({ ...ana, lostSince: world.time.wallMs - 60_000 }))
      await world.pass(5_000)
      const call = await world.call(charge, 'a')
      expect(call).toMatchObject({ state: 'in_doubt', attempts: 2 })
      expect(call.story.map(({ what }) => what)).toContain('late')
      expect(charge.sent).toHaveLength(2)
    })
  })

  it(`gives nobody the purpose of a call that may have happened since, until somebody has said what was lost (${kind})`, async () => {
    const world = make()
    const charge = scripted(world, { idempotency: none('a blind API') }, status(402), answers(2))
    const { steward } = await world.work({ operations: [charge] })
    await world.got(steward.submit(charge, { key: 'a', input: {} }))
    await world.reaches(charge, 'a', 'rejected')
    await world.pass(3_000)
    const restore = await backup(world)
    await world.pass(3_000)
    const evidence = { by: 'webhook evt_1', reference: 'ch_1' }
    await world.got(steward.confirm(charge, 'a', evidence))
    await world.pass(3_000)
    await restore()
    await world.pass(10_000)
    expect(await isHeld(world)).toBe(true)
    const successor = { key: 'b', input: {}, supersedes: 'a' }
    await expect(world.got(steward.submit(charge, successor))).rejects.toMatchObject({ code: 'STEWARD_SUPERSEDES_REFUSED', message: expect.stringContaining('was set back') as unknown })
    await world.got(steward.confirm(charge, 'a', evidence))
    await world.got(steward.restored({ ...ana, lostSince: world.time.wallMs - 60_000 }))
    await expect(world.got(steward.submit(charge, successor))).rejects.toMatchObject({ code: 'STEWARD_SUPERSEDES_REFUSED' })
    await world.pass(3_000)
    expect(charge.sent).toHaveLength(1)
  })

  describe('what people order after the loss, and may have ordered in the lost time already', () => {
    const found = (): Promise<{ found: object }> => Promise.resolve({ found: { id: 'ch_1' } })
    const kinds = { keyed: providerKey({ retention: '24h' }), looked: providerKey({ retention: '24h', lookup: found }), asked: reconcile(found, { settle: '1s' }), put: natural('a PUT'), blind: none('a blind API') }
    const names = Object.keys(kinds) as (keyof typeof kinds)[]

    /** One call of each answer, brought `before`; what the order then did is lost with the database, and it is given again. */
    async function orderedAgain(world: World, was: 'rejected' | 'due later', order: 'redrive' | 'retryNow') {
      const all = Object.fromEntries(names.map((name) => [name, scripted(world, { name, idempotency: kinds[name], giveUpAfter: '2h' }, ...(was === 'rejected' ? [status(402)] : []), answers({ id: 'ch_1' }))])) as Record<keyof typeof kinds, ReturnType<typeof scripted>>
      const { steward } = await world.work({ operations: Object.values(all) })
      for (const name of names) {
        await world.got(steward.submit(all[name], { key: 'a', input: {}, ...(was === 'due later' ? { runAt: world.time.wallMs + 3_600_000 } : {}) }))
        if (was === 'rejected') await world.reaches(all[name], 'a', 'rejected')
      }
      await world.pass(3_000)
      const restore = await backup(world)
      await world.pass(3_000)
      const lostSince = world.time.wallMs
      for (const name of names) await world.got(steward[order](all[name], 'a', ana))
      for (const name of names) await world.reaches(all[name], 'a', 'succeeded')
      const before = Object.fromEntries(names.map((name) => [name, [...all[name].sent]])) as Record<keyof typeof kinds, Sent[]>
      await world.pass(3_000)
      await restore()
      await world.pass(10_000)
      expect(await world.got(steward.restored({ ...ana, lostSince }))).toMatchObject({ presumed: { sentAgain: 0, lookedUp: 0, inDoubt: 0, running: 0 } })
      for (const name of names) await world.got(steward[order](all[name], 'a', ana))
      const sentSince = (name: keyof typeof kinds): readonly Sent[] => all[name].sent.slice(before[name].length)
      return { all, before, sentSince }
    }

    it.each([['redrive', 'rejected'], ['retryNow', 'due later']] as const)('%s: it is sent again under its key, asked about first, or in doubt, as its answer allows', async (order, was) => {
      const world = make()
      const { all, before, sentSince } = await orderedAgain(world, was, order)
      for (const name of ['keyed', 'put', 'asked', 'looked'] as const) await world.reaches(all[name], 'a', 'succeeded')
      await world.pass(5_000)
      expect([sentSince('asked'), sentSince('looked'), sentSince('blind')]).toEqual([[], [], []])
      expect((await world.call(all.blind, 'a')).state).toBe('in_doubt')
      expect(sentSince('keyed').map(({ idempotencyKey }) => idempotencyKey)).toEqual([before.keyed.at(-1)?.idempotencyKey])
      expect((await world.call(all.blind, 'a')).story.slice(-2)).toMatchObject([{ what: 'action', by: ana.by }, { what: 'presumed' }])
      expect(await world.alerted()).toContain('in_doubt')
    })

    it('is done once it has been looked up, by evidence from after the loss, or as ever where the end came after it', async () => {
      const world = make()
      const asked = scripted(world, { name: 'asked', idempotency: reconcile(() => Promise.resolve({ absent: true as const }), { settle: '1s' }) }, status(402), answers(1))
      const blind = scripted(world, { name: 'blind', idempotency: none('a blind API') }, status(402), status(402), answers(1))
      const { steward } = await world.work({ operations: [asked, blind] })
      for (const operation of [asked, blind]) {
        await world.got(steward.submit(operation, { key: 'a', input: {} }))
        await world.reaches(operation, 'a', 'rejected')
      }
      await world.pass(3_000)
      await world.got(steward.restored({ ...ana, lostSince: world.time.wallMs - 1_000 }))
      await world.pass(3_000)
      await world.got(steward.redrive(asked, 'a', ana))
      await world.reaches(asked, 'a', 'succeeded')
      expect((await world.call(asked, 'a')).story.map(({ what }) => what)).toEqual(['submitted', 'begun', 'closed', 'action', 'presumed', 'looked', 'begun', 'closed'])
      await world.got(steward.refute(blind, 'a', { by: "the provider's list", at: world.time.wallMs }))
      await world.got(steward.redrive(blind, 'a', ana))
      // Refused again, and redriven again: of that nothing was lost.
      await world.until(() => blind.sent.length === 2)
      await world.reaches(blind, 'a', 'rejected')
      await world.got(steward.redrive(blind, 'a', ana))
      await world.reaches(blind, 'a', 'succeeded')
      expect([asked.sent.length, blind.sent.length]).toEqual([2, 3])
    })

    it('leaves as it is what a dry run of many only looks at, and says what would become of it', async () => {
      const world = make()
      const blind = scripted(world, { name: 'blind', idempotency: none('a blind API') }, status(402))
      const { steward } = await world.work({ operations: [blind] })
      await world.got(steward.submit(blind, { key: 'a', input: {} }))
      await world.reaches(blind, 'a', 'rejected')
      await world.got(steward.restored({ ...ana, lostSince: world.time.wallMs - 1_000 }))
      await world.pass(3_000)
      const many = { states: ['rejected'] as const }
      expect(await world.got(steward.redriveMany(many, { ...ana, dryRun: true }))).toMatchObject({ matched: 1, redriven: [{ key: 'a' }], refused: [] })
      expect((await world.call(blind, 'a')).state).toBe('rejected')
      expect(await world.got(steward.redriveMany(many, ana))).toMatchObject({ matched: 1, redriven: [{ key: 'a' }] })
      await world.pass(3_000)
      expect((await world.call(blind, 'a')).state).toBe('in_doubt')
      expect(blind.sent).toHaveLength(1)
    })

    it('gives the purpose of a call that ended before to another key only once evidence from after the loss says that it did not happen', async () => {
      const world = make()
      const charge = scripted(world, { idempotency: none('a blind API') }, status(402), status(402), answers(1))
      const { steward } = await world.work({ operations: [charge] })
      await world.got(steward.submit(charge, { key: 'a', input: {} }))
      await world.reaches(charge, 'a', 'rejected')
      await world.got(steward.restored({ ...ana, lostSince: world.time.wallMs - 1_000 }))
      await world.pass(3_000)
      const told = async () => (await world.got(steward.tell(charge, 'a'))).answers
      expect(await told()).toMatchObject({ happened: expect.stringMatching(/^Possibly: the database has lost .* On its record: No\./) as unknown, retry: expect.stringContaining('in doubt then, until you settle it') as unknown })
      const successor = { key: 'b', input: {}, supersedes: 'a' }
      await expect(world.got(steward.submit(charge, successor))).rejects.toMatchObject({ code: 'STEWARD_SUPERSEDES_REFUSED', message: expect.stringContaining('lost commits') as unknown })
      expect(await world.got(steward.find(charge, 'b'))).toBeNull()
      await world.got(steward.refute(charge, 'a', { by: "the provider's list", at: world.time.wallMs }))
      expect((await told()).happened).toMatch(/^No\. Its one attempt certainly did not take effect/)
      await world.got(steward.submit(charge, successor))
      await world.reaches(charge, 'b', 'rejected')
      // What ended since then is on record.
      await world.got(steward.submit(charge, { key: 'c', input: {}, supersedes: 'b' }))
      await world.reaches(charge, 'c', 'succeeded')
      expect(charge.sent).toHaveLength(3)
    })
  })

  describe('a person who says what was lost', () => {
    it('is believed once for each call, however often it is said', async () => {
      const world = make()
      const charge = scripted(world, { idempotency: none('a blind API') }, lost)
      const { steward, watched } = await world.open({ operations: [charge] })
      for (const key of ['a', 'b']) await world.got(steward.submit(charge, { key, input: {} }))
      // Breaks off before the hold is lifted: everything stays held, and saying it again goes on.
      let writes = 0
      watched.refuse = (method, args) => { if (method === 'control' && 'restored' in (args[0] as object) && writes++ === 0) throw new Error('the connection broke') }
      const lostSince = world.time.wallMs
      await expect(world.got(steward.restored({ ...ana, lostSince }))).rejects.toThrow('the connection broke')
      expect(await isHeld(world)).toBe(true)
      await world.pass(1_000)
      const again = await world.got(steward.restored({ ...ana, lostSince }))
      expect(again).toMatchObject({ presumed: { inDoubt: 0 }, untouched: 2 })
      expect((await world.call(charge, 'a')).attempts).toBe(1)
      expect(await isHeld(world)).toBe(false)
    })

    it('is refused without an instant that lies behind, and from where an open operation is not known', async () => {
      const world = make()
      const charge = scripted(world, { idempotency: natural('a PUT') }, answers(1))
      const { steward } = await world.open({ operations: [charge] })
      await world.got(steward.submit(charge, { key: 'a', input: {} }))
      await expect(world.got(steward.restored({ ...ana, lostSince: world.time.wallMs + 60_000 }))).rejects.toMatchObject({ code: 'STEWARD_OPTION_INVALID' })
      await expect(world.got(steward.restored({ ...ana, lostSince: new Date('nonsense') }))).rejects.toMatchObject({ code: 'STEWARD_OPTION_INVALID' })
      await expect(world.got(steward.restored({ by: 'ana', lostSince: world.time.wallMs } as never))).rejects.toMatchObject({ code: 'STEWARD_REASON_MISSING' })
      const other = await world.open()
      await expect(world.got(other.steward.restored({ ...ana, lostSince: world.time.wallMs }))).rejects.toMatchObject({ code: 'STEWARD_OPERATION_UNKNOWN', details: { operations: ['charge'] } })
      expect(await isHeld(world)).toBe(false)
      // While it is held nothing is sent: what was lost was lost before, and a later instant would make a provider's memory of it seem longer.
      const pause = { kind: 'store', name: 'everything', mode: 'pause', untilAt: null, by: 'the store', why: 'a backup', at: world.time.wallMs } as const
      await world.got(world.processes[0]!.watched.store.control({ set: pause }, []))
      await world.pass(60_000)
      await expect(world.got(steward.restored({ ...ana, lostSince: world.time.wallMs - 30_000 }))).rejects.toMatchObject({ code: 'STEWARD_OPTION_INVALID' })
      expect(await isHeld(world)).toBe(true)
      expect(await world.got(steward.restored({ ...ana, lostSince: pause.at }))).toMatchObject({ untouched: 0 })
    })
  })

  it(`looks up what is submitted afterwards before it is first sent, for a while, where the provider can be asked (${kind})`, async () => {
    const world = make()
    const known = new Map([['forgotten', { id: 'ch_1' }]])
    const lookup = (input: { order: string }): Promise<{ found: object } | { absent: true }> => Promise.resolve(known.has(input.order) ? { found: known.get(input.order)! } : { absent: true })
    const charge = scripted(world, { idempotency: reconcile(lookup, { settle: '1s' }) }, answers({ id: 'ch_2' }))
    const blind = scripted(world, { name: 'blind', idempotency: none('a blind API') }, answers(1))
    const { steward } = await world.work({ operations: [charge, blind] })
    await world.got(steward.restored({ ...ana, lostSince: world.time.wallMs - 10_000, lookFirstFor: '30s' }))
    await world.pass(5_000)
    const outcome = await world.got(steward.perform(charge, { key: 'forgotten', input: { order: 'forgotten' }, wait: '10s' }))
    expect(outcome).toMatchObject({ effect: 'happened', result: { id: 'ch_1' } })
    expect(charge.sent).toEqual([])
    expect(await world.got(steward.perform(charge, { key: 'new', input: { order: 'new' }, wait: '10s' }))).toMatchObject({ effect: 'happened', result: { id: 'ch_2' } })
    // Nothing could be found out: new calls are sent as ever.
    expect(await world.got(steward.perform(blind, { key: 'b', input: {}, wait: '10s' }))).toMatchObject({ effect: 'happened' })
    await world.pass(30_000)
    await world.got(steward.perform(charge, { key: 'much later', input: { order: 'much later' }, wait: '10s' }))
    expect((await world.call(charge, 'much later')).story.map(({ what }) => what)).toEqual(['submitted', 'begun', 'closed'])
    expect(charge.sent).toHaveLength(2)
  })
})
