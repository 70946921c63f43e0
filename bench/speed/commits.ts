/** Bare commits of one row, one after the other. */
import { rmSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import pg from 'pg'
import { nowMs } from './clock.ts'
import { isPostgres } from './places.ts'

const BODY = 'x'.repeat(500)

/** @returns how long each took, in milliseconds. */
export async function commits(place: string, count: number): Promise<readonly number[]> {
  const rows = await bareRows(place)
  const took: number[] = []
  for (let n = 0; n < count; n++) {
    const t0 = nowMs()
    await rows.insert()
    took.push(nowMs() - t0)
  }
  await rows.close()
  return took
}

type Rows = { insert(): unknown; close(): unknown }

/** A table of its own at that place, and nothing around it. */
export async function bareRows(place: string): Promise<Rows> {
  return isPostgres(place) ? await inPostgres(place) : inSqlite(place)
}

function inSqlite(path: string): Rows {
  const db = new DatabaseSync(path)
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE bare (seq INTEGER PRIMARY KEY, body TEXT)')
  const insert = db.prepare('INSERT INTO bare (body) VALUES (?)')
  return {
    insert: () => insert.run(BODY),
    close() {
      db.close()
      rmSync(path)
    },
  }
}

async function inPostgres(url: string): Promise<Rows> {
  const pool = new pg.Pool({ connectionString: url })
  await pool.query('CREATE TABLE bare (seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body TEXT)')
  return { insert: () => pool.query({ name: 'bare', text: 'INSERT INTO bare (body) VALUES ($1)', values: [BODY] }), close: () => pool.end() }
}
