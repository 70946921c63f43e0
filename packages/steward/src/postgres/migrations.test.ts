/** From schema to schema: what an older version left is opened, worked and brought up to date, also by several at once. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type pg from 'pg'
import { Pool } from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { home } from '../cli/cli.fixture.ts'
import type { Store } from '../ports/store.ts'
import type { Migration } from '../store-sql/migrations.ts'
import { OPERATION, World } from '../testing/conformance/world.ts'
import { fromPg, migratePostgres, postgres } from './index.ts'
import { Connections, type PgPool } from './pool.ts'
import { migrateSchema, type OpeningOptions, openSchema, POSTGRES_MIGRATIONS } from './schema.ts'
import { meddledPool, type PostgresServer, postgresServer, VERSIONS } from './server.fixture.ts'

const FIXTURE = readFileSync(join(import.meta.dirname, 'schema-1.fixture.sql'), 'utf8')
const MARK = "SELECT value FROM steward.steward_meta WHERE name = 'time_high_water'"
/** A moment after the fixture was written. */
const THEN = 1_795_839_720_000
const opening = { namespace: 'default', notice: () => undefined }

/** What a later version may add: to its tables and to this one's. */
const LATER: Migration = { version: 2, needs: 1, statements: () => ['ALTER TABLE steward_open ADD COLUMN colour TEXT', 'CREATE TABLE steward_colour (name TEXT PRIMARY KEY)'] }
const LATEST: Migration = { version: 3, needs: 3, statements: () => ['DROP TABLE steward_colour'] }

async function until(claim: () => Promise<boolean>): Promise<void> {
  for (let turn = 0; !(await claim()); turn++) if (turn > 10_000) throw new Error('did not come true')
}

/** Longer than what does not wait for anybody takes, and what waits would still wait. */
async function turnsLater(pool: pg.Pool): Promise<string> {
  for (let turn = 0; turn < 2_000; turn++) await pool.query('SELECT 1')
  return 'it waits'
}

