/**
 * The store port: compare-and-set rows, a few indexed questions, and one clock. A store is whatever passes the
 * conformance suite (`steward/testing`). It holds guards, never policy: what a row becomes is decided by the core.
 *
 * Guards, all judged inside the transaction of the write:
 *  - `rev`: the row is still the one that was read;
 *  - `lease`: the worker's row is alive under this epoch, and the call is leased to it;
 *  - `controls`: no pause or hold was set that the worker has not seen.
 */
import type { Alert } from '../core/alert.ts'
import type { Call, Fact, State } from '../core/call.ts'
import type { Restored } from '../core/set-back.ts'

/** Who writes: a worker process under its fencing token. */
export type Lease = { readonly worker: string; readonly epoch: number }

/** Outcome of one write of a batch; the others of the batch are not affected by it. */
export type WriteResult =
  | { readonly ok: true }
  /** A guard failed; nothing of this write was stored. `call` is the row as it is now (`null`: gone). */
  | { readonly ok: false; readonly why: 'rev' | 'lease' | 'controls'; readonly call: Call | null }

/** A change of one call. */
export type CallWrite = {
  readonly kind: 'call'
  /** The next record; its `rev` is the stored one's plus 1 (the guard), or more when several decisions were joined. */
  readonly call: Call
  /** The rev the decision was made on. */
  readonly expectRev: number
  /** Write only if this worker is alive under its epoch and holds the call. Absent: a write by anybody, guarded by rev alone. */
  readonly lease?: Lease
  /** What becomes of the lease: `keep`, or given back. */
  readonly leaseAfter: 'keep' | 'release'
  /** Beginning only: write only if the controls are still those of this revision. */
  readonly controlsRev?: number
  readonly alerts?: readonly Alert[]
  /** The stored input is another one (it was upgraded). Without it a store may keep `given`, `input` and all that never changes as they are. */
  readonly inputChanged?: boolean
  /** Set or extend holds of scopes in the same transaction. */
  readonly controls?: readonly ControlWrite[]
  /** The application is to be told (`onSettled`): keeps a mark until `settled` is written. */
  readonly settleDueAt?: number | null
  /** Of `writeSettling`: store this write only when the handler ended well, for what is true only then. Other writes ignore it. */
  readonly onlyIfHandled?: boolean
}

/** A new call. Joins when (operation, key) exists: open, ended, or pruned. */
export type InsertWrite = {
  readonly kind: 'insert'
  readonly call: Call
  /** Insert already leased to this worker (perform). Without it the call waits for any worker. */
  readonly lease?: Lease
  readonly controlsRev?: number
  readonly alerts?: readonly Alert[]
  readonly settleDueAt?: number | null
  /** How many early facts of this key the decision has seen. 0 at first; the store answers `facts` when it keeps others. */
  readonly factsSeen: number
  /** The call that this one replaces, as the caller judged it; its record changes in the same transaction. */
  readonly supersedes?: { readonly call: Call; readonly expectRev: number }
}

export type InsertResult =
  | { readonly ok: true }
  | { readonly ok: false; readonly why: 'joined'; readonly call: Call }
  /** The full record was pruned; what outlives it is here. `digests` by field path. */
  | { readonly ok: false; readonly why: 'pruned'; readonly id: string; readonly state: State; readonly digests: Readonly<Record<string, string>> }
  | { readonly ok: false; readonly why: 'facts'; readonly facts: readonly EarlyFact[] }
  | { readonly ok: false; readonly why: 'superseded-changed'; readonly call: Call | null }
  | { readonly ok: false; readonly why: 'lease' | 'controls' }
  /** A transaction that is open elsewhere has the key, and did not end while the store waited. Nothing was stored; try again later. */
  | { readonly ok: false; readonly why: 'held' }

/**
 * The caller's own open transaction, as the entry point of a store wraps it (`fromPg` of `steward/postgres`, `fromDatabaseSync` of
 * `steward/sqlite` …). A store takes only its own kind, only on its own database, and never ends it.
 */
export interface CallerTx {
  /** For messages: `Drizzle`. */
  readonly driver: string
}

export type PlainInsert = { readonly text: string; readonly values: readonly (string | number | null)[]; readonly read: (row: Readonly<Record<string, unknown>> | undefined) => InsertResult }

/** A fact that came before its call. */
export type EarlyFact = { readonly fact: Fact; readonly result: string | null }

/** `store` is everything in it: held when the database was set back, and only then (ports/set-back.ts). */
export type Scope = { readonly kind: 'provider' | 'operation' | 'group' | 'store'; readonly name: string }

