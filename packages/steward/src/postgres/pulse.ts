/**
 * The pulse: one statement that says whether there is anything to do, and beats on the way. An idle process asks nothing
 * else, so that what it costs the database is one short transaction a second.
 *
 * Each question is one seek in an index: it looks for a first row and never counts. Where dead entries lie before it, questions
 * by time go on from where the last look from the beginning found nothing, and those looks are rare (`Pace`). Once they are slow, a
 * heartbeat takes none along: it would be stored when the lease is over. Such a look then goes beside it.
 */
import type { Pulse, PulseQuery, Todo } from '../ports/store.ts'
import { META } from '../store-sql/migrations.ts'
import type { Around } from './around.ts'
import { alive, controlsRev, numberOr } from './call-columns.ts'
import { textColumn } from './columns.ts'
import { type Incarnation, PLACE } from './incarnation.ts'
import { BEGINNING, found, given, laneColumns, type laneRows, LATE_MS, nextDueAt } from './lanes.ts'
import { Pace } from './pace.ts'
import { type Statement, statement, type Value } from './pool.ts'

/** How often the high-water mark of time is written with a heartbeat, at most. */
const MARK_EVERY_MS = 1_000

type Texts = { readonly look: Statement; readonly beat: Statement }

function texts({ s, timing, system }: Around) {
  const known = (operation: string): string => `${operation} = ANY ($9::text[])`
  const inTime = (at: string): string => `${at} > $10 AND ${at} <= $8`
  const expired = `EXISTS (SELECT 1 FROM ${s}steward_worker AS w WHERE w.fenced = 0 AND w.lease_until_at <= $8 AND w.worker IS DISTINCT FROM $6)`
  // Dead entries lie before this, too: all that the lost worker ever claimed.
  const leftBehind = `EXISTS (SELECT 1 FROM ${s}steward_worker AS l CROSS JOIN LATERAL (SELECT 1 FROM ${s}steward_open AS o WHERE o.worker = l.worker AND o.epoch = l.epoch AND (o.state <> 'running' OR ${known('o.operation')}) LIMIT 1) AS left_behind WHERE l.fenced > 0)`
  const questions = (dead: string): string => `${controlsRev(s)} AS rev, ${timing}, ${system} AS system, ${PLACE} AS place, (SELECT value::bigint FROM ${s}steward_meta WHERE name = '${META.time}') AS found,
      ${dead} AS dead,
      EXISTS (SELECT 1 FROM ${s}steward_open AS o WHERE o.worker IS NULL AND o.limit_at IS NOT NULL AND ${inTime('o.limit_at')} AND ${known('o.operation')}) AS overdue,
      EXISTS (SELECT 1 FROM ${s}steward_settle AS d CROSS JOIN LATERAL (SELECT 1 FROM ${s}steward_ended AS e WHERE e.id = d.id AND ${known('e.operation')} LIMIT 1) AS end_of_it WHERE ${inTime('d.due_at')}) AS settles,
      EXISTS (SELECT 1 FROM ${s}steward_alert WHERE delivered_at IS NULL) AS alerts,
      (${nextDueAt(s)}) AS next_due_at`
  const look = (ranges: string, dead: string): string => `WITH ${ranges} SELECT ${alive(s, '$6', '$7::bigint')} AS alive, NULL::bigint AS moved, ${questions(dead)}`
  const beat = (ranges: string, dead: string): string => `WITH ${ranges},
      beat AS (UPDATE ${s}steward_worker SET beat_at = greatest(beat_at, $8), lease_until_at = greatest(lease_until_at, $11) WHERE worker = $6 AND epoch = $7 AND fenced = 0 RETURNING 1),
      mark AS (UPDATE ${s}steward_meta SET value = $8::bigint::text WHERE name = '${META.time}' AND value::bigint <= $8::bigint - ${MARK_EVERY_MS} RETURNING value::bigint AS at)
      SELECT EXISTS (SELECT 1 FROM beat) AS alive, (SELECT at FROM mark) AS moved, ${questions(dead)}`
  const all = `${expired} OR ${leftBehind}`
  const both = (ranges: string, dead: string): Texts => ({ look: statement(look(ranges, dead)), beat: statement(beat(ranges, dead)) })
  return { found: both(found(s), all), given: both(given(s), all), resting: both(given(s), expired) }
}