describe.each(VERSIONS)('PostgreSQL %i', (version) => {
  let server: PostgresServer
  let admin: pg.Pool
  let databases = 0
  const ends: (() => Promise<void>)[] = []
  const samples = new World({ make: () => { throw new Error('opened by hand') }, setClock: () => undefined, remove: () => Promise.resolve() })

  beforeAll(async () => {
    server = await postgresServer(version)
    admin = server.pool()
  }, 60_000)
  afterAll(() => server.remove())
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end()
  })

  const urlOf = (database: string): string => `postgres://steward@/${database}?host=${encodeURIComponent(server.folder)}`

  /** A database of its own, with what version 1 left in it. */
  async function withVersion1(): Promise<{ readonly pool: pg.Pool; readonly url: string }> {
    const name = `old_${++databases}`
    await admin.query(`CREATE DATABASE ${name}`)
    const url = urlOf(name)
    // The dump leaves settings behind on its connection.
    const loading = new Pool({ connectionString: url, max: 1 })
    await loading.query(FIXTURE)
    // It was written by another server; these tests are about the schema, not about a database that was moved.
    await loading.query("DELETE FROM steward.steward_meta WHERE name = 'incarnation'")
    await loading.end()
    const pool = new Pool({ connectionString: url, max: 10 })
    ends.push(() => pool.end())
    return { pool, url }
  }
  async function open(pool: pg.Pool): Promise<Store> {
    const store = postgres({ pool, clock: () => THEN, listen: false, migrate: false })
    await store.open(opening)
    ends.push(() => store.close())
    return store
  }
  function at(pool: PgPool, steps: readonly Migration[], schema = 'steward'): OpeningOptions {
    return { connections: new Connections({ name: 'it', pool, limit: 2, prepare: false, statementMs: 10_000 }), schema, name: 'it', steps, ...opening }
  }

  it('makes what version 1 made, to the last index', async () => {
    const { pool } = await withVersion1()
    await migrateSchema(at(pool, POSTGRES_MIGRATIONS.filter((step) => step.version === 1), 'fresh'), false)
    const shape = async (schema: string): Promise<unknown> => {
      const { rows } = await pool.query(`SELECT (
        SELECT json_agg(row_to_json(c) ORDER BY c.table_name, c.column_name) FROM (SELECT table_name, column_name, data_type, collation_name, is_nullable, column_default, is_identity FROM information_schema.columns WHERE table_schema = $1) AS c) AS columns,
        (SELECT json_agg(replace(indexdef, $1 || '.', '') ORDER BY indexname) FROM pg_indexes WHERE schemaname = $1) AS indexes,
        (SELECT json_agg(json_build_array(relname, reloptions) ORDER BY relname) FROM pg_class WHERE relnamespace = $1::regnamespace) AS relations,
        (SELECT json_agg(json_build_array(proname, prosrc)) FROM pg_proc WHERE pronamespace = $1::regnamespace) AS functions`, [schema])
      return rows[0] as unknown
    }
    expect(await shape('fresh')).toEqual(await shape('steward'))
  })

  it.each(['as it is', 'brought to a later schema'])('works the calls that version 1 left, %s', async (how) => {
    const { pool } = await withVersion1()
    if (how !== 'as it is') await migrateSchema(at(pool, [...POSTGRES_MIGRATIONS, LATER]), false)
    const store = await open(pool)
    expect(await store.find('charge', 'ended')).toMatchObject({ state: 'succeeded', result: '{"charged":42}' })
    expect(await store.find('charge', 'waiting')).toMatchObject({ state: 'waiting', given: '{"amount":2}' })
    expect(await store.controls()).toMatchObject({ rev: 1, all: [{ name: 'acme', mode: 'pause' }] })
    const insert = async (key: string) => (await store.insert([{ kind: 'insert', call: { ...samples.call({ key }), operation: 'charge' }, factsSeen: 0 }]))[0]
    expect(await insert('pruned')).toMatchObject({ why: 'pruned', state: 'succeeded' })
    expect(await insert('early')).toMatchObject({ why: 'facts', facts: [{ fact: { reference: 'ch_1' } }] })
    expect(await insert('waiting')).toMatchObject({ why: 'joined' })
    const lease = { worker: 'w', epoch: 1 }
    await store.enlist({ ...lease, host: 'h', pid: 1, startedAt: THEN, beatAt: THEN, leaseUntilAt: THEN + 4_000, lanes: [{ operation: 'charge', versions: [1] }], release: null })
    const claimed = await store.claim({ lease, lanes: [{ operation: 'charge', versions: [1] }], limit: 10, now: THEN, pausedGroups: [] })
    expect(claimed.map((call) => call.key)).toEqual(['waiting'])
  })

  it('brings it to a later version once, however many try at the same moment, and says what it did', async () => {
    const { pool } = await withVersion1()
    const steps = [...POSTGRES_MIGRATIONS, LATER]
    const reports = await Promise.all(Array.from({ length: 4 }, () => migrateSchema(at(pool, steps), false)))
    expect(reports).toContainEqual({ from: 1, to: 2, statements: LATER.statements({} as never) })
    expect(await migrateSchema(at(pool, steps), false)).toEqual({ from: 2, to: 2, statements: [] })
    expect((await pool.query("SELECT name, value FROM steward.steward_meta WHERE name LIKE 'schema%' ORDER BY name")).rows).toEqual([{ name: 'schema_needs', value: '1' }, { name: 'schema_version', value: '2' }])
  })

  it('lets the version before work, and others of it open, while it is under way', async () => {
    const { pool } = await withVersion1()
    const store = await open(pool)
    const steps = [...POSTGRES_MIGRATIONS, { version: 2, needs: 1, statements: () => ['CREATE TABLE steward_colour (name TEXT PRIMARY KEY)'] }]
    const reached = Promise.withResolvers<void>()
    const released = Promise.withResolvers<void>()
    const holding = meddledPool(pool, async (text, run) => {
      const result = await run()
      if (text.startsWith('CREATE TABLE steward_colour')) {
        reached.resolve()
        await released.promise
      }
      return result
    })
    const migrating = migrateSchema(at(holding, steps), false)
    ends.push(async () => { released.resolve(); await migrating.catch(() => undefined) })
    await reached.promise
    // Another one that would migrate waits for it.
    const another = migrateSchema(at(pool, steps), false)
    await until(async () => (await pool.query("SELECT 1 FROM pg_locks WHERE relation = 'steward.steward_meta'::regclass AND NOT granted")).rows.length === 1)
    const lanes = [{ operation: 'charge', versions: [1] }]
    const lease = { worker: 'w', epoch: 1 }
    const beating = { now: THEN + 10_000, lease, leaseUntilAt: THEN + 20_000, operations: ['charge'], lanes }
    const working = (async () => {
      await store.enlist({ ...lease, host: 'h', pid: 1, startedAt: THEN, beatAt: THEN, leaseUntilAt: THEN + 4_000, lanes, release: null })
      const marked = await pool.query(MARK)
      const pulse = await store.pulse(beating)
      expect((await pool.query(MARK)).rows).not.toEqual(marked.rows)
      await store.insert([{ kind: 'insert', call: { ...samples.call({ key: 'meanwhile', createdAt: THEN, dueAt: THEN }), operation: 'charge' }, factsSeen: 0 }])
      const claimed = await store.claim({ lease, lanes, limit: 10, now: THEN, pausedGroups: [] })
      return { alive: pulse.alive, claimed: claimed.map((call) => call.key).sort(), opened: await (await open(pool)).find('charge', 'meanwhile') }
    })()
    expect(await Promise.race([working, turnsLater(pool)])).toMatchObject({ alive: true, claimed: ['meanwhile', 'waiting'], opened: { key: 'meanwhile' } })
    released.resolve()
    expect(await Promise.all([migrating, another])).toMatchObject([{ from: 1, to: 2 }, { to: 2 }])
    expect((await migrateSchema(at(pool, steps), true)).statements).toEqual([])
  })

  it('holds nobody up while it waits for a transaction of the application, and is done once that has ended', async () => {
    const { pool } = await withVersion1()
    const store = await open(pool)
    const client = await pool.connect()
    await client.query('BEGIN')
    expect(await store.insertWithin?.(fromPg(client), { kind: 'insert', call: samples.call({ key: 'within' }), factsSeen: 0 })).toEqual({ ok: true })
    const migrating = migrateSchema(at(pool, [...POSTGRES_MIGRATIONS, LATER]), false)
    const waits = async (): Promise<boolean> => (await admin.query("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'ALTER TABLE%'")).rowCount === 1
    while (!(await waits()));
    expect(await store.insert([{ kind: 'insert', call: samples.call({ key: 'meanwhile' }), factsSeen: 0 }])).toEqual([{ ok: true }])
    await client.query('COMMIT')
    client.release()
    expect(await migrating).toMatchObject({ from: 1, to: 2 })
    expect(await store.find(OPERATION, 'within')).not.toBeNull()
  })

  it('serves a role that the owner has granted what the guide says, also after the next migration', async () => {
    const { pool, url } = await withVersion1()
    const guide = readFileSync(join(import.meta.dirname, '../../../../docs/guides/from-one-machine-to-a-fleet.md'), 'utf8')
    const [, grants = ''] = /```sql\n(GRANT[^`]*)```/.exec(guide) ?? []
    const role = `service_${databases}`
    await pool.query(`CREATE ROLE ${role} LOGIN; ${grants.replaceAll('TO service', `TO ${role}`)}`)
    await migrateSchema(at(pool, [...POSTGRES_MIGRATIONS, LATER]), false)
    const service = new Pool({ connectionString: url.replace('steward@', `${role}@`), max: 3 })
    ends.push(() => service.end())
    const store = await open(service)
    expect(await store.insert([{ kind: 'insert', call: samples.call({ key: 'a' }), factsSeen: 0 }])).toEqual([{ ok: true }])
    expect(await store.keepEarlyFact(OPERATION, 'b', { fact: { kind: 'applied', at: 1, by: 'webhook' }, result: null })).toEqual({ kept: true })
    await store.control({ set: { kind: 'provider', name: 'other', mode: 'pause', untilAt: null, by: 'ana', why: 'x', at: THEN } }, [])
    await service.query("INSERT INTO steward.steward_colour VALUES ('red')")
  })

  it('skips versions, and refuses the version before only where the schema says so', async () => {
    const { pool } = await withVersion1()
    await migrateSchema(at(pool, [...POSTGRES_MIGRATIONS, LATER]), false)
    await openSchema(at(pool, POSTGRES_MIGRATIONS), false)
    const other = await withVersion1()
    await migrateSchema(at(other.pool, [...POSTGRES_MIGRATIONS, LATER, LATEST]), false)
    await expect(openSchema(at(other.pool, POSTGRES_MIGRATIONS), false)).rejects.toMatchObject({ code: 'STEWARD_STORE_NEWER', details: { needs: 3 } })
  })

  it('leaves everything as it was when a step breaks off', async () => {
    const { pool } = await withVersion1()
    const broken: Migration = { version: 3, needs: 1, statements: () => ['CREATE TABLE steward_meta (oops TEXT)'] }
    await expect(migrateSchema(at(pool, [...POSTGRES_MIGRATIONS, LATER, broken]), false)).rejects.toMatchObject({ code: expect.stringMatching(/^STEWARD_STORE_/) as string })
    expect(await migrateSchema(at(pool, [...POSTGRES_MIGRATIONS, LATER]), true)).toMatchObject({ from: 1 })
  })

  it('changes nothing in a dry run', async () => {
    const { pool } = await withVersion1()
    expect(await migrateSchema(at(pool, [...POSTGRES_MIGRATIONS, LATER]), true)).toMatchObject({ from: 1, to: 2, statements: [expect.stringContaining('colour'), expect.anything()] })
    expect(await migratePostgres({ pool, schema: 'none', dryRun: true })).toMatchObject({ from: null, to: 1 })
    expect((await pool.query("SELECT to_regnamespace('none') AS place, to_regclass('steward.steward_colour') AS colour")).rows).toEqual([{ place: null, colour: null }])
    await expect(migratePostgres({ pool, namespace: 'another' })).rejects.toMatchObject({ code: 'STEWARD_NAMESPACE_CHANGED' })
  })

  it('is done by the command line, for a service that may not', async () => {
    const { url } = await withVersion1()
    const place = home()
    ends.push(() => { place.remove(); return Promise.resolve() })
    const sources = new URL('../', import.meta.url).href
    const config = `import { postgres } from '${sources}postgres/index.ts'\nexport default { store: postgres({ connectionString: '${url}', schema: 'theirs', migrate: false }) }`
    place.write('steward.config.ts', config)
    expect(await place.steward('list')).toMatchObject({ code: 1, err: expect.stringContaining('STEWARD_STORE_OUTDATED') as string })
    expect(await place.steward('migrate', '--dry-run')).toMatchObject({ code: 0, out: expect.stringContaining('CREATE TABLE steward_open') as string })
    expect(await place.steward('list')).toMatchObject({ code: 1 })
    expect(await place.steward('migrate')).toMatchObject({ code: 0, out: 'postgres schema "theirs" had no schema, and has schema 1 now.\n' })
    expect(JSON.parse((await place.steward('migrate', '--json')).out)).toEqual({ store: 'postgres schema "theirs"', dryRun: false, from: 1, to: 1, statements: [] })
    expect(await place.steward('list')).toMatchObject({ code: 0 })
  })
})

it('has nothing to do where the store migrates itself', async () => {
  const place = home()
  try {
    expect(await place.steward('migrate')).toMatchObject({ code: 0, out: expect.stringContaining('whenever it is opened') as string })
  } finally {
    place.remove()
  }
})
