/**
 * `postgres({ pool })`: the store of a fleet. Any number of processes on any number of machines share the calls in one
 * schema of a PostgreSQL database (15 or later), beside the application's own tables.
 *
 * What is acknowledged is committed. Every statement is a transaction of its own, or part of a short one; nothing is kept
 * in a session between them. When the database is away, whoever asks is told so at once, with what became of the request
 * (`details.outcome`), and everything goes on by itself when it is back.
 */
import type { Call } from '../core/call.ts'
import { invariant, StewardError } from '../core/errors.ts'
import type { Backlog, CallerTx, CallWrite, ClaimQuery, Controls, ControlWrite, EarlyFact, InsertResult, InsertWrite, Lane, LateLane, Lease, ListQuery, MigrationReport, PlainInsert, Pulse, PulseQuery, SettleDue, SettleInTx, Store, StoredAlert, StoreOpening, WorkerRow, WriteResult } from '../ports/store.ts'
import type { Alert } from '../core/alert.ts'
import type { Failpoints } from '../ports/system.ts'
import { META } from '../store-sql/migrations.ts'
import { recordDecoder } from '../store-sql/record.ts'
import { StoreClock } from '../store-sql/store-clock.ts'
import { alertRows } from './alert-rows.ts'
import { Around } from './around.ts'
import { Batches } from './batches.ts'
import { DatabaseClock, machineTicks } from './clock.ts'
import { controlRows } from './control-rows.ts'
import { environmentsFailpoints, passing, pointsOfWrites } from './failpoints.ts'
import { Hints } from './hints.ts'
import { Incarnation, PLACE, tellIncarnation, type Told } from './incarnation.ts'
import { CallInserts } from './inserts.ts'
import { keeping } from './keeping.ts'
import { laneRows } from './lanes.ts'
import { Outbox } from './outbox.ts'
import { Connections, type PgClient, type PgPool, statement } from './pool.ts'
import { pulses } from './pulse.ts'
import { questions } from './questions.ts'
import { migrateSchema, type OpeningOptions, openSchema, quoted } from './schema.ts'
import { Settling } from './settling.ts'
import { workerRows } from './worker-rows.ts'
import { CallWrites } from './writes.ts'

export { fromDrizzle, fromKnex, fromKysely, fromPg, fromPostgresJs, fromQuery, type RunInTx } from './caller.ts'
export { toPg } from './settling.ts'
export type { PgClient, PgPool, PgQuery, PgResult } from './pool.ts'

export type PostgresOptions = {
  /** The application's own pool (`new pg.Pool(…)`). It is never ended here, and at most `connections` + 2 of it are used. */
  readonly pool?: PgPool
  /** Instead of a pool: where to connect. Needs the package `pg` to be installed. */
  readonly connectionString?: string
  /** Schema that holds the store's tables and nothing else; created when it is missing. Default `steward`. */
  readonly schema?: string
  /** Whether opening may create the schema or bring it to this version. Default true; with false, `steward migrate` does it, or `migratePostgres`. */
  readonly migrate?: boolean
  /** Connections of the pool under way at once; one more while `onSettled` runs, and one to listen. 1 to 50, default 4. */
  readonly connections?: number
  /** Prepared statements. Default `auto`: where one connection is one session, that is, not behind a pooler. */
  readonly prepare?: 'auto' | boolean
  /** Hints between processes by LISTEN, which holds one connection. Default `auto`: where one connection is one session and the pool has room. */
  readonly listen?: 'auto' | boolean
  /** Milliseconds after which a statement without an answer counts as lost. Default 30,000. */
  readonly statementMs?: number
  /** Milliseconds that submits wait, together, for a key that a transaction elsewhere has; the others then go on, and that one tries again for about 15 s. Default 100. */
  readonly lockMs?: number
  /** Milliseconds an `onSettled` handler may hold the recording transaction open. Default 1,000. */
  readonly settleMs?: number
  /** Tests only: told of named points around commits. Default: those of STEWARD_FAILPOINTS, at which the process ends itself. See ports/failpoints.ts. */
  readonly failpoints?: Failpoints
  /** Tests only: the time of the store, instead of the database's. */
  readonly clock?: () => number
  /** Milliseconds since some start, by which time goes on between two readings of the database's. Default: the machine's; beside a `clock` none (time stands still). */
  readonly ticks?: () => number
}

