/** Real clients against peers that misbehave: what is concluded, and whether it could be wrong. */
import net, { type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs'
import axios from 'axios'
import nodemailer from 'nodemailer'
import Stripe from 'stripe'
import { Pool, request } from 'undici'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { refineByWire, verdictOf } from '../core/verdict-of.ts'
import type { Verdict, WireExchange } from '../core/verdict.ts'
import { closedPort, mailPeer, Peer, type Behaviour, type MailFault } from './peer.fixture.ts'
import { createWitness, type AttemptScope, type AttemptWatch } from './witness.ts'

const clock = { now: () => 1_700_000_000_000, monotonicMs: () => performance.now() }
const witness = createWitness(clock)
witness.listen()
afterAll(() => witness.dispose())

let keys = 0
function scopeOf(overrides: Partial<AttemptScope> = {}): AttemptScope {
  keys += 1
  return { id: `c_${keys}#1`, idempotencyKey: `stw_test_key_${keys}`, expectKey: true, single: false, mayLeave: () => 'open', ...overrides }
}

type Conclusion = { verdict: Verdict; exchanges: WireExchange[]; warnings: string[]; error: unknown }

async function attempt(send: (watch: AttemptWatch, key: string) => Promise<unknown>, scope = scopeOf()): Promise<Conclusion> {
  const watch = witness.watch(scope)
  let verdict: Verdict = { kind: 'applied', result: null }
  let error: unknown
  try {
    await watch.run(() => send(watch, scope.idempotencyKey))
  } catch (thrown) {
    error = thrown
    verdict = verdictOf(thrown)
  }
  const exchanges = watch.exchanges()
  watch.close()
  return { verdict: refineByWire(verdict, exchanges), exchanges, warnings: watch.warnings(), error }
}

type Target = { origin: string; port: number; key: string; signal: AbortSignal; watch: AttemptWatch }

async function throwUnlessOk(response: { status: number; headers: Headers; text(): Promise<string> }): Promise<string> {
  if (response.status >= 300) throw Object.assign(new Error('refused'), { status: response.status, headers: response.headers })
  return response.text()
}

function stripeFor(port: number, retries?: number): Stripe {
  const stripe = new Stripe('sk_test_123', { host: '127.0.0.1', port, protocol: 'http', telemetry: false, ...(retries === undefined ? {} : { maxNetworkRetries: retries }) })
  // The SDK's pauses between its own tries are real time; the tries are what matters.
  Object.assign(stripe, { getInitialNetworkRetryDelay: () => 0, getMaxNetworkRetryDelay: () => 0 })
  return stripe
}

const charge = { amount: 4200, currency: 'eur', source: 'tok_visa' }

const undiciRequest = async (send: (options: object) => ReturnType<typeof request>, { key, signal }: Target): Promise<string> => {
  const { statusCode, headers, body } = await send({ method: 'POST', headers: { 'idempotency-key': key, 'content-type': 'application/json' }, body: '{"amount":1}', signal })
  const text = await body.text()
  if (statusCode >= 300) throw Object.assign(new Error('refused'), { statusCode, headers })
  return text
}

const clients: Record<string, (target: Target) => Promise<unknown>> = {
  fetch: async ({ origin, key, signal }) => throwUnlessOk(await fetch(`${origin}/charges?card=4242`, { method: 'POST', headers: { 'idempotency-key': key }, body: '{"amount":1}', signal })),
  'bound fetch': async ({ origin, signal, watch }) => throwUnlessOk(await watch.fetch(`${origin}/charges`, { method: 'POST', body: '{"amount":1}', signal })),
  undici: async (target) => undiciRequest((options) => request(`${target.origin}/charges`, options), target),
  'undici Pool': async (target) => {
    const pool = new Pool(target.origin, { connections: 1 })
    try {
      return await undiciRequest((options) => pool.request({ path: '/charges', ...options } as Parameters<typeof pool.request>[0]), target)
    } finally {
      await pool.destroy()
    }
  },
  axios: async ({ origin, key, signal }) => axios.post(`${origin}/charges`, { amount: 1 }, { headers: { 'idempotency-key': key }, signal }),
  'axios on fetch': async ({ origin, key, signal }) => axios.post(`${origin}/charges`, { amount: 1 }, { headers: { 'idempotency-key': key }, signal, adapter: 'fetch' }),
  'stripe, retries 0': async ({ port, key }) => stripeFor(port, 0).charges.create(charge, { idempotencyKey: key }),
  'stripe, retries default': async ({ port, key }) => stripeFor(port).charges.create(charge, { idempotencyKey: key }),
  'aws sqs': async ({ origin, signal }) => {
    const client = new SQSClient({ region: 'eu-west-1', endpoint: origin, credentials: { accessKeyId: 'a', secretAccessKey: 'b' }, maxAttempts: 1 })
    try {
      return await client.send(new SendMessageCommand({ QueueUrl: `${origin}/1/q`, MessageBody: '{"amount":1}' }), { abortSignal: signal })
    } finally {
      client.destroy()
    }
  },
}

const expected: [Behaviour | 'refuse', Verdict['kind']][] = [
  ['refuse', 'not_applied'],
  ['reset-before', 'unknown'],
  ['reset-after', 'unknown'],
  ['truncate', 'unknown'],
  ['stall', 'unknown'],
  [400, 'rejected'],
  [402, 'rejected'],
  [422, 'rejected'],
  [401, 'not_applied'],
  [403, 'not_applied'],
  [404, 'not_applied'],
  [429, 'not_applied'],
  [408, 'unknown'],
  [409, 'unknown'],
  [500, 'unknown'],
  [503, 'unknown'],
  ['late-500', 'unknown'],
]

let peer: Peer
beforeEach(async () => {
  peer = await new Peer().open()
})
afterEach(() => peer.close())

describe.each(Object.keys(clients))('%s', (name) => {
  test.each(expected)('%s is concluded as %s', async (behaviour, kind) => {
    const port = behaviour === 'refuse' ? await closedPort() : peer.port
    if (behaviour !== 'refuse') peer.fallback = behaviour
    const giveUp = new AbortController()
    const sending = attempt((watch, key) => clients[name]!({ origin: `http://127.0.0.1:${port}`, port, key, signal: giveUp.signal, watch }))
    if (behaviour === 'stall') {
      await peer.arrived(1)
      if (name.startsWith('stripe')) peer.fallback = 'reset-before'
      giveUp.abort()
      if (name.startsWith('stripe')) await peer.close()
    }
    const { verdict, exchanges } = await sending
    expect(verdict.kind).toBe(kind)
    if (verdict.kind === 'not_applied' || verdict.kind === 'rejected') expect(peer.effects).toEqual([])
    const left = exchanges.filter((each) => each.reached !== 'created')
    expect(left.length).toBeGreaterThanOrEqual(peer.seen.length)
    if (behaviour === 'refuse') expect(left).toEqual([])
    for (const each of exchanges) expect(each.path).not.toContain('?')
  })
})

describe('what clients do behind the caller’s back', () => {
  test('stripe with retries off resends a reset connection once; the witness sees both', async () => {
    peer.fallback = 'reset-after'
    const { exchanges, warnings, verdict } = await attempt((_, key) => stripeFor(peer.port, 0).charges.create(charge, { idempotencyKey: key }))
    expect(peer.effects).toHaveLength(2)
    expect(exchanges.map((each) => [each.reached, each.keyOnWire, each.error])).toEqual([['sent', true, 'ECONNRESET'], ['sent', true, 'ECONNRESET']])
    expect(warnings.join()).toMatch(/^2 requests that may change something left in one attempt/)
    expect(verdict.kind).toBe('unknown')
  })

  test('under single the hidden resend is stopped', async () => {
    peer.fallback = 'reset-after'
    const { exchanges, verdict } = await attempt((_, key) => stripeFor(peer.port, 0).charges.create(charge, { idempotencyKey: key }), scopeOf({ single: true }))
    expect(peer.effects).toHaveLength(1)
    expect(peer.seen).toHaveLength(1)
    expect(exchanges.map((each) => [each.reached, each.gated])).toEqual([['sent', undefined], ['created', 'second-request']])
    expect(verdict.kind).toBe('unknown')
  })

  test('a hidden resend that is refused does not hide the first request: unknown', async () => {
    peer.fallback = 'reset-after'
    peer.once('seen', () => peer.refuse())
    const { verdict, error } = await attempt((_, key) => stripeFor(peer.port, 0).charges.create(charge, { idempotencyKey: key }))
    expect((error as { detail: { code: string } }).detail.code).toBe('ECONNREFUSED')
    expect(peer.effects).toHaveLength(1)
    expect(verdict.kind).toBe('unknown')
  })

  test('without the record of the first try, the client’s own count is enough to doubt', async () => {
    peer.fallback = 'reset-after'
    peer.once('seen', () => peer.refuse())
    const { error } = await attempt((_, key) => stripeFor(peer.port, 0).charges.create(charge, { idempotencyKey: key }))
    expect(verdictOf(error)).toMatchObject({ kind: 'not_applied', clientTries: 2 })
    expect(refineByWire(verdictOf(error), [])).toMatchObject({ kind: 'unknown' })
  })

  test('a resend after a lost answer that ends in a refusal is unknown', async () => {
    peer.script.push('late-500', 402)
    const { verdict } = await attempt((_, key) => stripeFor(peer.port).charges.create(charge, { idempotencyKey: key }))
    expect(peer.effects).toHaveLength(1)
    expect(verdict).toMatchObject({ kind: 'unknown', status: 402 })
  })

  test('the AWS SDK’s tries are counted, and an earlier lost one is doubt', async () => {
    let tries = 0
    const token = () => ({ getRetryCount: () => tries, getRetryDelay: () => 0 })
    const retryStrategy = {
      acquireInitialRetryToken: async () => token(),
      refreshRetryTokenForRetry: async () => {
        tries += 1
        if (tries > 1) throw new Error('enough')
        return token()
      },
      recordSuccess: () => {},
    }
    peer.script.push('reset-after', 400)
    const client = new SQSClient({ region: 'eu-west-1', endpoint: peer.origin, credentials: { accessKeyId: 'a', secretAccessKey: 'b' }, retryStrategy })
    const { verdict, error, exchanges } = await attempt(() => client.send(new SendMessageCommand({ QueueUrl: `${peer.origin}/1/q`, MessageBody: 'm' })))
    client.destroy()
    expect(verdictOf(error)).toMatchObject({ kind: 'rejected', clientTries: 2 })
    expect(exchanges).toHaveLength(2)
    expect(verdict.kind).toBe('unknown')
  })

  test('a 2xx that the client cannot use is unknown', async () => {
    const { verdict } = await attempt((watch, key) => clients['aws sqs']!({ origin: peer.origin, port: peer.port, key, signal: new AbortController().signal, watch }))
    expect(peer.effects).toHaveLength(1)
    expect(verdict.kind === 'applied' || verdict.kind === 'unknown').toBe(true)
  })

  test.each(['fetch', 'undici', 'axios'])('%s: a server that does not speak TLS was sent nothing', async (name) => {
    const plain = net.createServer((socket) => {
      socket.on('error', () => {})
      socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
    })
    plain.listen(0, '127.0.0.1')
    await once(plain, 'listening')
    const { port } = plain.address() as AddressInfo
    const { verdict, exchanges } = await attempt((watch, key) => clients[name]!({ origin: `https://127.0.0.1:${port}`, port, key, signal: new AbortController().signal, watch }))
    plain.close()
    expect(verdict).toMatchObject({ kind: 'not_applied', refused: 'unsent' })
    expect(exchanges.every((each) => each.reached === 'created')).toBe(true)
  })

  test.each(['fetch', 'undici', 'axios', 'stripe, retries 0'])('%s: Retry-After comes through', async (name) => {
    peer.fallback = 429
    peer.retryAfter = '7'
    const { verdict } = await attempt((watch, key) => clients[name]!({ origin: peer.origin, port: peer.port, key, signal: new AbortController().signal, watch }))
    expect(verdict).toMatchObject({ kind: 'not_applied', refused: 'load', retryAfterMs: 7000 })
  })
})

describe('nodemailer', () => {
  const cases: [string, MailFault | undefined, Verdict['kind']][] = [
    ['a mail that is taken', undefined, 'applied'],
    ['a greeting that refuses', { at: 'greeting', reply: '554 no' }, 'rejected'],
    ['a login refused', { at: 'auth', reply: '535 no' }, 'not_applied'],
    ['a sender refused for now', { at: 'mail', reply: '450 later' }, 'not_applied'],
    ['a recipient refused', { at: 'rcpt', reply: '550 nobody' }, 'rejected'],
    ['DATA refused for now', { at: 'data', reply: '451 later' }, 'not_applied'],
    ['content refused', { at: 'content', reply: '552 too big' }, 'rejected'],
    ['a connection cut after the mail was taken', { at: 'done' }, 'unknown'],
    ['a connection cut in the envelope', { at: 'rcpt' }, 'unknown'],
  ]
  const sendMail = (port: number): Promise<unknown> =>
    nodemailer.createTransport({ host: '127.0.0.1', port, ignoreTLS: true, auth: { user: 'u', pass: 'p' } }).sendMail({ from: 'a@example.com', to: 'b@example.com', subject: 's', text: 't' })

  test.each(cases)('%s', async (_, fault, kind) => {
    const mail = await mailPeer(fault)
    const { verdict } = await attempt(() => sendMail(mail.port))
    mail.close()
    expect(verdict.kind).toBe(kind)
    if (verdict.kind === 'not_applied' || verdict.kind === 'rejected') expect(mail.effects).toEqual([])
  })

  test('a server that is not there was sent nothing', async () => {
    const { verdict } = await attempt(async () => sendMail(await closedPort()))
    expect(verdict).toMatchObject({ kind: 'not_applied', refused: 'unsent' })
  })
})

describe('a client that takes a refusal for a result', () => {
  const bare = async (answers: readonly (readonly [number, string])[], run: (port: number, watch: AttemptWatch, key: string) => Promise<unknown>, scope = scopeOf()): Promise<{ returned: unknown; denial: number | undefined }> => {
    let at = 0
    const server = createServer((request, response) => {
      const [status, body] = answers[Math.min(at++, answers.length - 1)]!
      request.resume().on('end', () => response.writeHead(status, { 'content-type': 'application/json' }).end(body))
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const watch = witness.watch(scope)
    try {
      const returned: unknown = await watch.run(() => run((server.address() as AddressInfo).port, watch, scope.idempotencyKey))
      return { returned, denial: watch.denial() }
    } finally {
      watch.close()
      server.closeAllConnections()
      server.close()
    }
  }
  const post = async (port: number, key: string): Promise<number> => (await fetch(`http://127.0.0.1:${port}/charges`, { method: 'POST', headers: { 'idempotency-key': key }, body: '{}' })).status

  test('the SDK of Stripe returns a gateway’s 502 as a charge; the wire denies it', async () => {
    const { returned, denial } = await bare([[502, '{"message":"Bad Gateway"}']], (port, _watch, key) => stripeFor(port, 0).charges.create(charge, { idempotencyKey: key }))
    expect(returned).toEqual({ message: 'Bad Gateway' })
    expect(denial).toBe(502)
  })

  test.each([[500, 500], [503, 503], [401, 401], [403, 403], [429, 429], [200, undefined], [201, undefined], [404, undefined], [409, undefined], [422, undefined]])('of a %i the wire says %s', async (status, denial) => {
    expect((await bare([[status, '{}']], (port, _watch, key) => post(port, key))).denial).toBe(denial)
  })

  test('a request that went well, or a look afterwards, is what counts', async () => {
    expect((await bare([[502, '{}'], [200, '{}']], async (port, _watch, key) => { await post(port, key); await post(port, key) })).denial).toBeUndefined()
    expect((await bare([[200, '{}'], [502, '{}']], async (port, _watch, key) => { await post(port, key); await post(port, key) })).denial).toBeUndefined()
    expect((await bare([[503, '{}'], [502, '{}']], async (port, _watch, key) => { await post(port, key); await post(port, key) })).denial).toBe(502)
    expect((await bare([[200, '{}'], [502, '{}']], async (port, watch, key) => { await watch.fetch(`http://127.0.0.1:${port}/charges`); await post(port, key) })).denial).toBe(502)
    expect((await bare([[502, '{}'], [200, '{}']], async (port, watch, key) => { await post(port, key); await watch.fetch(`http://127.0.0.1:${port}/charges`) })).denial).toBeUndefined()
  })

  test('requests to somebody else say nothing of it', async () => {
    peer.fallback = 200
    const charged = async (watch: AttemptWatch): Promise<unknown> => watch.fetch(`${peer.origin}/charges`, { method: 'POST', body: '{}' })
    const { denial } = await bare([[503, '{}']], async (port, watch) => { await charged(watch); await watch.fetch(`http://127.0.0.1:${port}/metrics`, { method: 'POST', body: '{}' }) }, scopeOf({ idempotencyKey: '' }))
    expect(denial).toBeUndefined()
  })
})
