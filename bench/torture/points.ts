/**
 * Named points at which this process ends itself, as STEWARD_FAILPOINTS says (`send.after:kill@9`), or stands still when
 * its parent has asked for it: the next time it passes there, and until it is told to go on.
 *
 * On PostgreSQL the store passes its points here, too; SQLite's thread reads STEWARD_FAILPOINTS by itself.
 */
import { appendFileSync } from 'node:fs'
import process from 'node:process'
import type { Failpoints } from 'steward'

/** Where a worker freezes with something in its hands: a decision not stored, a record not acted on, an answer not recorded. */
export const FREEZE_POINTS = ['answer.heard', 'begin.before-commit', 'begin.after-commit', 'finish.before-commit', 'finish.after-commit', 'claim.after-commit', 'send.before'] as const
export type FreezePoint = (typeof FREEZE_POINTS)[number]

export type ToWorker = { readonly freezeAt: FreezePoint }
/** `ready` is what the process's clock says. */
export type FromChild = { readonly ready: number } | { readonly frozenAt: FreezePoint }

/** An answer that a worker had heard when it froze: once it goes on, somebody must keep it. */
export type Heard = { readonly key: string; readonly attempt: number; readonly pid: number }

export class Points implements Failpoints {
  readonly #kill: { readonly name: string; readonly hit: number } | null
  readonly #heardPath: string
  #hits = 0
  #freezeAt: FreezePoint | null = null

  constructor(heardPath: string) {
    const [, name, hit] = /^([a-z.-]+):kill@(\d+)$/.exec(process.env['STEWARD_FAILPOINTS'] ?? '') ?? []
    this.#kill = name === undefined ? null : { name, hit: Number(hit) }
    this.#heardPath = heardPath
    process.on('message', (message: ToWorker) => { this.#freezeAt = message.freezeAt })
  }

  hit(name: string): void {
    if (this.#kill?.name === name && ++this.#hits === this.#kill.hit) process.kill(process.pid, 'SIGKILL')
    if (this.#freezeAt === name) this.#freeze(this.#freezeAt)
  }

  /** The provider's answer is known to this process, and to nobody else yet. */
  answered(key: string, attempt: number): void {
    if (this.#freezeAt !== 'answer.heard') return
    const heard: Heard = { key, attempt, pid: process.pid }
    appendFileSync(this.#heardPath, `${JSON.stringify(heard)}\n`)
    this.#freeze('answer.heard')
  }

  #freeze(point: FreezePoint): void {
    this.#freezeAt = null
    process.send?.({ frozenAt: point } satisfies FromChild)
    process.kill(process.pid, 'SIGSTOP')
  }
}
