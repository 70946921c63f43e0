/**
 * A PostgreSQL server of the benchmark's own, from npm, on a unix socket in its folder. Commits are as safe as by default
 * (fsync, synchronous commit, full pages); only memory and the room for the log are those of a server that has work to do.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import pg from 'pg'
import { binaries, ownerOf } from '../native-postgres.ts'

const SETTINGS = { shared_buffers: '512MB', max_wal_size: '4GB', max_connections: '100', listen_addresses: '' } as const


export class Server {
  readonly #folder: string
  readonly #child: ChildProcess
  #databases = 0

  private constructor(folder: string, child: ChildProcess) {
    this.#folder = folder
    this.#child = child
  }

  /** PostgreSQL refuses to run as root: then it runs as `nobody`. */
  static async start(folder: string): Promise<Server> {
    mkdirSync(folder)
    const owner = ownerOf(folder)
    const bin = await binaries(folder, owner)
    const data = join(folder, 'data')
    execFileSync(join(bin, 'initdb'), ['-D', data, '-U', 'steward', '-A', 'trust', '-E', 'UTF8', '--no-locale'], { stdio: ['ignore', 'ignore', 'pipe'], cwd: folder, ...owner })
    const options = Object.entries({ ...SETTINGS, unix_socket_directories: folder }).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    const child = spawn(join(bin, 'postgres'), ['-D', data, ...options], { stdio: ['ignore', 'ignore', 'pipe'], cwd: folder, ...owner })
    await ready(child)
    return new Server(folder, child)
  }

  url(database = 'postgres'): string {
    return `postgres://steward@/${database}?host=${encodeURIComponent(this.#folder)}`
  }

  /** Runs `phase` on a database of its own, which is dropped afterwards. */
  async onDatabase<Result>(phase: (url: string) => Promise<Result>): Promise<Result> {
    const name = `bench_${++this.#databases}`
    await this.#run(`CREATE DATABASE ${name}`)
    try {
      return await phase(this.url(name))
    } finally {
      await this.#run(`DROP DATABASE ${name} WITH (FORCE)`)
      // What one phase left to be written is not the next one's.
      await this.#run('CHECKPOINT')
    }
  }

  async #run(text: string): Promise<void> {
    const client = new pg.Client({ connectionString: this.url() })
    await client.connect()
    try {
      await client.query(text)
    } finally {
      await client.end()
    }
  }

  async stop(): Promise<void> {
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGINT')
    await gone
  }
}

/** Resolves at the line in which the server says so; rejects with what it said instead. */
function ready(child: ChildProcess): Promise<void> {
  const said: string[] = []
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`postgres ended with ${code}:\n${said.join('\n')}`)))
    createInterface({ input: child.stderr as NonNullable<ChildProcess['stderr']> }).on('line', (line) => {
      said.push(line)
      if (said.length > 50) said.shift()
      if (line.includes('ready to accept connections')) resolve()
    })
  })
}
