/**
 * Versions of the library side by side, as processes of their own. The later ones are this one's sources with further steps of
 * the schema, and with a field in each record that this one does not know.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type PostgresServer, postgresServer } from './server.fixture.ts'

const SOURCES = resolve(import.meta.dirname, '..')
/** Inside the repository, so that `pg` is found. */
const CACHE = resolve(SOURCES, '../../../.cache')
const FIXTURE = readFileSync(join(import.meta.dirname, 'schema-1.fixture.sql'), 'utf8')

type Step = { readonly version: number; readonly needs: number; readonly statements: readonly string[] }
/** Slow, so that all who open meanwhile meet it; and it could not be run twice. */
const SECOND: Step = { version: 2, needs: 1, statements: ['SELECT pg_sleep(0.5)', 'ALTER TABLE steward_open ADD COLUMN colour TEXT', "INSERT INTO public.migrated VALUES ('to 2')"] }
const THIRD: Step = { version: 3, needs: 1, statements: ['CREATE TABLE steward_colour (name TEXT PRIMARY KEY)', "INSERT INTO public.migrated VALUES ('to 3')"] }
const FOURTH: Step = { version: 4, needs: 4, statements: ['ALTER TABLE steward_open DROP COLUMN colour', "INSERT INTO public.migrated VALUES ('to 4')"] }

type Process = { said(text: string): Promise<string>; tell(line: string): void; close(): Promise<void>; readonly lines: readonly string[] }

