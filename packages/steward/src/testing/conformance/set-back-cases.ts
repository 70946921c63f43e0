/** A store whose database came back as it was at an earlier time. Places without `backup` cannot play these. */
import assert from 'node:assert/strict'
import type { Store } from '../../ports/store.ts'
import { beat, begun, type Case, changed, claimOf, enlist, inserting, put, START, type World, write } from './world.ts'

const SAID = { lostSinceAt: START, noticedAt: START + 30_000, lookFirstUntilAt: START + 90_000, by: 'ana', why: 'the disk was lost' }

/** Stores a call, copies the place, and goes on for a while: what returns sets the place back. */
async function livedOn(world: World, store: Store): Promise<(() => Promise<void>) | null> {
  if (world.place.backup === undefined) return null
  await put(store, world.call({ key: 'before' }))
  const restore = await world.place.backup()
  world.place.setClock(START + 20_000)
  await put(store, world.call({ key: 'after' }))
  world.place.setClock(START + 30_000)
  return restore
}

async function holdOf(store: Store): Promise<string | undefined> {
  return (await store.controls()).all.find((control) => control.kind === 'store')?.mode
}

export const setBackCases: readonly Case[] = [
  { name: 'finds out when it is opened, holds everything, and tells once', run: async (world) => {
    const store = await world.open()
    const restore = await livedOn(world, store)
    if (restore === null) return
    await store.close()
    await restore()
    const later = await world.open()
    assert.equal(await holdOf(later), 'pause')
    assert.equal(await later.find('charge-order', 'after'), null)
    await (await world.open()).close()
    const alerts = await later.alerts({ undeliveredOnly: true, limit: 10 })
    assert.deepEqual(alerts.map((alert) => [alert.kind, alert.severity]), [['database_set_back', 'page']])
    assert.match(alerts[0]?.message ?? '', /The latest time on its record is 2027-01-15T08:00:/)
  } },
  { name: 'finds out while it is open: no worker holds anything, and no begin that was decided before is taken', run: async (world) => {
    const store = await world.open()
    const lease = await enlist(store, 'w1')
    const restore = await livedOn(world, store)
    if (restore === null) return
    const [call] = await claimOf(store, lease, { now: START + 30_000 })
    assert(call, 'a due call can be claimed')
    await store.giveBack(lease, [call.id])
    const seen = (await store.controls()).rev
    await restore()
    // What is under way may be refused as uncertain; whatever is answered, nothing is begun after that.
    await write(store, begun(call, lease, { controlsRev: seen })).catch(() => undefined)
    assert.deepEqual(await beat(store, lease, START + 90_000), false)
    assert.equal(await holdOf(store), 'pause')
    const fresh = await enlist(store, 'w2', 2, START + 120_000)
    const [again] = await claimOf(store, fresh, { now: START + 30_000 })
    assert.equal(again?.key, 'before')
    const { rev } = await store.controls()
    assert.ok(rev > seen + 1_000_000, 'the revision is one that nobody has seen')
    const late = await write(store, begun(again, fresh, { controlsRev: seen }))
    assert.equal(late.ok ? 'stored' : late.why, 'controls')
    assert.deepEqual(await write(store, begun(again, fresh, { controlsRev: rev })), { ok: true })
  } },
  { name: 'goes on when a person has said what was lost, and keeps that for whoever opens later', run: async (world) => {
    const store = await world.open()
    assert.equal((await store.controls()).restored, null)
    await store.control({ set: { kind: 'store', name: 'everything', mode: 'pause', untilAt: null, by: 'ana', why: 'a backup was restored', at: START } }, [])
    assert.equal(await holdOf(store), 'pause')
    const { rev } = await store.controls()
    await store.control({ restored: SAID }, [])
    assert.equal(await holdOf(store), undefined)
    const later = await (await world.open()).controls()
    assert.deepEqual(later.restored, SAID)
    assert.ok(later.rev > rev, 'who holds the old revision begins nothing under it')
  } },
  { name: 'keeps the wider of two sayings while the first has not run out', run: async (world) => {
    const store = await world.open()
    await store.control({ restored: SAID }, [])
    const again = { ...SAID, lostSinceAt: START + 40_000, noticedAt: START + 50_000, lookFirstUntilAt: START + 60_000, why: 'once more' }
    await store.control({ restored: again }, [])
    assert.deepEqual((await store.controls()).restored, { ...again, lostSinceAt: SAID.lostSinceAt, lookFirstUntilAt: SAID.lookFirstUntilAt })
    const muchLater = { ...again, lostSinceAt: START + 990_000, noticedAt: START + 1_000_000, lookFirstUntilAt: START + 1_010_000 }
    await store.control({ restored: muchLater }, [])
    assert.deepEqual((await store.controls()).restored, muchLater)
  } },
  { name: 'takes nothing for a loss: openings one after another, side by side, and a clock that was set back', run: async (world) => {
    const store = await world.open()
    world.place.setClock(START + 20_000)
    await put(store, world.call())
    const other = await world.open()
    world.place.setClock(START + 40_000)
    await other.insert([inserting(world.call())])
    world.place.setClock(START + 1_000)
    await store.insert([inserting(world.call())])
    await store.close()
    const later = await world.open()
    const [call] = await later.list({ limit: 1 })
    assert(call, 'a call is stored')
    await write(later, changed(call, { priority: 3 }))
    assert.deepEqual([await holdOf(later), await holdOf(other)], [undefined, undefined])
    assert.deepEqual(await later.alerts({ undeliveredOnly: false, limit: 10 }), [])
  } },
]