/** A pause (by a person, no end) or a hold (automatic, with an end) of a scope. */
export type Control = Scope & {
  readonly mode: 'pause' | 'hold'
  readonly untilAt: number | null
  readonly by: string
  readonly why: string
  readonly at: number
}

/**
 * Sets a control (`hold`s only ever lengthen, and wait behind a pause), or lifts it, a pause first. Setting one of the whole store also fences
 * every worker, and makes the revision one that nobody has seen; `restored` lifts it, and is kept.
 */
export type ControlWrite = { readonly set: Control } | { readonly lift: Scope; readonly by: string; readonly why: string; readonly at: number } | { readonly restored: Restored }

/** `restored`: what a person said of the last time that the database was set back. */
export type Controls = { readonly rev: number; readonly all: readonly Control[]; readonly restored: Restored | null }

/** What a worker can work on: an operation at the versions it understands. */
export type Lane = { readonly operation: string; readonly versions: readonly number[] }

export type ClaimQuery = {
  readonly lease: Lease
  readonly lanes: readonly Lane[]
  readonly limit: number
  readonly now: number
  readonly pausedGroups: readonly string[]
}

export type WorkerRow = {
  readonly worker: string
  readonly epoch: number
  readonly host: string
  readonly pid: number
  readonly startedAt: number
  readonly beatAt: number
  /** The lease holds until then, unless the worker is proven dead sooner. */
  readonly leaseUntilAt: number
  readonly lanes: readonly Lane[]
  readonly release: string | null
  /** No further write of this worker is taken. */
  readonly fenced: boolean
}

export type PulseQuery = {
  readonly now: number
  /** The worker that asks; `null` where the process has no lease. */
  readonly lease: Lease | null
  /** A heartbeat: its lease is extended until then in the same step. `null`: it only asks. */
  readonly leaseUntilAt: number | null
  /** As of the questions below: what concerns other operations alone is none of the asker's business. */
  readonly operations: readonly string[]
  /** As of `nextDueAt`. */
  readonly lanes: readonly Lane[]
}

/** Which rounds are worth a look: the question named beside each would find something, or is likely to. */
export type Todo = {
  /** `fenceDead`, and `orphans` of those operations or claims to give back. */
  readonly dead: boolean
  /** `overdue` */
  readonly overdue: boolean
  /** `settlesDue` */
  readonly settles: boolean
  /** `alerts`, undelivered ones */
  readonly alerts: boolean
}

export type Pulse = {
  /** Whether the asker's lease holds, a heartbeat included. */
  readonly alive: boolean
  readonly controlsRev: number
  readonly todo: Todo
  /** `nextDueAt` */
  readonly nextDueAt: number | null
}

export type ListQuery = {
  readonly operation?: string
  readonly states?: readonly State[]
  readonly group?: string
  /** Keys that begin with this. */
  readonly keyPrefix?: string
  readonly endedAfter?: number
  readonly endedBefore?: number
  /** Ids after this one, in the order of creation, newest last. */
  readonly afterId?: string
  readonly newestFirst?: boolean
  readonly limit: number
}

export type StoreOpening = {
  readonly namespace: string
  /** Called for things a person should know: recovery from a lock, a slow disk. */
  readonly notice: (message: string) => void
}

/** What a migration did, or would do. */
export type MigrationReport = {
  /** The schema's version before; `null` where there was no store. */
  readonly from: number | null
  readonly to: number
  /** What was run in one transaction, or would be. Empty when there is nothing to do. */
  readonly statements: readonly string[]
}

export type Backlog = {
  readonly operation: string
  readonly version: number
  readonly open: number
  /** Earliest due time among those that wait unleased; `null` when none waits. */
  readonly oldestDueAt: number | null
  /** Calls that run under a worker that is fenced or unknown: nobody records their end until somebody who knows the operation recovers them. */
  readonly stuck: number
}

/** Calls of one operation and version that wait unleased, and the earliest time at which one of them was due. */
export type LateLane = { readonly operation: string; readonly version: number; readonly oldestDueAt: number }

/** A stored result for `onSettled` that has not been told yet. */
export type SettleDue = { readonly call: Call; readonly dueAt: number; readonly tries: number }

/** Statements inside the recording transaction, for tables in the store's own database. */
export interface SettleTx {
  /** Runs a statement; parameters are bound by position. Rejects when the database refuses it. */
  run(sql: string, ...params: readonly SqlValue[]): Promise<{ changes: number }>
  all(sql: string, ...params: readonly SqlValue[]): Promise<readonly Readonly<Record<string, SqlValue>>[]>
}
export type SqlValue = string | number | bigint | null | Uint8Array

