/**
 * A PostgreSQL server of the run's own, from npm, in its folder and on a unix socket in it: to be killed like a machine
 * that loses power, and started again.
 *
 * A crash is SIGKILL to the postmaster and to every process it has. What the kernel has of its files stays, as it does
 * when a process is killed: what was acknowledged was written by then, and recovery must find it.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { binaries, type Owner, ownerOf } from '../native-postgres.ts'

/** Starts that found the killed server's shared memory still in use, at most. */
const TRIES = 40

export class PostgresServer {
  readonly #folder: string
  readonly #bin: string
  readonly #owner: Owner
  #running: ChildProcess | null = null
  crashes = 0

  private constructor(folder: string, bin: string, owner: Owner) {
    this.#folder = folder
    this.#bin = bin
    this.#owner = owner
  }

  /** PostgreSQL refuses to run as root: then it runs as `nobody`. */
  static async start(folder: string): Promise<PostgresServer> {
    mkdirSync(folder)
    const owner = ownerOf(folder)
    const server = new PostgresServer(folder, await binaries(folder, owner), owner)
    execFileSync(join(server.#bin, 'initdb'), ['-D', server.#data, '-U', 'steward', '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-sync'], { stdio: ['ignore', 'ignore', 'pipe'], cwd: folder, ...owner })
    await server.start()
    return server
  }

  get #data(): string {
    return join(this.#folder, 'data')
  }

  /** Where it listens. */
  get socketPath(): string {
    return join(this.#folder, '.s.PGSQL.5432')
  }

  get url(): string {
    return `postgres://steward@/postgres?host=${encodeURIComponent(this.#folder)}`
  }

  async start(): Promise<void> {
    const settings = { listen_addresses: '', unix_socket_directories: this.#folder, max_connections: '200', autovacuum_naptime: '5s' }
    const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    for (let tries = 1; ; tries++) {
      const child = spawn(join(this.#bin, 'postgres'), ['-D', this.#data, ...options], { stdio: ['ignore', 'ignore', 'pipe'], cwd: this.#folder, ...this.#owner })
      const said = await ready(child)
      if (said === null) {
        this.#running = child
        return
      }
      // Processes of the killed one may still be ending: it refuses to start beside them.
      if (tries >= TRIES) throw new Error(`the database does not start again:\n${said}`)
      await sleep(100)
    }
  }

  /** Kills the postmaster and all it has. @returns how many processes that were. */
  async crash(): Promise<number> {
    const child = this.#running
    if (child?.pid === undefined) return 0
    this.#running = null
    const pids = childrenOf(child.pid)
    const gone = once(child, 'exit')
    for (const pid of [child.pid, ...pids]) kill(pid)
    await gone
    while (pids.some((pid) => existsSync(`/proc/${pid}`))) await sleep(5)
    this.crashes++
    return pids.length + 1
  }

  async stop(): Promise<void> {
    const child = this.#running
    if (child === null) return
    this.#running = null
    const gone = once(child, 'exit')
    child.kill('SIGINT')
    await gone
  }
}

/** The postmaster of the server that listens there; throws when there is none. */
export function serverPid(socketPath: string): number {
  return Number(readFileSync(join(dirname(socketPath), 'data/postmaster.pid'), 'utf8').split('\n')[0])
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended meanwhile.
  }
}

/** Server processes of a postmaster: each has a session of its own, so that no group holds them together. */
function childrenOf(parent: number): readonly number[] {
  if (!existsSync('/proc/self/stat')) return []
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent
    } catch {
      return false
    }
  })
}

/** `null` when it accepts connections; what it said when it ended instead. */
function ready(child: ChildProcess): Promise<string | null> {
  const said: string[] = []
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('exit', () => resolve(said.join('\n')))
    createInterface({ input: child.stderr as NonNullable<ChildProcess['stderr']> }).on('line', (line) => {
      said.push(line)
      if (said.length > 50) said.shift()
      if (line.includes('ready to accept connections')) resolve(null)
    })
  })
}
