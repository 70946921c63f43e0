/**
 * From decisions to rows: the one way in which this process writes calls.
 *
 * Decisions of the same turn of the event loop go to the store as one batch (group commit); new calls in batches of a few,
 * so that the store works on the first while the next are still checked: their callers wait for nothing else. A call whose end the
 * application is told of in the same transaction (`onSettled`) goes by itself.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { Call } from '../core/call.ts'
import type { Decision } from '../core/decide.ts'
import { StewardError } from '../core/errors.ts'
import type { Json } from '../core/json.ts'
import type { CallWrite, ControlWrite, InsertResult, InsertWrite, Lease, SettleInTx, Store, WriteResult } from '../ports/store.ts'
import type { Log, System } from '../ports/system.ts'
import type { Witness } from '../witness/index.ts'
import { callInfo } from './call-info.ts'
import type { Registered } from './operation.ts'
import { type Outcomes, outcomeOf } from './outcomes.ts'
import { invariantBroken } from './unworked.ts'

export type Guards = {
  readonly lease?: Lease
  readonly leaseAfter: 'keep' | 'release'
  readonly controlsRev?: number
  readonly controls?: readonly ControlWrite[]
}

export type Done = (result: WriteResult | { readonly ok: false; readonly why: 'store'; readonly error: Error }) => void

type Recorded = { readonly write: CallWrite; readonly done: Done }
type Inserted = { readonly write: InsertWrite; readonly done: (result: InsertResult | { readonly ok: false; readonly why: 'store'; readonly error: Error }) => void }

/** The call whose handler is running in a recording transaction, as seen by what it calls. */
const insideTx = new AsyncLocalStorage<{ readonly call: Call; over: boolean }>()

/** @throws StewardError STEWARD_INSIDE_TRANSACTION where an answer of the store would wait for the handler that awaits it. */
export function refuseInsideTx(what: string): void {
  const inside = insideTx.getStore()
  if (!inside || inside.over) return
  const { call } = inside
  throw new StewardError('STEWARD_INSIDE_TRANSACTION', `onSettled of ${call.operation} "${call.key}" called ${what}, which would wait for the transaction that the handler is part of. Nothing was stored or sent by it. Use tx for tables of the application, and start follow-up calls from what it writes there.`, { operation: call.operation, key: call.key })
}

/** So many new calls are handed to the store before the turn of the event loop is over. Measured: fewer cost more in messages, more leave the store idle. */
const BATCH = 12

/** First wait before a failing handler is called again. */
const SETTLE_RETRY_MS = 1_000

export class Recorder {
  readonly #store: Store
  readonly #system: System
  readonly #log: Log
  readonly #outcomes: Outcomes
  readonly #witness: Witness
  readonly #onAlerts: () => void
  #writes: Recorded[] = []
  #inserts: Inserted[] = []
  #scheduled = false

  constructor(options: { store: Store; system: System; log: Log; outcomes: Outcomes; witness: Witness; onAlerts: () => void }) {
    this.#store = options.store
    this.#system = options.system
    this.#log = options.log
    this.#outcomes = options.outcomes
    this.#witness = options.witness
    this.#onAlerts = options.onAlerts
  }

  /** @param before the record the decision was made on. */
  record(before: Call, decision: Decision, registered: Registered | null, guards: Guards, done: Done): void {
    const tells = decision.settles && registered?.operation.onSettled !== undefined
    const write: CallWrite = {
      kind: 'call',
      call: decision.call,
      expectRev: before.rev,
      leaseAfter: guards.leaseAfter,
      ...(decision.call.input === before.input ? {} : { inputChanged: true }),
      ...(guards.lease ? { lease: guards.lease } : {}),
      ...(guards.controlsRev === undefined ? {} : { controlsRev: guards.controlsRev }),
      ...(guards.controls && guards.controls.length > 0 ? { controls: guards.controls } : {}),
      ...(decision.alerts.length > 0 ? { alerts: decision.alerts } : {}),
      ...(tells ? { settleDueAt: this.#store.now() } : {}),
    }
    if (tells) return void this.#recordSettling(write, registered, done)
    this.#writes.push({ write, done })
    this.#schedule()
  }

  recordAsync(before: Call, decision: Decision, registered: Registered | null, guards: Guards): Promise<WriteResult> {
    return new Promise((resolve, reject) => {
      this.record(before, decision, registered, guards, (result) => (!result.ok && result.why === 'store' ? reject(result.error) : resolve(result)))
    })
  }

  insert(write: InsertWrite): Promise<InsertResult> {
    return new Promise((resolve, reject) => {
      if (this.#inserts.length >= BATCH) this.#flushInserts(true)
      this.#inserts.push({ write, done: (result) => (!result.ok && result.why === 'store' ? reject(result.error) : resolve(result)) })
      this.#schedule()
    })
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    this.#system.soon(() => {
      this.#scheduled = false
      this.#flushInserts(false)
      this.#flushWrites()
    })
  }

