/** The store on better-sqlite3's copy of SQLite: the whole conformance suite, and the outbox in transactions of that library. */
import Better from 'better-sqlite3'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { natural } from '../ports/definition.ts'
import type { StandardSchema } from '../ports/standard-schema.ts'
import { defineOperation } from '../runtime/operation.ts'
import { Steward } from '../runtime/steward.ts'
import { storeConformance } from '../testing/index.ts'
import { backupOf } from './backup.fixture.ts'
import { Better as Adapter } from './driver.ts'
import { fromBetterSqlite3, fromDatabaseSync, sqlite } from './index.ts'

storeConformance({ describe, it }, 'sqlite by better-sqlite3', () => {
  const folder = mkdtempSync(join(tmpdir(), 'steward-better-'))
  let now = 0
  return Promise.resolve({
    make: () => sqlite(join(folder, 'steward.db'), { clock: () => now, driver: Better }),
    setClock: (at) => { now = at },
    backup: () => {
      const restore = backupOf(join(folder, 'steward.db'), (path) => new Adapter(new Better(path, { timeout: 5_000 })))
      return Promise.resolve(() => Promise.resolve(restore()))
    },
    remove: () => Promise.resolve(rmSync(folder, { recursive: true })),
  })
})

type Order = { readonly amount: number }
const input: StandardSchema<Order> = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value: value as Order }) } }
const charge = defineOperation({ name: 'charge', input, idempotency: natural('x'), send: ({ amount }) => Promise.resolve({ charged: amount }) })
const silent = { info: () => undefined, warn: () => undefined, error: () => undefined }
const order = { key: 'a', input: { amount: 42 } }

