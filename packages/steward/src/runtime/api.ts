/** Options and answers of the facade: what users pass to Steward and get from it. */
import type { Alert } from '../core/alert.ts'
import type { Effect, State } from '../core/call.ts'
import type { Duration } from '../core/duration.ts'
import type { Json } from '../core/json.ts'
import type { Entry } from '../core/story.ts'
import type { Telling } from '../core/telling.ts'
import type { OperationDefinition } from '../ports/definition.ts'
import type { CallRef, Outcome } from '../ports/outcome.ts'
import type { Backlog, CallerTx, Control, Store, StoredAlert, WorkerRow } from '../ports/store.ts'
import type { Failpoints, Log, System } from '../ports/system.ts'
import type { Encryption } from './encryption.ts'

/** An operation as `defineOperation` returns it: the definition, checked. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- parameters of send and lookup make the type invariant; any is what "some operation" means
export type Operation<Input = any, Parsed = any, Result = any> = OperationDefinition<Input, Parsed, Result> & { readonly version: number }

/** Any operation with this result. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- see Operation
export type SomeOperation<Result> = Operation<any, any, Result>

export type StewardOptions = {
  readonly store: Store
  readonly operations?: readonly Operation[]
  /** Part of every provider-facing key: two environments that share a provider account need two. Fixed for a store's life. Default `default`. */
  readonly namespace?: string
  /** Told of every alert, at least once each, with a stable id. Default: a line on the console. `null`: this process delivers none, others do. */
  readonly onAlert?: ((alert: Alert) => void | Promise<void>) | null
  /** Names the deploy in stories, e.g. the commit. */
  readonly release?: string
  readonly log?: Log
  /** A worker's lease without a heartbeat. Default 4s: a frozen process is replaced within 5 s. At least 500ms. */
  readonly lease?: Duration
  /** Sends at once in this process. Default 64. */
  readonly concurrency?: number
  /** Ended calls are pruned this long after their end; key, digests of the input and end state are kept for ever. Default: nothing is pruned. */
  readonly keepEndedFor?: Duration
  /** Keeps inputs and results encrypted at rest. Default: plain text. */
  readonly encryption?: Encryption
  readonly system?: System
  readonly failpoints?: Failpoints
}

export type SubmitOptions<Input> = {
  /** The business key: the order id, never a random id. 1 to 512 characters. */
  readonly key: string
  readonly input: Input
  /** Tenant, customer or account. */
  readonly group?: string
  /** Not before this instant. */
  readonly runAt?: Date | number
  /** Not useful after this instant: ends `expired`, loudly. */
  readonly expiresAt?: Date | number
  /** Overrides the operation's. */
  readonly giveUpAfter?: Duration
  /** Lower goes first; −100 to 100, default 0. */
  readonly priority?: number
  /** The key of a call of this operation that certainly did not happen, whose purpose this one takes. */
  readonly supersedes?: string
  /**
   * The caller's own open transaction on the store's database: `fromPg(client)`, `fromDrizzle(tx, sql)` … of
   * `steward/postgres`, `fromDatabaseSync(db)` or `fromBetterSqlite3(db)` of `steward/sqlite`. The call is stored when that commits and
   * never was when it is rolled back; any worker finds it within about a second of the commit. Not together with `supersedes`. Ask for its outcome
   * after the commit.
   */
  readonly tx?: CallerTx
}

/** `submitMany` and `perform` have transactions of their own. */
export type OwnTxOptions<Input> = Omit<SubmitOptions<Input>, 'tx'>

/** What is stored by a plain statement replaces no other call: that one's row would stay locked until the caller's commit. */
export type PlainOptions<Input> = Omit<OwnTxOptions<Input>, 'supersedes'>

/** A submit as one statement: for any client of PostgreSQL that can run a text with its values. */
export type SubmitStatement<Result> = {
  /** One INSERT as SQL, with `$1`, `$2` … for the values. */
  readonly text: string
  readonly values: readonly (string | number | null)[]
  /**
   * What its one row says. The row can be read without this, too: `status` is `created`; `joined` (the key has a call with this
   * input; `id` is its id); `reused` (with another input: refused); `taken` (sealed, or with characters that the database cannot compare, so that only this function can tell); `pruned`;
   * `facts` (evidence waits for the key), `again` (somebody was faster) and `other_database`: not stored.
   *
   * @throws StewardError STEWARD_KEY_REUSED, STEWARD_TRANSACTION_REFUSED (`details.why`: `facts`, `again`, `other_database`); nothing was stored then.
   */
  readonly read: (row: Readonly<Record<string, unknown>> | undefined) => Submitted<Result>
}

