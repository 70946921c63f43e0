/**
 * The wire witness: sees the HTTP requests of an attempt without the client's cooperation, and stops those that must
 * not leave.
 *
 * Attribution. A request belongs to an attempt only when that is certain, which is in three cases: the attempt's key
 * stands in the request's headers; the request was made by the `fetch` bound to the attempt; the request was created
 * by `node:http` in the attempt's async context. undici requests do not count by context: a pool that queues creates
 * them when a connection comes free, in the context of another call (measured). They are counted as unattributed, and
 * neither gate nor verdicts use them. A key outranks a context, for a queue in front of `node:http` (p-queue, as in
 * Slack's SDK) has the same effect there; without a key, such a queue inside the client can credit one call with
 * another's request, and the operation should use the bound fetch.
 *
 * The gate. Immediately before the headers are composed or the socket is ready, the attempt's scope is asked whether
 * it is still open, and under `single` whether an earlier request of the attempt may have had the effect. A refused
 * request fails with code `STEWARD_GATE`, and nothing of it leaves. Requests that the provider refused for certain
 * (429, 401, 422 …), that never left, or that fetch an access token do not stand in the way of the next one.
 *
 * The gap that remains. From the gate to the kernel's socket buffer there is one synchronous write; a process that is
 * suspended exactly there sends when it wakes. A body that is streamed leaves after its headers passed. Not seen at
 * all: clients that open sockets themselves (SMTP, database drivers), `node:http2` sessions (gRPC), native code,
 * worker threads and child processes. Absence of a record is never proof that nothing was sent.
 *
 * An attempt that is over stays under watch: by its key and its bound fetch as long as they are remembered, by async
 * context for fifteen minutes (`LATE_CONTEXT_MS`). Its unsafe requests are refused even before the deadline, because
 * the attempt has been accounted for. Start long-lived timers outside `send`.
 *
 * State is in this process only; a crash loses it, and the attempt is in doubt, as without a witness. All witnesses of
 * a process share one registry and one set of subscriptions. Handlers must not throw: Node would end the process.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { WireExchange } from '../core/verdict.ts'
import { httpHandlers } from './http-wire.ts'
import { Registry } from './registry.ts'
import { undiciHandlers, type ChannelHandler } from './undici-wire.ts'
import { Watch } from './watch.ts'

/** What the witness has to know about an attempt. */
export type AttemptScope = {
  /** `${callId}#${attempt}`; shown in the gate's error. */
  readonly id: string
  /** The provider-facing key; empty when there is none. Long and unique enough that no other header can equal it. */
  readonly idempotencyKey: string
  /** The key is meant to travel in a header; warn when it does not. */
  readonly expectKey: boolean
  /** `reconcile` and `none`: a second request that could have the effect again is refused. */
  readonly single: boolean
  /** Whether bytes may leave: asked at every point of the gate. Must be cheap; when it throws, the gate is shut. */
  mayLeave(): 'open' | 'deadline' | 'lease'
}

/** One attempt under watch. */
export interface AttemptWatch {
  /** `fetch` whose requests are certainly the attempt's. Made on first use. */
  readonly fetch: typeof globalThis.fetch
  /** Requests the gate has stopped so far. */
  readonly gatedCount: number
  /** Runs `fn`, and all it starts, in the attempt's async context. */
  run<T>(fn: () => T): T
  /** What was seen up to now, oldest first; at most 64. */
  exchanges(): WireExchange[]
  /** Plain sentences about what should be mended in the operation or its client. */
  warnings(): string[]
  /**
   * The status with which the provider denied what `send` took for a result: the last request that could act was answered
   * 401, 403, 407, 429 or 5xx, no other one was answered well, and nothing was asked after it. Clients do return such answers (measured: the official SDK
   * of Stripe returns the body of a gateway's 502 as a charge when it is JSON without `error`).
   */
  denial(): number | undefined
  /** The attempt has been accounted for: nothing more that is unsafe may leave. */
  close(): void
}

export interface WitnessClock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Milliseconds from any start, never going back. */
  monotonicMs(): number
}

export interface Witness {
  watch(scope: AttemptScope): AttemptWatch
  /** Requests made while an attempt of this witness ran that could not be tied to it for certain. */
  unattributed(): number
  /** Runs `fn` in no attempt's context: for timers and loops that may be started from inside `send`. */
  outside<T>(fn: () => T): T
  /** From here on requests are seen, by this witness and all others of the process. */
  listen(): void
  /** Listens no more; the last one gone takes with it what was remembered of attempts. */
  dispose(): void
}

const registry = new Registry()
const handlers: [string, ChannelHandler][] = Object.entries({ ...undiciHandlers(registry), ...httpHandlers(registry) })
let witnesses = 0

function enter(): void {
  witnesses += 1
  if (witnesses > 1) return
  registry.listening = true
  for (const [name, handler] of handlers) subscribe(name, handler)
}

function leave(): void {
  witnesses -= 1
  if (witnesses > 0) return
  registry.listening = false
  registry.clear()
  for (const [name, handler] of handlers) unsubscribe(name, handler)
}

/** One witness per Steward; several may exist side by side. */
export function createWitness(clock: WitnessClock): Witness {
  let unattributed = 0
  let listens = false
  const countUnattributed = (): void => void (unattributed += 1)
  return {
    watch: (scope) => new Watch(scope, clock, registry, countUnattributed),
    unattributed: () => unattributed,
    outside: (fn) => registry.context.run(undefined, fn),
    listen() {
      if (listens) return
      listens = true
      enter()
    },
    dispose() {
      if (!listens) return
      listens = false
      leave()
    },
  }
}
