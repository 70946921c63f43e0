/**
 * Connections of the user's pool, as few as possible and never for long: a statement or a transaction takes one and
 * gives it back. Nothing here outlives a transaction on the server (no session setting, no advisory lock, no LISTEN), so
 * that a pooler in transaction mode may give each transaction another session.
 *
 * Authority over "was it stored?": the server's own error says no; a connection that breaks while a changing statement
 * or a COMMIT is under way says nothing, and that is what the caller is told (`details.outcome`).
 */
import { hash } from 'node:crypto'
import { invariant } from '../core/errors.ts'
import { refusalOf } from './refusals.ts'

/** What is needed of `pg.Pool`; any pool of that shape will do. */
export interface PgPool {
  connect(): Promise<PgClient>
  end(): Promise<void>
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- what pg itself says of its events
  on(event: 'error' | 'connect', listener: (about: any) => void): unknown
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- what pg itself says of its events
  removeListener?(event: 'error' | 'connect', listener: (about: any) => void): unknown
  readonly options?: { readonly max?: number | undefined }
}

/** What is needed of `pg.PoolClient`. */
export interface PgClient {
  query(config: PgQuery): Promise<PgResult>
  release(destroy?: Error | boolean): void
  unref?(): void
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- what pg itself says of its events
  on(event: any, listener: (about: any) => void): unknown
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- what pg itself says of its events
  removeListener(event: any, listener: (about: any) => void): unknown
}

export interface PgQuery {
  text: string
  values: unknown[]
  name?: string
  queryMode?: string
  /** Rows as arrays, and how values are read: what query builders ask of `pg`. */
  rowMode?: 'array'
  types?: unknown
  query_timeout?: number
}
export interface PgResult {
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- what pg itself says of its rows
  readonly rows: any[]
  readonly rowCount: number | null
  readonly command?: string
}

export type Row = Readonly<Record<string, unknown>>
export type Value = string | number | bigint | null | Uint8Array

/** A text that is run again and again: prepared on each connection where that is possible. */
export type Statement = { readonly text: string; readonly name: string }

/** Texts that are written down here, not built from questions: their number is small, so that preparing them is bounded. */
const known = new Map<string, Statement>()
export function statement(text: string): Statement {
  let one = known.get(text)
  if (one === undefined) {
    // The same name for the same text in every copy of the library: a connection may serve several.
    one = { text, name: `steward_${hash('sha256', text, 'hex').slice(0, 32)}` }
    known.set(text, one)
  }
  return one
}

/** One connection inside a transaction. */
export interface Session {
  query(statement: Statement | string, values?: readonly Value[]): Promise<readonly Row[]>
  /** For statements that answer with no rows. @returns how many rows were changed. */
  change(statement: Statement | string, values?: readonly Value[]): Promise<number>
}

export type ConnectionsOptions = {
  readonly name: string
  readonly pool: PgPool
  /** Connections under way at once. */
  readonly limit: number
  readonly prepare: 'auto' | boolean
  readonly statementMs: number
}

/** Between two statements of a transaction; more than an event loop stands still that is well. */
const STILL_MS = 5_000
/** Repeats of a transaction that the server undid for the sake of another one. */
const TRIES = 5

export class Connections {
  readonly #o: ConnectionsOptions
  readonly #waiting: (() => void)[] = []
  /** Whether a connection reaches one and the same session: then statements can be prepared on it. */
  readonly #direct = new WeakMap<PgClient, boolean>()
  #underWay = 0
  /** A process that stands still in the middle of a transaction keeps others from its rows and from the controls: the server ends it. */
  readonly #begin: Statement

  constructor(options: ConnectionsOptions) {
    this.#o = options
    this.#begin = { text: `BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = ${Math.min(STILL_MS, options.statementMs)}`, name: '' }
  }