export type PerformOptions<Input> = Omit<OwnTxOptions<Input>, 'runAt'> & {
  /** How long to await the outcome here; the call goes on without us. Default: the operation's timeout. */
  readonly wait?: Duration
}

export type Submitted<Result> = CallRef & {
  /** `joined`: the key already belonged to a call with the same input. */
  readonly status: 'created' | 'joined'
  /**
   * Resolves at an end or `in_doubt`; after `wait` with whatever is known. Without `wait` it waits for ever.
   *
   * @throws StewardError STEWARD_CALL_FORGOTTEN when the store has no record of the call any more, STEWARD_CLOSED.
   */
  outcome(options?: { readonly wait?: Duration }): Promise<Outcome<Result>>
}

/** A call as shown to people and programs; declared fields are redacted. */
export type CallView = CallRef & {
  readonly version: number
  readonly group: string | null
  readonly state: State
  readonly effect: Effect
  readonly reason: string
  readonly generation: number
  readonly attempts: number
  readonly createdAt: number
  readonly dueAt: number | null
  readonly expiresAt: number | null
  readonly giveUpAt: number | null
  readonly endedAt: number | null
  readonly priority: number
  readonly input: Json
  readonly result: Json
  readonly supersedes: string | null
  readonly supersededBy: string | null
  readonly story: readonly Entry[]
}

export type ListFilter = {
  readonly operation?: string
  readonly states?: readonly State[]
  readonly group?: string
  readonly keyPrefix?: string
  readonly endedAfter?: number
  readonly endedBefore?: number
  readonly afterId?: string
  readonly newestFirst?: boolean
  /** Default 50, at most 1,000. */
  readonly limit?: number
}

/** Who acts, and why: kept in the story. */
export type ByWhom = { readonly by: string; readonly why: string }

export type FactOptions = {
  /** Who says so: `webhook evt_123`. */
  readonly by: string
  /** When it was true. Default: now. A refutation covers only attempts that were over before it. */
  readonly at?: Date | number
  readonly attempt?: number
  /** The provider's own id of the effect. */
  readonly reference?: string
  readonly reason?: string
}

export type SettleOptions = ByWhom & {
  /** `happened`: it did · `send_again`: it did not, send it · `stop`: it did not, leave it. */
  readonly outcome: 'happened' | 'send_again' | 'stop'
  readonly result?: Json
  readonly reference?: string
}

export type RedriveOptions = ByWhom & { readonly expiresAt?: Date | number }
export type RedriveManyOptions = ByWhom & { /** Only say what would be done. */ readonly dryRun?: boolean; readonly limit?: number }
export type RedriveManyReport = {
  readonly matched: number
  readonly redriven: readonly CallRef[]
  /** Left alone, and why. */
  readonly refused: readonly (CallRef & { readonly why: string })[]
  readonly dryRun: boolean
}

export type RestoredOptions = ByWhom & {
  /** The instant from which on commits may be lost: that of the backup, or the last one the standby surely had. Too early is safe, too late is not. */
  readonly lostSince: Date | number
  /**
   * Calls that the database forgot altogether come back when their callers submit them again. Those submitted within this time
   * are looked up before they are first sent, where their provider can be asked. Default 7d.
   */
  readonly lookFirstFor?: Duration
  /** Only say what would be done. */
  readonly dryRun?: boolean
}
export type RestoredReport = {
  readonly lostSinceAt: number
  /** From then on nothing was sent. */
  readonly noticedAt: number
  readonly lookFirstUntilAt: number
  /** Open calls that may have been sent in the lost time, by what becomes of them: sent again (safely), asked about, a person decides, running. */
  readonly presumed: { readonly sentAgain: number; readonly lookedUp: number; readonly inDoubt: number; readonly running: number }
  /** The first 1,000 of those that a person must decide. */
  readonly inDoubt: readonly CallRef[]
  /** Open calls that no worker can have sent in that time. */
  readonly untouched: number
  readonly dryRun: boolean
}

export type ScopeName = { readonly provider: string } | { readonly operation: string } | { readonly group: string }

export type AlertView = StoredAlert

