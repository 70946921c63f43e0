/**
 * The store as one process sees it: the real one behind a network of its own.
 *
 * What is asked takes time to arrive and to be answered, in the order in which it was asked or, where connections are
 * pooled, not. Once it has left the process it is carried out even if the process dies; its answer then reaches
 * nobody. Every move is a step at which mischief is asked.
 */
import { StewardError, type Store } from 'steward'
import type { CallWrite } from 'steward/internal'
import type { Mischief, StoreAct, StoreMove } from '../faults/steps.ts'
import type { SimProcess } from './process.ts'
import type { Scheduler } from './scheduler.ts'

export type StoreNetwork = {
  readonly scheduler: Scheduler
  readonly mischief: Mischief
  /** Milliseconds that a request or an answer takes; drawn anew for each. */
  readonly latencyMs: () => number
  /** Requests may overtake one another, as over a pool of connections. */
  readonly pooled: boolean
  /** Whether the database answers at all. */
  readonly isDown: () => boolean
  /** The process asks to be a worker under this identity. */
  readonly enlisted: (worker: string) => void
  /** Something outside virtual time is under way. */
  readonly outside: (more: number) => void
  readonly trace: (line: string) => void
  readonly kill: (process: SimProcess) => void
  readonly freeze: (process: SimProcess, forMs: number, isAsleep?: boolean) => void
}

type Asked = { readonly move: StoreMove; readonly what: string; /** Writes of its batch. */ readonly size: number; readonly run: () => Promise<unknown>; /** The first half of a batch alone. */ readonly half: () => Promise<unknown>; readonly resolve: (value: unknown) => void; readonly reject: (error: unknown) => void }

/** Idle rounds, and what is only read: asked often, changing nothing, so that they take no time unless something is wrong. */
const ROUNDS = new Set(['pulse', 'fenceDead', 'orphans', 'overdue', 'backlog', 'lateLanes', 'workers', 'nextDueAt', 'settlesDue', 'alerts', 'controls', 'leasedTo'])
const MOVES: Readonly<Record<string, StoreMove>> = {
  insert: 'submit', writeSettling: 'finish', claim: 'claim', giveBack: 'give_back', enlist: 'enlist', leave: 'enlist', settleTold: 'settle', keepEarlyFact: 'change', control: 'control',
  raise: 'alert', alertsDelivered: 'alert', prune: 'change', get: 'read', find: 'read', getMany: 'read', list: 'read',
}

export function simStore(inner: Store, process: SimProcess, network: StoreNetwork): Store {
  const line = new StoreLine(process, network)
  const store: Record<string, unknown> = { name: inner.name, pulseMs: inner.pulseMs }
  store['now'] = () => inner.now()
  // Opening and closing take no virtual time, though perhaps real time.
  for (const name of ['open', 'close'] as const) {
    const method = (inner[name] as (...args: unknown[]) => Promise<void>).bind(inner)
    store[name] = (...args: unknown[]) => {
      network.outside(1)
      return method(...args).finally(() => network.outside(-1))
    }
  }
  store['onHint'] = (listener: () => void) => inner.onHint(() => process.deliver(listener))
  for (const name of ASKED) {
    const method = (inner[name] as (...args: unknown[]) => Promise<unknown>).bind(inner)
    store[name] = (...args: unknown[]) => {
      if (name === 'enlist') network.enlisted((args[0] as Parameters<Store['enlist']>[0]).worker)
      return line.ask(name, args, (given) => method(...given))
    }
  }
  return store as unknown as Store
}

