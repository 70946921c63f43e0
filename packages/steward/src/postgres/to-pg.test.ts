/** Query builders in the transaction that records an end. */
import { eq, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { integer, pgTable, text } from 'drizzle-orm/pg-core'
import { type Generated, Kysely, PostgresDialect } from 'kysely'
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { natural } from '../ports/definition.ts'
import type { SettleTx } from '../ports/store.ts'
import { answers, scripted, World } from '../runtime/world.fixture.ts'
import { toPg } from './index.ts'
import { type PostgresServer, postgresServer } from './server.fixture.ts'

const orders = pgTable('orders', { id: text().primaryKey(), state: text().notNull(), total: integer().notNull().default(0) })
const lines = pgTable('lines', { id: text().notNull(), total: integer().notNull() })
type Tables = { orders: { id: string; state: string; total: Generated<number> }; lines: { id: string; total: number } }
type Handler = (tx: SettleTx | null, key: string, state: string) => Promise<void>

const drizzleHandler: Handler = async (tx, key, state) => {
  const db = drizzle(toPg(tx))
  // Two columns of one name: rows must come as arrays.
  const [row] = await db.select({ order: orders.total, line: lines.total }).from(orders).innerJoin(lines, eq(lines.id, orders.id)).where(eq(orders.id, key))
  await db.update(orders).set({ state, total: sql`${orders.total} + ${row?.line ?? 0}` }).where(eq(orders.id, key))
}
const kyselyHandler: Handler = async (tx, key, state) => {
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: toPg(tx) }) })
  const { total } = await db.selectFrom('lines').select('total').where('id', '=', key).executeTakeFirstOrThrow()
  await db.updateTable('orders').set((eb) => ({ state, total: eb('total', '+', total) })).where('id', '=', key).execute()
}

describe('the tx of onSettled, handed on', () => {
  let server: PostgresServer
  let pool: pg.Pool
  const worlds: World[] = []
  beforeAll(async () => {
    server = await postgresServer(18)
    pool = server.pool(10)
    await pool.query('CREATE TABLE orders (id TEXT PRIMARY KEY, state TEXT NOT NULL, total INTEGER NOT NULL DEFAULT 0); CREATE TABLE lines (id TEXT NOT NULL, total INTEGER NOT NULL)')
  }, 60_000)
  afterAll(() => server.remove())
  afterEach(async () => { for (const world of worlds.splice(0)) await world.close() })

  async function settled(key: string, handler: Handler): Promise<{ readonly world: World; readonly order: () => Promise<unknown> }> {
    const world = new World('postgres', pool)
    worlds.push(world)
    await pool.query("INSERT INTO orders (id, state) VALUES ($1, 'new')", [key])
    await pool.query('INSERT INTO lines VALUES ($1, 42)', [key])
    const charge = scripted(world, { idempotency: natural('x'), onSettled: ({ call, state }, { tx }) => handler(tx, call.key, state) }, answers({ ok: true }))
    const { steward } = await world.work({ operations: [charge] })
    await world.got(steward.submit(charge, { key, input: {} }))
    await world.reaches(charge, key, 'succeeded')
    return { world, order: async () => (await pool.query('SELECT state, total FROM orders WHERE id = $1', [key])).rows[0] as unknown }
  }

  it.each([['Drizzle', drizzleHandler], ['Kysely', kyselyHandler]])('to %s: its statements are part of the recording transaction', async (name, handler) => {
    const { order } = await settled(`${name} kept`, handler)
    expect(await order()).toEqual({ state: 'succeeded', total: 42 })
  })

  it.each([['Drizzle', drizzleHandler], ['Kysely', kyselyHandler]])('to %s: they are undone when the handler throws, and the end stands', async (name, handler) => {
    let calls = 0
    const { world, order } = await settled(`${name} thrown`, async (tx, key, state) => {
      await handler(tx, key, state)
      if (++calls === 1) throw new Error('the application cannot take it now')
    })
    expect(await order()).toEqual({ state: 'new', total: 0 })
    await world.until(() => calls === 2)
    await world.pass(100)
    expect(await order()).toEqual({ state: 'succeeded', total: 42 })
  })

  it('to Drizzle: a transaction of its own is refused, since this one belongs to the store', async () => {
    const errors: unknown[] = []
    await settled('nested', async (tx) => {
      await drizzle(toPg(tx)).transaction(async () => undefined).catch((error: unknown) => errors.push(error))
    })
    expect(String((errors[0] as Error).cause ?? errors[0])).toContain('is not for a handler')
  })

  it('is good for nothing else, and not after the handler', async () => {
    expect(() => toPg(null) as unknown).toThrow('toPg was given no tx')
    expect(() => toPg({ run: () => Promise.resolve({ changes: 0 }), all: () => Promise.resolve([]) }) as unknown).toThrow('toPg was given no tx')
    let kept: unknown
    await settled('late', async (tx) => { kept = await Promise.resolve(toPg(tx) as unknown) })
    await expect((kept as pg.Pool).query('SELECT 1')).rejects.toThrow('is over')
  })
})
