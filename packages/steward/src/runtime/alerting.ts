/**
 * Delivers recorded alerts: at least once each, oldest first, with a stable id.
 *
 * The record is made in the transaction of its cause; the rounds only carry it to `onAlert`, at once where the cause is in
 * this process. An alert whose handler threw is delivered again a second later.
 */
import type { Alert } from '../core/alert.ts'
import type { Store } from '../ports/store.ts'
import type { Log, System } from '../ports/system.ts'
import type { Rounds } from './rounds.ts'

/** Between two rounds that nothing in this process asked for. */
const ROUND_MS = 1_000
const PAGE = 100
/** Longest an `onAlert` may take; then the alert counts as not delivered. */
const TOLD_WITHIN_MS = 30_000
/** Longest that closing waits for the last round. */
const LAST_ROUND_MS = 5_000

export class Alerting {
  readonly #store: Store
  readonly #system: System
  readonly #log: Log
  readonly #onAlert: (alert: Alert) => void | Promise<void>
  #delivering = false
  #again = false
  #stopped = false

  constructor(options: { store: Store; system: System; log: Log; rounds: Rounds; onAlert: (alert: Alert) => void | Promise<void> }) {
    this.#store = options.store
    this.#system = options.system
    this.#log = options.log
    this.#onAlert = options.onAlert
    options.rounds.on('alerts', () => this.#round(), ROUND_MS)
  }

  /** There may be something to deliver. */
  kick(): void {
    this.#round().catch((error: unknown) => {
      if (!this.#stopped) this.#log.warn('alerts could not be delivered; trying again', { error: String(error) })
    })
  }

  async #round(): Promise<void> {
    if (this.#stopped) return
    this.#again = true
    if (this.#delivering) return
    this.#delivering = true
    try {
      while (this.#again && !this.#stopped) {
        this.#again = false
        await this.deliver()
      }
    } finally {
      this.#delivering = false
    }
  }

  async deliver(): Promise<void> {
    const due = await this.#store.alerts({ undeliveredOnly: true, limit: PAGE })
    const delivered: string[] = []
    for (const alert of due) {
      try {
        await this.#within(TOLD_WITHIN_MS, this.#onAlert(alert))
        delivered.push(alert.id)
      } catch (error) {
        this.#log.error('onAlert threw; the alert is delivered again', { alert: alert.id, error: String(error) })
      }
    }
    if (delivered.length > 0) await this.#store.alertsDelivered(delivered, this.#store.now())
  }

  /** The promise, or an error when it takes longer: a handler that never settles must not silence the others. */
  async #within(limitMs: number, promise: void | Promise<void>): Promise<void> {
    if (!(promise instanceof Promise)) return promise
    let stop = (): void => undefined
    const late = new Promise<never>((_resolve, reject) => { stop = this.#system.after(limitMs, () => reject(new Error(`onAlert did not settle within ${limitMs} ms`))) })
    await Promise.race([promise, late]).finally(() => stop())
  }

  /** A last round, so that what is known is told before the process goes. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#within(LAST_ROUND_MS, this.deliver()).catch(() => undefined)
  }
}

export function alertLine(log: Log): (alert: Alert) => void {
  return (alert) => {
    const line = `ALERT ${alert.kind}: ${alert.message} ${alert.next}`
    if (alert.severity === 'page') log.error(line, { id: alert.id })
    else log.warn(line, { id: alert.id })
  }
}
