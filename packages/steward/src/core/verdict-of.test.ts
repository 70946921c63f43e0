import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isCredentialRequest, refineByWire, retryAfterMs, statusVerdict, verdictOf } from './verdict-of.ts'
import type { Verdict, WireExchange } from './verdict.ts'

const system = (code: string, more: object = {}): Error => Object.assign(new Error(`${code} at secret.example`), { code, ...more })
const wrapped = (cause: unknown): Error => new TypeError('fetch failed', { cause })
const mail = (code: string, command: string, more: object = {}): Error => system(code, { command, ...more })

describe('statuses', () => {
  test.each([
    [[400, 402, 406, 410, 412, 413, 414, 415, 418, 422, 423, 424, 426, 428, 431, 451, 499], 'rejected', undefined],
    [[401, 403, 404, 405, 407], 'not_applied', 'caller'],
    [[425, 429], 'not_applied', 'load'],
    [[100, 200, 201, 204, 300, 301, 302, 303, 304, 307, 308, 408, 409, 500, 501, 502, 503, 504, 520, 599], 'unknown', undefined],
  ])('%j are %s', (statuses, kind, refused) => {
    for (const status of statuses) {
      expect(statusVerdict(status)).toMatchObject({ kind, status, ...(refused === undefined ? {} : { refused }) })
      expect(statusVerdict(status, 5000)).toEqual({ ...statusVerdict(status), ...([425, 429, 503].includes(status) ? { retryAfterMs: 5000 } : {}) })
    }
  })

  test('reads Retry-After as seconds or as a date', () => {
    const nowMs = Date.parse('Wed, 21 Oct 2026 07:28:00 GMT')
    expect(retryAfterMs('120')).toBe(120_000)
    expect(retryAfterMs(2)).toBe(2000)
    expect(retryAfterMs('0')).toBe(0)
    expect(retryAfterMs('Wed, 21 Oct 2026 07:28:30 GMT', nowMs)).toBe(30_000)
    expect(retryAfterMs('Wed, 21 Oct 2026 07:20:00 GMT', nowMs)).toBe(0)
    expect(retryAfterMs('Wed, 21 Oct 2026 07:28:30 GMT')).toBeUndefined()
    expect(retryAfterMs('999999999999')).toBe(30 * 86_400_000)
    for (const value of ['', 'soon', '-1', '1e9', 'NaN', null, undefined, {}, Number.NaN]) expect(retryAfterMs(value, nowMs)).toBeUndefined()
  })

  test.each([
    ['axios', { response: { status: 402, headers: {} }, code: 'ERR_BAD_REQUEST' }, 'rejected'],
    ['stripe', { type: 'StripeCardError', statusCode: 402, raw: {}, headers: {} }, 'rejected'],
    ['got', { response: { statusCode: 422 } }, 'rejected'],
    ['AWS', { name: 'InvalidParameterValue', $metadata: { httpStatusCode: 400 } }, 'rejected'],
    ['AWS, throttled with 400', { name: 'ThrottlingException', $metadata: { httpStatusCode: 400 } }, 'not_applied'],
    ['AWS, expired credentials with 400', { name: 'ExpiredTokenException', $metadata: { httpStatusCode: 400 } }, 'not_applied'],
    ['AWS, the same token still in progress', { name: 'TransactionInProgressException', $metadata: { httpStatusCode: 400 } }, 'unknown'],
    ['AWS, an answer that could not be read', { name: 'SyntaxError', $metadata: { httpStatusCode: 200 } }, 'unknown'],
    ['a status beneath another error', new Error('charge failed', { cause: { status: 402 } }), 'rejected'],
    ['Slack', { code: 'slack_webapi_rate_limited_error', retryAfter: 30 }, 'not_applied'],
    ['a status that is none', { status: 'error', statusCode: 0 }, 'unknown'],
  ])('%s', (_, error, kind) => {
    expect(verdictOf(error).kind).toBe(kind)
  })

  test.each([
    [{ status: 429, headers: new Map([['retry-after', '3']]) }, 3000],
    [{ response: { status: 429, headers: { 'retry-after': '3' } } }, 3000],
    // Adyen's SDK: HttpClientException.
    [{ statusCode: 429, responseHeaders: { 'retry-after': '3' } }, 3000],
    [{ statusCode: 503, headers: { 'Retry-After': 3 } }, 3000],
    [{ status: 429, headers: { 'retry-after-ms': '250', 'retry-after': '1' } }, 250],
    [{ $metadata: { httpStatusCode: 503 }, $response: { headers: { 'retry-after': '3' } } }, 3000],
  ])('finds Retry-After in %j', (error, wait) => {
    expect(verdictOf(error)).toMatchObject({ retryAfterMs: wait })
  })
})

