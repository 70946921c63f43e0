import { describe, expect, it } from 'vitest'
import type { ClientAnswer, ClientRequest } from '../contract.ts'
import type { WorkAct } from '../faults/steps.ts'
import { seeded } from '../sim/random.ts'
import { CONTRACTS, type ProviderContract } from './contract.ts'
import { ProviderModel } from './model.ts'

const HOUR = 3_600_000

/** A provider, and requests that arrive one after another. */
function provider(contract: ProviderContract) {
  const model = new ProviderModel(contract, seeded(1))
  const request = (key: string, amount = 100): ClientRequest => ({ provider: contract.name, method: 'POST', path: '/effects/o_1', headers: { [contract.keys?.header ?? 'x']: key }, body: { operation: 'charge', orderId: 'o_1', amount } })
  return {
    model,
    /** Runs a request from its arrival to its end. */
    send: (key: string, at: number, work: WorkAct | null = null, amount = 100): ClientAnswer => {
      const arrival = model.arrive(request(key, amount), at, null, work)
      return arrival.finish(at + arrival.afterMs).answer
    },
    arrive: (key: string, at: number) => model.arrive(request(key), at, null, null),
    look: (at: number): unknown => model.arrive({ provider: contract.name, method: 'GET', path: '/effects?orderId=o_1', headers: {}, body: null }, at, null, null).finish(at).answer.body,
    effects: () => model.ledger.effects.length,
  }
}
const failed = (effect: boolean): WorkAct => ({ do: 'error', effect, status: 500 })

describe('Stripe v1', () => {
  it('replays the first answer, marked, and has one effect', () => {
    const { send, effects, model } = provider(CONTRACTS.stripeV1)
    const first = send('k', 0)
    expect(send('k', HOUR)).toMatchObject({ status: 200, body: first.body, headers: { 'idempotent-replayed': 'true' } })
    expect(effects()).toBe(1)
    expect(model.ledger.requests.map(({ isReplay }) => isReplay)).toEqual([false, true])
  })
  it('replays a 500 for the whole window, and is a new request after it', () => {
    const { send, effects } = provider(CONTRACTS.stripeV1)
    expect(send('k', 0, failed(true)).status).toBe(500)
    expect(send('k', 23 * HOUR).status).toBe(500)
    expect(effects()).toBe(1)
    expect(send('k', 24 * HOUR).status).toBe(200)
    expect(effects()).toBe(2)
  })
  it('says 409 while the first request runs, and 400 to other parameters', () => {
    const { arrive, send } = provider(CONTRACTS.stripeV1)
    const running = arrive('k', 0)
    expect(send('k', 1)).toMatchObject({ status: 409, body: { error: { code: 'idempotency_key_in_use' } } })
    running.finish(running.afterMs)
    expect(send('k', 5_000, null, 200)).toMatchObject({ status: 400, body: { error: { type: 'idempotency_error' } } })
  })
})

it('Stripe v2 and PayPal take failed work up again, and find what was achieved', () => {
  for (const contract of [CONTRACTS.stripeV2, CONTRACTS.paypalOrders]) {
    const { send, effects } = provider(contract)
    expect(send('k', 0, failed(true)).status).toBe(500)
    expect(send('k', HOUR).status).toBeLessThan(300)
    expect(effects(), contract.name).toBe(1)
  }
})

it('Checkout.com keeps only successes: after an error the same key pays again', () => {
  const { send, effects } = provider(CONTRACTS.checkoutCom)
  send('k', 0, failed(true))
  expect(send('k', 1_000).status).toBe(201)
  expect(effects()).toBe(2)
  send('k', 2_000)
  expect(effects()).toBe(2)
})

it('Adyen marks errors that it does not keep, and keeps the others', () => {
  const { send, effects } = provider(CONTRACTS.adyenPayments)
  expect(send('k', 0, failed(false)).headers).toMatchObject({ 'transient-error': 'true', 'idempotency-key': 'k' })
  expect(send('k', 1_000).status).toBe(200)
  expect(send('l', 2_000, failed(true)).headers).not.toHaveProperty('transient-error')
  expect(send('l', 3_000).status).toBe(500)
  expect(effects()).toBe(2)
})

it('a provider without keys has an effect for each request, which shows up after a while', () => {
  const { send, look, effects } = provider(CONTRACTS.keylessLookup)
  send('k', 0)
  send('k', 10)
  expect(effects()).toBe(2)
  expect(look(10)).toMatchObject({ data: [] })
  expect((look(60_000) as { data: unknown[] }).data).toHaveLength(2)
})

it('a document that is put twice is there once', () => {
  const { send, effects } = provider(CONTRACTS.documents)
  send('k', 0)
  send('k', 10)
  expect(effects()).toBe(1)
})

it('a payout is pending until its effect shows', () => {
  const contract = CONTRACTS.laterPayouts
  const model = new ProviderModel(contract, seeded(3))
  const arrival = model.arrive({ provider: contract.name, method: 'POST', path: '/effects/o_1', headers: { 'idempotency-key': 'k' }, body: { operation: 'pay', orderId: 'o_1', amount: 5 } }, 0, null, null)
  const { answer, later } = arrival.finish(arrival.afterMs)
  const look = (at: number): unknown => model.arrive({ provider: contract.name, method: 'GET', path: '/effects?orderId=o_1', headers: {}, body: null }, at, null, null).finish(at).answer.body
  expect(answer).toMatchObject({ status: 202, body: { status: 'pending' } })
  expect(look(1_000)).toMatchObject({ data: [], pending: true })
  expect(later!.happen(50_000)).toMatchObject({ says: 'applied' })
  expect(look(50_000 + 30_001)).toMatchObject({ data: [{ amount: 5 }], pending: false })
})
