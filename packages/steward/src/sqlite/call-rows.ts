/**
 * Inserts and writes of calls: the two statements on which the store's speed depends, and the slow, complete path
 * beside each.
 *
 * The fast path states all guards in the WHERE of one statement. When it changes nothing, the slow path reads the row
 * and finds out why: another place (ended, corrected, redriven), or a guard that failed. Both end in the same rows.
 */
import { isEnd, type State } from '../core/call.ts'
import { applyControl } from './control-rows.ts'
import type { Preparing } from './database.ts'
import { type Cell, type Flat, I, type InsertExtra, W, type WriteExtra } from './protocol.ts'
import type { Transaction } from './transaction.ts'

type Row = Readonly<Record<string, string | number | null>>
/** `null` when stored; else the answer, with the record as text. */
export type RowResult = null | Readonly<Record<string, unknown>>

const OPEN_COLUMNS = 'seq, namespace, operation, version, priority, due_at, limit_at, expires_at, give_up_at, grp, place, state, rev, generation, encryption_key_id, worker, epoch, body'
const UPDATED = 'version = ?, priority = ?, due_at = ?, limit_at = ?, expires_at = ?, give_up_at = ?, state = ?, rev = ?, generation = ?, encryption_key_id = ?, worker = ?, epoch = ?, body = ?'
/** The two texts of a record, as the decoder takes them. */
export const RECORD = 't.body || char(10) || k.input AS body'
const BY_ID = 'seq = (SELECT seq FROM steward_key WHERE id = ?)'

/** Every statement over rows of calls, prepared once. */
function statements(db: Preparing) {
  return {
    key: db.prepare('INSERT INTO steward_key (namespace, operation, key, id, input) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING'),
    keyOf: db.prepare('SELECT seq, id, state, digests FROM steward_key WHERE namespace = ? AND operation = ? AND key = ?'),
    seqOf: db.prepare('SELECT seq FROM steward_key WHERE id = ?'),
    open: db.prepare(`INSERT INTO steward_open (${OPEN_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`),
    ended: db.prepare('INSERT INTO steward_ended (seq, operation, grp, state, rev, ended_at, encryption_key_id, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)'),
    openRow: db.prepare(`SELECT t.seq, t.operation, version, grp, place, t.state, rev, worker, epoch, ${RECORD} FROM steward_open AS t JOIN steward_key AS k ON k.seq = t.seq WHERE t.seq = ?`),
    endedRow: db.prepare(`SELECT t.seq, t.operation, grp, t.state, rev, ${RECORD} FROM steward_ended AS t JOIN steward_key AS k ON k.seq = t.seq WHERE t.seq = ?`),
    // Sets no column of the lease's index, nor of the lane: those index entries stay as they are.
    updateHeld: db.prepare(`UPDATE steward_open SET due_at = ?, limit_at = ?, expires_at = ?, give_up_at = ?, state = ?, rev = ?, generation = ?, encryption_key_id = ?, body = ?
      WHERE ${BY_ID} AND rev = ? AND version = ? AND priority = ? AND worker = ? AND epoch = ?`),
    // RETURNING would cost a temporary table per row; the new row's number is the old one's.
    endHeld: db.prepare(`INSERT INTO steward_ended (seq, operation, grp, state, rev, ended_at, encryption_key_id, body)
      SELECT seq, operation, grp, ?, ?, ?, ?, ? FROM steward_open WHERE ${BY_ID} AND rev = ? AND version = ? AND worker = ? AND epoch = ?`),
    update: db.prepare(`UPDATE steward_open SET ${UPDATED} WHERE seq = ?`),
    updateEnded: db.prepare('UPDATE steward_ended SET state = ?, rev = ?, ended_at = ?, encryption_key_id = ?, body = ? WHERE seq = ?'),
    input: db.prepare('UPDATE steward_key SET input = ? WHERE id = ?'),
    dropOpen: db.prepare('DELETE FROM steward_open WHERE seq = ?'),
    dropEnded: db.prepare('DELETE FROM steward_ended WHERE seq = ?'),
    factsOf: db.prepare('SELECT body FROM steward_early_fact WHERE namespace = ? AND operation = ? AND key = ? ORDER BY seq'),
    dropFacts: db.prepare('DELETE FROM steward_early_fact WHERE namespace = ? AND operation = ? AND key = ?'),
  }
}

export class CallRows {
  readonly #sql: ReturnType<typeof statements>
  constructor(db: Preparing) {
    this.#sql = statements(db)
  }

  bodyAt(seq: number): string | null {
    const row = this.#sql.openRow.get(seq) ?? this.#sql.endedRow.get(seq)
    return row === undefined ? null : (row['body'] as string)
  }
  bodyOf(id: string): string | null {
    const seq = this.seqOf(id)
    return seq === undefined ? null : this.bodyAt(seq)
  }
  seqOf(id: string): number | undefined {
    return this.#sql.seqOf.get(id)?.['seq'] as number | undefined
  }
  keyOf(namespace: string, operation: string, key: string): Row | undefined {
    return this.#sql.keyOf.get(namespace, operation, key) as Row | undefined
  }
  /** Facts that wait for this key, as text, in the order they came. */
  factsOf(namespace: string, operation: string, key: string): string[] {
    return this.#sql.factsOf.all(namespace, operation, key).map((row) => row['body'] as string)
  }

