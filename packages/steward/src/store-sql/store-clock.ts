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
  /** Whose clock it is, for the notice: `the machine's`. */
  readonly #whose: string
  /** Told once, when the clock is found behind. */
  notice: (message: string) => void = () => undefined
  #latest = 0
  #from: { readonly at: number; readonly ticks: number } | null = null
  #told = false

  constructor(clock: () => number, ticks: () => number, whose: string) {
    this.#clock = clock
    this.#ticks = ticks
    this.#whose = whose
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
      this.notice(`${this.#whose} clock is ${seconds} s behind the latest time in the store: it was ahead before, or has been set back. The store's time goes on from there and stays ahead. Check the clock of every machine that keeps time for this store.`)
    }
    return { at: this.#latest, ticks: this.#ticks() }
  }
}
