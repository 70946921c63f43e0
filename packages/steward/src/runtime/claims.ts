/**
 * Calls this process has claimed and not begun, and when to claim more.
 *
 * Claimed calls are certainly unsent: they are given back at a pause, at close, and by anybody who finds this
 * process dead. Wake-ups are hints; each look at the store judges durable state alone, and the pulse (rounds.ts) tells
 * of due calls whose hint was lost.
 */
import type { Call } from '../core/call.ts'
import { decide } from '../core/decide.ts'
import { LIMITS } from '../core/limits.ts'
import type { Lane, Lease } from '../ports/store.ts'
import { isSealed, sealedReason, unreadable } from './encryption.ts'
import type { HoldRules } from './hold-rules.ts'
import type { Parts } from './parts.ts'
import { claimsSlow } from './unworked.ts'

export type ClaimsOptions = Parts & {
  readonly holds: HoldRules
  /** Sends at once in this process. */
  concurrency(): number
  /** There may be something in line, or room for it. */
  onLine(): void
  /** Calls may be leased to us that nobody here knows of. */
  onUncertain(): void
}

/** What was due and was not claimed must wait for something else (a paused group): it is looked for again this much later. */
const LOOK_AGAIN_MS = 1_000
/** Between two claims that found nothing. */
const CALM_MS = 2
/** After an error of the store. */
const STORE_RETRY_MS = 250
/** What this process has no key for is left to others for so long. */
const UNREADABLE_MS = 30_000
/** A busy worker asks this often when the next call is due. */
const BUSY_DUE_MS = 100
/** A claim takes milliseconds; each of them as slow as this, for so long, is worth an alert. */
const SLOW_MS = 1_000
const SLOW_FOR_MS = 60_000

export class Claims {
  readonly #o: ClaimsOptions
  readonly #line: Call[] = []
  #stopped = false
  #claiming = false
  #claimAgain = false
  /** The last claim found less than it asked for: nothing due is left in the store. */
  #caughtUp = false
  #lastClaimMs = 0
  /** The same by the store's clock. */
  #lastClaimAt = 0
  #slowSinceMs: number | null = null
  /** Refusals of the store in a row, and how long it is left alone after one. */
  #refusals = 0
  #restUntilMs = 0
  #lastDueMs = 0
  #wakeAt: number | null = null
  #stopWake: (() => void) | null = null

  constructor(options: ClaimsOptions) {
    this.#o = options
  }

  get length(): number {
    return this.#line.length
  }

  get caughtUp(): boolean {
    return this.#caughtUp
  }

  next(): Call | undefined {
    return this.#line.shift()
  }

  /** A claim is on its way to the store. */
  get claiming(): boolean {
    return this.#claiming
  }

  inLine(id: string): boolean {
    return this.#line.some((call) => call.id === id)
  }

  /** A call that was inserted as claimed by us. */
  add(call: Call): void {
    this.#line.push(call)
  }

  /** The lease is gone: nothing in line is ours any more. */
  drop(): void {
    this.#line.length = 0
  }

