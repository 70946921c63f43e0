/**
 * The world: providers, a database, processes and callers under one virtual time.
 *
 * The engine in it is the one of production; what is simulated is everything around it: clocks, the network, the
 * providers, the database's answers, and the life of processes. Everything that happens is drawn from the seed.
 */
import { type Alert, type Json, type Operation, Steward, StewardError, type StewardApi, type Store, type SubmitOptions } from 'steward'
import { abandon } from 'steward/internal'
import type { Belief, Carrier, CarrierMaker, Fault, InjectedFault, Intent, OperationSource, OperatorAction, ProviderView, SpawnOptions, Strategy, Told, ToldAlert, Webhook, World, WorldOptions } from '../contract.ts'
import { FaultBoard, type Injected } from '../faults/board.ts'
import { kindOf } from '../faults/kinds.ts'
import type { Mischief } from '../faults/steps.ts'
import { ALL_CONTRACTS, type ProviderContract } from '../providers/contract.ts'
import { type Later, ProviderModel } from '../providers/model.ts'
import { standardOperations } from '../workload/operations.ts'
import { Callers, type OpenIntent } from './callers.ts'
import { type Database, MemoryDatabase, SqliteDatabase } from './database.ts'
import { WorldHands } from './hands.ts'
import { clientOf } from './network.ts'
import { carryOut } from './operators.ts'
import { SimProcess } from './process.ts'
import { between, pick, type Random, seeded, seedOf } from './random.ts'
import { Scheduler } from './scheduler.ts'
import { simStore } from './sim-store.ts'
import { Trace } from './trace.ts'

export type SimOptions = WorldOptions & {
  /** Providers beside the standard ones. */
  readonly contracts?: readonly ProviderContract[]
  /** Whether something outside virtual time is under way: a real client at work. */
  readonly busy?: () => boolean
  /** Who decides what goes wrong. Default: a board of faults that were injected. */
  readonly mischief?: Mischief
  /** How long a worker's lease is without a heartbeat. Default 4s, the engine's own. */
  readonly lease?: number | string
  readonly concurrency?: number
  /** Longest that idle rounds are late while nothing is due for them, in milliseconds. Default a minute, on SQLite three seconds; 0: never. */
  readonly lateMs?: number
  /** What a deploy brings. Default: the same operations. */
  readonly nextRelease?: readonly OperationSource[]
  /** Database requests overtake one another. Default: drawn from the seed. */
  readonly pooled?: boolean
  /** A dead process is known to be dead at once. Default: drawn from the seed for each death. */
  readonly deathProven?: boolean
  /** Longest time a database request takes one way, in milliseconds. Default 3. */
  readonly storeLatencyMs?: number
}

/** One process that runs, and what carries its calls. */
export type Running = {
  readonly sim: SimProcess
  readonly options: SpawnOptions
  readonly operations: readonly Operation[]
  /** Identities under which its Steward has enlisted. */
  readonly workers: string[]
  store: Store | null
  steward: Steward | null
  carrier: Carrier | null
}

/** Where all worlds begin: a Monday morning. */
const BEGIN_AT = Date.UTC(2026, 0, 5, 8)
const HOUR = 3_600_000
/** What a webhook is answered when it is to come again. */
const TOLD_LATER = new Set<string>(['STEWARD_STORE_UNAVAILABLE', 'STEWARD_STORE_SET_BACK', 'STEWARD_CLOSED'])
/** Longest that idle rounds are late. Of an SQLite file nobody here knows whether they are idle, and each costs real time. */
const LATE_MS = { memory: 60_000, sqlite: 3_000 } as const
/** Longest that an answer of the engine is awaited, in virtual time. */
const ASK_MS = 48 * HOUR

export async function createWorld(options: SimOptions): Promise<SimWorld> {
  const world = new SimWorld(options)
  await world.open()
  return world
}

