/**
 * What nobody else does: finds dead workers, lapses their attempts, ends calls whose time is up, tells what no
 * worker understands. Level-triggered: each round looks at durable state alone, and any number of processes may do
 * the same round at once, since every write is compare-and-set.
 */
import type { Alert } from '../core/alert.ts'
import type { Call } from '../core/call.ts'
import { durationText } from '../core/duration.ts'
import { GIVEN_UP_FOR_MS, looksGivenUp } from '../core/given-up.ts'
import { StewardError } from '../core/errors.ts'
import { digestSalt, fieldDigests } from '../core/input.ts'
import type { Json } from '../core/json.ts'
import type { LateLane, Store, WorkerRow } from '../ports/store.ts'
import type { Log, System } from '../ports/system.ts'
import { change } from './change.ts'
import type { ControlsCopy } from './controls.ts'
import type { LeaseKeeper } from './lease.ts'
import type { Recorder } from './recorder.ts'
import type { Registry } from './registry.ts'
import type { Rounds } from './rounds.ts'
import { invariantBroken, noWorker, notUnderstood } from './unworked.ts'

export type RecoveryOptions = {
  readonly store: Store
  readonly system: System
  readonly log: Log
  readonly registry: Registry
  readonly controls: ControlsCopy
  readonly keeper: LeaseKeeper
  readonly recorder: Recorder
  readonly rounds: Rounds
  /** Ended calls are pruned this long after their end; `null` for never. */
  readonly keepEndedForMs: number | null
  onRecovered(): void
  onAlerts(): void
}

/** Ends by time are looked for this often, at most. */
const OVERDUE_MS = 1_000
/** Work that nobody understands, or that nobody works, is looked for this often. */
const WATCH_MS = 10_000
/** A call is due this long before its lack of a worker is worth an alert. */
const UNWORKED_MS = 30_000
/** Ended calls are pruned this often, a page at a time. */
const PRUNE_MS = 5_000
const PAGE = 200
/** What could not be lapsed is let lie for so long, and no more calls than this: each look reads them again. */
const LEFT_MS = 60_000
const LEFT_MOST = 2_000

export class Recovery {
  readonly #o: RecoveryOptions
  readonly #stops = new Map<string, () => void>()
  /** Calls of dead workers that could not be lapsed, and when that is tried again: they must not hide what lies behind them. */
  readonly #left = new Map<string, number>()
  /** Since when each look for work that stands still has been given up. */
  #blindSinceMs: number | null = null
  #works = false
  #stopped = false

  constructor(options: RecoveryOptions) {
    this.#o = options
  }

