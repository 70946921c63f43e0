/**
 * From an error that `send` threw to a verdict about its attempt, and from the wire's record to a second opinion.
 *
 * One rule stands above the tables: claim `not_applied` or `rejected` only on proof, everything else is `unknown`.
 * Proof that nothing left is an error that names the step before the request (resolving, connecting, the TLS
 * handshake); proof of a refusal is a status the provider sent. A code alone is neither: `ETIMEDOUT` is also what a
 * request gets that was sent long ago, and nodemailer reports a connection lost in the middle of a mail under the
 * command `CONN`.
 *
 * Errors are foreign objects: every property is read behind a guard, chains are followed to a fixed depth, and
 * reasons carry names, codes and statuses only, never messages, bodies or headers.
 */
import { LIMITS } from './limits.ts'
import type { FailureVerdict, Verdict, WireExchange } from './verdict.ts'

export type VerdictOptions = {
  /** Milliseconds since the epoch; needed to read a Retry-After that is a date. */
  readonly nowMs?: number
}

/** How often the client says it sent inside this one attempt, itself included; read by {@link refineByWire}. */
export type Tried = { readonly clientTries?: number }

const CHAIN_DEPTH = 8
const CHAIN_NODES = 32
const REASON_LENGTH = 200

/** Where clients keep the error beneath: `cause` (fetch, axios), `detail` (Stripe), `original` (Slack). */
const BENEATH = ['cause', 'detail', 'original', 'originalError'] as const

/** Certificate and handshake failures of Node's TLS client: it has not written a byte of the request by then. */
const TLS_BEFORE_REQUEST = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'UNABLE_TO_GET_ISSUER_CERT', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'UNABLE_TO_GET_CRL', 'HOSTNAME_MISMATCH', 'INVALID_CA', 'INVALID_PURPOSE', 'PATH_LENGTH_EXCEEDED',
  'ERR_TLS_CERT_ALTNAME_INVALID', 'ERR_TLS_CERT_ALTNAME_FORMAT', 'ERR_TLS_DH_PARAM_SIZE', 'ERR_TLS_INVALID_PROTOCOL_VERSION',
  'ERR_TLS_PROTOCOL_VERSION_CONFLICT', 'ERR_TLS_INVALID_CONTEXT',
  'ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_UNSUPPORTED_PROTOCOL', 'ERR_SSL_NO_PROTOCOLS_AVAILABLE', 'ERR_SSL_PACKET_LENGTH_TOO_LONG',
  'ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE', 'ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE', 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME',
])

/** What `EPROTO` says when it is the handshake that failed; any other EPROTO may come later. */
const HANDSHAKE_ALERT = /wrong version number|unsupported protocol|handshake failure|alert protocol version|unrecognized name|packet length too long/i

/** Connections to these are to stores and brokers, never to a provider's API: they do not tell how far the effect got. */
const STORE_PORTS = new Set([1433, 1521, 3306, 5432, 5672, 6379, 6432, 9042, 9092, 11211, 27017])

/** AWS answers these with status 400 or 403, before looking at the request. */
const AWS_THROTTLES = new Set([
  'BandwidthLimitExceeded', 'EC2ThrottledException', 'LimitExceededException', 'PriorRequestNotComplete', 'ProvisionedThroughputExceededException', 'RequestLimitExceeded',
  'RequestThrottled', 'RequestThrottledException', 'SlowDown', 'ThrottledException', 'Throttling', 'ThrottlingException', 'TooManyRequestsException',
])
/** Answered with 400 while an earlier request with the same token is still being worked on. */
const AWS_IN_PROGRESS = 'TransactionInProgressException'
const AWS_CALLERS = new Set([
  'AccessDenied', 'AccessDeniedException', 'AuthFailure', 'ExpiredToken', 'ExpiredTokenException', 'IncompleteSignature', 'IncompleteSignatureException', 'InvalidClientTokenId',
  'InvalidSignatureException', 'MissingAuthenticationToken', 'MissingAuthenticationTokenException', 'RequestExpired', 'RequestTimeTooSkewed', 'SignatureDoesNotMatch',
  'UnrecognizedClientException',
])

// ---------------------------------------------------------------------------------------------------------------------
// Statuses

/**
 * The verdict of a failing HTTP status, by the rules every provider shares; presets refine it.
 * A status of 2xx is `unknown` here: the provider did something, and the client threw all the same.
 */
