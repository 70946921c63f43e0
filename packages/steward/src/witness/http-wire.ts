/**
 * `node:http` and `node:https`: what their channels tell, and the gate in front of their sockets.
 *
 * `http.client.request.created` is published inside the caller's `request()`, so the async context is the caller's.
 * From there three moments matter, and the gate stands at each: the request is created; it gets a socket (perhaps
 * later: agents queue); the socket is connected and through its TLS handshake. Before the last one nothing can leave,
 * although `http.client.request.start` may long have said that the request was handed over. Destroying a request that
 * has no socket yet gives the agent's socket back unharmed; one that has it loses it, before anything is flushed.
 *
 * A request counts as `sent` from the last moment on, also if its body comes later: too early rather than too late.
 */
import type { ClientRequest, OutgoingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
import { ExchangeRecord, RECORD } from './exchange.ts'
import { stop } from './gate.ts'
import type { Registry } from './registry.ts'
import type { ChannelHandler } from './undici-wire.ts'
import { TOKEN_HEADER, type Watch } from './watch.ts'

type SeenRequest = ClientRequest & { [RECORD]?: ExchangeRecord; _header?: string | null }

export function httpHandlers(registry: Registry): Record<string, ChannelHandler> {
  return {
    'http.client.request.created': (message) => created(registry, (message as { request: SeenRequest }).request),
    'http.client.request.error': failed,
    'http.client.response.finish': answered,
  }
}

function created(registry: Registry, request: SeenRequest): void {
  const near = registry.context.getStore()
  if (near === undefined && registry.byKey.size === 0 && registry.byToken.size === 0) return
  const record = attribute(registry, request, near)
  if (record === undefined) return
  record.watch.add(record)
  request[RECORD] = record
  if (mayGo(request, record)) request.prependOnceListener('socket', gotSocket)
}

function attribute(registry: Registry, request: SeenRequest, near: Watch | undefined): ExchangeRecord | undefined {
  const tokened = takeToken(registry, request)
  const keyed = keyIn(registry, request, near)
  const watch = tokened ?? keyed ?? near
  if (watch === undefined) return undefined
  const byContext = tokened === undefined && keyed === undefined
  if (byContext && watch.isForgotten()) {
    watch.countUnattributed()
    return undefined
  }
  return new ExchangeRecord(watch, request.method, originOf(request), request.path, keyed !== undefined && keyed.key === watch.key, byContext)
}

/** A `fetch` that somebody put in the place of Node's may run over node:http: the token must not leave there either. */
function takeToken(registry: Registry, request: SeenRequest): Watch | undefined {
  if (registry.byToken.size === 0 || !request.hasHeader(TOKEN_HEADER)) return undefined
  const token = request.getHeader(TOKEN_HEADER)
  if (request.headersSent) return undefined
  request.removeHeader(TOKEN_HEADER)
  return typeof token === 'string' ? registry.byToken.get(token) : undefined
}

function keyIn(registry: Registry, request: SeenRequest, near: Watch | undefined): Watch | undefined {
  if (registry.byKey.size === 0) return undefined
  // Headers given as an array are composed at once and found only in the composed text.
  if (typeof request._header === 'string') return keyInText(registry, request._header, near)
  const headers: OutgoingHttpHeaders = request.getHeaders()
  for (const name in headers) {
    const value = headers[name]
    if (typeof value === 'string') {
      const watch = registry.withKey(value, near)
      if (watch !== undefined) return watch
    } else if (Array.isArray(value)) {
      for (const each of value) {
        const watch = registry.withKey(each, near)
        if (watch !== undefined) return watch
      }
    }
  }
  return undefined
}

function keyInText(registry: Registry, text: string, near: Watch | undefined): Watch | undefined {
  for (const line of text.split('\r\n')) {
    const colon = line.indexOf(': ')
    const watch = colon === -1 ? undefined : registry.withKey(line.slice(colon + 2), near)
    if (watch !== undefined) return watch
  }
  return undefined
}

function originOf(request: ClientRequest): string {
  const host = request.getHeader('host')
  return `${request.protocol}//${typeof host === 'string' ? host : request.host}`
}

/** The gate. Destroys the request and says false when it may not leave. */
function mayGo(request: ClientRequest, record: ExchangeRecord): boolean {
  if (record.gated !== undefined) return false
  const refusal = record.watch.refusal(record)
  if (refusal === undefined) return true
  request.destroy(stop(record, refusal))
  return false
}

function gotSocket(this: SeenRequest, socket: Socket): void {
  const moment = readyEvent(socket)
  if (moment === undefined) leave(this)
  // In front of the listener by which the socket writes what it was given while it was connecting.
  else socket.prependOnceListener(moment, () => leave(this))
}

/** What the socket has yet to emit before anything written to it leaves; undefined when it is ready. */
function readyEvent(socket: Socket): 'connect' | 'secureConnect' | undefined {
  const tls = socket as Socket & { encrypted?: boolean; secureConnecting?: boolean }
  if (tls.encrypted === true && (tls.secureConnecting === true || tls.connecting)) return 'secureConnect'
  return socket.connecting ? 'connect' : undefined
}

function leave(request: SeenRequest): void {
  const record = request[RECORD]
  if (record !== undefined && !request.destroyed && mayGo(request, record)) record.reached = 'sent'
}

function failed(message: unknown): void {
  const { request, error } = message as { request: SeenRequest; error: unknown }
  request[RECORD]?.failed(error)
}

function answered(message: unknown): void {
  const { request, response } = message as { request: SeenRequest; response: { statusCode?: number } }
  request[RECORD]?.answered(response.statusCode ?? 0)
}
