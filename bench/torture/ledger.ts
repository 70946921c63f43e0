/**
 * The provider's ledger: what really arrived, what really happened, how each request was answered.
 *
 * Only the provider writes it, in a process that is never killed. It is the truth that the auditor holds the
 * engine's records against.
 */
import { appendFileSync, readFileSync } from 'node:fs'

export type LedgerEntry =
  /**
   * The head of a request was read. `attempt` is what the caller says it is. It may have waited unread since
   * `unreadSinceAt`, when the provider's process last looked: on a busy machine that is some time ago.
   */
  | { readonly what: 'arrived'; readonly at: number; readonly unreadSinceAt: number; readonly key: string; readonly attempt: number; readonly idempotencyKey: string }
  | { readonly what: 'effect'; readonly at: number; readonly key: string; readonly attempt: number; readonly reference: string }
  /** How a request ended: a status, or what was done to it instead. */
  | { readonly what: 'ended'; readonly at: number; readonly key: string; readonly attempt: number; readonly how: string }
  | { readonly what: 'asked'; readonly at: number; readonly key: string; readonly how: string }
  | { readonly what: 'window'; readonly at: number; readonly how: string }

export class Ledger {
  readonly #path: string
  #lines: string[] = []

  constructor(path: string) {
    this.#path = path
  }

  /** Kept at once in this process, and in the file with the next turn of the event loop. */
  add(entry: LedgerEntry): void {
    if (this.#lines.length === 0) setImmediate(() => this.flush())
    this.#lines.push(JSON.stringify(entry))
  }

  flush(): void {
    if (this.#lines.length === 0) return
    appendFileSync(this.#path, `${this.#lines.join('\n')}\n`)
    this.#lines = []
  }
}

export function readLedger(path: string): readonly LedgerEntry[] {
  return readFileSync(path, 'utf8').split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as LedgerEntry)
}
