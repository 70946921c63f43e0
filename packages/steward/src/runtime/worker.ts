/**
 * The worker of one process: takes claimed calls from the line into free slots.
 *
 *   claimed (certainly unsent) → begun (on record) → sent → closed by a verdict → recorded
 *
 * `claims.ts` keeps the first step, `attempts.ts` the others. Authority is the store's row: all that is kept here
 * may vanish at any moment. Claimed calls go back unharmed, begun attempts are lapsed by whoever finds this process
 * dead, and its late answers become facts.
 */
import type { Call } from '../core/call.ts'
import { LIMITS } from '../core/limits.ts'
import type { Lane, Lease } from '../ports/store.ts'
import { Attempts } from './attempts.ts'
import { Claims } from './claims.ts'
import { HoldRules } from './hold-rules.ts'
import { Leftovers } from './leftovers.ts'
import type { Registered } from './operation.ts'
import type { Parts } from './parts.ts'

export type WorkerOptions = Parts & { readonly concurrency: number }

/** Answers on their way to the store, per slot: beyond it a slow store stops new sends. */
const RECORDING_PER_SLOT = 4
/** Calls in line per slot, those included whose insert as claimed is under way. */
const LINE_PER_SLOT = 4

export class Worker {
  readonly #o: WorkerOptions
  readonly #claims: Claims
  readonly #attempts: Attempts
  readonly #leftovers: Leftovers
  #concurrency: number
  #started = false
  /** Inserts as claimed by us that wait for their commit. */
  #arriving = 0
  #closing = false

  constructor(options: WorkerOptions) {
    this.#o = options
    this.#concurrency = options.concurrency
    const holds = new HoldRules()
    this.#claims = new Claims({ ...options, holds, concurrency: () => this.#concurrency, onLine: () => this.#pump(), onUncertain: () => this.#leftovers.suspect() })
    this.#attempts = new Attempts({
      ...options,
      holds,
      giveBack: (lease, call) => this.#claims.giveBack(lease, [call]),
      dueAt: (at) => this.dueAt(at),
      onFree: () => this.#pump(),
      onHint: () => this.hint(),
      onControls: () => this.controlsChanged(),
    })
    this.#leftovers = new Leftovers({
      ...options,
      claiming: () => this.#claims.claiming,
      holds: (id) => this.has(id),
      giveBack: (lease, calls) => this.#claims.giveBack(lease, calls),
      takeOver: (call, registered, lease, n) => this.#attempts.takeOver(call, registered, lease, n),
      onFreed: () => this.hint(),
    })
  }

  get started(): boolean {
    return this.#started
  }

  /** Whether a new call may be inserted as claimed by this process: it works, and nothing older is waiting for it. */
  get mayTakeDirectly(): boolean {
    return this.#started && !this.#closing && this.#claims.caughtUp && this.#claims.length + this.#arriving < Math.min(LIMITS.prefetch, LINE_PER_SLOT * this.#concurrency)
  }

  /** Whether a new call may be inserted as begun. */
  get hasFreeSlot(): boolean {
    return this.#attempts.inFlight < this.#concurrency && this.#claims.length === 0
  }

  start(concurrency: number): void {
    this.#concurrency = concurrency
    this.#started = true
    this.#pump()
  }

  /** The call is in line, about to begin, or running here. */
  has(id: string): boolean {
    return this.#claims.inLine(id) || this.#attempts.has(id)
  }

  /** Something may be due. */
  hint(): void {
    if (this.#started && !this.#closing) this.#claims.hint()
  }

  /** A call will be due then. */
  dueAt(at: number): void {
    if (this.#started && !this.#closing) this.#claims.wake(at)
  }

  /** What the store says is due next; see `lanes`. */
  told(nextDueAt: number | null): void {
    if (!this.#started || this.#closing) return
    this.#claims.due(nextDueAt)
    this.#pump()
  }

  /** Lanes of which it wants to know that. */
  get lanes(): readonly Lane[] {
    return this.#started && !this.#closing ? this.#claims.lanes() : []
  }

  /** Takes a slot for a call that is about to be inserted as begun; false when that must not be. */
  reserve(registered: Registered): boolean {
    return !this.#closing && this.#attempts.reserve(registered)
  }

  /** The insert did not begin it after all. */
  unreserve(registered: Registered): void {
    this.#attempts.unreserve(registered)
  }

  /** A call was inserted as begun, in a slot reserved for it. */
  insertedBegun(call: Call, registered: Registered, lease: Lease, n: number, deadlineMs: number): void {
    this.#attempts.insertedBegun(call, registered, lease, n, deadlineMs)
  }

  /** Inserts as claimed by us are under way (or, negative, answered). */
  arriving(more: number): void {
    this.#arriving += more
  }

  /** A call was inserted as claimed by us. */
  insertedClaimed(call: Call, lease: Lease): void {
    if (this.#closing || this.#o.keeper.current !== lease) return void this.#claims.giveBack(lease, [call])
    this.#claims.add(call)
    this.#pump()
  }

  /** An attempt on record as begun by us is not to be sent from here: it is closed as what it is, unsent. */
  takeOver(call: Call, registered: Registered, lease: Lease, n: number): void {
    this.#attempts.takeOver(call, registered, lease, n)
  }

  /** An insert under our lease may be stored, and nobody will send it. `deadlineAt`: of the attempt that it began. */
  insertUncertain(id: string, registered: Registered, lease: Lease, deadlineAt: number | null): void {
    this.#leftovers.insertUncertain(id, registered, lease, deadlineAt)
  }

  /** The lease holds again after it had run out: what was left in line goes on. */
  leaseHeld(): void {
    this.#pump()
  }

  /** The lease is gone: nothing in line is ours any more, nothing running may leave. */
  lost(): void {
    this.#claims.drop()
    this.#attempts.lost()
    this.hint()
  }

  controlsChanged(): void {
    this.#claims.giveBackHeld()
    this.hint()
  }

  #pump(): void {
    if (!this.#started || this.#closing) return
    const lease = this.#o.keeper.current
    if (lease) this.#fill(lease)
    this.#claims.refill()
  }

  #fill(lease: Lease): void {
    while (this.#claims.length > 0 && this.#hasRoom() && this.#o.keeper.holds(lease)) {
      this.#attempts.take(this.#claims.next() as Call, lease)
    }
  }

  #hasRoom(): boolean {
    return this.#attempts.inFlight < this.#concurrency && this.#attempts.recording < RECORDING_PER_SLOT * this.#concurrency
  }

  /** Stops claiming, gives claimed calls back, lets begun attempts finish for `graceMs`; what is left is unknown. */
  async close(graceMs: number): Promise<void> {
    this.#closing = true
    this.#leftovers.stop()
    await this.#claims.stop()
    await this.#attempts.close(graceMs)
  }
}
