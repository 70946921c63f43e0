/** Pauses and holds, as ports/scope-controls.ts decides; each change of what is in force raises the revision that begins are guarded by. */
import type { Restored } from '../core/set-back.ts'
import { EVERYTHING, joinRestored, revAfterSetBack } from '../ports/set-back.ts'
import { BEHIND, behindKind, lifted, type ScopeControls, withControl } from '../ports/scope-controls.ts'
import type { Control, Controls, ControlWrite, Scope } from '../ports/store.ts'
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
  const scope = 'lift' in write ? write.lift : write.set
  const before: ScopeControls = { inForce: stored(tx, scope.kind, scope), behind: stored(tx, behindKind(scope.kind), scope) }
  const after = 'lift' in write ? lifted(before) : withControl(before, write.set)
  if (after.inForce !== before.inForce) put(tx, scope.kind, scope, after.inForce)
  if (after.behind !== before.behind) put(tx, behindKind(scope.kind), scope, after.behind)
  if (after.inForce === before.inForce) return
  if (scope.kind !== 'store' || 'lift' in write) return tx.raiseControlsRev()
  tx.raiseControlsRev(revAfterSetBack(tx.controlsRev, write.set.at))
  tx.db.prepare('UPDATE steward_worker SET fenced = 1').run()
  tx.forgetWorkers()
}

function stored(tx: Transaction, kind: string, scope: Scope): Control | null {
  const row = tx.db.prepare('SELECT mode, until_at, by, why, at FROM steward_control WHERE kind = ? AND name = ?').get(kind, scope.name)
  return row === undefined ? null : controlOf({ ...row, kind: scope.kind, name: scope.name })
}

function put(tx: Transaction, kind: string, { name }: Scope, control: Control | null): void {
  tx.db.prepare('DELETE FROM steward_control WHERE kind = ? AND name = ?').run(kind, name)
  if (control === null) return
  tx.db.prepare('INSERT INTO steward_control (kind, name, mode, until_at, by, why, at) VALUES (?, ?, ?, ?, ?, ?, ?)')
    .run(kind, name, control.mode, control.untilAt, control.by, control.why, control.at)
}

function controlOf(row: Readonly<Record<string, unknown>>): Control {
  return { kind: row['kind'], name: row['name'], mode: row['mode'], untilAt: row['until_at'], by: row['by'], why: row['why'], at: row['at'] } as Control
}

function readRestored(meta: Meta): Restored | null {
  const stored = meta.get(META.restored)
  return typeof stored === 'string' ? (JSON.parse(stored) as Restored) : null
}

export function readControls(db: Database, meta: Meta): Controls {
  const rows = db.prepare(`SELECT kind, name, mode, until_at, by, why, at FROM steward_control WHERE kind NOT LIKE '${BEHIND}%' ORDER BY kind, name`).all()
  const all = rows.map(controlOf)
  return { rev: Number(meta.get(META.controlsRev)), all, restored: readRestored(meta) }
}
