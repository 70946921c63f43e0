/**
 * The provider of the torture run: an HTTP server that does what it is asked, and loses, delays, refuses and forgets.
 *
 * POST /effects (PUT under `natural`) makes an effect, GET /effects?key= answers lookups. Whatever the caller hears,
 * or whether it still lives, an effect that was begun happens and is in the ledger.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { seededBy } from '../seeded.ts'
import type { Ledger } from './ledger.ts'
import type { Answer, Numbers } from './numbers.ts'
import { curseOf, isDeclined, type Plan, planOf, type Window } from './provider-faults.ts'
import { KeyMemory, type StoredAnswer } from './provider-keys.ts'

export type SiteOptions = { readonly answer: Answer; readonly seed: number; readonly numbers: Numbers; readonly ledger: Ledger }

type Caller = { readonly key: string; readonly attempt: number; readonly idempotencyKey: string; /** The request may have waited unread since then. */ readonly unreadSinceAt: number }
type Effect = { readonly at: number; readonly reference: string }

/** How exactly it is known when a request came. */
const LOOK_MS = 2

const header = (request: IncomingMessage, name: string): string => String(request.headers[name] ?? '')

export class ProviderSite {
  readonly #o: SiteOptions
  readonly #server: Server
  readonly #keys: KeyMemory
  readonly #arrivals = new Map<string, number>()
  readonly #firstAt = new Map<string, number>()
  readonly #effects = new Map<string, Effect[]>()
  readonly #look: NodeJS.Timeout
  #lookedAt = Date.now()
  /** The look before: after a standstill the timer comes first, and what had waited is read next. */
  #lookedBeforeAt = this.#lookedAt
  #window: Window | null = null
  #port = 0
  #made = 0

