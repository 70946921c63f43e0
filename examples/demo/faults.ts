/** What goes wrong between a worker and Stripe: drawn per order and request, the same for every strategy. */
import { seededBy } from './seeded.ts'

/** `charged, then 502`: a gateway lost the answer. `stalled`: charged, and answered when nobody waits any more. */
export type Fault = 'none' | 'response lost' | 'charged, then 502' | 'reset before' | 'stalled' | 'answered 500' | 'answered 503' | 'answered 429'

const SHARES: readonly (readonly [Fault, number])[] = [
  ['response lost', 0.08], ['charged, then 502', 0.05], ['reset before', 0.05], ['stalled', 0.04], ['answered 500', 0.03], ['answered 503', 0.03], ['answered 429', 0.03],
]

/** @param nth counts the requests for this order, from 1. */
export function faultOf(seed: number, order: string, nth: number): { readonly fault: Fault; readonly latencyMs: number } {
  const random = seededBy(seed, order, nth)
  const latencyMs = 15 + Math.floor(random() * 120)
  let draw = random()
  for (const [fault, share] of SHARES) {
    draw -= share
    if (draw < 0) return { fault, latencyMs }
  }
  return { fault: 'none', latencyMs }
}

/** Stripe cannot be reached at all: from, until, after the start. */
export const OUTAGES: readonly (readonly [fromMs: number, untilMs: number])[] = [[5_500, 8_000], [11_000, 12_500]]

/** When the worker of each strategy is killed. */
export const KILLS_MS: readonly number[] = [2_000, 4_200, 7_000, 9_300, 11_700, 14_000]
