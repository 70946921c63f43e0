/** The truth: what Stripe's own ledger says was charged, read past the proxy, page by page. */
import { stripeAt } from './charge.ts'
import { ORDERS } from './orders.ts'

export type Counted = { readonly once: number; readonly twice: number; readonly never: number }

/** Per strategy: how many orders were charged once, more than once, never. */
export async function readLedger(mockPort: number, strategies: readonly string[]): Promise<ReadonlyMap<string, Counted>> {
  const stripe = stripeAt(mockPort)
  const charges = new Map<string, number>()
  for await (const charge of stripe.charges.list({ limit: 100 })) {
    const name = `${charge.metadata['strategy']}/${charge.metadata['order']}`
    charges.set(name, (charges.get(name) ?? 0) + 1)
  }
  return new Map(strategies.map((strategy) => {
    const counts = ORDERS.map((order) => charges.get(`${strategy}/${order.id}`) ?? 0)
    return [strategy, { once: counts.filter((count) => count === 1).length, twice: counts.filter((count) => count > 1).length, never: counts.filter((count) => count === 0).length }]
  }))
}
