/**
 * A small world for tests of the runtime: a store (memory, SQLite in a temporary folder, or PostgreSQL), virtual time, and as many
 * Stewards on it as a test wants. Nothing waits for real time: `until` moves the clock from timer to timer and lets
 * everything that was set off come to rest in between.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { hash } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, describe } from 'vitest'
import type { Alert, AlertKind } from '../core/alert.ts'
import type { OperationDefinition, SendContext } from '../ports/definition.ts'
import type { StandardSchema } from '../ports/standard-schema.ts'
import type { Store } from '../ports/store.ts'
import type { Log, System } from '../ports/system.ts'
import { postgres } from '../postgres/index.ts'
import { type PostgresServer, postgresServer } from '../postgres/server.fixture.ts'
import { sqlite } from '../sqlite/index.ts'
import { backupOf, type MemoryData, memoryData } from '../testing/memory-data.ts'
import { memoryStore } from '../testing/memory-store.ts'
import type { CallView, Operation, StewardOptions } from './api.ts'
import { defineOperation } from './operation.ts'
import { Steward } from './steward.ts'

/** A folder in memory where there is one: these tests are about claims, not about disks. */
const FAST = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

export type StoreKind = 'memory' | 'sqlite' | 'postgres'

type Timer = { readonly at: number; readonly n: number; readonly fn: () => void }

/** The clock of a world: wall and monotonic time move together unless a test says otherwise. */
export class VirtualTime {
  wallMs = 1_790_000_000_000
  ticks = 0
  monotonic = 1_000

  advance(ms: number): void {
    this.wallMs += ms
    this.monotonic += ms
  }
}

/** One process's view of the world's time. Freezing it stops its timers, as SIGSTOP would. */
export class VirtualSystem implements System {
  readonly time: VirtualTime
  frozen = false
  randomValue = 0.5
  #timers: Timer[] = []
  #n = 0

  constructor(time: VirtualTime) {
    this.time = time
  }

