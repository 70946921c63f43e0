/** The same charge as an operation of Steward: the preset knows what Stripe does with keys, and what its errors mean. */
import { defineOperation, type Operation } from 'steward'
import { stripe as stripeApi } from 'steward/providers'
import * as z from 'zod'
import { charge, stripeAt } from './charge.ts'
import type { Order, Setting } from './orders.ts'

export function chargeOrder(setting: Setting): Operation<Order, Order, { readonly chargeId: string }> {
  const stripe = stripeAt(setting.proxyPort)
  return defineOperation<Order, Order, { readonly chargeId: string }>({
    name: 'charge-order',
    input: z.object({ id: z.string(), amount: z.int() }),
    idempotency: stripeApi.v1(),
    timeout: '3s',
    backoff: { base: '100ms', cap: '2s' },
    send: (order, { idempotencyKey }) => charge(stripe, order, setting, idempotencyKey),
  })
}
