/**
 * The application's own tables beside the calls: an order is made in the transaction that submits its call, and learns
 * the call's end in the transaction that records it. Order and call must never disagree, whoever is killed in between.
 */
import type { CallerTx } from 'steward'
import pg from 'pg'
import { fromPg } from 'steward/postgres'

export type Order = { readonly key: string; readonly callId: string; /** The state that `onSettled` was told last. */ readonly settled: string | null }

/** What `onSettled` runs in the recording transaction. */
export const SETTLE = 'UPDATE torture_order SET settled = $2 WHERE key = $1'

const CREATE = 'CREATE TABLE torture_order (key TEXT PRIMARY KEY, call_id TEXT NOT NULL, settled TEXT)'
const MAKE = 'INSERT INTO torture_order (key, call_id) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING'

/** Whoever waits for an answer on the connection is told anyway. */
const ignore = (): void => undefined

export class Application {
  readonly #pool: pg.Pool

  constructor(url: string) {
    this.#pool = new pg.Pool({ connectionString: url, max: 8, connectionTimeoutMillis: 5_000, query_timeout: 5_000 })
    this.#pool.on('error', ignore)
    // A pool stops listening a moment before whoever asked for the connection can.
    this.#pool.on('connect', (client) => client.on('error', ignore))
  }

  async create(): Promise<void> {
    await this.#pool.query(CREATE)
  }

  /**
   * Makes an order and submits its call in one transaction, which is then committed or undone.
   *
   * @returns the call's id. Throws where the commit is not known to have succeeded: it may have.
   */
  async order(key: string, submit: (tx: CallerTx) => Promise<string>, end: 'commit' | 'rollback' | 'disconnect'): Promise<string> {
    const client = await this.#pool.connect()
    let broken = true
    try {
      await client.query('BEGIN')
      const callId = await submit(fromPg(client))
      await client.query(MAKE, [key, callId])
      if (end !== 'disconnect') await client.query(end)
      broken = end === 'disconnect'
      return callId
    } finally {
      // A connection that is dropped takes its transaction with it.
      client.release(broken)
    }
  }

  async orders(): Promise<readonly Order[]> {
    const { rows } = await this.#pool.query<{ key: string; call_id: string; settled: string | null }>('SELECT key, call_id, settled FROM torture_order')
    return rows.map((row) => ({ key: row.key, callId: row.call_id, settled: row.settled }))
  }

  async close(): Promise<void> {
    await this.#pool.end()
  }
}
