/**
 * The lease of this process.
 *
 * Model: one row per worker process with a random id and an epoch, kept alive by a heartbeat from the main thread,
 * so that a blocked event loop loses its lease like a dead process does. Authority: the store's row; this copy
 * only says until when (by the monotonic clock) the last heartbeat surely holds. After that moment nothing leaves
 * this process until a heartbeat was answered `alive`. If it was answered "fenced", every attempt of the old
 * identity is lost to us: `onLost` runs, and the next use enlists a new identity.
 */
import type { Lane, Lease, Pulse, Store } from '../ports/store.ts'
import type { Log, System } from '../ports/system.ts'

export type LeaseOptions = {
  readonly store: Store
  readonly system: System
  readonly log: Log
  readonly leaseMs: number
  readonly release: string | null
  readonly host: string
  readonly pid: number
  lanes(): readonly Lane[]
  /** Extends the lease until then. */
  beat(lease: Lease, leaseUntilAt: number): Promise<Pick<Pulse, 'alive'>>
  /** A process that works calls lives until it is closed; one that only submits may end. */
  keepsProcessAlive(): boolean
  onLost(): void
  /** The lease had run out unnoticed by others, and holds again. */
  onHeldAgain(): void
}

export class LeaseKeeper {
  readonly #options: LeaseOptions
  #lease: Lease | null = null
  #enlisting: Promise<Lease> | null = null
  #validUntilMs = 0
  /** The same by the store's clock, as stored: the monotonic clock stands still while a machine sleeps. */
  #validUntilAt = 0
  #stopTimer: (() => void) | null = null
  #stopped = false
  #lastTickMs = 0
  #missed = 0
  #asking = false
  /** The wall clock less the monotonic one, when the last heartbeat that was answered left. */
  #wallAheadMs: number

  constructor(options: LeaseOptions) {
    this.#options = options
    this.#wallAheadMs = wallAheadMs(options.system)
  }

  /** The identity under which this process writes now; `null` before the first use and after a loss. */
  get current(): Lease | null {
    return this.#lease
  }

  /** Whether bytes may leave under this lease at this moment. */
  holds(lease: Lease): boolean {
    return this.#lease === lease && this.#options.system.monotonicMs() < this.#validUntilMs && this.latestNow() < this.#validUntilAt
  }

  /**
   * The store's time, at its latest: others may reckon with it already. An estimate of it goes on by the monotonic clock, which
   * stands still while the machine sleeps: by how much the wall clock has gained on it since the last heartbeat, that was longer.
   */
  latestNow(): number {
    const { store, system } = this.#options
    if (store.nowAtMost === undefined) return store.now()
    return store.nowAtMost() + Math.max(0, Math.floor(wallAheadMs(system) - this.#wallAheadMs))
  }

  ensure(): Promise<Lease> {
    if (this.#lease) return Promise.resolve(this.#lease)
    this.#enlisting ??= this.#enlist().finally(() => {
      this.#enlisting = null
    })
    return this.#enlisting
  }

  /** This process works other lanes than when it enlisted. */
  async lanesChanged(): Promise<void> {
    const lease = this.#enlisting === null ? this.#lease : await this.#enlisting
    if (lease) await this.#store(lease)
  }

  /** @returns until when the lease holds, as stored. */
  async #store(lease: Lease): Promise<number> {
    const { store, leaseMs, release, host, pid } = this.#options
    const now = store.now()
    await store.enlist({ ...lease, host, pid, startedAt: lease.epoch, beatAt: now, leaseUntilAt: now + leaseMs, lanes: this.#options.lanes(), release })
    return now + leaseMs
  }

  async #enlist(): Promise<Lease> {
    const { store, system, leaseMs } = this.#options
    const beatAtMs = system.monotonicMs()
    this.#wallAheadMs = wallAheadMs(system)
    const lease: Lease = { worker: `w_${system.identity()}`, epoch: store.now() }
    this.#validUntilAt = await this.#store(lease)
    this.#lease = lease
    this.#validUntilMs = beatAtMs + leaseMs
    this.#lastTickMs = beatAtMs
    this.#schedule()
    return lease
  }

  #schedule(): void {
    if (this.#stopped) return
    this.#stopTimer?.()
    this.#stopTimer = this.#options.system.after(this.#options.leaseMs / 4, () => void this.#beat(), !this.#options.keepsProcessAlive())
  }

  async #beat(): Promise<void> {
    const lease = this.#lease
    if (!lease || this.#stopped) return
    const { store, system, log, leaseMs } = this.#options
    const sentMs = system.monotonicMs()
    const aheadMs = wallAheadMs(system)
    const stalledMs = sentMs - this.#lastTickMs - leaseMs / 4
    if (stalledMs > leaseMs / 2) log.warn('the event loop stood still; nothing was sent meanwhile', { stalledMs: Math.round(stalledMs), leaseMs, worker: lease.worker })
    this.#lastTickMs = sentMs
    this.#asking = true
    try {
      const untilAt = store.now() + leaseMs
      const beat = await this.#options.beat(lease, untilAt)
      this.#missed = 0
      if (this.#lease !== lease) return
      if (!beat.alive) return this.#lost(lease)
      const lapsed = !this.holds(lease)
      this.#wallAheadMs = aheadMs
      this.#validUntilMs = sentMs + leaseMs
      this.#validUntilAt = untilAt
      if (lapsed) this.#options.onHeldAgain()
    } catch (error) {
      this.#missed++
      if (this.#missed === 1 || this.#missed % 20 === 0) log.warn('the heartbeat could not be stored; nothing is sent once the lease runs out', { worker: lease.worker, error: String(error) })
    } finally {
      this.#asking = false
    }
    this.#schedule()
  }

  /** An insert was refused for the lease: the worker's row is gone or fenced. */
  lost(lease: Lease): void {
    if (this.#lease === lease) this.#lost(lease)
  }

  /**
   * A write of one call was refused for the lease. Either the worker is fenced, or only that call is not ours any more
   * (cancelled, settled or confirmed meanwhile): a heartbeat at once tells, and the other calls keep their lease.
   */
  suspect(lease: Lease): void {
    if (this.#lease === lease && !this.#asking) void this.#beat()
  }

  #lost(lease: Lease): void {
    this.#options.log.warn('the lease was lost: others took over its calls, late answers are kept as facts', { worker: lease.worker })
    this.#lease = null
    this.#validUntilMs = 0
    this.#stopTimer?.()
    this.#options.onLost()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#stopTimer?.()
    const lease = this.#lease
    this.#lease = null
    if (lease) await this.#options.store.leave(lease)
  }
}

function wallAheadMs(system: System): number {
  return system.now() - system.monotonicMs()
}
