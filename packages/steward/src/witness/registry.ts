/**
 * Which attempts there are, for all witnesses of the process: by async context, by key, by the token of a bound fetch.
 *
 * An attempt that is over stays known, within limits: code that outlived its deadline (a zombie) may still hold a
 * request back in some queue, and the gate has to know it when it comes out.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { Watch } from './watch.ts'

/** Attempts that ended by their deadline or without their lease, kept by key: their `send` may still run. */
export const OVERDUE_MAX = 4_096
/** Attempts that ended in time, kept by key: `send` may have left something behind. */
export const SETTLED_MAX = 256

/** The last few, oldest out first. */
class Last {
  private readonly slots: (Watch | undefined)[]
  private at = 0

  constructor(size: number) {
    this.slots = new Array<Watch | undefined>(size).fill(undefined)
  }

  clear(): void {
    this.slots.fill(undefined)
  }

  /** Puts one in and returns the one that had to go. */
  push(watch: Watch): Watch | undefined {
    const gone = this.slots[this.at]
    this.slots[this.at] = watch
    this.at = (this.at + 1) % this.slots.length
    return gone
  }
}

export class Registry {
  readonly context = new AsyncLocalStorage<Watch | undefined>()
  readonly byKey = new Map<string, Watch>()
  readonly byToken = new Map<string, Watch>()
  /** Somebody listens, so that a token will be taken off again. */
  listening = false
  private readonly overdue = new Last(OVERDUE_MAX)
  private readonly settled = new Last(SETTLED_MAX)
  private tokens = 0

  open(watch: Watch): void {
    if (watch.key !== '') this.byKey.set(watch.key, watch)
  }

  close(watch: Watch, overdue: boolean): void {
    if (watch.key === '') return
    const gone = (overdue ? this.overdue : this.settled).push(watch)
    if (gone !== undefined && this.byKey.get(gone.key) === gone) this.byKey.delete(gone.key)
  }

  /** Forgets every attempt: nobody listens any more. */
  clear(): void {
    this.byKey.clear()
    this.byToken.clear()
    this.overdue.clear()
    this.settled.clear()
  }

  /** A token for one bound fetch; undefined when nobody would take it off again. */
  issue(watch: Watch): string | undefined {
    if (!this.listening) return undefined
    this.tokens += 1
    const token = String(this.tokens)
    this.byToken.set(token, watch)
    return token
  }

  revoke(token: string): void {
    this.byToken.delete(token)
  }

  /** The attempt that a header value names as its key: the one at hand if it is its key, else the newest with it. */
  withKey(value: string, near: Watch | undefined): Watch | undefined {
    if (near !== undefined && near.key === value && value !== '') return near
    const found = this.byKey.get(value)
    if (found !== undefined || value.charCodeAt(0) !== 34) return found
    // RFC 8941 strings: Idempotency-Key: "o_17"
    return this.byKey.get(value.slice(1, -1))
  }
}
