/**
 * A system whose time stands still until it is moved: timers run in order of their instant, randomness and identities
 * come from a seed. Same seed, same run.
 */
import { createHash } from 'node:crypto'
import type { System } from '../ports/system.ts'

export interface ManualSystem extends System {
  /** Moves time forward and runs what falls due on the way, in order; each is followed by the events it caused. */
  advance(ms: number): Promise<void>
  /** Jumps to an instant as a clock that is set would: timers keep their distance. */
  setClock(at: number): void
  /** Runs what `soon` has queued, and lets promises settle, until nothing is left. */
  settle(): Promise<void>
  /** Timers that are set, the background ones included. */
  readonly pending: number
  /** Milliseconds until the next timer; `null` without one. */
  readonly nextInMs: number | null
}

export type ManualSystemOptions = {
  /** Default 1. */
  readonly seed?: number
  /** Where the clock starts. Default 2026-01-01T00:00:00Z. */
  readonly startAt?: number
}

type Timer = { readonly at: number; readonly order: number; readonly fn: () => void }

const START_AT = 1_767_225_600_000
const ALPHABET = '0123456789abcdefghijklmnopqrstuvwxyz'
/** Rounds of settling without an end are a loop of the code under test. */
const ROUNDS = 100_000

export function manualSystem({ seed = 1, startAt = START_AT }: ManualSystemOptions = {}): ManualSystem {
  const random = seeded(seed)
  const timers = new Set<Timer>()
  let queue: (() => void)[] = []
  let elapsedMs = 0
  let offset = startAt
  let orders = 0

  const next = (untilMs: number): Timer | null => {
    let first: Timer | null = null
    for (const timer of timers) if (timer.at <= untilMs && (first === null || timer.at < first.at || (timer.at === first.at && timer.order < first.order))) first = timer
    return first
  }

  const system: ManualSystem = {
    now: () => Math.floor(offset + elapsedMs),
    monotonicMs: () => elapsedMs,
    after(delayMs, fn) {
      orders += 1
      const timer: Timer = { at: elapsedMs + Math.max(0, delayMs), order: orders, fn }
      timers.add(timer)
      return () => void timers.delete(timer)
    },
    soon: (fn) => void queue.push(fn),
    random,
    identity: () => Array.from({ length: 16 }, () => ALPHABET[Math.floor(random() * 36)]).join(''),
    digest: (text) => createHash('sha256').update(text).digest('hex'),
    get pending() { return timers.size },
    get nextInMs() {
      const first = next(Number.POSITIVE_INFINITY)
      return first === null ? null : Math.max(0, first.at - elapsedMs)
    },
    setClock: (at) => { offset = at - elapsedMs },
    async settle() {
      for (let round = 0; ; round += 1) {
        if (round >= ROUNDS) throw new Error(`manualSystem: nothing came to rest in ${ROUNDS} rounds; something queues itself for ever`)
        for (let turn = 0; turn < 20; turn += 1) await Promise.resolve()
        if (queue.length === 0) return
        const batch = queue
        queue = []
        for (const fn of batch) fn()
      }
    },
    async advance(ms) {
      const untilMs = elapsedMs + ms
      await system.settle()
      for (let timer = next(untilMs); timer !== null; timer = next(untilMs)) {
        timers.delete(timer)
        elapsedMs = Math.max(elapsedMs, timer.at)
        timer.fn()
        await system.settle()
      }
      elapsedMs = untilMs
    },
  }
  return system
}

/** Mulberry32: 32 bits of state, uniform in [0, 1). */
function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
