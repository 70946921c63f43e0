/**
 * Outages of the database itself, seen from the application: `submit` says what is true, attempts in flight are not lost
 * and nothing is sent twice, and workers go on by themselves when the database is back.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { chownSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import type { StewardOptions } from '../runtime/api.ts'
import { Steward } from '../runtime/steward.ts'
import { postgres, type PgPool } from './index.ts'
import { charging, HoldingProvider } from './outages.fixture.ts'
import { meddledPool, type PostgresServer, postgresServer } from './server.fixture.ts'

let server: PostgresServer
let pool: pg.Pool
let provider: HoldingProvider
let url = ''
let charge: ReturnType<typeof charging>
let places = 0
let schema = ''
const opened: Steward[] = []
const children: ChildProcess[] = []

beforeAll(async () => {
  server = await postgresServer(18)
  pool = server.pool(20)
}, 60_000)
afterAll(() => server.remove())
beforeEach(async () => {
  schema = `place_${++places}`
  provider = new HoldingProvider()
  url = await provider.listen()
  charge = charging(url)
})
afterEach(async () => {
  provider.answer()
  for (const steward of opened.splice(0)) await steward.close({ grace: 1 })
  for (const child of children.splice(0)) child.kill('SIGKILL')
  provider.close()
})

const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined }

async function open(on: PgPool = pool, more: Partial<StewardOptions> & { readonly statementMs?: number } = {}): Promise<Steward> {
  const { statementMs = 30_000, ...options } = more
  const steward = await Steward.open({ store: postgres({ pool: on, schema, statementMs }), operations: [charge], onAlert: null, log: quiet, ...options })
  opened.push(steward)
  return steward
}

const sentOnce = (keys: readonly string[]): void => expect([...provider.reached].sort()).toEqual([...keys].sort())

/** A pool whose connections lose the answers that `loses` picks, after the server has carried out what was asked. */
function losing(loses: (text: string, rows: number) => boolean): PgPool {
  return meddledPool(pool, async (text, run) => {
    const result = await run()
    // A text of several statements is answered by several results.
    if (!Array.isArray(result) && loses(text, result.rows.length)) throw new Error('Connection terminated unexpectedly')
    return result
  })
}

it('settles or sends again everything a killed worker had in flight, within 10 s at default settings', { timeout: 40_000 }, async () => {
  const submitter = await open()
  const keys = Array.from({ length: 50 }, (_, n) => `o_${n}`)
  await submitter.submitMany(charge, keys.map((key) => ({ key, input: {} })))
  const child = spawn(process.execPath, [join(import.meta.dirname, 'worker.fixture.ts'), server.url, schema, url], { stdio: ['ignore', 'ignore', 'inherit'] })
  children.push(child)
  await provider.arrived(50)
  const rescuer = await open()
  rescuer.start()
  provider.answer()
  child.kill('SIGKILL')
  const killedMs = performance.now()
  const outcomes = await Promise.all(keys.map((key) => submitter.outcome(charge, key, { wait: '30s' })))
  const tookMs = performance.now() - killedMs
  expect(new Set(outcomes.map((outcome) => outcome.state))).toEqual(new Set(['succeeded']))
  expect(tookMs).toBeLessThan(10_000)
})

it('keeps what is in flight while the database is started again, says so to whoever submits, and goes on by itself', { timeout: 40_000 }, async () => {
  const steward = await open()
  steward.start()
  const keys = Array.from({ length: 20 }, (_, n) => `o_${n}`)
  await steward.submitMany(charge, keys.map((key) => ({ key, input: {} })))
  await provider.arrived(20)
  await server.kill()
  provider.answer()
  // Whoever still has a connection hears only that nobody knows.
  await expect.poll(() => pool.totalCount).toBe(0)
  await expect(steward.submit(charge, { key: 'meanwhile', input: {} })).rejects.toMatchObject({ code: 'STEWARD_STORE_UNAVAILABLE', details: { outcome: 'not_stored' } })
  await server.start()
  const outcomes = await Promise.all(keys.map((key) => steward.outcome(charge, key, { wait: '30s' })))
  expect(new Set(outcomes.map((outcome) => outcome.state))).toEqual(new Set(['succeeded']))
  sentOnce(keys)
  await steward.submit(charge, { key: 'after', input: {} })
  expect(await steward.outcome(charge, 'after', { wait: '20s' })).toMatchObject({ state: 'succeeded' })
  expect(await steward.find(charge, 'meanwhile')).toBeNull()
})

const isWrite = (text: string): boolean => text.includes('expect_rev')
const ANSWERS = {
  'an insert': (text: string) => /INSERT INTO \S*steward_key/.test(text),
  'a claim': (text: string, rows: number) => text.includes('SKIP LOCKED') && rows > 0,
  'a begin': isWrite,
  'an end': isWrite,
}
it.each(Object.entries(ANSWERS))('sends once and records it when the answer to %s gets lost after its commit', { timeout: 40_000 }, async (what, picks) => {
  provider.answer()
  // Of the writes the begin comes first, unless the insert began the call.
  let left = what === 'an end' ? 2 : 1
  const steward = await open(losing((text, rows) => picks(text, rows) && --left === 0), { lease: '1s' })
  const submitter = what === 'an insert' ? steward : await open()
  const submitted = submitter.submit(charge, { key: 'lost', input: {} })
  if (what !== 'an insert') await submitted
  steward.start()
  expect(await submitted).toMatchObject({ status: 'created' })
  expect(await steward.outcome(charge, 'lost', { wait: '20s' })).toMatchObject({ state: 'succeeded' })
  await expect.poll(() => left).toBeLessThanOrEqual(0)
  sentOnce(['lost'])
})

