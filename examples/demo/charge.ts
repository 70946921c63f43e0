/** What all strategies do: charge an order with the official Stripe SDK. */
import Stripe from 'stripe'
import type { Order, Setting } from './orders.ts'

export function stripeAt(port: number): Stripe {
  return new Stripe('sk_test_demo', { host: '127.0.0.1', port, protocol: 'http', maxNetworkRetries: 0, timeout: 2_000, telemetry: false })
}

export async function charge(stripe: Stripe, order: Order, { strategy }: Setting, idempotencyKey?: string): Promise<{ readonly chargeId: string }> {
  const { id } = await stripe.charges.create(
    { amount: order.amount, currency: 'eur', source: 'tok_visa', metadata: { order: order.id, strategy } },
    idempotencyKey === undefined ? {} : { idempotencyKey },
  )
  return { chargeId: id }
}
