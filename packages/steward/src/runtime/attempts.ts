/**
 * Attempts of this process: begun on record, sent, closed by a verdict, recorded.
 *
 * An attempt's record is committed before its bytes may leave, under guards that the store judges in the same
 * transaction (rev, lease, controls). Its answer is recorded under the lease; when that is gone, as a fact. If this
 * process dies in between, the record says `running`, and whoever finds the process dead lapses it to `unknown`.
 */
import type { Call, Fact, OpenAttempt } from '../core/call.ts'
import { type CallEvent, type Decision, decide, type LookupAnswer, mayUpgrade } from '../core/decide.ts'
import { durationText } from '../core/duration.ts'
import { notJson } from '../core/input.ts'
import type { Json } from '../core/json.ts'
import { LIMITS } from '../core/limits.ts'
import type { Verdict } from '../core/verdict.ts'
import type { ControlWrite, Lease } from '../ports/store.ts'
import { RunningAttempt } from './attempt.ts'
import { change, type Changing } from './change.ts'
import { keepForgotten } from './early.ts'
import { acceptedForgotten } from './evidence.ts'
import { type Hold, type HoldRules, providerHold } from './hold-rules.ts'
import { type Registered, upgradeInput } from './operation.ts'
import type { Parts } from './parts.ts'
import { invariantBroken, notUnderstood } from './unworked.ts'

export type AttemptsOptions = Parts & {
  readonly holds: HoldRules
  giveBack(lease: Lease, call: Call): Promise<void>
  /** A call of ours is due then. */
  dueAt(at: number): void
  /** A slot may be free. */
  onFree(): void
  /** Something may be due. */
  onHint(): void
  /** A pause or hold was set. */
  onControls(): void
}

/** A record that could not be stored is tried again after this long. */
const STORE_RETRY_MS = 250
/** Longest wait at close for answers on their way to the store. */
const RECORD_GRACE_MS = 5_000

export class Attempts {
  readonly #o: AttemptsOptions
  readonly #running = new Set<RunningAttempt>()
  #beginning = 0
  /** Calls with begins that the store has not answered for certain, and how many. */
  readonly #begins = new Map<string, number>()
  /** Attempts whose answer is on its way to the store. */
  readonly #answers = new Set<RunningAttempt>()
  #recording = 0
  #closing = false
  /** Closed, and the time for answers on their way is up: nothing is tried again. */
  #over = false
  #deadlineMs: number | null = null
  #stopDeadline: (() => void) | null = null
  #idle: (() => void)[] = []

  constructor(options: AttemptsOptions) {
    this.#o = options
  }

  /** Attempts begun and not yet closed, begins on their way included. */
  get inFlight(): number {
    return this.#running.size + this.#beginning
  }

  /** Records on their way to the store. */
  get recording(): number {
    return this.#recording
  }

