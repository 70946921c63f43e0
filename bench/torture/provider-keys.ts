/** The provider's memory of idempotency keys: replays what it stored, says when a request is still running, forgets. */
export type StoredAnswer = { readonly status: number; readonly body: string }

type Remembered = { readonly firstAt: number; stored: StoredAnswer | null }

export type KeySeen = { readonly seen: 'new' } | { readonly seen: 'running' } | { readonly seen: 'stored'; readonly answer: StoredAnswer }

export class KeyMemory {
  readonly #retentionMs: number
  readonly #keys = new Map<string, Remembered>()
  forgotten = 0

  constructor(retentionMs: number) {
    this.#retentionMs = retentionMs
  }

  /** What is known of a key; one that is too old is a new one. */
  look(key: string, now: number): KeySeen {
    const known = this.#keys.get(key)
    if (known === undefined) return { seen: 'new' }
    if (known.stored !== null && now - known.firstAt >= this.#retentionMs) {
      this.#keys.delete(key)
      this.forgotten++
      return { seen: 'new' }
    }
    return known.stored === null ? { seen: 'running' } : { seen: 'stored', answer: known.stored }
  }

  /** A request under this key is being executed. */
  start(key: string, now: number): void {
    this.#keys.set(key, { firstAt: now, stored: null })
  }

  /** Nothing came of it: the key is as good as new. */
  drop(key: string): void {
    this.#keys.delete(key)
  }

  store(key: string, answer: StoredAnswer): void {
    const known = this.#keys.get(key)
    if (known !== undefined) known.stored = answer
  }
}
