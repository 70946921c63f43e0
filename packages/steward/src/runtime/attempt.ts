/**
 * One execution of user code for a call: `send`, or a lookup.
 *
 * It ends once: by its answer, by its deadline, or by the loss of the lease, whichever comes first; from then on
 * its requests are gated and whatever it still says is late. Deadlines are judged by the monotonic clock and by the
 * wall clock: a process that was frozen, or a machine that slept, must not send afterwards.
 */
import type { Call } from '../core/call.ts'
import { notJson } from '../core/input.ts'
import { LIMITS } from '../core/limits.ts'
import type { Json } from '../core/json.ts'
import { providerFacingKey } from '../core/key.ts'
import type { FailureVerdict, Verdict } from '../core/verdict.ts'
import { refineByWire, verdictOf } from '../core/verdict-of.ts'
import { AcceptedReference, type LookupContext, Referenced, type SendContext, SendVerdict } from '../ports/definition.ts'
import type { Lease, Store } from '../ports/store.ts'
import type { System } from '../ports/system.ts'
import type { AttemptWatch, Witness } from '../witness/index.ts'
import { callInfo } from './call-info.ts'
import type { LeaseKeeper } from './lease.ts'
import { type Registered, upgradeInput } from './operation.ts'
import type { LookupAnswer } from '../core/decide.ts'

export type Surroundings = { readonly store: Pick<Store, 'now'>; readonly system: System; readonly witness: Witness; readonly keeper: LeaseKeeper }

/** Whether an attempt's bytes may leave. It holds nothing else of the attempt: the witness keeps it long after the end. */
class Leave {
  readonly #around: Surroundings
  readonly #lease: Lease
  readonly #deadlineMs: number
  /** The instant on record: what others reckon with. */
  readonly #deadlineAt: number
  closed = false

  constructor(around: Surroundings, lease: Lease, deadlineMs: number, deadlineAt: number) {
    this.#around = around
    this.#lease = lease
    this.#deadlineMs = deadlineMs
    this.#deadlineAt = deadlineAt
  }