describe('nothing left the process', () => {
  test.each([
    system('ECONNREFUSED', { syscall: 'connect', port: 443 }),
    wrapped(system('ECONNREFUSED', { syscall: 'connect', port: 443 })),
    system('ETIMEDOUT', { syscall: 'connect' }),
    system('EHOSTUNREACH', { syscall: 'connect' }),
    system('ENETUNREACH', { syscall: 'connect' }),
    system('ENOTFOUND', { syscall: 'getaddrinfo' }),
    wrapped(system('EAI_AGAIN', { syscall: 'getaddrinfo' })),
    wrapped(system('UND_ERR_CONNECT_TIMEOUT')),
    wrapped(system('DEPTH_ZERO_SELF_SIGNED_CERT')),
    system('CERT_HAS_EXPIRED'),
    system('ERR_TLS_CERT_ALTNAME_INVALID'),
    Object.assign(new Error('write EPROTO 80:error:0A00010B:SSL routines:ssl3_get_record:wrong version number'), { code: 'EPROTO' }),
    Object.assign(new Error('Client network socket disconnected before secure TLS connection was established'), { code: 'ECONNRESET' }),
    { type: 'StripeConnectionError', message: 'x', detail: system('ECONNREFUSED', { syscall: 'connect' }) },
    Object.assign(new AggregateError([system('ECONNREFUSED', { syscall: 'connect' }), system('ETIMEDOUT', { syscall: 'connect' })]), { code: 'ECONNREFUSED' }),
    mail('ESOCKET', 'CONN', { syscall: 'connect', originalCode: 'ECONNREFUSED' }),
    mail('EDNS', 'CONN'),
    mail('ETIMEDOUT', 'CONN', { timeoutType: 'CONNECT_TIMEOUT' }),
    mail('ETIMEDOUT', 'CONN', { timeoutType: 'GREETING_TIMEOUT' }),
  ])('%s', (error) => {
    expect(verdictOf(error)).toMatchObject({ kind: 'not_applied', refused: 'unsent' })
  })
})