  insert(tx: Transaction, flat: Flat, from: number): RowResult {
    const extra = flat[from + I.extra] as InsertExtra | null
    const operation = flat[from + I.operation] as string
    const key = flat[from + I.key] as string
    if (extra !== null || tx.anyEarlyFacts) {
      const known = this.keyOf(tx.namespace, operation, key)
      if (known) return this.#taken(known)
      const refused = this.#refused(tx, operation, key, extra)
      if (refused) return refused
    }
    const added = this.#sql.key.run(tx.namespace, operation, key, flat[from + I.id] as string, flat[from + I.input] as string)
    if (added.changes === 0) {
      const known = this.keyOf(tx.namespace, operation, key)
      if (known === undefined) throw new Error(`the id ${flat[from + I.id] as string} belongs to another key`)
      return this.#taken(known)
    }
    this.#place(tx, flat, from, Number(added.lastInsertRowid), extra)
    return null
  }

  /** The answer for a key that is taken. */
  #taken(row: Row): RowResult {
    if (row['digests'] !== null) return { why: 'pruned', id: row['id'], state: row['state'], digests: JSON.parse(row['digests'] as string) as unknown }
    return { why: 'joined', call: this.bodyAt(row['seq'] as number) }
  }

  /** The guards of an insert whose key is new; when they hold, the write of the call it replaces. */
  #refused(tx: Transaction, operation: string, key: string, extra: InsertExtra | null): RowResult {
    if (extra !== null && extra.lease !== null && !tx.holds(extra.lease)) return { why: 'lease' }
    if (extra !== null && extra.controlsRev !== null && extra.controlsRev !== tx.controlsRev) return { why: 'controls' }
    const facts = tx.anyEarlyFacts ? this.factsOf(tx.namespace, operation, key) : []
    if (facts.length !== (extra === null ? 0 : extra.factsSeen)) return { why: 'facts', facts: facts.map((text) => JSON.parse(text) as unknown) }
    const replaced = extra === null || extra.supersedes === null ? null : this.write(tx, extra.supersedes, 0)
    if (replaced) return { why: 'superseded-changed', call: replaced['call'] }
    if (facts.length > 0) {
      this.#sql.dropFacts.run(tx.namespace, operation, key)
      tx.earlyFactsChanged()
    }
    return null
  }

  /** Puts the row where its state belongs. */
  #place(tx: Transaction, flat: Flat, from: number, seq: number, extra: InsertExtra | null): void {
    const cell = (at: number): Cell => flat[from + at] as Cell
    if (isEnd(cell(I.state) as State)) {
      this.#sql.ended.run(seq, cell(I.operation), cell(I.group), cell(I.state), cell(I.rev), cell(I.endedAt), cell(I.encryptionKeyId), cell(I.body))
    } else {
      const lease = extra === null ? null : extra.lease
      this.#sql.open.run(seq, tx.namespace, cell(I.operation), cell(I.version), cell(I.priority), cell(I.dueAt), cell(I.limitAt), cell(I.expiresAt), cell(I.giveUpAt),
        cell(I.group), cell(I.place), cell(I.state), cell(I.rev), cell(I.generation), cell(I.encryptionKeyId), lease === null ? null : lease.worker, lease === null ? null : lease.epoch, cell(I.body))
      tx.count(cell(I.operation) as string, cell(I.version) as number, 1)
    }
    if (extra === null) return
    tx.raise(extra.alerts)
    if (extra.settleDueAt !== null) tx.markSettle(seq, extra.settleDueAt, 0)
  }

  write(tx: Transaction, flat: Flat, from: number): RowResult {
    const worker = flat[from + W.worker] as string | null
    if (worker === null) return this.#writeSlowly(tx, flat, from)
    const epoch = flat[from + W.epoch] as number
    const controlsRev = flat[from + W.controlsRev]
    if (!tx.isAlive(worker, epoch) || (controlsRev !== null && controlsRev !== tx.controlsRev)) return this.#writeSlowly(tx, flat, from)
    const done = isEnd(flat[from + W.state] as State) ? this.#endFast(tx, flat, from, worker, epoch) : flat[from + W.release] === 0 && this.#updateFast(flat, from, worker, epoch)
    if (!done) return this.#writeSlowly(tx, flat, from)
    this.#applyExtra(tx, flat, from)
    return null
  }

  #updateFast(flat: Flat, from: number, worker: string, epoch: number): boolean {
    const cell = (at: number): Cell => flat[from + at] as Cell
    const changed = this.#sql.updateHeld.run(cell(W.dueAt), cell(W.limitAt), cell(W.expiresAt), cell(W.giveUpAt), cell(W.state), cell(W.rev), cell(W.generation), cell(W.encryptionKeyId), cell(W.body),
      cell(W.id), cell(W.expectRev), cell(W.version), cell(W.priority), worker, epoch)
    return changed.changes !== 0
  }

  #endFast(tx: Transaction, flat: Flat, from: number, worker: string, epoch: number): boolean {
    const cell = (at: number): Cell => flat[from + at] as Cell
    const moved = this.#sql.endHeld.run(cell(W.state), cell(W.rev), cell(W.endedAt), cell(W.encryptionKeyId), cell(W.body), cell(W.id), cell(W.expectRev), cell(W.version), worker, epoch)
    if (moved.changes === 0) return false
    this.#sql.dropOpen.run(moved.lastInsertRowid)
    tx.count(cell(W.operation) as string, cell(W.version) as number, -1)
    return true
  }

  #writeSlowly(tx: Transaction, flat: Flat, from: number): RowResult {
    const cell = (at: number): Cell => flat[from + at] as Cell
    const worker = cell(W.worker) as string | null
    const seq = this.seqOf(cell(W.id) as string)
    const open = seq === undefined ? undefined : (this.#sql.openRow.get(seq) as Row | undefined)
    const row = seq === undefined ? undefined : (open ?? (this.#sql.endedRow.get(seq) as Row | undefined))
    if (row === undefined) return { why: worker === null ? 'rev' : 'lease', call: null }
    const held = worker === null || (open !== undefined && tx.isAlive(worker, cell(W.epoch) as number) && row['worker'] === worker && row['epoch'] === cell(W.epoch))
    if (!held) return { why: 'lease', call: row['body'] }
    if (row['rev'] !== cell(W.expectRev)) return { why: 'rev', call: row['body'] }
    if (cell(W.controlsRev) !== null && cell(W.controlsRev) !== tx.controlsRev) return { why: 'controls', call: row['body'] }
    if (open) this.#fromOpen(tx, flat, from, open)
    else this.#fromEnded(tx, flat, from, row)
    this.#applyExtra(tx, flat, from)
    return null
  }

  #fromOpen(tx: Transaction, flat: Flat, from: number, row: Row): void {
    const cell = (at: number): Cell => flat[from + at] as Cell
    const seq = row['seq'] as number
    tx.count(row['operation'] as string, row['version'] as number, -1)
    if (isEnd(cell(W.state) as State)) {
      this.#sql.dropOpen.run(seq)
      this.#sql.ended.run(seq, cell(W.operation), row['grp'] as Cell, cell(W.state), cell(W.rev), cell(W.endedAt), cell(W.encryptionKeyId), cell(W.body))
      return
    }
    tx.count(cell(W.operation) as string, cell(W.version) as number, 1)
    const keep = cell(W.release) === 0
    this.#sql.update.run(...updated(flat, from, keep ? (row['worker'] as Cell) : null, keep ? (row['epoch'] as Cell) : null), seq)
  }

  /** A corrected end stays where it is; a redriven call goes back among the open ones, unleased and unmarked: there will be another end to tell of. */
  #fromEnded(tx: Transaction, flat: Flat, from: number, row: Row): void {
    const cell = (at: number): Cell => flat[from + at] as Cell
    const seq = row['seq'] as number
    if (isEnd(cell(W.state) as State)) {
      this.#sql.updateEnded.run(cell(W.state), cell(W.rev), cell(W.endedAt), cell(W.encryptionKeyId), cell(W.body), seq)
      return
    }
    const { place = null } = JSON.parse(cell(W.body) as string) as { place?: number }
    this.#sql.dropEnded.run(seq)
    tx.markSettle(seq, null, 0)
    this.#sql.open.run(seq, tx.namespace, cell(W.operation), cell(W.version), cell(W.priority), cell(W.dueAt), cell(W.limitAt), cell(W.expiresAt), cell(W.giveUpAt),
      row['grp'] as Cell, place, cell(W.state), cell(W.rev), cell(W.generation), cell(W.encryptionKeyId), null, null, cell(W.body))
    tx.count(cell(W.operation) as string, cell(W.version) as number, 1)
  }

  #applyExtra(tx: Transaction, flat: Flat, from: number): void {
    const input = flat[from + W.input] as string | null
    if (input !== null) this.#sql.input.run(input, flat[from + W.id] as string)
    const extra = flat[from + W.extra] as WriteExtra | null
    if (extra === null) return
    tx.raise(extra.alerts)
    for (const control of extra.controls) applyControl(tx, control)
    if (extra.settleDueAt !== null) tx.markSettle(this.seqOf(flat[from + W.id] as string) as number, extra.settleDueAt, 0)
  }
}

function updated(flat: Flat, from: number, worker: Cell, epoch: Cell): Cell[] {
  const cell = (place: number): Cell => flat[from + place] as Cell
  return [cell(W.version), cell(W.priority), cell(W.dueAt), cell(W.limitAt), cell(W.expiresAt), cell(W.giveUpAt), cell(W.state), cell(W.rev), cell(W.generation), cell(W.encryptionKeyId), worker, epoch, cell(W.body)]
}
