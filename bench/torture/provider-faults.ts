/** What the provider does wrong, and when: drawn per business key and arrival, so that the seed decides, not the race. */
import { latencyMs, seededBy, weighted } from '../seeded.ts'
import type { Answer, Numbers } from './numbers.ts'

/** What becomes of one request. */
const FAULTS = {
  'none': 66,
  /** The connection is reset, nothing happened. */
  'reset-before': 5,
  /** It happened; the connection is reset instead of an answer. */
  'reset-after': 9,
  /** It happened; the answer comes after the caller has given up. */
  'stall-after': 3,
  /** It happens about when the caller gives up, or later. */
  'late': 3,
  /** It happened; the answer breaks off in its body. */
  'cut-body': 2,
  '500-before': 3,
  '500-after': 3,
  '503': 3,
  '429': 3,
} as const
export type Fault = keyof typeof FAULTS

/** After this many arrivals the provider behaves: every call can end. */
const FAULTY_ARRIVALS = 8

export type Plan = {
  readonly fault: Fault
  /** When the effect happens, after the arrival. */
  readonly effectMs: number
  /** When the answer is given, after the arrival. */
  readonly answerMs: number
}

/** What becomes of the `nth` arrival (from 1) of a key. */
export function planOf(seed: number, numbers: Numbers, key: string, nth: number): Plan {
  const random = seededBy(seed, key, nth)
  const fault = nth > FAULTY_ARRIVALS ? 'none' : weighted(random, FAULTS)
  const quickMs = latencyMs(random, 30, 5, numbers.slowestMs)
  if (fault === 'stall-after') return { fault, effectMs: quickMs, answerMs: numbers.timeoutMs + 100 + quickMs }
  if (fault === 'late') {
    const effectMs = Math.round(numbers.timeoutMs - 200 + random() * (numbers.lateMs - numbers.timeoutMs + 150))
    return { fault, effectMs, answerMs: effectMs + 20 }
  }
  return { fault, effectMs: Math.round(quickMs * random()), answerMs: quickMs }
}

/** A key whose requests are all lost until the provider has forgotten it. */
export type Curse = 'happened-unheard' | 'never-arrives' | null

export function curseOf(seed: number, answer: Answer, key: string): Curse {
  if (answer !== 'providerKey') return null
  const draw = seededBy(seed, key, 'curse')()
  return draw < 0.006 ? 'happened-unheard' : draw < 0.012 ? 'never-arrives' : null
}

/** Refused for good, whatever is done. `natural` has no way to find out what an earlier lost attempt did, so nothing is refused there. */
export function isDeclined(seed: number, answer: Answer, key: string): boolean {
  return answer !== 'natural' && curseOf(seed, answer, key) === null && seededBy(seed, key, 'declined')() < 0.01
}

export type Window = { readonly kind: 'refused' | 'unauthorized' | 'overloaded'; readonly fromMs: number; readonly untilMs: number }

/** Outages, expired credentials and overload, over the length of the run. */
export function windowsOf(seed: number, lengthMs: number): readonly Window[] {
  const random = seededBy(seed, 'windows')
  const windows: Window[] = []
  const everyMs = 6_000
  for (let atMs = 800; atMs < lengthMs; atMs += everyMs * (0.5 + random())) {
    const kind = weighted(random, { refused: 4, overloaded: 3, unauthorized: 2 })
    const lastsMs = kind === 'overloaded' ? 150 : kind === 'unauthorized' ? 300 : 300 + random() * 500
    windows.push({ kind, fromMs: Math.round(atMs), untilMs: Math.round(atMs + lastsMs) })
  }
  return windows
}
