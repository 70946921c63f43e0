/**
 * undici, as an npm package and inside Node (fetch): what its channels tell, and the gate in front of its socket.
 *
 * `undici:request:create` is published at the end of the request's constructor. In a pool that queues, that is when
 * a connection comes free, in the async context of whichever request freed it (measured): the context proves nothing
 * here, only the key or the bound fetch's token in the headers does.
 *
 * The gate is the request's own start hook (`onRequestStart`; `onConnect` before undici 8), which the connection calls
 * synchronously before it composes the headers: an error thrown there fails this request alone, leaves the connection
 * and its other requests unharmed, and works for HTTP/1 and HTTP/2 (measured). Should a version of undici not call it,
 * `undici:client:sendHeaders` is the second line: it aborts the request and destroys the socket, which
 * stops it before a byte is written on HTTP/1, at the price of the connection.
 */
import { ExchangeRecord, RECORD } from './exchange.ts'
import { stop } from './gate.ts'
import type { Registry } from './registry.ts'
import { TOKEN_HEADER, type Watch } from './watch.ts'

type StartHook = (this: UndiciRequest, ...args: unknown[]) => unknown

type UndiciRequest = {
  method: string
  origin: unknown
  path: string
  headers: unknown
  abort?: ((error: Error) => void) | null
  onRequestStart?: StartHook
  onConnect?: StartHook
  [RECORD]?: ExchangeRecord
}

type Socket = { destroy(error?: Error): unknown }

export type ChannelHandler = (message: unknown) => void

export function undiciHandlers(registry: Registry): Record<string, ChannelHandler> {
  return {
    'undici:request:create': (message) => created(registry, (message as { request: UndiciRequest }).request),
    'undici:client:sendHeaders': sendHeaders,
    'undici:request:headers': headers,
    'undici:request:trailers': trailers,
    'undici:request:error': failed,
  }
}

function created(registry: Registry, request: UndiciRequest): void {
  const near = registry.context.getStore()
  if (near === undefined && registry.byKey.size === 0 && registry.byToken.size === 0) return
  const found = find(registry, request.headers, near)
  if (found === undefined) {
    if (near !== undefined && !near.closed) near.countUnattributed()
    return
  }
  attach(request, new ExchangeRecord(found.watch, request.method, request.origin, request.path, found.keyOnWire, false))
}

type Found = { watch: Watch; keyOnWire: boolean }

/** Looks for a token or a key among the header values: names and values in turn, in one flat array. */
function find(registry: Registry, list: unknown, near: Watch | undefined): Found | undefined {
  if (!Array.isArray(list)) return undefined
  const flat = list as unknown[]
  let keyed: Watch | undefined
  let tokened: Watch | undefined
  for (let at = flat.length - 2; at >= 0; at -= 2) {
    const value = flat[at + 1]
    if (registry.byToken.size !== 0 && flat[at] === TOKEN_HEADER) {
      tokened = registry.byToken.get(String(value))
      flat.splice(at, 2)
    } else if (keyed === undefined) {
      keyed = keyIn(registry, value, near)
      if (keyed !== undefined && registry.byToken.size === 0) break
    }
  }
  if (tokened !== undefined) return { watch: tokened, keyOnWire: keyed !== undefined && keyed.key === tokened.key }
  return keyed === undefined ? undefined : { watch: keyed, keyOnWire: true }
}

function keyIn(registry: Registry, value: unknown, near: Watch | undefined): Watch | undefined {
  if (typeof value === 'string') return registry.withKey(value, near)
  if (!Array.isArray(value)) return undefined
  for (const each of value as unknown[]) {
    const watch = typeof each === 'string' ? registry.withKey(each, near) : undefined
    if (watch !== undefined) return watch
  }
  return undefined
}

function attach(request: UndiciRequest, record: ExchangeRecord): void {
  record.watch.add(record)
  request[RECORD] = record
  if (typeof request.onRequestStart === 'function') request.onRequestStart = gatedRequestStart
  else if (typeof request.onConnect === 'function') request.onConnect = gatedConnect
}

function gatedRequestStart(this: UndiciRequest, ...args: unknown[]): unknown {
  pass(this)
  return prototypeOf(this).onRequestStart?.apply(this, args)
}

function gatedConnect(this: UndiciRequest, ...args: unknown[]): unknown {
  pass(this)
  return prototypeOf(this).onConnect?.apply(this, args)
}

function prototypeOf(request: UndiciRequest): UndiciRequest {
  return Object.getPrototypeOf(request) as UndiciRequest
}

/** Lets the request through, or throws what stops it. */
function pass(request: UndiciRequest): void {
  const record = current(request)
  if (record === undefined) return
  const refusal = record.watch.refusal(record)
  if (refusal !== undefined) throw stop(record, refusal)
  record.passed = true
}

/** undici puts a request whose connection went away back in line: each time it is written is an exchange of its own. */
function current(request: UndiciRequest): ExchangeRecord | undefined {
  const record = request[RECORD]
  if (record === undefined || record.reached === 'created') return record
  const again = new ExchangeRecord(record.watch, record.method, record.rawOrigin, record.target, record.keyOnWire, record.byContext)
  record.watch.add(again)
  request[RECORD] = again
  return again
}

function sendHeaders(message: unknown): void {
  const { request, socket } = message as { request: UndiciRequest; socket: Socket }
  const record = request[RECORD]
  if (record === undefined) return
  if (record.passed && record.reached === 'created') {
    record.reached = 'sent'
    return
  }
  const ungated = current(request) ?? record
  const refusal = ungated.gated ?? ungated.watch.refusal(ungated)
  if (refusal === undefined) {
    ungated.reached = 'sent'
    return
  }
  const error = stop(ungated, refusal)
  request.abort?.(error)
  socket.destroy(error)
}

function headers(message: unknown): void {
  const { request, response } = message as { request: UndiciRequest; response: { statusCode: number } }
  request[RECORD]?.answered(response.statusCode)
}

function trailers(message: unknown): void {
  ;(message as { request: UndiciRequest }).request[RECORD]?.ended()
}

function failed(message: unknown): void {
  const { request, error } = message as { request: UndiciRequest; error: unknown }
  request[RECORD]?.failed(error)
}
