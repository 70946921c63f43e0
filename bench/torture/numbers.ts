/**
 * The numbers of a torture run: short enough that 5,000 calls live through everything in a minute or two.
 *
 * What the provider promises and what the operation says must agree, or the run would blame the engine for the
 * provider's lies: an effect appears at most `lateMs` after its request arrived and is seen by a lookup at most
 * `lagMs` later, so `settleMs` is more than both together.
 */
export type Numbers = {
  /** Longest one attempt may take. */
  readonly timeoutMs: number
  /** An effect happens at most this long after its request arrived, also when nobody waits for it any more. */
  readonly lateMs: number
  /** A lookup sees an effect at most this long after it happened. */
  readonly lagMs: number
  readonly settleMs: number
  /** The provider forgets a key this long after it first saw it. */
  readonly retentionMs: number
  readonly leaseMs: number
  readonly backoffBaseMs: number
  readonly backoffCapMs: number
  readonly lookupEveryMs: number
  readonly slowestMs: number
  /** A kill comes about this often. */
  readonly killEveryMs: number
  /** After the kills, no more than this may pass without a call that ends. */
  readonly drainMs: number
}

const LONG: Numbers = {
  timeoutMs: 2_000, lateMs: 2_200, lagMs: 300, settleMs: 2_800, retentionMs: 12_000, leaseMs: 1_500,
  backoffBaseMs: 50, backoffCapMs: 1_000, lookupEveryMs: 200, slowestMs: 500, killEveryMs: 1_200, drainMs: 60_000,
}

/** For tests: a few seconds in all. */
const SHORT: Numbers = {
  timeoutMs: 600, lateMs: 750, lagMs: 100, settleMs: 1_000, retentionMs: 3_000, leaseMs: 800,
  backoffBaseMs: 25, backoffCapMs: 300, lookupEveryMs: 100, slowestMs: 250, killEveryMs: 700, drainMs: 30_000,
}

export const PACES = { long: LONG, short: SHORT } as const
export type Pace = keyof typeof PACES

export const ANSWERS = ['providerKey', 'reconcile', 'natural', 'none'] as const
export type Answer = (typeof ANSWERS)[number]