/** Runs inside the transaction that records a call's end, before its commit. Throwing undoes its own statements only. */
export type SettleInTx = (tx: SettleTx) => Promise<void>

/**
 * Questions that take `operations` answer for those alone: a page must not fill with what the asker does not know.
 *
 * A store that finds its database set back to an earlier state (a restored backup, a standby promoted without the last commits)
 * holds everything before it does anything else for anybody: see ports/set-back.ts. How it finds out is the store's own business;
 * where it cannot, a person says so.
 */
export interface Store {
  /** For messages and side files: `sqlite steward.db`. */
  readonly name: string
  /** How often a process may ask for the pulse: as often as an answer is cheap, since what waits for it is noticed no sooner. Milliseconds; it may be a quarter more. */
  readonly pulseMs: number
  open(opening: StoreOpening): Promise<void>
  close(): Promise<void>
  /**
   * Creates the store or brings it to this version, without opening it: for a role that may, before processes whose role may
   * not. With `dryRun` it only says what it would do. A store without it does all of this whenever it is opened.
   *
   * @throws StewardError STEWARD_STORE_*, STEWARD_NAMESPACE_CHANGED; nothing was changed then.
   */
  migrate?(opening: StoreOpening, options: { readonly dryRun: boolean }): Promise<MigrationReport>
  /** The time that decisions use: the clock, or the database's, never less than the stored high-water mark. Never runs backwards, and never stands still for long. */
  now(): number
  /** Where `now` is an estimate: the latest that it can really be. Nothing leaves once a deadline may have passed. Absent: `now` is exact. */
  nowAtMost?(): number

  /**
   * Group commit: all writes of a batch in one transaction, each with its own guards and result, in order.
   * Rejects only when the transaction as a whole could not be committed: then nothing of it is stored, unless the
   * error is STEWARD_STORE_UNAVAILABLE with `details.outcome = 'unknown'`.
   */
  write(batch: readonly CallWrite[]): Promise<readonly WriteResult[]>
  /** The same for new calls. `more`: another batch follows in this turn of the event loop; a hint, for which the commit may wait a moment. */
  insert(batch: readonly InsertWrite[], more?: boolean): Promise<readonly InsertResult[]>
  /**
   * The same for one call, inside a transaction of the caller's own: it exists once that commits, and never did when it is
   * rolled back. Nothing is committed, rolled back or left broken here, and no row of an existing call stays locked. Such a
   * write names no lease, no controls and no call to replace.
   *
   * A store without it takes no part in other transactions.
   *
   * @throws StewardError STEWARD_TRANSACTION_REFUSED when it is no open transaction of this store's database; nothing was stored then.
   */
  insertWithin?(tx: CallerTx, write: InsertWrite): Promise<InsertResult>
  /**
   * The same as one statement that somebody else runs, with `read` for its one row. A store without it has none.
   *
   * @throws StewardError STEWARD_TRANSACTION_REFUSED from `read`, when nothing was stored and the row says why.
   */
  insertStatement?(write: InsertWrite): Promise<PlainInsert>
  /**
   * One `CallWrite` whose commit first runs `inTx` in the same transaction. `handler` is the error the handler ended
   * with; its own statements are undone then, and the mark of `settleDueAt` stays. Without one the mark is cleared in
   * the same transaction. The handler is not run when a guard failed.
   *
   * With `onlyIfHandled` a handler's error undoes the whole transaction: nothing of the write is stored, neither call,
   * alerts nor control, and the mark stays as it was before. The answer is `{ result: { ok: true }, handler }` then,
   * too: the guards held, and `handler` says that nothing was stored.
   *
   * A handler whose statements end the transaction itself, or make its commit impossible, has failed like one that
   * throws: without `onlyIfHandled` the write is made again in a new transaction, its guards judged anew.
   */
  writeSettling(write: CallWrite, inTx: SettleInTx): Promise<{ readonly result: WriteResult; readonly handler?: unknown }>

  /**
   * Leases due calls in `waiting`, `checking` or `accepted` to the worker, by priority, then due time. What becomes due behind calls that
   * were claimed before (given back, or stored late) may be overlooked for a moment, and is found by a later claim.
   */
  claim(query: ClaimQuery): Promise<readonly Call[]>
  /** Gives claimed, certainly unsent calls back. Ignores those that are not the worker's any more. */
  giveBack(lease: Lease, ids: readonly string[]): Promise<void>
  /** Calls leased to this worker under this epoch, claimed and begun ones, in the order of creation. */
  leasedTo(lease: Lease, limit: number): Promise<readonly Call[]>

