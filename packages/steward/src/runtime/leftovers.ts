/**
 * Calls that the store has leased to this process and that nobody here knows of.
 *
 * They come about when the answer to a claim or to an insert gets lost: the row is leased to a worker that lives, so
 * nobody else takes it, and this process does not know that it should. After such a loss (and only then) the store is
 * asked for a while what is leased to us. What was claimed goes back; what was inserted as begun, and whose insert was
 * never answered here, was certainly not sent and is closed as that. A crash leaves nothing to do: others find it.
 */
import type { Call } from '../core/call.ts'
import type { Lease } from '../ports/store.ts'
import type { Registered } from './operation.ts'
import type { Parts } from './parts.ts'

export type LeftoversOptions = Pick<Parts, 'store' | 'system' | 'log' | 'keeper'> & {
  /** A claim is under way: what it brings is not known yet. */
  claiming(): boolean
  /** In line, sent or looked up by this process. */
  holds(id: string): boolean
  giveBack(lease: Lease, calls: readonly Call[]): Promise<void>
  takeOver(call: Call, registered: Registered, lease: Lease, n: number): void
  /** Calls may be due that were not before. */
  onFreed(): void
}

/** `deadlines` of the attempts that its tries had begun: a number alone does not tell a begin that was stored from one that was counted again. */
type Inserted = { readonly registered: Registered; readonly lease: Lease; readonly deadlines: Set<number> }

/** Between two looks. A row unknown in two of them, unchanged, is left over: no step of a live call takes this long. */
const LOOK_MS = 2_000
/** After a look during a claim: that claim is answered by then, or the next look says so again. */
const LOOK_AGAIN_MS = 130
/** Looks after the last loss: a commit whose outcome is unknown may still arrive. */
const LOOKS = 5
/** Rows of one look; more than a process claims ahead and works at once. */
const PAGE = 5_000

export class Leftovers {
  readonly #o: LeftoversOptions
  readonly #inserted = new Map<string, Inserted>()
  /** Revisions of the unknown rows of the last look. */
  #seen = new Map<string, number>()
  #looks = 0
  #afterMs = LOOK_MS
  #stopTimer: (() => void) | null = null
  #stopped = false

  constructor(options: LeftoversOptions) {
    this.#o = options
  }

  /** The answer to a claim got lost. */
  suspect(): void {
    this.#looks = LOOKS
    this.#plan()
  }

  /** The answer to an insert under our lease got lost, and nobody will send it. Several tries of one insert may be uncertain. */
  insertUncertain(id: string, registered: Registered, lease: Lease, deadlineAt: number | null): void {
    const known = this.#inserted.get(id)
    const inserted = known?.lease === lease ? known : { registered, lease, deadlines: new Set<number>() }
    if (deadlineAt !== null) inserted.deadlines.add(deadlineAt)
    this.#inserted.set(id, inserted)
    this.suspect()
  }

  stop(): void {
    this.#stopped = true
    this.#stopTimer?.()
  }

  #plan(): void {
    if (this.#stopped || this.#stopTimer !== null || this.#looks <= 0) return
    this.#stopTimer = this.#o.system.after(this.#afterMs, () => {
      this.#look().catch(() => undefined).finally(() => {
        this.#stopTimer = null
        if (this.#looks <= 0) this.#forget()
        this.#plan()
      })
    }, true)
  }

  #forget(): void {
    this.#inserted.clear()
    this.#seen.clear()
  }

  async #look(): Promise<void> {
    const { store, keeper, log } = this.#o
    const lease = keeper.current
    // Whoever finds the old identity gone frees what it had.
    if (lease === null) return void (this.#looks = 0)
    const rows = await store.leasedTo(lease, PAGE)
    if (this.#stopped || keeper.current !== lease) return
    const unknown = rows.filter((call) => !this.#o.holds(call.id))
    for (const call of unknown) if (call.state === 'running') this.#unsent(call, lease)
    // What a claim under way brings is not known yet. Claims and looks may keep the same time: the next look must not.
    this.#afterMs = this.#o.claiming() ? LOOK_AGAIN_MS : LOOK_MS
    if (this.#o.claiming()) return
    this.#looks--
    const seen = new Map<string, number>()
    const back: Call[] = []
    for (const call of unknown) {
      if (call.state === 'running') continue
      if (this.#seen.get(call.id) === call.rev) back.push(call)
      else seen.set(call.id, call.rev)
    }
    this.#seen = seen
    if (back.length === 0) return
    log.warn('calls were leased to this worker without its knowledge; they go back', { calls: back.length })
    await this.#o.giveBack(lease, back)
    this.#o.onFreed()
  }

  /** Only what an insert of this process began and nobody here was told of: any other may have been sent. */
  #unsent(call: Call, lease: Lease): void {
    const inserted = this.#inserted.get(call.id)
    const began = call.open.find((attempt) => attempt.worker === lease.worker && attempt.closedAt === null)
    if (!inserted || inserted.lease !== lease || !began || !inserted.deadlines.has(began.deadlineAt)) return
    this.#inserted.delete(call.id)
    this.#o.takeOver(call, inserted.registered, lease, began.n)
  }
}
