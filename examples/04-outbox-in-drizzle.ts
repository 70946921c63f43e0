/**
 * The outbox: a call that exists exactly when the row it belongs to does.
 *
 * An order and its charge are written in one Drizzle transaction: when that commits, any worker of the fleet sends the
 * charge; when it is rolled back, there never was one. The charge's end is written to the order in the transaction that
 * records it, so that the two cannot disagree.
 *
 *   DATABASE_URL=postgres://… node examples/04-outbox-in-drizzle.ts     (node examples/postgres-server.ts gives one)
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import process from 'node:process'
import { eq, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { integer, pgTable, text } from 'drizzle-orm/pg-core'
import pg from 'pg'
import { defineOperation, type Outcome, providerKey, Steward } from 'steward'
import { fromDrizzle, postgres, toPg } from 'steward/postgres'
import * as z from 'zod'

const charges = new Map<string, string>()
const provider = createServer((request, response) => {
  const key = String(request.headers['idempotency-key'])
  charges.set(key, charges.get(key) ?? `ch_${charges.size + 1}`)
  response.end(JSON.stringify({ id: charges.get(key) }))
})
await new Promise<void>((resolve) => void provider.listen(0, '127.0.0.1', resolve))
const url = `http://127.0.0.1:${(provider.address() as AddressInfo).port}/charges`

const orders = pgTable('orders', { id: text().primaryKey(), amount: integer().notNull(), state: text().notNull(), charge: text() })
const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'], max: 10 })
const db = drizzle(pool)
await db.execute(sql`CREATE TABLE orders (id TEXT PRIMARY KEY, amount INTEGER NOT NULL, state TEXT NOT NULL, charge TEXT)`)

const chargeOrder = defineOperation({
  name: 'charge-order',
  input: z.object({ orderId: z.string(), amount: z.int() }),
  idempotency: providerKey({ retention: '24h' }),
  async send(input, { fetch, signal, idempotencyKey }) {
    const response = await fetch(url, { method: 'POST', headers: { 'idempotency-key': idempotencyKey }, body: JSON.stringify(input), signal })
    const charge = (await response.json()) as { id: string }
    return charge
  },
  // Runs in the transaction that records the end: a worker that dies here leaves neither half.
  async onSettled(outcome: Outcome<{ id: string }>, { tx }) {
    const after = outcome.effect === 'happened' ? { state: 'paid', charge: outcome.result.id } : { state: outcome.state }
    await drizzle(toPg(tx)).update(orders).set(after).where(eq(orders.id, outcome.call.key))
  },
})

const steward = await Steward.open({ store: postgres({ pool }), operations: [chargeOrder] })

async function placeOrder(id: string, amount: number, stock: number): Promise<void> {
  await db.transaction(async (tx) => {
    await tx.insert(orders).values({ id, amount, state: 'placed' })
    await steward.submit(chargeOrder, { key: id, input: { orderId: id, amount }, tx: fromDrizzle(tx, sql) })
    if (stock === 0) tx.rollback()
  })
}

await placeOrder('o_17', 4200, 3)
await placeOrder('o_18', 900, 0).catch(() => console.log('o_18: sold out, rolled back'))
console.log(`calls: ${(await steward.list()).map((call) => call.key).join(', ')}; charges at the provider: ${charges.size}`)

// Here, or in any other process on any other machine.
steward.start()
await steward.outcome(chargeOrder, 'o_17')
console.log(JSON.stringify(await db.select().from(orders)))
console.log(`charges at the provider: ${charges.size}`)

await steward.close()
await pool.end()
provider.close()
provider.closeAllConnections()