  now(): 'open' | 'deadline' | 'lease' {
    const { system, keeper } = this.#around
    if (system.monotonicMs() >= this.#deadlineMs || keeper.latestNow() >= this.#deadlineAt) return 'deadline'
    if (this.closed || !keeper.holds(this.#lease)) return 'lease'
    return 'open'
  }
}

export class RunningAttempt {
  readonly call: Call
  readonly registered: Registered
  readonly lease: Lease
  /** Number of the attempt; 0 for a lookup. */
  readonly n: number
  readonly watch: AttemptWatch
  readonly idempotencyKey: string
  readonly deadlineMs: number
  readonly #around: Surroundings
  readonly #leave: Leave
  #abort: AbortController | null = null

  constructor(around: Surroundings, call: Call, registered: Registered, lease: Lease, n: number, deadlineMs: number) {
    this.#around = around
    this.call = call
    this.registered = registered
    this.lease = lease
    this.n = n
    this.deadlineMs = deadlineMs
    const leave = (this.#leave = new Leave(around, lease, deadlineMs, call.open.find((attempt) => attempt.n === n)?.deadlineAt ?? around.store.now() + registered.policy.timeoutMs))
    this.idempotencyKey = keyOf(call, call.generation, around.system)
    const answer = registered.policy.answer
    this.watch = around.witness.watch({
      id: `${call.id}#${n}`,
      idempotencyKey: this.idempotencyKey,
      expectKey: n > 0 && answer === 'providerKey' && registered.operation.idempotency.keyInHeader !== false,
      single: n > 0 && (answer === 'reconcile' || answer === 'none'),
      mayLeave: () => leave.now(),
    })
  }

  get closed(): boolean {
    return this.#leave.closed
  }

  mayLeave(): 'open' | 'deadline' | 'lease' {
    return this.#leave.now()
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController()
    return this.#abort.signal
  }

  get input(): unknown {
    const stored = JSON.parse(this.call.input ?? this.call.given) as Json
    return this.call.version === this.registered.operation.version ? stored : upgradeInput(this.registered.operation, this.call.version, stored)
  }

  /** Nothing of it leaves from here on. Idempotent. */
  close(reason: string): void {
    if (this.closed) return
    // In time: the witness is told before `mayLeave` says "lease", so that it need not remember the attempt for long.
    if (reason === '') this.watch.close()
    this.#leave.closed = true
    if (this.#abort && !this.#abort.signal.aborted && reason !== '') this.#abort.abort(new DOMException(reason, 'TimeoutError'))
    this.watch.close()
  }

  /** Runs `send`; resolves to a verdict, never rejects. */
  async send(): Promise<Verdict> {
    let input: unknown
    try {
      input = this.input
    } catch (error) {
      return { kind: 'not_applied', refused: 'unsent', reason: `its stored input cannot be read: ${error instanceof Error ? error.name : 'something was thrown'}` }
    }
    try {
      const context = new Context(this)
      const value: unknown = await this.watch.run(() => this.registered.operation.send(input, context))
      const status = this.watch.denial()
      if (status !== undefined) throw Object.assign(new Error('the client returned the body of a refusal'), { status })
      return appliedVerdict(value)
    } catch (error) {
      return refineByWire(this.#judge(error), this.watch.exchanges())
    }
  }

  #judge(error: unknown): FailureVerdict {
    const nowMs = this.#around.system.now()
    const { operation } = this.registered
    try {
      if (error instanceof SendVerdict) return usable(error.verdict, 'the verdict that send threw')
      const special = operation.verdict?.(error, { nowMs }) ?? operation.idempotency.verdict?.(error, { nowMs })
      if (special) return usable(special, 'what the verdict function of the operation returned')
    } catch {
      return { kind: 'unknown', reason: 'the verdict function of the operation threw' }
    }
    return verdictOf(error, { nowMs })
  }

  /** Runs the lookup; resolves to an answer, never rejects. */
  async look(): Promise<LookupAnswer> {
    const lookup = this.registered.operation.idempotency.lookup
    if (!lookup) return { kind: 'cannot_tell', reason: 'the operation has no lookup' }
    try {
      const answer: unknown = await this.watch.run(() => lookup(this.input, new LookContext(this, this.#around.system)))
      return lookupAnswer(answer)
    } catch (error) {
      const { reason, ...verdict } = verdictOf(error, { nowMs: this.#around.system.now() })
      const wait = 'retryAfterMs' in verdict && verdict.retryAfterMs !== undefined ? { retryAfterMs: verdict.retryAfterMs } : {}
      return { kind: 'cannot_tell', reason: reason.slice(0, LIMITS.reasonChars), ...wait }
    }
  }
}

export function keyOf(call: Call, generation: number, system: System): string {
  return providerFacingKey(call.namespace, call.operation, call.key, generation, (text) => system.digest(text))
}

/** What `send` is handed. The signal and the bound fetch are made when asked for: most sends use one of them. */
class Context implements SendContext {
  readonly #run: RunningAttempt
  constructor(run: RunningAttempt) {
    this.#run = run
  }
  get idempotencyKey(): string { return this.#run.idempotencyKey }
  get signal(): AbortSignal { return this.#run.signal }
  get fetch(): typeof globalThis.fetch { return this.#run.watch.fetch }
  get call() { return callInfo(this.#run.call) }
}

class LookContext extends Context implements LookupContext {
  readonly idempotencyKeys: readonly string[]
  readonly reference: string | null
  readonly firstBegunAt: number | null
  constructor(run: RunningAttempt, system: System) {
    super(run)
    const { call } = run
    this.idempotencyKeys = Array.from({ length: call.generation }, (_, i) => keyOf(call, call.generation - i, system))
    this.reference = call.open.find((attempt) => attempt.verdict === 'accepted')?.reference ?? null
    this.firstBegunAt = call.firstBegunAt
  }
}

/** A returned value as a verdict: it was applied, whatever can be stored of it. Never throws: the effect is there. */
function appliedVerdict(value: unknown): Verdict {
  try {
    if (value instanceof AcceptedReference) return { kind: 'accepted', reference: String(value.reference) }
    if (value instanceof Referenced) return { ...stored(value.result), reference: String(value.reference) }
    return stored(value)
  } catch (error) {
    return { kind: 'applied', result: null, resultMissing: `reading it threw ${error instanceof Error ? error.name : 'something'}` }
  }
}

/** What a verdict function or a `SendVerdict` says, as far as it can be relied upon: known fields of the right type. */
function usable(verdict: FailureVerdict, whose: string): FailureVerdict {
  const { kind, reason } = verdict
  if (kind !== 'rejected' && kind !== 'not_applied' && kind !== 'unknown') return { kind: 'unknown', reason: `${whose} is none of rejected, not_applied and unknown` }
  const text = typeof reason === 'string' && reason !== '' ? reason.slice(0, LIMITS.reasonChars) : kind
  const { status, retryAfterMs, keySpent, conclusive, refused, clientTries } = verdict as Readonly<Record<string, unknown>>
  const known: Record<string, unknown> = {}
  if (typeof status === 'number' && Number.isFinite(status)) known['status'] = status
  if (typeof retryAfterMs === 'number' && Number.isFinite(retryAfterMs) && retryAfterMs >= 0) known['retryAfterMs'] = retryAfterMs
  if (typeof clientTries === 'number') known['clientTries'] = clientTries
  if (keySpent === true) known['keySpent'] = true
  if (conclusive === true) known['conclusive'] = true
  if (refused === 'caller' || refused === 'load' || refused === 'unsent') known['refused'] = refused
  return { kind, reason: text, ...known }
}

function stored(value: unknown): Verdict & { kind: 'applied' } {
  if (value === undefined) return { kind: 'applied', result: null }
  const problem = notJson(value)
  if (problem !== null) return { kind: 'applied', result: null, resultMissing: problem }
  const text: string | undefined = JSON.stringify(value)
  if (text === undefined) return { kind: 'applied', result: null, resultMissing: 'JSON leaves nothing of it' }
  const bytes = Buffer.byteLength(text)
  return bytes > LIMITS.resultBytes ? { kind: 'applied', result: null, resultMissing: `it has ${bytes} bytes, more than ${LIMITS.resultBytes}` } : { kind: 'applied', result: text }
}

function lookupAnswer(answer: unknown): LookupAnswer {
  if (typeof answer === 'object' && answer !== null) {
    if ('found' in answer) {
      const verdict = stored((answer).found)
      const reference = (answer as { reference?: unknown }).reference
      return { kind: 'found', result: verdict.result, ...(verdict.resultMissing === undefined ? {} : { resultMissing: verdict.resultMissing }), ...(typeof reference === 'string' ? { reference } : {}) }
    }
    if ((answer as { absent?: unknown }).absent === true) return { kind: 'absent' }
    const why = (answer as { cannotTell?: unknown }).cannotTell
    if (typeof why === 'string') return { kind: 'cannot_tell', reason: why.slice(0, LIMITS.reasonChars) }
  }
  return { kind: 'cannot_tell', reason: 'the lookup returned neither { found }, { absent: true } nor { cannotTell }' }
}