  constructor(options: SiteOptions) {
    this.#o = options
    this.#keys = new KeyMemory(options.numbers.retentionMs)
    this.#server = createServer((request, response) => this.#arrive(request, response))
    this.#server.keepAliveTimeout = 30_000
    this.#look = setInterval(() => {
      this.#lookedBeforeAt = this.#lookedAt
      this.#lookedAt = Date.now()
    }, LOOK_MS)
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => void this.#server.listen(this.#port, '127.0.0.1', resolve))
    this.#port = (this.#server.address() as AddressInfo).port
    return this.#port
  }

  /** Runs the windows, counted from now. */
  schedule(windows: readonly Window[]): void {
    for (const window of windows) {
      setTimeout(() => this.#enter(window), window.fromMs).unref()
      setTimeout(() => this.#leave(window), window.untilMs).unref()
    }
  }

  #enter(window: Window): void {
    this.#window = window
    this.#o.ledger.add({ what: 'window', at: Date.now(), how: window.kind })
    if (window.kind !== 'refused') return
    this.#server.close()
    this.#server.closeIdleConnections()
  }

  #leave(window: Window): void {
    if (this.#window === window) this.#window = null
    if (window.kind === 'refused' && !this.#server.listening) this.#server.listen(this.#port, '127.0.0.1')
  }

  close(): void {
    clearInterval(this.#look)
    this.#server.close()
    this.#server.closeAllConnections()
  }

  #arrive(request: IncomingMessage, response: ServerResponse): void {
    request.on('error', () => undefined)
    response.on('error', () => undefined)
    if (request.method === 'GET') return this.#asked(new URL(request.url ?? '/', 'http://provider').searchParams.get('key') ?? '', response)
    const caller: Caller = { key: header(request, 'x-key'), attempt: Number(header(request, 'x-attempt')), idempotencyKey: header(request, 'idempotency-key'), unreadSinceAt: this.#lookedBeforeAt }
    this.#o.ledger.add({ what: 'arrived', at: Date.now(), ...caller })
    request.resume().once('end', () => this.#work(caller, response))
  }

  #ended(caller: Caller, how: string): void {
    this.#o.ledger.add({ what: 'ended', at: Date.now(), key: caller.key, attempt: caller.attempt, how })
  }

  #reply(caller: Caller, response: ServerResponse, status: number, body: string, how = String(status), headers: Record<string, string> = {}): void {
    this.#ended(caller, how)
    if (response.destroyed) return
    response.writeHead(status, { 'content-type': 'application/json', ...(this.#window?.kind === 'refused' ? { connection: 'close' } : {}), ...headers }).end(body)
  }

  #drop(caller: Caller, response: ServerResponse, how: string): void {
    this.#ended(caller, how)
    response.destroy()
  }

  #work(caller: Caller, response: ServerResponse): void {
    const { answer, seed, numbers } = this.#o
    const now = Date.now()
    if (this.#window?.kind === 'unauthorized') return this.#reply(caller, response, 401, '{"error":"credential expired"}')
    if (this.#window?.kind === 'overloaded') {
      const status = caller.attempt % 2 === 0 ? 503 : 429
      return this.#reply(caller, response, status, '{"error":"slow down"}', `${status} retry-after`, { 'retry-after': '1' })
    }
    const nth = (this.#arrivals.get(caller.key) ?? 0) + 1
    this.#arrivals.set(caller.key, nth)
    const firstAt = this.#firstAt.get(caller.key) ?? now
    this.#firstAt.set(caller.key, firstAt)
    const curse = curseOf(seed, answer, caller.key)
    if (curse !== null && now < firstAt + numbers.retentionMs + 500) {
      if (curse === 'happened-unheard' && nth === 1) return this.#execute(caller, response, { fault: 'reset-after', effectMs: 5, answerMs: 10 })
      return this.#drop(caller, response, `cursed ${curse}`)
    }
    if (answer === 'providerKey') {
      const known = this.#keys.look(caller.idempotencyKey, now)
      if (known.seen === 'running') return this.#reply(caller, response, 409, '{"error":"this key is still running"}')
      if (known.seen === 'stored') return this.#reply(caller, response, known.answer.status, known.answer.body, 'replayed', { 'idempotent-replayed': 'true' })
    }
    this.#execute(caller, response, planOf(seed, numbers, caller.key, nth))
  }

  #execute(caller: Caller, response: ServerResponse, plan: Plan): void {
    const { fault, effectMs, answerMs } = plan
    const later = (fn: () => void): void => void setTimeout(fn, answerMs)
    switch (fault) {
      case 'reset-before': return later(() => this.#drop(caller, response, fault))
      case '500-before': return later(() => this.#reply(caller, response, 500, '{"error":"internal"}', fault))
      case '503': return later(() => this.#reply(caller, response, 503, '{"error":"unavailable"}'))
      case '429': return later(() => this.#reply(caller, response, 429, '{"error":"too many"}'))
      case 'none': case 'reset-after': case 'stall-after': case 'late': case 'cut-body': case '500-after': break
    }
    this.#keys.start(caller.idempotencyKey, Date.now())
    setTimeout(() => {
      if (Date.now() > caller.unreadSinceAt + this.#o.numbers.lateMs) {
        // On an overloaded machine this process itself comes too late to keep its promise: then nothing happens at all.
        this.#keys.drop(caller.idempotencyKey)
        return this.#drop(caller, response, 'too late to happen')
      }
      const stored = this.#happen(caller)
      this.#keys.store(caller.idempotencyKey, stored)
      setTimeout(() => this.#answer(caller, response, fault, stored), Math.max(1, answerMs - effectMs))
    }, effectMs)
  }

  #answer(caller: Caller, response: ServerResponse, fault: Plan['fault'], stored: StoredAnswer): void {
    if (fault === 'reset-after') return this.#drop(caller, response, fault)
    if (fault === '500-after') return this.#reply(caller, response, 500, '{"error":"internal"}', fault)
    if (fault === 'cut-body') return this.#cut(caller, response, stored.body)
    this.#reply(caller, response, stored.status, stored.body, fault === 'none' ? String(stored.status) : fault)
  }

  /** The effect itself: once per request, or once per key where repeating it changes nothing. */
  #happen(caller: Caller): StoredAnswer {
    const { answer, seed, ledger } = this.#o
    if (isDeclined(seed, answer, caller.key)) return { status: 402, body: '{"error":"declined"}' }
    const known = this.#effects.get(caller.key) ?? []
    const same = answer === 'natural' ? known[0] : undefined
    const reference = same?.reference ?? `e_${++this.#made}`
    if (same === undefined) {
      const at = Date.now()
      this.#effects.set(caller.key, [...known, { at, reference }])
      ledger.add({ what: 'effect', at, key: caller.key, attempt: caller.attempt, reference })
    }
    return { status: 200, body: JSON.stringify({ reference }) }
  }

  #cut(caller: Caller, response: ServerResponse, body: string): void {
    this.#ended(caller, 'cut-body')
    if (response.destroyed) return
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length + 50 })
    response.write(body.slice(0, 5), () => response.destroy())
  }

  /** A lookup sees an effect only some time after it happened. */
  #asked(key: string, response: ServerResponse): void {
    const { seed, numbers, ledger } = this.#o
    const now = Date.now()
    const random = seededBy(seed, key, 'asked', now)
    const mood = random()
    const tell = (how: string, status: number, body: string): void => {
      ledger.add({ what: 'asked', at: now, key, how })
      setTimeout(() => { if (!response.destroyed) response.writeHead(status, { 'content-type': 'application/json' }).end(body) }, 5 + random() * 40)
    }
    if (this.#window?.kind === 'unauthorized') return tell('401', 401, '{}')
    if (mood < 0.03) {
      ledger.add({ what: 'asked', at: now, key, how: 'reset' })
      return void response.destroy()
    }
    if (mood < 0.05) return tell('500', 500, '{}')
    const seen = (this.#effects.get(key) ?? []).find((effect) => effect.at + seededBy(seed, effect.reference)() * numbers.lagMs <= now)
    tell(seen ? 'found' : 'absent', 200, JSON.stringify({ reference: seen?.reference ?? null }))
  }
}