/**
 * A store in a schema of a PostgreSQL database, for any number of processes.
 *
 * @throws StewardError STEWARD_OPTION_INVALID; everything else is said by `open`.
 */
export function postgres(options: PostgresOptions): Store {
  return new PostgresStore(checked(options))
}

/**
 * Creates the schema or brings it to this version, and ends: for a role that may, before processes whose role may not.
 * Any number may run at once; one migrates and the others wait. With `dryRun` it only says what it would do.
 *
 * @throws StewardError STEWARD_STORE_*, STEWARD_NAMESPACE_CHANGED; nothing was changed then.
 */
export async function migratePostgres(options: PostgresOptions & { readonly namespace?: string; readonly dryRun?: boolean }): Promise<MigrationReport> {
  const store = new PostgresStore(checked(options))
  return await store.migrate({ namespace: options.namespace ?? 'default', notice: () => undefined }, { dryRun: options.dryRun === true })
}

function checked(options: PostgresOptions): PostgresOptions {
  const invalid = (why: string): StewardError => new StewardError('STEWARD_OPTION_INVALID', `postgres(…): ${why}. Nothing was opened.`)
  if ((options.pool === undefined) === (options.connectionString === undefined)) throw invalid('give either a pool or a connectionString')
  if (options.pool !== undefined && typeof options.pool.connect !== 'function') throw invalid('pool must be a pg.Pool')
  const { schema = 'steward', connections = CONNECTIONS, lockMs = LOCK_MS } = options
  if (schema === '' || Buffer.byteLength(schema) > 63 || schema.startsWith('pg_')) throw invalid(`schema is "${schema}"; it must be a name of 1 to 63 bytes that does not begin with pg_`)
  if (!Number.isInteger(connections) || connections < 1 || connections > 50) throw invalid(`connections is ${connections}; it must be a whole number from 1 to 50`)
  if (!Number.isInteger(lockMs) || lockMs < 1) throw invalid(`lockMs is ${lockMs}; it must be a whole number from 1 on`)
  return options
}

const CONNECTIONS = 4
const STATEMENT_MS = 30_000
const SETTLE_MS = 1_000
const LOCK_MS = 100
/** How often the high-water mark is written, at most. */
const MARK_EVERY_MS = 1_000

/** What exists between `open` and `close`. */
type Opened = {
  readonly pool: PgPool
  readonly around: Around
  readonly hints: Hints
  readonly writes: Batches<CallWrite, WriteResult>
  readonly inserts: Batches<InsertWrite, InsertResult>
  readonly settling: Settling
  readonly outbox: Outbox
  readonly lanes: ReturnType<typeof laneRows>
  readonly workers: ReturnType<typeof workerRows>
  readonly pulse: ReturnType<typeof pulses>
  readonly questions: ReturnType<typeof questions>
  readonly keeping: ReturnType<typeof keeping>
  readonly controls: ReturnType<typeof controlRows>
  readonly alerts: ReturnType<typeof alertRows>
  readonly incarnation: Incarnation
}

class PostgresStore implements Store {
  readonly name: string
  readonly pulseMs = 1_000
  readonly #options: PostgresOptions
  readonly #schema: string
  readonly #ticks: () => number
  readonly #failpoints: Failpoints | null
  readonly #database: DatabaseClock
  readonly #clock: StoreClock
  readonly #onPoolError = (): void => undefined
  /** A pool stops listening a moment before whoever asked for the connection can: an error in between would end the process. */
  readonly #onPoolConnect = (client: PgClient): void => void client.on('error', this.#onPoolError)
  #opened: Opened | null = null
  #marked = 0

  constructor(options: PostgresOptions) {
    this.#options = options
    this.#schema = options.schema ?? 'steward'
    this.name = `postgres schema "${this.#schema}"`
    this.#ticks = options.ticks ?? (options.clock ? () => 0 : machineTicks)
    this.#failpoints = options.failpoints ?? environmentsFailpoints()
    this.#database = new DatabaseClock(this.#ticks)
    this.#clock = new StoreClock(options.clock ?? (() => this.#database.now()), this.#ticks, "the database's")
  }

