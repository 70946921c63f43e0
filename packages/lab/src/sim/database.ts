/**
 * The database that the processes of a world share: in memory, or an SQLite file.
 *
 * In memory it can do what databases do to people: lose the last commits, come back from an old backup. It also knows
 * until when nothing is due, which lets the scheduler pass idle days at once.
 */
import { mkdtempSync, rmSync, existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Store } from 'steward'
import { type Call, limitAt } from 'steward/internal'
import { sqlite } from 'steward/sqlite'
import { backupOf, memoryData, type MemoryData, memoryStore } from 'steward/testing'
import type { SimProcess } from './process.ts'

export interface Database {
  readonly kind: 'memory' | 'sqlite'
  /** A process's own opening. Time is the database's own, except on SQLite, where it is the process's. */
  open(process: SimProcess | null): Store
  /** The process is gone for good; `proven`: others can tell at once, as by a lock that the system dropped. */
  gone(process: SimProcess, store: Store, workers: readonly string[], proven: boolean): Promise<void>
  /** The instant before which no call is due, no deadline passes and no lease ends; `null` when somebody has to act now. `lives`: whether a worker's process runs. */
  calmUntil(now: number, lives: (worker: string) => boolean): number | null
  /** A copy of all that is stored, and the way back to it under open stores. */
  backup(): () => void
  close(): void
}

export type DatabaseClock = { /** Milliseconds since the epoch, by the database's clock. */ readonly now: () => number; readonly soon: (fn: () => void) => void }

export class MemoryDatabase implements Database {
  readonly kind = 'memory'
  readonly data: MemoryData = memoryData()
  readonly #clock: DatabaseClock

  constructor(clock: DatabaseClock) {
    this.#clock = clock
  }

  open(): Store {
    return memoryStore({ system: this.#clock, data: this.data })
  }

  gone(_process: SimProcess, _store: Store, workers: readonly string[], proven: boolean): Promise<void> {
    if (proven) for (const worker of workers) this.data.dead.add(worker)
    return Promise.resolve()
  }

  calmUntil(now: number, lives: (worker: string) => boolean): number | null {
    const { data } = this
    let untilAt = Number.POSITIVE_INFINITY
    for (const { untilAt: endAt } of data.controls.values()) if (endAt !== null && endAt > now) untilAt = Math.min(untilAt, endAt)
    for (const row of data.open.values()) {
      // Of the dead and the frozen, others learn when their lease ends; unless they know already.
      if (row.lease !== null && !lives(row.lease.worker) && (data.dead.has(row.lease.worker) || data.workers.get(row.lease.worker)?.fenced !== false)) return null
      const at = row.settle?.dueAt ?? nextOf(row.call, row.lease !== null)
      if (at === null) continue
      if (at <= now && (data.controls.size === 0 || row.settle !== null)) return null
      if (at > now) untilAt = Math.min(untilAt, at)
    }
    for (const worker of data.workers.values()) if (!worker.fenced) untilAt = Math.min(untilAt, Math.max(now, worker.leaseUntilAt))
    return untilAt
  }

  backup(): () => void {
    return backupOf(this.data)
  }

  close(): void { /* it goes with the world */ }
}

/** When time or a worker moves it next; what runs is moved by its deadline. */
function nextOf(call: Call, isLeased: boolean): number | null {
  if (call.state === 'running') return call.open.reduce((first, attempt) => (attempt.closedAt === null ? Math.min(first, attempt.deadlineAt) : first), Number.POSITIVE_INFINITY)
  if (isLeased) return null
  const limit = call.state === 'in_doubt' || call.state === 'accepted' || call.stop !== null ? null : limitAt(call)
  const due = call.state === 'waiting' || call.state === 'checking' || call.state === 'accepted' ? call.dueAt : null
  return due === null ? limit : limit === null ? due : Math.min(due, limit)
}

/** A folder in memory where there is one: worlds are about claims, not about disks. */
const FAST = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

export class SqliteDatabase implements Database {
  readonly kind = 'sqlite'
  readonly #folder = mkdtempSync(join(FAST, 'steward-lab-'))
  readonly #clock: DatabaseClock
  #copies = 0

  constructor(clock: DatabaseClock) {
    this.#clock = clock
  }

  open(process: SimProcess | null): Store {
    const clock = (): number => (process === null ? this.#clock.now() : process.system.now())
    return sqlite(join(this.#folder, 'steward.db'), { clock, ticks: () => this.#clock.now() })
  }

  /** Its lock is dropped with its opening, as the system does for a process. */
  async gone(_process: SimProcess, store: Store): Promise<void> {
    await store.close()
  }

  /** What is due in the file is not known here: every background timer may be a little late, as on a busy machine. */
  calmUntil(): number {
    return Number.POSITIVE_INFINITY
  }

  backup(): () => void {
    const copy = join(this.#folder, `copy-${++this.#copies}.db`)
    this.#on((db) => db.prepare('VACUUM INTO ?').run(copy))
    return () => this.#on((db) => putBack(db, copy))
  }

  #on(work: (db: DatabaseSync) => void): void {
    const db = new DatabaseSync(join(this.#folder, 'steward.db'), { timeout: 5_000 })
    try {
      work(db)
    } finally {
      db.close()
    }
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** All rows of the copy in the place of those that are there, in one transaction. */
function putBack(db: DatabaseSync, copy: string): void {
  db.prepare('ATTACH ? AS copy').run(copy)
  db.exec('BEGIN IMMEDIATE')
  for (const { name } of db.prepare("SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name LIKE 'steward%'").all()) {
    db.exec(`DELETE FROM main."${String(name)}"; INSERT INTO main."${String(name)}" SELECT * FROM copy."${String(name)}"`)
  }
  db.exec('COMMIT')
}
