/**
 * The recording transaction that the application's handler takes part in, on a connection of its own.
 *
 * The guarded write comes first; then a savepoint, statements of the handler one by one, and the commit. A handler that
 * throws, takes too long or breaks a statement loses its own statements only. If this process dies, the server undoes all
 * of it and the call is settled again; if it freezes, the server ends the transaction by itself, so that nobody waits for
 * its rows longer than a handler may take.
 *
 * Statements can make the commit impossible (a deferred constraint or trigger). Whatever the server refuses it for, the
 * guarded write is then made again in a transaction of its own, without the handler: the end stands, the handler failed.
 * Nor does anything of the store's own follow the handler but the commit: its statements may have taken on another role.
 */
import { StewardError } from '../core/errors.ts'
import type { CallWrite, SettleInTx, SettleTx, SqlValue, WriteResult } from '../ports/store.ts'
import type { Around } from './around.ts'
import { later } from './clock.ts'
import type { PgClient, PgQuery, PgResult, Session } from './pool.ts'
import type { CallWrites } from './writes.ts'

/** Transaction control belongs to the store; settings of the session would outlive the transaction. */
const FORBIDDEN = /^[\s;]*(?:(?:--[^\n]*\n|\/\*[\s\S]*?\*\/)[\s;]*)*(begin|start|commit|end|rollback|abort|savepoint|release|prepare|discard|set(?!\s+local\b))\b/i

export type Settled = { readonly result: WriteResult; readonly handler?: unknown }

type Handled = { readonly error: unknown } | null

/** The server refused the commit, and nothing is stored. */
type Refused = { readonly refused: string }

export class Settling {
  readonly #around: Around
  readonly #writes: CallWrites
  readonly #settleMs: number
  /** One at a time: each holds a connection for as long as its handler takes. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(around: Around, writes: CallWrites, settleMs: number) {
    this.#around = around
    this.#writes = writes
    this.#settleMs = settleMs
  }

  writeSettling(write: CallWrite, inTx: SettleInTx): Promise<Settled> {
    const turn = this.#turn.catch(() => undefined).then(() => this.#settle(write, inTx))
    this.#turn = turn
    return turn
  }

  /** When the last one is over, however it ended. */
  async idle(): Promise<void> {
    await this.#turn.catch(() => undefined)
  }

  async #settle(write: CallWrite, inTx: SettleInTx): Promise<Settled> {
    const { connections } = this.#around
    const settled = await connections.alone((client, prepare) => this.#withHandler(client, connections.session(client, prepare), write, inTx))
    if ('result' in settled) return settled
    const error = new Error(`a statement of onSettled of call ${write.call.id} made the commit impossible (${settled.refused}). Its statements were undone; onSettled runs again later`)
    if (write.onlyIfHandled === true) return { result: { ok: true }, handler: error }
    const [result] = await connections.transaction((session) => this.#writes.inOrder(session, [write]))
    return { result: result as WriteResult, handler: error }
  }

  async #withHandler(client: PgClient, session: Session, write: CallWrite, inTx: SettleInTx): Promise<Settled | Refused> {
    const { connections } = this.#around
    const say = (text: string): Promise<PgResult> => connections.part(client, text)
    await say(`BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = ${2 * this.#settleMs}`)
    try {
      const [result] = await this.#writes.inOrder(session, [write])
      if (result?.ok !== true) {
        await say('ROLLBACK')
        return { result: result as WriteResult }
      }
      await say(`SAVEPOINT steward_settle; SET LOCAL statement_timeout = ${this.#settleMs}`)
      // Told in the very transaction that records it: no mark is left to tell it again.
      await session.change(`DELETE FROM ${this.#around.s}steward_settle WHERE id = $1`, [write.call.id])
      const handled = await this.#handle(client, write, inTx, say)
      if (handled === null) return await this.#commit(client)
      if (write.onlyIfHandled === true) await say('ROLLBACK')
      else {
        await say('ROLLBACK TO steward_settle')
        await connections.commit(client)
      }
      return { result: { ok: true }, handler: handled.error }
    } catch (error) {
      await say('ROLLBACK').catch(() => undefined)
      throw error
    }
  }