describe('versions of the library', () => {
  let server: PostgresServer
  let admin: pg.Pool
  let folder = ''
  let databases = 0
  const pools: pg.Pool[] = []
  const running: { child: ChildProcess; gone: Promise<void> }[] = []
  beforeAll(async () => {
    server = await postgresServer(18)
    admin = server.pool()
    mkdirSync(CACHE, { recursive: true })
    folder = mkdtempSync(join(CACHE, 'versions-'))
  }, 60_000)
  afterAll(async () => {
    rmSync(folder, { recursive: true, force: true })
    await server.remove()
  })
  afterEach(async () => {
    for (const { child, gone } of running.splice(0)) {
      child.kill('SIGKILL')
      await gone
    }
    for (const pool of pools.splice(0)) await pool.end()
  })

  /** The sources of a later version. */
  function later(name: string, ...steps: readonly Step[]): string {
    const sources = join(folder, name)
    cpSync(SOURCES, sources, { recursive: true, filter: (path) => !/\.(test|fixture)\.|node_modules/.test(path) })
    const change = (file: string, from: string, to: string): void => {
      const text = readFileSync(join(sources, file), 'utf8')
      expect(text).toContain(from)
      writeFileSync(join(sources, file), text.replace(from, to))
    }
    change('postgres/schema.ts', 'sideTables(DIALECT)] }]', `sideTables(DIALECT)] }, ${steps.map(({ version, needs, statements }) => `{ version: ${version}, needs: ${needs}, statements: () => ${JSON.stringify(statements)} }`).join(', ')}]`)
    change('runtime/intake.ts', 'id: `c_', 'colour: "red", id: `c_')
    return sources
  }
  async function database(): Promise<{ readonly url: string; readonly pool: pg.Pool }> {
    const name = `fleet_${++databases}`
    await admin.query(`CREATE DATABASE ${name}`)
    const url = `postgres://steward@/${name}?host=${encodeURIComponent(server.folder)}`
    const loading = new pg.Client({ connectionString: url })
    await loading.connect()
    await loading.query(FIXTURE)
    await loading.query("DELETE FROM steward.steward_meta WHERE name = 'incarnation'; DELETE FROM steward.steward_open; DELETE FROM steward.steward_control; CREATE TABLE public.migrated (step TEXT)")
    await loading.end()
    const pool = new pg.Pool({ connectionString: url, max: 1 })
    pools.push(pool)
    return { url, pool }
  }
  function start(sources: string, url: string): Process {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'version.fixture.ts'), sources, url], { stdio: ['pipe', 'pipe', 'inherit'] })
    const gone = new Promise<void>((done) => void child.once('exit', () => done()))
    running.push({ child, gone })
    const lines: string[] = []
    const waiting = new Set<() => void>()
    createInterface({ input: child.stdout }).on('line', (line) => {
      lines.push(line)
      for (const look of waiting) look()
    })
    return {
      lines,
      said: (text) => new Promise((found, lost) => {
        const look = (): void => {
          const line = lines.find((one) => one.startsWith(text))
          if (line === undefined) return
          waiting.delete(look)
          found(line)
        }
        waiting.add(look)
        void gone.then(() => lost(new Error(`it ended before it said "${text}": ${lines.join(' | ')}`)))
        look()
      }),
      tell: (line) => void child.stdin.write(`${line}\n`),
      close: async () => { child.stdin.end(); await gone },
    }
  }
  const migrations = async (pool: pg.Pool): Promise<string[]> => (await pool.query<{ step: string }>('SELECT step FROM public.migrated ORDER BY step')).rows.map(({ step }) => step)

  it('of several that open at once, one migrates and the others wait', async () => {
    const { url, pool } = await database()
    const next = later('at-once', SECOND, THIRD)
    const all = Array.from({ length: 4 }, () => start(next, url))
    for (const [n, one] of all.entries()) {
      await one.said('open')
      one.tell(`submit k${n}`)
      await one.said(`stored k${n}`)
    }
    expect(await migrations(pool)).toEqual(['to 2', 'to 3'])
    all[0]!.tell('start')
    all[0]!.tell('await k0 k1 k2 k3')
    expect(await all[0]!.said('ended')).toBe('ended succeeded succeeded succeeded succeeded')
    for (const one of all) await one.close()
  }, 120_000)

  it('share one schema while a deploy goes forward and back, and each finishes what the other began', async () => {
    const { url, pool } = await database()
    const next = later('next', SECOND)
    const old = start(SOURCES, url)
    await old.said('open')
    old.tell('submit a1 a2 a3')
    await old.said('stored a1')
    // Forward: the next version migrates while the old one is at work, and finishes what it submitted.
    const fresh = start(next, url)
    await fresh.said('open')
    expect(await migrations(pool)).toEqual(['to 2'])
    fresh.tell('submit b1 b2 b3')
    await fresh.said('stored b1')
    fresh.tell('start')
    fresh.tell('await a1 a2 a3 b1 b2 b3')
    expect(await fresh.said('ended')).toBe('ended succeeded succeeded succeeded succeeded succeeded succeeded')
    // Side by side.
    old.tell('start')
    const keys = Array.from({ length: 40 }, (_, n) => `c${n}`)
    old.tell(`submit ${keys.filter((_, n) => n % 2 === 0).join(' ')}`)
    fresh.tell(`submit ${keys.filter((_, n) => n % 2 === 1).join(' ')}`)
    await old.said('stored c0')
    await fresh.said('stored c1')
    old.tell(`await ${keys.join(' ')}`)
    expect(new Set((await old.said('ended')).split(' ').slice(1))).toEqual(new Set(['succeeded']))
    const sent = [...old.lines, ...fresh.lines].filter((line) => line.startsWith('sent c'))
    expect(new Set(sent).size).toBe(40)
    expect(sent).toHaveLength(40)
    // Back: what the next version left is opened anew, and finished, by the old one.
    fresh.tell('submit d1 d2')
    await fresh.said('stored d1')
    await old.close()
    await fresh.close()
    const back = start(SOURCES, url)
    await back.said('open')
    back.tell('start')
    back.tell('await d1 d2')
    expect(await back.said('ended')).toBe('ended succeeded succeeded')
    // What it did not know it has kept.
    const { rows } = await pool.query<{ n: number }>("SELECT count(*)::int AS n FROM steward.steward_ended WHERE body LIKE '%\"colour\":\"red\"%'")
    expect(rows[0]?.n).toBe(25)
    await back.close()
  }, 120_000)

  it('skip versions, and are refused only where the schema says so', async () => {
    const { url, pool } = await database()
    const third = start(later('third', SECOND, THIRD), url)
    await third.said('open')
    expect(await migrations(pool)).toEqual(['to 2', 'to 3'])
    const old = start(SOURCES, url)
    await old.said('open')
    const fourth = start(later('fourth', SECOND, THIRD, FOURTH), url)
    await fourth.said('open')
    const late = start(SOURCES, url)
    expect(await late.said('refused')).toContain('STEWARD_STORE_NEWER')
    await third.close()
    await old.close()
    await fourth.close()
  }, 120_000)
})
