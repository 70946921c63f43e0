/** What users write down: operations, idempotency answers, lookups. Types, and the few functions that build them. */
import type { Duration } from '../core/duration.ts'
import type { Json } from '../core/json.ts'
import type { AnswerKind } from '../core/policy.ts'
import type { FailureVerdict } from '../core/verdict.ts'
import type { Outcome } from './outcome.ts'
import type { StandardSchema } from './standard-schema.ts'
import type { SettleTx } from './store.ts'

/** What `send` and `lookup` are told about the call they work for. */
export type CallInfo = {
  readonly id: string
  readonly operation: string
  readonly key: string
  readonly group: string | null
  readonly version: number
  readonly generation: number
  /** Attempts begun so far, this one included. */
  readonly attempt: number
}

export type SendContext = {
  /** The provider-facing key: the same for all attempts of a generation, on every machine, in every version. */
  readonly idempotencyKey: string
  /** Aborts at the attempt's deadline, and when the lease is lost. */
  readonly signal: AbortSignal
  /** `fetch` bound to this attempt: its requests are attributed with certainty, aborted and gated with it. */
  readonly fetch: typeof globalThis.fetch
  readonly call: CallInfo
}

export type LookupContext = SendContext & {
  /** Keys of all generations, newest first. */
  readonly idempotencyKeys: readonly string[]
  /** The provider's reference, when it accepted the call earlier. */
  readonly reference: string | null
  /** When the first attempt of the generation began; `null` if none. */
  readonly firstBegunAt: number | null
}

export type LookupResult<Result> =
  | { readonly found: Result; readonly reference?: string }
  | { readonly absent: true }
  | { readonly cannotTell: string }

/** Asks the provider whether the effect exists. Throwing means "cannot tell". It must not change anything there. */
export type Lookup<Input, Result> = (input: Input, context: LookupContext) => Promise<LookupResult<Result>>

/** Refines what an error means for this provider; `undefined` leaves it to the general rules. Pure. */
export type VerdictOfError = (error: unknown, context: { readonly nowMs: number }) => FailureVerdict | undefined

/** The answer to "is it safe to send twice?". Made by `providerKey`, `reconcile`, `natural`, `none` or a provider preset. */
export type IdempotencyAnswer<Input, Result> = {
  readonly kind: AnswerKind
  /** Why it is safe, or why nothing can be done: shown in story and console. */
  readonly reason: string
  readonly retention?: Duration
  readonly margin?: Duration
  readonly lookup?: Lookup<Input, Result>
  readonly settle?: Duration
  /** Absences in a row that prove absence. Default 1. */
  readonly absences?: number
  /** First wait between two questions. Default 10s. */
  readonly lookupEvery?: Duration
  /** How long questions are put before a person is asked. Default 24h. */
  readonly lookupFor?: Duration
  /** False where the key travels in the body: its absence from the headers then means nothing. Default true. */
  readonly keyInHeader?: boolean
  /** Preset knowledge: the provider's name, and what its errors mean. */
  readonly provider?: string
  readonly verdict?: VerdictOfError
}

export type LookupOptions = {
  /** An `absent` counts only when asked this long after the last deadline. */
  readonly settle?: Duration
  readonly absences?: number
  readonly lookupEvery?: Duration
  readonly lookupFor?: Duration
}

/**
 * The provider deduplicates by the key it is sent, and remembers it for `retention`.
 *
 * After an unknown outcome the same key is sent again while the provider surely remembers it (first begin +
 * retention − margin); later `lookup` decides, else the call is in doubt.
 */
export function providerKey<Input = unknown, Result = unknown>(
  options: { readonly retention: Duration; readonly margin?: Duration; readonly keyInHeader?: boolean; readonly lookup?: Lookup<Input, Result>; readonly verdict?: VerdictOfError; readonly provider?: string } & LookupOptions,
): IdempotencyAnswer<Input, Result> {
  return { kind: 'providerKey', reason: 'the provider deduplicates by the key it is sent', ...options }
}

/** No key, but the provider can be asked; its answer can be trusted `settle` after the last deadline. */
export function reconcile<Input = unknown, Result = unknown>(
  lookup: Lookup<Input, Result>,
  options: LookupOptions & { readonly settle: Duration; readonly verdict?: VerdictOfError; readonly provider?: string },
): IdempotencyAnswer<Input, Result> {
  return { kind: 'reconcile', reason: 'the provider can be asked whether the effect exists', lookup, ...options }
}

