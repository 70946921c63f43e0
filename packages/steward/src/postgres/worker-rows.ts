/**
 * Worker processes: their rows and leases, and what becomes of the calls of those that are lost.
 *
 * A worker may write while its row is there, unfenced, under its epoch. Fencing is compare-and-set on the lease that was
 * judged, so that a heartbeat which came in meanwhile wins. Rows of fenced workers stay for an hour, for people; those of
 * workers that left stay as long, unseen, and both as long as a call is leased to them: what is lost is found through them.
 *
 * A row may be missing all the same (an earlier version of the library keeps none of workers that left, and a person may delete
 * some). Such workers are looked for now and then, by what is leased to them, and become ones that left.
 */
import type { Call } from '../core/call.ts'
import type { Lease, WorkerRow } from '../ports/store.ts'
import type { Around } from './around.ts'
import { alive } from './call-columns.ts'
import { textColumn } from './columns.ts'
import { Pace } from './pace.ts'
import { type Row, statement } from './pool.ts'

const KEEP_FENCED_MS = 3_600_000
/** Between two looks for workers without a row, in each process: a look walks over the dead entries of every call that was ever claimed. */
const STRAYS_EVERY_MS = 600_000
const COLUMNS = 'worker, epoch, host, pid, started_at, beat_at, lease_until_at, lanes, release, fenced'

/** `fenced`: 0 for one that may write, 1 once it was judged dead, 2 once it left. */
const LEFT = 2

/** Leases that are over: rows of workers outlive what is leased to them, so that nobody needs to look through all that is. */
export function lost(s: string): string {
  return `lost AS MATERIALIZED (SELECT l.worker, l.epoch FROM ${s}steward_worker AS l WHERE l.fenced > 0)`
}
const ofLost = (s: string): string => `${s}steward_open AS o ON o.worker = l.worker AND o.epoch = l.epoch`

export const known = (column: string, parameter: string): string => `(${parameter}::text[] IS NULL OR ${column} = ANY (${parameter}::text[]))`

function texts({ s }: Around) {
  const mine = 'o.worker = $1 AND o.epoch = $2'
  const purged = `old AS (DELETE FROM ${s}steward_worker AS l WHERE l.fenced > 0 AND l.beat_at < $3 AND NOT EXISTS (SELECT 1 FROM ${s}steward_open AS o WHERE o.worker = l.worker AND o.epoch = l.epoch))`
  return {
    all: statement(`SELECT ${COLUMNS} FROM ${s}steward_worker WHERE fenced < ${LEFT} ORDER BY started_at, worker COLLATE "C"`),
    add: statement(`INSERT INTO ${s}steward_worker AS w (${COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0)
      ON CONFLICT (worker) DO UPDATE SET beat_at = excluded.beat_at, lease_until_at = excluded.lease_until_at, lanes = excluded.lanes WHERE w.fenced = 0 AND w.epoch = excluded.epoch`),
    leave: statement(`WITH back AS (UPDATE ${s}steward_open AS o SET worker = NULL, epoch = NULL WHERE ${mine} AND o.state <> 'running'), ${purged}
      UPDATE ${s}steward_worker SET fenced = ${LEFT} WHERE worker = $1 AND epoch = $2`),
    giveBack: statement(`UPDATE ${s}steward_open AS o SET worker = NULL, epoch = NULL WHERE o.id = ANY ($3::text[]) AND ${mine} AND o.state <> 'running' AND ${alive(s, '$1', '$2')} RETURNING o.operation, o.version, o.priority, o.due_at`),
    fence: statement(`WITH ${purged}
      UPDATE ${s}steward_worker SET fenced = 1 WHERE fenced = 0 AND lease_until_at <= $1 AND worker IS DISTINCT FROM $2 RETURNING ${COLUMNS}`),
    // Claimed calls are certainly unsent, and due as they were: nothing but their lease is undone.
    orphans: statement(`WITH ${lost(s)},
      freed AS (UPDATE ${s}steward_open AS o SET worker = NULL, epoch = NULL FROM lost AS l WHERE o.worker = l.worker AND o.epoch = l.epoch AND o.state <> 'running' RETURNING o.operation, o.version, o.priority, o.due_at)
      (SELECT o.body, o.input, NULL AS operation, NULL::int AS version, NULL::int AS priority, NULL::bigint AS due_at FROM lost AS l JOIN ${ofLost(s)} WHERE o.state = 'running' AND ${known('o.operation', '$1')} ORDER BY o.id LIMIT $2)
      UNION ALL SELECT NULL, NULL, operation, version, priority, min(due_at) FROM freed GROUP BY operation, version, priority`),
    adopt: statement(`WITH RECURSIVE seek AS (
        (SELECT o.worker, o.epoch FROM ${s}steward_open AS o WHERE o.worker IS NOT NULL ORDER BY o.worker, o.epoch LIMIT 1)
        UNION ALL SELECT n.worker, n.epoch FROM seek AS l CROSS JOIN LATERAL (SELECT o.worker, o.epoch FROM ${s}steward_open AS o WHERE o.worker IS NOT NULL AND (o.worker, o.epoch) > (l.worker, l.epoch) ORDER BY o.worker, o.epoch LIMIT 1) AS n)
      INSERT INTO ${s}steward_worker (${COLUMNS}) SELECT l.worker, l.epoch, 'unknown', 0, l.epoch, $1, 0, '[]', NULL, ${LEFT} FROM seek AS l WHERE NOT EXISTS (SELECT 1 FROM ${s}steward_worker AS w WHERE w.worker = l.worker)
      ON CONFLICT (worker) DO NOTHING`),
    leasedTo: statement(`SELECT o.body, o.input FROM ${s}steward_open AS o WHERE ${mine} ORDER BY o.id LIMIT $3`),
  }
}

