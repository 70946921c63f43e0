/** Claims, leases, fencing, and what becomes of a lost worker's calls. */
import assert from 'node:assert/strict'
import { alert, beat, begun, type Case, changed, claimOf, ended, enlist, OPERATION, pulse, put, running, START, write } from './world.ts'

const ids = (calls: readonly { readonly id: string }[]): string[] => calls.map((call) => call.id)

export const workerCases: readonly Case[] = [
  { name: 'claims by priority, then due time, then order of creation', run: async (world) => {
    const store = await world.open()
    const lease = await enlist(store, 'w1')
    const [late, early, urgent, twin] = [world.call({ dueAt: START - 1 }), world.call({ dueAt: START - 9 }), world.call({ priority: -1, dueAt: START }), world.call({ dueAt: START - 1 })]
    await put(store, late, early, urgent, twin)
    assert.deepEqual(ids(await claimOf(store, lease, { limit: 3 })), [urgent.id, early.id, late.id])
    assert.deepEqual(ids(await claimOf(store, lease)), [twin.id])
    assert.deepEqual(await claimOf(store, lease), [])
  } },
  { name: 'claims only what is due, in a state that a worker can work on', run: async (world) => {
    const store = await world.open()
    const lease = await enlist(store, 'w1')
    const due = [world.call(), world.call({ state: 'checking', effect: 'unknown' }), world.call({ state: 'accepted', effect: 'pending' })]
    await put(store, ...due, world.call({ dueAt: START + 1 }), world.call({ dueAt: null, state: 'in_doubt', effect: 'unknown' }), world.call({ dueAt: null }))
    assert.deepEqual(ids(await claimOf(store, lease)).sort(), ids(due).sort())
  } },
  { name: 'finds due work of a lower priority behind any number of calls that are not due', run: async (world) => {
    const store = await world.open()
    const lease = await enlist(store, 'w1')
    const due = world.call({ priority: 10 })
    await put(store, ...Array.from({ length: 50 }, () => world.call({ dueAt: START + 1 })), due)
    assert.deepEqual(ids(await claimOf(store, lease, { limit: 1 })), [due.id])
  } },
  { name: 'claims only operations and versions that the worker understands', run: async (world) => {
    const store = await world.open()
    const lease = await enlist(store, 'w1')
    const [v1, v2, other] = [world.call(), world.call({ version: 2, dueAt: START - 1 }), world.call({ operation: 'refund-order', dueAt: START - 2 })]
    await put(store, v1, v2, other)
    assert.deepEqual(ids(await claimOf(store, lease)), [v1.id])
    assert.deepEqual(ids(await claimOf(store, lease, { lanes: [{ operation: OPERATION, versions: [1, 2] }, { operation: 'refund-order', versions: [1] }] })), [other.id, v2.id])
  } },
  { name: 'leaves calls of paused groups alone', run: async (world) => {
    const store = await world.open()
    const lease = await enlist(store, 'w1')
    const [paused, free, none] = [world.call({ group: 'a', dueAt: START - 5 }), world.call({ group: 'b' }), world.call()]
    await put(store, paused, free, none)
    assert.deepEqual(ids(await claimOf(store, lease, { pausedGroups: ['a'] })).sort(), [free.id, none.id].sort())
    assert.deepEqual(ids(await claimOf(store, lease)), [paused.id])
  } },
  { name: 'never gives one call to two workers', run: async (world) => {
    const [one, two] = [await world.open(), await world.open()]
    const leases = [await enlist(one, 'w1'), await enlist(two, 'w2')] as const
    await put(one, ...Array.from({ length: 20 }, () => world.call()))
    const claimed = (await Promise.all([claimOf(one, leases[0], { limit: 7 }), claimOf(two, leases[1], { limit: 7 }), claimOf(one, leases[0], { limit: 7 }), claimOf(two, leases[1], { limit: 7 })])).flat()
    assert.equal(claimed.length, 20)
    assert.equal(new Set(ids(claimed)).size, 20)
  } },
  { name: 'gives claims back, but not what has begun or is not the worker\'s', run: async (world) => {
    const store = await world.open()
    const [lease, other] = [await enlist(store, 'w1'), await enlist(store, 'w2')]
    const busy = await running(world, store, lease)
    const call = world.call()
    await put(store, call)
    await claimOf(store, lease)
    await store.giveBack(other, [call.id])
    assert.deepEqual(await claimOf(store, other), [])
    await store.giveBack(lease, [call.id, busy.id, 'c_none'])
    assert.deepEqual(ids(await claimOf(store, other)), [call.id])
    assert.deepEqual(await write(store, ended(busy, 'succeeded', { lease })), { ok: true })
  } },
  { name: 'shows what is leased to a worker under its epoch, claimed or begun, in the order of creation', run: async (world) => {
    const store = await world.open()
    const [lease, other] = [await enlist(store, 'w1'), await enlist(store, 'w2')]
    const busy = await running(world, store, lease)
    const [first, second, theirs, done] = [world.call({ dueAt: START - 1 }), world.call({ dueAt: START - 9 }), world.call({ dueAt: START - 5 }), await running(world, store, lease)]
    await put(store, theirs)
    await claimOf(store, other)
    await put(store, first, second)
    await claimOf(store, lease)
    await write(store, ended(done, 'succeeded', { lease }))
    assert.deepEqual((await store.leasedTo(lease, 10)).map((call) => [call.id, call.state]), [[busy.id, 'running'], [first.id, 'waiting'], [second.id, 'waiting']])
    assert.deepEqual(ids(await store.leasedTo(lease, 2)), [busy.id, first.id])
    assert.deepEqual(ids(await store.leasedTo(other, 10)), [theirs.id])
    assert.deepEqual(await store.leasedTo({ ...lease, epoch: lease.epoch + 1 }, 10), [])
    await store.giveBack(lease, [first.id])
    assert.deepEqual(ids(await store.leasedTo(lease, 10)), [busy.id, second.id])
  } },
  { name: 'shows workers as they enlisted, and beats only for those alive', run: async (world) => {
    const store = await world.open()
    const lease = await enlist(store, 'w1')
    world.place.setClock(START + 500)
    assert.equal(await beat(store, lease, START + 90_000), true)
    assert.deepEqual(await store.workers(), [{ worker: 'w1', epoch: 1, host: 'here', pid: 1, startedAt: START, beatAt: START + 500, leaseUntilAt: START + 90_000, lanes: [{ operation: OPERATION, versions: [1] }], release: null, fenced: false }])
    assert.equal(await beat(store, { worker: 'w1', epoch: 2 }, START), false)
    assert.equal(await beat(store, { worker: 'w9', epoch: 1 }, START), false)
  } },
  { name: 'fences a worker past its lease, and takes no write of it from then on', run: async (world) => {
    const store = await world.open()
    const [lease, healthy] = [await enlist(store, 'w1'), await enlist(store, 'w2', 1, START + 99_000)]
    const busy = await running(world, store, lease)
    const call = world.call()
    await put(store, call)
    await claimOf(store, lease)
    assert.deepEqual(await store.fenceDead(START + 59_999, 'w2'), [])
    assert.deepEqual((await store.fenceDead(START + 60_000, 'w2')).map((row) => [row.worker, row.fenced]), [['w1', true]])
    assert.deepEqual(await store.fenceDead(START + 60_000, 'w2'), [])
    assert.deepEqual((await store.workers()).map((row) => [row.worker, row.fenced]), [['w1', true], ['w2', false]])
    assert.deepEqual(await write(store, ended(busy, 'succeeded', { lease })), { ok: false, why: 'lease', call: busy })
    assert.deepEqual(await write(store, begun(call, lease)), { ok: false, why: 'lease', call })
    assert.deepEqual(await claimOf(store, lease), [])
    assert.equal(await beat(store, lease, START + 1e6), false)
    assert.deepEqual(await store.get(busy.id), busy)
    assert.equal(await beat(store, healthy, START + 1e6), true)
  } },
  { name: 'says in one answer what there is to do, and nothing where there is nothing', run: async (world) => {
    const store = await world.open()
    const lease = await enlist(store, 'w1', 1, START + 1e9)
    const nothing = { alive: true, controlsRev: 0, todo: { dead: false, overdue: false, settles: false, alerts: false }, nextDueAt: null }
    assert.deepEqual(await pulse(store, lease), nothing)
    assert.deepEqual(await pulse(store, null), { ...nothing, alive: false })
    await put(store, world.call({ dueAt: START + 7, giveUpAt: START + 100 }), world.call({ operation: 'refund-order', giveUpAt: START + 1 }), world.call({ version: 2 }))
    assert.deepEqual(await pulse(store, lease), { ...nothing, nextDueAt: START + 7 })
    assert.deepEqual((await pulse(store, lease, START + 99)).todo, nothing.todo)
    assert.deepEqual((await pulse(store, lease, START + 100)).todo, { ...nothing.todo, overdue: true })
    const call = world.call({ dueAt: null })
    await put(store, call)
    await write(store, ended(call, 'succeeded', { settleDueAt: START + 3, alerts: [alert('a1')], controls: [{ set: { kind: 'provider', name: 'stripe', mode: 'pause', untilAt: null, by: 'ana', why: 'x', at: START } }] }))
    assert.deepEqual(await pulse(store, lease), { ...nothing, controlsRev: 1, todo: { ...nothing.todo, alerts: true }, nextDueAt: START + 7 })
    assert.deepEqual((await pulse(store, lease, START + 3)).todo, { ...nothing.todo, alerts: true, settles: true })
    await store.alertsDelivered(['a1'], START)
    await store.settleTold(call.id, null, 1)
    assert.deepEqual((await pulse(store, lease, START + 3)).todo, nothing.todo)
    const asked = { now: START + 100, lease, leaseUntilAt: null, operations: [], lanes: [] }
    assert.deepEqual(await store.pulse(asked), { ...nothing, controlsRev: 1 })
  } },
  { name: 'says that a worker is dead until all that it left is taken care of', run: async (world) => {
    const store = await world.open()
    const [lost, healthy] = [await enlist(store, 'w1'), await enlist(store, 'w2', 1, START + 1e9)]
    const orphan = await running(world, store, lost)
    const claimed = world.call()
    await put(store, claimed)
    await claimOf(store, lost)
    const dead = async (): Promise<boolean> => (await pulse(store, healthy, START + 60_000)).todo.dead
    assert.equal((await pulse(store, healthy, START + 59_999)).todo.dead, false)
    assert.equal((await pulse(store, lost, START + 60_000)).todo.dead, false)
    assert.equal(await dead(), true)
    await store.fenceDead(START + 60_000, 'w2')
    assert.equal(await dead(), true)
    assert.deepEqual(await store.orphans(10), [orphan])
    assert.equal(await dead(), true)
    await write(store, changed(orphan, { state: 'in_doubt', dueAt: null }, { leaseAfter: 'release' }))
    assert.equal(await dead(), false)
  } },
  { name: 'says that a worker left calls which it had begun, and none that it had only claimed', run: async (world) => {
    const store = await world.open()
    const [one, two, other] = [await enlist(store, 'w1'), await enlist(store, 'w2'), await enlist(store, 'w3', 1, START + 1e9)]
    const busy = await running(world, store, one)
    await put(store, world.call())
    await claimOf(store, two)
    await store.leave(two)
    assert.equal((await pulse(store, other)).todo.dead, false)
    await store.leave(one)
    assert.equal((await pulse(store, other)).todo.dead, true)
    assert.equal((await store.pulse({ now: START, lease: other, leaseUntilAt: null, operations: ['refund-order'], lanes: [] })).todo.dead, false)
    assert.deepEqual(await store.orphans(10, [OPERATION]), [busy])
  } },
  { name: 'never fences the one that asks', run: async (world) => {
    const store = await world.open()
    const lease = await enlist(store, 'w1')
    assert.deepEqual(await store.fenceDead(START + 1e9, 'w1'), [])
    assert.equal(await beat(store, lease, START), true)
  } },
  { name: 'shows begun calls of lost workers as orphans, and gives their claims back', run: async (world) => {
    const store = await world.open()
    const [lost, healthy] = [await enlist(store, 'w1'), await enlist(store, 'w2', 1, START + 1e9)]
    const [mine, orphan] = [await running(world, store, healthy), await running(world, store, lost)]
    const claimed = world.call()
    await put(store, claimed)
    await claimOf(store, lost)
    assert.deepEqual(await store.orphans(10), [])
    await store.fenceDead(START + 60_000, 'w2')
    assert.deepEqual(await claimOf(store, healthy), [])
    assert.deepEqual(await store.orphans(10), [orphan])
    assert.deepEqual(ids(await claimOf(store, healthy)), [claimed.id])
    const lapsed = changed(orphan, { state: 'in_doubt', dueAt: null }, { leaseAfter: 'release' })
    assert.deepEqual(await write(store, lapsed), { ok: true })
    assert.deepEqual(await store.orphans(10), [])
    assert.deepEqual(await write(store, ended(mine, 'succeeded', { lease: healthy })), { ok: true })
  } },
  { name: 'gives claims back when a worker leaves, and leaves its begun calls to others', run: async (world) => {
    const store = await world.open()
    const [lease, other] = [await enlist(store, 'w1'), await enlist(store, 'w2')]
    const busy = await running(world, store, lease)
    const call = world.call()
    await put(store, call)
    await claimOf(store, lease)
    await store.leave(lease)
    assert.deepEqual((await store.workers()).map((row) => row.worker), ['w2'])
    assert.deepEqual(ids(await claimOf(store, other)), [call.id])
    assert.deepEqual(await store.orphans(10), [busy])
    assert.deepEqual(await write(store, ended(busy, 'succeeded', { lease })), { ok: false, why: 'lease', call: busy })
  } },
  { name: 'finds what time alone can still move', run: async (world) => {
    const store = await world.open()
    const lease = await enlist(store, 'w1')
    const busy = await running(world, store, lease, { giveUpAt: START + 1 })
    const [expires, givenUp, doubt] = [world.call({ expiresAt: START + 20 }), world.call({ giveUpAt: START + 10 }), world.call({ state: 'in_doubt', effect: 'unknown', dueAt: null, giveUpAt: START + 30 })]
    const stopped = world.call({ giveUpAt: START + 1, stop: { kind: 'cancel', at: START, by: 'ana', why: 'x' } })
    const accepted = world.call({ state: 'accepted', effect: 'pending', giveUpAt: START + 1 })
    await put(store, expires, givenUp, doubt, stopped, accepted, world.call({ giveUpAt: START + 500 }), world.call({ giveUpAt: null }))
    assert.deepEqual(ids(await store.overdue(START + 30, 10)), [givenUp.id, expires.id, doubt.id])
    assert.deepEqual(ids(await store.overdue(START + 9, 10)), [])
    assert.deepEqual(ids(await store.overdue(START + 30, 1)), [givenUp.id])
    assert.equal(busy.state, 'running')
  } },
  { name: 'counts the backlog and says when work is due next', run: async (world) => {
    const store = await world.open()
    const lease = await enlist(store, 'w1')
    await put(store, world.call({ dueAt: START + 7 }), world.call({ dueAt: START + 5, priority: 10 }), world.call({ version: 2, dueAt: START + 9 }), world.call({ dueAt: null, state: 'in_doubt', effect: 'unknown' }))
    assert.deepEqual(await store.backlog(), [{ operation: OPERATION, version: 1, open: 3, oldestDueAt: START + 5, stuck: 0 }, { operation: OPERATION, version: 2, open: 1, oldestDueAt: START + 9, stuck: 0 }])
    assert.equal(await store.nextDueAt([{ operation: OPERATION, versions: [1, 2] }]), START + 5)
    assert.equal(await store.nextDueAt([{ operation: OPERATION, versions: [2] }]), START + 9)
    assert.equal(await store.nextDueAt([{ operation: 'refund-order', versions: [1] }]), null)
    await claimOf(store, lease, { now: START + 7 })
    assert.equal(await store.nextDueAt([{ operation: OPERATION, versions: [1] }]), null)
    assert.equal((await store.backlog())[0]?.open, 3)
  } },
  { name: 'names the lanes in which a call has been due for long and waits', run: async (world) => {
    const store = await world.open()
    const lease = await enlist(store, 'w1')
    assert.deepEqual(await store.lateLanes(START + 1e9), [])
    await put(store, world.call({ operation: 'b', dueAt: START + 4 }), world.call({ operation: 'b', dueAt: START + 3, priority: 10 }), world.call({ operation: 'a', version: 2 }), world.call({ operation: 'c', dueAt: null }), world.call({ dueAt: START + 9 }))
    assert.deepEqual(await store.lateLanes(START + 4), [{ operation: 'a', version: 2, oldestDueAt: START }, { operation: 'b', version: 1, oldestDueAt: START + 3 }])
    assert.deepEqual(await store.lateLanes(START), [])
    await claimOf(store, lease, { lanes: [{ operation: 'a', versions: [2] }] })
    assert.deepEqual((await store.lateLanes(START + 10)).map((lane) => lane.operation), ['b', OPERATION])
  } },
  { name: 'counts the begun calls of lost workers as stuck, until they are lapsed', run: async (world) => {
    const store = await world.open()
    const [lost, healthy] = [await enlist(store, 'w1'), await enlist(store, 'w2', 1, START + 1e9)]
    await running(world, store, healthy)
    const [orphan] = [await running(world, store, lost), await running(world, store, lost)]
    await put(store, world.call(), world.call({ version: 2 }))
    await claimOf(store, lost)
    const stuck = async (): Promise<readonly number[]> => (await store.backlog()).map((lane) => lane.stuck)
    assert.deepEqual(await stuck(), [0, 0])
    await store.fenceDead(START + 60_000, 'w2')
    assert.deepEqual(await stuck(), [2, 0])
    await write(store, changed(orphan, { state: 'in_doubt', dueAt: null }, { leaseAfter: 'release' }))
    assert.deepEqual(await stuck(), [1, 0])
    await store.leave(healthy)
    assert.deepEqual(await stuck(), [2, 0])
  } },
]
