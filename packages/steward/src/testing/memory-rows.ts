/** Inserts and writes of the memory store: the guards of the port, judged one write at a time. */
import { type Call, isEnd } from '../core/call.ts'
import type { CallWrite, ControlWrite, InsertResult, InsertWrite, Lease, WriteResult } from '../ports/store.ts'
import { lifted, type ScopeControls, withControl } from '../ports/scope-controls.ts'
import { EVERYTHING, joinRestored, revAfterSetBack, setBackAlert, setBackHold } from '../ports/set-back.ts'
import { keyName, type MemoryData, place, type Row } from './memory-data.ts'

/** Records are values: what goes in and comes out is never the caller's own object, and has been JSON on the way. */
export const copy = <Value>(value: Value): Value => JSON.parse(JSON.stringify(value)) as Value

export function isAlive(data: MemoryData, lease: Lease): boolean {
  const row = data.workers.get(lease.worker)
  return row !== undefined && row.epoch === lease.epoch && !row.fenced
}

export function holds(row: Row, lease: Lease): boolean {
  return row.lease !== null && row.lease.worker === lease.worker && row.lease.epoch === lease.epoch
}

type CallChange = Omit<CallWrite, 'kind'>

/** Why the write would be refused; `null` when all guards hold. */
export function guardOf(data: MemoryData, write: CallChange): WriteResult | null {
  const row = data.rows.get(write.call.id)
  if (!row) return { ok: false, why: write.lease ? 'lease' : 'rev', call: null }
  const refused = (why: 'lease' | 'rev' | 'controls'): WriteResult => ({ ok: false, why, call: copy(row.call) })
  if (write.lease && !(isAlive(data, write.lease) && holds(row, write.lease) && !isEnd(row.call.state))) return refused('lease')
  if (row.call.rev !== write.expectRev) return refused('rev')
  return write.controlsRev !== undefined && write.controlsRev !== data.controlsRev ? refused('controls') : null
}

export function applyWrite(data: MemoryData, write: CallChange): WriteResult {
  const refused = guardOf(data, write)
  if (refused) return refused
  const row = data.rows.get(write.call.id) as Row
  const wasEnd = isEnd(row.call.state)
  row.call = copy(write.call)
  if (isEnd(row.call.state) || wasEnd || write.leaseAfter === 'release') row.lease = null
  // Redriven: there will be another end to tell of.
  if (wasEnd && !isEnd(row.call.state)) row.settle = null
  raise(data, write.alerts ?? [])
  for (const control of write.controls ?? []) applyControl(data, control)
  if (write.settleDueAt !== undefined && write.settleDueAt !== null) row.settle = { dueAt: write.settleDueAt, tries: 0 }
  place(data, row)
  return { ok: true }
}

export function applyInsert(data: MemoryData, write: InsertWrite): InsertResult {
  const name = keyName(write.call.operation, write.call.key)
  const known = data.keys.get(name)
  if (known !== undefined) return taken(data, known)
  if (write.lease && !isAlive(data, write.lease)) return { ok: false, why: 'lease' }
  if (write.controlsRev !== undefined && write.controlsRev !== data.controlsRev) return { ok: false, why: 'controls' }
  const facts = data.earlyFacts.get(name) ?? []
  if (facts.length !== write.factsSeen) return { ok: false, why: 'facts', facts: copy(facts) }
  if (write.supersedes) {
    const replaced = applyWrite(data, { ...write.supersedes, leaseAfter: 'keep' })
    if (!replaced.ok) return { ok: false, why: 'superseded-changed', call: replaced.call }
  }
  data.earlyFacts.delete(name)
  data.keys.set(name, write.call.id)
  data.seq += 1
  const ended = isEnd(write.call.state)
  const row: Row = {
    seq: data.seq,
    call: copy(write.call),
    lease: write.lease && !ended ? { ...write.lease } : null,
    settle: write.settleDueAt === undefined || write.settleDueAt === null ? null : { dueAt: write.settleDueAt, tries: 0 },
  }
  data.rows.set(write.call.id, row)
  place(data, row)
  raise(data, write.alerts ?? [])
  return { ok: true }
}

function taken(data: MemoryData, id: string): InsertResult {
  const pruned = data.pruned.get(id)
  if (pruned) return { ok: false, why: 'pruned', ...copy(pruned) }
  return { ok: false, why: 'joined', call: copy((data.rows.get(id) as Row).call) }
}

export function raise(data: MemoryData, alerts: NonNullable<CallWrite['alerts']>): void {
  for (const alert of alerts) if (!data.alerts.has(alert.id)) data.alerts.set(alert.id, { alert: copy(alert), deliveredAt: null })
}

export function applyControl(data: MemoryData, write: ControlWrite): void {
  if ('restored' in write) {
    data.restored = copy(joinRestored(data.restored, write.restored))
    data.controls.delete(keyName(EVERYTHING.kind, EVERYTHING.name))
    data.controlsRev += 1
    return
  }
  const scope = 'lift' in write ? write.lift : write.set
  const name = keyName(scope.kind, scope.name)
  const before: ScopeControls = { inForce: data.controls.get(name) ?? null, behind: data.behind.get(name) ?? null }
  const after = 'lift' in write ? lifted(before) : withControl(before, copy(write.set))
  for (const [map, control] of [[data.controls, after.inForce], [data.behind, after.behind]] as const) {
    if (control === null) map.delete(name)
    else map.set(name, control)
  }
  if (after.inForce === before.inForce) return
  data.controlsRev += 1
  if (scope.kind !== 'store' || 'lift' in write) return
  data.controlsRev = revAfterSetBack(data.controlsRev, write.set.at)
  for (const [worker, row] of data.workers) data.workers.set(worker, { ...row, fenced: true })
}

/** Asked before anything else is done: whether the database is another than the one on record. */
export function noticeSetBack(data: MemoryData, now: number): void {
  if (data.incarnation === data.knownIncarnation) return
  data.knownIncarnation = data.incarnation
  const hold = setBackHold('the store', 'it is not the database that it was', now)
  applyControl(data, { set: hold })
  raise(data, [setBackAlert('this memory store', hold, data.knownUntilAt)])
}

/** When a worker may claim it; the SQL stores keep the same in a column. */
export function claimableAt(call: Call): number | null {
  return call.state === 'waiting' || call.state === 'checking' || call.state === 'accepted' ? call.dueAt : null
}