export function statusVerdict(status: number, waitMs?: number): FailureVerdict {
  const reason = `answered ${status}`
  if (status === 425 || status === 429) return withWait({ kind: 'not_applied', reason, status, refused: 'load' }, waitMs)
  if (status === 401 || status === 403 || status === 404 || status === 405 || status === 407) return { kind: 'not_applied', reason, status, refused: 'caller' }
  if (status >= 400 && status < 500 && status !== 408 && status !== 409) return { kind: 'rejected', reason, status }
  if (status >= 200 && status < 300) return { kind: 'unknown', reason: `answered ${status}, and the answer could not be used`, status }
  return withWait({ kind: 'unknown', reason, status }, status === 503 ? waitMs : undefined)
}

function withWait<T extends FailureVerdict>(verdict: T, retryAfterMs: number | undefined): T {
  return retryAfterMs === undefined ? verdict : { ...verdict, retryAfterMs }
}

/** Reads a Retry-After value: seconds, or an HTTP date when `nowMs` is known. Anything else is undefined. */
export function retryAfterMs(value: unknown, nowMs?: number): number | undefined {
  if (typeof value === 'number') return boundedWait(value * 1000)
  if (typeof value !== 'string') return undefined
  const text = value.trim()
  if (/^\d{1,12}(\.\d{1,6})?$/.test(text)) return boundedWait(Number(text) * 1000)
  if (nowMs === undefined || !/^[A-Z][a-z]{2,8}, .{10,30}$/.test(text)) return undefined
  return boundedWait(Date.parse(text) - nowMs)
}

function boundedWait(ms: number): number | undefined {
  return Number.isFinite(ms) ? Math.min(Math.max(0, Math.ceil(ms)), LIMITS.retryAfterMs) : undefined
}

// ---------------------------------------------------------------------------------------------------------------------
// Errors

/** The verdict of whatever `send` threw. Never throws, never claims more than the error proves. */
export function verdictOf(error: unknown, options: VerdictOptions = {}): FailureVerdict & Tried {
  const chain = chainOf(error)
  const gate = chain.find((node) => textOf(node, 'code') === 'STEWARD_GATE')
  if (gate !== undefined) return { kind: 'unknown', reason: "stopped by Steward's wire gate (STEWARD_GATE)" }
  const verdict = mailVerdict(chain) ?? answerVerdict(chain, options) ?? awsUnconnected(chain) ?? unsentVerdict(chain) ?? unknownVerdict(error, chain)
  const tries = clientTriesOf(chain)
  return tries > 1 && verdict.kind !== 'unknown' ? { ...verdict, clientTries: tries } : verdict
}

/** The error and those beneath it, outermost first, each once. */
function chainOf(error: unknown): object[] {
  const chain: object[] = []
  let level: unknown[] = [error]
  for (let depth = 0; depth < CHAIN_DEPTH && level.length > 0; depth += 1) {
    const next: unknown[] = []
    for (const node of level) {
      if (!isObject(node) || chain.includes(node) || chain.length >= CHAIN_NODES) continue
      chain.push(node)
      for (const name of BENEATH) next.push(read(node, name))
    }
    level = next
  }
  return chain
}

function answerVerdict(chain: readonly object[], options: VerdictOptions): FailureVerdict | undefined {
  for (const node of chain) {
    const status = statusOf(node)
    if (status !== undefined) return awsVerdict(node, status) ?? statusVerdict(status, waitOf(node, options.nowMs))
    if (textOf(node, 'code') === 'slack_webapi_rate_limited_error') {
      return withWait({ kind: 'not_applied', reason: 'answered 429', status: 429, refused: 'load' }, retryAfterMs(read(node, 'retryAfter')))
    }
  }
  return undefined
}

function statusOf(node: object): number | undefined {
  const response = read(node, 'response')
  const metadata = read(node, '$metadata')
  const candidates = [
    isObject(metadata) ? read(metadata, 'httpStatusCode') : undefined,
    isObject(response) ? read(response, 'status') : undefined,
    isObject(response) ? read(response, 'statusCode') : undefined,
    read(node, 'statusCode'),
    read(node, 'status'),
  ]
  return candidates.find((value): value is number => typeof value === 'number' && Number.isInteger(value) && value >= 100 && value <= 599)
}

