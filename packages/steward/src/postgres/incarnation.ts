/**
 * Which database this is, and on which line of its history: how a store finds out that it was set back.
 *
 * A backup restored with point-in-time recovery, and a standby that is promoted, begin another timeline; a dump loaded into
 * another cluster has another system identifier. The pair as of the last opening is on record, so that whoever opens next
 * compares. Processes that live on see the timeline with each change they make (and send nothing under one that is new), and
 * the system with each heartbeat. A server that only lost its last commits (`synchronous_commit = off`, a snapshot of its
 * disk) changes neither: those who saw a later high-water mark find out by that, within about a second.
 *
 * Where the role may not read either, or the database has no such thing, a person says what happened.
 */
import { StewardError } from '../core/errors.ts'
import { EVERYTHING, setBackAlert, setBackHold } from '../ports/set-back.ts'
import { META } from '../store-sql/migrations.ts'
import { raise } from './alert-rows.ts'
import type { Around } from './around.ts'
import type { ControlRows } from './control-rows.ts'
import { type Connections, type Row, sqlState, statement } from './pool.ts'

/** Read from the log's own position: what the control file says of it is as old as the last checkpoint. */
const TIMELINE = "('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int"
const SYSTEM = '(SELECT system_identifier FROM pg_control_system())::text'

/**
 * Which database of which server, and since when that runs, as text: for any role. A copy has the names, the namespace and every id of
 * the original, and may have its number in the server; it is never of the same server at the same start.
 */
export const PLACE = "((SELECT d.oid::text FROM pg_database AS d WHERE d.datname = current_database()) || ' ' || extract(epoch FROM pg_postmaster_start_time())::text)"

/** `null` where the database does not tell. */
export type Told = { readonly system: string | null; readonly timeline: number | null }

/** Classes of SQLSTATE: connection, rolled back for others, resources, operator intervention (timeouts among them), system. */
const TRANSIENT = /^(?:08|40|53|57|58)/

async function asked(connections: Connections, what: string): Promise<unknown> {
  try {
    return (await connections.read(`SELECT ${what} AS told`))[0]?.['told'] ?? null
  } catch (error) {
    // Without the right or the function, it does not tell. One that stops, or is overloaded, would tell another time: its successor may be asked next.
    const state = sqlState(error)
    if (state !== null && !TRANSIENT.test(state)) return null
    throw error
  }
}

export async function tellIncarnation(connections: Connections): Promise<Told> {
  const timeline = await asked(connections, TIMELINE)
  return { system: (await asked(connections, SYSTEM)) as string | null, timeline: timeline === null ? null : Number(timeline) }
}

/** As it is kept: `7713072824227599102/1`. */
const recordOf = ({ system, timeline }: Told): string | null => (system === null || timeline === null ? null : `${system}/${timeline}`)

/** What the answers of changes bring along, and of heartbeats, to be compared with what was told at the opening. */
export const lineOf = (told: Told): string => (told.timeline === null ? 'NULL::int' : TIMELINE)
export const systemOf = (told: Told): string => (told.system === null ? 'NULL::text' : SYSTEM)

export class Incarnation {
  readonly #around: Around
  readonly #controls: ControlRows
  readonly #now: () => number
  readonly #sql
  #told: Told
  /** The latest high-water mark that this opening knows to be committed. */
  #mark: number
  #noticing: Promise<void> | null = null

  constructor(around: Around, controls: ControlRows, told: Told, mark: number, now: () => number) {
    const { s } = around
    this.#around = around
    this.#controls = controls
    this.#now = now
    this.#told = told
    this.#mark = mark
    this.#sql = {
      known: statement(`SELECT m.value AS known, (SELECT t.value FROM ${s}steward_meta AS t WHERE t.name = '${META.time}') AS mark,
        EXISTS (SELECT 1 FROM ${s}steward_control AS c WHERE c.kind = '${EVERYTHING.kind}') AS held FROM (SELECT 1) AS one LEFT JOIN ${s}steward_meta AS m ON m.name = '${META.incarnation}'`),
      keep: statement(`INSERT INTO ${s}steward_meta (name, value) VALUES ('${META.incarnation}', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value`),
    }
  }

  /** At the opening: compares with what is on record. */
  async judgeRecord(): Promise<void> {
    const now = recordOf(this.#told)
    if (now === null) return
    const [row] = await this.#around.connections.run(this.#sql.known)
    const known = row?.['known'] as string | null
    if (known === null) await this.#around.connections.run(this.#sql.keep, [now])
    else if (known !== now) await this.#notice(this.#told, `the database is another than the one on record (system identifier and timeline ${now}, before ${known}): a standby was promoted, or a backup restored`)
  }

  /** @throws StewardError STEWARD_STORE_SET_BACK when this answer came from another database than the last one, or from another line of it. */
  async judgeAnswer(row: Row): Promise<void> {
    const { system, timeline } = this.#told
    const told: Told = { timeline: row['line'] === null || row['line'] === undefined ? timeline : Number(row['line']), system: (row['system'] as string | null | undefined) ?? system }
    if (told.timeline === timeline && told.system === system) return
    await this.#notice(told, `the database is another than a moment ago (system identifier and timeline ${recordOf(told) ?? 'unknown'}, before ${recordOf(this.#told) ?? 'unknown'}): a standby was promoted, or a backup restored`)
    throw this.#uncertain()
  }

  get mark(): number {
    return this.#mark
  }

  /** @param been what was known when this was asked. @param found the mark as it was on record. @param mark as it is now. @throws StewardError STEWARD_STORE_SET_BACK */
  async judgeMark(been: number, found: number, mark: number): Promise<void> {
    this.#mark = found < been ? mark : Math.max(this.#mark, mark)
    if (found >= been) return
    await this.#notice(this.#told, `its record stood at ${iso(found)} and had come to ${iso(been)}, so that commits are gone`, found)
    throw this.#uncertain()
  }

  /** One of those who notice at once is enough: the others find it on record. */
  #notice(told: Told, why: string, mark?: number): Promise<void> {
    this.#noticing ??= this.#hold(told, why, mark).finally(() => { this.#noticing = null })
    return this.#noticing
  }

  async #hold(told: Told, why: string, mark?: number): Promise<void> {
    const { connections, s, name } = this.#around
    await connections.transaction(async (session) => {
      await this.#around.excludeBegins(session)
      const [row] = await session.query(this.#sql.known)
      const record = recordOf(told)
      if (mark === undefined && row?.['known'] === record) return
      if (record !== null) await session.change(this.#sql.keep, [record])
      // Somebody was first, and nothing was sent since.
      if (row?.['held'] === true) return
      const hold = setBackHold('the store', why, this.#now())
      await this.#controls.apply(session, { set: hold })
      await raise(session, s, [setBackAlert(name, hold, mark ?? Number(row?.['mark']))])
    })
    this.#told = told
  }

  #uncertain(): StewardError {
    return new StewardError('STEWARD_STORE_SET_BACK', `${this.#around.name} was set back while this was under way: a standby was promoted, or a backup restored. Whether it is stored is not known. Everything is held until somebody says what was lost: steward restored --lost-since TIME. Repeat the same writes: they join what is there.`, { store: this.#around.name, outcome: 'unknown' })
  }
}

const iso = (at: number): string => new Date(at).toISOString()
