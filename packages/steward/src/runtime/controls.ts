/**
 * Pauses and holds, as this process last read them.
 *
 * The store's row is the authority: a begin is committed only under the controls revision it was decided on, so a
 * stale copy here delays a send, and never lets one through.
 */
import type { Call } from '../core/call.ts'
import { type Decision, decide } from '../core/decide.ts'
import type { Restored } from '../core/set-back.ts'
import type { Control, Controls, Store } from '../ports/store.ts'
import type { Registered } from './operation.ts'

export class ControlsCopy {
  readonly #store: Store
  #controls: Controls = { rev: 0, all: [], restored: null }
  #asked = 0
  /** The question that was answered last. */
  #answered = 0

  constructor(store: Store) {
    this.#store = store
  }

  get rev(): number {
    return this.#controls.rev
  }

  get all(): readonly Control[] {
    return this.#controls.all
  }

  /** The hold of everything, while nobody has said what a set-back database lost. */
  get setBack(): Control | null {
    return this.#controls.all.find((control) => control.kind === 'store') ?? null
  }

  /** What a person said of the last time. */
  get restored(): Restored | null {
    return this.#controls.restored
  }

  /** The answer to the latest question counts, not the highest revision: a database that lost its last commits stands at an earlier one. */
  async refresh(): Promise<void> {
    const asked = ++this.#asked
    const read = await this.#store.controls()
    if (asked < this.#answered) return
    this.#answered = asked
    this.#controls = read
  }

  /** What keeps an operation (and a group of it) from being sent at `now`; `null` when nothing does. */
  holding(registered: Registered, group: string | null, now: number): Control | null {
    for (const control of this.#controls.all) {
      if (control.untilAt !== null && control.untilAt <= now) continue
      if (control.kind === 'store') return control
      if (control.kind === 'operation' && control.name === registered.operation.name) return control
      if (control.kind === 'provider' && control.name === registered.provider) return control
      if (control.kind === 'group' && control.name === group) return control
    }
    return null
  }

  /** After commits were lost a call that looks new may be one that was forgotten: what to record before it is sent, or `null`. */
  presumedSent(call: Call, { policy }: Registered, now: number): Decision | null {
    const { restored } = this.#controls
    if (restored === null || call.attempts > 0 || call.createdAt > restored.lookFirstUntilAt) return null
    const decision = decide(call, { type: 'restored', ...restored }, policy, now, 0)
    return decision.call === call ? null : decision
  }

  pausedGroups(now: number): string[] {
    return this.#controls.all.filter((control) => control.kind === 'group' && (control.untilAt === null || control.untilAt > now)).map((control) => control.name)
  }

  /** When the next hold ends by itself. */
  nextEndAt(now: number): number | null {
    let next: number | null = null
    for (const { untilAt } of this.#controls.all) {
      if (untilAt !== null && untilAt > now && (next === null || untilAt < next)) next = untilAt
    }
    return next
  }
}