describe('may have happened', () => {
  test.each([
    system('ECONNRESET', { syscall: 'read' }),
    system('EPIPE', { syscall: 'write' }),
    Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' }),
    system('ETIMEDOUT'),
    system('ETIMEDOUT', { syscall: 'read' }),
    system('ECONNREFUSED'),
    system('ENOTFOUND'),
    system('EPROTO'),
    wrapped(system('UND_ERR_SOCKET')),
    wrapped(system('UND_ERR_HEADERS_TIMEOUT')),
    wrapped(system('UND_ERR_BODY_TIMEOUT')),
    Object.assign(new Error('aborted'), { name: 'AbortError' }),
    // Whoever gave up waiting may have tried more than once.
    Object.assign(new Error('too late', { cause: system('ECONNREFUSED', { syscall: 'connect' }) }), { name: 'TimeoutError' }),
    new AggregateError([system('ECONNREFUSED', { syscall: 'connect' }), system('ECONNRESET', { syscall: 'read' })]),
    new AggregateError([]),
    // The team's own database after the charge.
    system('ECONNREFUSED', { syscall: 'connect', port: 5432 }),
    mail('ETIMEDOUT', 'CONN', { timeoutType: 'SOCKET_TIMEOUT' }),
    mail('ECONNECTION', 'CONN'),
    mail('ESOCKET', 'CONN', { syscall: 'read', originalCode: 'ECONNRESET' }),
    mail('ECONNECTION', 'CONN', { responseCode: 421 }),
    mail('ESTREAM', 'API'),
    new TypeError('x is not a function'),
    'text',
    null,
    undefined,
    42n,
    Symbol('x'),
    () => {},
  ])('%s', (error) => {
    expect(verdictOf(error).kind).toBe('unknown')
  })

  test('the gate’s own error, wherever it lies', () => {
    const gate = system('STEWARD_GATE')
    expect(verdictOf(gate).kind).toBe('unknown')
    expect(verdictOf(Object.assign(wrapped(gate), { status: 402 })).kind).toBe('unknown')
  })

  test('hostile objects', () => {
    const cyclic: Record<string, unknown> = { code: 'X' }
    cyclic['cause'] = cyclic
    const throwing = new Proxy({}, {
      get: () => {
        throw new Error('no')
      },
      getPrototypeOf: () => {
        throw new Error('no')
      },
    })
    let deep: unknown = { status: 402 }
    for (let at = 0; at < 10_000; at += 1) deep = { cause: deep }
    for (const error of [cyclic, throwing, deep, { cause: throwing }, { response: throwing }, { headers: throwing, status: 429 }, Object.create(null), Proxy.revocable({}, {}).proxy]) {
      expect(() => verdictOf(error)).not.toThrow()
    }
    expect(verdictOf(deep).kind).toBe('unknown')
    const headers = { get: () => { throw new Error('no') } }
    expect(verdictOf({ status: 429, headers })).toMatchObject({ kind: 'not_applied', refused: 'load' })
  })

  test('never throws, and says little: one short line without messages', () => {
    const part = fc.oneof(fc.constantFrom('status', 'statusCode', 'code', 'name', 'message', 'cause', 'response', 'headers', 'errors', 'syscall', 'command', 'responseCode', '$metadata', 'detail'), fc.string())
    fc.assert(
      fc.property(fc.oneof(fc.anything(), fc.dictionary(part, fc.oneof(fc.anything(), fc.integer({ min: 0, max: 600 }), fc.constantFrom('ECONNRESET', 'connect', 'my secret body'))), fc.object({ key: part })), (error) => {
        const verdict = verdictOf(error)
        expect(['rejected', 'not_applied', 'unknown']).toContain(verdict.kind)
        expect(verdict.reason.length).toBeLessThanOrEqual(200)
        expect(verdict.reason).not.toContain('my secret body')
        expect(verdict.reason).not.toContain('\n')
      }),
    )
  })
})

describe('mail', () => {
  test.each([
    [mail('EAUTH', 'AUTH PLAIN', { responseCode: 535 }), 'not_applied', 'caller'],
    [mail('EENVELOPE', 'RCPT TO', { responseCode: 550 }), 'rejected', undefined],
    [mail('EENVELOPE', 'MAIL FROM', { responseCode: 451 }), 'not_applied', undefined],
    [mail('EENVELOPE', 'DATA', { responseCode: 451 }), 'not_applied', undefined],
    [mail('EMESSAGE', 'DATA', { responseCode: 554 }), 'rejected', undefined],
    [mail('EENVELOPE', 'API'), 'rejected', undefined],
    [mail('EPROTOCOL', 'CONN', { responseCode: 421 }), 'not_applied', 'load'],
  ])('%s is %s', (error, kind, refused) => {
    expect(verdictOf(error)).toMatchObject({ kind, ...(refused === undefined ? {} : { refused }) })
  })
})

