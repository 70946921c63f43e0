/** The application's own transaction on the store's file, for `submit(operation, { key, input, tx })`. */
import { DatabaseSync } from 'node:sqlite'
import { StewardError } from '../core/errors.ts'
import type { CallerTx } from '../ports/store.ts'

export class SqliteCallerTx implements CallerTx {
  readonly driver = 'node:sqlite'
  readonly database: DatabaseSync
  constructor(database: DatabaseSync) {
    this.database = database
  }
}

/**
 * `node:sqlite`: a connection of the application's own to the store's file, on which BEGIN (better: BEGIN IMMEDIATE) was run.
 *
 * The file has one writer at a time: while that transaction is open, everything the store itself has to write waits, for up to
 * its `busyMs`. Await nothing else between BEGIN and COMMIT, and nothing else of Steward.
 *
 * Another driver, such as better-sqlite3, brings a copy of SQLite of its own, and two copies in one process do not see each
 * other's locks on a file (they are the process's): both would write at once, and commits get lost.
 *
 * @throws StewardError STEWARD_TRANSACTION_REFUSED for anything but a `DatabaseSync`; nothing was stored.
 */
export function fromDatabaseSync(database: DatabaseSync): CallerTx {
  if (database instanceof DatabaseSync) return new SqliteCallerTx(database)
  const name = (database as object | null)?.constructor.name ?? 'nothing'
  throw new StewardError('STEWARD_TRANSACTION_REFUSED', `fromDatabaseSync was given ${name}, which is no DatabaseSync of node:sqlite. Nothing was stored. Another driver (better-sqlite3) brings its own copy of SQLite, and two copies in one process do not see each other's locks on a file: commits would get lost. Open the file with new DatabaseSync(path) for this transaction.`, { why: 'other_driver' })
}
