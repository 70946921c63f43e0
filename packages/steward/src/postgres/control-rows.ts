/**
 * Pauses and holds. Holds only lengthen and never replace a pause; each change raises the revision that begins are
 * guarded by.
 *
 * A change takes the lock of the revision's table first: it waits for the begins that are under way, and those that
 * come later wait for it. Once a person's pause is committed, no begin that has not seen it can be.
 */
import type { Alert } from '../core/alert.ts'
import type { Restored } from '../core/set-back.ts'
import { EVERYTHING, joinRestored, revAfterSetBack } from '../ports/set-back.ts'
import type { Control, Controls, ControlWrite } from '../ports/store.ts'
import { META } from '../store-sql/migrations.ts'
import { raise } from './alert-rows.ts'
import type { Around } from './around.ts'
import { numberOr } from './call-columns.ts'
import { type Session, statement } from './pool.ts'

export type ControlRows = ReturnType<typeof controlRows>

export function controlRows(around: Around) {
  const { connections, s } = around
  const drop = statement(`DELETE FROM ${s}steward_control WHERE kind = $1 AND name = $2`)
  const known = statement(`SELECT mode, until_at FROM ${s}steward_control WHERE kind = $1 AND name = $2`)
  const put = statement(`INSERT INTO ${s}steward_control (kind, name, mode, until_at, by, why, at) VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (kind, name) DO UPDATE SET mode = excluded.mode, until_at = excluded.until_at, by = excluded.by, why = excluded.why, at = excluded.at`)
  const raiseRev = statement(`UPDATE ${s}steward_control_rev SET rev = rev + 1`)
  const raiseAbove = statement(`UPDATE ${s}steward_control_rev SET rev = $1`)
  const rev = statement(`SELECT rev FROM ${s}steward_control_rev`)
  const fenceAll = statement(`UPDATE ${s}steward_worker SET fenced = 1`)
  const restored = statement(`SELECT value FROM ${s}steward_meta WHERE name = '${META.restored}'`)
  const keepRestored = statement(`INSERT INTO ${s}steward_meta (name, value) VALUES ('${META.restored}', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value`)
  // The revision comes with each row, and alone where there is none: one statement, one snapshot.
  const all = statement(`SELECT r.rev, c.kind, c.name, c.mode, c.until_at, c.by, c.why, c.at, (SELECT m.value FROM ${s}steward_meta AS m WHERE m.name = '${META.restored}') AS restored FROM ${s}steward_control_rev AS r LEFT JOIN ${s}steward_control AS c ON true ORDER BY c.kind COLLATE "C", c.name COLLATE "C"`)

  /** In a transaction that holds begins off. */
  async function apply(session: Session, write: ControlWrite): Promise<void> {
    if ('restored' in write) {
      const [before] = await session.query(restored)
      await session.change(keepRestored, [JSON.stringify(joinRestored(restoredOf(before?.['value']), write.restored))])
      await session.change(drop, [EVERYTHING.kind, EVERYTHING.name])
      await session.change(raiseRev)
      return
    }
    if ('lift' in write) {
      if ((await session.change(drop, [write.lift.kind, write.lift.name])) > 0) await session.change(raiseRev)
      return
    }
    const next = write.set
    const [row] = await session.query(known, [next.kind, next.name])
    if (row && next.mode === 'hold') {
      const untilAt = numberOr(row['until_at'])
      if (row['mode'] === 'pause' || untilAt === null || (next.untilAt !== null && untilAt >= next.untilAt)) return
    }
    await session.change(put, [next.kind, next.name, next.mode, next.untilAt, next.by, next.why, next.at])
    if (next.kind !== 'store') return void (await session.change(raiseRev))
    const [now] = await session.query(rev)
    await session.change(raiseAbove, [revAfterSetBack(Number(now?.['rev']), next.at)])
    await session.change(fenceAll)
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
      const found = rows.filter((row) => row['kind'] !== null).map((row) => ({
        kind: row['kind'], name: row['name'], mode: row['mode'], untilAt: numberOr(row['until_at']), by: row['by'], why: row['why'], at: Number(row['at']),
      }) as Control)
      return { rev: Number(rows[0]?.['rev']), all: found, restored: restoredOf(rows[0]?.['restored']) }
    },
  }
}

const restoredOf = (text: unknown): Restored | null => (typeof text === 'string' ? (JSON.parse(text) as Restored) : null)