  /** Something may be due. */
  hint(): void {
    if (this.#stopped) return
    this.#caughtUp = false
    if (this.#line.length === 0) this.#claimSoon()
  }

  /** @param nextDueAt what the store says is due next in `lanes`; `null`: nothing, or it was not asked. */
  due(nextDueAt: number | null): void {
    if (nextDueAt !== null) this.wake(nextDueAt > this.#o.store.now() ? nextDueAt : this.#lastClaimAt + LOOK_AGAIN_MS)
  }

  /** Lanes of which the next due time is worth asking for: none while there is more to claim anyway. */
  lanes(): readonly Lane[] {
    return this.#stopped || !this.#caughtUp ? [] : this.#lanes(this.#o.store.now())
  }

  /** Claims more when the line gets short. */
  refill(): void {
    if (!this.#stopped && this.#line.length < this.#o.concurrency() && !this.#caughtUp) this.#claimAfter(this.#restUntilMs)
  }

  /** Gives back what a pause or hold keeps from being sent. */
  giveBackHeld(): void {
    const now = this.#o.store.now()
    const lease = this.#o.keeper.current
    const held = new Set(this.#line.filter((call) => this.#heldNow(call, now)))
    if (held.size === 0) return
    const kept = this.#line.filter((call) => !held.has(call))
    this.#line.splice(0, this.#line.length, ...kept)
    if (lease) void this.giveBack(lease, [...held])
  }

  #heldNow(call: Call, now: number): boolean {
    const registered = this.#o.registry.get(call.operation)
    return registered === null || this.#o.controls.holding(registered, call.group, now) !== null
  }

  async giveBack(lease: Lease, calls: readonly Call[]): Promise<void> {
    if (calls.length === 0) return
    try {
      await this.#o.store.giveBack(lease, calls.map((call) => call.id))
    } catch {
      // They are certainly unsent and leased to us: once the store answers again, they go back with this timer.
      if (!this.#stopped) this.#o.system.after(STORE_RETRY_MS, () => void this.giveBack(lease, calls), true)
    }
  }

  #claimSoon(): void {
    this.#claimAfter(Math.max(this.#restUntilMs, this.#lastClaimMs + CALM_MS))
  }

  #claimAfter(atMs: number): void {
    const waitMs = atMs - this.#o.system.monotonicMs()
    if (waitMs <= 0) return void this.#claim()
    this.wake(this.#o.store.now() + Math.ceil(waitMs))
  }

  async #claim(): Promise<void> {
    if (this.#claiming) {
      this.#claimAgain = true
      return
    }
    this.#claiming = true
    let operation = '*'
    try {
      const lease = await this.#o.keeper.ensure()
      const now = this.#o.store.now()
      const lanes = this.#lanes(now)
      operation = lanes[0]?.operation ?? operation
      const limit = Math.min(LIMITS.prefetch, 4 * this.#o.concurrency()) - this.#line.length
      if (limit <= 0) return
      this.#claimAgain = false
      this.#lastClaimMs = this.#o.system.monotonicMs()
      this.#lastClaimAt = now
      const calls = lanes.length === 0 ? [] : await this.#o.store.claim({ lease, lanes, limit, now, pausedGroups: this.#o.controls.pausedGroups(now) })
      this.#refusals = 0
      this.#watchPace(operation)
      if (this.#stopped || this.#o.keeper.current !== lease) {
        // Claimed under an identity that is gone: others free them, and the next claim is ours again.
        void this.giveBack(lease, calls)
        this.#claimAgain = !this.#stopped
      } else {
        this.#caughtUp = calls.length < limit && !this.#claimAgain
        this.#line.push(...this.#readable(calls, lease, now))
        if (calls.length < limit) await this.#planWake(now)
      }
    } catch (error) {
      this.#o.onUncertain()
      if (this.#refusals++ % 20 === 0) this.#o.log.warn('calls could not be claimed; trying again', { error: String(error), times: this.#refusals })
      this.#watchPace(operation, String(error))
      this.#restUntilMs = this.#o.system.monotonicMs() + STORE_RETRY_MS
      this.wake(this.#o.store.now() + STORE_RETRY_MS)
    } finally {
      this.#claiming = false
    }
    if (this.#claimAgain && this.#line.length === 0) this.#claimSoon()
    this.#o.onLine()
  }

  /** Of the claim that was just answered, or given up with `error`: when they have been slow for long, somebody is told. */
  #watchPace(operation: string, error: string | null = null): void {
    const nowMs = this.#o.system.monotonicMs()
    const tookMs = nowMs - this.#lastClaimMs
    if (tookMs < SLOW_MS && error === null) {
      this.#slowSinceMs = null
      return
    }
    // One alone says nothing: this process may have stood still.
    if (this.#slowSinceMs === null) return void (this.#slowSinceMs = error === null ? this.#lastClaimMs : nowMs)
    if (nowMs - this.#slowSinceMs < SLOW_FOR_MS) return
    const at = this.#o.store.now()
    this.#o.store.raise([claimsSlow(this.#o.store.name, { operation, at, tookMs, sinceMs: Math.round(nowMs - this.#slowSinceMs), error })]).catch((refusal: unknown) => this.#o.log.warn('claims are slow, and the alert of it could not be stored yet', { tookMs, error: String(refusal) }))
    this.#slowSinceMs = nowMs
  }

  /** What is sealed with a key that this process was not given is never sent from here: it waits for one that was, and somebody is told. */
  #readable(calls: readonly Call[], lease: Lease, now: number): readonly Call[] {
    const sealed = calls.filter(isSealed)
    if (sealed.length === 0) return calls
    for (const call of sealed) {
      const registered = this.#o.registry.get(call.operation)
      if (!registered) { void this.giveBack(lease, [call]); continue }
      const held = decide(call, { type: 'held', untilAt: now + UNREADABLE_MS, why: sealedReason(call) }, registered.policy, now, 0)
      this.#o.recorder.record(call, { ...held, alerts: [...held.alerts, unreadable(call, now)] }, registered, { lease, leaseAfter: 'release' }, (result) => {
        if (!result.ok) void this.giveBack(lease, [call])
      })
    }
    return calls.filter((call) => !isSealed(call))
  }

  /** Sleeps until the next call is due, or a hold ends. */
  async #planWake(now: number): Promise<void> {
    const lanes = this.#lanes(now)
    const nowMs = this.#o.system.monotonicMs()
    const asks = lanes.length > 0 && (this.#line.length === 0 || nowMs - this.#lastDueMs > BUSY_DUE_MS)
    if (asks) this.#lastDueMs = nowMs
    const dueAt = asks ? await this.#o.store.nextDueAt(lanes) : null
    const endAt = this.#o.controls.nextEndAt(now)
    if (dueAt !== null) this.wake(dueAt <= now ? now + LOOK_AGAIN_MS : dueAt)
    if (endAt !== null) this.wake(endAt)
  }

  /** Operations that may be worked on now. */
  #lanes(now: number): Lane[] {
    return [...this.#o.registry.all()].filter((known) => this.#o.controls.holding(known, null, now) === null && this.#o.holds.mayClaim(known)).map((known) => known.lane)
  }

  /** Looks again at that instant, or earlier. */
  wake(at: number): void {
    if (this.#stopped || (this.#wakeAt !== null && this.#wakeAt <= at)) return
    this.#stopWake?.()
    this.#wakeAt = at
    this.#stopWake = this.#o.system.after(Math.max(0, at - this.#o.store.now()), () => {
      this.#wakeAt = null
      this.#stopWake = null
      this.#caughtUp = false
      this.#o.onLine()
    }, true)
  }

  /** No more claims; what is in line goes back. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#stopWake?.()
    const lease = this.#o.keeper.current
    const back = this.#line.splice(0)
    if (lease && back.length > 0) await this.#o.store.giveBack(lease, back.map((call) => call.id)).catch(() => undefined)
  }
}