  now(): number { return this.time.wallMs }
  monotonicMs(): number { return this.time.monotonic }
  after(delayMs: number, fn: () => void): () => void {
    const timer = { at: this.time.monotonic + Math.max(0, delayMs), n: this.#n++, fn }
    this.#timers.push(timer)
    return () => { this.#timers = this.#timers.filter((one) => one !== timer) }
  }
  soon(fn: () => void): void { setImmediate(fn) }
  random(): number { return this.randomValue }
  identity(): string { return (this.time.ticks++).toString(32).padStart(16, '0') .split('').reverse().join('') }
  digest(text: string): string { return hash('sha256', text, 'hex') }

  get pending(): number { return this.#timers.length }
  nextAt(): number { return this.frozen ? Number.POSITIVE_INFINITY : this.#timers.reduce((least, one) => Math.min(least, one.at), Number.POSITIVE_INFINITY) }
  runDue(): void {
    if (this.frozen) return
    const due = this.#timers.filter((one) => one.at <= this.time.monotonic).sort((a, b) => a.at - b.at || a.n - b.n)
    this.#timers = this.#timers.filter((one) => !due.includes(one))
    for (const one of due) one.fn()
  }
}

export type Line = { readonly level: 'info' | 'warn' | 'error'; readonly message: string; readonly fields: Readonly<Record<string, unknown>> }

/** A store that counts what is asked of it, and can be made to refuse. */
export class Watched {
  readonly counts = new Map<string, number>()
  inFlight = 0
  /** Asked before each call of the store; what it throws is what the store answers. */
  refuse: (method: string, args: readonly unknown[]) => void = () => undefined
  /** Asked after each call that was carried out: the answer that got lost. */
  loseAnswer: (method: string, args: readonly unknown[]) => void = () => undefined
  /** What is answered in place of the store's own answer. */
  alter: (method: string, answer: unknown) => unknown = (_method, answer) => answer
  /** How much later than `now` says it may be by the store's clock. */
  uncertaintyMs = 0
  readonly store: Store

  constructor(inner: Store) {
    this.store = new Proxy(inner, {
      get: (target, name) => {
        if (name === 'nowAtMost') return () => target.now() + this.uncertaintyMs
        const member: unknown = Reflect.get(target, name)
        if (typeof member !== 'function') return member
        const call = member.bind(target) as (...args: unknown[]) => unknown
        if (name === 'now' || name === 'onHint') return call
        return (...args: unknown[]) => this.#run(String(name), call, args)
      },
    })
  }

  async #run(name: string, call: (...args: unknown[]) => unknown, args: unknown[]): Promise<unknown> {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1)
    this.inFlight++
    try {
      this.refuse(name, args)
      const answer = await call(...args)
      this.loseAnswer(name, args)
      return this.alter(name, answer)
    } finally {
      this.inFlight--
    }
  }

  count(...methods: string[]): number {
    return methods.reduce((sum, method) => sum + (this.counts.get(method) ?? 0), 0)
  }
  get total(): number {
    return [...this.counts.values()].reduce((sum, n) => sum + n, 0)
  }
}

/** One process: a Steward with its own system, its own view of the store, and its own ears. */
export type Process = {
  readonly steward: Steward
  readonly system: VirtualSystem
  readonly watched: Watched
  readonly alerts: Alert[]
  readonly lines: Line[]
}

let worlds = 0

export class World {
  readonly kind: StoreKind
  readonly time = new VirtualTime()
  readonly processes: Process[] = []
  readonly #folder: string | null
  readonly #data: MemoryData = memoryData()
  /** Statements the memory store's handlers ran, in place of tables. */
  readonly statements: string[] = []

  readonly pool: pg.Pool | null
  readonly schema = `world_${worlds++}`
  constructor(kind: StoreKind, pool: pg.Pool | null = null) {
    this.kind = kind
    this.pool = pool
    this.#folder = kind === 'sqlite' ? mkdtempSync(join(FAST, 'steward-runtime-')) : null
  }

  get path(): string {
    return join(this.#folder ?? '', 'steward.db')
  }

  /** Of the memory store: the way back to what is stored now. */
  backup(): () => Promise<void> {
    const restore = backupOf(this.#data)
    return () => Promise.resolve(restore())
  }

  /** Another opening of the world's store, as it is. */
  rawStore(): Store {
    if (this.#folder !== null) return sqlite(this.path, { clock: () => this.time.wallMs })
    if (this.pool !== null) return postgres({ pool: this.pool, schema: this.schema, clock: () => this.time.wallMs, listen: false })
    const run = (sql: string): Promise<{ changes: number }> => { this.statements.push(sql); return Promise.resolve({ changes: 1 }) }
    return memoryStore({ system: { now: () => this.time.wallMs, soon: (fn) => void setImmediate(fn) }, data: this.#data, tx: { run, all: () => Promise.resolve([]) } })
  }

  async open(options: Partial<StewardOptions> = {}, inner: Store = this.rawStore()): Promise<Process> {
    const system = new VirtualSystem(this.time)
    const watched = new Watched(inner)
    const alerts: Alert[] = []
    const lines: Line[] = []
    const said = (level: Line['level']) => (message: string, fields: Readonly<Record<string, unknown>> = {}): void => void lines.push({ level, message, fields })
    const log: Log = { info: said('info'), warn: said('warn'), error: said('error') }
    const steward = await Steward.open({ store: watched.store, system, log, onAlert: (alert) => void alerts.push(alert), ...options })
    const process = { steward, system, watched, alerts, lines }
    this.processes.push(process)
    return process
  }

  /** A process that works calls. */
  async work(options: Partial<StewardOptions> = {}): Promise<Process> {
    const process = await this.open(options)
    process.steward.start()
    return process
  }

  /** Lets everything that was set off come to rest, without moving the clock. */
  async rest(): Promise<void> {
    for (let quiet = 0; quiet < 4;) {
      await new Promise<void>((resolve) => void setImmediate(resolve))
      for (const { system } of this.processes) system.runDue()
      quiet = this.processes.some(({ watched }) => watched.inFlight > 0) ? 0 : quiet + 1
    }
  }

  /** Moves the clock from timer to timer until the claim holds; fails after `limitMs` of virtual time. */
  async until(claim: () => boolean | Promise<boolean>, limitMs = 120_000): Promise<void> {
    const endMs = this.time.monotonic + limitMs
    for (;;) {
      await this.rest()
      if (await claim()) return
      const next = Math.min(...this.processes.map(({ system }) => system.nextAt()))
      if (next > endMs) throw new Error(`did not come true within ${limitMs}ms of virtual time`)
      this.time.advance(Math.max(0, next - this.time.monotonic))
    }
  }

  /** Moves the clock by `ms`, timer by timer. */
  async pass(ms: number): Promise<void> {
    const endMs = this.time.monotonic + ms
    for (;;) {
      await this.rest()
      const next = Math.min(...this.processes.map(({ system }) => system.nextAt()))
      if (next > endMs) break
      this.time.advance(Math.max(0, next - this.time.monotonic))
    }
    this.time.advance(Math.max(0, endMs - this.time.monotonic))
    await this.rest()
  }

  /** Awaits a promise while the clock moves. */
  async got<T>(promise: Promise<T>, limitMs = 120_000): Promise<T> {
    let done = false
    promise.then(() => { done = true }, () => { done = true })
    await this.until(() => done, limitMs)
    return await promise
  }

  async call(operation: Operation, key: string): Promise<CallView> {
    const found = await (this.processes[0] as Process).steward.find(operation, key)
    if (!found) throw new Error(`no call ${operation.name} "${key}"`)
    return found
  }

  /** Runs until the call is in one of the states. */
  async reaches(operation: Operation, key: string, ...states: CallView['state'][]): Promise<CallView> {
    await this.until(async () => states.includes((await this.call(operation, key)).state))
    return await this.call(operation, key)
  }

  /** Alerts on record, by kind, oldest first. */
  async alerted(): Promise<AlertKind[]> {
    const all = await (this.processes[0] as Process).steward.alerts({ limit: 1_000 })
    return [...all].sort((a, b) => a.at - b.at).map((alert) => alert.kind)
  }

  async close(): Promise<void> {
    for (const process of this.processes) process.system.frozen = false
    const closing = Promise.all(this.processes.map(({ steward }) => steward.close({ grace: 1 })))
    let done = false
    closing.then(() => { done = true }, () => { done = true })
    await this.until(() => done).catch(() => undefined)
    if (this.#folder !== null) rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** The same claims on every store. `make` gives a fresh world; all are closed after each test. */
export function onEachStore(claims: (make: () => World, kind: StoreKind) => void): void {
  for (const kind of ['memory', 'sqlite', 'postgres'] as const) {
    describe(`on ${kind}`, () => {
      const worlds: World[] = []
      let server: PostgresServer | null = null
      let pool: pg.Pool | null = null
      if (kind === 'postgres') {
        beforeAll(async () => {
          server = await postgresServer(18)
          pool = server.pool(20)
        }, 60_000)
        afterAll(() => server?.remove())
      }
      afterEach(async () => { for (const world of worlds.splice(0)) await world.close() })
      claims(() => {
        const world = new World(kind, pool)
        worlds.push(world)
        return world
      }, kind)
    })
  }
}

/** Accepts anything. */
export const anything: StandardSchema<any, any> = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } } // eslint-disable-line @typescript-eslint/no-explicit-any -- any input is meant

export type Sent = { readonly at: number; readonly idempotencyKey: string; readonly attempt: number; readonly generation: number; readonly input: unknown }
export type Step = (context: SendContext, input: unknown) => unknown

/** An operation whose sends follow a script, the last step for ever; `sent` is what reached the provider's door. */
export function scripted(world: World, definition: Partial<OperationDefinition<any, any, any>> & Pick<OperationDefinition<any, any, any>, 'idempotency'>, ...steps: Step[]): Operation & { readonly sent: Sent[] } { // eslint-disable-line @typescript-eslint/no-explicit-any -- any input is meant
  const sent: Sent[] = []
  const operation = defineOperation({
    name: 'charge', input: anything, timeout: '1s', backoff: { base: '100ms', cap: '400ms' }, giveUpAfter: '60s',
    async send(input: unknown, context: SendContext) {
      const step = steps[Math.min(sent.length, steps.length - 1)]
      sent.push({ at: world.time.wallMs, idempotencyKey: context.idempotencyKey, attempt: context.call.attempt, generation: context.call.generation, input })
      return await step?.(context, input)
    },
    ...definition,
  })
  return Object.assign(operation, { sent })
}

export const answers = (value: unknown): Step => () => value
export const throws = (error: () => unknown): Step => () => { throw error() }
/** The response got lost after the effect. */
export const lost: Step = throws(() => Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' }))
export const unreachable: Step = throws(() => Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED', syscall: 'connect', port: 443 }))
export const status = (code: number, headers: Record<string, string> = {}): Step => throws(() => Object.assign(new Error(`answered ${code}`), { status: code, headers }))
/** Never answers, whatever is aborted. */
export const silent: Step = () => new Promise(() => { /* never */ })

export type Gate = { readonly step: Step; readonly entered: () => number; release(value?: unknown): void; fail(error: unknown): void }
/** A send that waits until the test lets it go. */
export function gate(): Gate {
  let entered = 0
  const waiting: { resolve: (value: unknown) => void; reject: (error: unknown) => void }[] = []
  return {
    step: () => { entered++; return new Promise((resolve, reject) => { waiting.push({ resolve, reject }) }) },
    entered: () => entered,
    release: (value = { ok: true }) => { for (const one of waiting.splice(0)) one.resolve(value) },
    fail: (error) => { for (const one of waiting.splice(0)) one.reject(error) },
  }
}

export const ana = { by: 'ana@example.com', why: 'looked at the dashboard' }