function awsVerdict(node: object, status: number): FailureVerdict | undefined {
  if (!isObject(read(node, '$metadata')) || status < 400 || status >= 500) return undefined
  const name = textOf(node, 'name') ?? ''
  const retryable = read(node, '$retryable')
  const reason = `answered ${status} (${label(name) || 'AWS error'})`
  if (name === AWS_IN_PROGRESS) return { kind: 'unknown', reason, status }
  if (AWS_THROTTLES.has(name) || (isObject(retryable) && read(retryable, 'throttling') === true)) return { kind: 'not_applied', reason, status, refused: 'load' }
  return AWS_CALLERS.has(name) ? { kind: 'not_applied', reason, status, refused: 'caller' } : undefined
}

/** The AWS handlers name their connect timeout only in the message, which is theirs and holds nothing of the request. */
function awsUnconnected(chain: readonly object[]): FailureVerdict | undefined {
  const found = chain.some((node) => isObject(read(node, '$metadata')) && /did not establish a connection with the server within/.test(textOf(node, 'message') ?? ''))
  return found ? { kind: 'not_applied', reason: 'connection timed out', refused: 'unsent' } : undefined
}

function waitOf(node: object, nowMs: number | undefined): number | undefined {
  const owners = [node, read(node, 'response'), read(node, '$response')]
  const kept = [...owners.map((owner) => (isObject(owner) ? read(owner, 'headers') : undefined)), read(node, 'responseHeaders')]
  for (const headers of kept) {
    if (!isObject(headers)) continue
    const precise = retryAfterMs(header(headers, 'retry-after-ms'))
    if (precise !== undefined) return Math.ceil(precise / 1000)
    const wait = retryAfterMs(header(headers, 'retry-after'), nowMs)
    if (wait !== undefined) return wait
  }
  return undefined
}

function header(headers: object, name: string): unknown {
  const get = read(headers, 'get')
  if (typeof get === 'function') {
    try {
      return get.call(headers, name) as unknown
    } catch {
      return undefined
    }
  }
  return read(headers, name) ?? read(headers, name === 'retry-after' ? 'Retry-After' : name)
}

// ---------------------------------------------------------------------------------------------------------------------
// Nothing left the process

function unsentVerdict(chain: readonly object[]): FailureVerdict | undefined {
  for (const node of chain) {
    const name = textOf(node, 'name')
    // A client that gave up waiting, whatever lies beneath, may have been waiting for an answer.
    if ((name === 'AbortError' || name === 'TimeoutError') && textOf(node, 'syscall') === undefined) return undefined
    const nested = read(node, 'errors')
    if (Array.isArray(nested) && nested.length > 0) return unsentTogether(node, nested)
    const reason = unsentReason(node)
    if (reason !== undefined) return { kind: 'not_applied', reason, refused: 'unsent' }
  }
  return undefined
}

/** Happy eyeballs: one error per address tried. Unsent only when each of them is. */
function unsentTogether(node: object, nested: readonly unknown[]): FailureVerdict | undefined {
  if (nested.length > CHAIN_NODES) return undefined
  const all = nested.every((part) => isObject(part) && unsentReason(part) !== undefined)
  return all ? { kind: 'not_applied', reason: `could not connect (${label(textOf(node, 'code')) || 'all addresses failed'})`, refused: 'unsent' } : undefined
}

function unsentReason(node: object): string | undefined {
  const code = textOf(node, 'originalCode') ?? textOf(node, 'code')
  if (code === undefined) return undefined
  const shown = label(code)
  const syscall = textOf(node, 'syscall')
  if (syscall === 'connect') return STORE_PORTS.has(Number(read(node, 'port'))) ? undefined : `could not connect (${shown})`
  if (syscall === 'getaddrinfo' || (syscall !== undefined && /^query[A-Z]/.test(syscall))) return `name not resolved (${shown})`
  if (code === 'UND_ERR_CONNECT_TIMEOUT' || code === 'ERR_SOCKET_CONNECTION_TIMEOUT') return `connection timed out (${shown})`
  if (TLS_BEFORE_REQUEST.has(code) || code.startsWith('CERT_')) return `TLS handshake failed (${shown})`
  const message = textOf(node, 'message') ?? ''
  if (code === 'EPROTO' && HANDSHAKE_ALERT.test(message)) return 'TLS handshake failed (EPROTO)'
  // Node's own sentence, word for word, for a connection lost before the handshake was done.
  if (code === 'ECONNRESET' && message === 'Client network socket disconnected before secure TLS connection was established') return 'TLS handshake failed (ECONNRESET)'
  return undefined
}

// ---------------------------------------------------------------------------------------------------------------------
// Mail