const ASKED = [
  'write', 'insert', 'writeSettling', 'claim', 'giveBack', 'leasedTo', 'enlist', 'pulse', 'leave', 'workers', 'fenceDead', 'orphans', 'get', 'find', 'getMany', 'list', 'overdue', 'backlog', 'lateLanes', 'nextDueAt',
  'keepEarlyFact', 'controls', 'control', 'raise', 'alerts', 'alertsDelivered', 'settlesDue', 'settleTold', 'prune',
] as const satisfies readonly (keyof Store)[]
/** Every method of the port has its place here (in the simulation no caller has a transaction of its own, nobody migrates, and time is no estimate): a new one does not compile until it has. */
type Placed = 'name' | 'pulseMs' | 'now' | 'nowAtMost' | 'onHint' | 'open' | 'close' | 'insertWithin' | 'insertStatement' | 'migrate' | (typeof ASKED)[number]
export const ALL_PLACED: [Exclude<keyof Store, Placed>] extends [never] ? true : never = true

class StoreLine {
  readonly #process: SimProcess
  readonly #network: StoreNetwork
  /** No request of an unpooled connection is carried out, and none is answered, before those asked earlier. */
  #arrivesAtMs = 0
  #answeredAtMs = 0

  constructor(process: SimProcess, network: StoreNetwork) {
    this.#process = process
    this.#network = network
  }

  ask(method: string, args: readonly unknown[], run: (args: readonly unknown[]) => Promise<unknown>): Promise<unknown> {
    const process = this.#process
    if (process.state === 'dead') return Promise.withResolvers<never>().promise
    const move: StoreMove = moveOf(method, args)
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    const asked: Asked = { move, what: describe(method, args), size: Array.isArray(args[0]) ? args[0].length : 1, run: () => run(args), half: () => run(halfOf(args)), resolve, reject }
    const act = this.#network.mischief.store({ at: 'store', process: process.name, move })
    if (act !== null) this.#network.trace(`${process.name} store ${asked.what} suffers ${act.do}`)
    this.#leave(asked, act, ROUNDS.has(method))
    return promise
  }

  #leave(asked: Asked, act: StoreAct | null, isRound: boolean): void {
    const { scheduler, kill, freeze } = this.#network
    const process = this.#process
    if (act?.do === 'kill' && act.when === 'before') return kill(process)
    if (act?.do === 'freeze' && act.when === 'before') freeze(process, act.forMs ?? 0, act.isAsleep)
    if (isRound && act === null && !this.#network.isDown() && process.state === 'alive') return void this.#carryOut(asked, null, 0)
    const latencyMs = this.#network.latencyMs() + (act?.do === 'slow' ? act.ms : 0)
    const atMs = this.#network.pooled ? scheduler.elapsedMs + latencyMs : Math.max(this.#arrivesAtMs, scheduler.elapsedMs + latencyMs)
    this.#arrivesAtMs = atMs
    // Frozen before it was handed over: it leaves when the process is thawed.
    const owner = act?.do === 'freeze' && act.when === 'before' ? process : null
    scheduler.after(atMs - scheduler.elapsedMs, owner, () => void this.#carryOut(asked, act, this.#network.latencyMs()))
  }

  async #carryOut(asked: Asked, act: StoreAct | null, answerMs: number): Promise<void> {
    const process = this.#process
    const { trace, kill, freeze } = this.#network
    if (this.#network.isDown()) return this.#answer(asked.reject, unavailable(asked.what), answerMs)
    const toldMs = answerMs + (act !== null && 'afterMs' in act ? (act.afterMs ?? 0) : 0)
    if (act?.do === 'refuse') return this.#answer(asked.reject, unavailable(asked.what), toldMs)
    if (act?.do === 'held') return this.#answer(asked.resolve, Array.from({ length: asked.size }, () => ({ ok: false, why: 'held' })), answerMs)
    if (act?.do === 'lose_answer' && !act.stored) return this.#answer(asked.reject, lostAnswer(asked.what), toldMs)
    if (act?.do === 'lose_answer' && act.lateMs !== undefined) return this.#late(asked, act.lateMs, answerMs)
    this.#network.outside(1)
    try {
      const value = await (act?.do === 'split' ? asked.half() : asked.run())
      if (asked.what !== '') trace(`${process.name} store ${asked.what}${resultOf(value)}`)
      if (act?.do === 'kill') return kill(process)
      if (act?.do === 'freeze' && act.when === 'after') freeze(process, act.forMs ?? 0, act.isAsleep)
      if (act?.do === 'lose_answer' || act?.do === 'split') this.#answer(asked.reject, lostAnswer(asked.what), toldMs)
      else this.#answer(asked.resolve, value, answerMs)
    } catch (error) {
      this.#answer(asked.reject, error, answerMs)
    } finally {
      this.#network.outside(-1)
    }
  }

  /** Given up for lost now, carried out later: it waited for a lock, or in a network that held it back. */
  #late(asked: Asked, lateMs: number, answerMs: number): void {
    const { scheduler, trace, outside, isDown } = this.#network
    this.#answer(asked.reject, lostAnswer(asked.what), answerMs)
    scheduler.after(lateMs, null, () => {
      if (isDown()) return
      outside(1)
      asked.run().then((value) => trace(`${this.#process.name} store late ${asked.what}${resultOf(value)}`), () => undefined).finally(() => outside(-1))
    })
  }

