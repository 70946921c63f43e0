/**
 * Who waits for the outcome of which call.
 *
 * Calls worked by this process report at once; calls of other processes are found by asking the store, after
 * its hints (at most every 5 ms) and at least every half second: hints may be lost, the sweep is not. A call that was
 * stored and is not there any more is never decided: whoever waits for it is told.
 */
import type { Call } from '../core/call.ts'
import { isEnd } from '../core/call.ts'
import { StewardError } from '../core/errors.ts'
import type { Json } from '../core/json.ts'
import type { Outcome } from '../ports/outcome.ts'
import type { Store } from '../ports/store.ts'
import type { System } from '../ports/system.ts'
import { refuseSealed } from './encryption.ts'

const SWEEP_MS = 500
const PAGE = 500
/** Hints come with every commit of other processes. */
const CALM_MS = 5

/** Nothing more will change by itself. */
export function isDecided(call: Call): boolean {
  return isEnd(call.state) || call.state === 'in_doubt'
}

export function outcomeOf<Result>(call: Call): Outcome<Result> {
  const base = { call: { id: call.id, operation: call.operation, key: call.key }, attempts: call.attempts, ended: isEnd(call.state) }
  const { state, reason } = call
  switch (state) {
    case 'succeeded': {
      refuseSealed(call)
      const result = (call.result === null ? null : (JSON.parse(call.result) as Json)) as Result
      return { ...base, effect: 'happened', state, result, ...(call.resultMissing === null ? {} : { resultMissing: call.resultMissing }) }
    }
    case 'rejected': case 'exhausted': case 'expired': case 'cancelled':
      return { ...base, effect: 'did_not_happen', state, reason: call.stop?.kind === 'refuse' || call.stop === null ? reason : `${call.stop.why}; last: ${reason}` }
    case 'accepted': return { ...base, effect: 'pending', state, reason }
    case 'waiting': return call.effect === 'did_not_happen' ? { ...base, effect: 'did_not_happen', state, reason } : { ...base, effect: 'unknown', state, reason }
    case 'running': case 'checking': case 'in_doubt': return { ...base, effect: 'unknown', state, reason }
  }
}

/** `seen`: the call as it was in the store; `null` where it may not be committed yet. */
type Waiter = { seen: Call | null; readonly resolve: (call: Call | null) => void; readonly reject: (error: Error) => void }

export class Outcomes {
  readonly #store: Store
  readonly #system: System
  readonly #waiting = new Map<string, Set<Waiter>>()
  #stopTimer: (() => void) | null = null
  #asking = false
  #hinted = false
  /** A hint came while the store was asked: it may have answered with what was before. */
  #missed = false
  #stopped: ((callId: string) => Error) | null = null

  constructor(store: Store, system: System) {
    this.#store = store
    this.#system = system
  }

  /**
   * The call once it is decided, or as it is after `waitMs`; `null` when there is none.
   *
   * @param seen the call as it is known to be stored; `null` where it may not be committed yet.
   * @throws StewardError STEWARD_CALL_FORGOTTEN when the store has no record of it any more.
   */
  async wait(id: string, known: Call | null, waitMs: number | null, seen = known): Promise<Call | null> {
    if (known && isDecided(known)) return known
    this.#refuseIfStopped(id)
    if (waitMs === 0) return known ?? (await this.#store.get(id))
    return await new Promise<Call | null>((resolve, reject) => {
      const stop = waitMs === null ? null : this.#system.after(waitMs, () => {
        drop()
        this.#store.get(id).then((call) => {
          if (call === null && waiter.seen !== null) reject(forgotten(waiter.seen))
          else resolve(call)
        }, () => resolve(waiter.seen ?? known))
      })
      const waiter: Waiter = {
        seen,
        resolve: (decided) => { stop?.(); resolve(decided) },
        reject: (error) => { stop?.(); reject(error) },
      }
      const drop = (): void => this.#drop(id, waiter)
      const others = this.#waiting.get(id)
      if (others) others.add(waiter)
      else this.#waiting.set(id, new Set([waiter]))
      this.#schedule()
      if (known) return
      // Asked by one who listens already: what is decided while the store answers is heard.
      this.#store.get(id).then((call) => {
        waiter.seen = call
        if (call && !isDecided(call)) return
        drop()
        waiter.resolve(call)
      }, (error: Error) => {
        drop()
        waiter.reject(error)
      })
    })
  }

  #refuseIfStopped(id: string): void {
    if (this.#stopped) throw this.#stopped(id)
  }

  #drop(id: string, waiter: Waiter): void {
    const waiters = this.#waiting.get(id)
    waiters?.delete(waiter)
    if (waiters?.size === 0) this.#waiting.delete(id)
  }

  /** A call was written by this process. */
  changed(call: Call): void {
    if (this.#waiting.size === 0 || !isDecided(call)) return
    const waiters = this.#waiting.get(call.id)
    if (!waiters) return
    this.#waiting.delete(call.id)
    for (const waiter of waiters) waiter.resolve(call)
  }

  /** Durable state may have changed elsewhere. */
  hint(): void {
    if (this.#waiting.size === 0 || this.#hinted) return
    this.#hinted = true
    this.#system.after(CALM_MS, () => {
      this.#hinted = false
      if (this.#asking) this.#missed = true
      else void this.#ask()
    }, true)
  }

  #schedule(): void {
    if (this.#stopTimer || this.#stopped || this.#waiting.size === 0) return
    this.#stopTimer = this.#system.after(SWEEP_MS, () => {
      this.#stopTimer = null
      void this.#ask().finally(() => this.#schedule())
    })
  }

  async #ask(): Promise<void> {
    if (this.#asking) return
    this.#asking = true
    try {
      const ids = [...this.#waiting.keys()]
      for (let i = 0; i < ids.length; i += PAGE) {
        // Who joins in meanwhile may have seen a commit that this answer has not.
        const asked = new Map(ids.slice(i, i + PAGE).map((id) => [id, [...(this.#waiting.get(id) ?? [])]]))
        this.#found(asked, await this.#store.getMany([...asked.keys()]))
      }
    } catch {
      // The store does not answer now; the next sweep asks again, and the waiter's own limit still holds.
    } finally {
      this.#asking = false
      if (this.#missed) this.hint()
      this.#missed = false
    }
  }

  #found(asked: ReadonlyMap<string, readonly Waiter[]>, calls: readonly Call[]): void {
    const found = new Map(calls.map((call) => [call.id, call]))
    for (const [id, waiters] of asked) {
      const call = found.get(id)
      for (const waiter of waiters) {
        if (call !== undefined) waiter.seen = call
        else if (waiter.seen !== null) {
          this.#drop(id, waiter)
          waiter.reject(forgotten(waiter.seen))
        }
      }
      if (call !== undefined) this.changed(call)
    }
  }

  /** Nobody is left waiting for ever: each waiter is told that this process stops asking. */
  stop(error: (callId: string) => Error): void {
    this.#stopped = error
    this.#stopTimer?.()
    for (const [id, waiters] of this.#waiting) for (const waiter of waiters) waiter.reject(error(id))
    this.#waiting.clear()
  }
}

function forgotten({ id, operation, key }: Call): StewardError {
  return new StewardError('STEWARD_CALL_FORGOTTEN', `call ${id} of ${operation} "${key}" was stored, and the store has no record of it any more: the database was set back to before it, or its record was pruned after its end. It may have been sent and may have happened; nobody goes on with it. Look at the provider, confirm it if it happened, then submit it again with the same key: what was pruned answers with its end, what was forgotten is a new call.`, { operation, key, callId: id })
}
