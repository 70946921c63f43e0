/** What is seen of one attempt, and the attempt's side of the gate. */
import type { WireExchange } from '../core/verdict.ts'
import type { ExchangeRecord } from './exchange.ts'
import { WireGateError } from './gate.ts'
import type { Registry } from './registry.ts'
import type { AttemptScope, AttemptWatch, WitnessClock } from './witness.ts'

/** Records kept per attempt. Of more, refused and safe ones make room first: they say least about a double effect. */
export const EXCHANGES_MAX = 64
/**
 * How long after its end an attempt still answers for requests tied to it by async context alone. Without an end,
 * a timer that happened to be started inside `send` (a metrics exporter, a token refresh) would be cut off for ever.
 */
export const LATE_CONTEXT_MS = 15 * 60 * 1000
/** Name of the header by which the bound fetch marks its requests; the witness takes it off again before they leave. */
export const TOKEN_HEADER = 'x-steward-attempt'

export class Watch implements AttemptWatch {
  readonly scope: AttemptScope
  readonly clock: WitnessClock
  readonly key: string
  gatedCount = 0
  closed = false
  unattributed = 0
  private readonly registry: Registry
  private readonly onUnattributed: () => void
  private readonly records: ExchangeRecord[] = []
  private dropped = 0
  private closedMonotonicMs = 0
  private boundFetch: typeof globalThis.fetch | undefined = undefined

  constructor(scope: AttemptScope, clock: WitnessClock, registry: Registry, onUnattributed: () => void) {
    this.scope = scope
    this.clock = clock
    this.key = scope.idempotencyKey
    this.registry = registry
    this.onUnattributed = onUnattributed
    registry.open(this)
  }

  get fetch(): typeof globalThis.fetch {
    this.boundFetch ??= fetchOf(this, this.registry)
    return this.boundFetch
  }

  run<T>(fn: () => T): T {
    return this.registry.context.run(this, fn)
  }

  exchanges(): WireExchange[] {
    return this.records.map((record) => record.toExchange())
  }

  warnings(): string[] {
    if (this.records.length === 1 && this.records[0]?.keyOnWire === true) return []
    const left = this.records.filter((record) => record.unsafe && record.reached !== 'created' && !record.isCredential())
    const first = left[0]
    const warnings: string[] = []
    if (this.scope.expectKey && this.key !== '' && first !== undefined && !left.some((record) => record.keyOnWire)) {
      warnings.push(`The operation declares a provider key, but ${nameOf(first)} left without it: the provider cannot recognise a repeat.`)
    }
    if (left.length > 1) {
      warnings.push(`${left.length} requests that may change something left in one attempt (${left.slice(0, 4).map(nameOf).join(', ')}): the client resends by itself, or send has more than one effect.`)
    }
    if (this.records.length === 0 && this.unattributed > 0) {
      warnings.push(`${this.unattributed} requests were made while this attempt ran and could not be tied to it for certain: use the fetch that send is given, or send the key in a header.`)
    }
    if (this.dropped > 0) warnings.push(`${this.dropped} more requests of this attempt were not recorded: only ${EXCHANGES_MAX} are kept.`)
    return warnings
  }

  /** The status of the last request that may have acted, where that is never a success, and nothing else was answered well. */
  denial(): number | undefined {
    if (!this.records.some((record) => record.status !== undefined && isNeverSuccess(record.status))) return undefined
    const acting = this.records.filter((record) => record.unsafe && !record.isCredential())
    const keyed = acting.filter((record) => record.keyOnWire)
    const last = (keyed.length > 0 ? keyed : acting).at(-1)
    if (last?.status === undefined || !isNeverSuccess(last.status)) return undefined
    // Without a key, a request to somebody else (a metrics collector) may be the last.
    if (keyed.length === 0 && acting.some((record) => record.origin() !== last.origin())) return undefined
    // Part of a batch went well, or somebody asked afterwards: that is for send to judge.
    const well = (record: ExchangeRecord): boolean => record.status !== undefined && record.status < 400
    return acting.some(well) || this.records.slice(this.records.indexOf(last) + 1).some(well) ? undefined : last.status
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    this.closedMonotonicMs = this.clock.monotonicMs()
    this.registry.close(this, this.mayLeave() !== 'open')
  }

  /** A request that is certainly of this attempt. */
  add(record: ExchangeRecord): void {
    if (this.records.length >= EXCHANGES_MAX) {
      this.dropped += 1
      const spare = this.records.findIndex((each, at) => at > 0 && !each.mayHaveActed())
      if (spare === -1) return
      this.records.splice(spare, 1)
    }
    this.records.push(record)
  }

  /** A request made in the attempt's context that may as well be another's. */
  countUnattributed(): void {
    this.unattributed += 1
    this.onUnattributed()
  }

  /** Too long over to answer for what merely inherited its context. */
  isForgotten(): boolean {
    return this.closed && this.clock.monotonicMs() - this.closedMonotonicMs > LATE_CONTEXT_MS
  }

  /** Why a request may not leave now; undefined when it may. */
  refusal(record: ExchangeRecord): WireExchange['gated'] {
    const leave = this.mayLeave()
    if (leave !== 'open') return leave
    if (!record.unsafe) return undefined
    if (this.closed) return 'deadline'
    return this.scope.single && this.anotherMayHaveActed(record) && !record.isCredential() ? 'second-request' : undefined
  }

  /** A scope that cannot answer keeps the gate shut: its handlers run inside Node's channels and must not throw. */
  mayLeave(): 'open' | 'deadline' | 'lease' {
    try {
      return this.scope.mayLeave()
    } catch {
      return 'lease'
    }
  }

  private anotherMayHaveActed(record: ExchangeRecord): boolean {
    for (const each of this.records) if (each !== record && each.mayHaveActed()) return true
    return false
  }
}

/** Refused for the caller or for load, or an error of the server: whatever a client makes of it, nobody means success by it. */
function isNeverSuccess(status: number): boolean {
  return status >= 500 || status === 401 || status === 403 || status === 407 || status === 429
}

function nameOf(record: ExchangeRecord): string {
  return `${record.method} ${record.origin()}${record.path()}`
}

/** `fetch` whose requests are tied to the attempt wherever they are dispatched, redirects included. */
function fetchOf(watch: Watch, registry: Registry): typeof globalThis.fetch {
  return async (input, init) => {
    const leave = watch.mayLeave()
    if (leave !== 'open') {
      watch.gatedCount += 1
      throw new WireGateError(leave, watch.scope.id, 'a request')
    }
    const token = registry.issue(watch)
    if (token === undefined) return globalThis.fetch(input, init)
    try {
      const headers = new Headers(init?.headers ?? (input instanceof Request ? input.headers : undefined))
      headers.set(TOKEN_HEADER, token)
      return await globalThis.fetch(input, { ...init, headers })
    } finally {
      registry.revoke(token)
    }
  }
}