  /** Adds a worker's row, or replaces its lanes when it is there and not fenced. Its side file, where the store has one, is locked until `close` or death, or until the same opening enlists another and this one is fenced. */
  enlist(row: Omit<WorkerRow, 'fenced'>): Promise<void>
  /** Whether there is anything to do, in one question: all that an idle process asks. With a heartbeat in it, which changes nothing for a worker that is fenced or gone. */
  pulse(query: PulseQuery): Promise<Pulse>
  /** Leaves: gives claims back and removes the row. Begun calls stay leased until they are lapsed by somebody. */
  leave(lease: Lease): Promise<void>
  workers(): Promise<readonly WorkerRow[]>
  /** Workers that are surely dead or past their lease at `now`; each is fenced in the same step. */
  fenceDead(now: number, except: string | null): Promise<readonly WorkerRow[]>
  /** Calls still leased to fenced or unknown workers, begun ones only; claimed ones are given back by the same step. Those of all operations are looked for like late lanes. */
  orphans(limit: number, operations?: readonly string[]): Promise<readonly Call[]>

  get(id: string): Promise<Call | null>
  find(operation: string, key: string): Promise<Call | null>
  /** Stored records of those ids, without order; missing ones are left out. */
  getMany(ids: readonly string[]): Promise<readonly Call[]>
  list(query: ListQuery): Promise<readonly Call[]>
  /**
   * Unleased open calls whose expiry or give-up time has come, those that time can still move: not running, not
   * accepted (from there nothing is resent), no order to stop in force already.
   */
  overdue(now: number, limit: number, operations?: readonly string[]): Promise<readonly Call[]>
  /** Counts open calls: what that takes may grow with their number. */
  backlog(): Promise<readonly Backlog[]>
  /**
   * Operations and versions of which a call has been due since then and waits, whoever knows them. Takes no longer the more calls
   * there are. A store may spare itself a look, and answers with none then; after one that was given up it rejects until another succeeds.
   */
  lateLanes(dueBefore: number): Promise<readonly LateLane[]>
  /** The next instant at which an unleased call of these lanes is due; `null` for none. */
  nextDueAt(lanes: readonly Lane[]): Promise<number | null>

  /**
   * Keeps a fact of a key that has no call yet. Answers the call instead, when there is one. A repetition (see
   * ports/early-facts.ts) is kept once and never refused.
   *
   * Waits a moment at most for a transaction that is open elsewhere and has the key; then it rejects with STEWARD_STORE_UNAVAILABLE
   * and `details.held`, and is to be asked again. Rejects with STEWARD_CALL_NOT_FOUND (`details`: id and end state) when the call's record was pruned, and with
   * STEWARD_FACT_INVALID when the key keeps too many different facts already and this one says nothing more (`saysMore` of core/facts.ts:
   * the first word that it happened does); nothing is kept then.
   */
  keepEarlyFact(operation: string, key: string, fact: EarlyFact): Promise<{ readonly kept: true } | { readonly kept: false; readonly call: Call }>

  controls(): Promise<Controls>
  control(write: ControlWrite, alerts: readonly Alert[]): Promise<void>

  /** Adds alerts that belong to no call; known ids are left as they are. */
  raise(alerts: readonly Alert[]): Promise<void>
  /** Undelivered ones oldest first; all of them newest first. */
  alerts(query: { readonly undeliveredOnly: boolean; readonly limit: number }): Promise<readonly StoredAlert[]>
  alertsDelivered(ids: readonly string[], at: number): Promise<void>

  /** Calls at an end whose mark is due, by due time. A call that is open again has no mark: moving it back cleared it. */
  settlesDue(now: number, limit: number, operations?: readonly string[]): Promise<readonly SettleDue[]>
  /** The handler ran (`dueAt: null`), or is to run again then: moves a mark that is there and makes none, for somebody else may have told the application meanwhile. */
  settleTold(id: string, dueAt: number | null, tries: number): Promise<void>

  /** Leaves calls alone whose end the application has not been told. Replaces ended calls that ended before then by what outlives them: key, digests, end state. */
  prune(endedBefore: number, limit: number, digestsOf: (call: Call) => Readonly<Record<string, string>>): Promise<number>

  /** Called when another opening of the store (mostly another process) may have changed what code here waits for. Hints only: they may be lost or needless. Own writes need no hint. */
  onHint(listener: () => void): () => void
}

export type StoredAlert = Alert & { readonly deliveredAt: number | null }
