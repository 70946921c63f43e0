/** A client that takes a refusal for a result: the call must not end "it happened". */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import Stripe from 'stripe'
import { expect, it } from 'vitest'
import * as z from 'zod'
import { defineOperation, Steward } from '../index.ts'
import { stripe as stripeApi } from '../providers/index.ts'
import { memoryStore } from '../testing/index.ts'
import { realSystem } from './system.ts'

it('sends a charge again that the SDK of Stripe had made out of a gateway’s 502', async () => {
  const keys: unknown[] = []
  const server = createServer((request, response) => {
    keys.push(request.headers['idempotency-key'])
    const [status, body] = keys.length === 1 ? [502, '{"message":"Bad Gateway"}'] as const : [200, '{"id":"ch_1","object":"charge"}'] as const
    request.resume().on('end', () => response.writeHead(status, { 'content-type': 'application/json' }).end(body))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const stripe = new Stripe('sk_test_123', { host: '127.0.0.1', port: (server.address() as AddressInfo).port, protocol: 'http', telemetry: false, maxNetworkRetries: 0 })
  const charge = defineOperation({
    name: 'charge', input: z.object({ amount: z.int() }), idempotency: stripeApi.v1(),
    async send(input, { idempotencyKey }) {
      const { id } = await stripe.charges.create({ amount: input.amount, currency: 'eur' }, { idempotencyKey })
      return { id: id as string | undefined }
    },
  })
  const steward = await Steward.open({ store: memoryStore({ system: realSystem }), operations: [charge], onAlert: null })
  try {
    steward.start()
    const outcome = await steward.perform(charge, { key: 'o1', input: { amount: 4200 } })
    const call = await steward.find('charge', 'o1')
    expect(outcome).toMatchObject({ effect: 'happened', result: { id: 'ch_1' } })
    expect(call?.story.find((entry) => entry.what === 'closed')).toMatchObject({ attempt: 1, verdict: 'unknown', status: 502 })
    expect(new Set(keys).size).toBe(1)
  } finally {
    await steward.close()
    server.close()
  }
})