describe('the wire’s second opinion', () => {
  const post = (more: Partial<WireExchange> = {}): WireExchange => ({ method: 'POST', origin: 'https://api', path: '/charges', reached: 'answered', startedAt: 0, keyOnWire: false, ...more })
  const lost = post({ reached: 'sent' })
  const rejected: Verdict = { kind: 'rejected', reason: 'answered 402', status: 402 }
  const unsent: Verdict = { kind: 'not_applied', reason: 'could not connect', refused: 'unsent' }
  const limited: Verdict = { kind: 'not_applied', reason: 'answered 429', status: 429, refused: 'load', retryAfterMs: 9 }

  test.each<[string, Verdict & { clientTries?: number }, WireExchange[], Verdict['kind']]>([
    ['nothing on record changes nothing', unsent, [], 'not_applied'],
    ['the refused request alone', rejected, [post({ status: 402 })], 'rejected'],
    ['an earlier one without an answer', rejected, [lost, post({ status: 402 })], 'unknown'],
    ['an earlier one answered 500', rejected, [post({ status: 500 }), post({ status: 402 })], 'unknown'],
    ['an earlier one answered 200', rejected, [post({ status: 200 }), post({ status: 402 })], 'unknown'],
    ['an earlier one refused for certain', rejected, [post({ status: 429 }), post({ status: 402 })], 'rejected'],
    ['an earlier one that never left', rejected, [post({ reached: 'created' }), post({ status: 402 })], 'rejected'],
    ['an earlier question', rejected, [post({ method: 'GET', reached: 'sent' }), post({ status: 402 })], 'rejected'],
    ['fetching a token first', rejected, [post({ path: '/oauth2/token', status: 200 }), post({ status: 402 })], 'rejected'],
    ['an unkeyed step before the keyed effect', rejected, [post({ path: '/customers', status: 200 }), post({ status: 402, keyOnWire: true })], 'rejected'],
    ['the same without an answer', rejected, [post({ path: '/customers', reached: 'sent' }), post({ status: 402, keyOnWire: true })], 'unknown'],
    ['a redirect that was followed', rejected, [post({ status: 307 }), post({ status: 402 })], 'rejected'],
    ['a redirect that changed the method', rejected, [post({ status: 303 }), post({ status: 402 })], 'unknown'],
    ['a refusal that nobody saw, beside one without an answer', rejected, [lost], 'unknown'],
    ['unsent, though one reached the wire', unsent, [lost, post({ reached: 'created', error: 'ECONNREFUSED' })], 'unknown'],
    ['unsent, though one was answered 200', unsent, [post({ status: 200 })], 'unknown'],
    ['told to wait after a lost one', limited, [lost, post({ status: 429 })], 'unknown'],
    ['more tries than were seen', { ...unsent, clientTries: 3 }, [post({ reached: 'created' })], 'unknown'],
    ['all tries seen, none left', { ...unsent, clientTries: 2 }, [post({ reached: 'created' }), post({ reached: 'created' })], 'not_applied'],
    ['a conclusive refusal', { ...rejected, conclusive: true }, [lost, post({ status: 402 })], 'rejected'],
    ['an unknown', { kind: 'unknown', reason: 'x' }, [post({ status: 402 })], 'unknown'],
    ['a success', { kind: 'applied', result: '1' }, [lost], 'applied'],
  ])('%s', (_, verdict, exchanges, kind) => {
    const refined = refineByWire(verdict, exchanges)
    expect(refined.kind).toBe(kind)
    expect(refined).not.toHaveProperty('clientTries')
  })

  test('keeps the wait and the status it was told', () => {
    expect(refineByWire(limited, [lost, post({ status: 429 })])).toMatchObject({ kind: 'unknown', status: 429, retryAfterMs: 9 })
  })

  test('never makes a claim stronger', () => {
    const rank = { unknown: 0, not_applied: 1, rejected: 1, applied: 1, accepted: 1 }
    const exchange = fc.record({ method: fc.constantFrom('GET', 'POST'), origin: fc.constant('https://api'), path: fc.constantFrom('/a', '/token'), reached: fc.constantFrom('created', 'sent', 'answered'), status: fc.constantFrom(200, 307, 402, 429, 500), startedAt: fc.constant(0), keyOnWire: fc.boolean() })
    fc.assert(
      fc.property(fc.constantFrom(rejected, unsent, limited, { kind: 'unknown', reason: 'x' } as Verdict), fc.array(exchange as fc.Arbitrary<WireExchange>, { maxLength: 6 }), (verdict, exchanges) => {
        expect(rank[refineByWire(verdict, exchanges).kind]).toBeLessThanOrEqual(rank[verdict.kind])
      }),
    )
  })

  test('knows token endpoints', () => {
    expect(isCredentialRequest('https://login.example', '/oauth2/token')).toBe(true)
    expect(isCredentialRequest('https://sts.eu-west-1.amazonaws.com', '/')).toBe(true)
    expect(isCredentialRequest('https://api.example', '/v1/charges')).toBe(false)
    expect(isCredentialRequest('https://api.stripe.com', '/v1/tokens')).toBe(false)
  })
})