/**
 * nodemailer: `command` is the SMTP command in flight, except that every socket error, timeout and close carries
 * `CONN`, also in the middle of the message. Only a reply, or an error of connecting itself, is proof.
 */
function mailVerdict(chain: readonly object[]): FailureVerdict | undefined {
  const node = chain.find((each) => textOf(each, 'command') !== undefined && textOf(each, 'code')?.startsWith('E') === true)
  if (node === undefined) return undefined
  const code = textOf(node, 'code') ?? ''
  const command = textOf(node, 'command') ?? ''
  const replied = read(node, 'responseCode')
  if (code === 'EAUTH') return { kind: 'not_applied', reason: `mail login refused (${typeof replied === 'number' ? replied : code})`, refused: 'caller' }
  if (typeof replied === 'number') return repliedVerdict(replied, command, code)
  if (mailUnsent(node, code)) return { kind: 'not_applied', reason: `mail server not reached (${label(textOf(node, 'originalCode') ?? code)})`, refused: 'unsent' }
  const refusedHere = (code === 'EENVELOPE' || code === 'EMESSAGE' || code === 'EREQUIRETLS') && (command === 'API' || command === 'MAIL FROM')
  if (refusedHere) return { kind: 'rejected', reason: `mail refused before it was sent (${code})` }
  return { kind: 'unknown', reason: `mail connection lost (${label(code)})` }
}

function repliedVerdict(replied: number, command: string, code: string): FailureVerdict | undefined {
  const reason = `mail server answered ${replied} to ${/^[A-Z]{3,8}( [A-Z0-9-]{2,20})?$/.test(command) ? command : 'a command'}`
  // A reply under CONN can be the last line of a connection that died during the message; only a bad greeting cannot.
  if (command === 'CONN' && code !== 'EPROTOCOL') return { kind: 'unknown', reason }
  if (replied === 421) return { kind: 'not_applied', reason, refused: 'load' }
  if (replied >= 400 && replied < 500) return { kind: 'not_applied', reason }
  return replied >= 500 && replied < 600 ? { kind: 'rejected', reason } : { kind: 'unknown', reason }
}

function mailUnsent(node: object, code: string): boolean {
  if (code === 'EDNS' || code === 'ETLS') return true
  if (textOf(node, 'syscall') === 'connect' || textOf(node, 'syscall') === 'getaddrinfo') return true
  const timeout = textOf(node, 'timeoutType') ?? textOf(node, 'message')
  return code === 'ETIMEDOUT' && (timeout === 'CONNECT_TIMEOUT' || timeout === 'GREETING_TIMEOUT' || timeout === 'UPGRADE_TIMEOUT' || timeout === 'Connection timeout' || timeout === 'Greeting never received')
}

// ---------------------------------------------------------------------------------------------------------------------
// Everything else

function unknownVerdict(error: unknown, chain: readonly object[]): FailureVerdict {
  for (let at = chain.length - 1; at >= 0; at -= 1) {
    const node = chain[at]
    const code = node === undefined ? '' : label(textOf(node, 'code'))
    if (code !== '') return { kind: 'unknown', reason: cap(`no definite answer (${code})`) }
  }
  const outer = chain[0]
  if (outer === undefined) return { kind: 'unknown', reason: `send threw ${error === null ? 'null' : typeof error}` }
  return { kind: 'unknown', reason: cap(`send threw ${label(textOf(outer, 'name')) || 'an object'}`) }
}

/** What clients tell about their own retries; 1 when they tell nothing. */
function clientTriesOf(chain: readonly object[]): number {
  let tries = 1
  for (const node of chain) {
    const metadata = read(node, '$metadata')
    const aws = isObject(metadata) ? read(metadata, 'attempts') : undefined
    if (typeof aws === 'number') tries = Math.max(tries, aws)
    const stripe = /^An error occurred with our connection to Stripe\. Request was retried (\d{1,4}) times/.exec(textOf(node, 'message') ?? '')
    if (stripe !== null) tries = Math.max(tries, Number(stripe[1]) + 1)
    const request = read(node, 'request')
    const got = isObject(request) ? read(request, 'retryCount') : undefined
    if (typeof got === 'number') tries = Math.max(tries, got + 1)
    const config = read(node, 'config')
    const plugin = isObject(config) ? read(config, 'axios-retry') : undefined
    const axios = isObject(plugin) ? read(plugin, 'retryCount') : undefined
    if (typeof axios === 'number') tries = Math.max(tries, axios + 1)
  }
  return tries
}

function isObject(value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function'
}