/** `freed`: where what they had claimed waits again, from which due time on. */
type Orphans = { readonly calls: readonly Call[]; readonly freed: readonly Row[] }

export function workerRows(around: Around) {
  const { connections } = around
  const sql = texts(around)
  const calls = (rows: readonly Row[]): readonly Call[] => rows.map((row) => around.call(row))
  const watching = new Pace(around.ticks)
  let soughtMs = Number.NEGATIVE_INFINITY

  /** Gives a row to workers that have leases and none. */
  async function seekStrays(now: number): Promise<void> {
    if (around.ticks() < soughtMs + STRAYS_EVERY_MS) return
    soughtMs = around.ticks()
    await connections.run(sql.adopt, [now])
  }

  async function orphansOf(operations: string | null, limit: number): Promise<Orphans> {
    const rows = await connections.run(sql.orphans, [operations, limit])
    return { calls: calls(rows.filter((row) => row['body'] !== null)), freed: rows.filter((row) => row['body'] === null) }
  }

  return {
    async workers(): Promise<readonly WorkerRow[]> {
      return (await connections.run(sql.all)).map(workerOf)
    },
    async enlist(row: Omit<WorkerRow, 'fenced'>): Promise<void> {
      await connections.run(sql.add, [row.worker, row.epoch, row.host, row.pid, row.startedAt, row.beatAt, row.leaseUntilAt, JSON.stringify(row.lanes), row.release])
    },
    async leave(lease: Lease, now: number): Promise<void> {
      await connections.run(sql.leave, [lease.worker, lease.epoch, now - KEEP_FENCED_MS])
    },
    /** @returns where they wait again. */
    async giveBack(lease: Lease, ids: readonly string[]): Promise<readonly Row[]> {
      return ids.length === 0 ? [] : await connections.run(sql.giveBack, [lease.worker, lease.epoch, textColumn(ids)])
    },
    async fenceDead(now: number, except: string | null): Promise<readonly WorkerRow[]> {
      return (await connections.run(sql.fence, [now, except, now - KEEP_FENCED_MS])).map(workerOf)
    },
    /** Who asks for those of all operations watches over everybody's work, every ten seconds: nothing where that would come too soon after a look that took long. */
    async orphans(limit: number, operations: readonly string[] | undefined, now: number): Promise<Orphans> {
      if (operations !== undefined) return await orphansOf(textColumn(operations), limit)
      return await watching.look(async () => {
        await seekStrays(now)
        return await orphansOf(null, limit)
      }, { calls: [], freed: [] })
    },
    async leasedTo(lease: Lease, limit: number): Promise<readonly Call[]> {
      return calls(await connections.run(sql.leasedTo, [lease.worker, lease.epoch, limit]))
    },
  }
}

function workerOf(row: Row): WorkerRow {
  return {
    worker: row['worker'] as string,
    epoch: Number(row['epoch']),
    host: row['host'] as string,
    pid: Number(row['pid']),
    startedAt: Number(row['started_at']),
    beatAt: Number(row['beat_at']),
    leaseUntilAt: Number(row['lease_until_at']),
    lanes: JSON.parse(row['lanes'] as string) as WorkerRow['lanes'],
    release: row['release'] as string | null,
    fenced: Number(row['fenced']) === 1,
  }
}
