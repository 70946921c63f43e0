/**
 * Pauses and holds, as ports/scope-controls.ts decides; each change of what is in force raises the revision that begins are
 * guarded by.
 *
 * A change takes the lock of the revision's table first: it waits for the begins that are under way, and those that
 * come later wait for it. Once a person's pause is committed, no begin that has not seen it can be.
 */
import type { Alert } from '../core/alert.ts'
import type { Restored } from '../core/set-back.ts'
import { EVERYTHING, joinRestored, revAfterSetBack } from '../ports/set-back.ts'
import { BEHIND, behindKind, lifted, type ScopeControls, withControl } from '../ports/scope-controls.ts'
import type { Control, Controls, ControlWrite, Scope } from '../ports/store.ts'
import { META } from '../store-sql/migrations.ts'
import { raise } from './alert-rows.ts'
import type { Around } from './around.ts'
import { numberOr } from './call-columns.ts'
import { type Row, type Session, statement } from './pool.ts'

export type ControlRows = ReturnType<typeof controlRows>

export function controlRows(around: Around) {
  const { connections, s } = around
  const drop = statement(`DELETE FROM ${s}steward_control WHERE kind = $1 AND name = $2`)
  const known = statement(`SELECT kind, mode, until_at, by, why, at FROM ${s}steward_control WHERE kind IN ($1, $2) AND name = $3`)
  const put = statement(`INSERT INTO ${s}steward_control (kind, name, mode, until_at, by, why, at) VALUES ($1, $2, $3, $4, $5, $6, $7)`)
  const raiseRev = statement(`UPDATE ${s}steward_control_rev SET rev = rev + 1`)
  const raiseAbove = statement(`UPDATE ${s}steward_control_rev SET rev = $1`)
  const rev = statement(`SELECT rev FROM ${s}steward_control_rev`)
  const fenceAll = statement(`UPDATE ${s}steward_worker SET fenced = 1`)
  const restored = statement(`SELECT value FROM ${s}steward_meta WHERE name = '${META.restored}'`)
  const keepRestored = statement(`INSERT INTO ${s}steward_meta (name, value) VALUES ('${META.restored}', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value`)
  // The revision comes with each row, and alone where there is none: one statement, one snapshot.
  const all = statement(`SELECT r.rev, c.kind, c.name, c.mode, c.until_at, c.by, c.why, c.at, (SELECT m.value FROM ${s}steward_meta AS m WHERE m.name = '${META.restored}') AS restored FROM ${s}steward_control_rev AS r LEFT JOIN ${s}steward_control AS c ON c.kind NOT LIKE '${BEHIND}%' ORDER BY c.kind COLLATE "C", c.name COLLATE "C"`)

  /** In a transaction that holds begins off. */
  async function apply(session: Session, write: ControlWrite): Promise<void> {
    if ('restored' in write) {
      const [before] = await session.query(restored)
      await session.change(keepRestored, [JSON.stringify(joinRestored(restoredOf(before?.['value']), write.restored))])
      await session.change(drop, [EVERYTHING.kind, EVERYTHING.name])
      await session.change(raiseRev)
      return
    }
    const scope = 'lift' in write ? write.lift : write.set
    const before = await stored(session, scope)
    const after = 'lift' in write ? lifted(before) : withControl(before, write.set)
    if (after.inForce !== before.inForce) await replace(session, scope.kind, scope.name, after.inForce)
    if (after.behind !== before.behind) await replace(session, behindKind(scope.kind), scope.name, after.behind)
    if (after.inForce === before.inForce) return
    if (scope.kind !== 'store' || 'lift' in write) return void (await session.change(raiseRev))
    const [now] = await session.query(rev)
    await session.change(raiseAbove, [revAfterSetBack(Number(now?.['rev']), write.set.at)])
    await session.change(fenceAll)
  }

  async function stored(session: Session, { kind, name }: Scope): Promise<ScopeControls> {
    const rows = await session.query(known, [kind, behindKind(kind), name])
    const of = (stored: string): Control | null => {
      const row = rows.find((one) => one['kind'] === stored)
      return row === undefined ? null : controlOf({ ...row, kind, name })
    }
    return { inForce: of(kind), behind: of(behindKind(kind)) }
  }

  async function replace(session: Session, kind: string, name: string, control: Control | null): Promise<void> {
    await session.change(drop, [kind, name])
    if (control !== null) await session.change(put, [kind, name, control.mode, control.untilAt, control.by, control.why, control.at])
  }

  return {
    apply,
    control: (write: ControlWrite, alerts: readonly Alert[]): Promise<void> => connections.transaction(async (session) => {
      await around.excludeBegins(session)
      await apply(session, write)
      await raise(session, s, alerts)
    }),
    async controls(): Promise<Controls> {
      const rows = await connections.run(all)
      const found = rows.filter((row) => row['kind'] !== null).map(controlOf)
      return { rev: Number(rows[0]?.['rev']), all: found, restored: restoredOf(rows[0]?.['restored']) }
    },
  }
}

function controlOf(row: Row): Control {
  return { kind: row['kind'], name: row['name'], mode: row['mode'], untilAt: numberOr(row['until_at']), by: row['by'], why: row['why'], at: Number(row['at']) } as Control
}

const restoredOf = (text: unknown): Restored | null => (typeof text === 'string' ? (JSON.parse(text) as Restored) : null)
