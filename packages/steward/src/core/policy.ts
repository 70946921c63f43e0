/**
 * What an operation's definition says, in numbers the core can reckon with, and the two reckonings that decide
 * when something is sent again: backoff, and the window of the provider's memory.
 */

/** The four answers to "is it safe to send twice?". */
export type AnswerKind = 'providerKey' | 'reconcile' | 'natural' | 'none'

export type Policy = {
  readonly answer: AnswerKind
  /** How long the provider surely remembers a key. 0 unless `providerKey`. */
  readonly retentionMs: number
  /** Taken off retention: clock differences, and the provider's own pruning. */
  readonly marginMs: number
  readonly hasLookup: boolean
  /** A lookup's `absent` counts only when asked later than this after the last deadline. */
  readonly settleMs: number
  /** Valid absences in a row that prove absence; 2 or more where the provider is eventually consistent. */
  readonly absences: number
  /** Between two questions, before backoff. */
  readonly lookupEveryMs: number
  /** How long questions are put before a person is asked. */
  readonly lookupForMs: number
  /** Longest an attempt may take; no byte leaves later. */
  readonly timeoutMs: number
  /** From creation (or runAt, or a redrive) until the call is given up, when it certainly did not happen. */
  readonly giveUpAfterMs: number
  /** Attempts since the submit or the last redrive, the first included; `null` for no limit but time. */
  readonly maxAttempts: number | null
  readonly backoffBaseMs: number
  readonly backoffCapMs: number
  /** An accepted call is asked about by its lookup, this often; `null` waits for facts alone. */
  readonly pollEveryMs: number | null
  /** An accepted call without a result after this long raises an alert. */
  readonly acceptedOverdueMs: number
}

/**
 * Full jitter: uniform in [0, min(cap, base × 2^(tries − 1))), in whole milliseconds, at least 1.
 *
 * @param entropy uniform in [0, 1).
 */
export function backoffMs(policy: Pick<Policy, 'backoffBaseMs' | 'backoffCapMs'>, tries: number, entropy: number): number {
  const ceiling = Math.min(policy.backoffCapMs, policy.backoffBaseMs * 2 ** Math.min(Math.max(tries - 1, 0), 40))
  return Math.max(1, Math.floor(ceiling * entropy))
}

/** The last instant at which an attempt may begin under a key first begun at `firstBegunAt`: its whole timeout must end inside the provider's memory. */
export function lastBeginAt(policy: Pick<Policy, 'retentionMs' | 'marginMs' | 'timeoutMs'>, firstBegunAt: number): number {
  return firstBegunAt + policy.retentionMs - policy.marginMs - policy.timeoutMs
}

/** Whether the key is still surely remembered for a whole attempt begun `at`. */
export function windowOpen(policy: Policy, firstBegunAt: number | null, at: number): boolean {
  return policy.answer !== 'providerKey' || firstBegunAt === null || at <= lastBeginAt(policy, firstBegunAt)
}