describe('the outbox in transactions of better-sqlite3', () => {
  let folder: string
  let path: string
  const opened: { close(): unknown }[] = []
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'steward-outbox-'))
    path = join(folder, 'steward.db')
  })
  afterEach(async () => {
    for (const one of opened.splice(0)) await one.close()
    rmSync(folder, { recursive: true })
  })

  async function open(driver: typeof Better | null = Better): Promise<Steward> {
    const steward = await Steward.open({ store: sqlite(path, { busyMs: 200, ...(driver === null ? {} : { driver }) }), operations: [charge], log: silent, onAlert: null })
    opened.push(steward)
    return steward
  }
  function connect(file = path): Better.Database {
    const db = new Better(file, { timeout: 0 })
    opened.push(db)
    db.exec('CREATE TABLE IF NOT EXISTS orders (id TEXT)')
    return db
  }

  it('stores the call when its transaction commits, and a worker performs it', async () => {
    const steward = await open()
    steward.start()
    const db = connect()
    db.exec("BEGIN IMMEDIATE; INSERT INTO orders VALUES ('a')")
    expect(await steward.submit(charge, { ...order, tx: fromBetterSqlite3(db) })).toMatchObject({ status: 'created' })
    expect(db.prepare('SELECT count(*) AS n FROM steward_open').get()).toEqual({ n: 1 })
    db.exec('COMMIT')
    expect(await steward.outcome(charge, 'a')).toMatchObject({ state: 'succeeded', result: { charged: 42 } })
    expect(db.prepare("SELECT typeof(seq) AS seq, typeof(ended_at) AS ended FROM steward_ended").get()).toEqual({ seq: 'integer', ended: 'integer' })
  })

  it('leaves no call of a transaction that was rolled back, nor of a savepoint', async () => {
    const steward = await open()
    const db = connect()
    db.exec('BEGIN')
    await steward.submit(charge, { ...order, tx: fromBetterSqlite3(db) })
    db.exec('ROLLBACK; BEGIN; SAVEPOINT mine')
    await steward.submit(charge, { ...order, tx: fromBetterSqlite3(db) })
    db.exec('ROLLBACK TO mine; COMMIT')
    expect(await steward.list()).toEqual([])
  })

  it('lets one transaction write at a time, the application\'s or the store\'s', async () => {
    const steward = await open()
    const db = connect()
    db.exec('BEGIN IMMEDIATE')
    await expect(steward.submit(charge, order)).rejects.toMatchObject({ code: 'STEWARD_STORE_UNAVAILABLE', details: { outcome: 'not_stored' } })
    db.exec('COMMIT')
    expect(await steward.submit(charge, order)).toMatchObject({ status: 'created' })
  })

  it('refuses another file, memory, a connection outside BEGIN and one of node:sqlite, and stores nothing', async () => {
    const steward = await open()
    const [elsewhere, memory, idle] = [connect(join(folder, 'other.db')), connect(':memory:'), connect()]
    elsewhere.exec('BEGIN')
    memory.exec('BEGIN')
    const theirs = new DatabaseSync(join(folder, 'third.db'))
    opened.push(theirs)
    for (const [tx, why] of [[fromBetterSqlite3(elsewhere), 'other_database'], [fromBetterSqlite3(memory), 'other_database'], [fromBetterSqlite3(idle), 'no_transaction'], [fromDatabaseSync(theirs), 'other_driver']] as const) {
      await expect(steward.submit(charge, { ...order, tx })).rejects.toMatchObject({ code: 'STEWARD_TRANSACTION_REFUSED', details: { why } })
    }
    expect(elsewhere.inTransaction).toBe(true)
    expect(await steward.list()).toEqual([])
  })

  it('refuses a connection of better-sqlite3 where the store works with node:sqlite, whose locks it cannot see', async () => {
    const steward = await open(null)
    const db = connect(join(folder, 'other.db'))
    db.exec('BEGIN')
    await expect(steward.submit(charge, { ...order, tx: fromBetterSqlite3(db) })).rejects.toMatchObject({ code: 'STEWARD_TRANSACTION_REFUSED', details: { why: 'other_driver' }, message: expect.stringContaining('{ driver: Database }') as string })
    expect(() => fromBetterSqlite3({} as never)).toThrow(expect.objectContaining({ code: 'STEWARD_TRANSACTION_REFUSED' }))
  })

  it('is not opened with two drivers in one process, nor with another copy of better-sqlite3', async () => {
    const steward = await open()
    await expect(open(null)).rejects.toMatchObject({ code: 'STEWARD_OPTION_INVALID', message: expect.stringContaining('is open in this process with better-sqlite3') as string })
    await expect(open(class {} as never)).rejects.toMatchObject({ code: 'STEWARD_OPTION_INVALID', message: expect.stringContaining('another copy') as string })
    await steward.close()
    expect(await (await open(null)).list()).toEqual([])
  })

  it('sends no call again for a connection that answers with bigints', async () => {
    const steward = await open()
    await steward.perform(charge, order)
    const db = connect()
    db.defaultSafeIntegers(true)
    db.exec('BEGIN IMMEDIATE')
    const tx = fromBetterSqlite3(db)
    expect(await steward.submit(charge, { ...order, tx })).toMatchObject({ status: 'joined' })
    expect(await steward.submit(charge, { key: 'b', input: { amount: 1 }, tx })).toMatchObject({ status: 'created' })
    db.exec('COMMIT')
    expect((await steward.list()).map(({ key, state, attempts }) => ({ key, state, attempts }))).toEqual([{ key: 'a', state: 'succeeded', attempts: 1 }, { key: 'b', state: 'waiting', attempts: 0 }])
  })

  it('says that the file is damaged, and leaves it and its log as they are', async () => {
    writeFileSync(path, 'this was a database once, and is none any more'.repeat(40))
    writeFileSync(`${path}-wal`, 'x'.repeat(100))
    await expect(open()).rejects.toMatchObject({ code: 'STEWARD_STORE_CORRUPT' })
    expect(readFileSync(`${path}-wal`, 'utf8')).toBe('x'.repeat(100))
  })
})