/** Sending twice has the effect of sending once. Say why: `'PUT of the whole document'`. */
export function natural<Input = unknown, Result = unknown>(reason: string, options: { readonly lookup?: Lookup<Input, Result>; readonly verdict?: VerdictOfError; readonly provider?: string } & LookupOptions = {}): IdempotencyAnswer<Input, Result> {
  return { kind: 'natural', reason, ...options }
}

/** None of these: an unknown outcome is in doubt at once, and a person or a fact decides. Say why there is no better answer. */
export function none<Input = unknown, Result = unknown>(reason: string, options: { readonly verdict?: VerdictOfError; readonly provider?: string } = {}): IdempotencyAnswer<Input, Result> {
  return { kind: 'none', reason, ...options }
}

/** What `send` returns when the provider took the request and the result comes later, by a fact or by polling `lookup`. */
export function accepted(reference: string): AcceptedReference {
  return new AcceptedReference(reference)
}
export class AcceptedReference {
  readonly reference: string
  constructor(reference: string) {
    this.reference = reference
  }
}

/** A result together with the provider's own id of the effect: two different ids for one call raise the highest alert. */
export class Referenced<Result> {
  readonly result: Result
  readonly reference: string
  constructor(result: Result, reference: string) {
    this.result = result
    this.reference = reference
  }
}
export function referenced<Result>(result: Result, reference: string): Referenced<Result> {
  return new Referenced(result, reference)
}

/** Thrown by `send` to say what happened where the error alone cannot: `throw new SendVerdict({ kind: 'rejected', reason: 'card declined' })`. */
export class SendVerdict extends Error {
  override readonly name = 'SendVerdict'
  readonly verdict: FailureVerdict
  constructor(verdict: FailureVerdict) {
    super(verdict.reason)
    this.verdict = verdict
  }
}

export type OperationDefinition<Input, Parsed, Result> = {
  /** Stored with every call: never rename. Letters, digits, `-`, `_`, `.`. */
  readonly name: string
  /** Whole number, bumped by hand when the stored input changes its meaning. Default 1. */
  readonly version?: number
  /** Steps from older inputs: `upgrade: { 1: old => new }` brings version 1 to version 2. */
  readonly upgrade?: Readonly<Record<number, (input: never) => unknown>>
  readonly input: StandardSchema<Input, Parsed>
  /** Is it safe to send twice? */
  readonly idempotency: IdempotencyAnswer<Parsed, Result>
  /** Longest one attempt may take. Nothing leaves later. Default 30s. */
  readonly timeout?: Duration
  /** From creation until it is given up loudly. Default 24h. */
  readonly giveUpAfter?: Duration
  /** Attempts in all, the first included. Default: no limit but time. */
  readonly maxAttempts?: number
  /** Full jitter in [0, min(cap, base × 2^n)). Default 500ms, cap 5m. */
  readonly backoff?: { readonly base?: Duration; readonly cap?: Duration }
  /** For accepted calls: ask the answer's `lookup` this often. Default: facts alone. */
  readonly pollEvery?: Duration
  /** For accepted calls: alert when there is no result after this. Default 24h. */
  readonly acceptedOverdue?: Duration
  /** Whose API it is: the scope of Retry-After and pauses. Default: the preset's, else the operation's name. */
  readonly provider?: string
  /** Input and result fields never shown in stories, lists, logs and alerts: `'card.number'`, `'items.*.secret'`. */
  readonly redact?: readonly string[]
  readonly owner?: string
  readonly runbook?: string
  readonly verdict?: VerdictOfError
  /** Hold the operation after this many unknown outcomes, or refused callers, in a row. Defaults 50 and 5. */
  readonly holdAfter?: { readonly doubts?: number; readonly refusals?: number }
  /**
   * Does the effect. Pass `idempotencyKey` to the provider and `signal` to the client. What it returns is stored as
   * the result (JSON); what it throws is judged by `verdict`, the preset, then the general rules. A result is not
   * believed where all that could act was refused on the wire, the last time with 401, 403, 407, 429 or 5xx: that status is judged.
   */
  send(input: Parsed, context: SendContext): Promise<Result | AcceptedReference | Referenced<Result>>
  /** Runs at least once when a call ends or its end is corrected; with `tx` on the store's own database in the same transaction, so it must be quick (1 s) and use no Steward and no network. */
  onSettled?(outcome: Outcome<Result>, context: { readonly tx: SettleTx | null; readonly input: Json; readonly call: CallInfo }): void | Promise<void>
}
