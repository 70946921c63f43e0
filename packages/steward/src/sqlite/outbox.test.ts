/** The outbox on SQLite files, inside transactions of connections of the application's own. */
import Better from 'better-sqlite3'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { natural } from '../ports/definition.ts'
import type { StandardSchema } from '../ports/standard-schema.ts'
import type { StewardOptions } from '../runtime/api.ts'
import { defineOperation } from '../runtime/operation.ts'
import { Steward } from '../runtime/steward.ts'
import { fromDatabaseSync, sqlite } from './index.ts'

type Order = { readonly amount: number }
const input: StandardSchema<Order> = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value: value as Order }) } }
const charge = defineOperation({ name: 'charge', input, idempotency: natural('x'), send: ({ amount }) => Promise.resolve({ charged: amount }) })
const silent = { info: () => undefined, warn: () => undefined, error: () => undefined }

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

async function open(options: Partial<StewardOptions> = {}): Promise<Steward> {
  const steward = await Steward.open({ store: sqlite(path, { busyMs: 200 }), operations: [charge], log: silent, onAlert: null, ...options })
  opened.push(steward)
  return steward
}
function connect(file = path): DatabaseSync {
  const db = new DatabaseSync(file)
  opened.push(db)
  db.exec('CREATE TABLE IF NOT EXISTS orders (id TEXT)')
  return db
}
const order = { key: 'a', input: { amount: 42 } }

it('stores the call when its transaction commits, and a worker performs it', async () => {
  const steward = await open()
  steward.start()
  const db = connect()
  db.exec("BEGIN IMMEDIATE; INSERT INTO orders VALUES ('a')")
  expect(await steward.submit(charge, { ...order, tx: fromDatabaseSync(db) })).toMatchObject({ status: 'created' })
  expect(db.prepare('SELECT count(*) AS n FROM steward_open').get()).toEqual({ n: 1 })
  db.exec('COMMIT')
  expect(await steward.outcome(charge, 'a')).toMatchObject({ state: 'succeeded', result: { charged: 42 } })
  expect((await steward.backlog()).every((one) => one.open === 0)).toBe(true)
})

it('leaves no call of a transaction that was rolled back, nor of a savepoint', async () => {
  const steward = await open()
  const db = connect()
  db.exec('BEGIN')
  await steward.submit(charge, { ...order, tx: fromDatabaseSync(db) })
  db.exec('ROLLBACK')
  db.exec('BEGIN; SAVEPOINT mine')
  await steward.submit(charge, { ...order, tx: fromDatabaseSync(db) })
  db.exec('ROLLBACK TO mine; COMMIT')
  expect(await steward.list()).toEqual([])
  expect(await steward.backlog()).toEqual([])
})

it('joins the call that has the key, refuses another input, and leaves the transaction whole', async () => {
  const steward = await open()
  const db = connect()
  await steward.submit(charge, order)
  db.exec("BEGIN; INSERT INTO orders VALUES ('b')")
  const tx = fromDatabaseSync(db)
  expect(await steward.submit(charge, { ...order, tx })).toMatchObject({ status: 'joined' })
  await expect(steward.submit(charge, { key: 'a', input: { amount: 43 }, tx })).rejects.toMatchObject({ code: 'STEWARD_KEY_REUSED', details: { fields: ['amount'] } })
  db.exec('COMMIT')
  expect(db.prepare('SELECT id FROM orders').all()).toEqual([{ id: 'b' }])
})

it('never sends what a fact said before the call existed', async () => {
  const steward = await open()
  const db = connect()
  await steward.confirm(charge, 'a', { by: 'webhook', result: { charged: 42 } })
  db.exec('BEGIN')
  await steward.submit(charge, { ...order, tx: fromDatabaseSync(db) })
  db.exec('COMMIT')
  expect(await steward.find(charge, 'a')).toMatchObject({ state: 'succeeded', attempts: 0, result: { charged: 42 } })
})

