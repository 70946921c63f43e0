/**
 * The outbox on SQLite: the insert of the store's thread, run on the application's own connection to the same file, between two
 * savepoint statements, so that whatever is refused leaves that transaction as it was.
 *
 * Statements are prepared once per connection and go with it.
 */
import { statSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import { StewardError } from '../core/errors.ts'
import type { CallerTx, InsertWrite } from '../ports/store.ts'
import { CallRows, type RowResult } from './call-rows.ts'
import { SqliteCallerTx } from './caller.ts'
import type { Preparing } from './database.ts'
import { type Flat, flattenInsert } from './protocol.ts'
import { refusalOf } from './refusals.ts'
import { errorOf } from './thread-link.ts'
import { type Prepared, prepareShared, Transaction } from './transaction.ts'

type On = { readonly shared: Prepared<Preparing>; readonly calls: CallRows }

export class Outbox {
  readonly #path: string
  readonly #namespace: string
  readonly #on = new WeakMap<DatabaseSync, On>()

  constructor(path: string, namespace: string) {
    this.#path = path
    this.#namespace = namespace
  }

  /** @returns `null` when stored; else the answer, with the record as text. */
  insert(tx: CallerTx, write: InsertWrite, now: number): RowResult {
    const db = this.#checked(tx, write)
    const flat: Flat = []
    flattenInsert(flat, write)
    try {
      const { shared, calls } = this.#prepared(db)
      db.exec('SAVEPOINT steward_insert')
      try {
        const transaction = new Transaction(shared, now)
        const row = calls.insert(transaction, flat, 0)
        transaction.beforeCommit(true)
        return row
      } catch (error) {
        if (db.isTransaction) db.exec('ROLLBACK TO steward_insert')
        throw error
      } finally {
        // Some errors (a full disk) end the whole transaction.
        if (db.isTransaction) db.exec('RELEASE steward_insert')
      }
    } catch (error) {
      throw errorOf(refusalOf(error, this.#path, 'statement'))
    }
  }

  #checked(tx: CallerTx, { call }: InsertWrite): DatabaseSync {
    const refuse = (why: string, text: string): StewardError => new StewardError('STEWARD_TRANSACTION_REFUSED', `${call.operation} "${call.key}" cannot be submitted inside this transaction: ${text}`, { operation: call.operation, key: call.key, why, path: this.#path })
    if (!(tx instanceof SqliteCallerTx)) throw refuse('no_wrapper', 'tx is no transaction of node:sqlite. Nothing was stored. Wrap the connection with fromDatabaseSync of steward/sqlite.')
    const { database } = tx
    if (!database.isOpen || !database.isTransaction) throw refuse('no_transaction', 'no transaction is open on its connection. Nothing was stored. Run BEGIN IMMEDIATE first, and submit before COMMIT.')
    const place = database.location()
    if (place === null || !isSameFile(place, this.#path)) throw refuse('other_database', `its connection is to ${place ?? 'a database in memory'}, and the store is in ${this.#path}. Nothing was stored, and the transaction goes on. Use one file for both, or submit after the commit, without tx.`)
    return database
  }

  #prepared(db: DatabaseSync): On {
    let on = this.#on.get(db)
    if (on === undefined) {
      const plainly = readingPlainly(db)
      on = { shared: prepareShared(plainly, this.#namespace), calls: new CallRows(plainly) }
      this.#on.set(db, on)
    }
    return on
  }
}

/** The application may have its connection answer with arrays or with bigints: then a count would not be 0, and a row would have no names. */
function readingPlainly(db: DatabaseSync): Preparing {
  return {
    prepare(text) {
      const statement = db.prepare(text)
      statement.setReturnArrays(false)
      statement.setReadBigInts(false)
      return statement
    },
  }
}

function isSameFile(one: string, other: string): boolean {
  const [a, b] = [statSync(one, { bigint: true, throwIfNoEntry: false }), statSync(other, { bigint: true, throwIfNoEntry: false })]
  return a !== undefined && b !== undefined && a.dev === b.dev && a.ino === b.ino
}
