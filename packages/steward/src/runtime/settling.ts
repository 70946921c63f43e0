/**
 * Calls `onSettled` for ends that were recorded without it: by a process that did not know the operation, or after
 * the handler had thrown. Each runs in a transaction of its own together with the mark that it was told.
 */
import { isEnd } from '../core/call.ts'
import { durationText } from '../core/duration.ts'
import type { Store } from '../ports/store.ts'
import type { Log, System } from '../ports/system.ts'
import { type Recorder, thrownText } from './recorder.ts'
import type { Registry } from './registry.ts'
import type { Rounds } from './rounds.ts'

/** Between two rounds, and the first wait after a handler that threw. */
const ROUND_MS = 1_000
const LONGEST_WAIT_MS = 300_000
/** From this try on, each power of two raises the alert. */
const ALERT_FROM = 4
const PAGE = 50

export type SettlingOptions = { readonly store: Store; readonly system: System; readonly log: Log; readonly registry: Registry; readonly recorder: Recorder; readonly rounds: Rounds; onAlerts(): void }

export class Settling {
  readonly #o: SettlingOptions
  #stopped = false

  constructor(options: SettlingOptions) {
    this.#o = options
  }

  start(): void {
    this.#o.rounds.on('settles', () => this.#round(), ROUND_MS)
  }

  stop(): void {
    this.#stopped = true
  }

  /** All that is due, page by page: after a handler was mended there may be very many. What cannot be told stays due, and is no progress. */
  async #round(): Promise<void> {
    while (!this.#stopped && (await this.#page()));
  }

  /** @returns whether there may be more, and something came of this one. */
  async #page(): Promise<boolean> {
    const { store, system, registry, recorder, log } = this.#o
    const now = store.now()
    const all = await store.settlesDue(now, PAGE, registry.names())
    let moved = 0
    for (const due of all) {
      if (this.#stopped) return false
      const registered = registry.get(due.call.operation)
      if (!registered) continue
      if (!isEnd(due.call.state)) {
        // Redriven since: there will be another end to tell of.
        await store.settleTold(due.call.id, null, 0)
        moved++
        continue
      }
      // The round may have waited for the store: the entry stands where it is made.
      const at = Math.max(store.now(), due.call.story.at(-1)?.at ?? 0)
      const told = { ...due.call, rev: due.call.rev + 1, story: [...due.call.story, { at, what: 'settled' as const, why: 'the application was told' }] }
      const { result, handler } = await store.writeSettling({ kind: 'call', call: told, expectRev: due.call.rev, leaseAfter: 'keep', settleDueAt: now, onlyIfHandled: true }, recorder.inTx(due.call, registered))
      if (result.ok) moved++
      if (!result.ok || handler === undefined) continue
      const tries = due.tries + 1
      const waitMs = Math.min(LONGEST_WAIT_MS, ROUND_MS * 2 ** Math.min(tries, 20)) * (0.5 + system.random() / 2)
      await store.settleTold(due.call.id, Math.round(now + waitMs), tries)
      log.error('onSettled threw; it is called again', { operation: due.call.operation, key: due.call.key, tries, again: durationText(waitMs), error: thrownText(handler) })
      if (tries >= ALERT_FROM && Number.isInteger(Math.log2(tries))) {
        await store.raise([{
          id: `settle_handler_failing:${due.call.id}:${tries}`, kind: 'settle_handler_failing', severity: 'page', at: now, operation: due.call.operation, callId: due.call.id, key: due.call.key, state: due.call.state,
          message: `onSettled of ${due.call.operation} threw ${tries} times for "${due.call.key}" (${due.call.state}): the application does not know of this end.`,
          next: 'Mend the handler and deploy; it is called again by itself.',
        }])
        this.#o.onAlerts()
      }
    }
    return moved > 0 && all.length === PAGE
  }
}
