/** What SQLite's result codes mean to the caller: coded errors that say what state they leave, and what to do. */
import type { ErrorCode } from '../core/errors.ts'
import type { Refusal } from './protocol.ts'

/** Primary result codes of SQLite (https://www.sqlite.org/rescode.html). */
const SQLITE = { busy: 5, locked: 6, readonly: 8, ioerr: 10, corrupt: 11, full: 13, cantopen: 14, notadb: 26 } as const
const CONSTRAINT = 19
const CODES: ReadonlyMap<string, number> = new Map(Object.entries({ ...SQLITE, constraint: CONSTRAINT }).map(([name, code]) => [name.toUpperCase(), code]))

/** The primary result code of an error of SQLite: node:sqlite throws the number, better-sqlite3 its name (SQLITE_BUSY_SNAPSHOT …); 0 for anything else. */
export function resultCode(error: unknown): number {
  if (error === null || typeof error !== 'object') return 0
  if ('errcode' in error) return typeof error.errcode === 'number' ? error.errcode & 0xff : 0
  const [of, name = ''] = 'code' in error && typeof error.code === 'string' ? error.code.split('_') : []
  return of === 'SQLITE' ? (CODES.get(name) ?? 0) : 0
}

export function isBusy(error: unknown): boolean {
  const code = resultCode(error)
  return code === SQLITE.busy || code === SQLITE.locked
}

export function isNoDatabase(error: unknown): boolean {
  return resultCode(error) === SQLITE.notadb
}

export function isConstraint(error: unknown): boolean {
  return resultCode(error) === CONSTRAINT
}

/** Whether the error is about the database as a whole, rather than about one statement's values. */
export function concernsTheWholeStore(error: unknown): boolean {
  return (Object.values(SQLITE) as readonly number[]).includes(resultCode(error))
}

export class StoreRefusal extends Error {
  readonly refusal: Refusal
  constructor(code: ErrorCode, message: string, details: Readonly<Record<string, unknown>> = {}) {
    super(message)
    this.refusal = { code, message, details }
  }
}

/** @param during what was under way: `opening`, `statement` (surely not stored) or `commit`. */
export function refusalOf(error: unknown, path: string, during: 'opening' | 'statement' | 'commit'): Refusal {
  if (error instanceof StoreRefusal) return error.refusal
  const text = error instanceof Error ? error.message : String(error)
  const nothing = during === 'opening' ? 'Nothing was changed.' : 'Nothing of the batch was stored.'
  const details = { path, sqlite: text }
  switch (resultCode(error)) {
    case SQLITE.busy:
    case SQLITE.locked:
      return { code: 'STEWARD_STORE_UNAVAILABLE', message: `another process kept ${path} locked for too long (${text}). ${nothing} Look for a process that holds a transaction open, then try again.`, details: { ...details, outcome: 'not_stored' } }
    case SQLITE.readonly:
      return { code: 'STEWARD_STORE_READONLY', message: `${path} or its directory cannot be written (${text}). ${nothing} Give this user the right to write the file and its directory, which also holds the -wal and -shm files.`, details }
    case SQLITE.corrupt:
    case SQLITE.notadb:
      return { code: 'STEWARD_STORE_CORRUPT', message: `${path} is damaged or is not an SQLite database (${text}). ${nothing} Keep a copy of the file with its -wal, then restore a backup, or name another path.`, details }
    case SQLITE.full:
      return { code: 'STEWARD_STORE_FULL', message: `there is no room left for ${path} (${text}). ${nothing} Make room on its disk; the store goes on by itself.`, details }
    case SQLITE.cantopen:
      return { code: 'STEWARD_STORE_LOCATION', message: `${path} cannot be opened (${text}). ${nothing} Check that its directory exists and that this user may use it.`, details }
    default:
      // A commit that broke off may still be found by a later recovery of the log: nobody can tell.
      return during === 'commit'
        ? { code: 'STEWARD_STORE_UNAVAILABLE', message: `the commit to ${path} broke off (${text}). Whether the batch was stored is not known. Repeat the same writes: they join what is there.`, details: { ...details, outcome: 'unknown' } }
        : { code: 'STEWARD_STORE_UNAVAILABLE', message: `${path} refused a statement (${text}). ${nothing} Try again; if it stays so, run an integrity check of the file.`, details: { ...details, outcome: 'not_stored' } }
  }
}
