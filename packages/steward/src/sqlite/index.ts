/**
 * `sqlite(path)`: the embedded store. One file (with its log beside it), no server, several processes at once.
 *
 * All of SQLite lives in one thread (thread.ts); this is the port on the main thread, which turns records into rows
 * and answers into records. What is acknowledged is on disk (WAL, synchronous=FULL). On a crash of the process the
 * next opening finds exactly what was committed; on a lost thread whatever was under way is refused as "unknown".
 */
import { resolve } from 'node:path'
import type { Call } from '../core/call.ts'
import { invariant, StewardError } from '../core/errors.ts'
import type { Backlog, CallerTx, CallWrite, Controls, EarlyFact, InsertResult, InsertWrite, LateLane, Pulse, PulseQuery, SettleDue, SettleInTx, Store, StoredAlert, StoreOpening, WorkerRow, WriteResult } from '../ports/store.ts'
import { recordDecoder } from '../store-sql/record.ts'
import { StoreClock } from '../store-sql/store-clock.ts'
import { machineClock, machineTicks } from './clock.ts'
import { type BetterSqlite3, nameOf, takeFile } from './driver.ts'
import { openWorkers } from './open-workers.ts'
import { Outbox } from './outbox.ts'
import { type Flat, flattenWrite, type RowAnswer } from './protocol.ts'
import type { RequestName, Requests } from './requests.ts'
import { conversation } from './settling.ts'
import { closedError, errorOf, ThreadLink } from './thread-link.ts'

export { fromBetterSqlite3, fromDatabaseSync } from './caller.ts'

/** A handler in the recording transaction holds everything else up; it must end well before a lease would. */
const SETTLE_MS = 1_000

export type SqliteOptions = {
  /**
   * The default export of better-sqlite3, for applications whose transactions run on it (`fromBetterSqlite3`): the store then works
   * with that copy of SQLite. Two copies in one process do not see each other's locks on a file. Default: `node:sqlite`.
   */
  readonly driver?: BetterSqlite3
  /** Milliseconds to wait for another process's transaction before STEWARD_STORE_UNAVAILABLE. Default 10,000. */
  readonly busyMs?: number
  /** Milliseconds an `onSettled` handler may hold the recording transaction open. Default 1,000. */
  readonly settleMs?: number
  /** The clock behind `now()`; tests move it. Default: the machine's. */
  readonly clock?: () => number
  /** Milliseconds since some start, by which time goes on while the clock is behind the stored mark. Default: the machine's, or none (time stands still) beside a `clock`. */
  readonly ticks?: () => number
  /** Tests only: named points at which the process kills itself; also by STEWARD_FAILPOINTS. See ports/failpoints.ts. */
  readonly failpoints?: string
  /** Tests only: milliseconds added to each commit, as a slow disk would. */
  readonly commitDelayMs?: number
  /** Tests only: the file grows to this many pages, then is full. */
  readonly maxPages?: number
}

/**
 * A store in the file at `path`, created when it is missing (its directory is not).
 *
 * @throws StewardError STEWARD_OPTION_INVALID for `:memory:`; everything else is said by `open`.
 */
export function sqlite(path: string, options: SqliteOptions = {}): Store {
  if (path === '' || path === ':memory:' || path.startsWith('file:')) {
    throw new StewardError('STEWARD_OPTION_INVALID', `sqlite("${path}") would keep calls where no other process finds them and a restart loses them. Nothing was opened. Name a file, such as "steward.db"; in tests use memoryStore() of steward/testing.`, { path })
  }
  return new SqliteStore(path, options)
}

const ALL_WELL = { ok: true } as const

class SqliteStore implements Store {
  readonly name: string
  /** A dead process is found as soon: its lock is gone. */
  readonly pulseMs = 200
  readonly #path: string
  readonly #options: SqliteOptions
  readonly #listeners = new Set<() => void>()
  #link: ThreadLink | null = null
  #decode: (body: string) => Call = recordDecoder('')
  readonly #clock: StoreClock
  #settling: Promise<unknown> = Promise.resolve()
  #outbox: Outbox | null = null
  #giveFile: () => void = () => undefined

  constructor(path: string, options: SqliteOptions) {
    this.#path = resolve(path)
    this.name = `sqlite ${path}`
    this.#options = options
    this.#clock = new StoreClock(options.clock ?? machineClock, options.ticks ?? (options.clock ? () => 0 : machineTicks), "the machine's")
  }