  async open(opening: StoreOpening): Promise<void> {
    invariant(this.#opened === null, `${this.name} was opened twice`)
    this.#clock.notice = opening.notice
    const pool = await this.#pool()
    try {
      const connections = this.#connections(pool)
      const mark = await openSchema(this.#opening(connections, opening), this.#options.migrate ?? true)
      const told = await tellIncarnation(connections)
      if (told.system === null || told.timeline === null) opening.notice(`${this.name} does not tell which database it is (this role needs pg_control_system() and pg_current_wal_lsn()): that it was set back is noticed only by processes that lived through it. Grant it those; else say so yourself after a failover or a restored backup: steward restored --lost-since TIME.`)
      const s = `${quoted(this.#schema)}.`
      const around = new Around({ connections, s, namespace: opening.namespace, name: this.name, decode: recordDecoder(opening.namespace), clock: this.#database, ticks: this.#ticks, told, notice: opening.notice })
      const [row] = await around.timed(openingText(s), [META.opening])
      const id = row?.['id'] as string
      around.place = row?.['place'] as string
      this.#clock.reach(mark)
      this.#marked = mark
      const hints = new Hints(connections, this.#schema, id)
      const opened = parts(pool, around, hints, this.#options, told, mark, () => this.now(), this.#failpoints)
      await opened.incarnation.judgeRecord()
      around.judge = (answer) => opened.incarnation.judgeAnswer(answer)
      this.#opened = opened
      if (await this.#listens(connections)) await hints.listen()
    } catch (error) {
      await this.#letGo(pool)
      throw error
    }
  }

  async migrate(opening: StoreOpening, { dryRun }: { readonly dryRun: boolean }): Promise<MigrationReport> {
    const pool = await this.#pool()
    try {
      return await migrateSchema(this.#opening(this.#connections(pool), opening), dryRun)
    } finally {
      await this.#letGo(pool)
    }
  }

  async #pool(): Promise<PgPool> {
    const { pool, connectionString, connections = CONNECTIONS } = this.#options
    const one = pool ?? (await ownPool(connectionString as string, connections + 2))
    // Without a listener, an idle connection that breaks ends the process.
    one.on('error', this.#onPoolError)
    one.on('connect', this.#onPoolConnect)
    return one
  }

  #connections(pool: PgPool): Connections {
    const { connections: limit = CONNECTIONS, prepare = 'auto', statementMs = STATEMENT_MS } = this.#options
    return new Connections({ name: this.name, pool, limit, prepare, statementMs })
  }

  #opening(connections: Connections, { namespace, notice }: StoreOpening): OpeningOptions {
    return { connections, schema: this.#schema, namespace, name: this.name, notice }
  }

  async #listens(connections: Connections): Promise<boolean> {
    const { listen = 'auto', pool, connections: limit = CONNECTIONS } = this.#options
    if (listen !== 'auto') return listen
    // Of a small pool, or one of unknown size, no connection stays out.
    const hasRoom = pool === undefined || (pool.options?.max ?? 0) >= limit + 2
    return hasRoom && (await connections.direct())
  }

  async close(): Promise<void> {
    const opened = this.#opened
    if (opened === null) return
    await opened.settling.idle()
    this.#opened = null
    await opened.hints.close()
    await this.#letGo(opened.pool)
  }

  async #letGo(pool: PgPool): Promise<void> {
    if (this.#options.pool === undefined) await pool.end()
    else for (const [event, listener] of [['error', this.#onPoolError], ['connect', this.#onPoolConnect]] as const) pool.removeListener?.(event, listener)
  }

  now(): number {
    return this.#clock.now()
  }
  nowAtMost(): number {
    return this.#clock.now() + (this.#options.clock === undefined ? this.#database.uncertaintyMs : 0)
  }

  #open(): Opened {
    if (this.#opened === null) throw new StewardError('STEWARD_CLOSED', `${this.name} is closed. Nothing was stored. Open it again, or finish the work before closing.`)
    return this.#opened
  }

  /** Beside a change: the latest time is written down now and then, so that whoever opens later does not fall behind it. */
  async #marking<Value>(change: Promise<Value>): Promise<Value> {
    const now = this.now()
    if (now < this.#marked + MARK_EVERY_MS) return await change
    this.#marked = now
    const { around, incarnation } = this.#open()
    const been = incarnation.mark
    const [done, marked] = await Promise.allSettled([change, around.connections.run(markText(around.s), [META.time, now, now - MARK_EVERY_MS])])
    if (marked.status === 'fulfilled') await incarnation.judgeMark(been, Number(marked.value[0]?.['found']), Number(marked.value[0]?.['mark']))
    if (done.status === 'rejected') throw done.reason as Error
    return done.value
  }

  async write(batch: readonly CallWrite[]): Promise<readonly WriteResult[]> {
    const { writes, hints } = this.#open()
    const results = await this.#marking(writes.add(batch))
    if (batch.some((write) => write.call.state !== 'running')) hints.committed()
    return results
  }
  async insert(batch: readonly InsertWrite[]): Promise<readonly InsertResult[]> {
    const { inserts, hints } = this.#open()
    const results = await this.#marking(inserts.add(batch))
    if (batch.some((write) => write.lease === undefined)) hints.committed()
    return results
  }
  async insertWithin(tx: CallerTx, write: InsertWrite): Promise<InsertResult> {
    return await this.#open().outbox.insertWithin(tx, write)
  }
  async insertStatement(write: InsertWrite): Promise<PlainInsert> {
    return this.#open().outbox.plain(write)
  }
  async writeSettling(write: CallWrite, inTx: SettleInTx): Promise<{ readonly result: WriteResult; readonly handler?: unknown }> {
    const { settling, hints } = this.#open()
    const settled = await this.#marking(passing(this.#failpoints, () => pointsOfWrites([write]), () => settling.writeSettling(write, inTx)))
    hints.committed()
    return settled
  }

  async claim(query: ClaimQuery): Promise<readonly Call[]> {
    const { lanes } = this.#open()
    return await passing(this.#failpoints, () => ['claim'], () => lanes.claim(query))
  }
  async giveBack(lease: Lease, ids: readonly string[]): Promise<void> {
    const { workers, lanes, hints } = this.#open()
    try {
      lanes.ranges.behind(await workers.giveBack(lease, ids))
    } catch (error) {
      // They may be given back all the same, and asked again it would not say where.
      lanes.ranges.forget()
      throw error
    }
    if (ids.length > 0) hints.committed()
  }
  async leasedTo(lease: Lease, limit: number): Promise<readonly Call[]> {
    return await this.#open().workers.leasedTo(lease, limit)
  }
  async enlist(row: Omit<WorkerRow, 'fenced'>): Promise<void> {
    await this.#open().workers.enlist(row)
  }
  async pulse(query: PulseQuery): Promise<Pulse> {
    return await this.#open().pulse(query)
  }
  async leave(lease: Lease): Promise<void> {
    const { workers, lanes, hints } = this.#open()
    await workers.leave(lease, this.now())
    lanes.ranges.forget()
    hints.committed()
  }
  async workers(): Promise<readonly WorkerRow[]> {
    return await this.#open().workers.workers()
  }
  async fenceDead(now: number, except: string | null): Promise<readonly WorkerRow[]> {
    return await this.#open().workers.fenceDead(now, except)
  }
  async orphans(limit: number, operations?: readonly string[]): Promise<readonly Call[]> {
    const { workers, lanes } = this.#open()
    const { calls, freed } = await workers.orphans(limit, operations, this.now())
    // What the lost had claimed waits again.
    lanes.ranges.behind(freed)
    return calls
  }

  async get(id: string): Promise<Call | null> {
    return await this.#open().questions.get(id)
  }
  async find(operation: string, key: string): Promise<Call | null> {
    return await this.#open().questions.find(operation, key)
  }
  async getMany(ids: readonly string[]): Promise<readonly Call[]> {
    return await this.#open().questions.getMany(ids)
  }
  async list(query: ListQuery): Promise<readonly Call[]> {
    return await this.#open().questions.list(query)
  }
  async overdue(now: number, limit: number, operations?: readonly string[]): Promise<readonly Call[]> {
    return await this.#open().questions.overdue(now, limit, operations)
  }
  async backlog(): Promise<readonly Backlog[]> {
    return await this.#open().questions.backlog()
  }
  async lateLanes(dueBefore: number): Promise<readonly LateLane[]> {
    return await this.#open().lanes.lateLanes(dueBefore)
  }
  async nextDueAt(lanes: readonly Lane[]): Promise<number | null> {
    return await this.#open().lanes.nextDueAt(lanes)
  }

  async keepEarlyFact(operation: string, key: string, fact: EarlyFact): Promise<{ readonly kept: true } | { readonly kept: false; readonly call: Call }> {
    return await this.#open().keeping.keepEarlyFact(operation, key, fact)
  }
  async controls(): Promise<Controls> {
    return await this.#open().controls.controls()
  }
  async control(write: ControlWrite, alerts: readonly Alert[]): Promise<void> {
    const { controls, hints } = this.#open()
    await controls.control(write, alerts)
    hints.committed()
  }

  async raise(alerts: readonly Alert[]): Promise<void> {
    await this.#open().alerts.raise(alerts)
  }
  async alerts(query: { readonly undeliveredOnly: boolean; readonly limit: number }): Promise<readonly StoredAlert[]> {
    return await this.#open().alerts.alerts(query.undeliveredOnly, query.limit)
  }
  async alertsDelivered(ids: readonly string[], at: number): Promise<void> {
    await this.#open().alerts.delivered(ids, at)
  }

  async settlesDue(now: number, limit: number, operations?: readonly string[]): Promise<readonly SettleDue[]> {
    return await this.#open().questions.settlesDue(now, limit, operations)
  }
  async settleTold(id: string, dueAt: number | null, tries: number): Promise<void> {
    await this.#open().questions.settleTold(id, dueAt, tries)
  }
  async prune(endedBefore: number, limit: number, digestsOf: (call: Call) => Readonly<Record<string, string>>): Promise<number> {
    return await this.#open().keeping.prune(endedBefore, limit, digestsOf)
  }

  onHint(listener: () => void): () => void {
    return this.#open().hints.onHint(listener)
  }
}

/** Names the opening. It writes, so that a database that takes no writes is found out at once. */
const openingText = (s: string) => statement(`INSERT INTO ${s}steward_meta (name, value) VALUES ($1, gen_random_uuid()::text) ON CONFLICT (name) DO UPDATE SET value = excluded.value RETURNING value AS id, ${PLACE} AS place, ${s}steward_now() AS now`)
const markText = (s: string) => statement(`WITH found AS (SELECT value::bigint AS at FROM ${s}steward_meta WHERE name = $1), moved AS (UPDATE ${s}steward_meta SET value = $2::bigint::text WHERE name = $1 AND value::bigint <= $3::bigint RETURNING value::bigint AS at)
  SELECT f.at AS found, coalesce((SELECT at FROM moved), f.at) AS mark FROM found AS f`)

function parts(pool: PgPool, around: Around, hints: Hints, { settleMs = SETTLE_MS, lockMs = LOCK_MS }: PostgresOptions, told: Told, mark: number, now: () => number, failpoints: Failpoints | null): Opened {
  const controls = controlRows(around)
  const writes = new CallWrites(around, controls)
  const inserts = new CallInserts(around, writes, lockMs)
  const alerts = alertRows(around)
  const lanes = laneRows(around, alerts)
  const incarnation = new Incarnation(around, controls, told, mark, now)
  return {
    pool, around, hints, controls,
    writes: new Batches((batch) => passing(failpoints, () => pointsOfWrites(batch), () => writes.write(batch))),
    inserts: new Batches((batch) => passing(failpoints, () => ['submit'], () => inserts.insert(batch))),
    settling: new Settling(around, writes, settleMs),
    outbox: new Outbox(around, inserts),
    lanes,
    workers: workerRows(around),
    pulse: pulses(around, lanes, incarnation),
    questions: questions(around),
    keeping: keeping(around, lockMs),
    alerts,
    incarnation,
  }
}

async function ownPool(connectionString: string, max: number): Promise<PgPool> {
  let Pool: new (options: object) => PgPool
  try {
    ({ Pool } = (await import('pg')).default)
  } catch (error) {
    throw new StewardError('STEWARD_OPTION_INVALID', 'postgres({ connectionString }) needs the package pg, which is not installed here. Nothing was opened. Run `npm install pg`, or pass a pool.', {}, { cause: error })
  }
  return new Pool({ connectionString, max, connectionTimeoutMillis: 10_000, application_name: 'steward', allowExitOnIdle: true })
}
