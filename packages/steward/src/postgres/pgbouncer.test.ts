/** The store through PgBouncer in transaction mode: every claim of the suite, and workers of which each transaction may get another session. */
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { providerKey } from '../ports/definition.ts'
import { answers, scripted, silent, World } from '../runtime/world.fixture.ts'
import { beat } from '../testing/conformance/world.ts'
import { storeConformance } from '../testing/index.ts'
import { backupOf } from './backup.fixture.ts'
import { fromPg, postgres } from './index.ts'
import { type Bouncer, HAS_PGBOUNCER, pgbouncer } from './pgbouncer.fixture.ts'
import { type PostgresServer, postgresServer } from './server.fixture.ts'

describe.skipIf(!HAS_PGBOUNCER)('through PgBouncer in transaction mode', () => {
  let server: PostgresServer
  let bouncer: Bouncer
  let pool: pg.Pool
  let direct: pg.Pool
  beforeAll(async () => {
    server = await postgresServer(18)
    bouncer = await pgbouncer(server, 3)
    pool = bouncer.pool(20)
    direct = server.pool(4)
  }, 60_000)
  afterAll(async () => {
    await bouncer?.remove()
    await server?.remove()
  })

  let places = 0
  storeConformance({ describe, it }, 'postgres behind it', () => {
    const schema = `bounced ${++places}`
    let now = 0
    return Promise.resolve({
      make: () => postgres({ pool, schema, clock: () => now }),
      setClock: (at) => { now = at },
      withoutHints: 'LISTEN needs a session of its own, which a pooler in transaction mode does not give',
      backup: () => backupOf(direct, schema),
      remove: async () => void (await direct.query(`DROP SCHEMA IF EXISTS "${schema}" CASCADE`)),
    })
  })

  describe('a fleet behind it', () => {
    const worlds: World[] = []
    afterEach(async () => { for (const world of worlds.splice(0)) await world.close() })
    const make = (): World => {
      const world = new World('postgres', pool)
      worlds.push(world)
      return world
    }
    const idempotency = providerKey({ retention: '1h' })

    it('works what is submitted, also inside transactions of the application, and tells it in the recording one', async () => {
      const world = make()
      await direct.query('CREATE TABLE bounced_orders (key TEXT PRIMARY KEY, state TEXT NOT NULL)')
      const charge = scripted(world, { idempotency, onSettled: async ({ call, state }, { tx }) => void (await tx?.run('UPDATE bounced_orders SET state = $2 WHERE key = $1', call.key, state)) }, answers({ ok: true }))
      const one = await world.work({ operations: [charge] })
      const two = await world.work({ operations: [charge] })
      const keys = Array.from({ length: 10 }, (_, n) => `o_${n}`)
      for (const [n, key] of keys.entries()) {
        const client = await pool.connect()
        await client.query('BEGIN')
        await client.query("INSERT INTO bounced_orders VALUES ($1, 'new')", [key])
        await world.got((n % 2 === 0 ? one : two).steward.submit(charge, { key, input: {}, tx: fromPg(client) }))
        await client.query(n % 5 === 4 ? 'ROLLBACK' : 'COMMIT')
        client.release()
      }
      const kept = keys.filter((_, n) => n % 5 !== 4)
      for (const key of kept) await world.reaches(charge, key, 'succeeded')
      const { rows } = await direct.query<{ key: string; state: string }>('SELECT key, state FROM bounced_orders ORDER BY key')
      expect(rows).toEqual([...kept].sort().map((key) => ({ key, state: 'succeeded' })))
      expect(charge.sent).toHaveLength(kept.length)
      expect(await world.got(one.steward.list({ limit: 100 }))).toHaveLength(kept.length)
      await direct.query('DROP TABLE bounced_orders')
    }, 60_000)

    it('takes over from a worker that stands still, and goes on by itself when PgBouncer was killed', async () => {
      const world = make()
      const charge = scripted(world, { idempotency }, silent, answers({ ok: true }))
      const frozen = await world.work({ operations: [charge] })
      await world.got(frozen.steward.submit(charge, { key: 'a', input: {} }))
      await world.until(() => charge.sent.length === 1)
      frozen.system.frozen = true
      const other = await world.work({ operations: [charge] })
      await world.until(async () => (await other.steward.find(charge, 'a'))?.state === 'succeeded')
      await bouncer.kill()
      await expect(world.got(other.steward.submit(charge, { key: 'b', input: {} }))).rejects.toMatchObject({ code: 'STEWARD_STORE_UNAVAILABLE' })
      await bouncer.start()
      await world.got(other.steward.submit(charge, { key: 'c', input: {} }))
      await world.until(async () => (await other.steward.find(charge, 'c'))?.state === 'succeeded')
      expect(new Set(charge.sent.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(2)
    }, 60_000)
  })

  it('never listens and prepares nothing there, and asks for no session of its own', async () => {
    const texts: string[] = []
    const names = new Set<string | undefined>()
    const watched = { on: () => undefined, end: () => Promise.resolve(), options: { max: 20 }, connect: async () => {
      const client = await pool.connect()
      return new Proxy(client, { get: (target, name) => {
        const member: unknown = Reflect.get(target, name)
        if (name !== 'query' || typeof member !== 'function') return typeof member === 'function' ? (member.bind(target) as unknown) : member
        return (config: { text: string; name?: string }) => {
          texts.push(config.text)
          names.add(config.name)
          return target.query(config as pg.QueryConfig)
        }
      } })
    } }
    const store = postgres({ pool: watched, schema: 'bounced_quiet' })
    await store.open({ namespace: 'default', notice: () => undefined })
    await store.enlist({ worker: 'w1', epoch: 1, host: 'here', pid: 1, startedAt: 1, beatAt: 1, leaseUntilAt: 1, lanes: [], release: null })
    await beat(store, { worker: 'w1', epoch: 1 }, 2)
    await store.close()
    expect(texts.length).toBeGreaterThan(5)
    expect(texts.filter((text) => /\b(LISTEN|PREPARE|advisory|SET SESSION)\b|^\s*SET (?!LOCAL)/i.test(text))).toEqual([])
    expect([...names].filter((name) => name !== undefined && name !== '')).toEqual([])
  })
})