  /** Starts the rounds of a worker. */
  startWorker(): void {
    this.#works = true
    this.#o.rounds.on('dead', () => this.#buryDead())
    this.#o.rounds.on('overdue', () => this.#endOverdue(), OVERDUE_MS)
    if (this.#o.keepEndedForMs !== null) this.#every('prune', PRUNE_MS, () => this.#prune(), true)
  }

  /** Starts the rounds of every process. */
  startWatching(): void {
    this.#every('watch', WATCH_MS, () => this.#watchWork(), false)
  }

  stop(): void {
    this.#stopped = true
    for (const stop of this.#stops.values()) stop()
  }

  #every(name: string, everyMs: number, round: () => Promise<void>, atOnce: boolean): void {
    if (this.#stops.has(name)) return
    let complained = false
    const turn = (): void => {
      round().then(
        () => { complained = false },
        (error: unknown) => {
          if (!complained && !this.#stopped) this.#o.log.warn(`the round "${name}" could not look at the store; trying again`, { error: String(error) })
          complained = true
        },
      ).finally(() => {
        if (!this.#stopped) this.#stops.set(name, this.#o.system.after(everyMs, turn, true))
      })
    }
    if (atOnce) {
      this.#stops.set(name, () => undefined)
      turn()
    } else this.#stops.set(name, this.#o.system.after(everyMs, turn, true))
  }

  /** Fences workers that are dead or past their lease, and lapses the attempts they had begun. */
  async #buryDead(): Promise<void> {
    const { store, keeper, log } = this.#o
    const dead = await store.fenceDead(store.now(), keeper.current?.worker ?? null)
    for (const worker of dead) log.warn('a worker is gone; its claimed calls go back, its begun attempts are unknown', { worker: worker.worker, pid: worker.pid, host: worker.host })
    let lapsed = 0
    const now = store.now()
    for (const [id, againAt] of this.#left) if (againAt <= now) this.#left.delete(id)
    for (;;) {
      const orphans = await store.orphans(PAGE + this.#left.size, this.#o.registry.names())
      const fresh = orphans.filter((call) => !this.#left.has(call.id))
      await Promise.all(fresh.map(async (call) => {
        if (await this.#lapse(call, dead.find((worker) => worker.worker === lastWorker(call))?.worker)) lapsed++
        else this.#left.set(call.id, now + LEFT_MS)
      }))
      if (fresh.length < PAGE || this.#left.size >= LEFT_MOST) break
    }
    if (dead.length > 0 || lapsed > 0) this.#o.onRecovered()
  }

  /** @returns whether it is lapsed now. */
  async #lapse(call: Call, worker: string | undefined): Promise<boolean> {
    const running = call.open.find((attempt) => attempt.closedAt === null)
    if (call.state !== 'running' || !running) return false
    const registered = this.#o.registry.require(call.operation)
    const why = worker === undefined ? 'its worker was gone' : `worker ${worker} died or froze while it ran`
    const decision = await this.#alone(call, change({ ...this.#o, registered }, call, { type: 'lapsed', why }, { onlyWhileRunning: running.n }))
    return decision !== null && decision.refused === null
  }

  /** One call that breaks must not keep a round from the others: it is told of, and `null` is what became of it. */
  async #alone<Value>(call: Call, work: Promise<Value>): Promise<Value | null> {
    try {
      return await work
    } catch (error) {
      if (error instanceof StewardError) throw error
      this.#o.log.error('a round stopped working on a call; it stays as stored', { operation: call.operation, key: call.key, error: String(error) })
      await this.#o.store.raise([invariantBroken(call, error, this.#o.store.now())])
      return null
    }
  }

  async #endOverdue(): Promise<void> {
    const { store, registry, controls } = this.#o
    // "It certainly did not happen" is not said of a database that may have forgotten a send.
    if (controls.setBack !== null) return
    for (const call of await store.overdue(store.now(), PAGE, registry.names())) {
      const registered = registry.get(call.operation)
      if (registered) await this.#alone(call, change({ ...this.#o, registered }, call, { type: 'time' }, { onlyWhileOpen: true, controlsRev: controls.rev }))
    }
  }

  async #prune(): Promise<void> {
    const { store, system } = this.#o
    const before = store.now() - (this.#o.keepEndedForMs as number)
    const digestsOf = (call: Call): Readonly<Record<string, string>> => fieldDigests(JSON.parse(call.given) as Json, digestSalt(call), (text) => system.digest(text))
    while (!this.#stopped && (await store.prune(before, PAGE, digestsOf)) === PAGE);
  }

  /** What stands still, as far as it can be seen; where looks are given up for long, that is told, too. */
  async #watchWork(): Promise<void> {
    const { store, system } = this.#o
    const now = store.now()
    const [late, orphans] = await Promise.allSettled([store.lateLanes(now - UNWORKED_MS), this.#orphansFrom(now - UNWORKED_MS)])
    await this.#tellUnworked(now, late.status === 'fulfilled' ? late.value : [], orphans.status === 'fulfilled' ? orphans.value : [])
    const failed = [late, orphans].find((look) => look.status === 'rejected')
    if (failed === undefined) return void (this.#blindSinceMs = null)
    this.#blindSinceMs ??= system.monotonicMs()
    const sinceMs = system.monotonicMs() - this.#blindSinceMs
    if (sinceMs >= GIVEN_UP_FOR_MS) {
      await store.raise([looksGivenUp(store.name, 'unworked', { at: now, sinceMs, error: failed.reason })])
      this.#o.onAlerts()
    }
    throw failed.reason
  }

  /** Attempts of lost workers that were over by then. Any worker that knows the operation would have lapsed them at once. */
  async #orphansFrom(overBy: number): Promise<readonly Call[]> {
    const { store, keeper } = this.#o
    // Workers bury the dead; where none is left, it is for others to find them gone.
    if (!this.#works) await store.fenceDead(overBy, keeper.current?.worker ?? null)
    return (await store.orphans(PAGE)).filter((call) => (call.open.at(-1)?.deadlineAt ?? 0) <= overBy)
  }

  /** Calls that are due and that no live worker understands, or for which no worker lives at all. */
  async #tellUnworked(now: number, late: readonly LateLane[], orphans: readonly Call[]): Promise<void> {
    const { store } = this.#o
    if (late.length === 0 && orphans.length === 0) return
    const alive = (await store.workers()).filter((worker) => !worker.fenced && worker.leaseUntilAt > now)
    const workers = alive.filter((worker) => worker.lanes.length > 0)
    const alerts: Alert[] = []
    for (const { operation, version } of lanesOf(orphans)) {
      const left = `Attempts of ${operation} were begun by workers that are gone, and no running worker`
      if (workers.length === 0) alerts.push(noWorker({ operation, at: now, message: `${left} is there to take them over. They may have happened; nothing is sent.` }))
      else if (!understands(workers, operation, version)) alerts.push(notUnderstood({ operation, at: now, message: `${left} knows the operation. They may have happened; nothing is sent.` }, version))
    }
    for (const lane of late) {
      const age = durationText(now - lane.oldestDueAt)
      if (workers.length === 0) {
        alerts.push(noWorker({ operation: lane.operation, at: now, message: `Nobody works the calls of ${lane.operation}: the oldest has been due for ${age}. They wait unharmed.` }))
      } else if (!understands(workers, lane.operation, lane.version)) {
        alerts.push(notUnderstood({ operation: lane.operation, at: now, message: `No running worker understands ${lane.operation} version ${lane.version}: the oldest call has been due for ${age}. They wait unharmed.` }, lane.version))
      }
    }
    if (alerts.length === 0) return
    await store.raise(alerts)
    this.#o.onAlerts()
  }
}

function lastWorker(call: Call): string | undefined {
  return call.open.at(-1)?.worker
}

function understands(workers: readonly WorkerRow[], operation: string, version: number): boolean {
  return workers.some((worker) => worker.lanes.some((known) => known.operation === operation && known.versions.includes(version)))
}

function lanesOf(calls: readonly Call[]): readonly { readonly operation: string; readonly version: number }[] {
  const lanes = new Map(calls.map((call) => [`${call.version} ${call.operation}`, { operation: call.operation, version: call.version }]))
  return [...lanes.values()]
}
