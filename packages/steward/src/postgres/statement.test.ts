/** A submit as one plain statement for any client, and facts that meet a transaction which is open elsewhere. */
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { natural } from '../ports/definition.ts'
import type { StandardSchema } from '../ports/standard-schema.ts'
import type { StewardOptions, SubmitStatement } from '../runtime/api.ts'
import { defineOperation } from '../runtime/operation.ts'
import { Steward } from '../runtime/steward.ts'
import { realSystem } from '../runtime/system.ts'
import { memoryStore } from '../testing/memory-store.ts'
import { fromPg, postgres } from './index.ts'
import { type PostgresServer, postgresServer, VERSIONS } from './server.fixture.ts'

const input: StandardSchema<{ readonly amount: number; readonly note?: string }> = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value: value as { amount: number } }) } }
const charge = defineOperation({ name: 'charge', input, idempotency: natural('x'), send: ({ amount }) => Promise.resolve({ charged: amount }) })
const silent = { info: () => undefined, warn: () => undefined, error: () => undefined }

describe.each(VERSIONS)('PostgreSQL %i', (version) => {
  let server: PostgresServer
  let pool: pg.Pool
  let places = 0
  const opened: Steward[] = []
  beforeAll(async () => {
    server = await postgresServer(version)
    pool = server.pool(20)
  }, 60_000)
  afterAll(() => server.remove())
  afterEach(async () => {
    for (const steward of opened.splice(0)) await steward.close({ grace: 1 })
  })
  async function open(options: Partial<StewardOptions> = {}, schema = `place_${++places}`): Promise<Steward> {
    const steward = await Steward.open({ store: postgres({ pool, schema, listen: false }), operations: [charge], log: silent, onAlert: null, ...options })
    opened.push(steward)
    return steward
  }
  /** Another database of the server, with a store of the same name. */
  async function copyOf(schema: string): Promise<pg.Pool> {
    await pool.query(`CREATE DATABASE copy_of_${schema}`)
    const there = server.pool(2, 'steward', `copy_of_${schema}`)
    await open({ store: postgres({ pool: there, schema, listen: false }) })
    return there
  }
  /** As a client that knows nothing of Steward would. */
  async function run({ text, values }: { readonly text: string; readonly values: readonly unknown[] }, on: pg.Pool | pg.PoolClient = pool): Promise<Record<string, unknown>> {
    const { rows } = await on.query(text, [...values])
    expect(rows).toHaveLength(1)
    return rows[0] as Record<string, unknown>
  }

  describe('a plain statement', () => {
    it('stores the call with the transaction that runs it, and says so in its row', async () => {
      const steward = await open()
      const statement = await steward.submitStatement(charge, { key: 'a', input: { amount: 42, note: `it's $1 "?" \\ é` }, group: 'g', priority: 3, runAt: 5 })
      const client = await pool.connect()
      await client.query('BEGIN')
      const row = await run(statement, client)
      expect(row['status']).toBe('created')
      expect(statement.read(row)).toMatchObject({ status: 'created', id: row['id'], key: 'a' })
      expect(await steward.find(charge, 'a')).toBeNull()
      await client.query('ROLLBACK')
      expect(await steward.list()).toEqual([])
      await client.query('BEGIN')
      await run(await steward.submitStatement(charge, { key: 'a', input: { amount: 43 } }), client)
      await client.query('COMMIT')
      client.release()
      steward.start()
      expect(await steward.outcome(charge, 'a')).toMatchObject({ state: 'succeeded', result: { charged: 43 } })
    })

    it('joins the call that has the key, and refuses another input', async () => {
      const steward = await open()
      const [first, same, other] = [await steward.submitStatement(charge, { key: 'a', input: { amount: 1, note: 'x' } }), await steward.submitStatement(charge, { key: 'a', input: { note: 'x', amount: 1 } }), await steward.submitStatement(charge, { key: 'a', input: { amount: 2 } })]
      const { id } = await run(first)
      for (const state of ['waiting', 'succeeded']) {
        const joined = await run(same)
        expect(joined).toMatchObject({ status: 'joined', id })
        expect(same.read(joined)).toMatchObject({ status: 'joined', id })
        const reused = await run(other)
        expect(reused).toMatchObject({ status: 'reused', id })
        expect(() => other.read(reused)).toThrow(expect.objectContaining({ code: 'STEWARD_KEY_REUSED', details: expect.objectContaining({ fields: ['amount', 'note'] }) as unknown }))
        if (state === 'waiting') await steward.confirm(charge, 'a', { by: 'ana' })
      }
      expect(await steward.list()).toHaveLength(1)
    })

    it('stores nothing where evidence came first, on a copy, or when its key was pruned, and says which', async () => {
      const schema = `place_${++places}`
      const steward = await open({ keepEndedFor: 1 }, schema)
      await steward.confirm(charge, 'early', { by: 'webhook' })
      const early = await steward.submitStatement(charge, { key: 'early', input: { amount: 1 } })
      const facts = await run(early)
      expect(facts['status']).toBe('facts')
      expect(() => early.read(facts)).toThrow(expect.objectContaining({ code: 'STEWARD_TRANSACTION_REFUSED', details: expect.objectContaining({ why: 'facts' }) as unknown }))
      const strayed = await steward.submitStatement(charge, { key: 'b', input: { amount: 1 } })
      const elsewhere = await run(strayed, await copyOf(schema))
      expect(elsewhere['status']).toBe('other_database')
      expect(() => strayed.read(elsewhere)).toThrow(expect.objectContaining({ details: expect.objectContaining({ why: 'other_database' }) as unknown }))
      expect(() => strayed.read(undefined)).toThrow(expect.objectContaining({ details: expect.objectContaining({ why: 'no_row' }) as unknown }))
      expect(await steward.list()).toEqual([])
      await steward.submit(charge, { key: 'old', input: { amount: 1 } })
      await steward.confirm(charge, 'old', { by: 'ana' })
      steward.start()
      while ((await steward.find(charge, 'old')) !== null);
      const old = await steward.submitStatement(charge, { key: 'old', input: { amount: 1 } })
      const pruned = await run(old)
      expect(pruned['status']).toBe('pruned')
      expect(old.read(pruned)).toMatchObject({ status: 'joined' })
      expect((await run(await steward.submitStatement(charge, { key: 'b', input: { amount: 1 } })))['status']).toBe('created')
    })

    it.each(['half of \ud83d', 'with \u0000'])('leaves texts that jsonb does not take to be compared by reading: %j', async (note) => {
      const steward = await open()
      const statements = [note, note, 'other'].map((text) => steward.submitStatement(charge, { key: 'a', input: { amount: 1, note: text } }))
      const [first, same, other] = await Promise.all(statements) as [SubmitStatement<unknown>, SubmitStatement<unknown>, SubmitStatement<unknown>]
      const client = await pool.connect()
      await client.query('BEGIN')
      expect((await run(first, client))['status']).toBe('created')
      const [again, differs] = [await run(same, client), await run(other, client)]
      expect([again['status'], differs['status']]).toEqual(['taken', 'taken'])
      expect(same.read(again)).toMatchObject({ status: 'joined' })
      expect(() => other.read(differs)).toThrow(expect.objectContaining({ code: 'STEWARD_KEY_REUSED' }))
      expect((await client.query('COMMIT')).command).toBe('COMMIT')
      client.release()
      expect((await run(await steward.submitStatement(charge, { key: 'b', input: { amount: 1 } })))['status']).toBe('created')
      expect((await run(await steward.submitStatement(charge, { key: 'b', input: { amount: 1, note } })))['status']).toBe('reused')
    })

    it('keeps inputs sealed, and tells the same input from another one by reading', async () => {
      const steward = await open({ encryption: { use: 'k1', keys: { k1: new Uint8Array(32).fill(7) } } })
      const first = await steward.submitStatement(charge, { key: 'a', input: { amount: 987_654 } })
      expect(JSON.stringify(first.values)).not.toContain('987654')
      await run(first)
      const [same, other] = [await steward.submitStatement(charge, { key: 'a', input: { amount: 987_654 } }), await steward.submitStatement(charge, { key: 'a', input: { amount: 1 } })]
      const taken = await run(same)
      expect(taken['status']).toBe('taken')
      expect(same.read(taken)).toMatchObject({ status: 'joined' })
      expect(() => other.read(taken)).toThrow(expect.objectContaining({ code: 'STEWARD_KEY_REUSED' }))
    })

    it('is refused where there is none, and with what cannot be part of it', async () => {
      const steward = await open()
      const inMemory = await Steward.open({ store: memoryStore({ system: realSystem }), operations: [charge], log: silent, onAlert: null })
      opened.push(inMemory)
      await expect(inMemory.submitStatement(charge, { key: 'a', input: { amount: 1 } })).rejects.toMatchObject({ code: 'STEWARD_TRANSACTION_REFUSED', details: { why: 'no_statement' } })
      await expect(steward.submitStatement(charge, { key: 'a', input: { amount: 1 }, supersedes: 'b' } as never)).rejects.toMatchObject({ code: 'STEWARD_TRANSACTION_REFUSED', details: { why: 'supersedes' } })
      await expect(steward.submitStatement(charge, { key: '', input: { amount: 1 } })).rejects.toMatchObject({ code: 'STEWARD_KEY_INVALID' })
    })
  })

  it('keeps nobody waiting for a fact whose key is held by an open transaction, and keeps the fact when that ends', async () => {
    const steward = await open()
    const client = await pool.connect()
    await client.query('BEGIN')
    await steward.submit(charge, { key: 'held', input: { amount: 1 }, tx: fromPg(client) })
    const facts = Array.from({ length: 6 }, (_, n) => steward.confirm(charge, 'held', { by: `webhook evt_${n}`, reference: 'ch_1' }))
    // All connections of the store would be taken by facts that wait.
    expect((await steward.submit(charge, { key: 'other', input: { amount: 1 } })).status).toBe('created')
    expect(await steward.confirm(charge, 'another', { by: 'webhook evt_9' })).toBeNull()
    await client.query('COMMIT')
    client.release()
    for (const fact of await Promise.all(facts)) expect(fact).toMatchObject({ key: 'held', state: 'succeeded' })
  })

  it('says that a fact is to be told again when its key stays held', async () => {
    const store = postgres({ pool, schema: `place_${++places}`, listen: false, lockMs: 5 })
    await store.open({ namespace: 'default', notice: () => undefined })
    const client = await pool.connect()
    await client.query(`BEGIN; INSERT INTO place_${places}.steward_key (operation, key) VALUES ('charge', 'held')`)
    const fact = { fact: { kind: 'applied' as const, at: 1, by: 'webhook' }, result: null }
    await expect(store.keepEarlyFact('charge', 'held', fact)).rejects.toMatchObject({ code: 'STEWARD_STORE_UNAVAILABLE', details: { held: true, outcome: 'not_stored' } })
    await client.query('ROLLBACK')
    client.release()
    expect(await store.keepEarlyFact('charge', 'held', fact)).toEqual({ kept: true })
    await store.close()
  })
})
