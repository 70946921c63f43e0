/**
 * Pauses and holds, as this process last read them.
 *
 * The store's row is the authority: a begin is committed only under the controls revision it was decided on, so a
 * stale copy here delays a send, and never lets one through.
 */
import type { Control, Controls, Store } from '../ports/store.ts'
import type { Registered } from './operation.ts'

export class ControlsCopy {
  readonly #store: Store
  #controls: Controls = { rev: 0, all: [] }

  constructor(store: Store) {
    this.#store = store
  }

  get rev(): number {
    return this.#controls.rev
  }

  get all(): readonly Control[] {
    return this.#controls.all
  }

  async refresh(): Promise<void> {
    const read = await this.#store.controls()
    if (read.rev >= this.#controls.rev) this.#controls = read
  }

  /** What keeps an operation (and a group of it) from being sent at `now`; `null` when nothing does. */
  holding(registered: Registered, group: string | null, now: number): Control | null {
    for (const control of this.#controls.all) {
      if (control.untilAt !== null && control.untilAt <= now) continue
      if (control.kind === 'operation' && control.name === registered.operation.name) return control
      if (control.kind === 'provider' && control.name === registered.provider) return control
      if (control.kind === 'group' && control.name === group) return control
    }
    return null
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
