/**
 * One simulated process: its clock, timers and randomness, and its life.
 *
 * `dead`: nothing of it runs, answers or leaves any more. `frozen`: whatever would run in it waits, and happens at
 * the thaw, by the clock of then. What it handed to the network or to the database before goes on without it.
 */
import { createHash } from 'node:crypto'
import type { Log, System } from 'steward'
import { identityFrom, type Random, seeded, seedOf } from './random.ts'
import type { Owner, Parked, Scheduler } from './scheduler.ts'

export type ProcessClock = { readonly scheduler: Scheduler; /** The world's true time. */ now(): number }

export class SimProcess implements Owner {
  readonly name: string
  readonly random: Random
  readonly system: System
  readonly log: Log
  state: 'alive' | 'frozen' | 'dead' = 'alive'
  /** How far its wall clock is off. */
  skewMs = 0
  readonly #scheduler: Scheduler
  #parked: Parked[] = []
  /** While its machine sleeps, its monotonic clock stands still. */
  #asleepSinceMs: number | null = null
  #sleptMs = 0

  constructor(name: string, seed: number, clock: ProcessClock, trace: (line: string) => void) {
    this.name = name
    this.#scheduler = clock.scheduler
    const random = (this.random = seeded(seed))
    const identities = seeded(seedOf(seed, 'identities'))
    this.system = {
      now: () => Math.floor(clock.now() + this.skewMs),
      monotonicMs: () => (this.#asleepSinceMs ?? clock.scheduler.elapsedMs) - this.#sleptMs,
      after: (delayMs, fn, background) => this.after(delayMs, fn, background),
      soon: (fn) => void this.after(0, fn),
      random,
      identity: () => identityFrom(identities),
      digest: (text) => createHash('sha256').update(text).digest('hex'),
    }
    const said = (level: string) => (message: string): void => trace(`${name} ${level}: ${message}`)
    this.log = { info: said('info'), warn: said('warn'), error: said('error') }
  }

  after(delayMs: number, fn: () => void, background = false): () => void {
    if (this.state === 'dead') return () => undefined
    return this.#scheduler.after(delayMs, this, fn, background)
  }

  /** Hands something to the process now, or when it is thawed, or never. */
  deliver(fn: () => void): void {
    if (this.state === 'alive') fn()
    else if (this.state === 'frozen') this.park({ run: fn, isCancelled: () => false })
  }

  park(event: Parked): void {
    this.#parked.push(event)
  }

  kill(): void {
    this.state = 'dead'
    this.#parked = []
  }

  freeze(isAsleep = false): void {
    if (this.state !== 'alive') return
    this.state = 'frozen'
    if (isAsleep) this.#asleepSinceMs = this.#scheduler.elapsedMs
  }

  /** All that waited happens now, in the order in which it was to happen. */
  thaw(): void {
    if (this.state !== 'frozen') return
    this.state = 'alive'
    if (this.#asleepSinceMs !== null) this.#sleptMs += this.#scheduler.elapsedMs - this.#asleepSinceMs
    this.#asleepSinceMs = null
    for (const event of this.#parked.splice(0)) {
      this.#scheduler.after(0, this, () => { if (!event.isCancelled()) event.run() })
    }
  }
}
