/**
 * The facade: wires the parts of one process together and carries out what callers and people ask for.
 */
import os from 'node:os'
import process from 'node:process'
import type { Call, Fact } from '../core/call.ts'
import { type CallEvent, type Decision, decideOrder } from '../core/decide.ts'
import { durationMs } from '../core/duration.ts'
import { StewardError } from '../core/errors.ts'
import { LIMITS } from '../core/limits.ts'
import type { Json } from '../core/json.ts'
import { tell } from '../core/tell.ts'
import type { Telling } from '../core/telling.ts'
import type { CallRef, Outcome } from '../ports/outcome.ts'
import type { Backlog, CallerTx, Control, Scope, Store, WorkerRow } from '../ports/store.ts'
import type { Log, System } from '../ports/system.ts'
import { createWitness, redact, type Witness } from '../witness/index.ts'
import { Alerting, alertLine } from './alerting.ts'
import type { AlertView, ByWhom, CallView, FactOptions, ListFilter, Operation, OwnTxOptions, PerformOptions, PlainOptions, RedriveManyOptions, RedriveManyReport, RedriveOptions, RestoredOptions, RestoredReport, ScopeName, SettleOptions, SomeOperation, StewardApi, StewardOptions, SubmitOptions, SubmitStatement, Submitted } from './api.ts'
import { change } from './change.ts'
import { ControlsCopy } from './controls.ts'
import { keepFact } from './early.ts'
import { encrypted, isSealed, refuseSealed, sealedReason } from './encryption.ts'
import { type Entered, Entrance } from './entry.ts'
import { checkSettle, factOf, factResult } from './evidence.ts'
import { checkKey, instant, newCall, refuseTx, someRefused } from './intake.ts'
import { LeaseKeeper } from './lease.ts'
import type { Registered } from './operation.ts'
import { outcomeOf, Outcomes } from './outcomes.ts'
import { Recorder, refuseInsideTx } from './recorder.ts'
import { Recovery } from './recovery.ts'
import { Registry } from './registry.ts'
import { restore } from './restoring.ts'
import { Rounds } from './rounds.ts'
import { Settling } from './settling.ts'
import { consoleLog, realSystem } from './system.ts'
import { Worker } from './worker.ts'

const DEFAULT_LEASE_MS = 4_000
const DEFAULT_CONCURRENCY = 64
const DEFAULT_GRACE_MS = 10_000
/** Bulk redrives give way to everything else. */
const REDRIVE_PRIORITY = 10

/** For a simulator whose process has died: lets go of what a real process would have taken with it. */
export let abandon: (steward: Steward) => void

export class Steward implements StewardApi {
  static {
    abandon = (steward) => steward.#witness.dispose()
  }

  readonly #store: Store
  readonly #system: System
  readonly #log: Log
  readonly #namespace: string
  readonly #registry = new Registry()
  readonly #controls: ControlsCopy
  readonly #outcomes: Outcomes
  readonly #recorder: Recorder
  readonly #keeper: LeaseKeeper
  readonly #worker: Worker
  readonly #entrance: Entrance
  readonly #rounds: Rounds
  readonly #recovery: Recovery
  readonly #alerting: Alerting | null
  readonly #settling: Settling
  readonly #witness: Witness
  readonly #concurrency: number
  #unhint: (() => void) | null = null
  #entering = 0
  #closing: Promise<void> | null = null