/** What `Steward` offers; `Steward.open(options)` makes one. */
export interface StewardApi {
  /** This process works calls, too. Idempotent. */
  start(options?: { readonly concurrency?: number }): void
  /**
   * Stores a call, or joins the one that has its key; durable when this resolves, or with `tx` when that transaction commits.
   *
   * @throws StewardError STEWARD_KEY_*, STEWARD_INPUT_*, STEWARD_OPTION_INVALID, STEWARD_SUPERSEDES_REFUSED, STEWARD_TRANSACTION_REFUSED,
   * STEWARD_STORE_*, STEWARD_OVERLOADED, STEWARD_CLOSED; nothing was stored, unless `details.outcome` is `unknown`.
   */
  submit<I, P, R>(operation: Operation<I, P, R>, options: SubmitOptions<I>): Promise<Submitted<R>>
  /**
   * The same as one plain statement, to be run inside the caller's transaction by any client: another language's, a stored
   * procedure's caller, a batch. It is good for one call, and until the database's server is started anew.
   *
   * @throws StewardError STEWARD_KEY_INVALID, STEWARD_INPUT_*, STEWARD_OPTION_INVALID, STEWARD_TRANSACTION_REFUSED where the store has none (only PostgreSQL has).
   */
  submitStatement<I, P, R>(operation: Operation<I, P, R>, options: PlainOptions<I>): Promise<SubmitStatement<R>>
  /**
   * Up to 10,000 calls in one transaction. All are checked first: when one is invalid, none is stored. Keys that
   * belong to calls with another input are refused with STEWARD_KEY_REUSED (`details.reused` lists them) after the
   * others were stored; submitting the same list again joins those.
   */
  submitMany<I, P, R>(operation: Operation<I, P, R>, items: readonly OwnTxOptions<I>[]): Promise<readonly Submitted<R>[]>
  /** Stores the call, sends it at once from this process and awaits its outcome; it goes on without us after `wait`. */
  perform<I, P, R>(operation: Operation<I, P, R>, options: PerformOptions<I>): Promise<Outcome<R>>
  outcome<R>(operation: SomeOperation<R> | string, key: string, options?: { readonly wait?: Duration }): Promise<Outcome<R>>
  find(operation: Operation | string, key: string): Promise<CallView | null>
  get(id: string): Promise<CallView | null>
  list(filter?: ListFilter): Promise<readonly CallView[]>
  /** It happened, says evidence. Also before the call exists. */
  confirm(operation: Operation | string, key: string, fact: FactOptions & { readonly result?: Json }): Promise<CallView | null>
  /**
   * It did not happen, says evidence. Needs `at` (the event's own instant) or `attempt`: a repeated webhook must not speak of later attempts.
   *
   * @throws StewardError STEWARD_STORE_SET_BACK while nobody has said what a database that was set back has lost: say it again then.
   */
  refute(operation: Operation | string, key: string, fact: FactOptions): Promise<CallView | null>
  settle(operation: Operation | string, key: string, options: SettleOptions): Promise<CallView>
  cancel(operation: Operation | string, key: string, who: ByWhom): Promise<CallView>
  retryNow(operation: Operation | string, key: string, who: ByWhom): Promise<CallView>
  redrive(operation: Operation | string, key: string, options: RedriveOptions): Promise<CallView>
  redriveMany(filter: ListFilter, options: RedriveManyOptions): Promise<RedriveManyReport>
  pause(scope: ScopeName, who: ByWhom): Promise<void>
  /** Lifts a pause; a hold that a provider asked for goes on behind it, and is lifted by a second `resume`. */
  resume(scope: ScopeName, who: ByWhom): Promise<void>
  /**
   * The database was set back (a restored backup, a failover that lost commits), and this is what it lost. Holds everything if
   * the store has not done that by itself, presumes each open call sent that may have been, and lets everything go on: what is
   * safe is sent again, what can be asked is asked about, the rest is in doubt. Facts told by `confirm` before that are not sent again.
   *
   * @throws StewardError STEWARD_REASON_MISSING, STEWARD_OPTION_INVALID, STEWARD_OPERATION_UNKNOWN, STEWARD_STORE_*; what was held stays held.
   */
  restored(options: RestoredOptions): Promise<RestoredReport>
  /** Pauses and holds in force. */
  controls(): Promise<readonly Control[]>
  /** Open calls by operation and version, and since when the oldest of each is due. */
  backlog(): Promise<readonly Backlog[]>
  /** Worker processes that have not signed off, those declared dead included. */
  workers(): Promise<readonly WorkerRow[]>
  alerts(query?: { readonly undeliveredOnly?: boolean; readonly limit?: number }): Promise<readonly AlertView[]>
  /** The story in plain sentences, and the four answers of 2am (`tell` of `core/tell.ts`). */
  tell(operation: Operation | string, key: string): Promise<Telling>
  /** Stops claiming, lets begun attempts finish for up to `grace` (default 10s), gives the rest back. */
  close(options?: { readonly grace?: Duration }): Promise<void>
}