  async open(opening: StoreOpening): Promise<void> {
    const driver = await nameOf(this.#options.driver)
    invariant(this.#link === null, `${this.name} was opened twice`)
    const { busyMs = 10_000, settleMs = SETTLE_MS, commitDelayMs = 0, maxPages = 0, failpoints = process.env['STEWARD_FAILPOINTS'] ?? '' } = this.#options
    this.#decode = recordDecoder(opening.namespace)
    this.#clock.notice = opening.notice
    this.#giveFile = takeFile(this.#path, driver)
    const link = new ThreadLink({ path: this.#path, driver, namespace: opening.namespace, now: this.now(), busyMs, settleMs, commitDelayMs, maxPages, failpoints }, {
      hint: () => this.#listeners.forEach((listener) => listener()),
      notice: opening.notice,
      mark: (mark) => this.#clock.reach(mark),
    }, () => this.now())
    this.#link = link
    try {
      await link.opened()
      this.#outbox = new Outbox(this.#path, opening.namespace, driver)
    } catch (error) {
      this.#link = null
      this.#giveFile()
      throw error
    }
  }

  async close(): Promise<void> {
    const link = this.#link
    if (link === null) return
    await this.#settling.catch(() => undefined)
    await link.close()
    this.#giveFile()
    for (const worker of this.#enlisted) openWorkers.remove(this.#path, worker)
    this.#enlisted.clear()
  }

  now(): number {
    return this.#clock.now()
  }

  async write(batch: readonly CallWrite[]): Promise<readonly WriteResult[]> {
    if (batch.length === 0) return []
    return this.#results<WriteResult>(batch.length, await this.#open().write(batch))
  }

  async insert(batch: readonly InsertWrite[], more = false): Promise<readonly InsertResult[]> {
    if (batch.length === 0) return []
    return this.#results<InsertResult>(batch.length, await this.#open().insert(batch, more))
  }

  async insertWithin(tx: CallerTx, write: InsertWrite): Promise<InsertResult> {
    this.#open()
    const answer = (this.#outbox as Outbox).insert(tx, write, this.now())
    return answer === null ? ALL_WELL : (this.#result(answer) as InsertResult)
  }

  #results<Result extends WriteResult | InsertResult>(length: number, rows: readonly RowAnswer[]): readonly Result[] {
    const results = new Array<Result>(length).fill(ALL_WELL as Result)
    for (const { at, answer } of rows) results[at] = this.#result(answer) as Result
    return results
  }

  #result(answer: Readonly<Record<string, unknown>>): object {
    return { ok: false, ...answer, ...('call' in answer ? { call: this.#callOr(answer['call']) } : {}) }
  }

  #callOr(body: unknown): Call | null {
    return typeof body === 'string' ? this.#decode(body) : null
  }

  /** One at a time: the thread holds one recording transaction. */
  writeSettling(write: CallWrite, inTx: SettleInTx): Promise<{ readonly result: WriteResult; readonly handler?: unknown }> {
    const turn = this.#settling.catch(() => undefined).then(() => this.#settle(write, inTx))
    this.#settling = turn
    return turn
  }

  async #settle(write: CallWrite, inTx: SettleInTx): Promise<{ readonly result: WriteResult; readonly handler?: unknown }> {
    const link = this.#open()
    const flat: Flat = []
    flattenWrite(flat, write)
    const settleMs = this.#options.settleMs ?? SETTLE_MS
    const talk = conversation(link, inTx, `call ${write.call.id}`, settleMs)
    const settled = await link.settle({ flat, now: this.now(), settleMs, onlyIfHandled: write.onlyIfHandled === true })
    const handler = talk.over(settled)
    if (settled.refusal) throw errorOf(settled.refusal)
    if (settled.row) return { result: this.#result(settled.row) as WriteResult }
    return handler === undefined ? { result: ALL_WELL } : { result: ALL_WELL, handler }
  }

  async claim(query: Requests['claim']): Promise<readonly Call[]> {
    return this.#calls(await this.#ask('claim', query))
  }
  async giveBack(lease: Requests['leave'], ids: readonly string[]): Promise<void> {
    if (ids.length > 0) await this.#ask('giveBack', { lease, ids })
  }
  async leasedTo(lease: Requests['leave'], limit: number): Promise<readonly Call[]> {
    return this.#calls(await this.#ask('leasedTo', { lease, limit }))
  }

  readonly #enlisted = new Set<string>()
  async enlist(row: Omit<WorkerRow, 'fenced'>): Promise<void> {
    openWorkers.add(this.#path, row.worker)
    this.#enlisted.add(row.worker)
    // A worker that lost its lease comes back under a new name: what it was is fenced, and its file proves nothing more.
    for (const gone of (await this.#ask('enlist', row)) as string[]) this.#forget(gone)
  }
  async pulse(query: PulseQuery): Promise<Pulse> {
    const { lease, leaseUntilAt } = query
    const beat = lease === null || leaseUntilAt === null ? null : this.#ask('beat', { lease, leaseUntilAt })
    const [beaten, pulse] = await Promise.all([beat, this.#ask('pulse', { ...query, ours: openWorkers.of(this.#path) })])
    return { ...(pulse as Pulse), ...(beaten as Partial<Pulse> | null) }
  }
  async leave(lease: Requests['leave']): Promise<void> {
    await this.#ask('leave', lease)
    this.#open().tell({ letGo: lease.worker })
    this.#forget(lease.worker)
  }
  #forget(worker: string): void {
    openWorkers.remove(this.#path, worker)
    this.#enlisted.delete(worker)
  }
  async workers(): Promise<readonly WorkerRow[]> {
    return (await this.#ask('workers', null)) as WorkerRow[]
  }
  async fenceDead(now: number, except: string | null): Promise<readonly WorkerRow[]> {
    const ours = openWorkers.of(this.#path)
    const dead = (await this.#ask('fenceDead', { now, except, ours })) as WorkerRow[]
    const gone = dead.map((row) => row.worker).filter((worker) => !ours.includes(worker))
    // Fenced rows need no proof any more; the file of a frozen worker stays locked, and goes with it.
    if (gone.length > 0) this.#open().tell({ remove: gone })
    return dead
  }
  async orphans(limit: number, operations?: readonly string[]): Promise<readonly Call[]> {
    return this.#calls(await this.#ask('orphans', { limit, operations: operations ?? null }))
  }

  async get(id: string): Promise<Call | null> {
    return this.#callOr(await this.#ask('get', id))
  }
  async find(operation: string, key: string): Promise<Call | null> {
    return this.#callOr(await this.#ask('find', { operation, key }))
  }
  async getMany(ids: readonly string[]): Promise<readonly Call[]> {
    return this.#calls(await this.#ask('getMany', ids))
  }
  async list(query: Requests['list']): Promise<readonly Call[]> {
    return this.#calls(await this.#ask('list', query))
  }
  async overdue(now: number, limit: number, operations?: readonly string[]): Promise<readonly Call[]> {
    return this.#calls(await this.#ask('overdue', { now, limit, operations: operations ?? null }))
  }
  async backlog(): Promise<readonly Backlog[]> {
    return (await this.#ask('backlog', null)) as Backlog[]
  }
  async lateLanes(dueBefore: number): Promise<readonly LateLane[]> {
    return (await this.#ask('lateLanes', dueBefore)) as LateLane[]
  }
  async nextDueAt(lanes: Requests['nextDueAt']): Promise<number | null> {
    return (await this.#ask('nextDueAt', lanes)) as number | null
  }

  async keepEarlyFact(operation: string, key: string, fact: EarlyFact): Promise<{ readonly kept: true } | { readonly kept: false; readonly call: Call }> {
    const answer = (await this.#ask('keepEarlyFact', { operation, key, fact })) as { kept: true } | { kept: false; call: string }
    return answer.kept ? answer : { kept: false, call: this.#decode(answer.call) }
  }

  async controls(): Promise<Controls> {
    return (await this.#ask('controls', null)) as Controls
  }
  async control(write: Requests['control']['write'], alerts: Requests['control']['alerts']): Promise<void> {
    await this.#ask('control', { write, alerts })
  }

  async raise(alerts: Requests['raise']): Promise<void> {
    if (alerts.length > 0) await this.#ask('raise', alerts)
  }
  async alerts(query: Requests['alerts']): Promise<readonly StoredAlert[]> {
    return (await this.#ask('alerts', query)) as StoredAlert[]
  }
  async alertsDelivered(ids: readonly string[], at: number): Promise<void> {
    if (ids.length > 0) await this.#ask('alertsDelivered', { ids, at })
  }

  async settlesDue(now: number, limit: number, operations?: readonly string[]): Promise<readonly SettleDue[]> {
    const rows = (await this.#ask('settlesDue', { now, limit, operations: operations ?? null })) as { call: string; dueAt: number; tries: number }[]
    return rows.map((row) => ({ ...row, call: this.#decode(row.call) }))
  }
  async settleTold(id: string, dueAt: number | null, tries: number): Promise<void> {
    await this.#ask('settleTold', { id, dueAt, tries })
  }

  async prune(endedBefore: number, limit: number, digestsOf: (call: Call) => Readonly<Record<string, string>>): Promise<number> {
    const calls = this.#calls(await this.#ask('prunable', { endedBefore, limit }))
    if (calls.length === 0) return 0
    const them = calls.map((call) => ({ id: call.id, rev: call.rev, state: call.state, digests: digestsOf(call) }))
    return (await this.#ask('pruneThese', them)) as number
  }

  onHint(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  #open(): ThreadLink {
    if (this.#link === null) throw closedError(this.#path)
    return this.#link
  }
  #ask<Name extends RequestName>(what: Name, given: Requests[Name]): Promise<unknown> {
    return this.#open().ask(what, given)
  }
  #calls(bodies: unknown): readonly Call[] {
    return (bodies as string[]).map((body) => this.#decode(body))
  }
}