  /** One statement, which is one transaction. */
  run(one: Statement, values: readonly Value[] = []): Promise<readonly Row[]> {
    return this.#again(() => this.#with(async (client, prepare) => (await this.#query(client, one, values, prepare)).rows as Row[], true))
  }

  /** The same for texts that are built from what is asked: they are never prepared, since there may be any number of them. */
  read(text: string, values: readonly Value[] = []): Promise<readonly Row[]> {
    return this.#again(() => this.#with(async (client) => (await this.#query(client, { text, name: '' }, values, false)).rows as Row[], false))
  }

  /** `work` may run again, from its beginning, when the server had to undo it for the sake of another transaction. */
  transaction<Value>(work: (session: Session) => Promise<Value>): Promise<Value> {
    return this.#again(() => this.#with((client, prepare) => this.#inTransaction(client, prepare, work), false))
  }

  async #inTransaction<Value>(client: PgClient, prepare: boolean, work: (session: Session) => Promise<Value>): Promise<Value> {
    await this.#query(client, this.#begin, [], false)
    let value: Value
    try {
      value = await work(this.session(client, prepare))
    } catch (error) {
      // On a broken connection the server does the same by itself.
      await this.#query(client, ROLLBACK, [], false).catch(() => undefined)
      throw error
    }
    await this.commit(client)
    return value
  }

  session(client: PgClient, prepare: boolean): Session {
    const ask = (one: Statement | string, values: readonly Value[]): Promise<PgResult> => (typeof one === 'string' ? this.#query(client, { text: one, name: '' }, values, false) : this.#query(client, one, values, prepare))
    return {
      query: async (one, values = []) => (await ask(one, values)).rows as Row[],
      change: async (one, values = []) => (await ask(one, values)).rowCount ?? 0,
    }
  }

  /** @throws StewardError whose `details.outcome` is `unknown` when nobody can say whether it was committed. */
  async commit(client: PgClient): Promise<void> {
    let result: PgResult
    try {
      result = await this.#query(client, COMMIT, [], false)
    } catch (error) {
      throw refusalOf(error, this.#o.name, 'commit')
    }
    // The server answers so, without an error, when a statement had broken the transaction.
    invariant(result.command !== 'ROLLBACK', `a transaction of ${this.#o.name} was committed after one of its statements had been refused`)
  }

  /** Part of a transaction that somebody else leads. */
  part(client: PgClient, text: string): Promise<PgResult> {
    return this.#query(client, { text, name: '' }, [], false)
  }

  /** The same for texts of the application: in this mode of the protocol the server refuses to run more than one statement. */
  single(client: PgClient, text: string, values: readonly unknown[], shape: Pick<PgQuery, 'rowMode' | 'types'> = {}): Promise<PgResult> {
    return client.query({ ...shape, text, values: values as unknown[], queryMode: 'extended', query_timeout: this.#o.statementMs })
  }

  /** Takes a connection of its own, beyond the limit of the others: for the one transaction in which the application takes part. */
  async alone<Value>(work: (client: PgClient, prepare: boolean) => Promise<Value>): Promise<Value> {
    return this.#again(() => this.#on(work, false))
  }

  /** Whether statements of one connection reach one session, so that it can listen; `false` behind a pooler. */
  direct(): Promise<boolean> {
    return this.#with((client) => this.#isDirect(client), false)
  }

  /** A connection that stays out. Rejects when it breaks before it listens. @param onBroken it is of no use any more, and was ended. @returns the way to end it. */
  async listen(channel: string, onPayload: (payload: string) => void, onBroken: () => void): Promise<() => void> {
    const client = await this.#o.pool.connect()
    // A process that has nothing else to do may end.
    client.unref?.()
    let [ended, listens] = [false, false]
    // Once: it may break while it is being ended, and the pool takes nothing back twice.
    const end = (why: Error | true): boolean => {
      if (ended) return false
      ended = true
      // Never given back: the pool's next user would go on listening.
      client.release(why)
      return true
    }
    client.on('error', (error: Error) => { if (end(error) && listens) onBroken() })
    client.on('notification', (message: { readonly payload?: string | undefined }) => onPayload(message.payload ?? ''))
    try {
      await this.#query(client, { text: `LISTEN ${channel}`, name: '' }, [], false)
      if (ended) throw new Error('the connection broke while it began to listen')
      listens = true
    } catch (error) {
      end(true)
      throw error
    }
    return () => void end(true)
  }

  async #with<Value>(work: (client: PgClient, prepare: boolean) => Promise<Value>, changes: boolean): Promise<Value> {
    if (this.#underWay >= this.#o.limit) await new Promise<void>((resolve) => void this.#waiting.push(resolve))
    else this.#underWay++
    try {
      return await this.#on(work, changes)
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#underWay--
    }
  }

  /** @param changes an error while `work` runs may come after a commit. */
  async #on<Value>(work: (client: PgClient, prepare: boolean) => Promise<Value>, changes: boolean): Promise<Value> {
    const { pool, name } = this.#o
    let client: PgClient
    try {
      client = await pool.connect()
    } catch (error) {
      throw refusalOf(error, name, 'connecting')
    }
    let broken: Error | null = null
    const onError = (error: Error): void => { broken = error }
    client.on('error', onError)
    try {
      return await work(client, await this.#mayPrepare(client))
    } catch (error) {
      if (!isOfServer(error)) broken ??= error instanceof Error ? error : new Error(String(error))
      throw refusalOf(error, name, changes ? 'commit' : 'statement')
    } finally {
      client.removeListener('error', onError)
      client.release(broken ?? undefined)
    }
  }

  async #mayPrepare(client: PgClient): Promise<boolean> {
    return this.#o.prepare === 'auto' ? await this.#isDirect(client) : this.#o.prepare
  }

  /** A pooler invents the process id that it tells at login; a session of one's own has the one that it tells when asked. */
  async #isDirect(client: PgClient): Promise<boolean> {
    const known = this.#direct.get(client)
    if (known !== undefined) return known
    const told = (client as { readonly processID?: unknown }).processID
    let direct = false
    if (typeof told === 'number') {
      const { rows } = await this.#query(client, { text: 'SELECT pg_backend_pid() AS pid', name: '' }, [], false)
      direct = Number((rows[0] as Row)['pid']) === told
    }
    this.#direct.set(client, direct)
    return direct
  }

  #query(client: PgClient, { text, name }: Statement, values: readonly Value[], prepare: boolean): Promise<PgResult> {
    return client.query({ text, values: values as Value[], ...(prepare ? { name } : {}), query_timeout: this.#o.statementMs })
  }

  async #again<Value>(run: () => Promise<Value>): Promise<Value> {
    for (let tries = 1; ; tries++) {
      try {
        return await run()
      } catch (error) {
        if (tries >= TRIES || !isUndoneForOthers(error)) throw error
      }
    }
  }
}

const COMMIT: Statement = { text: 'COMMIT', name: '' }
const ROLLBACK: Statement = { text: 'ROLLBACK', name: '' }

/** Whether the server answered with an error, so that the connection itself is well. */
function isOfServer(error: unknown): boolean {
  const code = sqlState(error)
  return code !== null && !code.startsWith('08') && !code.startsWith('57P')
}

/** Deadlock, serialization failure: undone as a whole, and worth doing again at once. */
function isUndoneForOthers(error: unknown): boolean {
  const code = sqlState(error)
  return code === '40P01' || code === '40001'
}

/** SQLSTATE of an error of the server; `null` for anything else. */
export function sqlState(error: unknown): string | null {
  if (error === null || typeof error !== 'object') return null
  const state = 'details' in error ? (error.details as { sqlState?: unknown } | undefined)?.sqlState : 'code' in error ? error.code : null
  return typeof state === 'string' && /^[0-9A-Z]{5}$/.test(state) ? state : null
}
