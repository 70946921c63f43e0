/**
 * The recording transaction that the application's handler takes part in, as the thread sees it.
 *
 * The guarded write comes first; then a savepoint, statements of the handler one by one, and the commit. A handler
 * that throws, takes too long or breaks a statement loses its own statements only. The thread blocks meanwhile: nobody
 * else's work can slip into the transaction. If the process dies, nothing of it is stored and the call is settled again.
 *
 * A statement can end the whole transaction (INSERT OR ROLLBACK, RAISE(ROLLBACK), a full disk), or make its commit
 * impossible (a deferred foreign key). Whatever came after would commit by itself, so that nothing more is run; the
 * guarded write is then made again in a transaction of its own, without the handler: the end stands, the handler failed.
 */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import type { CallRows } from './call-rows.ts'
import { machineClock } from './clock.ts'
import type { Engine } from './engine.ts'
import { type Flat, type Remark, type SettleSay, SIGNAL, W } from './protocol.ts'
import { isBusy, isConstraint, refusalOf } from './refusals.ts'
import type { Prepared, Transaction } from './transaction.ts'

/** Transaction control belongs to the store; attached files and settings would outlive the transaction. */
const FORBIDDEN = /^[\s;]*(?:(?:--[^\n]*\n|\/\*[\s\S]*?\*\/)[\s;]*)*(begin|commit|end|rollback|savepoint|release|attach|detach|pragma|vacuum)\b/i

export type SettleRequest = { readonly flat: Flat; readonly now: number; readonly settleMs: number; readonly onlyIfHandled: boolean }
type Talk = { readonly port: MessagePort; readonly signal: Int32Array; readonly remark: (remark: Remark) => void }
/** How the handler ended. `lost`: the transaction did not survive its statements. */
export type Ended = 'done' | 'undo' | 'late' | 'lost'
type Told = { readonly row: Readonly<Record<string, unknown>> | null; readonly ended?: Ended }

/** @returns the answer of the write, and how the handler ended; or why nothing was stored. */
export function settleInThread(engine: Engine, shared: Prepared, calls: CallRows, talk: Talk, request: SettleRequest): object {
  let during: 'statement' | 'commit' = 'statement'
  const commit = (tx: Transaction): void => {
    during = 'commit'
    engine.commitWith(tx, engine.options.failpoints === null ? [] : [request.flat[W.state] === 'running' ? 'begin' : 'finish'])
  }
  try {
    const told = withHandler(engine, shared, calls, talk, request, commit)
    if (told.ended !== 'lost') return told
    during = 'statement'
    return request.onlyIfHandled ? told : withoutHandler(engine, calls, request, commit)
  } catch (error) {
    engine.undo()
    return { refusal: refusalOf(error, engine.options.path, isBusy(error) ? 'statement' : during) }
  }
}

/** The guarded write in a new transaction, which stays open when the write was taken (`null`). */
function begin(engine: Engine, calls: CallRows, request: SettleRequest): { readonly tx: Transaction; readonly row: Told['row'] } {
  const tx = engine.begin(Math.max(request.now, engine.mark))
  const row = calls.write(tx, request.flat, 0)
  if (row === null) tx.beforeCommit(true)
  else engine.undo()
  return { tx, row }
}

function withHandler(engine: Engine, shared: Prepared, calls: CallRows, talk: Talk, request: SettleRequest, commit: (tx: Transaction) => void): Told {
  const { db } = shared
  const { tx, row } = begin(engine, calls, request)
  if (row !== null) return { row }
  db.exec('SAVEPOINT steward_settle')
  const ended = converse(shared, talk, request.settleMs)
  if (ended !== 'done' && request.onlyIfHandled) {
    engine.undo()
    return { row: null, ended }
  }
  if (!db.isTransaction) return { row: null, ended: 'lost' }
  db.exec(ended === 'done' ? 'RELEASE steward_settle' : 'ROLLBACK TO steward_settle; RELEASE steward_settle')
  // Told in the very transaction that records it: no mark is left to tell it again.
  if (ended === 'done') tx.markSettle(calls.seqOf(request.flat[W.id] as string) as number, null, 0)
  try {
    commit(tx)
  } catch (error) {
    if (ended !== 'done' || !isConstraint(error)) throw error
    engine.undo()
    return { row: null, ended: 'lost' }
  }
  return { row: null, ended }
}

function withoutHandler(engine: Engine, calls: CallRows, request: SettleRequest, commit: (tx: Transaction) => void): Told {
  const { tx, row } = begin(engine, calls, request)
  if (row === null) commit(tx)
  return { row, ended: 'lost' }
}

/** Statements of the handler, until it ends or its time is over. */
function converse({ db }: Prepared, { port, signal, remark }: Talk, settleMs: number): Exclude<Ended, 'lost'> {
  const untilAt = machineClock() + settleMs
  while (receiveMessageOnPort(port)) { /* what an earlier handler said after its time */ }
  remark({ remark: 'settle-ready' })
  for (;;) {
    const seen = Atomics.load(signal, SIGNAL.settle)
    const said = receiveMessageOnPort(port)?.message as SettleSay | undefined
    if (said !== undefined && !('sql' in said)) return said.say
    if (said !== undefined) answer(db, said, remark)
    const leftMs = untilAt - machineClock()
    if (leftMs <= 0) return 'late'
    // The signal is raised after each message; a message may still be on its way when it is seen.
    if (said === undefined) Atomics.wait(signal, SIGNAL.settle, seen, Math.min(leftMs, 20))
  }
}

function answer(db: Prepared['db'], said: Extract<SettleSay, { sql: string }>, remark: Talk['remark']): void {
  try {
    if (!db.isTransaction) throw new Error(`an earlier statement ended the transaction (OR ROLLBACK, RAISE(ROLLBACK) or a full disk); "${said.sql.trim().slice(0, 40)}" was not run, and nothing of this handler is stored. The call's end is recorded without it`)
    if (FORBIDDEN.test(said.sql)) throw new Error(`"${said.sql.trim().slice(0, 40)}" is not for a handler: the transaction belongs to the store. Use plain statements`)
    const statement = db.prepare(said.sql)
    const params = said.params as (string | number | bigint | null | Uint8Array)[]
    remark({ remark: 'settle-answer', value: said.say === 'run' ? { changes: Number(statement.run(...params).changes) } : statement.all(...params) })
  } catch (error) {
    remark({ remark: 'settle-answer', error: error instanceof Error ? error.message : String(error) })
  }
}
