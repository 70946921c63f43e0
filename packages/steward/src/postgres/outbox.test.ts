/** The outbox on PostgreSQL, inside real transactions of real drivers. */
import { sql as drizzleSql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { drizzle as drizzleOnPostgresJs } from 'drizzle-orm/postgres-js'
import knexOf, { type Knex } from 'knex'
import { CamelCasePlugin, CompiledQuery, Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import postgresJs from 'postgres'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { natural } from '../ports/definition.ts'
import type { StandardSchema } from '../ports/standard-schema.ts'
import type { CallerTx } from '../ports/store.ts'
import type { StewardOptions } from '../runtime/api.ts'
import { defineOperation } from '../runtime/operation.ts'
import { Steward } from '../runtime/steward.ts'
import { realSystem } from '../runtime/system.ts'
import { memoryStore } from '../testing/memory-store.ts'
import { inserting, World } from '../testing/conformance/world.ts'
import { fromDrizzle, fromKnex, fromKysely, fromPg, fromPostgresJs, fromQuery, postgres } from './index.ts'
import { type PostgresServer, postgresServer, VERSIONS } from './server.fixture.ts'

type Order = { readonly amount: number; readonly note?: string }
const input: StandardSchema<Order> = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value: value as Order }) } }
const charge = defineOperation({ name: 'charge', input, idempotency: natural('x'), send: ({ amount }) => Promise.resolve({ charged: amount }) })
const silent = { info: () => undefined, warn: () => undefined, error: () => undefined }
class RolledBack extends Error {}

/** Runs work in a transaction of the driver, beside a statement of the application's own. */
type Driver = (work: (tx: CallerTx, run: (text: string) => PromiseLike<unknown>) => Promise<void>) => Promise<unknown>

