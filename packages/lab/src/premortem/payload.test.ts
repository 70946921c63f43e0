import { defineOperation, natural, none, type Operation, providerKey, reconcile, type StandardSchema } from 'steward'
import { checkout, paypal, stripe } from 'steward/providers'
import { describe, expect, it } from 'vitest'
import { contractOf } from './model-of.ts'
import { amountOf, isQuestion, isTokenRequest, parsedBody } from './payload.ts'

describe('what a client sent', () => {
  it.each([
    ['{"amount":4200,"orderId":"o1"}', 'application/json', { amount: 4200, orderId: 'o1' }],
    ['amount=4200&metadata[order_id]=o1&expand[0]=customer', 'application/x-www-form-urlencoded', { amount: '4200', metadata: { order_id: 'o1' }, expand: { 0: 'customer' } }],
    ['[{"id":1}]', 'application/json', { items: [{ id: 1 }] }], ['', '', {}], ['<order/>', 'text/xml', { text: '<order/>' }], ['{"cut', 'application/json', { text: '{"cut' }],
  ])('%s', (text, type, body) => {
    expect(parsedBody(text, type)).toEqual(body)
  })

  it.each([[{ amount: 4200 }, 4200], [{ amount: '4200' }, 4200], [{ amount: { currency: 'EUR', value: 4200 } }, 4200], [{ amount: '42.00' }, null], [{ amount: 42.5 }, null], [{}, null], [{ amount: null }, null]])('%j is %s minor units', (body, amount) => {
    expect(amountOf(body)).toBe(amount)
  })

  it.each([['GET', '/v1/charges', true], ['POST', '/v1/charges', false], ['POST', '/v1/charges/search?query=x', true], ['PUT', '/documents/listing', false], ['HEAD', '/x', true]])('%s %s only asks: %s', (method, path, asks) => {
    expect(isQuestion(method, path)).toBe(asks)
  })

  it.each([['/v1/oauth2/token', true], ['/token?x=1', true], ['/v1/tokens', false], ['/v1/charges', false]])('%s fetches a token: %s', (path, is) => {
    expect(isTokenRequest(path)).toBe(is)
  })
})

describe('the model that stands in for a provider', () => {
  const anything: StandardSchema<unknown, unknown> = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } }
  const of = (idempotency: Operation['idempotency']): ReturnType<typeof contractOf> => contractOf(defineOperation({ name: 'pay', input: anything, idempotency, send: () => Promise.resolve(null) }))
  const absent = { lookup: () => Promise.resolve({ absent: true as const }) }

  it.each([
    ['a Stripe v1 key', stripe.v1(), { name: 'stripe', keeps: 'answers', hours: 24, isAsked: false }],
    ['a Stripe v2 key', stripe.v2(absent), { name: 'stripe', keeps: 'effects', hours: 720, isAsked: true }],
    ['Checkout.com', checkout(), { name: 'checkout.com', keeps: 'successes', hours: 24, isAsked: false }],
    ['PayPal', paypal.orders(), { name: 'paypal', keeps: 'effects', hours: 6, isAsked: false }],
    ['a key of some provider', providerKey({ retention: '2h' }), { name: 'pay', keeps: 'answers', hours: 2, isAsked: false }],
    ['a lookup', reconcile(absent.lookup, { settle: '1m' }), { name: 'pay', keeps: undefined, hours: undefined, isAsked: true }],
    ['nature', natural('a PUT'), { name: 'pay', keeps: undefined, hours: undefined, isAsked: false }],
    ['nothing', none('a fax'), { name: 'pay', keeps: undefined, hours: undefined, isAsked: false }],
  ] as const)('knows %s', (_what, answer, expected) => {
    const { name, keys, lookup } = of(answer)
    expect({ name, keeps: keys?.keeps, hours: keys === null ? undefined : keys.retentionMs / 3_600_000, isAsked: lookup !== null }).toEqual(expected)
  })
})
