/**
 * The processes of a run: started, killed with SIGKILL, frozen with SIGSTOP, started again.
 *
 * A slot (`worker 1`, `submitter 2`) always has a process, unless it has left by itself or the run is over. A process
 * that dies by a failpoint counts as killed, like one that was killed from outside.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pick } from '../seeded.ts'
import { ORDERS, type Orders } from './orders.ts'

export type Role = 'worker' | 'submitter'

const POINTS = {
  worker: ['claim.before-commit', 'claim.after-commit', 'begin.before-commit', 'begin.after-commit', 'send.before', 'send.after', 'finish.before-commit', 'finish.after-commit'],
  submitter: ['submit.before-commit', 'submit.after-commit', 'begin.after-commit', 'send.after', 'finish.before-commit'],
} as const

type Slot = { readonly role: Role; readonly name: string; child: ChildProcess | null; armed: string | null; frozen: boolean; left: boolean }

export class Fleet {
  readonly slots: Slot[] = []
  readonly #orders: Orders
  readonly #random: () => number
  #closing = false
  kills = 0
  freezes = 0
  /** Deaths by where they were: `at random`, or a failpoint. */
  readonly deaths: Record<string, number> = {}
  readonly crashes: string[] = []

  constructor(orders: Orders, random: () => number) {
    this.#orders = orders
    this.#random = random
  }

  add(role: Role, name: string): void {
    const slot: Slot = { role, name, child: null, armed: null, frozen: false, left: false }
    this.slots.push(slot)
    this.#start(slot, null)
  }

  #start(slot: Slot, failpoint: string | null): void {
    if (this.#closing || slot.left) return
    const env = { ...process.env, [ORDERS]: JSON.stringify(this.#orders), STEWARD_FAILPOINTS: failpoint ?? '' }
    const child = fork(join(import.meta.dirname, `${slot.role}.ts`), { env, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    slot.child = child
    slot.armed = failpoint
    slot.frozen = false
    child.once('exit', (code, signal) => this.#gone(slot, child, code, signal))
  }

  #gone(slot: Slot, child: ChildProcess, code: number | null, signal: NodeJS.Signals | null): void {
    if (slot.child !== child) return
    slot.child = null
    if (signal === 'SIGKILL') {
      const where = slot.armed ?? 'at random'
      this.kills++
      this.deaths[where] = (this.deaths[where] ?? 0) + 1
    } else if (code === 0 && slot.role === 'submitter') slot.left = true
    else if (!this.#closing) this.crashes.push(`${slot.name} ended by itself (code ${code}, signal ${signal})`)
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
    const alive = this.slots.filter((slot) => slot.child !== null && slot.child.connected)
    const victim = pick(this.#random, [...alive, ...alive.filter((slot) => slot.role === 'worker')] as [Slot, ...Slot[]]) as Slot | undefined
    if (victim === undefined) return
    if (victim.armed !== null && this.#random() < 0.5) return
    victim.armed = null
    victim.child?.kill('SIGKILL')
  }

  /** Stops a worker for longer than its lease, then lets it go on as if nothing had been. */
  freezeOne(forMs: number): void {
    const victim = this.slots.find((slot) => slot.role === 'worker' && slot.child !== null && !slot.frozen && this.#random() < 0.6)
    const child = victim?.child
    if (!victim || !child) return
    victim.frozen = true
    this.freezes++
    child.kill('SIGSTOP')
    setTimeout(() => {
      child.kill('SIGCONT')
      if (victim.child === child) victim.frozen = false
    }, forMs)
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