  #answer<Value>(how: (value: Value) => void, value: Value, afterMs: number): void {
    const { scheduler, pooled } = this.#network
    const process = this.#process
    if (afterMs === 0 && (pooled || this.#answeredAtMs <= scheduler.elapsedMs)) return process.deliver(() => how(value))
    const atMs = pooled ? scheduler.elapsedMs + afterMs : Math.max(this.#answeredAtMs, scheduler.elapsedMs + afterMs)
    this.#answeredAtMs = atMs
    scheduler.after(atMs - scheduler.elapsedMs, process, () => how(value))
  }
}

function moveOf(method: string, args: readonly unknown[]): StoreMove {
  if (method === 'write') return weightiest(args[0] as readonly CallWrite[])
  if (method === 'pulse') return (args[0] as Parameters<Store['pulse']>[0]).leaseUntilAt === null ? 'round' : 'beat'
  return MOVES[method] ?? 'round'
}

/** Arguments of a batch with its first half alone: of one write, that one. */
function halfOf([batch, ...others]: readonly unknown[]): readonly unknown[] {
  return Array.isArray(batch) ? [batch.slice(0, Math.ceil(batch.length / 2)), ...others] : [batch, ...others]
}

/** A batch is named after its weightiest write: the record of an answer, then a begin. */
function weightiest(batch: readonly CallWrite[]): StoreMove {
  const moves = batch.map((write): StoreMove => (write.call.state === 'running' ? 'begin' : write.lease ? (write.call.story.at(-1)?.what === 'looked' ? 'look' : 'finish') : 'change'))
  return moves.find((move) => move === 'finish') ?? moves[0] ?? 'change'
}

/** What a change says in the trace; nothing for what only asks. */
function describe(method: string, args: readonly unknown[]): string {
  if (method === 'write' || method === 'insert') return `${method} ${(args[0] as readonly CallWrite[]).map(({ call }) => `${call.operation}/${call.key} ${call.state} r${call.rev}`).join(', ')}`
  if (method === 'writeSettling') {
    const { call } = args[0] as CallWrite
    return `settle ${call.operation}/${call.key} ${call.state} r${call.rev}`
  }
  return method === 'giveBack' || method === 'enlist' || method === 'leave' || method === 'control' || method === 'keepEarlyFact' ? method : ''
}

function resultOf(value: unknown): string {
  if (!Array.isArray(value)) return ''
  const refused = (value as { ok?: boolean; why?: string }[]).flatMap((one) => (one.ok === false ? [one.why ?? '?'] : []))
  return refused.length === 0 ? '' : ` refused: ${refused.join(', ')}`
}

const unavailable = (what: string): StewardError => new StewardError('STEWARD_STORE_UNAVAILABLE', `the simulated database did not take "${what}". Nothing of it was stored. Try again.`)
const lostAnswer = (what: string): StewardError =>
  new StewardError('STEWARD_STORE_UNAVAILABLE', `the connection to the simulated database broke during "${what}". Nobody knows whether it was stored. Repeat it.`, { outcome: 'unknown' })
