/**
 * One transaction of the store's thread, and what its parts share: the clock mark, the controls' revision, which
 * workers are alive, and by how much the counts of open calls change. All of it is read inside the transaction and
 * forgotten after it; between transactions another process may change anything.
 */
import type { DatabaseSync } from 'node:sqlite'
import type { Alert } from '../core/alert.ts'
import type { Lease } from '../ports/store.ts'
import { META } from '../store-sql/migrations.ts'
import { type Meta, metaOf, type Preparing } from './database.ts'

/** How often the high-water mark is written, at most. */
const MARK_EVERY_MS = 1_000

export type Prepared<Db extends Preparing = DatabaseSync> = ReturnType<typeof prepareShared<Db>>

export class Transaction {
  readonly db: Preparing
  readonly namespace: string
  readonly meta: Meta
  readonly now: number
  /** The high-water mark as it stands in the database. */
  mark: number
  readonly #shared: Prepared<Preparing>
  readonly #alive = new Map<string, boolean>()
  readonly #counts = new Map<string, { operation: string; version: number; by: number }>()
  #controlsRev: number | null = null
  #anyEarlyFacts: boolean | null = null

  constructor(shared: Prepared<Preparing>, now: number) {
    this.#shared = shared
    this.db = shared.db
    this.meta = shared.meta
    this.namespace = shared.namespace
    this.now = now
    this.mark = Number(shared.meta.get(META.time))
  }

  /** Whether the worker's row is there under this epoch, unfenced. */
  isAlive(worker: string, epoch: number): boolean {
    const name = `${worker} ${epoch}`
    let alive = this.#alive.get(name)
    if (alive === undefined) {
      alive = this.#shared.worker.get(worker, epoch) !== undefined
      this.#alive.set(name, alive)
    }
    return alive
  }

  holds(lease: Lease): boolean {
    return this.isAlive(lease.worker, lease.epoch)
  }

  /** Call after any change of a worker's row. */
  forgetWorkers(): void {
    this.#alive.clear()
  }

  get controlsRev(): number {
    this.#controlsRev ??= Number(this.meta.get(META.controlsRev))
    return this.#controlsRev
  }

  raiseControlsRev(next = this.controlsRev + 1): void {
    this.meta.set(META.controlsRev, next)
    this.#controlsRev = next
  }

  /** Whether any fact waits for its call; asked once, so that inserts need not look for each key. */
  get anyEarlyFacts(): boolean {
    this.#anyEarlyFacts ??= this.#shared.anyFact.get() !== undefined
    return this.#anyEarlyFacts
  }
  earlyFactsChanged(): void {
    this.#anyEarlyFacts = null
  }

  count(operation: string, version: number, by: number): void {
    const name = `${version} ${operation}`
    const known = this.#counts.get(name)
    if (known) known.by += by
    else this.#counts.set(name, { operation, version, by })
  }

  raise(alerts: readonly Alert[]): void {
    for (const alert of alerts) this.#shared.alert.run(alert.id, alert.at, JSON.stringify(alert))
  }

  /** @param dueAt `null` clears the mark. */
  markSettle(seq: number, dueAt: number | null, tries: number): void {
    if (dueAt === null) this.#shared.settleClear.run(seq)
    else this.#shared.settle.run(seq, dueAt, tries)
  }

  /** The same of a mark that is there. */
  moveSettle(seq: number, dueAt: number | null, tries: number): void {
    if (dueAt === null) this.#shared.settleClear.run(seq)
    else this.#shared.settleMove.run(dueAt, tries, seq)
  }

  /** What is written once per transaction. @returns the mark as it stands now. */
  beforeCommit(wrote: boolean): number {
    for (const { operation, version, by } of this.#counts.values()) {
      if (by !== 0) this.#shared.count.run(this.namespace, operation, version, by)
    }
    this.#counts.clear()
    if (wrote && this.now >= this.mark + MARK_EVERY_MS) {
      this.meta.set(META.time, this.now)
      this.mark = this.now
    }
    return Math.max(this.mark, this.now)
  }
}

/** Statements that many parts use. */
export function prepareShared<Db extends Preparing>(db: Db, namespace: string) {
  return {
    db,
    namespace,
    meta: metaOf(db),
    worker: db.prepare('SELECT 1 FROM steward_worker WHERE worker = ? AND epoch = ? AND fenced = 0'),
    anyFact: db.prepare('SELECT 1 FROM steward_early_fact LIMIT 1'),
    alert: db.prepare('INSERT INTO steward_alert (id, at, body) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING'),
    settle: db.prepare('INSERT INTO steward_settle (seq, due_at, tries) VALUES (?, ?, ?) ON CONFLICT (seq) DO UPDATE SET due_at = excluded.due_at, tries = excluded.tries'),
    settleMove: db.prepare('UPDATE steward_settle SET due_at = ?, tries = ? WHERE seq = ?'),
    settleClear: db.prepare('DELETE FROM steward_settle WHERE seq = ?'),
    count: db.prepare('INSERT INTO steward_count (namespace, operation, version, open) VALUES (?, ?, ?, ?) ON CONFLICT (namespace, operation, version) DO UPDATE SET open = open + excluded.open'),
  }
}
