/**
 * PgBouncer in transaction mode, from the system's packages, before a test's own server: each transaction may get another of
 * very few sessions. It listens on a free port of loopback, and ends with the test file that started it.
 *
 * Where it is not installed its tests are left out, but never in CI: `.ci/run` installs it.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import pg from 'pg'
import type { PostgresServer } from './server.fixture.ts'

const PGBOUNCER = ['/usr/sbin/pgbouncer', '/usr/bin/pgbouncer', '/usr/local/bin/pgbouncer'].find((path) => existsSync(path))
export const HAS_PGBOUNCER = PGBOUNCER !== undefined || Boolean(process.env['CI'])

export interface Bouncer {
  readonly url: string
  pool(max?: number): pg.Pool
  /** Ends it and every connection through it at once, as a crash does. */
  kill(): Promise<void>
  start(): Promise<void>
  remove(): Promise<void>
}

/** @param sessions on the server, shared by however many connections come. */
export async function pgbouncer(server: PostgresServer, sessions: number): Promise<Bouncer> {
  if (PGBOUNCER === undefined) throw new Error('PgBouncer is not installed. On Debian: apt-get install pgbouncer.')
  const port = await freePort()
  const ini = join(server.folder, 'pgbouncer.ini')
  writeFileSync(ini, `[databases]
postgres = host=${server.folder} user=steward
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = ${sessions}
max_client_conn = 200
server_login_retry = 1
`)
  const pools: pg.Pool[] = []
  const url = `postgres://steward@127.0.0.1:${port}/postgres`
  let running: ChildProcess | null = null
  const start = async (): Promise<void> => {
    running = spawn(PGBOUNCER, [ini], { stdio: ['ignore', 'ignore', 'pipe'], cwd: server.folder, ...server.owner })
    await ready(running)
  }
  const end = async (signal: 'SIGINT' | 'SIGKILL'): Promise<void> => {
    const child = running
    running = null
    if (child === null) return
    const over = new Promise<void>((resolve) => void child.once('exit', () => resolve()))
    child.kill(signal)
    await over
  }
  await start()
  return {
    url,
    pool(max = 10) {
      const pool = new pg.Pool({ connectionString: url, max })
      pool.on('error', () => undefined)
      pools.push(pool)
      return pool
    },
    kill: () => end('SIGKILL'),
    start,
    remove: async () => {
      await Promise.all(pools.map((pool) => pool.end()))
      await end('SIGINT')
    },
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await new Promise<void>((resolve) => void probe.once('listening', resolve))
  const { port } = probe.address() as { port: number }
  await new Promise<void>((resolve) => void probe.close(() => resolve()))
  return port
}

/** Resolves at the line in which it says that it is up; rejects with what it said instead. */
async function ready(child: ChildProcess): Promise<void> {
  const said: string[] = []
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`pgbouncer ended with ${code}:\n${said.join('\n')}`)))
    createInterface({ input: child.stderr as NonNullable<ChildProcess['stderr']> }).on('line', (line) => {
      if (said.length < 50) said.push(line)
      if (line.includes('process up')) resolve()
    })
  })
}