export class SimWorld implements World {
  readonly seed: number
  readonly strategy: Strategy
  readonly store: 'memory' | 'sqlite'
  readonly scheduler: Scheduler
  readonly board: FaultBoard
  readonly database: Database
  readonly models = new Map<string, ProviderModel>()
  readonly running = new Map<string, Running>()
  readonly callers: Callers
  readonly toldAlerts: ToldAlert[] = []
  readonly toldOutcomes: Told[] = []
  readonly hands: WorldHands
  readonly operations: readonly Operation[]
  /** Shifts of the database's clock, handlers that throw, alerts that cannot be delivered, a database that is down: until when. */
  databaseSkewMs = 0
  downUntil = 0
  handlersThrowUntil = 0
  alertsFailUntil = 0
  readonly #options: SimOptions
  readonly #sources: readonly OperationSource[]
  readonly #trace: Trace
  readonly #mischief: Mischief
  readonly #random: Random
  readonly #wireRandom: Random
  readonly #storeRandom: Random
  readonly #pooled: boolean
  readonly #disk = new Map<string, Json>()
  #observer: Steward | null = null
  #outside = 0
  #incarnations = 0
  #closed = false

  constructor(options: SimOptions) {
    const { seed } = options
    this.#options = options
    this.seed = seed
    this.strategy = options.carrier?.strategy ?? 'steward'
    this.store = options.store ?? 'memory'
    this.#trace = new Trace(options.keepTrace === true)
    const stream = (name: string): Random => seeded(seedOf(seed, name))
    this.#random = stream('scenario')
    this.#wireRandom = stream('wire')
    this.#storeRandom = stream('store')
    this.#pooled = options.pooled ?? this.#storeRandom() < 0.5
    this.scheduler = new Scheduler({ random: stream('order'), lateMs: options.lateMs ?? LATE_MS[this.store], busy: () => this.#outside > 0 || options.busy?.() === true, calmUntilMs: () => this.#calmUntilMs() })
    this.board = new FaultBoard(stream('faults'), () => this.now)
    this.#mischief = options.mischief ?? this.board
    const clock = { now: () => this.now + this.databaseSkewMs, soon: (fn: () => void) => void this.scheduler.after(0, null, fn) }
    this.database = this.store === 'memory' ? new MemoryDatabase(clock) : new SqliteDatabase(clock)
    for (const contract of [...ALL_CONTRACTS, ...(options.contracts ?? [])]) this.models.set(contract.name, new ProviderModel(contract, stream(contract.name)))
    this.#sources = options.operations ?? standardOperations()
    const unsent = () => Promise.reject(new Error('operations of the world itself are not for sending'))
    this.operations = this.#sources.map((source) => source({ request: unsent, connect: unsent }))
    this.callers = new Callers(this)
    this.hands = new WorldHands(this, stream('hands'))
  }

  async open(): Promise<void> {
    const { system } = new SimProcess('observer', seedOf(this.seed, 'observer'), { scheduler: this.scheduler, now: () => this.now }, () => undefined)
    if (this.strategy === 'steward') this.#observer = await Steward.open({ store: this.database.open(null), operations: this.operations, onAlert: null, system: { ...system, after: () => () => undefined } })
    for (let n = 0; n < (this.#options.workers ?? 2); n++) await this.spawn(String.fromCharCode(97 + n))
  }

  // ── time ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  get now(): number { return BEGIN_AT + Math.floor(this.scheduler.elapsedMs) }
  random(): number { return this.#random() }

  #calmUntilMs(): number | null {
    if (this.#outside > 0 || this.now < this.downUntil) return null
    const now = this.now + this.databaseSkewMs
    const untilAt = this.database.calmUntil(now, (worker) => this.#lives(worker))
    return untilAt === null ? null : this.scheduler.elapsedMs + (untilAt - now)
  }

  #lives(worker: string): boolean {
    for (const { sim, workers } of this.running.values()) if (sim.state === 'alive' && workers.at(-1) === worker) return true
    return false
  }

  async advance(ms: number): Promise<void> {
    await this.scheduler.advanceTo(this.scheduler.elapsedMs + ms)
  }

  async until(claim: () => boolean | Promise<boolean>, limitMs: number): Promise<boolean> {
    const endMs = this.scheduler.elapsedMs + limitMs
    for (;;) {
      const holds = claim()
      if (typeof holds === 'boolean' ? holds : await holds) return true
      // A claim that asks is put again after each event; the others are looked at in between.
      let one = false
      const stopped = typeof holds === 'boolean' ? await this.scheduler.run(endMs, () => claim() === true) : await this.scheduler.run(endMs, () => one || !(one = true))
      if (stopped) continue
      this.scheduler.elapsedMs = Math.max(this.scheduler.elapsedMs, endMs)
      return await claim()
    }
  }

  async ask<T>(question: () => Promise<T>): Promise<T> {
    const asked = question()
    let over = false
    asked.then(() => { over = true }, () => { over = true })
    if (!(await this.until(() => over, ASK_MS))) throw new Error(`a question had no answer after ${ASK_MS} ms of virtual time (seed ${this.seed})`)
    return await asked
  }

  // ── what others see ───────────────────────────────────────────────────────────────────────────────────────────────

  get providers(): ReadonlyMap<string, ProviderView> { return this.models }
  get intents(): readonly Intent[] { return this.callers.intents }
  get alerts(): readonly ToldAlert[] { return this.toldAlerts }
  get told(): readonly Told[] { return this.toldOutcomes }
  get faults(): readonly InjectedFault[] { return this.board.injected }
  get trace(): readonly string[] { return this.#trace.lines }
  get traceHash(): string { return this.#trace.hash() }
  get processes(): readonly string[] { return [...this.running].filter(([, { sim }]) => sim.state !== 'dead').map(([name]) => name) }

  say(line: string): void {
    this.#trace.add(`${this.scheduler.elapsedMs} ${line}`)
  }

  get observer(): StewardApi {
    if (this.#observer === null) throw new Error(`the calls of this world are carried by "${this.strategy}", not by Steward; ask for its belief`)
    return this.#observer
  }

  process(name: string): StewardApi {
    const running = this.running.get(name)
    if (!running?.steward || running.sim.state !== 'alive') throw new Error(`process "${name}" does not run Steward now. It is ${running?.sim.state ?? 'unknown'}.`)
    return running.steward
  }

  async belief(operation: string, key: string): Promise<Belief | null> {
    if (this.#observer === null) {
      // What a process remembers dies with it.
      for (const { carrier, sim } of this.running.values()) {
        if (sim.state === 'dead') continue
        const believed = await carrier?.belief(operation, key)
        if (believed) return believed
      }
      return null
    }
    const call = await this.#observer.find(operation, key)
    return call && { effect: call.effect, ended: call.endedAt !== null, state: call.state, result: call.result, attempts: call.attempts }
  }

  // ── processes ─────────────────────────────────────────────────────────────────────────────────────────────────────

  async spawn(name: string, options: SpawnOptions = {}): Promise<void> {
    await this.ask(() => this.start(name, options))
  }

  /** Starts a process; where the database does not let it, it is started again, as a supervisor would. */
  async start(name: string, options: SpawnOptions): Promise<void> {
    const before = this.running.get(name)
    if (before && before.sim.state !== 'dead') this.kill(name)
    const seed = seedOf(this.seed, name, this.#incarnations++)
    const sim = new SimProcess(name, seed, { scheduler: this.scheduler, now: () => this.now }, (line) => this.say(line))
    const operations = (options.operations ?? this.#sources).map((source) => this.#told(name, source(clientOf(sim, this.#network()))))
    const running: Running = { sim, options, operations, workers: [], store: null, steward: null, carrier: null }
    this.running.set(name, running)
    this.say(`${name} starts${options.release === undefined ? '' : ` release ${options.release}`}`)
    const { carrier } = this.#options
    if (carrier) running.carrier = this.#carried(carrier.make, sim, operations)
    else await this.#openSteward(running, operations)
  }

  async #openSteward(running: Running, operations: readonly Operation[]): Promise<void> {
    const { sim, options } = running
    const raw = this.database.open(sim)
    running.store = raw
    const { lease, concurrency } = this.#options
    try {
      running.steward = await Steward.open({
        store: simStore(raw, sim, this.#storeNetwork(running)), operations, system: sim.system, log: sim.log,
        onAlert: (alert) => this.#onAlert(sim, alert),
        ...(options.release === undefined ? {} : { release: options.release }), ...(lease === undefined ? {} : { lease }), ...(concurrency === undefined ? {} : { concurrency }),
      })
      if (sim.state === 'dead') abandon(running.steward)
      else if (options.works !== false) running.steward.start()
    } catch (error) {
      this.say(`${sim.name} did not start: ${error instanceof StewardError ? error.code : String(error)}`)
      if (sim.state === 'dead') return
      this.kill(sim.name)
      this.scheduler.after(2_000, null, () => void this.start(sim.name, options))
    }
  }

  #carried(make: CarrierMaker, sim: SimProcess, operations: readonly Operation[]): Carrier {
    return make({ name: sim.name, system: sim.system, log: sim.log, client: clientOf(sim, this.#network()), operations, disk: this.#disk, alert: (alert) => this.#onAlert(sim, alert) })
  }

  /** The operation with a handler that tells the world of its ends, unless it has one. */
  #told(name: string, operation: Operation): Operation {
    if (operation.onSettled) return operation
    return {
      ...operation,
      onSettled: ({ state, effect, call }) => {
        if (this.now < this.handlersThrowUntil) throw new Error('the application cannot take it now')
        this.toldOutcomes.push({ at: this.now, process: name, operation: call.operation, key: call.key, state, effect })
      },
    }
  }

  #onAlert(sim: SimProcess, alert: Alert): void {
    if (this.now < this.alertsFailUntil) throw new Error('nobody answers at the other end')
    this.say(`${sim.name} alert ${alert.kind} ${alert.operation}/${alert.key ?? ''}`)
    this.toldAlerts.push({ at: this.now, process: sim.name, alert })
  }

  kill(name: string): void {
    const running = this.running.get(name)
    if (!running || running.sim.state === 'dead') return
    this.say(`${name} is killed`)
    running.sim.kill()
    if (running.steward !== null) abandon(running.steward)
    if (running.store === null) return
    const proven = this.#options.deathProven ?? this.#storeRandom() < 0.5
    this.#outside++
    this.database.gone(running.sim, running.store, running.workers, proven).catch(() => undefined).finally(() => { this.#outside-- })
  }

  freeze(name: string): void {
    this.say(`${name} is frozen`)
    this.running.get(name)?.sim.freeze()
  }

  thaw(name: string): void {
    this.say(`${name} is thawed`)
    this.running.get(name)?.sim.thaw()
  }

  freezeFor(process: SimProcess, forMs: number, isAsleep = false): void {
    if (process.state !== 'alive') return
    this.say(`${process.name} is ${isAsleep ? 'asleep' : 'frozen'}`)
    process.freeze(isAsleep)
    this.scheduler.after(forMs, null, () => { if (this.running.get(process.name)?.sim === process) this.thaw(process.name) })
  }

  async deploy(name: string, options: SpawnOptions & { readonly graceMs?: number }): Promise<void> {
    await this.ask(() => this.redeploy(name, options, options.graceMs ?? 10_000))
  }

  /** SIGTERM, and when the time is up SIGKILL; then the new release. */
  async redeploy(name: string, options: SpawnOptions, graceMs: number): Promise<void> {
    const old = this.running.get(name)
    if (old && old.sim.state !== 'dead') {
      this.say(`${name} is told to end`)
      const closing = old.steward?.close({ grace: graceMs }) ?? old.carrier?.close(graceMs) ?? Promise.resolve()
      await Promise.race([closing.catch(() => undefined), new Promise<void>((resolve) => void this.scheduler.after(graceMs + 1_000, null, resolve))])
      if (this.running.get(name) !== old) return
      this.kill(name)
    }
    await this.start(name, options)
  }

  #network(): Parameters<typeof clientOf>[1] {
    return {
      scheduler: this.scheduler, mischief: this.#mischief, random: this.#wireRandom, now: () => this.now,
      provider: (name) => this.#model(name), onLater: (later) => this.#promise(later), trace: (line) => this.say(line),
      kill: (process) => this.#killThis(process), freeze: (process, forMs, isAsleep) => this.freezeFor(process, forMs, isAsleep),
    }
  }

  #storeNetwork({ workers }: Running): Parameters<typeof simStore>[2] {
    const longest = this.#options.storeLatencyMs ?? 3
    return {
      scheduler: this.scheduler, mischief: this.#mischief, pooled: this.#pooled,
      latencyMs: () => (longest === 0 ? 0 : between(this.#storeRandom, 0, longest)),
      isDown: () => this.now < this.downUntil, enlisted: (worker) => { if (!workers.includes(worker)) workers.push(worker) }, outside: (more) => { this.#outside += more }, trace: (line) => this.say(line),
      kill: (process) => this.#killThis(process), freeze: (process, forMs, isAsleep) => this.freezeFor(process, forMs, isAsleep),
    }
  }

  #killThis(process: SimProcess): void {
    if (this.running.get(process.name)?.sim !== process || process.state === 'dead') return
    this.kill(process.name)
    this.hands.restart(process.name, 500 + Math.floor(this.hands.random() * 10_000))
  }

  #model(name: string): ProviderModel {
    const model = this.models.get(name)
    if (model === undefined) throw new Error(`no provider is called "${name}". Known are: ${[...this.models.keys()].join(', ')}`)
    return model
  }

  // ── callers, webhooks, people ─────────────────────────────────────────────────────────────────────────────────────

  async submit(operation: string, options: SubmitOptions<Json>, process?: string): Promise<Intent> {
    const intent = this.submitNow(operation, options, process)
    await this.until(() => intent.acknowledgedAt !== null || intent.refused !== null || this.running.get(intent.process)?.sim.state === 'dead', 120_000)
    return intent
  }

  /** Submits without waiting for the answer; what becomes of it is on the intent. */
  submitNow(operation: string, options: SubmitOptions<Json>, process?: string, how: 'submit' | 'perform' = 'submit'): OpenIntent {
    return this.callers.submit(operation, options, process, how)
  }

  inject(fault: Fault): void {
    const kind = kindOf(fault.kind)
    this.say(`fault ${fault.kind} ${fault.where ?? ''}`)
    const injected: Injected = this.board.note(fault)
    kind.inject(this.hands, injected)
  }

  heal(): void {
    this.say('all faults end')
    this.board.clear()
    this.downUntil = 0
    this.handlersThrowUntil = 0
    this.alertsFailUntil = 0
    for (const [name, { sim }] of this.running) if (sim.state === 'frozen') this.thaw(name)
  }

  /** What a provider does later, and the webhook by which it says so. */
  #promise(later: Later): void {
    this.scheduler.after(later.afterMs, null, () => {
      const { operation, businessKey, reference, says } = later.happen(this.now)
      this.webhook({ operation, key: businessKey, says, reference, afterMs: between(this.#wireRandom, 100, 30_000) })
    })
  }

  webhook({ operation, key, says, reference, eventAt = this.now, afterMs = 0, repeat = 1 }: Webhook): void {
    for (let n = 0; n < repeat; n++) this.scheduler.after(afterMs * (n + 1), null, () => this.#deliverWebhook(operation, key, says, reference, eventAt, 0))
  }

  /** Providers deliver again until somebody answers. */
  #deliverWebhook(operation: string, key: string, says: 'applied' | 'refuted', reference: string | undefined, eventAt: number, tries: number): void {
    const again = (): void => { if (tries < 50 && !this.#closed) this.scheduler.after(30_000, null, () => this.#deliverWebhook(operation, key, says, reference, eventAt, tries + 1)) }
    const running = [...this.running.values()].find(({ sim, steward }) => sim.state === 'alive' && steward !== null)
    if (!running?.steward) return again()
    this.say(`webhook ${says} ${operation}/${key}`)
    const fact = { by: `webhook ${reference ?? key}`, at: eventAt, ...(reference === undefined ? {} : { reference }) }
    const told = says === 'applied' ? running.steward.confirm(operation, key, fact) : running.steward.refute(operation, key, fact)
    told.catch((error: unknown) => { if (!(error instanceof StewardError) || TOLD_LATER.has(error.code)) again() })
  }

  async operate(action: OperatorAction): Promise<string | null> {
    const name = this.processes.find((one) => this.running.get(one)?.sim.state === 'alive' && this.running.get(one)?.steward)
    if (name === undefined) return 'no process is alive'
    this.say(`operator ${action.do}`)
    try {
      await this.ask(() => carryOut(this.process(name), action))
      return null
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    }
  }

  /** How a process is started with another release of its operations. */
  withRelease(release: 'next' | 'previous', options: SpawnOptions): SpawnOptions {
    return { ...options, release, operations: release === 'next' ? (this.#options.nextRelease ?? this.#sources) : this.#sources }
  }

  pickProcess(random: Random): string | null {
    const alive = this.processes.filter((name) => this.running.get(name)?.sim.state === 'alive')
    return alive.length === 0 ? null : pick(random, alive)
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const name of this.running.keys()) this.kill(name)
    await this.#observer?.close()
    await this.scheduler.rest()
    this.database.close()
  }
}
