/**
 * What is due, by lane: index ranges only. Within a lane (operation, version) the index is ordered by priority and due
 * time, so each priority is one range, found by seeking from one priority to the next; rows that are not due are never
 * walked over.
 */
import type { ClaimQuery, Lane } from '../ports/store.ts'
import { RECORD } from './call-rows.ts'
import type { Database } from './driver.ts'
import type { Transaction } from './transaction.ts'

type Candidate = { readonly seq: number; readonly priority: number; readonly dueAt: number; readonly body: string }

const LANE = 't.namespace = ? AND t.operation = ? AND version = ? AND worker IS NULL AND due_at IS NOT NULL'

export function laneRows(db: Database, namespace: string) {
  const nextPriority = db.prepare(`SELECT min(priority) AS priority FROM steward_open AS t WHERE ${LANE} AND priority > ?`)
  const due = db.prepare(`SELECT t.seq, priority, due_at AS dueAt, ${RECORD} FROM steward_open AS t CROSS JOIN steward_key AS k ON k.seq = t.seq WHERE ${LANE} AND priority = ? AND due_at <= ? ORDER BY due_at, t.seq LIMIT ?`)
  const dueOutside = db.prepare(`SELECT t.seq, priority, due_at AS dueAt, ${RECORD} FROM steward_open AS t CROSS JOIN steward_key AS k ON k.seq = t.seq WHERE ${LANE} AND priority = ? AND due_at <= ?
    AND (grp IS NULL OR grp NOT IN (SELECT value FROM json_each(?))) ORDER BY due_at, t.seq LIMIT ?`)
  const firstDue = db.prepare(`SELECT min(due_at) AS dueAt FROM steward_open AS t WHERE ${LANE} AND priority = ?`)
  const lease = db.prepare('UPDATE steward_open SET worker = ?, epoch = ? WHERE seq = ?')

  function* priorities(operation: string, version: number): Generator<number> {
    let priority = Number.MIN_SAFE_INTEGER
    for (;;) {
      const next = nextPriority.get(namespace, operation, version, priority)?.['priority']
      if (typeof next !== 'number') return
      yield next
      priority = next
    }
  }

  function candidates(query: ClaimQuery): Candidate[] {
    const found: Candidate[] = []
    const outside = query.pausedGroups.length > 0 ? JSON.stringify(query.pausedGroups) : null
    for (const lane of query.lanes) {
      for (const version of lane.versions) {
        let left = query.limit
        for (const priority of priorities(lane.operation, version)) {
          const rows = outside === null
            ? due.all(namespace, lane.operation, version, priority, query.now, left)
            : dueOutside.all(namespace, lane.operation, version, priority, query.now, outside, left)
          for (const row of rows) found.push(row as unknown as Candidate)
          left -= rows.length
          if (left <= 0) break
        }
      }
    }
    if (query.lanes.length > 1 || (query.lanes[0]?.versions.length ?? 0) > 1) {
      found.sort((a, b) => a.priority - b.priority || a.dueAt - b.dueAt || a.seq - b.seq)
    }
    return found.slice(0, query.limit)
  }

  /** Leases due calls to the worker; nothing when its lease is lost. */
  function claim(tx: Transaction, query: ClaimQuery): string[] {
    if (!tx.holds(query.lease)) return []
    return candidates(query).map((row) => {
      lease.run(query.lease.worker, query.lease.epoch, row.seq)
      return row.body
    })
  }

  function oldestDueAt(operation: string, version: number): number | null {
    let oldest: number | null = null
    for (const priority of priorities(operation, version)) {
      const dueAt = firstDue.get(namespace, operation, version, priority)?.['dueAt'] as number
      if (oldest === null || dueAt < oldest) oldest = dueAt
    }
    return oldest
  }

  function nextDueAt(lanes: readonly Lane[]): number | null {
    const all = lanes.flatMap((lane) => lane.versions.map((version) => oldestDueAt(lane.operation, version)))
    return all.reduce<number | null>((oldest, at) => (at !== null && (oldest === null || at < oldest) ? at : oldest), null)
  }

  return { claim, oldestDueAt, nextDueAt }
}
