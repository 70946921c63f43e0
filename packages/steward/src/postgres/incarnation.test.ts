/**
 * The real thing: a copy of the server's folder recovered to its end, which begins another timeline as a promoted standby does,
 * and one that is only put back, as a snapshot of a disk is.
 */
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Store } from '../ports/store.ts'
import { alert, beat, begun, changed, claimOf, enlist, inserting, put, START, World } from '../testing/conformance/world.ts'
import { postgres } from './index.ts'
import { type PostgresServer, postgresServer, VERSIONS } from './server.fixture.ts'

const MINUTE = 60_000

describe.each(VERSIONS)('PostgreSQL %i', (version) => {
  let server: PostgresServer
  let pool: pg.Pool
  let schema = ''
  let places = 0
  const opened: Store[] = []
  const samples = new World({ make: () => { throw new Error('opened by hand') }, setClock: () => undefined, remove: () => Promise.resolve() })

  beforeAll(async () => {
    server = await postgresServer(version)
    pool = server.pool(8)
  }, MINUTE)
  afterAll(() => server.remove())
  beforeEach(() => { schema = `place_${++places}` })
  afterEach(async () => {
    for (const store of opened.splice(0)) await store.close()
  })

  async function open(clock: () => number = () => START, on = pool, notice: (text: string) => void = () => undefined): Promise<Store> {
    const store = postgres({ pool: on, schema, clock, listen: false })
    await store.open({ namespace: 'default', notice })
    opened.push(store)
    return store
  }
  const holdOf = async (store: Store): Promise<string | undefined> => (await store.controls()).all.find((control) => control.kind === 'store')?.why

  it('sends nothing under another timeline: a begin that is committed there is not believed', async () => {
    const store = await open()
    const lease = await enlist(store, 'w1')
    await put(store, samples.call({ key: 'before' }))
    const [call] = await claimOf(store, lease)
    const copy = await server.copy()
    await put(store, samples.call({ key: 'after' }))
    await server.recover(copy)
    // The clock stands still and no heartbeat is due: nothing but this answer can tell.
    await expect(store.write([begun(call!, lease, { controlsRev: 0 })])).rejects.toMatchObject({ code: 'STEWARD_STORE_SET_BACK', details: { outcome: 'unknown' } })
    expect(await holdOf(store)).toMatch(/system identifier and timeline (\d+)\/2, before \1\/1/)
    expect(await store.find('charge-order', 'after')).toBeNull()
    expect(await beat(store, lease, START + MINUTE)).toBe(false)
    // Said once; whoever opens later finds it on record.
    const later = await open()
    expect((await later.alerts({ undeliveredOnly: true, limit: 10 })).map((alert) => alert.kind)).toEqual(['database_set_back'])
    await later.control({ restored: { lostSinceAt: START, noticedAt: START, lookFirstUntilAt: START, by: 'ana', why: 'the standby was behind' } }, [])
    expect(await holdOf(await open())).toBeUndefined()
  }, 2 * MINUTE)

  it('sends nothing under another timeline that shares a batch with what takes several statements', async () => {
    const store = await open()
    const lease = await enlist(store, 'w1')
    await put(store, samples.call({ key: 'before' }), samples.call({ key: 'beside' }))
    const [call, beside] = await claimOf(store, lease)
    const copy = await server.copy()
    await server.recover(copy)
    await expect(store.write([begun(call!, lease, { controlsRev: 0 }), changed(beside!, { reason: 'told' }, { lease, alerts: [alert('a1')] })])).rejects.toMatchObject({ code: 'STEWARD_STORE_SET_BACK', details: { outcome: 'unknown' } })
    expect(await holdOf(store)).toContain('a standby was promoted')

    const later = await open()
    await later.control({ restored: { lostSinceAt: START, noticedAt: START, lookFirstUntilAt: START, by: 'ana', why: 'the standby was behind' } }, [])
    const [next, { rev }] = [await enlist(later, 'w2'), await later.controls()]
    await server.recover(await server.copy())
    const perform = inserting(begun(samples.call({ key: 'new' }), next).call, { lease: next, controlsRev: rev, alerts: [alert('a2')] })
    await expect(later.insert([perform])).rejects.toMatchObject({ code: 'STEWARD_STORE_SET_BACK', details: { outcome: 'unknown' } })
  }, 2 * MINUTE)

  it('is found out by whoever opens next', async () => {
    const store = await open()
    await put(store, samples.call())
    await store.close()
    await server.recover(await server.copy())
    const hold = await holdOf(await open())
    expect(hold).toContain('a standby was promoted, or a backup restored')
  }, 2 * MINUTE)

  it('finds the last commits gone on the same timeline, within the second in which the mark is written', async () => {
    let now = START
    const store = await open(() => now)
    await put(store, samples.call({ key: 'before' }))
    const copy = await server.copy()
    now += 5_000
    await put(store, samples.call({ key: 'after' }))
    await server.putBack(copy)
    now += 1_000
    await expect(store.insert([inserting(samples.call({ key: 'new' }))])).rejects.toMatchObject({ code: 'STEWARD_STORE_SET_BACK' })
    expect(await holdOf(store)).toContain('its record stood at 2027-01-15T08:00:00.000Z and had come to 2027-01-15T08:00:05.000Z')
    expect(await store.insert([inserting(samples.call({ key: 'new' }))])).toMatchObject([{ ok: false, why: 'joined' }])
  }, 2 * MINUTE)

  it('takes a crash that lost nothing for what it is', async () => {
    let now = START
    const store = await open(() => now)
    await put(store, samples.call({ key: 'before' }))
    await server.kill()
    await server.start()
    now += 5_000
    await put(store, samples.call({ key: 'after' }))
    expect(await holdOf(store)).toBeUndefined()
    expect(await holdOf(await open(() => now))).toBeUndefined()
  }, 2 * MINUTE)

  it('opens where the role may not ask which database this is', async () => {
    await pool.query('REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC; REVOKE EXECUTE ON FUNCTION pg_current_wal_lsn() FROM PUBLIC; CREATE ROLE plain LOGIN; GRANT CREATE ON DATABASE postgres TO plain')
    const plain = server.pool(4, 'plain')
    const told: string[] = []
    const store = await open(undefined, plain, (text) => told.push(text))
    expect(told).toEqual([expect.stringMatching(/does not tell which database it is.*pg_control_system.*steward restored/)])
    await put(store, samples.call())
    const lease = await enlist(store, 'w1')
    expect(await beat(store, lease, START + MINUTE)).toBe(true)
    expect(await holdOf(store)).toBeUndefined()
  }, 2 * MINUTE)
})
