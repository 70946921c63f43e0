/**
 * Opens the file, brings its schema to this library's version, and checks that it is this application's store.
 *
 * Of two processes that open a new file at once one gets the write lock and migrates; the other waits for the lock
 * and finds it done. Whatever breaks off here leaves the file as it was: every step is one transaction.
 */
import { accessSync, constants, existsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { type Dialect, META, type Migration, MIGRATIONS, SCHEMA_VERSION } from '../store-sql/migrations.ts'
import { blockFor } from './clock.ts'
import type { ThreadData } from './protocol.ts'
import { isBusy, isNoDatabase, StoreRefusal } from './refusals.ts'

const DIALECT: Dialect = { whole: 'INTEGER', serial: 'INTEGER PRIMARY KEY', tableEnd: ' STRICT', keyedTableEnd: ' STRICT, WITHOUT ROWID' }

/** Longest single wait for another process's lock. Short: the other's transactions take about a millisecond. */
const BUSY_STEP_MS = 4
/** Pages the log may hold before a commit moves them into the database: 32 MB. More saves writing hot pages twice; less makes recovery after a crash shorter (about 0.1 s as it is). */
const LOG_PAGES = 8_000
const CACHE_KIB = 8_000

export function openDatabase(data: ThreadData): DatabaseSync {
  checkLocation(data.path)
  const db = new DatabaseSync(data.path, { timeout: 0 })
  try {
    patiently(data.busyMs, () => db.exec('PRAGMA journal_mode = WAL'))
    db.exec(`PRAGMA synchronous = FULL; PRAGMA cache_size = -${CACHE_KIB}; PRAGMA temp_store = MEMORY; PRAGMA wal_autocheckpoint = ${LOG_PAGES}; PRAGMA journal_size_limit = 67108864`)
    if (data.maxPages > 0) db.exec(`PRAGMA max_page_count = ${data.maxPages}`)
    patiently(data.busyMs, () => db.exec('BEGIN IMMEDIATE'))
    migrate(db, data)
    db.exec('COMMIT')
    return db
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK')
    db.close()
    throw error
  }
}

/** Runs what another process's lock may refuse, again and again, for at most `busyMs` of waiting. */
export function patiently(busyMs: number, run: () => void): void {
  let waitedMs = 0
  let stepMs = 0.25
  for (;;) {
    try {
      run()
      return
    } catch (error) {
      if (!isBusy(error) || waitedMs >= busyMs) throw error
    }
    blockFor(stepMs)
    waitedMs += stepMs
    stepMs = Math.min(BUSY_STEP_MS, stepMs * 1.5)
  }
}

/** Says plainly what SQLite would only call "unable to open". */
function checkLocation(path: string): void {
  const folder = dirname(path)
  if (!existsSync(folder)) throw new StoreRefusal('STEWARD_STORE_LOCATION', `the directory ${folder} of ${path} does not exist. Nothing was created. Create the directory, or name another path.`, { path })
  if (!existsSync(path)) return checkWritable(folder, path)
  if (!statSync(path).isFile()) throw new StoreRefusal('STEWARD_STORE_LOCATION', `${path} is not a file. Nothing was changed. Name a file inside it, such as ${path}/steward.db.`, { path })
  checkWritable(path, path)
  checkWritable(folder, path)
  checkHeader(path)
}

/**
 * The log of a damaged file is never touched: an opening for writing would empty it first and complain later, an
 * immutable one reads the first page and looks at no log.
 *
 * SQLite itself reads the file, never a descriptor of our own: POSIX drops every lock that the process holds on a file
 * when any descriptor of it is closed, and another program could then take the store for unused and delete the log of
 * another opening. SQLite knows all its descriptors of the process and closes none while a lock is held.
 */
function checkHeader(path: string): void {
  const url = pathToFileURL(path)
  url.searchParams.set('immutable', '1')
  const file = new DatabaseSync(url, { readOnly: true, timeout: 0 })
  try {
    file.prepare('PRAGMA schema_version').get()
  } catch (error) {
    // Anything else may be another process at work, whom this look does not wait for: the opening proper will tell.
    if (isNoDatabase(error)) throw new StoreRefusal('STEWARD_STORE_CORRUPT', `${path} is damaged or is not an SQLite database: it does not begin as one. Nothing was changed. Keep a copy of the file with its -wal, then restore a backup, or name another path.`, { path })
  } finally {
    file.close()
  }
}

function checkWritable(target: string, path: string): void {
  try {
    accessSync(target, constants.W_OK)
  } catch {
    throw new StoreRefusal('STEWARD_STORE_READONLY', `${target} cannot be written. Nothing was changed. Give this user the right to write ${path} and its directory, which also holds the -wal and -shm files.`, { path })
  }
}

function migrate(db: DatabaseSync, data: ThreadData): void {
  const has = db.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'steward_meta'").get() !== undefined
  if (!has) db.exec('CREATE TABLE steward_meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID')
  const meta = metaOf(db)
  const version = Number(meta.get(META.schema) ?? 0)
  const needs = Number(meta.get(META.needs) ?? 0)
  if (needs > SCHEMA_VERSION) {
    throw new StoreRefusal('STEWARD_STORE_NEWER', `${data.path} was written by a newer version of Steward (schema ${version}, which needs at least ${needs}; this version knows ${SCHEMA_VERSION}). Nothing was changed. Start the newer version, or restore a backup from before it.`, { path: data.path, version, needs, known: SCHEMA_VERSION })
  }
  const known = meta.get(META.namespace) as string | undefined
  if (known !== undefined && known !== data.namespace) {
    throw new StoreRefusal('STEWARD_NAMESPACE_CHANGED', `${data.path} belongs to namespace "${known}" and was opened as "${data.namespace}". Nothing was changed: provider-facing keys are derived from it, and a new one could make every effect happen again. Open it as "${known}", or use another file.`, { path: data.path, stored: known, given: data.namespace })
  }
  for (const step of MIGRATIONS) if (step.version > version) applyStep(db, step, meta)
  if (known === undefined) {
    meta.set(META.namespace, data.namespace)
    meta.set(META.time, data.now)
    meta.set(META.controlsRev, 0)
    meta.set(META.incarnation, String(db.prepare('SELECT lower(hex(randomblob(8))) AS mark').get()?.['mark']))
  }
}

function applyStep(db: DatabaseSync, step: Migration, meta: Meta): void {
  for (const statement of step.statements(DIALECT)) db.exec(statement)
  meta.set(META.schema, step.version)
  meta.set(META.needs, step.needs)
}

/** The store's own few values. */
export type Meta = { get(name: string): unknown; set(name: string, value: string | number): void }

/** A connection as far as statements over rows need it. */
export type Preparing = Pick<DatabaseSync, 'prepare'>

export function metaOf(db: Preparing): Meta {
  const read: StatementSync = db.prepare('SELECT value FROM steward_meta WHERE name = ?')
  const write: StatementSync = db.prepare('INSERT INTO steward_meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value')
  return {
    get: (name) => read.get(name)?.['value'],
    set: (name, value) => void write.run(name, value),
  }
}
