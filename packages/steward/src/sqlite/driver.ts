/**
 * The copy of SQLite that a process works with: Node's own, or better-sqlite3's, for applications whose transactions run on that.
 *
 * POSIX gives locks on a file to the process, and each copy of SQLite in it knows only its own locks: two copies on one file
 * write at once, and commits get lost (tried). So a file has one driver per process, and a transaction of the application is taken
 * from that one alone. Within one copy, connections of several threads see each other's locks.
 */
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { StewardError } from '../core/errors.ts'

export type DriverName = 'node:sqlite' | 'better-sqlite3'
export type Value = string | number | bigint | null | Uint8Array
export type Row = Readonly<Record<string, unknown>>

type Ran = { readonly changes: number | bigint; readonly lastInsertRowid: number | bigint }

/** What the store needs of a prepared statement: `get` and `all` of one that answers with no rows run it, too. */
export interface Statement {
  run(...values: Value[]): Ran
  get(...values: Value[]): Row | undefined
  all(...values: Value[]): Row[]
}

/** What the store needs of a connection. `DatabaseSync` is one. */
export interface Database {
  prepare(sql: string): Statement
  exec(sql: string): void
  close(): void
  readonly isTransaction: boolean
}

export type OpenOptions = {
  readonly readOnly?: boolean
  /** The file is read as it stands, its log left alone. */
  readonly immutable?: boolean
}
/** Opens a connection that waits for no lock. */
export type Open = (path: string, options?: OpenOptions) => Database

/** What is needed of a connection of better-sqlite3. */
export interface BetterDatabase {
  prepare(sql: string): BetterStatement
  exec(sql: string): unknown
  close(): unknown
  readonly name: string
  readonly open: boolean
  readonly inTransaction: boolean
}
interface BetterStatement {
  readonly reader: boolean
  safeIntegers(on: boolean): unknown
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- what better-sqlite3 itself says of its parameters and rows
  run(...values: any[]): Ran
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- what better-sqlite3 itself says of its rows
  all(...values: any[]): any[]
}
/** The default export of better-sqlite3. */
export interface BetterSqlite3 {
  new (path: string, options?: { readonly readonly?: boolean; readonly timeout?: number }): BetterDatabase
}

const openNode: Open = (path, { readOnly = false, immutable = false } = {}) => {
  if (!immutable) return new DatabaseSync(path, { readOnly, timeout: 0 })
  const url = pathToFileURL(path)
  url.searchParams.set('immutable', '1')
  return new DatabaseSync(url, { readOnly: true, timeout: 0 })
}

/** A connection of the application's: whatever it was opened with (arrays, bigints), rows have names, and a count of none is 0. */
export function plainly(db: DatabaseSync): Database {
  return {
    prepare(sql) {
      const statement = db.prepare(sql)
      statement.setReturnArrays(false)
      statement.setReadBigInts(false)
      return statement
    },
    exec: (sql) => db.exec(sql),
    close: () => db.close(),
    get isTransaction() { return db.isTransaction },
  }
}

/** better-sqlite3 as the store speaks to it. It opens no URLs, so that "immutable" is "for reading": the log stays where it is all the same. */
export class Better implements Database {
  readonly #db: BetterDatabase
  constructor(db: BetterDatabase) {
    this.#db = db
  }
  get isTransaction(): boolean { return this.#db.inTransaction }
  exec(sql: string): void { this.#db.exec(sql) }
  close(): void { this.#db.close() }

  prepare(sql: string): Statement {
    const statement = this.#db.prepare(sql)
    statement.safeIntegers(false)
    if (!statement.reader) {
      const run = (...values: Value[]): Ran => statement.run(...values.map(whole))
      return { run, get: (...values) => void run(...values), all: (...values) => { run(...values); return [] } }
    }
    const all = (...values: Value[]): Row[] => statement.all(...values.map(whole)) as Row[]
    return { run: (...values) => { all(...values); return this.#ran() }, get: (...values) => all(...values)[0], all }
  }

  #ran(): Ran {
    return this.#db.prepare('SELECT changes() AS changes, last_insert_rowid() AS lastInsertRowid').all()[0] as Ran
  }
}

/** better-sqlite3 binds every number as REAL. */
function whole(value: Value): Value {
  return typeof value === 'number' && Number.isInteger(value) ? BigInt(value) : value
}

/** In the store's thread. @throws when better-sqlite3 cannot be loaded. */
export async function openerOf(driver: DriverName): Promise<Open> {
  if (driver === 'node:sqlite') return openNode
  const BetterSqlite = await betterSqlite3()
  return (path, { readOnly = false, immutable = false } = {}) => new Better(new BetterSqlite(path, { readonly: readOnly || immutable, timeout: 0 }))
}

async function betterSqlite3(): Promise<BetterSqlite3> {
  // Not by a literal: who does without needs no types of it.
  const name: string = 'better-sqlite3'
  return ((await import(name)) as { readonly default: BetterSqlite3 }).default
}

/**
 * Which driver that is, once it is known that the store's thread will load the same copy.
 *
 * @throws StewardError STEWARD_OPTION_INVALID
 */
export async function nameOf(given: BetterSqlite3 | undefined): Promise<DriverName> {
  if (given === undefined) return 'node:sqlite'
  const refuse = (why: string, cause?: unknown): StewardError => new StewardError('STEWARD_OPTION_INVALID', `the driver of sqlite(path, { driver }) ${why}. Nothing was opened. Pass the default export of better-sqlite3, installed beside steward.`, {}, { cause })
  let ours: BetterSqlite3
  try {
    ours = await betterSqlite3()
  } catch (error) {
    throw refuse(`cannot be used: steward finds no better-sqlite3 (${error instanceof Error ? error.message : String(error)})`, error)
  }
  if (ours !== given) throw refuse('is another copy than the better-sqlite3 that steward finds, and two copies of SQLite do not see each other\'s locks')
  return 'better-sqlite3'
}

const NAME = Symbol.for('steward.sqlite.drivers')
const place = globalThis as { [NAME]?: Map<string, { readonly driver: DriverName; openings: number }> }
/** The driver that each open file of this process is worked with; one registry, also when two copies of the library are loaded. */
const open = (place[NAME] ??= new Map())

/** @throws StewardError STEWARD_OPTION_INVALID when the file is open here with another driver. @returns the way to give it back. */
export function takeFile(path: string, driver: DriverName): () => void {
  const one = open.get(path) ?? { driver, openings: 0 }
  if (one.driver !== driver) throw new StewardError('STEWARD_OPTION_INVALID', `${path} is open in this process with ${one.driver}, and was opened again with ${driver}: two copies of SQLite do not see each other's locks on a file, and commits would get lost. Nothing was opened. Pass the same driver to each sqlite(path).`, { path })
  one.openings += 1
  open.set(path, one)
  let given = false
  return () => {
    if (given) return
    given = true
    one.openings -= 1
    if (one.openings === 0) open.delete(path)
  }
}
