/** A backup of a store's file, restored into it while others have it open: as `sqlite3 steward.db .restore` does. */
import { DatabaseSync } from 'node:sqlite'
import type { Database } from './driver.ts'

/** @param connect by the driver of the store: another copy of SQLite would not see that it has the file open. @returns the way back, which replaces all rows in one transaction. */
export function backupOf(path: string, connect: (path: string) => Database = (file) => new DatabaseSync(file, { timeout: 5_000 })): () => void {
  const on = (file: string, work: (db: Database) => void): void => {
    const db = connect(file)
    try {
      work(db)
    } finally {
      db.close()
    }
  }
  const copy = `${path}-copy`
  on(path, (db) => db.prepare('VACUUM INTO ?').run(copy))
  return () => on(path, (db) => {
    db.prepare('ATTACH ? AS copy').run(copy)
    db.exec('BEGIN IMMEDIATE')
    for (const { name } of db.prepare("SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name LIKE 'steward%'").all()) {
      db.exec(`DELETE FROM main."${String(name)}"; INSERT INTO main."${String(name)}" SELECT * FROM copy."${String(name)}"`)
    }
    db.exec('COMMIT')
  })
}
