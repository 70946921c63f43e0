/** What the parts of one opened store share: its connections, its place, its time, and how rows become records. */
import type { Call } from '../core/call.ts'
import { StewardError } from '../core/errors.ts'
import { BETWEEN } from '../store-sql/record.ts'
import type { DatabaseClock } from './clock.ts'
import { lineOf, systemOf, type Told } from './incarnation.ts'
import { type Connections, type Row, type Session, type Statement, statement, type Value } from './pool.ts'

export type AroundOptions = {
  readonly connections: Connections
  /** The schema, quoted, with its dot: stands before every table's name. */
  readonly s: string
  readonly namespace: string
  readonly name: string
  readonly decode: (text: string) => Call
  readonly clock: DatabaseClock
  readonly ticks: () => number
  /** What the database told of itself at the opening. */
  readonly told: Told
  /** Something that people should know of, and that no caller can be told. */
  readonly notice: (text: string) => void
}

const ROW = 't.id, t.rev, t.operation, t.grp, t.state, t.body, t.input'

export class Around {
  readonly connections: Connections
  readonly s: string
  readonly namespace: string
  readonly name: string
  /** Columns that the answers of changes end with: the database's time, and on which line of its history it is. */
  readonly timing: string
  /** A heartbeat's answer also tells the system. */
  readonly system: string
  /** Milliseconds that only ever grow. */
  readonly ticks: () => number
  readonly notice: (text: string) => void
  /** Where the database is, as the store's own connections were last told. */
  place = ''
  readonly #o: AroundOptions
  readonly #sql: Readonly<Record<'open' | 'ended' | 'latch' | 'exclude' | 'timing', Statement>>

  constructor(options: AroundOptions) {
    const { s } = options
    this.#o = options
    this.connections = options.connections
    this.s = s
    this.namespace = options.namespace
    this.name = options.name
    this.timing = `${s}steward_now() AS now, ${lineOf(options.told)} AS line`
    this.system = systemOf(options.told)
    this.ticks = options.ticks
    this.notice = options.notice
    this.#sql = {
      open: statement(`SELECT ${ROW}, t.version, t.place, t.worker, t.epoch, false AS ended FROM ${s}steward_open AS t WHERE t.id = $1 FOR UPDATE`),
      ended: statement(`SELECT ${ROW}, true AS ended FROM ${s}steward_ended AS t WHERE t.id = $1 FOR UPDATE`),
      latch: statement(`SELECT FROM ${s}steward_control_rev WHERE false FOR KEY SHARE`),
      timing: statement(`SELECT ${this.timing}`),
      exclude: statement(`LOCK TABLE ${s}steward_control_rev IN EXCLUSIVE MODE`),
    }
  }

  /** The record of a row with `body` and `input`. */
  call(row: Row): Call {
    return this.#o.decode(`${row['body'] as string}${BETWEEN}${row['input'] as string}`)
  }

  /** Asked of each answer that brings the database's time along. */
  judge: (row: Row) => Promise<void> = () => Promise.resolve()

  /** A statement whose answer ends with `timing`. @throws StewardError STEWARD_STORE_SET_BACK: its change is not to be trusted. */
  async timed(one: Statement, values: readonly Value[]): Promise<readonly Row[]> {
    const sent = this.ticks()
    const rows = await this.connections.run(one, values)
    // With others under way the statement may have waited here for a connection: the interval is wider then, and still true.
    this.#learn(rows[0], sent)
    if (rows[0] !== undefined) await this.judge(rows[0])
    return rows
  }

  /** The same for a change that takes several statements. Judged after its commit: who notices takes a lock that this transaction may hold. */
  async timedTransaction<Value>(work: (session: Session) => Promise<Value>): Promise<Value> {
    const { value, row } = await this.connections.transaction(async (session) => {
      const value = await work(session)
      const sent = this.ticks()
      const [row] = await session.query(this.#sql.timing)
      this.#learn(row, sent)
      return { value, row }
    })
    if (row !== undefined) await this.judge(row)
    return value
  }

  #learn(row: Row | undefined, sent: number): void {
    if (row?.['now'] !== undefined) this.#o.clock.learn(Number(row['now']), sent, this.ticks())
  }

  /** Runs what follows a commit of the same batch: "nothing was stored" would no longer be true of it. */
  async afterCommit<Value>(work: () => Promise<Value>): Promise<Value> {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof StewardError) || error.code !== 'STEWARD_STORE_UNAVAILABLE') throw error
      throw new StewardError('STEWARD_STORE_UNAVAILABLE', `a part of a batch was stored in ${this.name}, and what became of the rest is not known (${error.message}). Repeat the same writes: they join what is there.`, { ...error.details, outcome: 'unknown' }, { cause: error })
    }
  }

  /** Of a key whose call is nowhere, however often one looks. */
  withoutRecord(operation: string, key: string, id: string): StewardError {
    return new StewardError('STEWARD_STORE_CORRUPT', `key "${key}" of ${operation} belongs to call ${id}, of which ${this.name} has no record: its row was deleted by other hands. Nothing was stored or sent. Put the row back from a backup; keys are kept for ever, and whether it happened is not known here.`, { operation, key, callId: id })
  }

  /** The call's row wherever it is, locked until the transaction ends; it may move while the lock is waited for. */
  async rowOf(session: Session, id: string): Promise<Row | null> {
    for (let looks = 0; looks < 3; looks++) {
      const [row] = await session.query(this.#sql.open, [id])
      if (row) return row
      const [ended] = await session.query(this.#sql.ended, [id])
      if (ended) return ended
    }
    return null
  }

  /** Holds changes of the controls off until the transaction ends, so that a revision read now is the one at its commit. */
  async latch(session: Session): Promise<void> {
    await session.query(this.#sql.latch)
  }

  /** Waits for every begin under way, and holds later ones off until the transaction ends. First of all in a transaction. */
  async excludeBegins(session: Session): Promise<void> {
    await session.change(this.#sql.exclude)
  }
}