  /** Takes a slot for a call that is about to be inserted as begun; false when an operation on probation must not send more. */
  reserve(registered: Registered): boolean {
    if (!this.#o.holds.mayBegin(registered)) return false
    this.#beginning++
    this.#o.holds.begun(registered)
    return true
  }

  /** The insert did not begin it after all. */
  unreserve(registered: Registered): void {
    this.#beginning--
    this.#o.holds.closed(registered, null)
    this.#settleIdle()
    this.#o.onFree()
  }

  /** A call was inserted as begun, in a slot reserved for it. */
  insertedBegun(call: Call, registered: Registered, lease: Lease, n: number, deadlineMs: number): void {
    this.#beginning--
    this.#send(call, registered, lease, n, deadlineMs)
  }

  /** The lease is gone: nothing running may leave, and late answers are facts. */
  lost(): void {
    for (const run of [...this.#running]) {
      this.#running.delete(run)
      run.close('the worker lost its lease')
      if (run.n > 0) this.#o.holds.closed(run.registered, null)
    }
  }

  /** A claimed call's turn: begin it, or look it up. */
  take(call: Call, lease: Lease): void {
    try {
      this.#take(call, lease)
    } catch (error) {
      this.#broken(call, error)
    }
  }

  #take(call: Call, lease: Lease): void {
    const registered = this.#o.registry.get(call.operation)
    const startMs = this.#o.system.monotonicMs()
    const now = this.#o.store.now()
    if (!registered || this.#o.controls.holding(registered, call.group, now) || !this.#o.holds.mayBegin(registered)) return void this.#o.giveBack(lease, call)
    const presumed = this.#o.controls.presumedSent(call, registered, now)
    if (presumed !== null) return this.#record(call, presumed, registered, { lease, leaseAfter: 'release' })
    if (call.state === 'waiting') return this.#begin(call, registered, lease, now, startMs)
    if (call.state === 'checking' || (call.state === 'accepted' && registered.policy.hasLookup && registered.policy.pollEveryMs !== null)) return this.#look(call, registered, lease)
    const decision = decide(call, { type: 'time' }, registered.policy, now, this.#o.system.random())
    this.#record(call, decision, registered, { lease, leaseAfter: 'release' })
  }

  /** @param startMs read before `now`: the gate must shut no later than the recorded deadline. */
  #begin(call: Call, registered: Registered, lease: Lease, now: number, startMs: number): void {
    const ready = this.#atCurrentVersion(call, registered, lease, now)
    if (!ready) return
    const deadlineMs = startMs + registered.policy.timeoutMs
    const event = { type: 'begin' as const, worker: lease.worker, version: registered.operation.version, ...(this.#o.release === null ? {} : { release: this.#o.release }) }
    const decision = decide(ready, event, registered.policy, now, this.#o.system.random())
    if (decision.begun === null) return this.#record(call, withOldVersionTold(call, decision, now), registered, { lease, leaseAfter: 'release' })
    const n = decision.begun
    this.#beginning++
    this.#countBegin(call.id, 1)
    this.#o.holds.begun(registered)
    this.#o.recorder.record(call, decision, registered, { lease, leaseAfter: 'keep', controlsRev: this.#o.controls.rev }, (result) => {
      this.#beginning--
      if (result.ok) {
        this.#send(decision.call, registered, lease, n, deadlineMs)
        this.#countBegin(call.id, -1)
        return
      }
      this.#o.holds.closed(registered, null)
      if (result.why === 'store') {
        void this.#beginUncertain(decision.call, registered, lease, n).finally(() => this.#countBegin(call.id, -1))
        this.#o.onFree()
        return
      }
      this.#countBegin(call.id, -1)
      const late = result.why === 'rev' && result.call && !this.has(call.id) ? begunUnder(lease, result.call) : undefined
      // A begin of ours that was given up for lost has arrived after all, and nobody sends it.
      if (late && result.call) this.takeOver(result.call, registered, lease, late.n)
      else if (result.why === 'lease') this.#o.keeper.suspect(lease)
      else if (result.why === 'controls') void this.#o.controls.refresh().then(() => this.#o.giveBack(lease, call), () => this.#o.giveBack(lease, call)).then(() => this.#o.onHint())
      else void this.#o.giveBack(lease, call).then(() => this.#o.onHint())
      this.#o.onFree()
    })
  }

  /** The call with its input at this code's version, or `null` when it must wait. */
  #atCurrentVersion(call: Call, registered: Registered, lease: Lease, now: number): Call | null {
    const { operation, policy } = registered
    if (call.version === operation.version || !mayUpgrade(call)) return call
    try {
      const input = upgradeInput(operation, call.version, JSON.parse(call.input ?? call.given) as Json)
      const problem = notJson(input)
      if (problem !== null) throw new Error(problem)
      return decide(call, { type: 'upgraded', version: operation.version, input: JSON.stringify(input) }, policy, now, 0).call
    } catch (error) {
      const why = `upgrade from version ${call.version} to ${operation.version} threw: ${error instanceof Error ? error.message : String(error)}`.slice(0, LIMITS.reasonChars)
      const held = decide(call, { type: 'held', untilAt: now + 60_000, why }, policy, now, 0)
      this.#record(call, { ...held, alerts: [...held.alerts, notUnderstood({ operation: call.operation, at: now, message: `${call.operation} "${call.key}" waits unharmed: ${why}.` }, call.version)] }, registered, { lease, leaseAfter: 'release' })
      return null
    }
  }

  #countBegin(id: string, by: 1 | -1): void {
    const count = (this.#begins.get(id) ?? 0) + by
    if (count === 0) this.#begins.delete(id)
    else this.#begins.set(id, count)
  }

  /** The store did not say whether the begin (`call`) was stored. Nothing was sent, so once it answers, that is what is recorded. */
  async #beginUncertain(call: Call, registered: Registered, lease: Lease, n: number): Promise<void> {
    for (;;) {
      if (this.#closing || this.#o.keeper.current !== lease) return
      await new Promise<void>((resolve) => void this.#o.system.after(STORE_RETRY_MS, resolve, true))
      try {
        const stored = await this.#o.store.get(call.id)
        if (!stored) return
        if (!isSameBegin(stored, call, lease, n)) return await this.#o.store.giveBack(lease, [call.id])
        const verdict: Verdict = { kind: 'not_applied', refused: 'unsent', reason: 'the begin could not be confirmed by the store in time; nothing was sent' }
        await change(this.#changing(registered), stored, { type: 'answered', attempt: n, verdict, worker: lease.worker }, { lease })
        return this.#o.onHint()
      } catch {
        // The store still does not answer; the loop ends with the lease.
      }
    }
  }

  #send(call: Call, registered: Registered, lease: Lease, n: number, deadlineMs: number): void {
    const run = new RunningAttempt(this.#o, call, registered, lease, n, deadlineMs)
    this.#running.add(run)
    if (!this.#o.keeper.holds(lease)) {
      return this.#closed(run, { kind: 'not_applied', refused: 'unsent', reason: 'the lease ran out before it was sent' })
    }
    if (run.mayLeave() !== 'open' || this.#closing) {
      return this.#closed(run, { kind: 'not_applied', refused: 'unsent', reason: this.#closing ? 'the worker was closed before it was sent' : 'its deadline passed before it was sent' })
    }
    this.#watchDeadline(deadlineMs)
    this.#o.failpoints?.hit('send.before')
    run.send().then((verdict) => {
      this.#o.failpoints?.hit('send.after')
      if (run.closed) void this.#late(run, verdict)
      else this.#closed(run, verdict)
    }).catch((error: unknown) => this.#broken(call, error))
  }

  /** Something that must hold does not. The call stays as stored, leased to us, and somebody is told; the others go on. */
  #broken(call: Call, error: unknown): void {
    const now = this.#o.store.now()
    this.#o.log.error('the engine stopped working on a call; it stays as stored', { operation: call.operation, key: call.key, error: String(error) })
    this.#o.store.raise([invariantBroken(call, error, now)]).catch(() => undefined)
  }

  /** An attempt of this process ends, under its lease. */
  #closed(run: RunningAttempt, verdict: Verdict, abort = ''): void {
    run.close(abort)
    this.#running.delete(run)
    this.#recordAnswer(run, run.call, verdict, this.#o.holds.closed(run.registered, verdict, this.#o.store.now()))
    this.#o.onFree()
  }

  #recordAnswer(run: RunningAttempt, call: Call, verdict: Verdict, hold: Hold | null): void {
    const { registered, lease } = run
    const now = this.#o.store.now()
    const event = { type: 'answered' as const, attempt: run.n, verdict, worker: lease.worker, wire: run.watch.exchanges(), notes: run.watch.warnings() }
    const decision = decide(call, event, registered.policy, now, this.#o.system.random())
    const controls = [...(hold?.control ? [hold.control] : []), ...providerHold(registered, decision, 'reason' in verdict ? verdict.reason : verdict.kind, now)]
    const alerts = hold ? [...decision.alerts, hold.alert] : decision.alerts
    this.#recording++
    this.#answers.add(run)
    this.#o.recorder.record(call, { ...decision, alerts }, registered, { lease, leaseAfter: 'release', controls }, (result) => {
      this.#recording--
      this.#answers.delete(run)
      if (result.ok) {
        if (controls.length > 0) this.#controlsSet()
        if (decision.call.dueAt !== null) this.#o.dueAt(decision.call.dueAt)
      } else if (result.why === 'store') {
        if (this.#over) return
        this.#o.log.error('an answer could not be stored yet; trying again while the process lives', { operation: call.operation, key: call.key, verdict: verdict.kind, error: String(result.error) })
        this.#recording++
        this.#answers.add(run)
        this.#o.system.after(STORE_RETRY_MS, () => {
          this.#recording--
          this.#answers.delete(run)
          if (!this.#over) this.#recordAnswer(run, call, verdict, hold)
        })
      } else if (result.call && isClosedAs(result.call, run.n, verdict)) {
        // A write whose outcome was not heard had arrived: all is said.
      } else if (result.why === 'rev' && result.call) this.#recordAnswer(run, result.call, verdict, hold)
      else {
        if (result.why === 'lease') this.#o.keeper.suspect(lease)
        void this.#late(run, verdict)
      }
      this.#settleIdle()
      this.#o.onFree()
    })
  }

  /** An answer that comes after its attempt was closed, or from a worker that lost its lease: a fact. */
  async #late(run: RunningAttempt, verdict: Verdict): Promise<void> {
    if (verdict.kind === 'unknown' || run.n === 0) return
    this.#recording++
    this.#answers.add(run)
    try {
      const event = { type: 'answered' as const, attempt: run.n, verdict, worker: run.lease.worker, wire: run.watch.exchanges() }
      for (;;) {
        try {
          if (await this.#recordLate(run, verdict, event)) return
        } catch (error) {
          this.#o.log.error('a late answer could not be stored yet; trying again while the process lives', { operation: run.call.operation, key: run.call.key, verdict: verdict.kind, error: String(error) })
        }
        if (this.#closing) return
        await new Promise<void>((resolve) => void this.#o.system.after(STORE_RETRY_MS, resolve))
      }
    } finally {
      this.#recording--
      this.#answers.delete(run)
      this.#settleIdle()
    }
  }

  /** @returns whether all is said; a denial waits as long as nobody has said what a database that was set back has lost: it speaks for none of what was forgotten. */
  async #recordLate(run: RunningAttempt, verdict: Verdict, event: CallEvent): Promise<boolean> {
    const { store, controls } = this.#o
    const denies = verdict.kind === 'rejected' || verdict.kind === 'not_applied'
    if (denies && controls.setBack !== null) return false
    const stored = await store.get(run.call.id)
    if (!stored) await this.#lateOfForgotten(run, verdict, event)
    else {
      const decision = await change(this.#changing(run.registered), stored, event, { lapseFirst: run.n, ...(denies ? { controlsRev: controls.rev } : {}) })
      if (decision.refused !== null) {
        await controls.refresh()
        return false
      }
    }
    return true
  }

  /** A database that was set back may not know the call at all. That it happened is true all the same: whoever submits it again must not send it again. */
  async #lateOfForgotten({ call, registered, n }: RunningAttempt, verdict: Verdict, event: CallEvent): Promise<void> {
    const { store, system, log } = this.#o
    if (verdict.kind === 'accepted') {
      // Told by the next pulse, as is what keepForgotten raises.
      await store.raise([acceptedForgotten(call, verdict.reference, n, store.now())])
      const successor = await store.find(call.operation, call.key)
      if (successor !== null) await change(this.#changing(registered), successor, event)
    }
    if (verdict.kind !== 'applied') return
    const fact: Fact = { kind: 'applied', at: store.now(), by: `late answer of attempt ${n}`, ...(verdict.reference === undefined ? {} : { reference: verdict.reference }) }
    const early = { fact, result: verdict.result }
    const successor = await keepForgotten({ store, system, log, onAlerts: () => undefined }, call, early)
    if (successor !== null) await change(this.#changing(registered), successor, { type: 'fact', ...early })
  }

  #look(call: Call, registered: Registered, lease: Lease): void {
    const askedAt = this.#o.store.now()
    const deadlineMs = this.#o.system.monotonicMs() + registered.policy.timeoutMs
    const run = new RunningAttempt(this.#o, call, registered, lease, 0, deadlineMs)
    this.#running.add(run)
    this.#watchDeadline(deadlineMs)
    run.look().then((answer) => {
      if (!run.closed) this.#looked(run, askedAt, answer)
    }).catch((error: unknown) => this.#broken(call, error))
  }

  #looked(run: RunningAttempt, askedAt: number, answer: LookupAnswer, abort = ''): void {
    run.close(abort)
    this.#running.delete(run)
    const now = this.#o.store.now()
    const decision = decide(run.call, { type: 'looked', askedAt, answer, wire: run.watch.exchanges() }, run.registered.policy, now, this.#o.system.random())
    const controls = providerHold(run.registered, decision, answer.kind === 'cannot_tell' ? answer.reason : answer.kind, now)
    this.#record(run.call, decision, run.registered, { lease: run.lease, leaseAfter: 'release', controls })
    this.#o.onFree()
  }

  /** Records a decision of ours that needs no further care: when a guard fails, the row says what is true now. */
  #record(before: Call, decision: Decision, registered: Registered, guards: { readonly lease: Lease; readonly leaseAfter: 'keep' | 'release'; readonly controls?: readonly ControlWrite[] }): void {
    if (decision.call === before) return void this.#o.giveBack(guards.lease, before)
    this.#recording++
    this.#o.recorder.record(before, decision, registered, guards, (result) => {
      this.#recording--
      if (result.ok) {
        if (guards.controls && guards.controls.length > 0) this.#controlsSet()
        if (decision.call.dueAt !== null) this.#o.dueAt(decision.call.dueAt)
      } else {
        if (result.why === 'lease') this.#o.keeper.suspect(guards.lease)
        else void this.#o.giveBack(guards.lease, before)
        // What the provider asked of everybody holds, whatever became of this call.
        for (const control of guards.controls ?? []) this.#o.store.control(control, []).then(() => this.#controlsSet(), (error: unknown) => this.#o.log.warn('a pause that a provider asked for could not be stored', { operation: before.operation, error: String(error) }))
      }
      this.#settleIdle()
      this.#o.onFree()
    })
  }

  #controlsSet(): void {
    void this.#o.controls.refresh().then(() => this.#o.onControls(), () => undefined)
  }

  #changing(registered: Registered): Changing {
    return { store: this.#o.store, system: this.#o.system, recorder: this.#o.recorder, registered }
  }

  #watchDeadline(deadlineMs: number): void {
    if (this.#deadlineMs !== null && this.#deadlineMs <= deadlineMs) return
    this.#deadlineMs = deadlineMs
    this.#stopDeadline?.()
    this.#stopDeadline = this.#o.system.after(Math.max(1, Math.ceil(deadlineMs - this.#o.system.monotonicMs())), () => this.#endOverdue(), true)
  }

  #endOverdue(): void {
    this.#deadlineMs = null
    const nowMs = this.#o.system.monotonicMs()
    let next = Number.POSITIVE_INFINITY
    for (const run of [...this.#running]) {
      if (run.deadlineMs > nowMs) next = Math.min(next, run.deadlineMs)
      else this.#timedOut(run)
    }
    if (next !== Number.POSITIVE_INFINITY) this.#watchDeadline(next)
  }

  #timedOut(run: RunningAttempt): void {
    try {
      this.#endTimedOut(run)
    } catch (error) {
      this.#broken(run.call, error)
    }
  }

