/**
 * The pulse: one statement that says whether there is anything to do, and beats on the way. An idle process asks nothing
 * else, so that what it costs the database is one short transaction a second.
 *
 * Each question is one seek in an index, whatever lies there: it looks for a first row and never counts.
 */
import type { Pulse, PulseQuery } from '../ports/store.ts'
import { META } from '../store-sql/migrations.ts'
import type { Around } from './around.ts'
import { alive, controlsRev, numberOr } from './call-columns.ts'
import { textColumn } from './columns.ts'
import { laneColumns, nextDueAt, ranges } from './lanes.ts'
import { type Statement, statement } from './pool.ts'

/** How often the high-water mark of time is written with a heartbeat, at most. */
const MARK_EVERY_MS = 1_000

function texts(s: string): { readonly look: Statement; readonly beat: Statement } {
  const known = (operation: string): string => `${operation} = ANY ($6::text[])`
  const questions = `${controlsRev(s)} AS rev, ${s}steward_now() AS now,
      EXISTS (SELECT 1 FROM ${s}steward_worker AS w WHERE w.fenced = 0 AND w.lease_until_at <= $5 AND w.worker IS DISTINCT FROM $3)
        OR EXISTS (SELECT 1 FROM ${s}steward_worker AS l CROSS JOIN LATERAL (SELECT 1 FROM ${s}steward_open AS o WHERE o.worker = l.worker AND o.epoch = l.epoch AND (o.state <> 'running' OR ${known('o.operation')}) LIMIT 1) AS left_behind WHERE l.fenced > 0) AS dead,
      EXISTS (SELECT 1 FROM ${s}steward_open AS o WHERE o.worker IS NULL AND o.limit_at IS NOT NULL AND o.limit_at <= $5 AND ${known('o.operation')}) AS overdue,
      EXISTS (SELECT 1 FROM ${s}steward_settle AS d CROSS JOIN LATERAL (SELECT 1 FROM ${s}steward_ended AS e WHERE e.id = d.id AND ${known('e.operation')} LIMIT 1) AS end_of_it WHERE d.due_at <= $5) AS settles,
      EXISTS (SELECT 1 FROM ${s}steward_alert WHERE delivered_at IS NULL) AS alerts,
      (${nextDueAt(s)}) AS next_due_at`
  return {
    look: statement(`WITH ${ranges(s)} SELECT ${alive(s, '$3', '$4::bigint')} AS alive, ${questions}`),
    beat: statement(`WITH ${ranges(s)},
      beat AS (UPDATE ${s}steward_worker SET beat_at = greatest(beat_at, $5), lease_until_at = greatest(lease_until_at, $7) WHERE worker = $3 AND epoch = $4 AND fenced = 0 RETURNING 1),
      mark AS (UPDATE ${s}steward_meta SET value = $5::bigint::text WHERE name = '${META.time}' AND value::bigint <= $5::bigint - ${MARK_EVERY_MS})
      SELECT EXISTS (SELECT 1 FROM beat) AS alive, ${questions}`),
  }
}

export function pulses(around: Around): (query: PulseQuery) => Promise<Pulse> {
  const sql = texts(around.s)
  return async ({ now, lease, leaseUntilAt, operations, lanes }) => {
    const asked = [...laneColumns(lanes), lease?.worker ?? null, lease?.epoch ?? null, now, textColumn(operations)]
    const [row] = await (leaseUntilAt === null ? around.timed(sql.look, asked) : around.timed(sql.beat, [...asked, leaseUntilAt]))
    const is = (name: string): boolean => row?.[name] === true
    return {
      alive: is('alive'),
      controlsRev: Number(row?.['rev']),
      todo: { dead: is('dead'), overdue: is('overdue'), settles: is('settles'), alerts: is('alerts') },
      nextDueAt: numberOr(row?.['next_due_at']),
    }
  }
}
