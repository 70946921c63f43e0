/**
 * What is due, by lane: index ranges only. Within a lane (operation, version) the index is ordered by priority and due
 * time, so each priority is one range, found by seeking from one priority to the next; rows that are not due are never
 * walked over.
 *
 * A claim first looks, without a lock, how many of the calls that go first belong to which range, and then locks as many
 * of each range, passing over those that another claim has locked: it never locks what it does not take, and of two
 * claims at the same time both get their fill.
 */
import type { Call } from '../core/call.ts'
import type { ClaimQuery, Lane } from '../ports/store.ts'
import type { Around } from './around.ts'
import { alive, numberOr } from './call-columns.ts'
import { numberColumn, textColumn } from './columns.ts'
import { statement } from './pool.ts'

/** Priorities that wait in each of the lanes given as $1 and $2. */
export function ranges(s: string): string {
  const next = (after: string): string => `(SELECT o.priority FROM ${s}steward_open AS o WHERE o.operation = l.operation AND o.version = l.version AND o.worker IS NULL AND o.due_at IS NOT NULL ${after} ORDER BY o.priority LIMIT 1)`
  return `RECURSIVE seek AS (
      SELECT l.operation, l.version, ${next('')} AS priority FROM unnest($1::text[], $2::int[]) AS l(operation, version)
      UNION ALL SELECT l.operation, l.version, ${next('AND o.priority > l.priority')} FROM seek AS l WHERE l.priority IS NOT NULL),
    range AS (SELECT operation, version, priority FROM seek WHERE priority IS NOT NULL)`
}

const IN_RANGE = 'o.operation = r.operation AND o.version = r.version AND o.priority = r.priority AND o.worker IS NULL AND o.due_at IS NOT NULL'

/** With `ranges`: the earliest due time in them. */
export const nextDueAt = (s: string): string => `SELECT min((SELECT o.due_at FROM ${s}steward_open AS o WHERE ${IN_RANGE} ORDER BY o.due_at LIMIT 1)) AS due_at FROM range AS r`

function texts(s: string) {
  const due = `${IN_RANGE} AND o.due_at <= $3 AND (o.grp IS NULL OR o.grp <> ALL ($5::text[]))`
  return {
    // The array keeps the planner, which expects a tenth of all, from reading the whole table for a join.
    claim: statement(`WITH ${ranges(s)},
      share AS (SELECT operation, version, priority, count(*) AS n FROM (
          SELECT r.operation, r.version, r.priority FROM range AS r CROSS JOIN LATERAL (SELECT o.due_at, o.id FROM ${s}steward_open AS o WHERE ${due} ORDER BY o.due_at, o.id LIMIT $4) AS c
          ORDER BY r.priority, c.due_at, c.id LIMIT $4) AS first GROUP BY operation, version, priority),
      picked AS MATERIALIZED (SELECT c.id FROM share AS r CROSS JOIN LATERAL (SELECT o.id FROM ${s}steward_open AS o WHERE ${due} ORDER BY o.due_at, o.id LIMIT r.n FOR UPDATE SKIP LOCKED) AS c),
      claimed AS (UPDATE ${s}steward_open AS o SET worker = $6, epoch = $7 WHERE o.id = ANY (ARRAY (SELECT id FROM picked)) AND ${alive(s, '$6', '$7::bigint')} RETURNING o.priority, o.due_at, o.id, o.body, o.input)
      SELECT body, input FROM claimed ORDER BY priority, due_at, id`),
    nextDueAt: statement(`WITH ${ranges(s)} ${nextDueAt(s)}`),
  }
}

export function laneRows(around: Around) {
  const { connections, s } = around
  const sql = texts(s)
  return {
    /** Leases due calls to the worker; nothing when its lease is lost. */
    async claim({ lease, lanes, limit, now, pausedGroups }: ClaimQuery): Promise<readonly Call[]> {
      if (lanes.length === 0 || limit <= 0) return []
      const rows = await connections.run(sql.claim, [...laneColumns(lanes), now, limit, textColumn(pausedGroups), lease.worker, lease.epoch])
      return rows.map((row) => around.call(row))
    },
    async nextDueAt(lanes: readonly Lane[]): Promise<number | null> {
      if (lanes.length === 0) return null
      const [row] = await connections.run(sql.nextDueAt, laneColumns(lanes))
      return numberOr(row?.['due_at'])
    },
  }
}

export function laneColumns(lanes: readonly Lane[]): [string, string] {
  const flat = lanes.flatMap((lane) => lane.versions.map((version) => ({ operation: lane.operation, version })))
  return [textColumn(flat.map((lane) => lane.operation)), numberColumn(flat.map((lane) => lane.version))]
}
