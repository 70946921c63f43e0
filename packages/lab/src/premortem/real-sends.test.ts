/** Users' own code, with the clients they have, in a simulated world: what it survives, and what is found. */
import axios from 'axios'
import Stripe from 'stripe'
import { defineOperation, none, type Operation, providerKey, reconcile, type StandardSchema } from 'steward'
import { stripe as stripeApi } from 'steward/providers'
import { afterEach, describe, expect, it } from 'vitest'
import { scenarioOf } from '../scenarios/catalogue.ts'
import { play, type Played } from '../scenarios/run.ts'
import type { Scenario } from '../scenarios/scenario.ts'
import { RealSends } from './real-sends.ts'

type Order = { readonly orderId: string; readonly amount: number }
const order: StandardSchema<Order, Order> = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value: value as Order }) } }
const stripe = new Stripe('sk_test_lab')

const charge = defineOperation<Order, Order, { chargeId: string }>({
  name: 'charge-order', input: order, timeout: '20s', giveUpAfter: '2h',
  idempotency: stripeApi.v1<Order, { chargeId: string }>({
    async lookup({ orderId }) {
      const charges = await stripe.charges.list({ limit: 100 })
      const found = charges.data.find((one) => one.metadata['order_id'] === orderId)
      return found ? { found: { chargeId: found.id }, reference: found.id } : { absent: true }
    },
  }),
  async send({ orderId, amount }, { idempotencyKey }) {
    const made = await stripe.charges.create({ amount, currency: 'eur', metadata: { order_id: orderId } }, { idempotencyKey })
    return { chargeId: made.id }
  },
})

const forgetful = defineOperation<Order, Order, { chargeId: string }>({
  name: 'forgetful', input: order, timeout: '20s', giveUpAfter: '2h', idempotency: stripeApi.v1(),
  async send({ orderId, amount }) {
    return { chargeId: (await stripe.charges.create({ amount, currency: 'eur', metadata: { order_id: orderId } })).id }
  },
})

const transfer = defineOperation<Order, Order, { id: string }>({
  name: 'transfer', input: order, timeout: '10s', giveUpAfter: '2h',
  idempotency: reconcile<Order, { id: string }>(async ({ orderId }) => {
    const { data } = await axios.get<{ data: { id: string; orderId: string }[] }>('https://api.bank.example/transfers')
    const found = data.data.find((one) => one.orderId === orderId)
    return found ? { found: { id: found.id } } : { absent: true }
  }, { settle: '2m' }),
  send: async (input, { signal }) => (await axios.post<{ id: string }>('https://api.bank.example/transfers', input, { signal })).data,
})

const letter = defineOperation<Order, Order, { id: string }>({
  name: 'letter', input: order, timeout: '10s', giveUpAfter: '2h', idempotency: none('the printer keeps no list'),
  async send(input, { fetch }) {
    const answer = await fetch('https://print.example/letters', { method: 'POST', body: JSON.stringify(input) })
    if (!answer.ok) throw Object.assign(new Error(`answered ${answer.status}`), { status: answer.status, headers: answer.headers })
    return (await answer.json()) as { id: string }
  },
})

/** Sleeps between tries of its own, by real timers. */
const sleepy = defineOperation<Order, Order, { id: string }>({
  name: 'sleepy', input: order, timeout: '10m', giveUpAfter: '2h', idempotency: providerKey({ retention: '24h' }),
  async send(input, { idempotencyKey }) {
    for (let n = 1; ; n++) {
      try {
        return (await axios.post<{ id: string }>('https://api.example.com/v1/things', input, { headers: { 'Idempotency-Key': idempotencyKey } })).data
      } catch (error) {
        if (n === 4) throw error
        const backOff = globalThis['setTimeout']
        await new Promise((resolve) => void backOff(resolve, 60_000))
      }
    }
  },
})

let real: RealSends | null = null
afterEach(async () => {
  await real?.close()
  real = null
})

async function played(operation: Operation, id: string): Promise<Played> {
  await real?.close()
  real = new RealSends({ operation })
  await real.open()
  return await play(scenarioOf(id) as Scenario, { seed: 1, source: real.source, real })
}

describe("Stripe's SDK", () => {
  it.each([
    'response-lost-after-effect', 'timeout-below-provider-latency', 'crash-between-send-and-record', 'key-conflict-while-first-runs', 'cached-error-replayed', 'cancelled-while-in-flight',
    'retrying-what-cannot-succeed', 'webhook-early-twice-or-reordered', 'zombie-worker-after-lease', 'shutdown-kills-in-flight', 'version-skew-in-flight', 'credential-rotated-mid-retry',
  ])('survives %s', async (id) => {
    const { verdict, findings } = await played(charge, id)
    expect({ verdict, findings }).toEqual({ verdict: 'survived', findings: [] })
  })

  it('is found where the operation does not pass the key that it declares', async () => {
    const { verdict, findings } = await played(forgetful, 'response-lost-after-effect')
    expect(verdict).toBe('not handled')
    expect(findings.join('\n')).toContain('derived-key (o1): it was sent under stripe-node-retry-')
  })
})

it('a lookup by axios is believed, and nothing is sent twice', async () => {
  const { verdict, findings, figures } = await played(transfer, 'response-lost-after-effect')
  expect({ verdict, findings, doubled: figures.doubled, undecided: figures.undecided }).toEqual({ verdict: 'survived', findings: [], doubled: 0, undecided: 0 })
})

it('what the answer cannot decide ends in doubt, with its story', async () => {
  const { verdict, inDoubt, story, ledger } = await played(letter, 'response-lost-after-effect')
  expect({ verdict, inDoubt }).toEqual({ verdict: 'survived', inDoubt: ['o1', 'o2'] })
  expect(story?.title).toContain('in doubt')
  expect(ledger[0]).toContain('POST /letters: its answer was lost, effect letter_1')
})

it('what never left is no doubt, whatever client meets it', async () => {
  for (const operation of [letter, transfer]) expect((await played(operation, 'tls-or-dns-breaks')).findings).toEqual([])
})

it('a client that sleeps between tries of its own sleeps in virtual time', async () => {
  const { verdict, findings } = await played(sleepy, 'response-lost-after-effect')
  expect({ verdict, findings }).toEqual({ verdict: 'survived', findings: [] })
})