  private constructor(options: StewardOptions) {
    this.#store = options.encryption ? encrypted(options.store, options.encryption) : options.store
    const system = (this.#system = options.system ?? realSystem)
    const log = (this.#log = options.log ?? consoleLog)
    this.#namespace = options.namespace ?? 'default'
    this.#concurrency = options.concurrency ?? DEFAULT_CONCURRENCY
    const store = this.#store
    const registry = this.#registry
    for (const operation of options.operations ?? []) registry.add(operation)
    const controls = (this.#controls = new ControlsCopy(store))
    const outcomes = (this.#outcomes = new Outcomes(store, system))
    const onAlerts = (): void => this.#alerting?.kick()
    const witness = (this.#witness = createWitness(system))
    const recorder = (this.#recorder = new Recorder({ store, system, log, outcomes, witness, onAlerts }))
    const release = options.release ?? null
    const rounds = (this.#rounds = new Rounds({
      store, system, log,
      lease: () => this.#keeper.current,
      operations: () => (this.#worker.started ? registry.names() : []),
      lanes: () => this.#worker.lanes,
      onPulse: ({ controlsRev, nextDueAt }) => {
        if (controlsRev !== controls.rev) this.#controlsMoved()
        this.#worker.told(nextDueAt)
      },
    }))
    const keeper = (this.#keeper = new LeaseKeeper({
      store, system, log, release,
      leaseMs: options.lease === undefined ? DEFAULT_LEASE_MS : leaseMs(options.lease),
      host: os.hostname(), pid: process.pid,
      lanes: () => (this.#worker.started ? [...registry.all()].map((known) => known.lane) : []),
      beat: (lease, leaseUntilAt) => rounds.beat(lease, leaseUntilAt),
      keepsProcessAlive: () => this.#worker.started,
      onLost: () => {
        this.#worker.lost()
        this.#controlsMoved()
      },
      onHeldAgain: () => this.#worker.leaseHeld(),
    }))
    const worker = (this.#worker = new Worker({ store, system, log, registry, controls, keeper, recorder, witness, release, failpoints: options.failpoints ?? null, concurrency: this.#concurrency }))
    this.#entrance = new Entrance({ store, system, log, controls, keeper, recorder, worker, release, sealsWith: options.encryption?.use ?? null, onAlerts })
    this.#recovery = new Recovery({ store, system, log, registry, controls, keeper, recorder, rounds, keepEndedForMs: options.keepEndedFor === undefined ? null : durationMs(options.keepEndedFor, 'keepEndedFor'), onRecovered: () => worker.hint(), onAlerts })
    this.#settling = new Settling({ store, system, log, registry, recorder, rounds, onAlerts })
    this.#alerting = options.onAlert === null ? null : new Alerting({ store, system, log, rounds, onAlert: outside(witness, options.onAlert ?? alertLine(log)) })
  }

  /**
   * Opens the store and makes this process a part of it. It submits, performs and asks; `start` makes it work calls, too.
   *
   * @throws StewardError STEWARD_STORE_*, STEWARD_NAMESPACE_CHANGED, STEWARD_OPERATION_*, STEWARD_DURATION_INVALID; nothing was started.
   */
  static async open(options: StewardOptions): Promise<Steward> {
    if (typeof options?.store?.open !== 'function') throw new StewardError('STEWARD_OPTION_INVALID', 'Steward.open needs a store: { store: sqlite("steward.db") }. Nothing was started.')
    if (options.onAlert !== undefined && options.onAlert !== null && typeof options.onAlert !== 'function') throw new StewardError('STEWARD_OPTION_INVALID', `onAlert is a ${typeof options.onAlert}; it must be a function, or null. Nothing was started.`)
    const concurrency = options.concurrency ?? 1
    if (!Number.isInteger(concurrency) || concurrency < 1) throw new StewardError('STEWARD_OPTION_INVALID', `concurrency is ${String(concurrency)}; it must be a whole number from 1 on. Nothing was started.`)
    const namespace = options.namespace ?? 'default'
    if (typeof namespace !== 'string' || namespace.length === 0 || namespace.length > LIMITS.nameChars) throw new StewardError('STEWARD_OPTION_INVALID', `namespace must be text of 1 to ${LIMITS.nameChars} characters. Nothing was started.`)
    const steward = new Steward(options)
    try {
      await steward.#open()
    } catch (error) {
      steward.#rounds.stop()
      steward.#recovery.stop()
      steward.#witness.dispose()
      await steward.#store.close().catch(() => undefined)
      throw error
    }
    return steward
  }

  async #open(): Promise<void> {
    await this.#store.open({ namespace: this.#namespace, notice: (message) => this.#log.warn(message) })
    await this.#controls.refresh()
    this.#witness.listen()
    this.#unhint = this.#store.onHint(() => {
      this.#worker.hint()
      this.#outcomes.hint()
    })
    this.#recovery.startWatching()
    this.#rounds.start()
  }

  #controlsMoved(): void {
    this.#controls.refresh().then(() => {
      this.#worker.controlsChanged()
      // A hold comes with an alert, whoever has set it.
      this.#alerting?.kick()
    }, () => undefined)
  }

  start(options: { readonly concurrency?: number } = {}): void {
    this.#mustBeOpen('start')
    if (this.#worker.started) return
    const concurrency = options.concurrency ?? this.#concurrency
    if (!Number.isInteger(concurrency) || concurrency < 1) throw new StewardError('STEWARD_OPTION_INVALID', `concurrency is ${String(concurrency)}; it must be a whole number from 1 on. Nothing was started.`)
    this.#worker.start(concurrency)
    this.#sayLanes()
    this.#recovery.startWorker()
    this.#settling.start()
    this.#rounds.start()
  }

  async submit<I, P, R>(operation: Operation<I, P, R>, options: SubmitOptions<I>): Promise<Submitted<R>> {
    const registered = this.#registered(operation)
    const made = newCall(this.#intake, registered, options)
    return this.#submitted(await this.#enter(made instanceof Promise ? await made : made, registered, options.tx ?? 'offer'), options.tx === undefined)
  }

  async submitStatement<I, P, R>(operation: Operation<I, P, R>, options: PlainOptions<I>): Promise<SubmitStatement<R>> {
    const registered = this.#registered(operation)
    refuseTx(operation.name, 'submitStatement', options)
    const { text, values, read } = await this.#entrance.plain(await newCall(this.#intake, registered, options), registered)
    return { text, values, read: (row) => this.#submitted(read(row), false) }
  }

  async submitMany<I, P, R>(operation: Operation<I, P, R>, items: readonly OwnTxOptions<I>[]): Promise<readonly Submitted<R>[]> {
    const registered = this.#registered(operation)
    for (const item of items) refuseTx(operation.name, 'submitMany', item)
    if (items.length > LIMITS.submitMany) throw new StewardError('STEWARD_OPTION_INVALID', `submitMany was given ${items.length} calls; the limit is ${LIMITS.submitMany}. Nothing was stored or sent. Submit them in pages.`)
    const calls = await Promise.all(items.map(async (item) => newCall(this.#intake, registered, item)))
    const entered = await Promise.allSettled(calls.map((call) => this.#enter(call, registered, 'offer')))
    const refused = entered.flatMap((one, i) => (one.status === 'rejected' ? [{ key: (calls[i] as Call).key, error: one.reason as unknown }] : []))
    if (refused.length > 0) throw someRefused(operation.name, items.length, refused)
    return entered.map((one) => this.#submitted<R>((one as PromiseFulfilledResult<Entered>).value, true))
  }

  async perform<I, P, R>(operation: Operation<I, P, R>, options: PerformOptions<I>): Promise<Outcome<R>> {
    const registered = this.#registered(operation)
    refuseTx(operation.name, 'perform', options)
    const waitMs = options?.wait === undefined ? registered.policy.timeoutMs : durationMs(options.wait, `wait of ${operation.name} "${options.key}"`)
    const made = newCall(this.#intake, registered, options)
    const { call } = await this.#enter(made instanceof Promise ? await made : made, registered, 'begin')
    return outcomeOf<R>((await this.#outcomes.wait(call.id, call, waitMs)) ?? call)
  }

  get #intake(): { readonly namespace: string; readonly system: System; now(): number } {
    return { namespace: this.#namespace, system: this.#system, now: () => this.#store.now() }
  }

  #registered(operation: Operation): Registered {
    this.#mustBeOpen('submit')
    const isNew = this.#registry.get(operation.name) === null
    const registered = this.#registry.add(operation)
    if (isNew && this.#worker.started) this.#sayLanes()
    return registered
  }

  #sayLanes(): void {
    this.#keeper.lanesChanged().catch((error: unknown) => this.#log.warn('the worker could not say which operations it works', { error: String(error) }))
  }

  async #enter(call: Call, registered: Registered, mode: 'begin' | 'offer' | CallerTx): Promise<Entered> {
    if (this.#entering >= LIMITS.pendingSubmits) throw new StewardError('STEWARD_OVERLOADED', `${this.#entering} submits of this process wait for their commit. ${call.operation} "${call.key}" was not stored or sent. Submit it again later, or fewer at once.`)
    this.#entering++
    try {
      return await (typeof mode === 'string' ? this.#entrance.enter(call, registered, mode) : this.#entrance.enterWithin(call, registered, mode))
    } finally {
      this.#entering--
    }
  }

  #submitted<R>({ status, call }: Entered, isCommitted: boolean): Submitted<R> {
    return {
      id: call.id, operation: call.operation, key: call.key, status,
      outcome: async (options = {}) => {
        const waitMs = waitMsOf(options.wait, call.operation)
        // What is in this process's hands is not decided yet, and what becomes of it is told here: the store need not be asked.
        const isKnown = call.endedAt !== null || (waitMs !== 0 && this.#worker.has(call.id))
        return outcomeOf<R>((await this.#outcomes.wait(call.id, isKnown ? call : null, waitMs, isCommitted ? call : null)) ?? call)
      },
    }
  }

  async outcome<R>(operation: SomeOperation<R> | string, key: string, options: { readonly wait?: number | string } = {}): Promise<Outcome<R>> {
    const call = await this.#stored(operation, key)
    return outcomeOf<R>((await this.#outcomes.wait(call.id, call, waitMsOf(options.wait, call.operation))) ?? call)
  }

  async find(operation: Operation | string, key: string): Promise<CallView | null> {
    this.#mustBeOpen('find')
    const call = await this.#store.find(nameOf(operation), key)
    if (call) refuseSealed(call)
    return call && this.#view(call)
  }

  async get(id: string): Promise<CallView | null> {
    this.#mustBeOpen('get')
    const call = await this.#store.get(id)
    if (call) refuseSealed(call)
    return call && this.#view(call)
  }

  async list(filter: ListFilter = {}): Promise<readonly CallView[]> {
    this.#mustBeOpen('list')
    const limit = filter.limit ?? 50
    if (!Number.isInteger(limit) || limit < 1 || limit > LIMITS.listPage) throw new StewardError('STEWARD_OPTION_INVALID', `limit is ${String(limit)}; it must be a whole number from 1 to ${LIMITS.listPage}. Nothing was changed.`)
    return (await this.#store.list({ ...filter, limit })).map((call) => this.#view(call))
  }

  async confirm(operation: Operation | string, key: string, options: FactOptions & { readonly result?: Json }): Promise<CallView | null> {
    const fact: Fact = { kind: 'applied', ...factOf(options, this.#store.now()) }
    return await this.#learn(operation, key, fact, factResult(key, options.result))
  }

  async refute(operation: Operation | string, key: string, options: FactOptions): Promise<CallView | null> {
    const fact: Fact = { kind: 'refuted', ...factOf(options, this.#store.now()) }
    if (options.at === undefined && options.attempt === undefined) throw new StewardError('STEWARD_FACT_INVALID', `a refutation of "${key}" by ${options.by} must say when it was true, or of which attempt it speaks: { at } or { attempt }. Without either, its repetition would speak of later attempts, too. Nothing was stored.`)
    await this.#refuseSetBack(`refute of ${nameOf(operation)} "${key}" by ${options.by}`)
    return await this.#learn(operation, key, fact, null)
  }

  async #learn(operation: Operation | string, key: string, fact: Fact, result: string | null): Promise<CallView | null> {
    const registered = this.#known(operation)
    checkKey(registered.operation.name, key)
    let call = await this.#store.find(registered.operation.name, key)
    if (!call) {
      const kept = await keepFact({ store: this.#store, system: this.#system, onAlerts: () => this.#alerting?.kick() }, registered.operation.name, key, { fact, result })
      if (kept.kept) return null
      call = kept.call
    }
    return await this.#act(registered, call, { type: 'fact', fact, result })
  }

  async settle(operation: Operation | string, key: string, options: SettleOptions): Promise<CallView> {
    checkWho('settle', options)
    checkSettle(key, options)
    return await this.#actOn(operation, key, { type: 'settle', outcome: options.outcome, ...who(options), ...(options.result === undefined ? {} : { result: factResult(key, options.result) }), ...(options.reference === undefined ? {} : { reference: options.reference }) })
  }

  async cancel(operation: Operation | string, key: string, options: ByWhom): Promise<CallView> {
    checkWho('cancel', options)
    return await this.#actOn(operation, key, { type: 'cancel', ...who(options) })
  }

  async retryNow(operation: Operation | string, key: string, options: ByWhom): Promise<CallView> {
    checkWho('retryNow', options)
    return await this.#actOn(operation, key, { type: 'retry_now', ...who(options) })
  }

  async redrive(operation: Operation | string, key: string, options: RedriveOptions): Promise<CallView> {
    checkWho('redrive', options)
    return await this.#actOn(operation, key, { type: 'redrive', ...who(options), ...(options.expiresAt === undefined ? {} : { expiresAt: instant(options.expiresAt, 'expiresAt', nameOf(operation)) }) })
  }

  async redriveMany(filter: ListFilter, options: RedriveManyOptions): Promise<RedriveManyReport> {
    checkWho('redriveMany', options)
    await this.#refuseSetBack('redriveMany')
    const { restored } = this.#controls
    const states = filter.states ?? ['exhausted']
    const limit = options.limit ?? filter.limit ?? LIMITS.listPage
    if (!Number.isInteger(limit) || limit < 1) throw new StewardError('STEWARD_OPTION_INVALID', `limit is ${String(limit)}; it must be a whole number from 1 on. Nothing was changed.`)
    const redriven: CallRef[] = []
    const refused: (CallRef & { readonly why: string })[] = []
    const event = { type: 'redrive' as const, ...who(options), priority: REDRIVE_PRIORITY }
    let afterId = filter.afterId
    let matched = 0
    while (matched < limit) {
      const page = await this.#store.list({ ...filter, states, limit: Math.min(LIMITS.redrivePage, limit - matched), ...(afterId === undefined ? {} : { afterId }) })
      for (const call of page) {
        matched++
        const ref = { id: call.id, operation: call.operation, key: call.key }
        const registered = this.#registry.get(call.operation)
        if (!registered) { refused.push({ ...ref, why: 'this process does not know the operation' }); continue }
        const decision = options.dryRun === true ? decideOrder(call, event, registered.policy, this.#store.now(), 0, restored) : await change({ store: this.#store, system: this.#system, recorder: this.#recorder, registered }, call, event, { restored })
        if (decision.refused === null) redriven.push(ref)
        else refused.push({ ...ref, why: decision.refused })
      }
      afterId = page.at(-1)?.id
      if (page.length === 0 || afterId === undefined) break
    }
    this.#worker.hint()
    return { matched, redriven, refused, dryRun: options.dryRun === true }
  }

  async pause(scope: ScopeName, options: ByWhom): Promise<void> {
    checkWho('pause', options)
    const now = this.#store.now()
    await this.#store.control({ set: { ...scopeOf(scope), mode: 'pause', untilAt: null, ...who(options), at: now } }, [])
    await this.#controls.refresh()
    this.#worker.controlsChanged()
  }

  async resume(scope: ScopeName, options: ByWhom): Promise<void> {
    checkWho('resume', options)
    await this.#store.control({ lift: scopeOf(scope), ...who(options), at: this.#store.now() }, [])
    await this.#controls.refresh()
    this.#worker.controlsChanged()
  }

  async restored(options: RestoredOptions): Promise<RestoredReport> {
    checkWho('restored', options)
    this.#mustBeOpen('say what was lost')
    const report = await restore({ store: this.#store, system: this.#system, recorder: this.#recorder, registry: this.#registry, controls: this.#controls }, options, who(options))
    this.#worker.controlsChanged()
    return report
  }

  async alerts(query: { readonly undeliveredOnly?: boolean; readonly limit?: number } = {}): Promise<readonly AlertView[]> {
    this.#mustBeOpen('alerts')
    return await this.#store.alerts({ undeliveredOnly: query.undeliveredOnly ?? false, limit: query.limit ?? 100 })
  }

  async tell(operation: Operation | string, key: string): Promise<Telling> {
    const call = await this.#stored(operation, key)
    const registered = this.#registry.get(call.operation)
    const now = this.#store.now()
    await this.#controls.refresh()
    const holding = registered && this.#controls.holding(registered, call.group, now)
    const { owner, runbook } = registered?.operation ?? {}
    return tell(call, registered?.policy ?? null, now, {
      operation: { ...(owner === undefined ? {} : { owner }), ...(runbook === undefined ? {} : { runbook }) },
      paused: holding ? [`${holding.kind} ${holding.name} is ${holding.mode === 'pause' ? 'paused' : 'held'} by ${holding.by}: ${holding.why}`] : [],
      setBack: this.#controls.setBack?.why,
      restored: this.#controls.restored,
    })
  }

  async controls(): Promise<readonly Control[]> {
    this.#mustBeOpen('controls')
    await this.#controls.refresh()
    const now = this.#store.now()
    return this.#controls.all.filter((control) => control.untilAt === null || control.untilAt > now)
  }

  async backlog(): Promise<readonly Backlog[]> {
    this.#mustBeOpen('backlog')
    return await this.#store.backlog()
  }

  async workers(): Promise<readonly WorkerRow[]> {
    this.#mustBeOpen('workers')
    return await this.#store.workers()
  }

  /** @throws StewardError STEWARD_CALL_NOT_FOUND */
  async #stored(operation: Operation | string, key: string): Promise<Call> {
    this.#mustBeOpen('ask for a call')
    const name = nameOf(operation)
    const call = await this.#store.find(name, key)
    if (!call) throw new StewardError('STEWARD_CALL_NOT_FOUND', `there is no call of ${name} with key "${key}". Nothing was changed. Check the key and the namespace ("${this.#namespace}").`, { operation: name, key })
    return call
  }

  #known(operation: Operation | string): Registered {
    this.#mustBeOpen('change a call')
    return typeof operation === 'string' ? this.#registry.require(operation) : this.#registry.add(operation)
  }

  async #actOn(operation: Operation | string, key: string, event: CallEvent): Promise<CallView> {
    const registered = this.#known(operation)
    if (event.type !== 'settle' || event.outcome !== 'happened') await this.#refuseSetBack(`${event.type.replace('_', ' ')} of ${registered.operation.name} "${key}"`)
    return await this.#act(registered, await this.#stored(operation, key), event)
  }

  /** Of a database that was set back only what happened can be said: whether something did not, its record does not tell. */
  async #refuseSetBack(action: string): Promise<void> {
    await this.#controls.refresh()
    const { setBack } = this.#controls
    if (setBack !== null) throw new StewardError('STEWARD_STORE_SET_BACK', `${action} was refused: the database was set back (${setBack.why}), and its record may be out of date. Nothing was changed or sent. Say what was lost first: steward restored --lost-since TIME.`, { noticedAt: setBack.at })
  }

  async #act(registered: Registered, call: Call, event: CallEvent): Promise<CallView> {
    const restored = event.type === 'redrive' || event.type === 'retry_now' ? this.#controls.restored : null
    const decision: Decision = await change({ store: this.#store, system: this.#system, recorder: this.#recorder, registered }, call, event, { restored })
    if (decision.refused !== null) {
      throw new StewardError('STEWARD_ACTION_REFUSED', `${event.type.replace('_', ' ')} of ${call.operation} "${call.key}" was refused: ${decision.refused}. Nothing was changed or sent.`, { operation: call.operation, key: call.key, state: call.state })
    }
    if (decision.call.dueAt !== null) this.#worker.dueAt(decision.call.dueAt)
    return this.#view(decision.call)
  }

  #view(call: Call): CallView {
    const paths = this.#registry.get(call.operation)?.operation.redact ?? []
    // Of a page of calls each is shown as far as it can be read; whoever asks for this one is refused.
    const sealed = isSealed(call)
    const shown = (text: string | null): Json => (text === null ? null : sealed ? `[${sealedReason(call)}]` : (redact(JSON.parse(text) as Json, paths) as Json))
    return {
      id: call.id, operation: call.operation, key: call.key, version: call.version, group: call.group, state: call.state, effect: call.effect, reason: call.reason,
      generation: call.generation, attempts: call.attempts, createdAt: call.createdAt, dueAt: call.dueAt, expiresAt: call.expiresAt, giveUpAt: call.giveUpAt, endedAt: call.endedAt,
      priority: call.priority, input: shown(call.given), result: shown(call.result), supersedes: call.supersedes, supersededBy: call.supersededBy, story: call.story,
    }
  }

  #mustBeOpen(what: string): void {
    refuseInsideTx(what)
    if (this.#closing) throw new StewardError('STEWARD_CLOSED', `this Steward is closed and cannot ${what}. Nothing was stored or sent. Open another one.`)
  }

  close(options: { readonly grace?: number | string } = {}): Promise<void> {
    const graceMs = options.grace === undefined ? DEFAULT_GRACE_MS : durationMs(options.grace, 'grace of close')
    this.#closing ??= this.#close(graceMs)
    return this.#closing
  }

  async #close(graceMs: number): Promise<void> {
    this.#unhint?.()
    await this.#worker.close(graceMs)
    this.#rounds.stop()
    this.#recovery.stop()
    this.#settling.stop()
    await this.#alerting?.stop()
    this.#outcomes.stop((id) => new StewardError('STEWARD_CLOSED', `this Steward was closed while the outcome of ${id} was awaited. The call is stored and goes on with any worker; ask for its outcome from an open Steward.`))
    await this.#keeper.stop().catch((error: unknown) => this.#log.warn('the worker could not sign off; others find it gone', { error: String(error) }))
    this.#witness.dispose()
    await this.#store.close()
  }
}

/** Handlers of the application are no part of whatever attempt caused them. */
function outside<T>(witness: Witness, handler: (value: T) => void | Promise<void>): (value: T) => void | Promise<void> {
  return (value) => witness.outside(() => handler(value))
}

function leaseMs(value: number | string): number {
  const ms = durationMs(value, 'lease')
  if (ms < 500) throw new StewardError('STEWARD_OPTION_INVALID', `lease is ${ms}ms; below 500ms a busy event loop would lose it all the time. Nothing was started.`)
  return ms
}

function nameOf(operation: Operation | string): string {
  return typeof operation === 'string' ? operation : operation.name
}

function waitMsOf(wait: number | string | undefined, operation: string): number | null {
  return wait === undefined ? null : durationMs(wait, `wait of ${operation}`)
}

function who(options: ByWhom): { readonly by: string; readonly why: string } {
  return { by: options.by.slice(0, LIMITS.nameChars), why: options.why.slice(0, LIMITS.reasonChars) }
}

function checkWho(action: string, options: ByWhom): void {
  for (const field of ['by', 'why'] as const) {
    if (typeof options?.[field] !== 'string' || options[field].trim() === '') throw new StewardError('STEWARD_REASON_MISSING', `${action} needs { by, why }: who decides, and why. "${field}" is missing. Nothing was changed.`)
  }
}

function scopeOf(scope: ScopeName): Scope {
  for (const kind of ['provider', 'operation', 'group'] as const) {
    const name = (scope as Record<string, unknown>)[kind]
    if (typeof name === 'string' && name !== '' && name.length <= LIMITS.scopeChars) return { kind, name }
  }
  throw new StewardError('STEWARD_OPTION_INVALID', `a scope is { provider }, { operation } or { group } with its name; got ${JSON.stringify(scope)}. Nothing was changed.`)
}
