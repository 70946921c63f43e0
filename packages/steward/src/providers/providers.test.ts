import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import axios, { AxiosError, AxiosHeaders, type InternalAxiosRequestConfig } from 'axios'
import { SQSServiceException } from '@aws-sdk/client-sqs'
import Stripe from 'stripe'
import { describe, expect, it } from 'vitest'
import type { FailureVerdict } from '../core/verdict.ts'
import { verdictOf } from '../core/verdict-of.ts'
import type { IdempotencyAnswer } from '../ports/definition.ts'
import { register } from '../runtime/operation.ts'
import * as providers from './index.ts'

const { adyen, checkout, ietfDraft, paypal, sqsFifo, stripe } = providers

// --- errors as the clients make them ---------------------------------------------------------------------------------

const errors = Stripe.errors as unknown as Record<string, new (raw: object) => Error> & { generateV1Error(raw: object): Error; generateV2Error(raw: object): Error; generateOAuthError(raw: object): Error }
const stripeV1 = (statusCode: number, raw: object = {}, headers: object = {}): Error => errors.generateV1Error({ statusCode, headers, message: 'm', ...raw })
const stripeV2 = (statusCode: number, raw: object = {}, headers: object = {}): Error => errors.generateV2Error({ statusCode, headers, message: 'm', ...raw })
const replay = { 'idempotent-replayed': 'true' }

function axiosError(status: number, data: unknown, headers: Record<string, string> = {}): AxiosError {
  const config = { headers: new AxiosHeaders() } as InternalAxiosRequestConfig
  return new AxiosError(`Request failed with status code ${status}`, status < 500 ? AxiosError.ERR_BAD_REQUEST : AxiosError.ERR_BAD_RESPONSE, config, {}, { status, statusText: '', data, headers: new AxiosHeaders(headers), config })
}

/** What a wrapper around fetch usually throws. */
function fetchError(status: number, body: unknown, headers: Record<string, string> = {}): Error {
  return Object.assign(new Error(`HTTP ${status}`), { status, body, response: new Response(null, { status: status === 204 ? 200 : status, headers }) })
}