  #flushInserts(more: boolean): void {
    const inserts = this.#inserts
    if (inserts.length === 0) return
    this.#inserts = []
    this.#store.insert(inserts.map((one) => one.write), more).then(
      (results) => inserts.forEach((one, i) => this.#say(one, results[i] as InsertResult)),
      (error: unknown) => inserts.forEach((one) => this.#say(one, { ok: false, why: 'store', error: asError(error) })),
    )
  }

  #flushWrites(): void {
    const writes = this.#writes
    if (writes.length === 0) return
    this.#writes = []
    this.#store.write(writes.map((one) => one.write)).then(
      (results) => writes.forEach((one, i) => this.#told(one, results[i] as WriteResult)),
      (error: unknown) => writes.forEach((one) => this.#say(one, { ok: false, why: 'store', error: asError(error) })),
    )
  }

  #told(one: Recorded, result: WriteResult): void {
    if (result.ok) {
      this.#outcomes.changed(one.write.call)
      if (one.write.alerts) this.#onAlerts()
    }
    this.#say(one, result)
  }

  /** Hands an answer out. What its receiver breaks stays with that one call: the others of the batch hear theirs. */
  #say<Result>({ write, done }: { readonly write: { readonly call: Call }; readonly done: (result: Result) => void }, result: Result): void {
    try {
      done(result)
    } catch (error) {
      this.#log.error('the engine stopped working on a call; it stays as stored', { operation: write.call.operation, key: write.call.key, error: String(error) })
      this.#store.raise([invariantBroken(write.call, error, this.#store.now())]).then(this.#onAlerts, () => undefined)
    }
  }

  async #recordSettling(write: CallWrite, registered: Registered, done: Done): Promise<void> {
    try {
      const { result, handler } = await this.#store.writeSettling(write, this.inTx(write.call, registered))
      if (handler !== undefined && result.ok) {
        this.#log.error('onSettled threw; the call has ended all the same, the handler is called again', { operation: write.call.operation, key: write.call.key, error: thrownText(handler) })
        await this.#tellLater(write.call)
      }
      this.#told({ write, done }, result)
    } catch (error) {
      this.#say({ write, done }, { ok: false, why: 'store', error: asError(error) })
    }
  }

  /** The end is on record, and its mark is due: where it cannot be put off, the handler is called again at once. */
  async #tellLater(call: Call): Promise<void> {
    try {
      await this.#store.settleTold(call.id, this.#store.now() + SETTLE_RETRY_MS, 1)
    } catch (error) {
      this.#log.warn('that onSettled threw could not be stored; it is called again at once, and this time is not counted', { operation: call.operation, key: call.key, error: String(error) })
    }
  }

  /** The application's handler, bound to one call's outcome. */
  inTx(call: Call, registered: Registered): SettleInTx {
    return async (tx) => {
      const input = JSON.parse(call.input ?? call.given) as Json
      const inside = { call, over: false }
      try {
        await insideTx.run(inside, () => this.#witness.outside(() => registered.operation.onSettled?.(outcomeOf(call), { tx, input, call: callInfo(call) })))
      } finally {
        inside.over = true
      }
    }
  }
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(thrownText(thrown))
}

/** Something thrown, in one line. */
export function thrownText(thrown: unknown): string {
  return thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : `a thrown ${typeof thrown}`
}
