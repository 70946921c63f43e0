/**
 * The processes of a run: started, killed with SIGKILL, frozen with SIGSTOP, started again.
 *
 * A slot (`worker 1`, `submitter 2`) always has a process, unless it has left by itself or the run is over. A process
 * that dies by a failpoint counts as killed, like one that was killed from outside. A freeze counts once its process has
 * gone on after it.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { pick } from '../seeded.ts'
import type { Guise, Guises } from './guises.ts'
import { ORDERS, type Orders } from './orders.ts'
import { FREEZE_POINTS, type FreezePoint, type FromChild, type ToWorker } from './points.ts'

export type Role = 'worker' | 'submitter'

const POINTS = {
  worker: ['claim.before-commit', 'claim.after-commit', 'begin.before-commit', 'begin.after-commit', 'send.before', 'send.after', 'finish.before-commit', 'finish.after-commit'],
  submitter: ['submit.before-commit', 'submit.after-commit', 'begin.after-commit', 'send.after', 'finish.before-commit'],
} as const

type Slot = { readonly role: Role; readonly name: string; readonly nth: number; /** Processes of it that were at work. */ turn: number; child: ChildProcess | null; ready: boolean; armed: string | null; frozen: 'no' | 'soon' | 'yes'; /** Not killed before then. */ sparedUntilAt: number; left: boolean }

/** Longer than a late answer takes to be stored, outages included. */
export const SPARED_MS = 11_000
/** A worker that was asked to freeze at a point and does not pass there in time is frozen where it is. */
const PASSES_WITHIN_MS = 3_000
/** From saying that it stops itself until it does. */
const STOPS_WITHIN_MS = 200

export class Fleet {
  readonly slots: Slot[] = []
  readonly #orders: Orders
  readonly #random: () => number
  readonly #guises: Guises
  /** Stopped from outside just when they were to stop themselves: they will, once they go on. */
  readonly #stopsAgain = new WeakSet<ChildProcess>()
  #closing = false
  kills = 0
  freezes = 0
  /** Deaths by where they were: `at random`, or a failpoint. */
  readonly deaths: Record<string, number> = {}
  /** Freezes by where they were. */
  readonly freezesAt: Record<string, number> = {}
  /** Processes that ran with a false clock, and on the older library. */
  readonly ran = { falseClock: 0, older: 0 }
  readonly plans: { readonly falseClock: boolean; readonly older: boolean }
  /** When a process died, by its id. */
  readonly diedAt = new Map<number, number>()
  /** When a frozen process went on, by its id. */
  readonly wentOnAt = new Map<number, number>()
  /** Of the run itself: what should not have happened, whoever is to blame. */
  readonly mishaps: string[] = []

  constructor(orders: Orders, random: () => number, guises: Guises) {
    this.#orders = orders
    this.#random = random
    this.#guises = guises
    this.plans = guises.plans
  }

  add(role: Role, name: string): void {
    const nth = this.slots.filter((slot) => slot.role === role).length
    const slot: Slot = { role, name, nth, turn: 0, child: null, ready: false, armed: null, frozen: 'no', sparedUntilAt: 0, left: false }
    this.slots.push(slot)
    this.#start(slot, null)
  }