const reset = (): Error => Object.assign(new TypeError('fetch failed'), { cause: Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET', syscall: 'read' }) })
const refusedConnection = (): Error => Object.assign(new TypeError('fetch failed'), { cause: Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED', syscall: 'connect', port: 443 }) })
/** @adyen/api-library: HttpClientException */
const adyenError = (statusCode: number, errorCode: string, responseHeaders: object): Error => Object.assign(new Error('m'), { name: 'HttpClientException', statusCode, errorCode, responseHeaders, responseBody: JSON.stringify({ errorCode }) })
/** checkout-sdk-node: src/services/errors.js */
const checkoutError = (http_code: number | undefined, name: string, body: unknown = {}): Error => Object.assign(new Error(name), { name, http_code, body })
/** @paypal/paypal-server-sdk: ApiError of apimatic */
const paypalError = (statusCode: number, result: object): Error => Object.assign(new Error('m'), { name: 'ApiError', statusCode, headers: {}, result, body: JSON.stringify(result) })
const sqsError = (name: string, httpStatusCode: number): Error => new SQSServiceException({ name, $fault: httpStatusCode < 500 ? 'client' : 'server', message: 'm', $metadata: { httpStatusCode, attempts: 1 } })

// --- the table -------------------------------------------------------------------------------------------------------

type Expected = Partial<Record<keyof FailureVerdict | 'keySpent' | 'conclusive' | 'refused' | 'retryAfterMs', unknown>> & { readonly kind: FailureVerdict['kind'] }
type Row = readonly [what: string, error: unknown, expected: Expected]

const rejected: Expected = { kind: 'rejected', conclusive: undefined }
const conclusive: Expected = { kind: 'rejected', conclusive: true }
const unknown: Expected = { kind: 'unknown', keySpent: undefined }
const spent: Expected = { kind: 'unknown', keySpent: true }
const caller: Expected = { kind: 'not_applied', refused: 'caller' }
const load: Expected = { kind: 'not_applied', refused: 'load' }
const unsent: Expected = { kind: 'not_applied', refused: 'unsent' }

/** What no preset may change. */
const GENERAL: readonly Row[] = [
  ['the connection refused', refusedConnection(), unsent],
  ['the connection lost', reset(), unknown],
  ['credentials refused', axiosError(401, {}), caller],
  ['a gateway out of order', axiosError(503, 'no JSON'), unknown],
  ['a refusal without a word', fetchError(400, null), rejected],
  ['an error of our own', new RangeError('x'), unknown],
  ['nothing at all', undefined, unknown],
]

const STRIPE: readonly Row[] = [
  ['a stored 500, replayed', stripeV1(500, { type: 'api_error' }, replay), spent],
  ['a first 500', stripeV1(500, { type: 'api_error' }), unknown],
  ['still running', stripeV1(409, { type: 'invalid_request_error', code: 'idempotency_key_in_use' }), unknown],
  ['other parameters', stripeV1(400, { type: 'idempotency_error' }), spent],
  ['a declined card', stripeV1(402, { type: 'card_error', code: 'card_declined' }), { ...conclusive, reason: 'answered 402 (card_declined)' }],
  ['a declined card, replayed', stripeV1(402, { type: 'card_error', code: 'card_declined' }, replay), conclusive],
  ['a declined card, by axios', axiosError(402, { error: { type: 'card_error', code: 'card_declined' } }), conclusive],
  ['a declined card, by fetch', fetchError(402, { error: { type: 'card_error', code: 'card_declined' } }, replay), conclusive],
  ['a declined card, wrapped', new Error('charge', { cause: stripeV1(402, { type: 'card_error' }) }), conclusive],
  ['a 402 that says nothing', fetchError(402, null), rejected],
  ['a failed validation: not stored, so it speaks for itself only', stripeV1(400, { type: 'invalid_request_error', code: 'parameter_missing' }), rejected],
  ['an executed refusal, replayed', stripeV1(400, { type: 'invalid_request_error', code: 'balance_insufficient' }, replay), conclusive],
  ['400 with code rate_limit', stripeV1(400, { type: 'invalid_request_error', code: 'rate_limit' }), load],
  ['429', stripeV1(429, { type: 'invalid_request_error', code: 'rate_limit' }), load],
  ['a lock that timed out', stripeV1(429, { type: 'invalid_request_error', code: 'lock_timeout' }), load],
  ['an unknown customer: maybe the wrong mode of key', stripeV1(404, { type: 'invalid_request_error', code: 'resource_missing' }), caller],
  ['a revoked key', stripeV1(401, { type: 'invalid_request_error' }), caller],
  ['a missing permission', stripeV1(403, { type: 'invalid_request_error' }), caller],
  ['an api_error under a 4xx', stripeV1(400, { type: 'api_error' }), unknown],
  ['the connection lost, by the SDK', new errors['StripeConnectionError']!({ message: 'An error occurred with our connection to Stripe.', detail: Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET', syscall: 'read' }) }), unknown],
  ['the connection refused, by the SDK', new errors['StripeConnectionError']!({ message: 'm', detail: Object.assign(new Error('x'), { code: 'ECONNREFUSED', syscall: 'connect', port: 443 }) }), unsent],
  ['an answer that is no JSON', new errors['StripeAPIError']!({ message: 'Invalid JSON received from the Stripe API' }), unknown],
]

const STRIPE_V2: readonly Row[] = [
  ['a 500 with the mark of a replay: failed work is run again', stripeV2(500, { type: 'api_error' }, replay), unknown],
  ['other parameters', stripeV2(400, { type: 'idempotency_error' }), spent],
  ['no money', stripeV2(400, { type: 'insufficient_funds' }), rejected],
  ['invalid fields', stripeV2(400, { code: 'invalid_fields' }), rejected],
  ['a rate limit', stripeV2(429, { type: 'rate_limit' }), load],
]

const PAYPAL: readonly Row[] = [
  ['an id used before', paypalError(422, { name: 'UNPROCESSABLE_ENTITY', details: [{ issue: 'PAYPAL_REQUEST_ID_PREVIOUSLY_USED' }] }), spent],
  ['an id used before, older APIs', axiosError(409, { name: 'DUPLICATE_REQUEST_ID' }), spent],
  ['captured already, by whom is not said', paypalError(422, { name: 'UNPROCESSABLE_ENTITY', details: [{ issue: 'ORDER_ALREADY_CAPTURED' }] }), spent],
  ['an invoice id used before', fetchError(422, { name: 'UNPROCESSABLE_ENTITY', details: [{ issue: 'DUPLICATE_INVOICE_ID' }] }), spent],
  ['a batch that exists', paypalError(400, { name: 'USER_BUSINESS_ERROR', links: [{ href: 'https://api-m.paypal.com/v1/payments/payouts/X', rel: 'self' }] }), spent],
  ['a declined instrument', paypalError(422, { name: 'UNPROCESSABLE_ENTITY', details: [{ issue: 'INSTRUMENT_DECLINED' }] }), rejected],
  ['a body that is text', Object.assign(paypalError(422, {}), { result: undefined, body: '{"name":"DUPLICATE_REQUEST_ID"}' }), spent],
  ['429', paypalError(429, { name: 'RATE_LIMIT_REACHED' }), load],
  ['500', paypalError(500, { name: 'INTERNAL_SERVER_ERROR' }), unknown],
]

const ADYEN: readonly Row[] = [
  ['in progress, transient', adyenError(422, '704', { 'transient-error': 'true', 'idempotency-key': 'k' }), unknown],
  ['processed before', adyenError(422, '704', { 'idempotency-key': 'k' }), spent],
  ['processed before, 409, by axios', axiosError(409, { errorCode: '704' }), spent],
  ['transient validation is no refusal', adyenError(422, '010', { 'Transient-Error': 'true' }), unknown],
  ['a refusal', adyenError(422, '14_030', { 'idempotency-key': 'k' }), rejected],
  ['a stored 500', adyenError(500, '000', { 'idempotency-key': 'k' }), spent],
  ['a transient 500', adyenError(500, '000', { 'idempotency-key': 'k', 'transient-error': 'true' }), unknown],
  ['the store of keys out of order', adyenError(503, '703', { 'idempotency-key': 'k' }), unknown],
  ['a 500 from in front of the API', adyenError(500, '', {}), unknown],
  ['credentials refused', adyenError(401, '000', { 'idempotency-key': 'k' }), caller],
]

const CHECKOUT: readonly Row[] = [
  ['429: perhaps a twin', checkoutError(429, 'TooManyRequestsError'), unknown],
  ['429 with a wait', axiosError(429, {}, { 'retry-after': '7' }), { ...unknown, retryAfterMs: 7_000 }],
  ['409: a twin', checkoutError(409, 'UrlAlreadyRegistered'), unknown],
  ['500: not stored, the same key would pay again', checkoutError(500, 'API Error'), spent],
  ['502 from in front of the API', checkoutError(502, 'Bad gateway'), unknown],
  ['503, and when to come back', Object.assign(checkoutError(503, 'Service unavailable'), { headers: { 'retry-after': '120' } }), { ...unknown, retryAfterMs: 120_000 }],
  ['a refusal is not stored, so it speaks for itself only', checkoutError(422, 'ValidationError', { error_codes: ['amount_invalid'] }), rejected],
  ['credentials refused', checkoutError(401, 'AuthenticationError'), caller],
  ['a route unknown', checkoutError(404, 'NotFoundError'), caller],
  ['the client gave up', checkoutError(408, 'ApiTimeout'), { ...unknown, reason: 'the client waited long enough (ApiTimeout)' }],
  ['no answer', checkoutError(undefined, 'API Error', 'request to https://api failed'), unknown],
]

const SQS: readonly Row[] = [
  ['no such queue (yet)', sqsError('QueueDoesNotExist', 400), caller],
  ['no such queue, by its old name', sqsError('AWS.SimpleQueueService.NonExistentQueue', 400), caller],
  ['no access to the key of KMS', sqsError('KmsAccessDenied', 400), caller],
  ['throttled', sqsError('RequestThrottled', 400), load],
  ['KMS throttled', sqsError('KmsThrottled', 400), load],
  ['contents refused', sqsError('InvalidMessageContents', 400), rejected],
  ['500', sqsError('InternalFailure', 500), unknown],
]

const IETF: readonly Row[] = [
  ['still running', axiosError(409, { title: 'A request is outstanding for this Idempotency-Key' }), unknown],
  ['other payload', axiosError(422, { type: 'https://developer.example.com/idempotency', title: 'Idempotency-Key is already used' }), spent],
  ['a failed validation', axiosError(422, { title: 'amount must be positive' }), rejected],
  ['a stored 500, replayed', fetchError(500, '{}', { 'Idempotent-Replayed': 'true' }), spent],
  ['a first 500', fetchError(500, '{}'), unknown],
  ['a stored refusal, replayed', fetchError(400, '{}', { 'Idempotent-Replayed': 'true' }), conclusive],
  ['a missing key', axiosError(400, { title: 'Idempotency-Key is missing' }), rejected],
]

const PRESETS: Record<string, { readonly answer: IdempotencyAnswer<unknown, unknown>; readonly file: string; readonly retention: string; readonly rows: readonly Row[] }> = {
  'stripe.v1': { answer: stripe.v1(), file: 'stripe.ts', retention: '24h', rows: STRIPE },
  'stripe.v2': { answer: stripe.v2(), file: 'stripe.ts', retention: '30d', rows: STRIPE_V2 },
  'paypal.orders': { answer: paypal.orders(), file: 'paypal.ts', retention: '6h', rows: PAYPAL },
  'paypal.payments': { answer: paypal.payments(), file: 'paypal.ts', retention: '45d', rows: [] },
  'paypal.payouts': { answer: paypal.payouts(), file: 'paypal.ts', retention: '30d', rows: [] },
  'paypal.subscriptions': { answer: paypal.subscriptions(), file: 'paypal.ts', retention: '72h', rows: [] },
  'paypal.catalog': { answer: paypal.catalog(), file: 'paypal.ts', retention: '72h', rows: [] },
  'paypal.vault': { answer: paypal.vault(), file: 'paypal.ts', retention: '3h', rows: [] },
  adyen: { answer: adyen(), file: 'adyen.ts', retention: '7d', rows: ADYEN },
  checkout: { answer: checkout(), file: 'checkout.ts', retention: '24h', rows: CHECKOUT },
  sqsFifo: { answer: sqsFifo(), file: 'sqs-fifo.ts', retention: '5m', rows: SQS },
  ietfDraft: { answer: ietfDraft({ retention: '24h', provider: 'example', replayedHeader: 'Idempotent-Replayed' }), file: 'ietf-draft.ts', retention: '24h', rows: IETF },
}

const NOW = Date.UTC(2026, 0, 1)
const judge = (answer: IdempotencyAnswer<unknown, unknown>, error: unknown): FailureVerdict => answer.verdict?.(error, { nowMs: NOW }) ?? verdictOf(error, { nowMs: NOW })

/** Every named member is as expected; `undefined` means absent. */
function expectVerdict(verdict: FailureVerdict, expected: Expected, what = ''): void {
  const named = Object.fromEntries(Object.keys(expected).map((key) => [key, (verdict as Record<string, unknown>)[key]]))
  expect(named, what).toEqual(expected)
}

describe.each(Object.entries(PRESETS))('%s', (name, { answer, retention, rows }) => {
  it.each([...GENERAL, ...rows])('judges %s', (_what, error, expected) => {
    expectVerdict(judge(answer, error), expected)
  })

  it(`remembers keys for ${retention}, says why it is safe, and makes a sound operation`, () => {
    expect(answer).toMatchObject({ kind: 'providerKey', retention })
    expect(answer.reason.split(' ').length).toBeGreaterThan(5)
    const { policy, provider } = register({ name: 'x', version: 1, input: { '~standard': { version: 1, vendor: 'test', validate: (value: unknown) => ({ value }) } }, idempotency: answer, send: () => Promise.resolve(null) } as never)
    expect(policy.retentionMs - policy.marginMs).toBeGreaterThan(0)
    expect(provider).toBe(answer.provider)
    expect(provider).toBeTruthy()
  })

  it('takes a lookup and its options', () => {
    const lookup = (): Promise<{ readonly absent: true }> => Promise.resolve({ absent: true })
    const path = name.split('.')
    const make = path.reduce<unknown>((value, part) => (value as Record<string, unknown>)[part], providers) as (options: object) => IdempotencyAnswer<unknown, unknown>
    expect(make({ retention: '12h', lookup, settle: '9m', absences: 3 })).toMatchObject({ lookup, settle: '9m', absences: 3, retention: '12h' })
  })
})

describe("the Stripe SDK's own classes", () => {
  const classes = (Object.entries(errors) as [string, new (raw: object) => Error][]).filter(([name]) => name.endsWith('Error') && !name.startsWith('generate'))

  it('are all tried', () => {
    expect(classes.length).toBeGreaterThanOrEqual(37)
  })

  it.each(classes)('%s never claims more than its status proves', (name, Class) => {
    for (const version of [stripe.v1(), stripe.v2()]) {
      for (const status of [undefined, 400, 401, 402, 403, 404, 409, 429, 500, 503]) {
        const raw = { message: 'm', headers: {}, ...(status === undefined ? {} : { statusCode: status }) }
        const error: Error = name === 'StripeSignatureVerificationError' ? new (Class as unknown as new (header: string, payload: string, raw: object) => Error)('h', 'p', raw) : new Class(raw)
        const verdict = judge(version, error)
        if (name === 'StripeIdempotencyError' && status !== undefined) expectVerdict(verdict, spent)
        else if (status === undefined || status >= 500 || status === 409) expectVerdict(verdict, unknown, `${status}`)
        else if (status === 400 || status === 402) expectVerdict(verdict, name === 'StripeCardError' && status === 402 && version.retention === '24h' ? conclusive : rejected, `${status}`)
        else expect(verdict.kind).toBe('not_applied')
      }
    }
  })
})

describe('hostile errors', () => {
  const throwing = new Proxy({}, { get: () => { throw new Error('no') } })
  it.each(Object.entries(PRESETS))('do not make %s throw', (_name, { answer }) => {
    for (const error of [throwing, null, 0, 'x', { status: 'x' }, { status: 400, headers: throwing, body: throwing }, { status: 422, headers: { get: () => { throw new Error('no') } }, result: { details: [null, 1], links: 'x' } }]) {
      expect(() => judge(answer, error)).not.toThrow()
    }
  })

  it('end a ring of causes', () => {
    const ring: { cause?: unknown } = {}
    ring.cause = ring
    expect(judge(stripe.v1(), ring).kind).toBe('unknown')
  })
})

describe('a preset', () => {
  const files = readdirSync(import.meta.dirname).filter((file) => file.endsWith('.ts') && !/\.(test|fixture)\.ts$/.test(file))
  const shared = ['index.ts', 'preset.ts', 'error-shape.ts']

  it('is one file and one line of the index', () => {
    const lines = readFileSync(join(import.meta.dirname, 'index.ts'), 'utf8').split('\n').filter((line) => line.startsWith('export'))
    const presets = files.filter((file) => !shared.includes(file))
    expect(lines.map((line) => /^export \{ (\w+) \} from '\.\/(.+)'$/.exec(line)?.[2]).sort()).toEqual(presets.sort())
    expect(Object.keys(providers).sort()).toEqual(lines.map((line) => /\{ (\w+) \}/.exec(line)?.[1]).sort())
    expect(new Set(Object.values(PRESETS).map((one) => one.file))).toEqual(new Set(presets))
  })

  it.each(files.filter((file) => !shared.includes(file)))('%s carries its facts with their sources', (file) => {
    const head = readFileSync(join(import.meta.dirname, file), 'utf8').split('*/')[0]
    expect(head).toMatch(/\[(documented|read|draft)/)
  })

  it('has its section in the reference', () => {
    const page = readFileSync(join(import.meta.dirname, '../../../../docs/reference/providers.md'), 'utf8')
    for (const [name, { retention }] of Object.entries(PRESETS)) {
      const row = page.split('\n').find((line) => line.startsWith(`| \`${name}`))
      expect(row, name).toBeDefined()
      if (name !== 'ietfDraft') expect(row).toContain(retention)
    }
  })
})

it('axios is the real one', () => {
  expect(axios.isAxiosError(axiosError(400, {}))).toBe(true)
})
