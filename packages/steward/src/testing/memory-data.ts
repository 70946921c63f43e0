/** What a memory store holds. Two openings over one `MemoryData` see the same calls, as two processes share a file. */
import type { Alert } from '../core/alert.ts'
import { type Call, isEnd, type State } from '../core/call.ts'
import type { Restored } from '../core/set-back.ts'
import type { Control, EarlyFact, Lease, WorkerRow } from '../ports/store.ts'

export type Row = { readonly seq: number; call: Call; lease: Lease | null; settle: { dueAt: number; tries: number } | null }
export type Kept = { readonly id: string; readonly state: State; readonly digests: Readonly<Record<string, string>> }

export type MemoryData = {
  namespace: string | null
  /** Which database this is, as its system tells it; and as is on record. They differ once it was set back. */
  incarnation: number
  knownIncarnation: number
  /** The latest time on record, as it came back. */
  knownUntilAt: number
  restored: Restored | null
  seq: number
  mark: number
  controlsRev: number
  readonly rows: Map<string, Row>
  /** Those of the rows that are not at an end, or whose end the application has not been told: all that workers look through. */
  readonly open: Map<string, Row>
  /** Id of the call by operation and key. */
  readonly keys: Map<string, string>
  /** What outlives pruned calls, by id. */
  readonly pruned: Map<string, Kept>
  readonly earlyFacts: Map<string, EarlyFact[]>
  readonly workers: Map<string, WorkerRow>
  /** Workers whose process has been declared dead: what a lock of the operating system would show. */
  readonly dead: Set<string>
  readonly controls: Map<string, Control>
  /** The holds behind pauses, by the same names. */
  readonly behind: Map<string, Control>
  readonly alerts: Map<string, { readonly alert: Alert; deliveredAt: number | null }>
  readonly listeners: Set<() => void>
}

export function memoryData(): MemoryData {
  return {
    namespace: null, incarnation: 1, knownIncarnation: 1, knownUntilAt: 0, restored: null, seq: 0, mark: 0, controlsRev: 0,
    rows: new Map(), open: new Map(), keys: new Map(), pruned: new Map(), earlyFacts: new Map(), workers: new Map(), dead: new Set(), controls: new Map(), behind: new Map(), alerts: new Map(), listeners: new Set(),
  }
}

const RECORDS = ['rows', 'keys', 'pruned', 'earlyFacts', 'workers', 'controls', 'behind', 'alerts'] as const

/**
 * A copy of all that is stored. What it returns sets the data back to it, as restoring a backup does: whatever was committed
 * since is gone, and the stores over it find out.
 */
export function backupOf(data: MemoryData): () => void {
  const copy = structuredClone({ ...data, listeners: null })
  return () => {
    // The same copy may be restored again: what is put back is not shared with it.
    const again = structuredClone(copy)
    for (const name of RECORDS) {
      const map = data[name] as Map<string, unknown>
      map.clear()
      for (const [key, value] of again[name]) map.set(key, value)
    }
    data.open.clear()
    for (const row of data.rows.values()) place(data, row)
    data.seq = copy.seq
    data.controlsRev = copy.controlsRev
    data.restored = copy.restored
    data.knownIncarnation = copy.knownIncarnation
    data.knownUntilAt = copy.mark
    data.incarnation += 1
  }
}

/** Keeps `open` true after a change of the row. */
export function place(data: MemoryData, row: Row): void {
  if (isEnd(row.call.state) && row.settle === null) data.open.delete(row.call.id)
  else data.open.set(row.call.id, row)
}

export const keyName = (operation: string, key: string): string => JSON.stringify([operation, key])