  #start(slot: Slot, failpoint: string | null): void {
    if (this.#closing || slot.left) return
    const guise = this.#guises.of(slot.role, slot.nth, slot.turn)
    const env = { ...process.env, ...guise.env, NODE_COMPILE_CACHE: this.#orders.compiledPath, [ORDERS]: JSON.stringify(this.#orders), STEWARD_FAILPOINTS: failpoint ?? '' }
    const child = fork(guise.path(`${slot.role}.ts`), { env, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    slot.child = child
    slot.ready = false
    slot.armed = failpoint
    slot.frozen = 'no'
    slot.sparedUntilAt = 0
    child.once('exit', (code, signal) => this.#gone(slot, child, guise, code, signal))
    child.on('message', (message: FromChild) => this.#told(slot, child, guise, message))
  }

  #told(slot: Slot, child: ChildProcess, guise: Guise, message: FromChild): void {
    if ('ready' in message) {
      slot.ready = slot.child === child
      slot.turn++
      if (guise.older) this.ran.older++
      if (Math.abs(message.ready - Date.now()) > 1_800_000) this.ran.falseClock++
      else if (guise.falseClock) this.mishaps.push(`${slot.name} was to run with a false clock, and its clock was right`)
    } else if (slot.child === child && slot.frozen === 'yes') this.#stopsAgain.add(child)
    else if (slot.child === child) this.#frozen(slot, child, message.frozenAt)
  }

  #gone(slot: Slot, child: ChildProcess, guise: Guise, code: number | null, signal: NodeJS.Signals | null): void {
    if (slot.child !== child) return
    slot.child = null
    this.diedAt.set(child.pid as number, Date.now())
    if (signal === 'SIGKILL') {
      const where = slot.armed ?? 'at random'
      this.kills++
      this.deaths[where] = (this.deaths[where] ?? 0) + 1
    } else if (code === 0 && slot.role === 'submitter') slot.left = true
    // A store that cannot be reached cannot be opened: whoever starts processes starts them again.
    else if (!this.#closing && slot.ready) this.mishaps.push(`${slot.name}${guise.older ? ', on the older library,' : ''} ended by itself (code ${code}, signal ${signal})`)
    if (this.#closing || slot.left) return
    setTimeout(() => this.#start(slot, this.#nextPoint(slot.role)), 20 + this.#random() * 300)
  }

  /** Set for the next process of a killed slot: half of them die at a named point. */
  #failpointShare = 0
  arm(share: number): void {
    this.#failpointShare = share
  }

  #nextPoint(role: Role): string | null {
    if (this.#random() >= this.#failpointShare) return null
    const points: readonly [string, ...string[]] = POINTS[role]
    return `${pick(this.#random, points)}:kill@${1 + Math.floor(this.#random() * 12)}`
  }

  /** Kills one process at this moment; those that are to die at a failpoint are left for one more turn. */
  killOne(): void {
    const alive = this.slots.filter((slot) => slot.child !== null && slot.child.connected && slot.frozen === 'no' && slot.sparedUntilAt < Date.now())
    const victim = pick(this.#random, [...alive, ...alive.filter((slot) => slot.role === 'worker')] as [Slot, ...Slot[]]) as Slot | undefined
    if (victim === undefined) return
    if (victim.armed !== null && this.#random() < 0.5) return
    victim.armed = null
    victim.child?.kill('SIGKILL')
  }

  /** Freezes that have begun, or are about to. */
  get freezing(): number {
    return this.slots.filter((slot) => slot.frozen !== 'no').length
  }

  /** Stops a worker for longer than its lease, at a point or at any moment, then lets it go on as if nothing had been. */
  freezeOne(): void {
    const workers = this.slots.filter((slot) => slot.role === 'worker' && slot.ready && slot.child?.connected === true && slot.frozen === 'no')
    // One that is to die at a failpoint may do so before it is frozen; where all work is done, it will never pass there.
    const victim = workers.find((slot) => slot.armed === null && this.#random() < 0.6) ?? workers.find((slot) => slot.armed !== null && this.#random() < 0.2)
    const child = victim?.child
    if (!victim || !child) return
    victim.frozen = 'soon'
    const freezeAt = pick<FreezePoint | null>(this.#random, [null, 'answer.heard', ...FREEZE_POINTS])
    // It may have died meanwhile.
    if (freezeAt !== null) child.send({ freezeAt } satisfies ToWorker, () => undefined)
    setTimeout(() => {
      if (victim.child !== child || victim.frozen !== 'soon') return
      child.kill('SIGSTOP')
      this.#frozen(victim, child, 'at random')
    }, freezeAt === null ? 0 : PASSES_WITHIN_MS)
  }

  /** It stands still, or is about to: where it was to pass a point, it stops itself once it has said so. */
  #frozen(slot: Slot, child: ChildProcess, where: string): void {
    slot.frozen = 'yes'
    setTimeout(() => {
      child.kill('SIGCONT')
      if (this.#stopsAgain.delete(child)) setTimeout(() => child.kill('SIGCONT'), STOPS_WITHIN_MS)
      if (slot.child !== child) return
      slot.frozen = 'no'
      this.wentOnAt.set(child.pid as number, Date.now())
      // What it had heard, it must keep: it is given the time for it.
      if (where === 'answer.heard') slot.sparedUntilAt = Date.now() + SPARED_MS
      this.freezes++
      this.freezesAt[where] = (this.freezesAt[where] ?? 0) + 1
    }, this.#guises.leaseMs * (1.2 + this.#random()))
  }

  /** Whether at least this share of all is at work. */
  isAtWork(share: number): boolean {
    const left = this.slots.filter((slot) => !slot.left)
    return left.filter((slot) => slot.ready && slot.child !== null).length >= share * left.length
  }

  get submittersLeft(): boolean {
    return this.slots.every((slot) => slot.role !== 'submitter' || slot.left)
  }

  /** Tells all to leave, and kills those that do not within `graceMs`. */
  async close(graceMs: number): Promise<void> {
    this.#closing = true
    const children = this.slots.flatMap((slot) => (slot.child ? [slot.child] : []))
    const gone = Promise.all(children.map((child) => exited(child)))
    for (const child of children) {
      child.kill('SIGCONT')
      child.kill('SIGTERM')
    }
    await Promise.race([gone, sleep(graceMs)])
    for (const child of children) child.kill('SIGKILL')
  }
}

async function exited(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
}