it('keeps inputs sealed', async () => {
  const steward = await open({ encryption: { use: 'k1', keys: { k1: new Uint8Array(32).fill(7) } } })
  const db = connect()
  db.exec('BEGIN')
  await steward.submit(charge, { key: 'a', input: { amount: 987_654 }, tx: fromDatabaseSync(db) })
  db.exec('COMMIT')
  expect(JSON.stringify(db.prepare('SELECT * FROM steward_key').all())).not.toContain('987654')
  expect(await steward.find(charge, 'a')).toMatchObject({ input: { amount: 987_654 } })
})

it('refuses another file, memory, and a connection outside BEGIN, and stores nothing', async () => {
  const steward = await open()
  const [elsewhere, memory, idle] = [connect(join(folder, 'other.db')), connect(':memory:'), connect()]
  elsewhere.exec('BEGIN')
  memory.exec('BEGIN')
  for (const [db, why] of [[elsewhere, 'other_database'], [memory, 'other_database'], [idle, 'no_transaction']] as const) {
    await expect(steward.submit(charge, { ...order, tx: fromDatabaseSync(db) })).rejects.toMatchObject({ code: 'STEWARD_TRANSACTION_REFUSED', details: { why } })
  }
  await expect(steward.submit(charge, { ...order, tx: { driver: 'x' } })).rejects.toMatchObject({ code: 'STEWARD_TRANSACTION_REFUSED', details: { why: 'no_wrapper' } })
  expect(elsewhere.isTransaction).toBe(true)
  expect(await steward.list()).toEqual([])
})

it('says that the file is locked, and leaves the transaction to its owner', async () => {
  const steward = await open()
  const [writer, reader] = [connect(), connect()]
  reader.exec('PRAGMA busy_timeout = 0; BEGIN; SELECT * FROM orders')
  writer.exec("BEGIN IMMEDIATE; INSERT INTO orders VALUES ('w')")
  await expect(steward.submit(charge, { ...order, tx: fromDatabaseSync(reader) })).rejects.toMatchObject({ code: 'STEWARD_STORE_UNAVAILABLE', details: { outcome: 'not_stored' } })
  expect(reader.isTransaction).toBe(true)
  writer.exec('ROLLBACK')
})

it('refuses another copy of SQLite, whose locks it cannot see', () => {
  const [ours, theirs] = [connect(), new Better(path, { timeout: 0 })]
  opened.push(theirs)
  expect(() => fromDatabaseSync(theirs as never)).toThrow(expect.objectContaining({ code: 'STEWARD_TRANSACTION_REFUSED', message: expect.stringContaining('better-sqlite3') as string }))
  // Why: of two writers of one file, both hold what only one may hold.
  ours.exec('PRAGMA journal_mode = WAL; BEGIN IMMEDIATE')
  expect(() => theirs.exec('BEGIN IMMEDIATE')).not.toThrow()
})

it.each([{ readBigInts: true }, { returnArrays: true }])('sends no call again for a connection that answers in a way of its own: %j', async (way) => {
  const steward = await open()
  await steward.perform(charge, order)
  const db = new DatabaseSync(path, way)
  opened.push(db)
  // The row of the order has the number that the call's has.
  db.exec("CREATE TABLE orders (id TEXT); BEGIN IMMEDIATE; INSERT INTO orders VALUES ('a')")
  const tx = fromDatabaseSync(db)
  expect(await steward.submit(charge, { ...order, tx })).toMatchObject({ status: 'joined' })
  await expect(steward.submit(charge, { key: 'a', input: { amount: 43 }, tx })).rejects.toMatchObject({ code: 'STEWARD_KEY_REUSED' })
  expect(await steward.submit(charge, { key: 'b', input: { amount: 1 }, tx })).toMatchObject({ status: 'created' })
  db.exec('COMMIT')
  expect((await steward.list()).map(({ key, state, attempts, input }) => ({ key, state, attempts, input }))).toEqual([{ key: 'a', state: 'succeeded', attempts: 1, input: { amount: 42 } }, { key: 'b', state: 'waiting', attempts: 0, input: { amount: 1 } }])
})