it('refuses to the face of whoever submits when the pool has no connection left, and records what was in flight once it has', { timeout: 40_000 }, async () => {
  const small = new pg.Pool({ connectionString: server.url, max: 3, connectionTimeoutMillis: 300 })
  small.on('error', () => undefined)
  const steward = await open(small, { lease: '1s' })
  steward.start()
  await steward.submit(charge, { key: 'in flight', input: {} })
  await provider.arrived(1)
  const taken = await Promise.all([small.connect(), small.connect(), small.connect()])
  await expect(steward.submit(charge, { key: 'refused', input: {} })).rejects.toMatchObject({ code: 'STEWARD_STORE_UNAVAILABLE', details: { outcome: 'not_stored' } })
  provider.answer()
  for (const client of taken) client.release()
  expect(await steward.outcome(charge, 'in flight', { wait: '20s' })).toMatchObject({ state: 'succeeded' })
  expect(await steward.find(charge, 'refused')).toBeNull()
  await steward.submit(charge, { key: 'refused', input: {} })
  expect(await steward.outcome(charge, 'refused', { wait: '20s' })).toMatchObject({ state: 'succeeded' })
  sentOnce(['in flight', 'refused'])
  await opened.pop()?.close({ grace: 1 })
  await small.end()
})

it('waits for slow statements, or gives them up and joins what they stored, and sends once', { timeout: 40_000 }, async () => {
  const steward = await open(pool, { lease: '1s', statementMs: 700 })
  steward.start()
  await steward.submit(charge, { key: 'in flight', input: {} })
  await provider.arrived(1)
  const other = await pool.connect()
  await other.query(`BEGIN; LOCK TABLE ${schema}.steward_open IN ACCESS EXCLUSIVE MODE`)
  const submitted = steward.submit(charge, { key: 'slow', input: {} })
  provider.answer()
  // Longer than a statement may take, and than a lease: until the first of them was given up, and another waits.
  const waiting = async (): Promise<number> => Number((await pool.query<{ n: string }>("SELECT count(*) AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock'")).rows[0]?.n)
  await expect.poll(waiting, { timeout: 15_000 }).toBeGreaterThan(4)
  await other.query('COMMIT')
  other.release()
  expect(await submitted).toMatchObject({ status: 'created' })
  for (const key of ['in flight', 'slow']) expect(await steward.outcome(charge, key, { wait: '20s' })).toMatchObject({ state: 'succeeded' })
  sentOnce(['in flight', 'slow'])
})

it('says that there is no room on a full disk, and goes on when there is some', { timeout: 60_000 }, async ({ skip }) => {
  const disk = mkdtempSync(join(tmpdir(), 'steward-disk-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', disk], { stdio: 'ignore' })
  } catch {
    rmSync(disk, { recursive: true })
    skip('mounting a small disk takes rights that this user has not')
  }
  try {
    const { uid, gid } = statSync(server.folder)
    const space = join(disk, 'space')
    mkdirSync(space)
    chownSync(space, uid, gid)
    await pool.query(`CREATE TABLESPACE small LOCATION '${space}'`)
    await pool.query('CREATE DATABASE small TABLESPACE small')
    const full = new pg.Pool({ connectionString: server.url.replace('/postgres?', '/small?'), max: 10 })
    full.on('error', () => undefined)
    const steward = await open(full)
    steward.start()
    await steward.submit(charge, { key: 'in flight', input: {} })
    await provider.arrived(1)
    const ballast = join(disk, 'ballast')
    fill(ballast)
    const big = { n: 0, text: 'x'.repeat(200_000) }
    let stored = 0
    const refused = await (async () => {
      for (; stored < 200; stored++) await steward.submit(charge, { key: `big_${stored}`, input: { ...big, n: stored } })
    })().then(() => null, (error: unknown) => error)
    expect(refused).toMatchObject({ code: 'STEWARD_STORE_FULL', details: { outcome: 'not_stored' } })
    const key = `big_${stored}`
    rmSync(ballast)
    provider.answer()
    expect(await steward.find(charge, key)).toBeNull()
    await steward.submit(charge, { key, input: { ...big, n: stored } })
    for (const one of ['in flight', key]) expect(await steward.outcome(charge, one, { wait: '30s' })).toMatchObject({ state: 'succeeded' })
    expect(provider.reached.filter((one) => one === 'in flight')).toHaveLength(1)
    await opened.pop()?.close({ grace: 1 })
    await full.end()
    await pool.query('DROP DATABASE small WITH (FORCE)')
    await pool.query('DROP TABLESPACE small')
  } finally {
    execFileSync('umount', ['-l', disk])
    rmSync(disk, { recursive: true })
  }
})

/** Takes all that is left. */
function fill(path: string): void {
  for (let bytes = 1_048_576; bytes >= 4_096;) {
    try {
      writeFileSync(path, Buffer.alloc(bytes), { flag: 'a' })
    } catch {
      bytes /= 4
    }
  }
}
