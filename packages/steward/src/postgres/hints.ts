/**
 * Hints between processes: LISTEN on one connection, and now and then a NOTIFY. Nothing depends on them: whoever misses
 * one finds its work at the next look, a second later at most.
 *
 * A NOTIFY is no part of the transaction it tells of (it would make commits wait for each other) and is sent at most
 * every 50 ms, whatever happens meanwhile. Where a pooler stands in between, or the pool is small, nobody listens.
 */
import { later } from './clock.ts'
import { type Connections, statement } from './pool.ts'

const CHANNEL = 'steward'
/** Between two NOTIFY of a process, and between two hints to its listeners. */
const APART_MS = 50
/** After the listening connection broke. */
const AGAIN_MS = 1_000

const NOTIFY = statement('SELECT pg_notify($1, $2)')

/** Runs `run` at once, and again at the end of each span in which it was asked for more than once. */
function apart(run: () => void): { ask(): void; stop(): void } {
  let waiting: (() => void) | null = null
  let asked = false
  const turn = (): void => {
    asked = false
    run()
    waiting = later(APART_MS, () => {
      waiting = null
      if (asked) turn()
    })
  }
  return {
    ask() {
      asked = true
      if (waiting === null) turn()
    },
    stop: () => waiting?.(),
  }
}

export class Hints {
  readonly #connections: Connections
  readonly #place: string
  readonly #me: string
  readonly #listeners = new Set<() => void>()
  readonly #tell: { ask(): void; stop(): void }
  readonly #hear: { ask(): void; stop(): void }
  /** Ends the listening connection. */
  #end: (() => void) | null = null
  #stopTimer: (() => void) | null = null
  #closed = false
  #telling: Promise<unknown> = Promise.resolve()

  /** @param place names the store among those that share a database; @param me tells own hints from others'. */
  constructor(connections: Connections, place: string, me: string) {
    this.#connections = connections
    this.#place = place
    this.#me = me
    // What is lost here is a hint.
    this.#tell = apart(() => {
      // On a slow connection an earlier one may still be under way.
      const before = this.#telling
      this.#telling = this.#connections.run(NOTIFY, [CHANNEL, `${this.#me} ${this.#place}`]).catch(() => undefined).then(() => before)
    })
    this.#hear = apart(() => this.#listeners.forEach((listener) => listener()))
  }

  onHint(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** Something was committed that others may wait for. */
  committed(): void {
    if (!this.#closed) this.#tell.ask()
  }

  async listen(): Promise<void> {
    try {
      const end = await this.#connections.listen(CHANNEL, (payload) => this.#heard(payload), () => this.#broken())
      if (this.#closed) end()
      else this.#end = end
    } catch {
      this.#broken()
    }
  }

  #heard(payload: string): void {
    const end = payload.indexOf(' ')
    if (payload.slice(end + 1) === this.#place && payload.slice(0, end) !== this.#me) this.#hear.ask()
  }

  #broken(): void {
    this.#end = null
    if (this.#closed) return
    this.#stopTimer = later(AGAIN_MS, () => {
      // Whatever was told meanwhile was missed.
      this.listen().then(() => this.#hear.ask(), () => undefined)
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#stopTimer?.()
    this.#tell.stop()
    this.#hear.stop()
    this.#listeners.clear()
    this.#end?.()
    this.#end = null
    await this.#telling
  }
}
