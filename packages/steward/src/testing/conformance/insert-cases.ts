/** One key, one effect: what inserts store, and what they answer when they do not. */
import assert from 'node:assert/strict'
import type { EarlyFact } from '../../ports/store.ts'
import { alert, begun, type Case, changed, claimOf, ended, enlist, inserting, OPERATION, put, running, START, write } from './world.ts'

const fact: EarlyFact = { fact: { kind: 'applied', at: START, by: 'webhook evt_1', reference: 'ch_1' }, result: '{"id":"ch_1"}' }

export const insertCases: readonly Case[] = [
  { name: 'gives back every field of a record as it was stored', run: async (world) => {
    const store = await world.open()
    const call = world.call({
      version: 3, group: 'tenant "1"', place: 7, priority: -5, expiresAt: START + 5, keySpent: true, tries: 2, lapses: 1, attempts: 4, generation: 2, firstBegunAt: START, effect: 'unknown',
      open: [{ n: 4, generation: 2, worker: 'w', begunAt: START, deadlineAt: START + 1, closedAt: START + 1, verdict: 'unknown', reason: 'reset' }], facts: [{ kind: 'refuted', at: START, by: 'ana' }],
      stop: { kind: 'cancel', at: START, by: 'ana', why: 'wrong' }, lookup: { since: START, asked: 1, absences: 0, spent: false }, lastVerdict: 'unknown', given: '{"a":"ü\\u0000\\"🙂"}', input: '{"a":1}', supersedes: 'o_0', encryptionKeyId: 'k1', reason: 'naïve ☂',
    })
    await put(store, call)
    assert.deepEqual(await store.get(call.id), call)
    assert.deepEqual(await store.find(call.operation, call.key), call)
    assert.deepEqual(await store.getMany([call.id, 'c_none']), [call])
  } },
  { name: 'keeps fields that this version does not know', run: async (world) => {
    const store = await world.open()
    const call = { ...world.call(), fromTheFuture: { x: [1] } }
    await put(store, call)
    assert.deepEqual(await store.get(call.id), call)
  } },
  { name: 'joins the open call of the same key, also within one batch', run: async (world) => {
    const store = await world.open()
    const first = world.call({ key: 'same' })
    const second = world.call({ key: 'same', given: '{"amount":4300}' })
    const results = await store.insert([inserting(first), inserting(second)])
    assert.deepEqual(results, [{ ok: true }, { ok: false, why: 'joined', call: first }])
    assert.equal(await store.get(second.id), null)
    assert.equal((await store.list({ limit: 10 })).length, 1)
  } },
  { name: 'keeps the same key of two operations apart', run: async (world) => {
    const store = await world.open()
    await put(store, world.call({ key: 'same' }), world.call({ key: 'same', operation: 'refund-order' }))
    assert.equal((await store.list({ limit: 10 })).length, 2)
  } },
  { name: 'answers a repeated insert of unknown outcome with the call it stored', run: async (world) => {
    const store = await world.open()
    const call = world.call()
    await put(store, call)
    assert.deepEqual(await store.insert([inserting(call)]), [{ ok: false, why: 'joined', call }])
  } },
  { name: 'joins the call of the same key after its end', run: async (world) => {
    const store = await world.open()
    const call = world.call({ key: 'same' })
    await put(store, call)
    const end = ended(call)
    await write(store, end)
    assert.deepEqual(await store.insert([inserting(world.call({ key: 'same' }))]), [{ ok: false, why: 'joined', call: end.call }])
  } },
  { name: 'lets one win when the same key is inserted through two openings at once', run: async (world) => {
    const [one, two] = [await world.open(), await world.open()]
    const results = (await Promise.all([one, two, one, two].map((store) => store.insert([inserting(world.call({ key: 'same' }))])))).flat()
    assert.equal(results.filter((result) => result.ok).length, 1)
    const ids = new Set(results.flatMap((result) => (!result.ok && result.why === 'joined' ? [result.call.id] : [])))
    assert.equal(ids.size, 1)
  } },
  { name: 'inserts a call at its end without an open row', run: async (world) => {
    const store = await world.open()
    const end = ended(world.call()).call
    await put(store, end)
    assert.deepEqual(await store.get(end.id), end)
    assert.deepEqual(await store.backlog(), [])
    assert.deepEqual(await store.settlesDue(START, 10), [])
  } },
  { name: 'inserts leased to a living worker, which alone may begin it', run: async (world) => {
    const store = await world.open()
    const [lease, other] = [await enlist(store, 'w1'), await enlist(store, 'w2')]
    const call = world.call()
    assert.deepEqual(await store.insert([inserting(call, { lease, controlsRev: 0 })]), [{ ok: true }])
    assert.deepEqual(await claimOf(store, other), [])
    assert.deepEqual(await write(store, begun(call, other)), { ok: false, why: 'lease', call })
    assert.deepEqual(await write(store, begun(call, lease)), { ok: true })
  } },
  { name: 'stores nothing for a fenced worker', run: async (world) => {
    const store = await world.open()
    const lease = await enlist(store, 'w1')
    await store.fenceDead(START + 60_000, null)
    const call = world.call()
    assert.deepEqual(await store.insert([inserting(call, { lease })]), [{ ok: false, why: 'lease' }])
    assert.equal(await store.find(OPERATION, call.key), null)
    await put(store, call)
  } },
  { name: 'stores nothing when a pause was set that the inserter has not seen', run: async (world) => {
    const store = await world.open()
    const lease = await enlist(store, 'w1')
    await store.control({ set: { kind: 'operation', name: OPERATION, mode: 'pause', untilAt: null, by: 'ana', why: 'broken', at: START } }, [])
    const call = world.call()
    assert.deepEqual(await store.insert([inserting(call, { lease, controlsRev: 0 })]), [{ ok: false, why: 'controls' }])
    assert.equal(await store.get(call.id), null)
  } },
  { name: 'joins before it judges lease and controls', run: async (world) => {
    const store = await world.open()
    const call = world.call({ key: 'same' })
    await put(store, call)
    assert.deepEqual(await store.insert([inserting(world.call({ key: 'same' }), { lease: { worker: 'nobody', epoch: 1 }, controlsRev: 99 })]), [{ ok: false, why: 'joined', call }])
  } },
  { name: 'keeps a fact that comes before its call, once, and hands it to the insert', run: async (world) => {
    const store = await world.open()
    const call = world.call()
    assert.deepEqual(await store.keepEarlyFact(OPERATION, call.key, fact), { kept: true })
    assert.deepEqual(await store.keepEarlyFact(OPERATION, call.key, fact), { kept: true })
    assert.deepEqual(await store.insert([inserting(call)]), [{ ok: false, why: 'facts', facts: [fact] }])
    assert.equal(await store.get(call.id), null)
    assert.deepEqual(await store.insert([inserting(call, { factsSeen: 1 })]), [{ ok: true }])
    assert.deepEqual(await store.keepEarlyFact(OPERATION, call.key, fact), { kept: false, call })
  } },
  { name: 'notices a fact that came between reading and inserting', run: async (world) => {
    const store = await world.open()
    const call = world.call()
    const later: EarlyFact = { fact: { ...fact.fact, by: 'webhook evt_2' }, result: null }
    await store.keepEarlyFact(OPERATION, call.key, fact)
    await store.keepEarlyFact(OPERATION, call.key, later)
    assert.deepEqual(await store.insert([inserting(call, { factsSeen: 1 })]), [{ ok: false, why: 'facts', facts: [fact, later] }])
    await put(store, world.call())
  } },
  { name: 'keeps a fact once however often it is repeated: the later time of a refutation, the first of a confirmation', run: async (world) => {
    const store = await world.open()
    const call = world.call()
    const base = fact.fact
    const confirmed = (at: number, result: string | null, more: object = {}): EarlyFact => ({ fact: { ...base, kind: 'applied', at, ...more }, result })
    const refuted = (at: number): EarlyFact => ({ fact: { kind: 'refuted', at, by: 'webhook evt_3', attempt: 1 }, result: null })
    for (let n = 0; n <= 100; n += 1) {
      assert.deepEqual(await store.keepEarlyFact(OPERATION, call.key, confirmed(START + n, n === 0 ? null : `cipher ${n}`)), { kept: true })
    }
    for (const at of [5, 9, 7]) await store.keepEarlyFact(OPERATION, call.key, refuted(START + at))
    await store.keepEarlyFact(OPERATION, call.key, confirmed(START, null, { reference: 'ch_other' }))
    const facts = [confirmed(START, 'cipher 1'), refuted(START + 9), confirmed(START, null, { reference: 'ch_other' })]
    assert.deepEqual(await store.insert([inserting(call)]), [{ ok: false, why: 'facts', facts }])
  } },
  { name: 'refuses a hundred and first fact of a key, but never the first word that it happened', run: async (world) => {
    const store = await world.open()
    const call = world.call()
    const told = (kind: 'applied' | 'refuted', n: number): EarlyFact => ({ fact: { kind, at: START, by: `webhook evt_${n}` }, result: null })
    for (let n = 0; n < 100; n += 1) await store.keepEarlyFact(OPERATION, call.key, told('refuted', n))
    await assert.rejects(store.keepEarlyFact(OPERATION, call.key, told('refuted', 100)), { code: 'STEWARD_FACT_INVALID' })
    assert.deepEqual(await store.keepEarlyFact(OPERATION, call.key, told('applied', 101)), { kept: true })
    await assert.rejects(store.keepEarlyFact(OPERATION, call.key, told('applied', 102)), { code: 'STEWARD_FACT_INVALID' })
    const [result] = await store.insert([inserting(call)])
    assert.equal(result?.ok === false && result.why === 'facts' && result.facts.length, 101)
  } },
  { name: 'refuses a fact of a pruned key, and says how its call ended', run: async (world) => {
    const store = await world.open()
    const call = world.call()
    await put(store, call)
    await write(store, ended(call, 'rejected', {}, START + 1))
    await store.prune(START + 9, 10, () => ({}))
    const refusal = { code: 'STEWARD_CALL_NOT_FOUND', details: { operation: OPERATION, key: call.key, id: call.id, state: 'rejected' } }
    await assert.rejects(store.keepEarlyFact(OPERATION, call.key, fact), refusal)
    const [again] = await store.insert([inserting(world.call({ key: call.key }))])
    assert(again?.ok === false && again.why === 'pruned')
  } },
  { name: 'replaces a call and inserts its successor in one transaction', run: async (world) => {
    const store = await world.open()
    const old = world.call()
    await put(store, old)
    const rejected = ended(old, 'rejected')
    await write(store, rejected)
    const next = world.call({ supersedes: old.key })
    const supersedes = { call: { ...rejected.call, rev: 2, supersededBy: next.key }, expectRev: 1 }
    assert.deepEqual(await store.insert([inserting(next, { supersedes })]), [{ ok: true }])
    assert.equal((await store.get(old.id))?.supersededBy, next.key)
    assert.deepEqual(await store.get(next.id), next)
  } },
  { name: 'stores neither when the replaced call has changed', run: async (world) => {
    const store = await world.open()
    const old = world.call()
    await put(store, old)
    const rejected = ended(old, 'rejected')
    await write(store, rejected)
    const corrected = changed(rejected.call, { state: 'succeeded', effect: 'happened', facts: [{ kind: 'applied', at: START, by: 'webhook' }] })
    await write(store, corrected)
    const next = world.call()
    const results = await store.insert([inserting(next, { supersedes: { call: { ...rejected.call, rev: 2, supersededBy: next.key }, expectRev: 1 } }), inserting(world.call({ key: 'bystander' }))])
    assert.deepEqual(results, [{ ok: false, why: 'superseded-changed', call: corrected.call }, { ok: true }])
    assert.equal(await store.find(OPERATION, next.key), null)
    assert.deepEqual(await store.get(old.id), corrected.call)
    await put(store, next)
  } },
  { name: 'keeps alerts and the settle mark of an insert, and neither of a joined one', run: async (world) => {
    const store = await world.open()
    const end = ended(world.call({ key: 'same' })).call
    await store.insert([inserting(end, { alerts: [alert('a1')], settleDueAt: START }), inserting(world.call({ key: 'same' }), { alerts: [alert('a2')], settleDueAt: START })])
    assert.deepEqual((await store.alerts({ undeliveredOnly: false, limit: 10 })).map((one) => one.id), ['a1'])
    assert.deepEqual(await store.settlesDue(START, 10), [{ call: end, dueAt: START, tries: 0 }])
  } },
  { name: 'remembers keys, end states and digests of pruned calls for ever', run: async (world) => {
    const store = await world.open()
    const lease = await enlist(store, 'w1')
    const [old, recent, open] = [await running(world, store, lease), await running(world, store, lease), world.call()]
    await put(store, open)
    await write(store, ended(old, 'succeeded', { lease }, START + 1))
    await write(store, ended(recent, 'rejected', { lease }, START + 5_000))
    assert.equal(await store.prune(START + 2, 10, (call) => ({ amount: `digest of ${call.key}` })), 1)
    assert.equal(await store.get(old.id), null)
    assert.equal(await store.find(OPERATION, old.key), null)
    const [again] = await store.insert([inserting(world.call({ key: old.key }))])
    assert.deepEqual(again, { ok: false, why: 'pruned', id: old.id, state: 'succeeded', digests: { amount: `digest of ${old.key}` } })
    assert.equal((await store.get(recent.id))?.state, 'rejected')
    assert.equal((await store.list({ limit: 10 })).length, 2)
  } },
  { name: 'prunes no call whose end the application has not been told', run: async (world) => {
    const store = await world.open()
    const call = world.call()
    await put(store, call)
    await write(store, ended(call, 'succeeded', { settleDueAt: START }))
    assert.equal(await store.prune(START + 1e6, 10, () => ({})), 0)
    await store.settleTold(call.id, null, 1)
    assert.equal(await store.prune(START + 1e6, 10, () => ({})), 1)
  } },
]
