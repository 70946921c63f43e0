/**
 * A database that came back as it was at an earlier time: a restored backup, a standby that was promoted without the last
 * commits. What it says of a call was true once. What it cannot say is whether the call has been sent since.
 *
 * Each call that a worker could have taken in that time is presumed to have been sent, once, by an attempt of which
 * nothing is known: the idempotency answer then decides as after any other lost answer. Calls that were forgotten
 * altogether come back when their callers submit them again, and cannot be told from new ones; where the provider can be
 * asked, calls that are submitted afterwards are presumed sent, too, for a while.
 */
import { type Call, isEnd, type OpenAttempt } from './call.ts'
import { conclude } from './conclude.ts'
import type { Policy } from './policy.ts'
import type { Happening } from './story.ts'

/** What a person said of it, and what the store keeps of that. */
export type Restored = {
  /** The instant from which on commits may be lost. */
  readonly lostSinceAt: number
  /** From this instant on nothing was sent until the person had spoken. */
  readonly noticedAt: number
  /** Calls submitted until then are looked up before they are first sent, where the provider can be asked. */
  readonly lookFirstUntilAt: number
  readonly by: string
  readonly why: string
}

/** Stands where an attempt names its worker: whoever it was, the database has forgotten. */
export const FORGOTTEN = 'forgotten'

/** Whether an attempt of this call may have been made and forgotten, and is not presumed yet. One at an earlier instant is another. */
export function mayBeForgotten(call: Call, restored: Restored, policy: Policy): boolean {
  // An ended call is not sent by itself, and from accepted nothing is resent.
  if (isEnd(call.state) || call.state === 'accepted') return false
  if (isPresumed(call, restored)) return false
  if (call.createdAt > restored.noticedAt) return call.attempts === 0 && call.createdAt <= restored.lookFirstUntilAt && policy.hasLookup && policy.answer !== 'natural'
  // One in doubt may have been moved on by a fact before it was due, and sent; one that was moved since the notice was in another state before.
  return call.state !== 'waiting' || (call.dueAt !== null && call.dueAt <= restored.noticedAt) || (call.story.at(-1)?.at ?? 0) > restored.noticedAt
}

/**
 * Whether what a person orders now (a redrive, a retry ahead of time) may have been ordered in the lost time, too, and carried
 * out: the call was there before the notice, and nothing of it was begun since.
 */
export function mayHaveBeenOrdered(call: Call, restored: Restored): boolean {
  const { noticedAt } = restored
  return (isEnd(call.state) || call.state === 'waiting') && call.createdAt <= noticedAt && !isPresumed(call, restored) && !call.story.some((entry) => entry.what === 'begun' && entry.at > noticedAt)
}

/** Whether a call that ended before the notice may have been sent anew in the lost time, or replaced: nobody has looked since. @param timeoutMs what was begun before the notice may leave for so long. */
export function mayHaveMovedSince(call: Call, restored: Restored, timeoutMs: number): boolean {
  const { noticedAt } = restored
  const isOld = call.endedAt !== null && call.endedAt <= noticedAt && !isPresumed(call, restored)
  return isOld && !call.facts.some((fact) => fact.kind === 'refuted' && fact.attempt === undefined && fact.at > noticedAt + timeoutMs)
}

/** What was said of the same loss later, and reaches further back, is presumed anew: the provider's memory of the key is counted from there. */
function isPresumed(call: Call, { noticedAt, lostSinceAt }: Restored): boolean {
  return call.story.some((entry) => entry.what === 'presumed' && entry.noticedAt === noticedAt && entry.lostSinceAt <= lostSinceAt)
}

/** The call with the attempt that is presumed, which counts as over when the last one begun before the notice is. */
export function presumeSent(call: Call, restored: Restored, policy: Policy, now: number): { readonly call: Call; readonly entry: Happening } {
  const { lostSinceAt, noticedAt, by, why } = restored
  const n = call.attempts + 1
  const overAt = noticedAt + policy.timeoutMs
  const reason = 'the database has lost commits: it may have been sent'
  const attempt: OpenAttempt = { n, generation: call.generation, worker: FORGOTTEN, begunAt: lostSinceAt, deadlineAt: overAt, closedAt: overAt, verdict: 'unknown', reason }
  const presumed: Call = {
    ...call,
    attempts: n,
    firstBegunAt: call.firstBegunAt === null ? lostSinceAt : Math.min(call.firstBegunAt, lostSinceAt),
    open: [...call.open, attempt],
    // What earlier questions found out was true before, not of this attempt.
    lookup: call.state === 'checking' ? null : call.lookup,
    state: call.state === 'checking' ? 'waiting' : call.state,
    lastVerdict: 'unknown',
    reason,
  }
  return { call: conclude(presumed, policy, now, now), entry: { what: 'presumed', attempt: n, lostSinceAt, noticedAt, deadlineAt: overAt, by, why } }
}

/** Whether this worker's answer speaks of an attempt on record. One that the database forgot has a number that may be somebody else's by now. */
export function isOnRecord(call: Call, n: number, worker: string): boolean {
  const begun = call.story.findLast((entry) => (entry.what === 'begun' || entry.what === 'presumed') && entry.attempt === n)
  if (begun !== undefined) return begun.what === 'begun' && begun.worker === worker
  return n <= call.attempts
}
