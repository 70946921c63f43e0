/** The database of a run on PostgreSQL: the server, the proxy in front of it, and what is done to both. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Application } from './application.ts'
import { ORDERS, type Orders } from './orders.ts'
import type { Place } from './place.ts'
import { PostgresServer } from './postgres-server.ts'
import type { FromProxy, ToProxy } from './proxy.ts'
import { WIRE_FAULTS, type WireFault } from './wire-faults.ts'

export class Database {
  readonly place: Place
  /** Goes to the server directly, for whoever sets up and whoever looks on. */
  readonly application: Application
  readonly #server: PostgresServer
  readonly #proxy: ChildProcess
  #crashing: Promise<void> = Promise.resolve()
  crashing = false
  /** Server processes that were killed in all. */
  killed = 0
  /** What really happened on the wire. */
  readonly happened = Object.fromEntries(WIRE_FAULTS.map((fault) => [fault, 0])) as Record<WireFault, number>

  private constructor(server: PostgresServer, proxy: ChildProcess, place: Place) {
    this.#server = server
    this.#proxy = proxy
    this.place = place
    this.application = new Application(server.url)
    proxy.on('message', (message: FromProxy) => { if ('happened' in message) this.happened[message.happened]++ })
  }

  static async start(folder: string, orders: Omit<Orders, 'place'>): Promise<Database> {
    const server = await PostgresServer.start(join(folder, 'postgres'))
    const place = { kind: 'postgres', url: '', directUrl: server.url, socketPath: server.socketPath } as const
    const env = { ...process.env, [ORDERS]: JSON.stringify({ ...orders, place }) }
    const proxy = fork(join(import.meta.dirname, 'proxy.ts'), { env, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    const [{ port }] = (await once(proxy, 'message')) as [{ port: number }]
    const database = new Database(server, proxy, { ...place, url: `postgres://steward@127.0.0.1:${port}/postgres` })
    await database.application.create()
    return database
  }

  get crashes(): number {
    return this.#server.crashes
  }

  /** Kills the server and all its processes; after `downMs` it is started again, and recovers. */
  crash(downMs: number): void {
    if (this.crashing) return
    this.crashing = true
    this.#crashing = this.#crash(downMs).finally(() => { this.crashing = false })
    // Whoever awaits `settled` hears of it.
    this.#crashing.catch(() => undefined)
  }

  async #crash(downMs: number): Promise<void> {
    this.killed += await this.#server.crash()
    await sleep(downMs)
    await this.#server.start()
  }

  /** When the last crash is over; throws when the server did not come back. */
  async settled(): Promise<void> {
    await this.#crashing
  }

  cut(): void {
    this.#tell('cut')
  }

  delay(delayMs: number): void {
    this.#tell({ delayMs })
  }

  #tell(message: ToProxy): void {
    this.#proxy.send(message)
  }

  get cuts(): number {
    return this.happened['idle cut'] + this.happened['request lost'] + this.happened['answer lost']
  }

  get delays(): number {
    return this.happened.delayed + this.happened.silent
  }

  async stop(): Promise<void> {
    await this.application.close()
    if (this.#proxy.exitCode === null) {
      this.#proxy.kill('SIGKILL')
      await once(this.#proxy, 'exit')
    }
    await this.#server.stop()
  }
}