/** A property of a foreign object; what cannot be read is not there. */
function read(object: object, name: string): unknown {
  try {
    return (object as Record<string, unknown>)[name]
  } catch {
    return undefined
  }
}

function textOf(object: object, name: string): string | undefined {
  const value = read(object, name)
  return typeof value === 'string' ? value : undefined
}

/** A name or code that is fit to be shown: one word, or it is left out. */
function label(value: string | undefined): string {
  return value !== undefined && /^[A-Za-z_$][\w$/.-]{0,59}$/.test(value) ? value : ''
}

function cap(text: string): string {
  return text.length <= REASON_LENGTH ? text : `${text.slice(0, REASON_LENGTH - 1)}…`
}

// ---------------------------------------------------------------------------------------------------------------------
// The wire's second opinion

/** GET, HEAD, OPTIONS and TRACE ask; everything else may change something. */
export function isUnsafeMethod(method: string): boolean {
  return method !== 'GET' && method !== 'HEAD' && method !== 'OPTIONS' && method !== 'TRACE'
}

/** Fetching an access token is a POST without the effect: OAuth 2 token endpoints and AWS STS. */
export function isCredentialRequest(origin: string, path: string): boolean {
  return path.endsWith('/token') || path.endsWith('/oauth/access_token') || origin.startsWith('https://sts.')
}

/** Whether what is known of one exchange leaves it open, or says, that the provider acted on it. */
export function mayHaveHappened(exchange: Pick<WireExchange, 'reached' | 'status'>): boolean {
  if (exchange.reached === 'created') return false
  if (exchange.reached === 'sent' || exchange.status === undefined) return true
  return statusVerdict(exchange.status).kind === 'unknown'
}

/**
 * Holds a verdict of refusal against what was seen on the wire of the same attempt.
 *
 * A client may send again inside one attempt, and its error speaks for the last request only. When another unsafe
 * request of the attempt may have been acted upon, or the client admits to more tries than were seen, "not applied"
 * and "rejected" become `unknown`. It never goes the other way: absence of a record is no proof.
 */
export function refineByWire(verdict: Verdict & Tried, exchanges: readonly WireExchange[]): Verdict {
  const { clientTries, ...plain } = verdict
  if (plain.kind !== 'rejected' && plain.kind !== 'not_applied') return plain
  if (plain.kind === 'rejected' && plain.conclusive === true) return plain
  const unsafe = exchanges.filter((each) => isUnsafeMethod(each.method) && !isCredentialRequest(each.origin, each.path))
  if (clientTries !== undefined && unsafe.filter((each) => each.gated === undefined).length < clientTries) {
    return doubted(plain, `the client tried ${clientTries} times and not every try was seen`)
  }
  const spokenFor = exchangeSpokenFor(plain, unsafe)
  const keyed = unsafe.some((each) => each.keyOnWire)
  for (const [at, other] of unsafe.entries()) {
    if (at === spokenFor || !mayHaveHappened(other) || isFollowedRedirect(other, at, unsafe)) continue
    // Beside requests that carry the key, an unkeyed one that was answered with success is a step, not the effect.
    const step = keyed && !other.keyOnWire && other.status !== undefined && other.status >= 200 && other.status < 300
    if (!step) return doubted(plain, other.status === undefined ? `another ${other.method} of the attempt got no answer` : `another ${other.method} of the attempt was answered ${other.status}`)
  }
  return plain
}

/** Index of the unsafe exchange whose answer the verdict reports; -1 when the verdict says that nothing was sent. */
function exchangeSpokenFor(verdict: FailureVerdict, unsafe: readonly WireExchange[]): number {
  if (verdict.kind === 'not_applied' && verdict.refused === 'unsent') return -1
  const { status } = verdict
  return unsafe.findLastIndex((each) => each.reached === 'answered' && (status === undefined || each.status === status))
}

/** 307 and 308 hand the same request on; the answer to the next one is the answer. */
function isFollowedRedirect(exchange: WireExchange, at: number, unsafe: readonly WireExchange[]): boolean {
  return (exchange.status === 307 || exchange.status === 308) && unsafe[at + 1]?.method === exchange.method
}

function doubted(verdict: FailureVerdict, because: string): Verdict {
  const wait = verdict.kind === 'not_applied' ? verdict.retryAfterMs : undefined
  const status = verdict.status === undefined ? {} : { status: verdict.status }
  return withWait({ kind: 'unknown', reason: cap(`${verdict.reason}, but ${because}`), ...status }, wait)
}
