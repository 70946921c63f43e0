/**
 * Worker processes: their rows, leases and side files.
 *
 * A worker may write while its row is there, unfenced, under its epoch. Fencing is one statement in the transaction
 * that judged it dead, so that no write of it can come between the judgement and the fence. Rows of fenced workers
 * stay for an hour, for people; a missing row refuses writes as a fenced one does.
 */
import type { Lease, Pulse, WorkerRow } from '../ports/store.ts'
import type { Database } from './driver.ts'
import type { SideFiles } from './side-files.ts'
import { known, names } from './questions.ts'
import type { Operations } from './requests.ts'
import type { Transaction } from './transaction.ts'

const KEEP_FENCED_MS = 3_600_000

export function workerRows(db: Database, sideFiles: SideFiles) {
  const all = db.prepare('SELECT worker, epoch, host, pid, started_at, beat_at, lease_until_at, lanes, release, fenced FROM steward_worker ORDER BY started_at, worker')
  const add = db.prepare(`INSERT INTO steward_worker (worker, epoch, host, pid, started_at, beat_at, lease_until_at, lanes, release, fenced) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0)
    ON CONFLICT (worker) DO UPDATE SET beat_at = excluded.beat_at, lease_until_at = excluded.lease_until_at, lanes = excluded.lanes WHERE fenced = 0 AND epoch = excluded.epoch`)
  const beatRow = db.prepare('UPDATE steward_worker SET beat_at = max(beat_at, ?), lease_until_at = max(lease_until_at, ?) WHERE worker = ? AND epoch = ? AND fenced = 0')
  const fence = db.prepare('UPDATE steward_worker SET fenced = 1 WHERE worker = ? AND epoch = ?')
  const live = db.prepare('SELECT 1 FROM steward_worker WHERE worker = ? AND fenced = 0')
  const drop = db.prepare('DELETE FROM steward_worker WHERE worker = ? AND epoch = ?')
  const dropOld = db.prepare('DELETE FROM steward_worker WHERE fenced = 1 AND beat_at < ?')
  const giveBackOne = db.prepare("UPDATE steward_open SET worker = NULL, epoch = NULL WHERE seq = (SELECT seq FROM steward_key WHERE id = ?) AND worker = ? AND epoch = ? AND state <> 'running'")
  const giveBackAll = db.prepare("UPDATE steward_open SET worker = NULL, epoch = NULL WHERE worker = ? AND epoch = ? AND state <> 'running'")
  // Few rows are leased; a planner without statistics would rather walk over all that wait.
  const lost = `FROM steward_open AS o INDEXED BY steward_open_lease WHERE o.worker IS NOT NULL AND NOT EXISTS (SELECT 1 FROM steward_worker AS w WHERE w.worker = o.worker AND w.epoch = o.epoch AND w.fenced = 0)`
  const freeLost = db.prepare(`UPDATE steward_open SET worker = NULL, epoch = NULL WHERE seq IN (SELECT o.seq ${lost} AND o.state <> 'running')`)
  const lostOne = db.prepare(`SELECT 1 ${lost} AND (o.state <> 'running' OR o.operation IN (SELECT value FROM json_each(?))) LIMIT 1`)
  const stuckRows = db.prepare(`SELECT o.operation, o.version, count(*) AS n ${lost} AND o.state = 'running' GROUP BY o.operation, o.version`)
  const orphaned = db.prepare(`SELECT o.body || char(10) || (SELECT k.input FROM steward_key AS k WHERE k.seq = o.seq) AS body ${lost} AND o.state = 'running' AND ${known('o')} ORDER BY o.seq LIMIT ?`)
  const leased = db.prepare('SELECT o.body || char(10) || (SELECT k.input FROM steward_key AS k WHERE k.seq = o.seq) AS body FROM steward_open AS o INDEXED BY steward_open_lease WHERE o.worker IS NOT NULL AND o.worker = ? AND o.epoch = ? ORDER BY o.seq LIMIT ?')

  const read = (): WorkerRow[] => all.all().map((row) => ({
    worker: row['worker'] as string,
    epoch: row['epoch'] as number,
    host: row['host'] as string,
    pid: row['pid'] as number,
    startedAt: row['started_at'] as number,
    beatAt: row['beat_at'] as number,
    leaseUntilAt: row['lease_until_at'] as number,
    lanes: JSON.parse(row['lanes'] as string) as WorkerRow['lanes'],
    release: row['release'] as string | null,
    fenced: row['fenced'] === 1,
  }))

  const isDead = (row: WorkerRow, now: number, except: string | null, ours: readonly string[]): boolean =>
    !row.fenced && row.worker !== except && (row.leaseUntilAt <= now || (!ours.includes(row.worker) && sideFiles.provesDeath(row.worker)))

  return {
    read,
    /** @param ours workers of this process that are open: their death is never asked of a file. */
    anyDead: (now: number, except: string | null, ours: readonly string[]): boolean => read().some((row) => isDead(row, now, except, ours)),
    /** @param names operations as a JSON list. */
    anyLost: (names: string): boolean => lostOne.get(names) !== undefined,
    /** @returns earlier workers of this opening that are fenced or gone: their files were let go. */
    enlist(tx: Transaction, row: Omit<WorkerRow, 'fenced'>): string[] {
      sideFiles.hold(row.worker)
      add.run(row.worker, row.epoch, row.host, row.pid, row.startedAt, row.beatAt, row.leaseUntilAt, JSON.stringify(row.lanes), row.release)
      tx.forgetWorkers()
      const lost = sideFiles.held().filter((worker) => worker !== row.worker && live.get(worker) === undefined)
      lost.forEach((worker) => sideFiles.letGo(worker))
      return lost
    },
    beat(tx: Transaction, lease: Lease, leaseUntilAt: number): Pick<Pulse, 'alive' | 'controlsRev'> {
      const alive = Number(beatRow.run(tx.now, leaseUntilAt, lease.worker, lease.epoch).changes) > 0
      return { alive, controlsRev: tx.controlsRev }
    },
    giveBack(tx: Transaction, lease: Lease, ids: readonly string[]): void {
      if (!tx.holds(lease)) return
      for (const id of ids) giveBackOne.run(id, lease.worker, lease.epoch)
    },
    leave(tx: Transaction, lease: Lease): void {
      giveBackAll.run(lease.worker, lease.epoch)
      drop.run(lease.worker, lease.epoch)
      tx.forgetWorkers()
    },
    fenceDead(tx: Transaction, now: number, except: string | null, ours: readonly string[]): WorkerRow[] {
      const dead = read().filter((row) => isDead(row, now, except, ours))
      for (const row of dead) fence.run(row.worker, row.epoch)
      dropOld.run(now - KEEP_FENCED_MS)
      tx.forgetWorkers()
      return dead.map((row) => ({ ...row, fenced: true }))
    },
    /** Calls that run under no living worker, by operation and version. */
    stuck(): { operation: string; version: number; n: number }[] {
      return stuckRows.all() as { operation: string; version: number; n: number }[]
    },
    leasedTo: (lease: Lease, limit: number): string[] => leased.all(lease.worker, lease.epoch, limit).map((row) => row['body'] as string),
    orphans(limit: number, operations: Operations): string[] {
      freeLost.run()
      return orphaned.all(...names(operations), limit).map((row) => row['body'] as string)
    },
  }
}
