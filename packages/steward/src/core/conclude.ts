/**
 * Where a call stands, given what is known: the one function that picks a state.
 *
 * It looks only at the set of facts, the open attempts, the order to stop, the policy and the time; never at the
 * event that brought it here. That is what makes the state independent of the order of facts.
 *
 *   applied known            → succeeded
 *   an attempt runs          → running
 *   an accepted attempt      → accepted               (nothing is resent)
 *   doubt, resend is safe    → waiting (effect unknown)
 *   doubt, a lookup exists   → checking
 *   doubt                    → in_doubt
 *   no doubt, told to stop   → rejected | cancelled | expired | exhausted
 *   no doubt                 → waiting
 */
import { type Call, type Effect, isEnd, type OpenAttempt, type State, type Stop } from './call.ts'
import { isApplied, overAt, unrefuted } from './facts.ts'
import { lastBeginAt, type Policy, windowOpen } from './policy.ts'

/** @param retryAt when the next attempt should begin, if there is to be one. */
export function conclude(call: Call, policy: Policy, now: number, retryAt: number): Call {
  if (isApplied(call)) return ended(call, 'succeeded', now)
  if (isEnd(call.state)) return call
  const open = unrefuted(call)
  if (open.some((attempt) => attempt.closedAt === null)) return placed(call, 'running', 'unknown', null)
  const accepted = open.find((attempt) => attempt.verdict === 'accepted')
  if (accepted) return whenAccepted(call, policy, now, accepted)
  return open.length > 0 ? inDoubt(call, policy, now, retryAt, open) : withoutDoubt(call, policy, now, retryAt)
}

function placed(call: Call, state: State, effect: Effect, dueAt: number | null): Call {
  return call.state === state && call.effect === effect && call.dueAt === dueAt ? call : { ...call, state, effect, dueAt }
}

function ended(call: Call, state: 'succeeded' | 'rejected' | 'exhausted' | 'expired' | 'cancelled', now: number): Call {
  if (call.state === state) return call
  const effect = state === 'succeeded' ? 'happened' : 'did_not_happen'
  return { ...call, state, effect, dueAt: null, endedAt: now, lookup: null }
}

function whenAccepted(call: Call, policy: Policy, now: number, accepted: OpenAttempt): Call {
  const polls = policy.hasLookup && policy.pollEveryMs !== null
  const overdueAt = (accepted.closedAt ?? now) + policy.acceptedOverdueMs
  if (call.state === 'accepted') return placed(call, 'accepted', 'pending', call.dueAt)
  // Questions put before it was accepted say nothing about what was accepted.
  return withoutLookup(placed(call, 'accepted', 'pending', polls ? now + policy.pollEveryMs : overdueAt))
}

/** The order to stop that is in force: a recorded one, or time. */
export function stopInForce(call: Call, policy: Policy, now: number): Stop | null {
  if (call.stop) return call.stop
  // Asked only where no accepted attempt is left standing: the provider took this one and then refused it.
  const refused = call.open.find((attempt) => attempt.verdict === 'accepted')
  if (refused) return { kind: 'refuse', at: now, by: `attempt ${refused.n}`, why: call.reason }
  if (call.expiresAt !== null && now >= call.expiresAt) return { kind: 'expire', at: call.expiresAt, by: 'time', why: 'not useful any more' }
  if (call.giveUpAt !== null && now >= call.giveUpAt) return { kind: 'give_up', at: call.giveUpAt, by: 'time', why: 'its time is spent' }
  if (policy.maxAttempts !== null && call.tries >= policy.maxAttempts) {
    return { kind: 'give_up', at: now, by: 'policy', why: `its ${policy.maxAttempts} attempts are spent` }
  }
  return null
}

function inDoubt(call: Call, policy: Policy, now: number, retryAt: number, open: readonly OpenAttempt[]): Call {
  const stop = stopInForce(call, policy, now)
  if (!stop && resendIsSafe(call, policy, now)) {
    const lastAt = policy.answer === 'providerKey' && call.firstBegunAt !== null ? lastBeginAt(policy, call.firstBegunAt) : retryAt
    return withoutLookup(placed(call, 'waiting', 'unknown', limited(call, Math.min(retryAt, lastAt))))
  }
  const stopped = stop === call.stop ? call : { ...call, stop }
  if (!policy.hasLookup || (call.lookup?.spent && call.state !== 'accepted')) return placed(stopped, 'in_doubt', 'unknown', null)
  const askableAt = absenceCountsFrom(policy, open)
  if (call.lookup && call.state === 'checking') return placed(stopped, 'checking', 'unknown', call.dueAt ?? askableAt)
  return { ...placed(stopped, 'checking', 'unknown', Math.max(askableAt, now)), lookup: { since: now, asked: 0, absences: 0, spent: false } }
}

/** Whether `send` may run again although an earlier attempt is in doubt, at this moment. */
export function resendIsSafe(call: Call, policy: Policy, now: number): boolean {
  if (policy.answer === 'natural') return true
  return policy.answer === 'providerKey' && !call.keySpent && windowOpen(policy, call.firstBegunAt, now)
}

/** First instant at which a lookup's `absent` says something of these attempts. */
export function absenceCountsFrom(policy: Policy, open: readonly OpenAttempt[]): number {
  return open.reduce((latest, attempt) => Math.max(latest, attempt.verdict === 'accepted' ? overAt(attempt) : Math.max(overAt(attempt), attempt.deadlineAt)), 0) + policy.settleMs + 1
}

function withoutDoubt(call: Call, policy: Policy, now: number, retryAt: number): Call {
  const stop = stopInForce(call, policy, now)
  if (stop) return ended(stop === call.stop ? call : { ...call, stop }, END_OF[stop.kind], now)
  return withoutLookup(placed(call, 'waiting', 'did_not_happen', limited(call, retryAt)))
}

function withoutLookup(call: Call): Call {
  return call.lookup === null ? call : { ...call, lookup: null }
}

const END_OF = { cancel: 'cancelled', expire: 'expired', give_up: 'exhausted', refuse: 'rejected' } as const

/** No wait is longer than the call's own time: its end is decided on time. */
function limited(call: Call, at: number): number {
  return Math.min(at, limitAt(call) ?? at)
}

/** When time alone ends or stops the call: the earlier of expiry and give-up. */
export function limitAt(call: Pick<Call, 'expiresAt' | 'giveUpAt'>): number | null {
  if (call.expiresAt === null) return call.giveUpAt
  return call.giveUpAt === null ? call.expiresAt : Math.min(call.expiresAt, call.giveUpAt)
}
