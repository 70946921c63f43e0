/** One request of an attempt, as far as the witness saw it. Written by `undici-wire.ts` and `http-wire.ts` only. */
import { isCredentialRequest, isUnsafeMethod, mayHaveHappened } from '../core/verdict-of.ts'
import type { WireExchange } from '../core/verdict.ts'
import type { Watch } from './watch.ts'

/** Under this property a request object carries its record. */
export const RECORD: unique symbol = Symbol('steward.exchange')

export class ExchangeRecord {
  readonly watch: Watch
  readonly method: string
  readonly unsafe: boolean
  /** As the client gave it: a string, or undici's URL. */
  readonly rawOrigin: unknown
  /** With query string; cut off in {@link toExchange}. */
  readonly target: string
  readonly startedAt: number
  readonly startedMonotonicMs: number
  readonly keyOnWire: boolean
  /** Tied to its attempt by the async context alone (`node:http`), not by key or bound fetch. */
  readonly byContext: boolean
  reached: WireExchange['reached'] = 'created'
  /** Passed the gate and is about to leave. */
  passed = false
  status: number | undefined = undefined
  durationMs: number | undefined = undefined
  gated: WireExchange['gated'] = undefined
  error: string | undefined = undefined

  constructor(watch: Watch, method: string, rawOrigin: unknown, target: string, keyOnWire: boolean, byContext: boolean) {
    this.watch = watch
    this.method = method
    this.unsafe = isUnsafeMethod(method)
    this.rawOrigin = rawOrigin
    this.target = target
    this.startedAt = watch.clock.now()
    this.startedMonotonicMs = watch.clock.monotonicMs()
    this.keyOnWire = keyOnWire
    this.byContext = byContext
  }

  /** May have had the effect, so that a second request could have it twice. */
  mayHaveActed(): boolean {
    return this.unsafe && this.reached !== 'created' && mayHaveHappened(this as Pick<WireExchange, 'reached' | 'status'>) && !this.isCredential()
  }

  isCredential(): boolean {
    return isCredentialRequest(this.origin(), this.path())
  }

  origin(): string {
    const { rawOrigin } = this
    if (typeof rawOrigin === 'string') return rawOrigin
    return rawOrigin instanceof URL ? rawOrigin.origin : ''
  }

  path(): string {
    const { target } = this
    const start = target.startsWith('/') ? 0 : Math.max(0, target.indexOf('/', target.indexOf('://') + 3))
    const end = target.search(/[?#]/)
    return target.slice(start, end === -1 ? undefined : end)
  }

  answered(status: number): void {
    if (status < 200) return
    this.reached = 'answered'
    this.status = status
    this.ended()
  }

  failed(error: unknown): void {
    this.error ??= codeOf(error)
    this.ended()
  }

  ended(): void {
    this.durationMs = Math.max(0, this.watch.clock.monotonicMs() - this.startedMonotonicMs)
  }

  /** The plain, frozen-shape copy that is handed out and stored. */
  toExchange(): WireExchange {
    const exchange: { -readonly [Name in keyof WireExchange]: WireExchange[Name] } = {
      method: this.method,
      origin: this.origin(),
      path: this.path(),
      reached: this.reached,
      startedAt: this.startedAt,
      keyOnWire: this.keyOnWire,
    }
    if (this.status !== undefined) exchange.status = this.status
    if (this.durationMs !== undefined) exchange.durationMs = Math.round(this.durationMs * 1000) / 1000
    if (this.gated !== undefined) exchange.gated = this.gated
    if (this.error !== undefined) exchange.error = this.error
    return exchange
  }
}

function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return typeof error
  const { code, name } = error as { code?: unknown; name?: unknown }
  const shown = typeof code === 'string' ? code : typeof name === 'string' ? name : 'Error'
  return shown.slice(0, 60)
}