describe.each(VERSIONS)('PostgreSQL %i', (version) => {
  let server: PostgresServer
  let pool: pg.Pool
  let knex: Knex
  let kysely: Kysely<unknown>
  let sql: postgresJs.Sql
  let places = 0
  const opened: Steward[] = []
  const samples = new World({ make: () => { throw new Error('opened by hand') }, setClock: () => undefined, remove: () => Promise.resolve() })

  beforeAll(async () => {
    server = await postgresServer(version)
    pool = server.pool(30)
    knex = knexOf({ client: 'pg', connection: { host: server.folder, user: 'steward', database: 'postgres' } })
    kysely = new Kysely({ dialect: new PostgresDialect({ pool: server.pool(5) }), plugins: [new CamelCasePlugin()] })
    sql = postgresJs({ host: server.folder, user: 'steward', database: 'postgres', max: 5, onnotice: () => undefined })
    await pool.query('CREATE TABLE orders (id TEXT PRIMARY KEY)')
  }, 60_000)
  afterAll(async () => {
    await Promise.all([knex.destroy(), sql.end()])
    await server.remove()
  })
  afterEach(async () => {
    for (const steward of opened.splice(0)) await steward.close({ grace: 1 })
  })

  async function open(schema = `place_${++places}`, options: Partial<StewardOptions> = {}): Promise<Steward> {
    const steward = await Steward.open({ store: postgres({ pool, schema, listen: false }), operations: [charge], log: silent, onAlert: null, ...options })
    opened.push(steward)
    return steward
  }
  const withPg: Driver = async (work) => {
    const client = await pool.connect()
    try {
      await client.query('BEGIN')
      await work(fromPg(client), (text) => client.query(text))
      await client.query('COMMIT')
    } catch (error) {
      await client.query('ROLLBACK')
      throw error
    } finally {
      client.release()
    }
  }
  const drivers: Readonly<Record<string, Driver>> = {
    pg: withPg,
    'postgres.js': (work) => sql.begin((tx) => work(fromPostgresJs(tx), (text) => tx.unsafe(text))),
    Kysely: (work) => kysely.transaction().execute((trx) => work(fromKysely(trx), (text) => trx.executeQuery(CompiledQuery.raw(text)))),
    Knex: (work) => knex.transaction((trx) => work(fromKnex(trx), (text) => trx.raw(text))),
    'Drizzle on pg': (work) => drizzle(pool).transaction((tx) => work(fromDrizzle(tx, drizzleSql), (text) => tx.execute(text))),
    'Drizzle on postgres.js': (work) => drizzleOnPostgresJs(sql).transaction((tx) => work(fromDrizzle(tx, drizzleSql), (text) => tx.execute(text))),
  }

  describe.each(Object.keys(drivers))('%s', (name) => {
    const within = drivers[name] as Driver

    it('stores the call when its transaction commits, and a worker performs it without a hint', async () => {
      const [steward, worker] = [await open(), await open(`place_${places}`)]
      worker.start()
      const key = `${version} ${name} o_1`
      await within(async (tx, run) => {
        await run(`INSERT INTO orders VALUES ('${key}')`)
        const submitted = await steward.submit(charge, { key, input: { amount: 42, note: `it's $1 "?" \\ é` }, group: 'g', priority: 3, runAt: 5, tx })
        expect(submitted).toMatchObject({ status: 'created', key })
        expect(await steward.find(charge, key)).toBeNull()
      })
      expect(await steward.outcome(charge, key)).toMatchObject({ state: 'succeeded', result: { charged: 42 } })
      expect(await steward.find(charge, key)).toMatchObject({ group: 'g', priority: 3, attempts: 1, input: { amount: 42, note: `it's $1 "?" \\ é` } })
    })

    it('leaves no call of a transaction that was rolled back', async () => {
      const steward = await open()
      await expect(within(async (tx) => {
        await steward.submit(charge, { key: 'a', input: { amount: 1 }, tx })
        throw new RolledBack()
      })).rejects.toThrow(RolledBack)
      expect(await steward.list()).toEqual([])
      expect(await steward.submit(charge, { key: 'a', input: { amount: 2 } })).toMatchObject({ status: 'created' })
    })

    it('joins the call that has the key, refuses another input, and leaves the transaction whole', async () => {
      const steward = await open()
      await steward.submit(charge, { key: 'a', input: { amount: 1 } })
      const order = `${version} ${name} o_2`
      await within(async (tx, run) => {
        expect(await steward.submit(charge, { key: 'a', input: { amount: 1 }, tx })).toMatchObject({ status: 'joined' })
        await expect(steward.submit(charge, { key: 'a', input: { amount: 2 }, tx })).rejects.toMatchObject({ code: 'STEWARD_KEY_REUSED', details: { fields: ['amount'] } })
        expect(await steward.submit(charge, { key: 'b', input: { amount: 3 }, tx })).toMatchObject({ status: 'created' })
        expect(await steward.submit(charge, { key: 'b', input: { amount: 3 }, tx })).toMatchObject({ status: 'joined' })
        await run(`INSERT INTO orders VALUES ('${order}')`)
      })
      expect((await pool.query('SELECT 1 FROM orders WHERE id = $1', [order])).rowCount).toBe(1)
      expect((await steward.list()).map((call) => call.key)).toEqual(['a', 'b'])
    })

    it('never sends what a fact said before the call existed, and keeps the fact when it is rolled back', async () => {
      const steward = await open()
      await steward.confirm(charge, 'a', { by: 'webhook evt_1', reference: 'ch_1', result: { charged: 7 } })
      await expect(within(async (tx) => {
        await steward.submit(charge, { key: 'a', input: { amount: 7 }, tx })
        throw new RolledBack()
      })).rejects.toThrow(RolledBack)
      await within(async (tx) => void (await steward.submit(charge, { key: 'a', input: { amount: 7 }, tx })))
      expect(await steward.find(charge, 'a')).toMatchObject({ state: 'succeeded', attempts: 0, result: { charged: 7 } })
    })

    it('raises in its transaction what the facts before it call for', async () => {
      const steward = await open()
      for (const reference of ['ch_1', 'ch_2']) await steward.confirm(charge, 'a', { by: `webhook ${reference}`, reference })
      await within(async (tx) => {
        await steward.submit(charge, { key: 'a', input: { amount: 7 }, tx })
        expect(await steward.alerts()).toEqual([])
      })
      expect(await steward.alerts()).toMatchObject([{ kind: 'effect_twice', key: 'a' }])
    })
  })

  it('takes any driver that can run a text with its values', async () => {
    const steward = await open()
    const client = await pool.connect()
    await client.query('BEGIN')
    await steward.submit(charge, { key: 'a', input: { amount: 1 }, tx: fromQuery(async (text, values) => (await client.query(text, [...values])).rows as Record<string, unknown>[]) })
    await client.query('COMMIT')
    client.release()
    expect(await steward.find(charge, 'a')).toMatchObject({ state: 'waiting' })
  })

  it('refuses a pool, or a client outside BEGIN, and stores nothing', async () => {
    const steward = await open()
    for (const tx of [fromPg(pool), fromKnex(knex), fromPostgresJs(sql)]) {
      await expect(steward.submit(charge, { key: 'a', input: { amount: 1 }, tx })).rejects.toMatchObject({ code: 'STEWARD_TRANSACTION_REFUSED', details: { why: 'no_transaction' } })
    }
    await steward.confirm(charge, 'b', { by: 'webhook' })
    await expect(steward.submit(charge, { key: 'b', input: { amount: 1 }, tx: fromPg(pool) })).rejects.toMatchObject({ code: 'STEWARD_TRANSACTION_REFUSED' })
    expect(await steward.list()).toEqual([])
  })

  it('refuses a transaction on another database, on a copy of the store, and of a role that may not, and leaves each whole', async () => {
    const schema = `place_${++places}`
    const elsewhere = `elsewhere_${places}`
    const steward = await open(schema)
    await pool.query(`CREATE DATABASE ${elsewhere}`)
    await pool.query(`CREATE ROLE nobody_${places} LOGIN`)
    const url = (database: string, user = 'steward'): string => `postgres://${user}@/${database}?host=${encodeURIComponent(server.folder)}`
    const refusedOn = async (where: string, why: string): Promise<void> => {
      const client = new pg.Client({ connectionString: where })
      await client.connect()
      await client.query('BEGIN')
      await expect(steward.submit(charge, { key: 'a', input: { amount: 1 }, tx: fromPg(client) })).rejects.toMatchObject({ code: 'STEWARD_TRANSACTION_REFUSED', details: { why } })
      expect((await client.query('SELECT 1')).rowCount).toBe(1)
      expect((await client.query('COMMIT')).command).toBe('COMMIT')
      await client.end()
    }
    await refusedOn(url(elsewhere), 'other_database')
    const copy = await Steward.open({ store: postgres({ connectionString: url(elsewhere), schema }), log: silent, onAlert: null })
    opened.push(copy)
    await refusedOn(url(elsewhere), 'other_database')
    await refusedOn(url('postgres', `nobody_${places}`), 'forbidden')
    // Enough for a new call, not for what is asked when the key is taken.
    await pool.query(`GRANT USAGE ON SCHEMA ${schema} TO nobody_${places}; GRANT SELECT, INSERT ON ${schema}.steward_key, ${schema}.steward_open TO nobody_${places}`)
    await refusedOn(url('postgres', `nobody_${places}`), 'forbidden')
    await pool.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${schema} TO nobody_${places}`)
    const role = new pg.Client({ connectionString: url('postgres', `nobody_${places}`) })
    await role.connect()
    await role.query('BEGIN READ ONLY')
    await expect(steward.submit(charge, { key: 'a', input: { amount: 1 }, tx: fromPg(role) })).rejects.toMatchObject({ code: 'STEWARD_TRANSACTION_REFUSED', details: { why: 'read_only' } })
    expect((await role.query('COMMIT; BEGIN'))).toMatchObject([{ command: 'COMMIT' }, { command: 'BEGIN' }])
    expect(await steward.submit(charge, { key: 'a', input: { amount: 1 }, tx: fromPg(role) })).toMatchObject({ status: 'created' })
    await role.query('ROLLBACK')
    await role.end()
    expect([...(await steward.list()), ...(await copy.list())]).toEqual([])
  })

  it('refuses a twin of the store on another server, also one that has every number of it, and knows its own when that was started anew', async () => {
    const schema = `place_${++places}`
    const twin = await postgresServer(version)
    try {
      const there = twin.pool(1)
      const store = postgres({ pool: there, schema, listen: false })
      await store.open({ namespace: 'default', notice: () => undefined })
      const within = async (): Promise<unknown> => {
        const client = await there.connect()
        await client.query('BEGIN')
        const result = await store.insertWithin?.(fromPg(client), inserting(samples.call())).catch((error: unknown) => error)
        expect((await client.query('COMMIT')).command).toBe('COMMIT')
        client.release()
        return result
      }
      const steward = await open(schema)
      const client = await there.connect()
      await client.query('BEGIN')
      await expect(steward.submit(charge, { key: 'a', input: { amount: 1 }, tx: fromPg(client) })).rejects.toMatchObject({ code: 'STEWARD_TRANSACTION_REFUSED', details: { why: 'other_database' } })
      expect((await client.query('COMMIT')).command).toBe('COMMIT')
      client.release()
      expect(await within()).toEqual({ ok: true })
      await twin.kill()
      await twin.start()
      // Its one connection is in the transaction, and it says so instead of waiting for ever.
      expect(await within()).toMatchObject({ code: 'STEWARD_STORE_UNAVAILABLE', details: { outcome: 'not_stored' } })
      expect(await within()).toEqual({ ok: true })
      await store.close()
    } finally {
      await twin.remove()
    }
  })

  it('needs no connection but the transaction\'s own, also when others have opened the store since', async () => {
    const schema = `place_${++places}`
    const small = server.pool(2)
    const steward = await open(schema, { store: postgres({ pool: small, schema, listen: false }) })
    await open(schema)
    const clients = [await small.connect(), await small.connect()]
    for (const [n, client] of clients.entries()) {
      await client.query('BEGIN')
      expect(await steward.submit(charge, { key: `o_${n}`, input: { amount: 1 }, tx: fromPg(client) })).toMatchObject({ status: 'created' })
      await client.query('COMMIT')
    }
    for (const client of clients) client.release()
    expect(await steward.list()).toHaveLength(2)
  })

  it('holds up no other submit of the process, and lets one of the same key in as soon as it ends', async () => {
    const steward = await open()
    const client = await pool.connect()
    await client.query('BEGIN')
    await steward.submit(charge, { key: 'held', input: { amount: 1 }, tx: fromPg(client) })
    const same = Array.from({ length: 5 }, () => steward.submit(charge, { key: 'held', input: { amount: 1 } }))
    const others = Array.from({ length: 200 }, (_, n) => steward.submit(charge, { key: `o_${n}`, input: { amount: n } }))
    expect((await Promise.all(others)).every((one) => one.status === 'created')).toBe(true)
    await steward.pause({ operation: 'charge' }, { by: 'ana', why: 'a pause waits for no transaction of the application' })
    await client.query('COMMIT')
    client.release()
    expect((await Promise.all(same)).map((one) => one.status)).toEqual(Array.from({ length: 5 }, () => 'joined'))
  })

  it.each(['REPEATABLE READ', 'SERIALIZABLE'])('stores no call in a %s transaction that cannot see what was said of it since', async (isolation) => {
    const steward = await open()
    await steward.refute(charge, 'a', { by: 'webhook evt_1', at: 1 })
    const client = await pool.connect()
    await client.query(`BEGIN ISOLATION LEVEL ${isolation}; SELECT 1 FROM orders`)
    await steward.confirm(charge, 'a', { by: 'webhook evt_2', reference: 'ch_1' })
    await expect(steward.submit(charge, { key: 'a', input: { amount: 1 }, tx: fromPg(client) })).rejects.toMatchObject({ details: { sqlState: '40001', outcome: 'not_stored' } })
    await client.query('ROLLBACK')
    client.release()
    expect(await steward.submit(charge, { key: 'a', input: { amount: 1 } })).toMatchObject({ status: 'created' })
    expect(await steward.find(charge, 'a')).toMatchObject({ state: 'succeeded', attempts: 0 })
  })

  it('says that the record of a key is gone, instead of looking for ever, when its row was deleted by hand', async () => {
    const schema = `place_${++places}`
    const steward = await open(schema)
    const order = { key: 'a', input: { amount: 1 } }
    const statement = await steward.submitStatement(charge, order)
    await steward.submit(charge, order)
    await pool.query(`DELETE FROM ${schema}.steward_open`)
    const gone = { code: 'STEWARD_STORE_CORRUPT', details: { key: 'a' } }
    await expect(steward.submit(charge, order)).rejects.toMatchObject(gone)
    expect(await steward.submit(charge, { key: 'b', input: { amount: 1 } })).toMatchObject({ status: 'created' })
    await expect(steward.confirm(charge, 'a', { by: 'webhook' })).rejects.toMatchObject(gone)
    await withPg(async (tx, run) => {
      await expect(steward.submit(charge, { ...order, tx })).rejects.toMatchObject(gone)
      await run('SELECT 1')
    })
    const { rows } = await pool.query(statement.text, [...statement.values])
    expect(() => statement.read(rows[0] as Record<string, unknown>)).toThrow(expect.objectContaining({ code: gone.code }))
  })

  it('keeps inputs sealed that are submitted inside a transaction', async () => {
    const schema = `place_${++places}`
    const steward = await open(schema, { encryption: { use: 'k1', keys: { k1: new Uint8Array(32).fill(7) } } })
    await withPg(async (tx) => void (await steward.submit(charge, { key: 'a', input: { amount: 987_654 }, tx })))
    const { rows } = await pool.query(`SELECT row_to_json(t)::text AS text FROM ${schema}.steward_open AS t`)
    expect((rows[0] as { text: string }).text).not.toContain('987654')
    await withPg(async (tx) => {
      expect(await steward.submit(charge, { key: 'a', input: { amount: 987_654 }, tx })).toMatchObject({ status: 'joined' })
    })
  })

  it('refuses what cannot be part of the transaction, before anything is stored', async () => {
    const steward = await open()
    const inMemory = await Steward.open({ store: memoryStore({ system: realSystem }), operations: [charge], log: silent, onAlert: null })
    opened.push(inMemory)
    await withPg(async (tx) => {
      const order = { key: 'a', input: { amount: 1 } }
      await expect(steward.submit(charge, { ...order, supersedes: 'b', tx })).rejects.toMatchObject({ code: 'STEWARD_TRANSACTION_REFUSED' })
      await expect(inMemory.submit(charge, { ...order, tx })).rejects.toMatchObject({ code: 'STEWARD_TRANSACTION_REFUSED' })
      await expect(steward.submit(charge, { ...order, tx: { driver: 'of another store' } })).rejects.toMatchObject({ code: 'STEWARD_TRANSACTION_REFUSED', details: { why: 'no_wrapper' } })
      await expect(steward.submitMany(charge, [{ ...order, tx } as typeof order])).rejects.toMatchObject({ code: 'STEWARD_OPTION_INVALID' })
      await expect(steward.perform(charge, { ...order, tx } as typeof order)).rejects.toMatchObject({ code: 'STEWARD_OPTION_INVALID' })
    })
    expect(await steward.list()).toEqual([])
  })
})
