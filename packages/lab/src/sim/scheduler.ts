/**
 * Virtual time: all that will happen, in one line, ordered by (instant, seeded tie-break).
 *
 * Each event belongs to a process or to the world. Those of a dead process are dropped, those of a frozen one wait for
 * its thaw. After each event everything it set off comes to rest (promises, next ticks) before the next one runs, so a
 * run depends on the seed alone.
 *
 * Background timers (an engine's rounds) may be late, as timers may on a real machine. Where the world says that
 * nothing is due for a while (`calm`), they are not run one by one but together, at most `lateMs` late. That is what
 * lets days pass in milliseconds.
 */
import process from 'node:process'
import { realSystem } from 'steward/internal'
import type { Random } from './random.ts'

/** Whom an event belongs to. */
export type Owner = { readonly state: 'alive' | 'frozen' | 'dead'; park(event: Parked): void }
export type Parked = { readonly run: () => void; readonly isCancelled: () => boolean }

type Event = { readonly at: number; readonly tie: number; readonly n: number; readonly owner: Owner | null; run: (() => void) | null }

/** Events in a row at one instant beyond which the world is in a loop. */
const SAME_INSTANT = 200_000

export type SchedulerOptions = {
  readonly random: Random
  /** Longest that a background timer is late in calm times. */
  readonly lateMs: number
  /** Until when nothing but background rounds can happen, in elapsed milliseconds; `null`: not calm. */
  calmUntilMs(): number | null
  /** Whether something outside virtual time is still under way (a real store, a real socket). */
  busy(): boolean
}

export class Scheduler {
  /** Milliseconds since the world began. */
  elapsedMs = 0
  /** Events run so far. */
  events = 0
  readonly #options: SchedulerOptions
  readonly #foreground = new Line()
  readonly #background = new Line()
  #n = 0
  #sameInstant = 0

  constructor(options: SchedulerOptions) {
    this.#options = options
  }

  /** Runs `run` after `delayMs`; returns the way to stop it. */
  after(delayMs: number, owner: Owner | null, run: () => void, background = false): () => void {
    const event: Event = { at: this.elapsedMs + Math.max(0, delayMs), tie: this.#options.random(), n: this.#n++, owner, run }
    ;(background ? this.#background : this.#foreground).push(event)
    return () => { event.run = null }
  }

  /** Runs everything up to an instant, then stands there. */
  async advanceTo(untilMs: number): Promise<void> {
    await this.run(untilMs, () => false)
    this.elapsedMs = Math.max(this.elapsedMs, untilMs)
  }

  /** Runs event after event up to an instant, or until `stop` says so between two of them; whether it did. */
  async run(untilMs: number, stop: () => boolean): Promise<boolean> {
    for (;;) {
      const ended = await macroStep(() => this.#burst(untilMs, stop))
      if (ended !== null) return ended === 'stopped'
    }
  }

  /** Lets all that was set off come to rest. */
  async rest(): Promise<void> {
    do await macroStep(() => undefined)
    while (this.#options.busy())
  }

  /** Some events in a row, each followed by all it set off; `null`: to be continued. */
  #burst(untilMs: number, stop: () => boolean): 'stopped' | 'over' | null {
    for (let n = 0; n < BURST; n++) {
      if (this.#options.busy()) return null
      if (stop()) return 'stopped'
      const event = this.#next(untilMs)
      if (event === null) return 'over'
      this.#sameInstant = event.at > this.elapsedMs ? 0 : this.#sameInstant + 1
      if (this.#sameInstant > SAME_INSTANT) throw new Error(`the world ran ${SAME_INSTANT} events without time passing, at ${this.elapsedMs} ms: something queues itself for ever`)
      this.elapsedMs = Math.max(this.elapsedMs, event.at)
      this.#run(event)
      workOff()
    }
    return null
  }

  #next(untilMs: number): Event | null {
    const soonest = this.#foreground.peek()
    const round = this.#background.peek()
    if (round === null || (soonest !== null && isBefore(soonest, round))) return soonest !== null && soonest.at <= untilMs ? this.#foreground.pop() : null
    const calmUntilMs = this.#options.calmUntilMs()
    if (calmUntilMs === null || calmUntilMs <= this.elapsedMs) return round.at <= untilMs ? this.#background.pop() : null
    // Nothing for the round to find: it may wait, and others go before it.
    const runsAt = Math.max(this.elapsedMs, Math.min(calmUntilMs, round.at + this.#options.lateMs))
    if (soonest !== null && soonest.at < runsAt) return soonest.at <= untilMs ? this.#foreground.pop() : null
    if (runsAt > untilMs) return null
    this.elapsedMs = runsAt
    return this.#background.pop()
  }

  #run(event: Event): void {
    const { owner, run } = event
    if (run === null || owner?.state === 'dead') return
    if (owner?.state === 'frozen') return owner.park({ run, isCancelled: () => event.run === null })
    this.events++
    event.run = null
    run()
  }
}

/**
 * Works off promises and next ticks here and now. Node's own hook for that has no public name; where it is missing,
 * each event takes a turn of the event loop, with the same result, more slowly.
 */
const tick: unknown = (process as { _tickCallback?: unknown })._tickCallback
const workOff = typeof tick === 'function' ? () => { tick.call(process) } : () => undefined
/** Events per turn of the event loop: other work of the process gets its turn, too. */
const BURST = typeof tick === 'function' ? 5_000 : 1

/** Runs in a turn of the event loop of its own: promises and next ticks are worked off before and after it. */
function macroStep<T>(run: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    realSystem.soon(() => {
      try {
        resolve(run())
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)))
      }
    })
  })
}

function isBefore(a: Event, b: Event): boolean {
  return a.at !== b.at ? a.at < b.at : a.tie !== b.tie ? a.tie < b.tie : a.n < b.n
}

/** A binary heap; cancelled events are dropped when they come up. */
class Line {
  readonly #heap: Event[] = []

  push(event: Event): void {
    const heap = this.#heap
    let at = heap.push(event) - 1
    while (at > 0) {
      const up = (at - 1) >> 1
      const parent = heap[up] as Event
      if (!isBefore(event, parent)) break
      heap[at] = parent
      at = up
    }
    heap[at] = event
  }

  peek(): Event | null {
    for (;;) {
      const first = this.#heap[0]
      if (first === undefined) return null
      if (first.run !== null && first.owner?.state !== 'dead') return first
      this.pop()
    }
  }

  pop(): Event | null {
    const heap = this.#heap
    const first = heap[0] ?? null
    const last = heap.pop()
    if (last === undefined || last === first) return first
    let at = 0
    for (;;) {
      let down = 2 * at + 1
      if (down >= heap.length) break
      if (down + 1 < heap.length && isBefore(heap[down + 1] as Event, heap[down] as Event)) down++
      if (!isBefore(heap[down] as Event, last)) break
      heap[at] = heap[down] as Event
      at = down
    }
    heap[at] = last
    return first
  }
}
