/** The application's own transaction on the store's file, for `submit(operation, { key, input, tx })`. */
import { DatabaseSync } from 'node:sqlite'
import { StewardError } from '../core/errors.ts'
import type { CallerTx } from '../ports/store.ts'
import { Better, type BetterDatabase, type Database, type DriverName, plainly } from './driver.ts'

export class SqliteCallerTx implements CallerTx {
  readonly driver: DriverName
  /** The application's connection itself: what is prepared goes with it. */
  readonly connection: DatabaseSync | BetterDatabase
  readonly database: Database
  constructor(driver: DriverName, connection: DatabaseSync | BetterDatabase, database: Database) {
    this.driver = driver
    this.connection = connection
    this.database = database
  }

  /** Its file; `null` where it has none, or is closed. */
  get location(): string | null {
    const { connection } = this
    if (connection instanceof DatabaseSync) return connection.isOpen ? connection.location() : null
    return connection.open && connection.name !== '' && connection.name !== ':memory:' ? connection.name : null
  }

  get isOpen(): boolean {
    const { connection } = this
    return connection instanceof DatabaseSync ? connection.isOpen : connection.open
  }
}

/**
 * `node:sqlite`: a connection of the application's own to the store's file, on which BEGIN (better: BEGIN IMMEDIATE) was run.
 *
 * The file has one writer at a time: while that transaction is open, everything the store itself has to write waits, for up to
 * its `busyMs`. Await nothing else between BEGIN and COMMIT, and nothing else of Steward.
 *
 * @throws StewardError STEWARD_TRANSACTION_REFUSED for anything but a `DatabaseSync`; nothing was stored.
 */
export function fromDatabaseSync(database: DatabaseSync): CallerTx {
  if (database instanceof DatabaseSync) return new SqliteCallerTx('node:sqlite', database, plainly(database))
  throw refused('fromDatabaseSync', database, 'no DatabaseSync of node:sqlite', 'For a connection of better-sqlite3 use fromBetterSqlite3')
}

/**
 * better-sqlite3: the same, on a store that was opened as `sqlite(path, { driver: Database })` with that very `Database`. Its
 * `db.transaction(…)` takes no function that awaits: run BEGIN IMMEDIATE and COMMIT by `db.exec`.
 *
 * @throws StewardError STEWARD_TRANSACTION_REFUSED for anything but a connection of better-sqlite3; nothing was stored.
 */
export function fromBetterSqlite3(database: BetterDatabase): CallerTx {
  const one = database as Partial<BetterDatabase> | null
  if (typeof one?.prepare === 'function' && typeof one.inTransaction === 'boolean' && typeof one.name === 'string') return new SqliteCallerTx('better-sqlite3', database, new Better(database))
  throw refused('fromBetterSqlite3', database, 'no connection of better-sqlite3', 'For a DatabaseSync of node:sqlite use fromDatabaseSync')
}

function refused(wrapper: string, given: unknown, what: string, next: string): StewardError {
  const name = (given as object | null | undefined)?.constructor.name ?? 'nothing'
  return new StewardError('STEWARD_TRANSACTION_REFUSED', `${wrapper} was given ${name}, which is ${what}. Nothing was stored. ${next}.`, { why: 'other_driver' })
}