export function pulses(around: Around, lanes: ReturnType<typeof laneRows>, incarnation: Incarnation): (query: PulseQuery) => Promise<Pulse> {
  const sql = texts(around)
  const pace = new Pace(around.ticks)
  /** Whose time had come by then was told of, or there was none. */
  let foundBy = BEGINNING
  /** What a look beside a heartbeat found, for the next one to tell. */
  let beside: Pulse | null = null

  /** From the beginning. Ranges that are known are gone on with all the same, once that takes long here and for claims: those look behind them then. */
  async function lookFully(query: PulseQuery): Promise<Pulse> {
    const known = pace.long ? lanes.goingOn(query.lanes) : null
    const pulse = await pace.timed(() => ask(query, known === null ? sql.found : sql.given, known ?? laneColumns(query.lanes), BEGINNING))
    foundBy = query.now - LATE_MS
    return pulse
  }

  /** From where the last look from the beginning ended. Without known ranges it does not tell when the next call is due. */
  function goOn(query: PulseQuery): Promise<Pulse> {
    return ask(query, sql.resting, lanes.ranges.within(query.lanes) ?? laneColumns([]), foundBy === BEGINNING ? query.now : foundBy)
  }

  async function ask({ now, lease, leaseUntilAt, operations }: PulseQuery, text: Texts, ranges: readonly Value[], by: number): Promise<Pulse> {
    const asked = [...ranges, lease?.worker ?? null, lease?.epoch ?? null, now, textColumn(operations), by]
    const been = incarnation.mark
    const [row] = await (leaseUntilAt === null ? around.timed(text.look, asked) : around.timed(text.beat, [...asked, leaseUntilAt]))
    around.place = row?.['place'] as string
    const mark = Number(row?.['found'])
    await incarnation.judgeMark(been, mark, Number(row?.['moved'] ?? mark))
    const is = (name: string): boolean => row?.[name] === true
    return {
      alive: is('alive'),
      controlsRev: Number(row?.['rev']),
      todo: { dead: is('dead'), overdue: is('overdue'), settles: is('settles'), alerts: is('alerts') },
      nextDueAt: numberOr(row?.['next_due_at']),
    }
  }

  /** A heartbeat that waited for a slow look would come when its lease is over. */
  async function beat(query: PulseQuery): Promise<Pulse> {
    if (!pace.looking && !pace.rests(false)) {
      // What a lost answer would have told, the next look tells.
      lookFully({ ...query, leaseUntilAt: null }).then((pulse) => { beside = pulse }, () => undefined)
    }
    const pulse = await goOn(query)
    const told = beside
    beside = null
    return told === null ? pulse : joined(pulse, told)
  }

  return (query) => {
    lanes.lookBehind(query.lanes, query.now)
    if (query.leaseUntilAt !== null && pace.slow) return beat(query)
    return pace.rests(false) && lanes.ranges.within(query.lanes) !== null ? goOn(query) : lookFully(query)
  }
}

function joined(pulse: Pulse, { todo, nextDueAt }: Pulse): Pulse {
  const either = (what: keyof Todo): boolean => pulse.todo[what] || todo[what]
  return {
    ...pulse,
    todo: { dead: either('dead'), overdue: either('overdue'), settles: either('settles'), alerts: either('alerts') },
    nextDueAt: pulse.nextDueAt === null || (nextDueAt !== null && nextDueAt < pulse.nextDueAt) ? nextDueAt : pulse.nextDueAt,
  }
}
