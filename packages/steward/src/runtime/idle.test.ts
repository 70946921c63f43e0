/** What a process costs a PostgreSQL database while it has nothing to do: real statements, counted over virtual time. */
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { providerKey } from '../ports/definition.ts'
import { type PostgresServer, postgresServer } from '../postgres/server.fixture.ts'
import { answers, scripted, World } from './world.fixture.ts'

/** A minute tells the rounds of a second from those of ten. */
const SECONDS = 60

describe('an idle process on PostgreSQL', () => {
  let server: PostgresServer
  let pool: pg.Pool
  const worlds: World[] = []
  const statements: string[] = []
  /** The pool, and every text that was sent over it. */
  const wrapped = new WeakMap<pg.PoolClient, object>()
  const counted = (client: pg.PoolClient): object => ({
    on: client.on.bind(client), removeListener: client.removeListener.bind(client), release: (destroy?: Error | boolean) => client.release(destroy), processID: (client as { readonly processID?: number }).processID,
    query: (config: pg.QueryConfig) => {
      statements.push(config.text)
      return client.query(config)
    },
  })
  const counting = (): pg.Pool => new Proxy(pool, {
    get: (target, name) => {
      if (name !== 'connect') return typeof target[name as keyof pg.Pool] === 'function' ? (target[name as keyof pg.Pool] as () => unknown).bind(target) : target[name as keyof pg.Pool]
      return async () => {
        const client = await target.connect()
        // What is learned of a connection is kept with it.
        if (!wrapped.has(client)) wrapped.set(client, counted(client))
        return wrapped.get(client)
      }
    },
  })

  beforeAll(async () => {
    server = await postgresServer(18)
    pool = server.pool(20)
  }, 60_000)
  afterAll(() => server.remove())
  afterEach(async () => { for (const world of worlds.splice(0)) await world.close() })

  function make(): World {
    const world = new World('postgres', counting())
    worlds.push(world)
    return world
  }
  /** Statements of a minute in which nothing happens. */
  async function perSecond(world: World): Promise<number> {
    await world.pass(5_000)
    statements.length = 0
    await world.pass(SECONDS * 1_000)
    return statements.length / SECONDS
  }
  async function rows(world: World): Promise<unknown> {
    const tables = ['open', 'ended', 'key', 'settle', 'alert', 'worker', 'control', 'early_fact', 'meta']
    return (await pool.query(`SELECT ${tables.map((table) => `(SELECT count(*) FROM ${world.schema}.steward_${table}) AS ${table}`).join(', ')}`)).rows[0]
  }

  it('that works calls asks well under two statements a second, and nothing grows', async () => {
    const world = make()
    const charge = scripted(world, { idempotency: providerKey({ retention: '1h' }) }, answers(1))
    const { steward } = await world.work({ operations: [charge], keepEndedFor: '30d' })
    await world.got(steward.perform(charge, { key: 'a', input: {} }))
    await world.pass(5_000)
    const before = await rows(world)
    expect(await perSecond(world)).toBeLessThanOrEqual(1.5)
    expect(statements.length).toBeGreaterThan(SECONDS / 2)
    expect(await rows(world)).toEqual(before)
  })

  it('that only submits asks at most two statements a second', async () => {
    const world = make()
    await world.open()
    expect(await perSecond(world)).toBeLessThanOrEqual(2)
  })

  it('asks no more for the calls that are not due, and for others that work beside it', async () => {
    const world = make()
    const charge = scripted(world, { idempotency: providerKey({ retention: '1h' }), giveUpAfter: '2d' }, answers(1))
    const { steward } = await world.work({ operations: [charge] })
    await world.work({ operations: [charge] })
    for (let n = 0; n < 20; n++) await world.got(steward.submit(charge, { key: `k${n}`, input: {}, runAt: world.time.wallMs + 86_400_000 + n }))
    expect(await perSecond(world)).toBeLessThanOrEqual(3)
  })
})
