/** Whether there is anything to do: each question of a round cut down to its first row. */
import type { Pulse, PulseQuery } from '../ports/store.ts'
import { META } from '../store-sql/migrations.ts'
import type { Database } from './driver.ts'
import type { laneRows } from './lanes.ts'
import type { Prepared } from './transaction.ts'
import type { workerRows } from './worker-rows.ts'

export type Look = PulseQuery & { /** Workers of this process that are open. */ readonly ours: readonly string[] }

export function looks({ db, meta, worker }: Prepared, lanes: ReturnType<typeof laneRows>, workers: ReturnType<typeof workerRows>) {
  const first = (text: string): ReturnType<Database['prepare']> => db.prepare(`${text} LIMIT 1`)
  const known = (operation: string): string => `${operation} IN (SELECT value FROM json_each(?))`
  const overdue = first(`SELECT 1 FROM steward_open AS o WHERE o.worker IS NULL AND o.limit_at IS NOT NULL AND o.limit_at <= ? AND ${known('o.operation')}`)
  const settles = first(`SELECT 1 FROM steward_settle AS s CROSS JOIN steward_key AS k ON k.seq = s.seq CROSS JOIN steward_ended AS e ON e.seq = s.seq WHERE s.due_at <= ? AND ${known('k.operation')}`)
  const alerts = first('SELECT 1 FROM steward_alert WHERE delivered_at IS NULL')
  return ({ now, lease, operations, lanes: asked, ours }: Look): Pulse => {
    const names = JSON.stringify(operations)
    return {
      alive: lease !== null && worker.get(lease.worker, lease.epoch) !== undefined,
      controlsRev: Number(meta.get(META.controlsRev)),
      todo: {
        dead: workers.anyDead(now, lease?.worker ?? null, ours) || workers.anyLost(names),
        overdue: overdue.get(now, names) !== undefined,
        settles: settles.get(now, names) !== undefined,
        alerts: alerts.get() !== undefined,
      },
      nextDueAt: lanes.nextDueAt(asked),
    }
  }
}
