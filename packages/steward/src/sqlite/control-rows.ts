/** Pauses and holds. Holds only lengthen and never replace a pause; each change raises the revision that begins are guarded by. */
import type { Restored } from '../core/set-back.ts'
import { EVERYTHING, joinRestored, revAfterSetBack } from '../ports/set-back.ts'
import type { Control, Controls, ControlWrite } from '../ports/store.ts'
import { META } from '../store-sql/migrations.ts'
import type { Database } from './driver.ts'
import type { Transaction } from './transaction.ts'
import type { Meta } from './database.ts'

export function applyControl(tx: Transaction, write: ControlWrite): void {
  if ('restored' in write) {
    tx.meta.set(META.restored, JSON.stringify(joinRestored(readRestored(tx.meta), write.restored)))
    tx.db.prepare('DELETE FROM steward_control WHERE kind = ? AND name = ?').run(EVERYTHING.kind, EVERYTHING.name)
    tx.raiseControlsRev()
    return
  }
  if ('lift' in write) {
    const gone = tx.db.prepare('DELETE FROM steward_control WHERE kind = ? AND name = ?').run(write.lift.kind, write.lift.name)
    if (Number(gone.changes) > 0) tx.raiseControlsRev()
    return
  }
  const next = write.set
  const known = tx.db.prepare('SELECT mode, until_at FROM steward_control WHERE kind = ? AND name = ?').get(next.kind, next.name)
  if (known && next.mode === 'hold') {
    const shorter = known['mode'] === 'pause' || (known['until_at'] !== null && next.untilAt !== null && Number(known['until_at']) >= next.untilAt) || known['until_at'] === null
    if (shorter) return
  }
  tx.db.prepare(`INSERT INTO steward_control (kind, name, mode, until_at, by, why, at) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (kind, name) DO UPDATE SET mode = excluded.mode, until_at = excluded.until_at, by = excluded.by, why = excluded.why, at = excluded.at`)
    .run(next.kind, next.name, next.mode, next.untilAt, next.by, next.why, next.at)
  if (next.kind !== 'store') return tx.raiseControlsRev()
  tx.raiseControlsRev(revAfterSetBack(tx.controlsRev, next.at))
  tx.db.prepare('UPDATE steward_worker SET fenced = 1').run()
  tx.forgetWorkers()
}

function readRestored(meta: Meta): Restored | null {
  const stored = meta.get(META.restored)
  return typeof stored === 'string' ? (JSON.parse(stored) as Restored) : null
}

export function readControls(db: Database, meta: Meta): Controls {
  const rows = db.prepare('SELECT kind, name, mode, until_at, by, why, at FROM steward_control ORDER BY kind, name').all()
  const all = rows.map((row) => ({ kind: row['kind'], name: row['name'], mode: row['mode'], untilAt: row['until_at'], by: row['by'], why: row['why'], at: row['at'] }) as Control)
  return { rev: Number(meta.get(META.controlsRev)), all, restored: readRestored(meta) }
}