  #endTimedOut(run: RunningAttempt): void {
    const after = durationText(run.registered.policy.timeoutMs)
    if (run.n === 0) this.#looked(run, 0, { kind: 'cannot_tell', reason: `no answer within ${after}` }, `no answer within ${after}`)
    else this.#closed(run, { kind: 'unknown', reason: `no answer within ${after}` }, `no answer within ${after}`)
  }

  #settleIdle(): void {
    if (this.#running.size > 0 || this.#beginning > 0 || this.#recording > 0) return
    for (const resolve of this.#idle.splice(0)) resolve()
  }

  /** Lets begun attempts finish for `graceMs`; what is left is unknown. */
  async close(graceMs: number): Promise<void> {
    await this.#whenIdle(graceMs)
    this.#closing = true
    for (const run of [...this.#running]) {
      if (run.n === 0) this.#looked(run, 0, { kind: 'cannot_tell', reason: 'the worker was closed' }, 'the worker was closed')
      else this.#closed(run, { kind: 'unknown', reason: `still running ${durationText(graceMs)} after the worker was told to close` }, 'the worker was closed')
    }
    await this.#whenIdle(RECORD_GRACE_MS)
    this.#over = true
    this.#stopDeadline?.()
  }

  async #whenIdle(limitMs: number): Promise<void> {
    if (this.#running.size === 0 && this.#beginning === 0 && this.#recording === 0) return
    await new Promise<void>((resolve) => {
      const stop = this.#o.system.after(limitMs, resolve)
      this.#idle.push(() => { stop(); resolve() })
    })
  }

  /** An attempt that is on record as begun by us and was never sent from here: the answer to its begin got lost. */
  takeOver(call: Call, registered: Registered, lease: Lease, n: number): void {
    this.#recording++
    this.#countBegin(call.id, 1)
    void this.#closeUnsent(call, registered, lease, n).finally(() => {
      this.#recording--
      this.#countBegin(call.id, -1)
      this.#settleIdle()
    })
  }

  /** Only while that attempt runs on record, and never as a late fact: were it answered meanwhile, "unsent" would be untrue. */
  async #closeUnsent(call: Call, registered: Registered, lease: Lease, n: number): Promise<void> {
    const verdict: Verdict = { kind: 'not_applied', refused: 'unsent', reason: 'the store did not confirm the begin in time; nothing was sent' }
    while (!this.#over && this.#o.keeper.current === lease) {
      try {
        await change(this.#changing(registered), call, { type: 'answered', attempt: n, verdict, worker: lease.worker }, { lease, onlyWhileRunning: n })
        return this.#o.onHint()
      } catch {
        // The store does not answer; the loop ends with the lease, and whoever finds it gone lapses the attempt.
        await new Promise<void>((resolve) => void this.#o.system.after(STORE_RETRY_MS, resolve, true))
      }
    }
  }

  /** Whether an attempt of this call begins, runs or is being recorded here, or a lookup runs. */
  has(id: string): boolean {
    if (this.#begins.has(id)) return true
    for (const run of this.#running) if (run.call.id === id) return true
    for (const run of this.#answers) if (run.call.id === id) return true
    return false
  }
}

/** A call in doubt that waits for the version that sent it: told once that version had its chance to take it (a deploy is under way). */
function withOldVersionTold(before: Call, decision: Decision, now: number): Decision {
  if (decision.call.story.at(-1)?.what !== 'held' || before.story.at(-1)?.what !== 'held') return decision
  return { ...decision, alerts: [...decision.alerts, notUnderstood({ operation: before.operation, at: now, message: `${before.operation} "${before.key}" waits: ${decision.call.reason}. No worker of version ${before.version} has taken it.` }, before.version)] }
}

/** This very answer is on record already: a write whose outcome was not heard has arrived after all. */
function isClosedAs(call: Call, n: number, verdict: Verdict): boolean {
  return call.story.some((entry) => entry.what === 'closed' && entry.attempt === n && entry.verdict === verdict.kind)
}

/** The attempt that runs under this lease, as far as the record says. */
function begunUnder(lease: Lease, call: Call): OpenAttempt | undefined {
  return call.open.find((attempt) => attempt.closedAt === null && attempt.worker === lease.worker)
}

/** Whether the running attempt of a stored call is the one that was decided in `begun`. Its number alone does not tell: what was never stored is counted again. */
function isSameBegin(stored: Call, begun: Call, lease: Lease, n: number): boolean {
  const attempt = begunUnder(lease, stored)
  const decided = begun.open.find((one) => one.n === n)
  return attempt !== undefined && decided !== undefined && attempt.n === n && attempt.deadlineAt === decided.deadlineAt
}
