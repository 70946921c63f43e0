/** Compare-and-set: every guard of a write, what it answers when it fails, and where rows go. */
import assert from 'node:assert/strict'
import type { Control, ControlWrite } from '../../ports/store.ts'
import { alert, begun, type Case, changed, claimOf, ended, enlist, OPERATION, put, running, START, write } from './world.ts'

const hold = (untilAt: number, more: Partial<Control> = {}): ControlWrite => ({ set: { kind: 'provider', name: 'stripe', mode: 'hold', untilAt, by: 'steward', why: 'Retry-After', at: START, ...more } })

export const writeCases: readonly Case[] = [
  { name: 'writes only on the rev the decision was made on', run: async (world) => {
    const store = await world.open()
    const call = world.call()
    await put(store, call)
    const first = changed(call, { reason: 'first' })
    assert.deepEqual(await write(store, first), { ok: true })
    assert.deepEqual(await write(store, changed(call, { reason: 'second' })), { ok: false, why: 'rev', call: first.call })
    assert.deepEqual(await store.get(call.id), first.call)
  } },
  { name: 'takes several joined decisions as one write', run: async (world) => {
    const store = await world.open()
    const call = world.call()
    await put(store, call)
    assert.deepEqual(await write(store, changed(call, { rev: 3, version: 2, reason: 'upgraded and more' })), { ok: true })
    assert.equal((await store.get(call.id))?.rev, 3)
    assert.deepEqual((await store.backlog()).map(({ version, open }) => ({ version, open })), [{ version: 2, open: 1 }])
  } },
  { name: 'answers a write of a call that is not there', run: async (world) => {
    const store = await world.open()
    assert.deepEqual(await write(store, changed(world.call(), {})), { ok: false, why: 'rev', call: null })
    assert.deepEqual(await write(store, changed(world.call(), {}, { lease: { worker: 'w', epoch: 1 } })), { ok: false, why: 'lease', call: null })
  } },
  { name: 'keeps the writes of a batch independent, in order', run: async (world) => {
    const store = await world.open()
    const [one, two] = [world.call(), world.call()]
    await put(store, one, two)
    const first = changed(one, { reason: 'first' })
    const results = await store.write([first, changed(one, { reason: 'stale' }), changed(first.call, { reason: 'second' }), changed(two, { reason: 'other' })])
    assert.deepEqual(results.map((result) => result.ok), [true, false, true, true])
    assert.equal((await store.get(one.id))?.reason, 'second')
    assert.equal((await store.get(two.id))?.reason, 'other')
  } },
  { name: 'begins only under the lease that claimed it', run: async (world) => {
    const store = await world.open()
    const [mine, other] = [await enlist(store, 'w1'), await enlist(store, 'w2')]
    const call = world.call()
    await put(store, call)
    assert.deepEqual(await write(store, begun(call, mine)), { ok: false, why: 'lease', call })
    await claimOf(store, mine)
    assert.deepEqual(await write(store, begun(call, other)), { ok: false, why: 'lease', call })
    assert.deepEqual(await write(store, begun(call, { worker: 'w1', epoch: 2 })), { ok: false, why: 'lease', call })
    assert.deepEqual(await write(store, begun(call, mine)), { ok: true })
  } },
  { name: 'writes under a lease only on the rev the decision was made on', run: async (world) => {
    const store = await world.open()
    const lease = await enlist(store, 'w1')
    const call = world.call()
    await put(store, call)
    await claimOf(store, lease)
    const cancelled = changed(call, { stop: { kind: 'cancel', at: START, by: 'ana', why: 'wrong' } })
    assert.deepEqual(await write(store, cancelled), { ok: true })
    assert.deepEqual(await write(store, begun(call, lease)), { ok: false, why: 'rev', call: cancelled.call })
    assert.deepEqual(await write(store, begun(call, lease, { leaseAfter: 'release' })), { ok: false, why: 'rev', call: cancelled.call })
    assert.deepEqual(await store.get(call.id), cancelled.call)
  } },
  { name: 'begins only under the controls the worker has seen', run: async (world) => {
    const store = await world.open()
    const lease = await enlist(store, 'w1')
    const call = world.call()
    await put(store, call)
    await claimOf(store, lease)
    await store.control(hold(START + 10), [])
    assert.deepEqual(await write(store, begun(call, lease, { controlsRev: 0 })), { ok: false, why: 'controls', call })
    assert.deepEqual(await write(store, begun(call, lease, { controlsRev: 1 })), { ok: true })
  } },
  { name: 'lets a hold set by one write stop a begin later in the same batch', run: async (world) => {
    const store = await world.open()
    const lease = await enlist(store, 'w1')
    const first = await running(world, store, lease)
    const second = world.call()
    await put(store, second)
    await claimOf(store, lease)
    const results = await store.write([changed(first, { state: 'waiting', dueAt: START + 9, open: [], effect: 'did_not_happen' }, { lease, leaseAfter: 'release', controls: [hold(START + 9)] }), begun(second, lease, { controlsRev: 0 })])
    assert.deepEqual(results, [{ ok: true }, { ok: false, why: 'controls', call: second }])
  } },
  { name: 'stores nothing of a refused write: no alert, no control, no mark', run: async (world) => {
    const store = await world.open()
    const call = world.call()
    await put(store, call)
    await write(store, changed(call, {}, { expectRev: 7, alerts: [alert('a1')], controls: [hold(START + 10)], settleDueAt: START }))
    assert.deepEqual(await store.alerts({ undeliveredOnly: false, limit: 10 }), [])
    assert.deepEqual(await store.controls(), { rev: 0, all: [], restored: null })
    assert.deepEqual(await store.settlesDue(START, 10), [])
  } },
  { name: 'keeps or gives back the lease as the write says', run: async (world) => {
    const store = await world.open()
    const lease = await enlist(store, 'w1')
    const call = await running(world, store, lease)
    const waiting = changed(call, { state: 'waiting', effect: 'did_not_happen', dueAt: START, open: [] }, { lease, leaseAfter: 'keep' })
    await write(store, waiting)
    assert.deepEqual(await claimOf(store, lease), [])
    await write(store, changed(waiting.call, {}, { lease, leaseAfter: 'release' }))
    assert.equal((await claimOf(store, lease)).length, 1)
  } },
  { name: 'leaves the lease alone when somebody else writes by rev', run: async (world) => {
    const store = await world.open()
    const lease = await enlist(store, 'w1')
    const call = await running(world, store, lease)
    const noted = changed(call, { reason: 'noted by a person' })
    assert.deepEqual(await write(store, noted), { ok: true })
    assert.deepEqual(await write(store, ended(call, 'succeeded', { lease })), { ok: false, why: 'rev', call: noted.call })
    assert.deepEqual(await write(store, ended(noted.call, 'succeeded', { lease, leaseAfter: 'release' })), { ok: true })
  } },
  { name: 'moves a call to its end, corrects it there, and back when it is redriven', run: async (world) => {
    const store = await world.open()
    const lease = await enlist(store, 'w1')
    const call = await running(world, store, lease, { group: 'tenant', version: 1 })
    const end = ended(call, 'rejected', { lease, leaseAfter: 'release' })
    assert.deepEqual(await write(store, end), { ok: true })
    assert.deepEqual(await store.backlog(), [])
    assert.deepEqual(await write(store, changed(end.call, {}, { lease })), { ok: false, why: 'lease', call: end.call })
    const noted = changed(end.call, { supersededBy: null, reason: 'noted' })
    assert.deepEqual(await write(store, noted), { ok: true })
    const again = changed(noted.call, { state: 'waiting', generation: 2, endedAt: null, dueAt: START, facts: [] })
    assert.deepEqual(await write(store, again), { ok: true })
    assert.deepEqual(await store.get(call.id), again.call)
    assert.deepEqual((await store.backlog()).map((lane) => lane.open), [1])
    assert.deepEqual(await claimOf(store, lease), [again.call])
    assert.deepEqual(await write(store, ended(again.call, 'succeeded')), { ok: true })
    assert.deepEqual(await store.find(OPERATION, call.key), ended(again.call, 'succeeded').call)
  } },
  { name: 'records an alert exactly once by its id, whoever raises it', run: async (world) => {
    const store = await world.open()
    const call = world.call()
    await put(store, call)
    await write(store, changed(call, {}, { alerts: [alert('a1', START + 1), alert('a1', START + 2)] }))
    await store.raise([alert('a1', START + 3), alert('a2', START + 4)])
    assert.deepEqual(await store.alerts({ undeliveredOnly: true, limit: 10 }), [{ ...alert('a1', START + 1), deliveredAt: null }, { ...alert('a2', START + 4), deliveredAt: null }])
    await store.alertsDelivered(['a1'], START + 5)
    await store.alertsDelivered(['a1', 'a9'], START + 6)
    await store.raise([alert('a1', START + 7)])
    assert.deepEqual((await store.alerts({ undeliveredOnly: true, limit: 10 })).map((one) => one.id), ['a2'])
    assert.deepEqual((await store.alerts({ undeliveredOnly: false, limit: 10 })).map((one) => [one.id, one.deliveredAt]), [['a2', null], ['a1', START + 5]])
    assert.equal((await store.alerts({ undeliveredOnly: false, limit: 1 })).length, 1)
  } },
  { name: 'only lengthens holds, and keeps the longest behind a pause until that is lifted', run: async (world) => {
    const store = await world.open()
    await store.control(hold(START + 10), [])
    await store.control(hold(START + 5, { why: 'shorter' }), [])
    assert.deepEqual(await store.controls(), { rev: 1, all: [(hold(START + 10) as { set: Control }).set], restored: null })
    await store.control(hold(START + 20, { why: 'longer' }), [])
    assert.deepEqual((await store.controls()).all.map((one) => [one.untilAt, one.why]), [[START + 20, 'longer']])
    await store.control(hold(0, { mode: 'pause', untilAt: null, by: 'ana' }), [alert('paused')])
    await store.control(hold(START + 99, { why: 'longest' }), [])
    await store.control(hold(START + 50), [])
    const paused = await store.controls()
    assert.deepEqual([paused.rev, paused.all.map((one) => one.mode)], [3, ['pause']])
    const lift: ControlWrite = { lift: { kind: 'provider', name: 'stripe' }, by: 'ana', why: 'mended', at: START }
    await store.control(lift, [])
    assert.deepEqual(await store.controls(), { rev: 4, all: [(hold(START + 99, { why: 'longest' }) as { set: Control }).set], restored: null })
    await store.control(lift, [])
    await store.control(lift, [])
    assert.deepEqual(await store.controls(), { rev: 5, all: [], restored: null })
    assert.equal((await store.alerts({ undeliveredOnly: true, limit: 10 })).length, 1)
  } },
  { name: 'keeps the mark of an end until the application was told', run: async (world) => {
    const store = await world.open()
    const [one, two] = [world.call(), world.call()]
    await put(store, one, two)
    const end = ended(one, 'succeeded', { settleDueAt: START + 2 })
    await write(store, end)
    await write(store, ended(two, 'succeeded', { settleDueAt: START + 1 }))
    assert.deepEqual((await store.settlesDue(START + 5, 10)).map((due) => due.call.id), [two.id, one.id])
    assert.deepEqual((await store.settlesDue(START + 1, 10)).map((due) => due.call.id), [two.id])
    await store.settleTold(two.id, null, 1)
    await store.settleTold(one.id, START + 50, 1)
    assert.deepEqual(await store.settlesDue(START + 49, 10), [])
    assert.deepEqual(await store.settlesDue(START + 50, 10), [{ call: end.call, dueAt: START + 50, tries: 1 }])
    // Somebody else told the application meanwhile: there is no mark to move.
    await store.settleTold(two.id, START + 50, 2)
    assert.deepEqual((await store.settlesDue(START + 50, 10)).map((due) => due.call.id), [one.id])
  } },
  { name: 'runs the settling handler only when the guards hold, and clears the mark when it ends well', run: async (world) => {
    const store = await world.open()
    const lease = await enlist(store, 'w1')
    const call = await running(world, store, lease)
    let ran = 0
    const refused = await store.writeSettling(ended(call, 'succeeded', { lease: { worker: 'w9', epoch: 1 }, settleDueAt: START }), async () => void (ran += 1))
    assert.deepEqual([refused, ran], [{ result: { ok: false, why: 'lease', call } }, 0])
    const end = ended(call, 'succeeded', { lease, leaseAfter: 'release', settleDueAt: START })
    assert.deepEqual(await store.writeSettling(end, async () => void (ran += 1)), { result: { ok: true } })
    assert.deepEqual([ran, await store.get(call.id), await store.settlesDue(START, 10)], [1, end.call, []])
  } },
  { name: 'records the end although the settling handler throws, and keeps the mark', run: async (world) => {
    const store = await world.open()
    const call = world.call()
    await put(store, call)
    const end = ended(call, 'succeeded', { settleDueAt: START })
    const boom = new Error('boom')
    assert.deepEqual(await store.writeSettling(end, () => Promise.reject(boom)), { result: { ok: true }, handler: boom })
    assert.deepEqual(await store.settlesDue(START, 10), [{ call: end.call, dueAt: START, tries: 0 }])
  } },
  { name: 'stores nothing of a write that is only true when handled and was not, and all of it when it was', run: async (world) => {
    const store = await world.open()
    const call = world.call()
    await put(store, call)
    const end = ended(call, 'succeeded', { settleDueAt: START })
    await write(store, end)
    const told = changed(end.call, { reason: 'the application was told' }, { settleDueAt: START + 9, onlyIfHandled: true, alerts: [alert('a1')], controls: [hold(START + 10)] })
    const boom = new Error('boom')
    assert.deepEqual(await store.writeSettling(told, () => Promise.reject(boom)), { result: { ok: true }, handler: boom })
    assert.deepEqual([await store.get(call.id), await store.settlesDue(START, 10)], [end.call, [{ call: end.call, dueAt: START, tries: 0 }]])
    assert.deepEqual([await store.alerts({ undeliveredOnly: false, limit: 10 }), await store.controls()], [[], { rev: 0, all: [], restored: null }])
    assert.deepEqual(await store.writeSettling({ ...told, expectRev: 0 }, () => Promise.reject(boom)), { result: { ok: false, why: 'rev', call: end.call } })
    assert.deepEqual(await store.writeSettling(told, () => Promise.resolve()), { result: { ok: true } })
    assert.deepEqual([await store.get(call.id), await store.settlesDue(START + 9, 10)], [told.call, []])
    assert.equal((await store.alerts({ undeliveredOnly: false, limit: 10 })).length, 1)
  } },
  { name: 'tells only of calls that are at an end, and forgets the mark of one that is redriven', run: async (world) => {
    const store = await world.open()
    const call = world.call()
    await put(store, call)
    const end = ended(call, 'rejected', { settleDueAt: START })
    await write(store, end)
    const again = changed(end.call, { state: 'waiting', generation: 2, endedAt: null, dueAt: START, facts: [] })
    await write(store, again)
    assert.deepEqual(await store.settlesDue(START + 99, 10), [])
    const over = ended(again.call, 'succeeded', {}, START + 5)
    await write(store, over)
    assert.deepEqual(await store.settlesDue(START + 99, 10), [])
    const open = world.call()
    await store.insert([{ kind: 'insert', call: open, factsSeen: 0, settleDueAt: START }])
    assert.deepEqual(await store.settlesDue(START + 99, 10), [])
  } },
]
