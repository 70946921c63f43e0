/**
 * How often a look from the beginning may be taken, where one from a remembered place would do for the moment: as often as
 * looks are quick. One that had to walk over many dead entries is not repeated before twenty times as long has passed, or a
 * minute: what only such a look can find waits no longer for it.
 */
const SHARE = 20
const LONGEST_REST_MS = 60_000
/** A look that takes no longer than this may be repeated at once, unless there is more to be had. Milliseconds. */
const QUICK_MS = 10
/** What cannot wait goes without a look that takes longer than this. Milliseconds. */
const SLOW_MS = 250

export class Pace {
  readonly #ticks: () => number
  #tookMs = 0
  #endedMs = Number.NEGATIVE_INFINITY
  #underWay = 0
  /** What the last look was given up with. */
  #givenUp: { readonly error: unknown } | null = null

  constructor(ticks: () => number) {
    this.#ticks = ticks
  }

  /** Whether a look from the beginning should wait. @param goingOn there is more to be had from the remembered place: then also a quick one. */
  rests(goingOn: boolean): boolean {
    return (goingOn || this.long) && this.#ticks() < this.#endedMs + Math.min(LONGEST_REST_MS, SHARE * this.#tookMs)
  }

  /** The last one had to walk over many dead entries. */
  get long(): boolean {
    return this.#tookMs > QUICK_MS
  }

  /** A look from the beginning is not over yet. */
  get looking(): boolean {
    return this.#underWay > 0
  }

  /** The last one took long, or this one may. */
  get slow(): boolean {
    return this.looking || this.#tookMs > SLOW_MS
  }

  /** Takes a look from the beginning. One that is given up was slow, too: repeated at once, it would keep the heartbeat it comes with from ever being stored. */
  async timed<Value>(look: () => Promise<Value>): Promise<Value> {
    const from = this.#ticks()
    this.#underWay++
    try {
      const answer = await look()
      this.#givenUp = null
      return answer
    } catch (error) {
      this.#givenUp = { error }
      throw error
    } finally {
      this.#underWay--
      this.#endedMs = this.#ticks()
      this.#tookMs = this.#endedMs - from
    }
  }

  /** A look from the beginning where one is due, else `resting`. After one that was given up nothing is known, and the next says so until there is another. */
  async look<Value>(look: () => Promise<Value>, resting: Value): Promise<Value> {
    if (!this.rests(false)) return await this.timed(look)
    if (this.#givenUp !== null) throw this.#givenUp.error
    return resting
  }
}
