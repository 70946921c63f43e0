/**
 * Which rounds have anything to do? One question to the store, the pulse, in place of one for each of them.
 *
 * A heartbeat is such a question, too; where it comes often enough, no other is asked. An answer is a hint: the round that
 * it starts looks at durable state itself, and what a lost answer would have told, the next one tells.
 */
import type { Lane, Lease, Pulse, Store, Todo } from '../ports/store.ts'
import type { Log, System } from '../ports/system.ts'

export type RoundsOptions = {
  readonly store: Store
  readonly system: System
  readonly log: Log
  lease(): Lease | null
  /** Operations that this process works. */
  operations(): readonly string[]
  /** Lanes of which it wants to know when the next call is due. */
  lanes(): readonly Lane[]
  onPulse(pulse: Pulse): void
}

type Round = { readonly what: keyof Todo; readonly run: () => Promise<unknown>; readonly apartMs: number; running: boolean; complained: boolean; notBeforeMs: number }

/** Without a heartbeat, so much longer is waited: one that comes as often as the store likes, and a little late, makes other questions needless. */
const PATIENCE = 1.25
/** When it was last asked, where that is too long ago. */
const AT_ONCE = Number.NEGATIVE_INFINITY

export class Rounds {
  readonly #o: RoundsOptions
  readonly #rounds: Round[] = []
  #askedMs = AT_ONCE
  #asking = 0
  #complained = false
  #stopTimer: (() => void) | null = null
  #stopped = false

  constructor(options: RoundsOptions) {
    this.#o = options
  }

  /** From now on `run` is called when there is something to do for it: never twice at once, and not again until `apartMs` after it ended. */
  on(what: keyof Todo, run: () => Promise<unknown>, apartMs = 0): void {
    this.#rounds.push({ what, run, apartMs, running: false, complained: false, notBeforeMs: 0 })
  }

  /** Asks at once, and then as often as the store likes to be asked. */
  start(): void {
    if (this.#stopped) return
    const { store, system, log } = this.#o
    const everyMs = Math.ceil(PATIENCE * store.pulseMs)
    const turn = (): void => {
      if (this.#asking > 0) return plan(everyMs)
      const leftMs = this.#askedMs + everyMs - system.monotonicMs()
      if (leftMs > 0) return plan(Math.ceil(leftMs))
      this.#ask(this.#o.lease(), null).then(
        () => { this.#complained = false },
        (error: unknown) => {
          if (!this.#complained && !this.#stopped) log.warn('the store could not be asked what there is to do; trying again', { error: String(error) })
          this.#complained = true
        },
      ).finally(() => plan(this.#askedMs === AT_ONCE ? 0 : everyMs))
    }
    const plan = (afterMs: number): void => {
      this.#stopTimer?.()
      if (!this.#stopped) this.#stopTimer = system.after(afterMs, turn, true)
    }
    // Also where an earlier question is under way: it asked for less.
    this.#askedMs = AT_ONCE
    turn()
  }

  /** A heartbeat. */
  async beat(lease: Lease, leaseUntilAt: number): Promise<Pulse> {
    return await this.#ask(lease, leaseUntilAt)
  }

  stop(): void {
    this.#stopped = true
    this.#stopTimer?.()
  }

  async #ask(lease: Lease | null, leaseUntilAt: number | null): Promise<Pulse> {
    const { store, system } = this.#o
    this.#askedMs = system.monotonicMs()
    this.#asking++
    try {
      const pulse = await store.pulse({ now: store.now(), lease, leaseUntilAt, operations: this.#o.operations(), lanes: this.#o.lanes() })
      if (!this.#stopped) this.#told(pulse)
      return pulse
    } finally {
      this.#asking--
    }
  }

  #told(pulse: Pulse): void {
    this.#o.onPulse(pulse)
    for (const round of this.#rounds) if (pulse.todo[round.what]) this.#run(round)
  }

  #run(round: Round): void {
    const { system, log } = this.#o
    if (round.running || system.monotonicMs() < round.notBeforeMs) return
    round.running = true
    round.run().then(
      () => { round.complained = false },
      (error: unknown) => {
        if (!round.complained && !this.#stopped) log.warn(`the round "${round.what}" could not be finished; trying again`, { error: String(error) })
        round.complained = true
      },
    ).finally(() => {
      round.running = false
      round.notBeforeMs = system.monotonicMs() + round.apartMs
    })
  }
}
