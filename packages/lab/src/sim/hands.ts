/** What faults do to the world, other than at a step: to processes, clocks, the database, deploys, callers and people. */
import type { Hands } from '../faults/kinds.ts'
import type { Rule } from '../faults/board.ts'
import { between, pick, type Random } from './random.ts'
import type { OpenIntent } from './callers.ts'
import type { SimWorld } from './world.ts'

const WHO = { by: 'ana@example.com', why: 'the lab asked for it' }
/** What the world does by itself is done this often, when it did not work at first. */
const AGAIN_MS = 5_000
/** Until somebody has read the alert, and says since when commits are lost. */
const PERSON_COMES_MS = 60_000
/** A person looks at the provider when the last request is surely over: its timeout, and what the network and the provider may add. */
const LOOKS_AFTER_MS = 600_000

export class WorldHands implements Hands {
  readonly random: Random
  readonly #world: SimWorld

  constructor(world: SimWorld, random: Random) {
    this.#world = world
    this.random = random
  }

  set(rule: Rule): void { this.#world.board.set(rule) }
  later(afterMs: number, run: () => void): void { this.#world.scheduler.after(afterMs, null, run) }

  someProcess(where: string | null): string | null {
    if (where !== null && this.#world.running.get(where)?.sim.state === 'alive') return where
    return this.#world.pickProcess(this.random)
  }

  kill(process: string): void { this.#world.kill(process) }

  freeze(process: string, forMs: number): void {
    const running = this.#world.running.get(process)
    if (running) this.#world.freezeFor(running.sim, forMs)
  }

  restart(process: string, afterMs: number): void {
    const before = this.#world.running.get(process)
    this.later(afterMs, () => {
      if (before && this.#world.running.get(process) === before) void this.#world.start(process, before.options)
    })
  }

  redeploy(process: string, release: 'next' | 'previous' | 'same', graceMs: number): void {
    const running = this.#world.running.get(process)
    if (running) void this.#world.redeploy(process, release === 'same' ? running.options : this.#world.withRelease(release, running.options), graceMs)
  }

  skew(process: string, byMs: number): void {
    const running = this.#world.running.get(process)
    if (running) running.sim.skewMs = byMs
  }

  skewDatabase(byMs: number): void { this.#world.databaseSkewMs += byMs }
  databaseDown(forMs: number): void { this.#world.downUntil = this.#world.now + forMs }
  handlersThrow(forMs: number): void { this.#world.handlersThrowUntil = this.#world.now + forMs }
  alertsFail(forMs: number): void { this.#world.alertsFailUntil = this.#world.now + forMs }

  loseCommits(afterMs: number): void {
    const restore = this.#world.database.backup()
    const lostSince = this.#world.now + this.#world.databaseSkewMs
    this.later(afterMs, () => {
      this.#world.say('the database is back without its last commits')
      restore()
      this.later(PERSON_COMES_MS, () => this.#insist(() => this.#steward()?.restored({ ...WHO, lostSince })))
    })
  }

  /** A standby that follows at some distance cannot be told in advance what it will miss: the copy is taken now, the death comes that much later. */
  failOver(afterMs: number, losesMs: number): void {
    this.loseCommits(losesMs + afterMs)
    this.later(losesMs, () => this.databaseDown(afterMs))
  }

  forgetKeys(provider: string | null): void {
    for (const [name, model] of this.#world.models) if (provider === null || provider === name) model.forgetKeys()
  }

  resubmit(otherAmount: boolean): void {
    const intent = this.#someIntent()
    // Before the first is on record, either input may be the one that takes the key.
    if (intent === null || (otherAmount && intent.acknowledgedAt === null)) return
    const input = otherAmount ? { ...(intent.input as object), amount: between(this.random, 1, 99_999) } : intent.input
    this.#world.callers.submitAgain(intent, input, this.#world.pickProcess(this.random) ?? intent.process, otherAmount)
  }

  supersede(): void {
    const intent = this.#someIntent()
    if (intent === null || intent.acknowledgedAt === null || (intent.supersedes ?? null) !== null) return
    const key = `${intent.key}_again`
    if (this.#world.intents.some((one) => one.operation === intent.operation && one.key === key)) return
    this.#world.submitNow(intent.operation, { key, input: { ...(intent.input as object), orderId: key }, supersedes: intent.key }, this.#world.pickProcess(this.random) ?? undefined)
  }

  webhook(options: { readonly repeat: number; readonly spreadMs: number; readonly stale: boolean }): void {
    const intent = this.#someIntent()
    if (intent === null) return
    const [effect] = this.#world.models.get(intent.provider)?.effectsOf(intent.key) ?? []
    if (effect === undefined) return
    const { operation, key } = intent
    this.#world.webhook({ operation, key, says: 'applied', reference: effect.reference, eventAt: effect.at, repeat: options.repeat, afterMs: Math.floor(options.spreadMs / options.repeat) })
    // What was true before the first request of the intent came in.
    if (options.stale) this.#world.webhook({ operation, key, says: 'refuted', eventAt: intent.askedAt - 1, afterMs: between(this.random, 0, 60_000) })
  }

  operate(what: 'redrive_all_twice' | 'pause_and_resume' | 'cancel' | 'retry_now' | 'settle_doubts' | 'settle_wrongly', forMs: number): void {
    const world = this.#world
    if (what === 'settle_doubts' || what === 'settle_wrongly') return void this.#asking(() => this.#settleDoubts(what === 'settle_doubts'))
    const intent = this.#someIntent()
    if (intent === null) return
    const { operation, key, provider } = intent
    if (what === 'pause_and_resume') {
      void this.#asking(() => this.#steward()?.pause({ provider }, WHO))
      // A pause that nobody lifts would be a person's decision for ever: the lifting is tried until it is done.
      this.later(forMs, () => this.#insist(() => this.#steward()?.resume({ provider }, WHO)))
      return
    }
    world.say(`operator ${what} ${operation}/${key}`)
    if (what === 'cancel') return void this.#asking(() => this.#steward()?.cancel(operation, key, WHO))
    if (what === 'retry_now') return void this.#asking(() => this.#steward()?.retryNow(operation, key, WHO))
    for (let press = 0; press < 2; press++) {
      this.later(press * between(this.random, 0, 2_000), () => void this.#asking(() => this.#steward()?.redriveMany({ operation }, WHO)))
    }
  }

  /** As a person would: waits until nothing can be on its way any more, looks at the provider's own books, and says what they say. */
  async #settleDoubts(rightly: boolean): Promise<void> {
    const steward = this.#steward()
    for (const call of (await steward?.list({ states: ['in_doubt'], limit: 50 })) ?? []) {
      const provider = this.#world.operations.find(({ name }) => name === call.operation)?.provider ?? ''
      const begunAt = call.story.findLast((entry) => entry.what === 'begun')?.at ?? 0
      if (this.#world.now + this.#world.databaseSkewMs < begunAt + LOOKS_AFTER_MS) continue
      const happened = (this.#world.models.get(provider)?.effectsOf(call.key).length ?? 0) > 0 === rightly
      await steward?.settle(call.operation, call.key, { ...WHO, outcome: happened ? 'happened' : rightly ? pick(this.random, ['send_again', 'stop'] as const) : 'stop' })
    }
  }

  /** Through whatever process is alive; refusals are answers, too. */
  async #asking(run: () => Promise<unknown> | undefined): Promise<boolean> {
    try {
      const asked = run()
      if (asked === undefined) return false
      await asked
      return true
    } catch {
      return false
    }
  }

  #insist(run: () => Promise<unknown> | undefined): void {
    let over = false
    void this.#asking(run).then((done) => { over ||= done })
    this.later(AGAIN_MS, () => { if (!over) this.#insist(run) })
  }

  #steward(): ReturnType<SimWorld['process']> | undefined {
    const name = this.#world.pickProcess(this.random)
    const steward = name === null ? null : this.#world.running.get(name)?.steward
    return steward ?? undefined
  }

  #someIntent(): OpenIntent | null {
    const { intents } = this.#world.callers
    return intents.length === 0 ? null : pick(this.random, intents.slice(-200))
  }
}
