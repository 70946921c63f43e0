/**
 * The database's time, in a process that asks it only in passing: statements bring its reading along, and between
 * them time goes on by the monotonic clock of this machine, whose wall clock is never read.
 *
 * A reading that was asked for at `sent` and arrived at `received` was made in between. At `received` the database's
 * clock therefore stood somewhere between the reading and the reading plus the way there and back. The estimate is
 * kept inside that interval, and moved no further than needed: its error is bounded by the last way there and back.
 *
 * The first reading may have taken seconds to come. Its estimate begins at the early end of the interval, so that nothing is
 * due too soon; what must not happen too late is judged by the late end (`uncertaintyMs` after it).
 */
export class DatabaseClock {
  readonly #ticks: () => number
  /** The database's time less the monotonic one. */
  #offset: number | null = null
  /** The most that it can be. */
  #most = 0

  constructor(ticks: () => number) {
    this.#ticks = ticks
  }

  /** @param sent, received by the monotonic clock. */
  learn(reading: number, sent: number, received: number): void {
    const least = reading - received
    // Readings are whole milliseconds, rounded down.
    const most = reading + 1 - sent
    const within = (offset: number): number => Math.min(most, Math.max(least, offset))
    this.#most = this.#offset === null ? most : within(this.#most)
    this.#offset = this.#offset === null ? least : within(this.#offset)
  }

  /** The database's clock may be this far ahead of `now`. */
  get uncertaintyMs(): number {
    return this.#offset === null ? 0 : Math.ceil(this.#most - this.#offset)
  }

  now(): number {
    return this.#offset === null ? 0 : Math.floor(this.#offset + this.#ticks())
  }
}

/** Milliseconds since some start, whatever is done to the machine's clock. */
export function machineTicks(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

/** Calls `run` once, later; never keeps the process alive. @returns the way to stop it. */
export function later(delayMs: number, run: () => void): () => void {
  const timer = setTimeout(run, delayMs)
  timer.unref()
  return () => clearTimeout(timer)
}

/** For whoever awaits it: the process stays alive meanwhile. */
export function pause(delayMs: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, delayMs))
}
