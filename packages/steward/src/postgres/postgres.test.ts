/** What the conformance suite cannot ask: connections that break, transactions that overlap, and what rows cost. */
import { type AddressInfo, createServer } from 'node:net'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Store } from '../ports/store.ts'
import { alert, begun, changed, claimOf, ended, enlist, inserting, OPERATION, pulse, put, running, START, World, write } from '../testing/conformance/world.ts'
import { migratePostgres, postgres, type PgPool, type PostgresOptions } from './index.ts'
import { type Meddle, meddledPool, type PostgresServer, postgresServer, VERSIONS } from './server.fixture.ts'

describe.each(VERSIONS)('PostgreSQL %i', (version) => {
  let server: PostgresServer
  let pool: pg.Pool
  let places = 0
  const opened: Store[] = []
  const samples = new World({ make: () => { throw new Error('opened by hand') }, setClock: () => undefined, remove: () => Promise.resolve() })
  const call = samples.call.bind(samples)

  beforeAll(async () => {
    // What vacuum does at moments of its own choosing would be counted as ours.
    server = await postgresServer(version, { fsync: 'off', autovacuum: 'off' })
    pool = server.pool(30)
  }, 60_000)
  afterAll(() => server.remove())
  afterEach(async () => {
    for (const store of opened.splice(0)) await store.close()
  })

  const place = (): string => `place_${++places}`
  async function open(options: Partial<PostgresOptions> = {}, namespace = 'default'): Promise<Store> {
    const store = postgres({ pool, clock: () => START, listen: false, ...options })
    await store.open({ namespace, notice: () => undefined })
    opened.push(store)
    return store
  }
  const meddling = (meddle: Meddle): PgPool => meddledPool(pool, meddle)
  /** When some other connection waits for a lock of the schema's tables. */
  async function somebodyWaits(on = pool): Promise<void> {
    for (;;) {
      const { rows } = await on.query("SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")
      if ((rows[0] as { n: number }).n > 0) return
    }
  }

  describe('opening', () => {
    it('makes a new schema once, however many open it at the same moment', async () => {
      const schema = place()
      const stores = await Promise.all(Array.from({ length: 6 }, () => open({ schema })))
      const [one, two] = stores as [Store, Store]
      await put(one, call({ key: 'a' }))
      expect((await two.find(OPERATION, 'a'))?.key).toBe('a')
    })

    it('refuses a schema of a newer version, and changes nothing', async () => {
      const schema = place()
      await open({ schema })
      await pool.query(`UPDATE ${schema}.steward_meta SET value = '99' WHERE name IN ('schema_version', 'schema_needs')`)
      await expect(open({ schema })).rejects.toMatchObject({ code: 'STEWARD_STORE_NEWER', details: { needs: 99 } })
    })

    it('does not migrate when it is told not to, and works after somebody else has', async () => {
      const schema = place()
      await expect(open({ schema, migrate: false })).rejects.toMatchObject({ code: 'STEWARD_STORE_OUTDATED' })
      const { rows } = await pool.query('SELECT to_regnamespace($1) AS there', [schema])
      expect(rows).toEqual([{ there: null }])
      await migratePostgres({ pool, schema })
      await put(await open({ schema, migrate: false }), call())
    })

    it('does not open without knowing which database this is because the one that was asked was just stopping', async () => {
      const schema = place()
      await open({ schema })
      for (const state of ['57P01', '57014', '53200']) {
        const stopping = meddling(async (text, run) => (text.includes('pg_current_wal_lsn') && text.includes('told') ? Promise.reject(Object.assign(new Error('terminating connection'), { code: state })) : await run()))
        await expect(open({ schema, pool: stopping })).rejects.toMatchObject({ code: 'STEWARD_STORE_UNAVAILABLE', details: { sqlState: state } })
      }
      // One that has no such thing is opened all the same.
      await open({ schema, pool: meddling(async (text, run) => (text.includes('told') ? Promise.reject(Object.assign(new Error('no such function'), { code: '42883' })) : await run())) })
    })

    it('says plainly that nobody listens, or that it may not come in', async () => {
      const nobody = postgres({ connectionString: `postgres://steward@/postgres?host=${encodeURIComponent(`${server.folder}/none`)}` })
      await expect(nobody.open({ namespace: 'default', notice: () => undefined })).rejects.toMatchObject({ code: 'STEWARD_STORE_UNAVAILABLE', details: { outcome: 'not_stored' } })
      const nowhere = postgres({ connectionString: server.url.replace('/postgres?', '/nowhere?') })
      await expect(nowhere.open({ namespace: 'default', notice: () => undefined })).rejects.toMatchObject({ code: 'STEWARD_STORE_LOCATION' })
    })

    it('opens by a connection string, too, and lets all connections go when it is closed', async () => {
      const schema = place()
      const store = postgres({ connectionString: `${server.url}&application_name=${schema}`, schema })
      await store.open({ namespace: 'default', notice: () => undefined })
      await put(store, call())
      await store.close()
      for (;;) {
        const { rows } = await pool.query('SELECT 1 FROM pg_stat_activity WHERE application_name = $1', [schema])
        if (rows.length === 0) break
      }
    })

    it.each([[{}, 'either'], [{ pool: {} }, 'pg.Pool'], [{ schema: 'pg_x' }, 'pg_'], [{ schema: '' }, 'schema'], [{ connections: 0 }, 'connections']])('refuses the options %j', (options, word) => {
      const given = 'pool' in options || Object.keys(options).length === 0 ? options : { pool, ...options }
      expect(() => postgres(given as PostgresOptions)).toThrow(expect.objectContaining({ code: 'STEWARD_OPTION_INVALID', message: expect.stringContaining(word) as string }))
    })
  })

  describe('time', () => {
    it('is the database\'s, by one function, whatever this machine\'s clock says', async () => {
      const schema = place()
      await open({ schema })
      await pool.query(`CREATE OR REPLACE FUNCTION ${schema}.steward_now() RETURNS BIGINT LANGUAGE sql AS 'SELECT 1900000000000'`)
      let ticks = 5_000
      const store = postgres({ pool, schema, listen: false, ticks: () => ticks })
      await store.open({ namespace: 'default', notice: () => undefined })
      opened.push(store)
      expect(store.now()).toBe(1_900_000_000_000)
      ticks += 1_234.5
      expect(store.now()).toBe(1_900_000_001_234)
      await pool.query(`CREATE OR REPLACE FUNCTION ${schema}.steward_now() RETURNS BIGINT LANGUAGE sql AS 'SELECT 1900000009000'`)
      await put(store, call())
      expect(store.now()).toBe(1_900_000_009_000)
    })

    it('goes on where it was when the database\'s clock is set back an hour', async () => {
      const schema = place()
      await open({ schema })
      const set = (now: number) => pool.query(`CREATE OR REPLACE FUNCTION ${schema}.steward_now() RETURNS BIGINT LANGUAGE sql AS 'SELECT ${now}'`)
      await set(1_900_000_000_000)
      let ticks = 0
      const notices: string[] = []
      const store = postgres({ pool, schema, listen: false, ticks: () => ticks })
      await store.open({ namespace: 'default', notice: (text) => void notices.push(text) })
      opened.push(store)
      await set(1_899_996_400_000)
      await put(store, call())
      expect(store.now()).toBe(1_900_000_000_000)
      ticks += 500
      expect(store.now()).toBe(1_900_000_000_500)
      expect(notices).toEqual([expect.stringContaining("the database's clock is 3600 s behind")])
    })
  })

  describe('a begin and a pause', () => {
    it('goes on when whoever sets a pause stands still in the middle of it', async () => {
      const schema = place()
      const store = await open({ schema })
      const lease = await enlist(store, 'w1')
      const one = call()
      await put(store, one)
      await claimOf(store, lease)
      let goOn: () => void = () => undefined
      const still = new Promise<void>((resolve) => { goOn = resolve })
      let locked: () => void = () => undefined
      const hasLocked = new Promise<void>((resolve) => { locked = resolve })
      const frozen = await open({
        schema, statementMs: 500,
        pool: meddling(async (text, run) => {
          const result = await run()
          if (!text.startsWith('LOCK')) return result
          locked()
          await still
          return result
        }),
      })
      const pause = frozen.control({ set: { kind: 'provider', name: 'p', mode: 'pause', untilAt: null, by: 'ana', why: 'x', at: START } }, [])
      const refused = expect(pause).rejects.toMatchObject({ code: 'STEWARD_STORE_UNAVAILABLE' })
      await hasLocked
      expect(await write(store, begun(one, lease, { controlsRev: 0 }))).toEqual({ ok: true })
      goOn()
      await refused
      expect((await store.controls()).all).toEqual([])
    })

    it('never commits a begin after a pause that it has not seen, also when the begin was under way first', async () => {
      const schema = place()
      const store = await open({ schema })
      const lease = await enlist(store, 'w1')
      const one = call()
      await put(store, one)
      await claimOf(store, lease)
      // Whoever sets a control holds this lock until its commit.
      const other = await pool.connect()
      await other.query(`BEGIN; LOCK TABLE ${schema}.steward_control_rev IN EXCLUSIVE MODE; UPDATE ${schema}.steward_control_rev SET rev = rev + 1`)
      const begin = write(store, begun(one, lease, { controlsRev: 0 }))
      await somebodyWaits()
      await other.query('COMMIT')
      other.release()
      expect(await begin).toEqual({ ok: false, why: 'controls', call: one })
    })

    it('confirms a pause only when every begin under way is committed', async () => {
      const schema = place()
      const store = await open({ schema })
      const lease = await enlist(store, 'w1')
      const one = call()
      await put(store, one)
      await claimOf(store, lease)
      const other = await pool.connect()
      await other.query(`BEGIN; SELECT FROM ${schema}.steward_open FOR UPDATE`)
      const begin = write(store, begun(one, lease, { controlsRev: 0 }))
      await somebodyWaits()
      const order: string[] = []
      const pause = store.control({ set: { kind: 'provider', name: 'p', mode: 'pause', untilAt: null, by: 'ana', why: 'x', at: START } }, []).then(() => void order.push('paused'))
      const beginning = begin.then((result) => { order.push('begun'); return result })
      await other.query('COMMIT')
      other.release()
      await pause
      expect(await beginning).toEqual({ ok: true })
      expect(order[0]).toBe('begun')
    })
  })

  describe('keys', () => {
    it('waits for an insert of the same key in a transaction that is open elsewhere, and joins it', async () => {
      const schema = place()
      const store = await open({ schema, lockMs: 15_000 })
      const first = call({ key: 'same' })
      await put(store, first)
      const other = await pool.connect()
      await other.query(`BEGIN; INSERT INTO ${schema}.steward_key (operation, key, id) VALUES ('${OPERATION}', 'new', 'c_elsewhere');
        INSERT INTO ${schema}.steward_open SELECT 'c_elsewhere', rev, epoch, due_at, limit_at, place, version, priority, operation, grp, encryption_key_id, state, rare_state, worker, body, replace(replace(input, '"same"', '"new"'), '${first.id}', 'c_elsewhere') FROM ${schema}.steward_open`)
      const inserted = store.insert([inserting(call({ key: 'new' })), inserting(call({ key: 'bystander' }))])
      await somebodyWaits()
      await other.query('COMMIT')
      other.release()
      expect(await inserted).toEqual([{ ok: false, why: 'joined', call: { ...first, id: 'c_elsewhere', key: 'new' } }, { ok: true }])
    })

    it('inserts after all when the transaction that had the key is rolled back', async () => {
      const schema = place()
      const store = await open({ schema, lockMs: 15_000 })
      const other = await pool.connect()
      await other.query(`BEGIN; INSERT INTO ${schema}.steward_key (operation, key, id) VALUES ('${OPERATION}', 'new', 'c_elsewhere')`)
      const inserted = store.insert([inserting(call({ key: 'new' }))])
      await somebodyWaits()
      await other.query('ROLLBACK')
      other.release()
      expect(await inserted).toEqual([{ ok: true }])
    })

    it('stores the others while a transaction elsewhere has a key, and says of that one that it is held', async () => {
      const schema = place()
      const store = await open({ schema })
      const other = await pool.connect()
      await other.query(`BEGIN; INSERT INTO ${schema}.steward_key (operation, key, id) VALUES ('${OPERATION}', 'k_5', 'c_elsewhere')`)
      const calls = Array.from({ length: 9 }, (_, n) => call({ key: `k_${n}` }))
      expect(await store.insert(calls.map((one) => inserting(one)))).toEqual(calls.map(({ key }) => (key === 'k_5' ? { ok: false, why: 'held' } : { ok: true })))
      await other.query('ROLLBACK')
      other.release()
      expect(await store.insert(calls.map((one) => inserting(one)))).toEqual(calls.map((one) => (one.key === 'k_5' ? { ok: true } : { ok: false, why: 'joined', call: one })))
    })

    it('never lets a fact and its call pass each other', async () => {
      const schema = place()
      const [one, two] = [await open({ schema }), await open({ schema })]
      const fact = { fact: { kind: 'applied', at: START, by: 'webhook' }, result: null } as const
      for (let n = 0; n < 60; n++) {
        const key = `race_${n}`
        const [inserted, kept] = await Promise.all([one.insert([inserting(call({ key }))]), two.keepEarlyFact(OPERATION, key, fact)])
        // Either the insert hears of the fact, or the fact hears of the call.
        expect([inserted[0]?.ok, kept.kept], key).toEqual(inserted[0]?.ok ? [true, false] : [false, true])
      }
    })
  })

  describe('answers that do not come', () => {
    it('says that nobody knows when the connection breaks after an insert was sent, and joins it when it is repeated', async () => {
      const schema = place()
      await open({ schema })
      let cut = true
      const store = await open({ schema, pool: meddling(async (text, run) => {
        const result = await run()
        if (!text.includes('INSERT INTO') || !text.includes('steward_open') || !cut) return result
        cut = false
        throw Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })
      }) })
      const one = call()
      await expect(store.insert([inserting(one)])).rejects.toMatchObject({ code: 'STEWARD_STORE_UNAVAILABLE', details: { outcome: 'unknown' } })
      expect(await store.insert([inserting(one)])).toEqual([{ ok: false, why: 'joined', call: one }])
    })

    it('says that nothing was stored when the connection breaks before the COMMIT, and that nobody knows when it breaks in it', async () => {
      const schema = place()
      await open({ schema })
      let breaks = ''
      const store = await open({ schema, pool: meddling(async (text, run) => {
        if (breaks !== '' && text.startsWith(breaks)) throw new Error('Connection terminated unexpectedly')
        return await run()
      }) })
      const one = call()
      const ending = inserting(ended(one).call)
      breaks = 'INSERT INTO'
      await expect(store.insert([ending])).rejects.toMatchObject({ details: { outcome: 'not_stored' } })
      breaks = 'COMMIT'
      await expect(store.insert([ending])).rejects.toMatchObject({ details: { outcome: 'unknown' } })
      breaks = ''
      expect(await store.insert([ending])).toEqual([{ ok: true }])
    })

    it('is told by a server that crashed while an insert waited that nobody knows, and goes on by itself when it is back', async () => {
      const own = await postgresServer(version)
      try {
        const store = postgres({ pool: own.pool(), clock: () => START, lockMs: 15_000 })
        await store.open({ namespace: 'default', notice: () => undefined })
        const other = await own.pool().connect()
        other.on('error', () => undefined)
        await other.query(`BEGIN; INSERT INTO steward.steward_key (operation, key, id) VALUES ('${OPERATION}', 'new', 'c_elsewhere')`)
        const inserted = store.insert([inserting(call({ key: 'new' }))])
        await somebodyWaits(own.pool(1))
        const refused = expect(inserted).rejects.toMatchObject({ code: 'STEWARD_STORE_UNAVAILABLE', details: { outcome: 'unknown' } })
        await own.kill()
        await refused
        other.release(true)
        await expect(store.find(OPERATION, 'new')).rejects.toMatchObject({ code: 'STEWARD_STORE_UNAVAILABLE' })
        await own.start()
        await put(store, call({ key: 'new' }))
        await store.close()
      } finally {
        await own.remove()
      }
    }, 60_000)

    it('tries alone what callers asked for together, when one of them brings values that no row can hold', async () => {
      const store = await open({ schema: place() })
      const impossible = call({ key: 'nul \u0000 nul' })
      // The first fills the batch under way; the others wait, and go together.
      const results = await Promise.allSettled([...Array.from({ length: 3 }, () => store.insert([inserting(call())])), store.insert([inserting(impossible)]), store.insert([inserting(call())])])
      expect(results.map((result) => result.status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected', 'fulfilled'])
    })
  })

  describe('failpoints', () => {
    it('are passed before each commit, and after it when it was stored', async () => {
      const passed: string[] = []
      const down = { now: false }
      const breaking = meddling((_text, run) => (down.now ? Promise.reject(new Error('the wire is gone')) : run()))
      const store = await open({ schema: place(), pool: breaking, failpoints: { hit: (name) => void passed.push(name) } })
      const lease = await enlist(store, 'w')
      await put(store, call())
      const [claimed] = await claimOf(store, lease)
      if (claimed === undefined) throw new Error('nothing was claimed')
      const begin = begun(claimed, lease)
      await write(store, begin)
      await write(store, ended(begin.call))
      expect(passed).toEqual(['submit', 'claim', 'begin', 'finish'].flatMap((point) => [`${point}.before-commit`, `${point}.after-commit`]))
      down.now = true
      await expect(put(store, call())).rejects.toMatchObject({ code: 'STEWARD_STORE_UNAVAILABLE' })
      expect(passed.slice(8)).toEqual(['submit.before-commit'])
    })
  })

  describe('connections', () => {
    it('do not end the process when a server says in one breath that it is ready and that it stops', async () => {
      // As a server does that crashes while somebody connects, and whose words arrive together.
      const message = (type: string, body: Buffer): Buffer => {
        const head = Buffer.alloc(5)
        head.write(type)
        head.writeInt32BE(body.length + 4, 1)
        return Buffer.concat([head, body])
      }
      const letIn = [message('R', Buffer.alloc(4)), message('Z', Buffer.from('I'))]
      const stops = message('E', Buffer.from('SFATAL\0VFATAL\0C57P01\0Mterminating connection due to unexpected postmaster exit\0\0'))
      const stopping = createServer((socket) => {
        socket.on('error', () => undefined)
        socket.once('data', () => socket.end(Buffer.concat([...letIn, stops])))
      })
      await new Promise<void>((resolve) => void stopping.listen(0, '127.0.0.1', resolve))
      const connectionString = `postgres://steward@127.0.0.1:${(stopping.address() as AddressInfo).port}/postgres`
      for (const own of [{ connectionString }, { pool: new pg.Pool({ connectionString }) }]) {
        await expect(postgres(own).open({ namespace: 'default', notice: () => undefined })).rejects.toMatchObject({ code: 'STEWARD_STORE_UNAVAILABLE' })
      }
      stopping.close()
    })

    it('uses no more of the pool than it was told, and keeps none', async () => {
      const schema = place()
      let [out, most] = [0, 0]
      const counted: PgPool = {
        on: () => undefined, end: () => Promise.resolve(),
        connect: async () => {
          const client = await pool.connect()
          most = Math.max(most, ++out)
          const release = client.release.bind(client)
          client.release = (destroy?: Error | boolean) => { out--; client.release = release; release(destroy) }
          return client
        },
      }
      const store = await open({ schema, pool: counted, connections: 3 })
      await Promise.all(Array.from({ length: 100 }, (_, n) => (n % 2 === 0 ? store.insert([inserting(call())]) : store.list({ limit: 5 }))))
      await store.close()
      expect(most).toBeLessThanOrEqual(3)
      // How many are out at once while a new pool connects is the pool's business; more than one is what the limit is for.
      expect(most).toBeGreaterThan(1)
      expect(out).toBe(0)
    })

    it('prepares its statements where a connection is a session, and none behind a pooler', async () => {
      const schema = place()
      await open({ schema })
      const names: (string | undefined)[] = []
      const watching = (processId: (real: number) => number): PgPool => ({
        on: () => undefined, end: () => Promise.resolve(),
        connect: async () => {
          const client = await pool.connect()
          const real = (client as unknown as { processID: number }).processID
          return {
            processID: processId(real),
            on: (event: string, listener: (...about: unknown[]) => void) => client.on(event as 'error', listener),
            removeListener: (event: string, listener: (...about: unknown[]) => void) => client.removeListener(event, listener),
            release: () => client.release(),
            query: (config: { readonly text: string; readonly name?: string }) => { names.push(config.name); return client.query(config as pg.QueryConfig) },
          }
        },
      })
      const direct = await open({ schema, pool: watching((real) => real) })
      await put(direct, call())
      expect(names.filter((name) => name !== undefined).length).toBeGreaterThan(0)
      await direct.close()
      names.length = 0
      await put(await open({ schema, pool: watching((real) => real + 1) }), call())
      expect(names.length).toBeGreaterThan(0)
      expect(names.filter((name) => name !== undefined)).toEqual([])
    })

    it('works whatever the application made of the types of numbers', async () => {
      const { default: { types } } = await import('pg')
      const usual = types.getTypeParser(20) as (text: string) => unknown
      types.setTypeParser(20, (text: string) => BigInt(text))
      try {
        const store = await open({ schema: place() })
        const lease = await enlist(store, 'w1')
        const one = await running(samples, store, lease)
        expect(await write(store, ended(one, 'succeeded', { lease }))).toEqual({ ok: true })
        expect(await store.workers()).toMatchObject([{ worker: 'w1', epoch: 1, leaseUntilAt: START + 60_000 }])
        expect(await store.controls()).toEqual({ rev: 0, all: [], restored: null })
      } finally {
        types.setTypeParser(20, usual)
      }
    })

    it('writes again what the server undid to end a deadlock', async () => {
      const schema = place()
      const store = await open({ schema })
      const [first, second] = [call(), call()]
      await put(store, first, second)
      const other = await pool.connect()
      const lock = (key: string): Promise<unknown> => other.query(`SELECT o.id FROM ${schema}.steward_open AS o JOIN ${schema}.steward_key AS k USING (id) WHERE k.key = '${key}' FOR UPDATE OF o`)
      // The other one never gives way.
      await other.query("BEGIN; SET LOCAL deadlock_timeout = '1min'")
      await lock(second.key)
      const written = store.write([changed(first, { reason: 'again' }), changed(second, { reason: 'again' })])
      await somebodyWaits()
      await lock(first.key)
      await other.query('COMMIT')
      other.release()
      expect(await written).toEqual([{ ok: true }, { ok: true }])
    })
  })

  describe('a handler in the recording transaction', () => {
    async function settling(): Promise<{ store: Store; schema: string; one: ReturnType<typeof call> }> {
      const schema = place()
      const store = await open({ schema, settleMs: 300 })
      await pool.query(`CREATE TABLE ${schema}.orders (id TEXT PRIMARY KEY, state TEXT)`)
      const one = call()
      await put(store, one)
      return { store, schema, one }
    }
    const orders = async (schema: string): Promise<unknown[]> => (await pool.query(`SELECT * FROM ${schema}.orders ORDER BY id`)).rows

    it('commits its statements with the end, or not at all', async () => {
      const { store, schema, one } = await settling()
      const end = ended(one, 'succeeded', { settleDueAt: START })
      expect(await store.writeSettling(end, async (tx) => {
        expect(await tx.run(`INSERT INTO ${schema}.orders VALUES ($1, $2)`, 'o_1', 'paid')).toEqual({ changes: 1 })
        expect(await tx.all(`SELECT state FROM ${schema}.orders WHERE id = $1`, 'o_1')).toEqual([{ state: 'paid' }])
        expect(await orders(schema)).toEqual([])
      })).toEqual({ result: { ok: true } })
      expect([await orders(schema), await store.get(one.id)]).toEqual([[{ id: 'o_1', state: 'paid' }], end.call])
    })

    it('keeps the end and none of its statements when it throws, takes too long, or goes on after a refused statement', async () => {
      for (const [name, broken] of Object.entries<(tx: Parameters<Parameters<Store['writeSettling']>[1]>[0], schema: string) => Promise<void>>({
        throws: () => Promise.reject(new Error('boom')),
        late: () => new Promise(() => { /* never */ }),
        slow: async (tx) => void (await tx.all('SELECT pg_sleep(20)')),
        goesOn: async (tx) => void (await tx.run('SELECT nonsense').catch(() => undefined)),
        commits: async (tx) => void (await tx.run('/* now */ COMMIT')),
        several: async (tx, schema) => void (await tx.run(`DELETE FROM ${schema}.orders; COMMIT`)),
      })) {
        const { store, schema, one } = await settling()
        const end = ended(one, 'succeeded', { settleDueAt: START })
        const { result, handler } = await store.writeSettling(end, async (tx) => {
          await tx.run(`INSERT INTO ${schema}.orders VALUES ('o_1', 'paid')`)
          await broken(tx, schema)
        })
        expect([name, result, handler]).toEqual([name, { ok: true }, expect.any(Error)])
        expect([name, await orders(schema), await store.get(one.id)]).toEqual([name, [], end.call])
        expect(await store.settlesDue(START, 10)).toHaveLength(1)
      }
    })

    it('records the end without it when its statements make the commit impossible', async () => {
      const { store, schema, one } = await settling()
      await pool.query(`CREATE TABLE ${schema}.lines (order_id TEXT REFERENCES ${schema}.orders (id) DEFERRABLE INITIALLY DEFERRED)`)
      const end = ended(one, 'succeeded', { settleDueAt: START, alerts: [alert('a1')] })
      const { result, handler } = await store.writeSettling(end, async (tx) => void (await tx.run(`INSERT INTO ${schema}.lines VALUES ('none')`)))
      expect([result, handler]).toEqual([{ ok: true }, expect.objectContaining({ message: expect.stringContaining('made the commit impossible') as string })])
      expect((await pool.query(`SELECT * FROM ${schema}.lines`)).rows).toEqual([])
      expect([await store.get(one.id), await store.settlesDue(START, 10)]).toEqual([end.call, [{ call: end.call, dueAt: START, tries: 0 }]])
      expect(await store.alerts({ undeliveredOnly: false, limit: 10 })).toHaveLength(1)
    })

    it('records the end without it when a check of the application refuses the commit', async () => {
      const { store, schema, one } = await settling()
      await pool.query(`CREATE FUNCTION ${schema}.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'out of balance'; END $$;
        CREATE CONSTRAINT TRIGGER balance AFTER INSERT ON ${schema}.orders DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ${schema}.refuse()`)
      const end = ended(one, 'succeeded', { settleDueAt: START })
      const { result, handler } = await store.writeSettling(end, async (tx) => void (await tx.run(`INSERT INTO ${schema}.orders VALUES ('o_1', 'paid')`)))
      expect([result, handler]).toEqual([{ ok: true }, expect.objectContaining({ message: expect.stringContaining('out of balance') as string })])
      expect([await orders(schema), await store.get(one.id), await store.settlesDue(START, 10)]).toEqual([[], end.call, [{ call: end.call, dueAt: START, tries: 0 }]])
    })

    it('commits its statements with the end when it has taken on a role that may not touch the tables of the store', async () => {
      const { store, schema, one } = await settling()
      await pool.query(`CREATE ROLE tenant_${places}; GRANT USAGE ON SCHEMA ${schema} TO tenant_${places}; GRANT INSERT ON ${schema}.orders TO tenant_${places}`)
      const end = ended(one, 'succeeded', { settleDueAt: START })
      expect(await store.writeSettling(end, async (tx) => {
        await tx.run(`SET LOCAL ROLE tenant_${places}`)
        await tx.run(`INSERT INTO ${schema}.orders VALUES ('o_1', 'paid')`)
      })).toEqual({ result: { ok: true } })
      expect([await orders(schema), await store.get(one.id), await store.settlesDue(START, 10)]).toEqual([[{ id: 'o_1', state: 'paid' }], end.call, []])
    })

    it('holds nobody up for longer than it may take, when its process freezes', async () => {
      const { store, schema, one } = await settling()
      const thaws: (() => void)[] = []
      const isFrozen = Promise.withResolvers<void>()
      const frozen = postgres({ schema, clock: () => START, listen: false, settleMs: 300, pool: meddling(async (text, run) => {
        if (thaws.length === 0 && !text.startsWith('SAVEPOINT')) return await run()
        isFrozen.resolve()
        return await new Promise((_, reject) => { thaws.push(() => reject(new Error('Connection terminated unexpectedly'))) })
      }) })
      await frozen.open({ namespace: 'default', notice: () => undefined })
      const settled = frozen.writeSettling(ended(one, 'rejected'), () => Promise.resolve())
      const refused = expect(settled).rejects.toMatchObject({ details: { outcome: 'not_stored' } })
      await isFrozen.promise
      expect(await write(store, changed(one, { reason: 'by somebody else' }))).toEqual({ ok: true })
      // What it was about to say, and the ROLLBACK that follows.
      thaws[0]?.()
      while (thaws.length < 2) await new Promise<void>((resolve) => void setImmediate(resolve))
      thaws[1]?.()
      await refused
      await frozen.close()
    })
  })

  describe('hints', () => {
    it('reach other openings of the same schema, and no other', async () => {
      const [schema, elsewhere] = [place(), place()]
      const [teller, hearer] = [await open({ schema, listen: true }), await open({ schema, listen: true })]
      const other = await open({ schema: elsewhere, listen: true })
      const strangers: string[] = []
      teller.onHint(() => void strangers.push('itself'))
      other.onHint(() => void strangers.push('another store'))
      const hinted = new Promise<void>((resolve) => void hearer.onHint(resolve))
      await put(teller, call())
      await hinted
      await put(other, call())
      expect(strangers).toEqual([])
    })

    it('are heard again after the listening connection broke', async () => {
      const schema = place()
      const [teller, hearer] = [await open({ schema }), await open({ schema, listen: true })]
      const heard = (): Promise<void> => new Promise((resolve) => void hearer.onHint(resolve))
      const first = heard()
      await put(teller, call())
      await first
      const { rows } = await pool.query("SELECT pg_terminate_backend(pid) AS ended FROM pg_stat_activity WHERE query LIKE 'LISTEN %'")
      expect(rows).toEqual([{ ended: true }])
      // Listening again is itself a hint: what was told in between was missed.
      await heard()
      const again = heard()
      await put(teller, call())
      await again
    })

    it('are all told before the store is closed, also one that is slower than the next', async () => {
      let goOn: () => void = () => undefined
      const slow = new Promise<void>((resolve) => { goOn = resolve })
      let [asked, told] = [0, 0]
      const store = await open({
        schema: place(),
        pool: meddling(async (text, run) => {
          if (!text.includes('pg_notify')) return await run()
          if (++asked === 1) await slow
          const result = await run()
          told++
          return result
        }),
      })
      await expect.poll(async () => {
        await put(store, call())
        return told
      }).toBe(1)
      opened.pop()
      const closed = store.close().then(() => 'closed')
      expect(await Promise.race([closed, pool.query('SELECT 1').then(() => 'open')])).toBe('open')
      goOn()
      expect(await closed).toBe('closed')
      expect(told).toBe(asked)
    })

    it('end quietly when the listening connection breaks while it is being closed', async () => {
      const own = server.pool(8)
      const clients = new Set<pg.PoolClient>()
      own.on('acquire', (client) => clients.add(client))
      const store = await open({ schema: place(), pool: own, listen: true })
      await store.close()
      opened.pop()
      expect(clients.size).toBeGreaterThan(0)
      for (const client of clients) expect(client.emit('error', new Error('terminating connection due to administrator command'))).toBe(true)
    })

    it('hold one connection after the listening one broke while it began to listen', async () => {
      const own = server.pool(8)
      let listens = 0
      const breaking = new Proxy(own, {
        get: (pool, name) => {
          const member: unknown = Reflect.get(pool, name)
          if (name !== 'connect') return typeof member === 'function' ? (member.bind(pool) as unknown) : member
          return async () => {
            const client = await pool.connect()
            const query = client.query.bind(client) as (config: { readonly text: string }) => Promise<pg.QueryResult>
            client.query = ((config: { readonly text: string }) => {
              if (!config.text.startsWith('LISTEN') || ++listens > 1) return query(config)
              const error = new Error('Connection terminated unexpectedly')
              client.emit('error', error)
              return Promise.reject(error)
            }) as typeof client.query
            return client
          }
        },
      })
      const store = await open({ schema: place(), pool: breaking, listen: true })
      await expect.poll(() => listens, { timeout: 10_000 }).toBe(2)
      await put(store, call())
      await put(store, call())
      // What tells others of the second may be under way still.
      await expect.poll(() => [listens, own.totalCount - own.idleCount]).toEqual([2, 1])
      await store.close()
      opened.pop()
      expect(own.totalCount - own.idleCount).toBe(0)
    })

    it('hold no connection of a small pool', async () => {
      const small = server.pool(5)
      const [store, roomy] = [await open({ schema: place(), pool: small, listen: 'auto' }), server.pool(6)]
      await put(store, call())
      await open({ schema: place(), pool: roomy, listen: 'auto' })
      expect([small.totalCount - small.idleCount, roomy.totalCount - roomy.idleCount]).toEqual([0, 1])
    })
  })

  describe('a worker whose row is gone (deleted by hand, or by a version of the library that keeps none)', () => {
    it('is found by what is leased to it: its claims go back, its begun calls are lapsed', async () => {
      const schema = place()
      const store = await open({ schema })
      const [lost, healthy] = [await enlist(store, 'w1'), await enlist(store, 'w2', 1, START + 1e9)]
      const busy = await running(samples, store, lost)
      const mine = await running(samples, store, healthy)
      const claimed = call()
      await put(store, claimed)
      await claimOf(store, lost)
      await pool.query(`DELETE FROM ${schema}.steward_worker WHERE worker = 'w1'`)
      const other = await open({ schema })
      expect(await other.orphans(10)).toEqual([busy])
      expect((await claimOf(store, healthy)).map(({ id }) => id)).toEqual([claimed.id])
      // From here on it is one that left, for everybody.
      expect((await pulse(store, healthy)).todo.dead).toBe(true)
      expect((await store.backlog()).map(({ stuck }) => stuck)).toEqual([1])
      expect((await store.workers()).map(({ worker }) => worker)).toEqual(['w2'])
      await write(store, changed(busy, { state: 'in_doubt', dueAt: null }, { leaseAfter: 'release' }))
      expect((await pulse(store, healthy)).todo.dead).toBe(false)
      expect(await write(store, ended(mine, 'succeeded', { lease: healthy }))).toEqual({ ok: true })
    })
  })

  describe('rows', () => {
    /** What the one connection of the pool did to the hot table. Statistics of a connection are written when it says so. */
    async function counted(one: pg.Pool, schema: string): Promise<{ readonly updates: number; readonly inPlace: number; readonly pages: number }> {
      await one.query('SELECT pg_stat_force_next_flush()')
      const { rows } = await one.query(`SELECT n_tup_upd::int AS updates, n_tup_hot_upd::int AS "inPlace", (heap_blks_read + heap_blks_hit)::int AS pages
        FROM pg_stat_user_tables JOIN pg_statio_user_tables USING (relid) WHERE pg_stat_user_tables.schemaname = $1 AND pg_stat_user_tables.relname = 'steward_open'`, [schema])
      return rows[0] as { updates: number; inPlace: number; pages: number }
    }

    it('begins in place where the page has room: no index entry is written', async () => {
      const [schema, one] = [place(), server.pool(1)]
      const store = await open({ schema, pool: one })
      const lease = await enlist(store, 'w1')
      await put(store, ...Array.from({ length: 4 }, () => call()))
      const claimed = await claimOf(store, lease)
      const before = await counted(one, schema)
      expect(before).toMatchObject({ updates: 4, inPlace: 0 })
      await store.write(claimed.map((each) => begun(each, lease)))
      expect(await counted(one, schema)).toMatchObject({ updates: 8, inPlace: 4 })
    })

    /** Time by which each question takes as long: looks from the beginning are then twenty of them apart. */
    const ticking = (byMs = 1): (() => number) => {
      let ticks = 0
      return () => (ticks += byMs)
    }

    it('claims no more slowly while a transaction is held open elsewhere', async () => {
      const [schema, one] = [place(), server.pool(1)]
      const store = await open({ schema, pool: one, ticks: ticking() })
      const lease = await enlist(store, 'w1', 1, START + 1e9)
      for (let page = 0; page < 4; page++) await put(store, ...Array.from({ length: 1_000 }, () => call()))
      const holder = await pool.connect()
      await holder.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
      await holder.query(`SELECT count(*) FROM ${schema}.steward_open`)
      const pages: number[] = []
      for (let times = 0; times < 16; times++) {
        const before = await counted(one, schema)
        expect(await claimOf(store, lease, { limit: 200, now: START + 1_000 })).toHaveLength(200)
        pages.push((await counted(one, schema)).pages - before.pages)
      }
      await holder.query('ROLLBACK')
      holder.release()
      expect(pages[15]).toBeLessThan(2 * (pages[1] as number))
    })

    it('finds what comes about behind what it has claimed: given back elsewhere, stored late, of another priority', async () => {
      const schema = place()
      const [store, other] = [await open({ schema, ticks: ticking() }), await open({ schema })]
      const [lease, theirs] = [await enlist(store, 'w1', 1, START + 1e9), await enlist(other, 'w2', 1, START + 1e9)]
      const back = call({ dueAt: START - 9 })
      await put(store, back)
      await claimOf(other, theirs)
      await put(store, ...Array.from({ length: 60 }, () => call()))
      await claimOf(store, lease, { limit: 2 })
      const [late, urgent] = [call({ dueAt: START - 5 }), call({ priority: -1 })]
      await put(other, late, urgent)
      await other.giveBack(theirs, [back.id])
      const claimed: string[] = []
      for (let times = 0; times < 22; times++) claimed.push(...(await claimOf(store, lease, { limit: 2 })).map((each) => each.id))
      expect(claimed).toEqual(expect.arrayContaining([back.id, late.id, urgent.id]))
      expect(new Set(claimed).size).toBe(claimed.length)
    })

    it('passes over nothing that it saw and was not given, or did not ask for', async () => {
      const schema = place()
      const store = await open({ schema, ticks: ticking(40) })
      const lost = await enlist(store, 'w1')
      const both = [{ operation: OPERATION, versions: [1] }, { operation: 'refund-order', versions: [1] }]
      await put(store, call(), call({ operation: 'refund-order' }))
      expect(await claimOf(store, lost, { lanes: both })).toHaveLength(2)
      const [charge, refund] = [call(), call({ operation: 'refund-order' })]
      await put(store, charge, refund)
      await store.fenceDead(START + 60_000, null)
      expect(await claimOf(store, lost, { lanes: both, now: START + 10_000 })).toEqual([])
      const lease = await enlist(store, 'w2', 1, START + 1e9)
      expect((await claimOf(store, lease, { now: START + 20_000 })).map(({ id }) => id)).toEqual([charge.id])
      // Refunds were held meanwhile.
      expect((await claimOf(store, lease, { lanes: both, now: START + 30_000 })).map(({ id }) => id)).toEqual([refund.id])
    })

    it('goes through all that was stored late, once a look from the beginning has found some of it', async () => {
      const schema = place()
      const [store, other] = [await open({ schema, ticks: ticking(40) }), await open({ schema })]
      const lease = await enlist(store, 'w1', 1, START + 1e9)
      await put(store, ...Array.from({ length: 4 }, () => call()))
      for (let times = 0; times < 3; times++) await claimOf(store, lease, { limit: 2 })
      await put(other, ...Array.from({ length: 20 }, () => call({ dueAt: START - 60_000 })))
      let claimed = 0
      for (let times = 0; times < 50; times++) claimed += (await claimOf(store, lease, { limit: 2 })).length
      expect(claimed).toBe(20)
    })

    it('finds a priority that is new with the next claim, and with the next pulse, however long looks from the beginning take', async () => {
      const schema = place()
      const [store, other] = [await open({ schema, ticks: ticking(40) }), await open({ schema })]
      const lease = await enlist(store, 'w1', 1, START + 1e9)
      const lanes = [{ operation: OPERATION, versions: [1] }]
      const told = async (): Promise<number | null> => (await store.pulse({ now: START, lease, leaseUntilAt: null, operations: [OPERATION], lanes })).nextDueAt
      await put(store, ...Array.from({ length: 8 }, () => call()))
      await claimOf(store, lease, { limit: 2 })
      await told()
      const [urgent, idle] = [call({ priority: -1, dueAt: START - 7 }), call({ priority: 5, dueAt: START - 9 })]
      await put(other, urgent, idle)
      expect(await told()).toBe(START - 9)
      const claimed = await claimOf(store, lease, { limit: 10 })
      expect(claimed.map(({ id }) => id)).toEqual([urgent.id, ...claimed.slice(1, 7).map(({ id }) => id), idle.id])
    })

    it('tells of what is due in any priority that is new, also behind one that is not due yet', async () => {
      const schema = place()
      const [store, other] = [await open({ schema, ticks: ticking(40) }), await open({ schema })]
      const lease = await enlist(store, 'w1', 1, START + 1e9)
      await put(store, call())
      await claimOf(store, lease, { now: START + 5_000 })
      await pulse(store, lease)
      await put(other, call({ priority: 1, dueAt: START + 3_600_000 }), call({ priority: 2, dueAt: START - 9 }))
      expect((await pulse(store, lease)).nextDueAt).toBe(START - 9)
    })

    /** A store whose questions take that long, by their text. */
    const taking = (schema: string, tookMs: (text: string) => number, options: Partial<PostgresOptions> = {}): Promise<Store> => {
      let ticks = 0
      const slow = meddling(async (text, run) => {
        ticks += tookMs(text)
        return await run()
      })
      return open({ schema, pool: slow, ticks: () => ticks, ...options })
    }
    const fromBeginning = (text: string): boolean => text.includes('seek AS') && text.includes('SKIP LOCKED')

    it('tells of what is due behind what it has claimed while pulses take long and claims do not', async () => {
      const schema = place()
      const [store, other] = [await taking(schema, (text) => (text.includes('AS overdue') ? 40 : 0)), await open({ schema })]
      const lease = await enlist(store, 'w1', 1, START + 1e9)
      await put(store, call())
      await claimOf(store, lease, { now: START + 10_000 })
      for (let times = 0; times < 3; times++) await pulse(store, lease, START + 10_000)
      await put(other, call({ dueAt: START + 1 }))
      const told: (number | null)[] = []
      for (let times = 0; times < 30; times++) told.push((await pulse(store, lease, START + 10_000)).nextDueAt)
      expect(told).toContain(START + 1)
    })

    it('does not take a pulse that asks for no lane for a sign that looks from the beginning are quick again', async () => {
      const schema = place()
      let looks = 0
      const store = await taking(schema, (text) => {
        if (!fromBeginning(text)) return text.includes('AS overdue') ? 60_000 : 0
        looks++
        return 40
      }, { connections: 1 })
      const lease = await enlist(store, 'w1', 1, START + 1e9)
      await put(store, ...Array.from({ length: 8 }, () => call()))
      await claimOf(store, lease, { limit: 2 })
      for (let times = 0; times < 2; times++) await store.pulse({ now: START, lease, leaseUntilAt: null, operations: [OPERATION], lanes: [] })
      expect(await claimOf(store, lease, { limit: 2 })).toHaveLength(2)
      expect(looks).toBe(1)
    })

    it.each([['from the beginning', 0], ['from where it was', 40]])('claims what it gives back with the next claim, also where one was under way meanwhile, that looked %s', async (_from, tookMs) => {
      const schema = place()
      let [ticks, took] = [0, tookMs]
      let door = Promise.resolve()
      const slow = meddling(async (text, run) => {
        if (!text.includes('SKIP LOCKED')) return await run()
        ticks += took
        const result = await run()
        await door
        return result
      })
      const store = await open({ schema, pool: slow, ticks: () => ticks })
      const lease = await enlist(store, 'w1', 1, START + 1e9)
      const back = call({ dueAt: START - 9 })
      await put(store, back)
      await claimOf(store, lease)
      await put(store, ...Array.from({ length: 4 }, () => call()))
      const { promise, resolve } = Promise.withResolvers<void>()
      ;[door, took] = [promise, 40]
      const claimed = claimOf(store, lease, { limit: 2 })
      await expect.poll(async () => (await store.leasedTo(lease, 10)).length).toBe(3)
      await store.giveBack(lease, [back.id])
      resolve()
      expect((await claimed).map(({ id }) => id)).not.toContain(back.id)
      expect((await claimOf(store, lease)).map(({ id }) => id)).toContain(back.id)
    })

    it('claims what was given back, and what the lost had claimed, without a look from the beginning', async () => {
      const schema = place()
      let looks = 0
      const [store, other] = [await taking(schema, (text) => (fromBeginning(text) ? (looks++, 40) : 0)), await open({ schema })]
      const [lease, theirs] = [await enlist(store, 'w1', 1, START + 1e9), await enlist(other, 'w2')]
      const lost = call({ dueAt: START - 9 })
      await put(store, lost)
      await claimOf(other, theirs)
      await put(store, ...Array.from({ length: 8 }, () => call()))
      const [back] = await claimOf(store, lease, { limit: 2 })
      await store.giveBack(lease, [back?.id as string])
      expect((await claimOf(store, lease, { limit: 2 })).map(({ id }) => id)).toContain(back?.id)
      await store.fenceDead(START + 60_000, null)
      await store.orphans(10, [OPERATION])
      expect((await claimOf(store, lease, { limit: 2 })).map(({ id }) => id)).toContain(lost.id)
      expect(looks).toBe(1)
    })

    it('walks no further over what was claimed of a priority in which nothing waited when it last looked from the beginning', async () => {
      const [schema, one] = [place(), server.pool(1)]
      const [store, other] = [await open({ schema, pool: one, ticks: ticking(40) }), await open({ schema })]
      const [lease, theirs] = [await enlist(store, 'w1', 1, START + 1e9), await enlist(other, 'w2', 1, START + 1e9)]
      await put(other, call({ priority: 5 }))
      await claimOf(store, lease)
      const holder = await pool.connect()
      await holder.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
      await holder.query(`SELECT count(*) FROM ${schema}.steward_open`)
      for (const priority of [0, 5]) await put(other, ...Array.from({ length: 1_000 }, () => call({ priority })))
      expect(await claimOf(other, theirs, { limit: 2_000 })).toHaveLength(2_000)
      const pages: number[] = []
      for (let times = 0; times < 4; times++) {
        const before = await counted(one, schema)
        // Another group is paused: the first two look from the beginning.
        expect(await claimOf(store, lease, { now: START + 10_000, pausedGroups: times === 0 ? [] : ['a'] })).toEqual([])
        pages.push((await counted(one, schema)).pages - before.pages)
      }
      await holder.query('ROLLBACK')
      holder.release()
      expect(pages[3]).toBeLessThan((pages[1] as number) / 10)
    })

    it('tells of what has to end since the last look from the beginning, also where that found some', async () => {
      const schema = place()
      const store = await taking(schema, (text) => (text.includes('AS overdue') ? 400 : 0))
      const lease = await enlist(store, 'w1', 1, START + 1e9)
      await put(store, call({ giveUpAt: START - 1 }))
      expect((await pulse(store, lease)).todo.overdue).toBe(true)
      await put(store, call({ giveUpAt: START + 5_000 }))
      expect((await store.pulse({ now: START + 6_000, lease, leaseUntilAt: START + 1e9, operations: [OPERATION], lanes: [] })).todo.overdue).toBe(true)
    })

    it('claims at once what is stored a moment after a call that is due later was claimed, however long looks from the beginning take', async () => {
      const schema = place()
      const [store, other] = [await open({ schema, ticks: ticking(40) }), await open({ schema })]
      const lease = await enlist(store, 'w1', 1, START + 1e9)
      await put(other, call())
      await claimOf(store, lease)
      await put(other, call({ dueAt: START + 7 }))
      expect(await claimOf(store, lease, { now: START + 8 })).toHaveLength(1)
      const slower = call({ dueAt: START + 5 })
      await put(other, slower)
      expect((await claimOf(store, lease, { now: START + 10 })).map(({ id }) => id)).toEqual([slower.id])
    })

    it('looks from the beginning of a lane once, whichever others it is asked for together with', async () => {
      let looks = 0
      const store = await taking(place(), (text) => (fromBeginning(text) ? (looks++, 40) : 0))
      const lease = await enlist(store, 'w1', 1, START + 1e9)
      const lanes = ['a', 'b', 'c'].map((operation) => ({ operation, versions: [1] }))
      for (let times = 0; times < 3; times++) {
        await claimOf(store, lease, { lanes: lanes.slice(0, 2) })
        await claimOf(store, lease, { lanes: lanes.slice(1) })
      }
      expect(looks).toBe(2)
    })

    it('tells of looks for what lies behind that are given up again and again, once', async () => {
      const schema = place()
      const notices: string[] = []
      const broken = meddling(async (text, run) => (text.includes('<= (r.from_at, r.from_id)') ? Promise.reject(Object.assign(new Error('canceling statement due to statement timeout'), { code: '57014' })) : await run()))
      const store = postgres({ pool: broken, schema, clock: () => START, listen: false, ticks: ticking(40) })
      await store.open({ namespace: 'default', notice: (text) => void notices.push(text) })
      opened.push(store)
      const lease = await enlist(store, 'w1', 1, START + 1e9)
      await put(store, ...Array.from({ length: 4 }, () => call()))
      for (let times = 0; times < 120; times++) await claimOf(store, lease, { limit: 2 })
      expect(notices).toEqual([expect.stringContaining('are given up (StewardError')])
    })

    it('raises an alert of them once that has gone on for minutes', async () => {
      const schema = place()
      let ticks = 0
      const broken = meddling(async (text, run) => {
        ticks += 40
        return text.includes('<= (r.from_at, r.from_id)') ? Promise.reject(Object.assign(new Error('canceling statement due to statement timeout'), { code: '57014' })) : await run()
      })
      const store = await open({ schema, pool: broken, ticks: () => ticks })
      const lease = await enlist(store, 'w1', 1, START + 1e9)
      await put(store, ...Array.from({ length: 4 }, () => call()))
      const kinds = async () => (await store.alerts({ undeliveredOnly: true, limit: 10 })).map((alert) => [alert.kind, alert.message])
      const claimFor = async (ms: number): Promise<void> => {
        for (const until = ticks + ms; ticks < until; ticks += 1_000) await claimOf(store, lease, { limit: 2 })
      }
      await claimFor(250_000)
      expect(await kinds()).toEqual([])
      await claimFor(200_000)
      expect(await kinds()).toEqual([['looks_given_up', expect.stringContaining('canceling statement')]])
    })

    it('does not answer that nothing is late, or left by lost workers, while the looks for it are given up', async () => {
      const schema = place()
      let [ticks, isBroken] = [0, false]
      const broken = meddling(async (text, run) => {
        ticks += 4_000
        return isBroken && text.includes('WITH') ? Promise.reject(Object.assign(new Error('canceling statement due to statement timeout'), { code: '57014' })) : await run()
      })
      const store = await open({ schema, pool: broken, ticks: () => ticks })
      isBroken = true
      const looks = (): Promise<readonly unknown[]> => Promise.all([store.lateLanes(START), store.orphans(10)].map((look) => look.then(() => 'answered', (error: Error & { code?: unknown }) => error.code)))
      const refused = ['STEWARD_STORE_UNAVAILABLE', 'STEWARD_STORE_UNAVAILABLE']
      expect(await looks()).toEqual(refused)
      expect(await looks()).toEqual(refused)
      isBroken = false
      // They rest after one that took long.
      expect(await looks()).toEqual(refused)
      ticks += 60_000
      expect(await looks()).toEqual(['answered', 'answered'])
      expect(await looks()).toEqual(['answered', 'answered'])
    })

    it('beats at once while a look from the beginning takes longer than a lease, and tells what that found with the next beat', async () => {
      const schema = place()
      let ticks = 0
      let door = Promise.resolve()
      const slow = meddling(async (text, run) => {
        if (!text.includes('left_behind')) return await run()
        ticks += 8_000
        await door
        return await run()
      })
      const store = await open({ schema, pool: slow, ticks: () => ticks })
      const lease = await enlist(store, 'w1', 1, START + 60_000)
      await pulse(store, lease)
      const left = await running(samples, store, await enlist(store, 'w2', 1, START + 90_000))
      await pool.query(`UPDATE ${schema}.steward_open SET worker = NULL, epoch = NULL, state = 'waiting', limit_at = ${START - 60_000} WHERE id = '${left.id}'`)
      const { promise, resolve } = Promise.withResolvers<void>()
      door = promise
      const told = async (now: number): Promise<[boolean, boolean]> => {
        const { alive, todo } = await store.pulse({ now, lease, leaseUntilAt: now + 60_000, operations: [OPERATION], lanes: [] })
        return [alive, todo.overdue]
      }
      for (const now of [START + 5_000, START + 10_000]) {
        ticks += 60_000
        // What came about behind is not seen from where the last look ended.
        expect(await told(now)).toEqual([true, false])
      }
      resolve()
      while (!(await told(START + 11_000))[1]);
    })

    it('claims by the index alone, however much waits and is not due', async () => {
      const [schema, one] = [place(), server.pool(1)]
      const store = await open({ schema, pool: one })
      const lease = await enlist(store, 'w1', 1, START + 1e9)
      for (let page = 0; page < 5; page++) await put(store, ...Array.from({ length: 2_000 }, () => call({ dueAt: START + 5_000 })))
      await put(store, ...Array.from({ length: 100 }, () => call({ priority: 10 })))
      await one.query(`ANALYZE ${schema}.steward_open`)
      const before = await counted(one, schema)
      expect(await claimOf(store, lease, { limit: 20 })).toHaveLength(20)
      for (let times = 0; times < 20; times++) expect(await claimOf(store, lease, { limit: 4 })).toHaveLength(4)
      const after = await counted(one, schema)
      expect(after.pages - before.pages).toBeLessThan(1_000)
      await one.query(`SELECT count(*) FROM ${schema}.steward_open WHERE body <> ''`)
      expect((await counted(one, schema)).pages - after.pages).toBeGreaterThan(400)
    })
  })
})
