/** The machine's clock, for the store's own `now` and for bounds inside its thread. The one place here that reads it. */
export function machineClock(): number {
  return Date.now()
}

/** Milliseconds that have passed since some start, whatever is done to the machine's clock. */
export function machineTicks(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

/** A clock this far behind the mark was set wrong, now or before; less is waited for. */
const BEHIND_MS = 1_000

/**
 * The store's time: the clock, never less than the mark (the latest time that any process wrote down).
 *
 * One reading far in the future would otherwise stop time for as long: no lease would end, nothing would come due.
 * While the clock is a second or more behind, time goes on from the mark as fast as the monotonic clock does. It stays
 * ahead by what the bad reading was, until the clock is set right or reaches it: time that runs beats time that is exact.
 */
export class StoreClock {
  readonly #clock: () => number
  readonly #ticks: () => number
  /** Told once, when the clock is found behind. */
  notice: (message: string) => void = () => undefined
  #latest = 0
  #from: { readonly at: number; readonly ticks: number } | null = null
  #told = false

  constructor(clock: () => number, ticks: () => number) {
    this.#clock = clock
    this.#ticks = ticks
  }

  now(): number {
    const clock = this.#clock()
    if (clock > this.#latest - BEHIND_MS) {
      this.#from = null
      this.#latest = Math.max(this.#latest, clock)
      return this.#latest
    }
    this.#from ??= this.#start(clock)
    this.#latest = Math.max(this.#latest, this.#from.at + Math.floor(this.#ticks() - this.#from.ticks))
    return this.#latest
  }

  /** Another process, or the stored mark, is this far. */
  reach(mark: number): void {
    if (mark <= this.#latest || mark <= this.now()) return
    this.#latest = mark
    if (this.#from) this.#from = { at: mark, ticks: this.#ticks() }
  }

  #start(clock: number): { at: number; ticks: number } {
    if (!this.#told) {
      this.#told = true
      const seconds = Math.round((this.#latest - clock) / 1_000)
      this.notice(`the machine's clock is ${seconds} s behind the latest time in the store: it was ahead before, or has been set back. The store's time goes on from there and stays ahead. Check the clock of every machine that uses this store.`)
    }
    return { at: this.#latest, ticks: this.#ticks() }
  }
}

const still = new Int32Array(new SharedArrayBuffer(4))

/** Blocks the calling thread: only the store's thread does, while it waits for another process's lock. */
export function blockFor(delayMs: number): void {
  Atomics.wait(still, 0, 0, delayMs)
}