  async #commit(client: PgClient): Promise<Settled | Refused> {
    try {
      await this.#around.connections.commit(client)
    } catch (error) {
      // With all of it undone, a second write cannot be one too many; whether it is refused, too, it will tell.
      if (error instanceof StewardError && error.details['outcome'] === 'not_stored') return { refused: String(error.details['postgres']) }
      throw error
    }
    return { result: { ok: true } }
  }

  /** Runs the handler and makes its statements a part of the transaction. @returns why it counts as not run. */
  async #handle(client: PgClient, write: CallWrite, inTx: SettleInTx, say: (text: string) => Promise<PgResult>): Promise<Handled> {
    const what = `call ${write.call.id}`
    const talk = new Conversation((text, values, shape) => this.#around.connections.single(client, text, values, shape), what, this.#settleMs)
    const late = new Promise<Handled>((resolve) => {
      talk.stopTimer = later(this.#settleMs, () => resolve({ error: new Error(`onSettled of ${what} took longer than ${this.#settleMs} ms. Its own statements were undone; the call's end is recorded, and onSettled runs again later`) }))
    })
    const ran = inTx(talk.tx).then((): Handled => null, (error: unknown): Handled => ({ error: error ?? new Error('onSettled threw nothing at all') }))
    const handled = await Promise.race([ran, late])
    talk.over()
    if (handled !== null) return handled
    try {
      await say('RELEASE steward_settle')
      return null
    } catch (error) {
      // A statement that the server refused has broken the transaction, even when the handler went on without a word.
      if (talk.refused === null) throw error
      return { error: talk.refused }
    }
  }
}

type Shape = Pick<PgQuery, 'rowMode' | 'types'>
type Ask = (text: string, values: readonly unknown[], shape?: Shape) => Promise<PgResult>

/** What `toPg` finds behind the `tx` of a handler. */
const asked = new WeakMap<SettleTx, Ask>()

/** A connection as query builders take it: Drizzle as a client, Kysely as a pool of one. */
export interface HandlerConnection {
  query(query: string | { readonly text: string; readonly values?: readonly unknown[]; readonly rowMode?: 'array'; readonly types?: unknown }, values?: readonly unknown[]): Promise<PgResult>
  connect(): Promise<HandlerConnection & { release(): void }>
  release(): void
  end(): Promise<void>
}

/**
 * The `tx` of an `onSettled` handler for a query builder, in the transaction that records the end:
 * `drizzle(toPg(tx))`, `new Kysely({ dialect: new PostgresDialect({ pool: toPg(tx) }) })`. Good until the handler ends, for plain
 * statements: the transaction belongs to the store, so that theirs (`db.transaction`) are refused.
 *
 * @throws Error where `tx` is none of a PostgreSQL store.
 */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- each query builder has its own type for what it takes of pg
export function toPg(tx: SettleTx | null): any {
  const ask = tx === null ? undefined : asked.get(tx)
  if (ask === undefined) throw new Error('toPg was given no tx of an onSettled handler on PostgreSQL. Nothing was run. Pass the tx that the handler was called with.')
  const connection: HandlerConnection = {
    query: (query, values = []) => (typeof query === 'string' ? ask(query, values) : ask(query.text, query.values ?? values, { ...(query.rowMode === undefined ? {} : { rowMode: query.rowMode }), ...(query.types === undefined ? {} : { types: query.types }) })),
    connect: () => Promise.resolve(connection),
    release: () => undefined,
    end: () => Promise.resolve(),
  }
  return connection
}

/** Statements of one handler, until it ends or its time is over. */
class Conversation {
  readonly tx: SettleTx
  /** The first statement that the server refused. */
  refused: unknown = null
  stopTimer: () => void = () => undefined
  #isOver = false

  constructor(ask: Ask, what: string, settleMs: number) {
    const run: Ask = async (sql, params, shape) => {
      if (this.#isOver) throw new Error(`the transaction that records ${what} is over; this statement was not run. Await every statement inside onSettled, and keep it under ${settleMs} ms`)
      if (FORBIDDEN.test(sql)) throw new Error(`"${sql.trim().slice(0, 40)}" is not for a handler: the transaction belongs to the store. Use plain statements`)
      try {
        return await ask(sql, params, shape)
      } catch (error) {
        this.refused ??= error
        throw error
      }
    }
    this.tx = {
      run: async (sql, ...params) => ({ changes: (await run(sql, params)).rowCount ?? 0 }),
      all: async (sql, ...params) => (await run(sql, params)).rows as Readonly<Record<string, SqlValue>>[],
    }
    asked.set(this.tx, run)
  }

  over(): void {
    this.#isOver = true
    this.stopTimer()
  }
}
