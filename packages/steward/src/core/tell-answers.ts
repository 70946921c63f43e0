/** The four answers of 2am: did the provider do it, how do we know, what happens next, may I press retry. */
import { type Call, type Fact, isEnd, type OpenAttempt } from './call.ts'
import { resendIsSafe, stopInForce } from './conclude.ts'
import { durationText } from './duration.ts'
import { isApplied, references, unrefuted } from './facts.ts'
import { lastBeginAt, type Policy, windowOpen } from './policy.ts'
import { FORGOTTEN, mayHaveMovedSince, type Restored } from './set-back.ts'
import type { Entry } from './story.ts'
import type { TellOptions } from './tell.ts'
import { iso, when } from './tell-wire.ts'
import type { Telling } from './telling.ts'

/** Attempts and facts named one by one; more are counted. */
const NAMED = 5

export function answersOf(call: Call, policy: Policy | null, now: number, options: TellOptions): Telling['answers'] {
  if (options.setBack !== undefined && call.effect !== 'happened') return ofSetBack(call, policy, now, options.setBack)
  const lost = policy !== null && call.effect === 'did_not_happen' && options.restored && mayHaveMovedSince(call, options.restored, policy.timeoutMs) ? options.restored : null
  return {
    happened: lost === null ? didItHappen(call) : `Possibly: the database has lost what was committed since ${iso(lost.lostSinceAt)}, and it may have been sent again in that time. On its record: ${didItHappen(call)}`,
    known: whatIsKnown(call, policy, now),
    next: `${whatIsNext(call, policy, now, options.paused ?? [])}${people(call, options)}`,
    retry: lost === null || policy === null || call.supersededBy !== null ? isRetrySafe(call, policy, now, options.paused ?? []) : lostRetry(call, policy, lost),
  }
}

/** Of a database that may have forgotten what it sent, only what happened is sure. */
function ofSetBack(call: Call, policy: Policy | null, now: number, how: string): Telling['answers'] {
  return {
    happened: `Possibly: the database was set back (${how}), and may have forgotten that it was sent. On its record: ${didItHappen(call)}`,
    known: whatIsKnown(call, policy, now),
    next: `Nothing, until somebody has said what the database lost when it was set back (${how}). Confirm what the provider lists for that time, then: steward restored --lost-since TIME`,
    retry: 'No. Whether it was sent since is not on record any more. Say first what the database lost: steward restored --lost-since TIME',
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Did the provider do it?

function didItHappen(call: Call): string {
  switch (call.effect) {
    case 'happened': return happenedText(call)
    case 'pending': return `Not known yet: the provider accepted it${acceptedAs(call)}, and its result is still to come.`
    case 'unknown': return `Possibly. ${call.state === 'running' ? `Attempt ${call.attempts} is running and may have sent it.` : `${doubtCount(call)} without a definite answer.`}`
    case 'did_not_happen': {
      if (call.attempts === 0) return isEnd(call.state) ? 'No. Nothing was ever sent.' : 'No. Nothing has been sent yet.'
      const attempts = call.attempts === 1 ? 'Its one attempt' : `Each of its ${call.attempts} attempts`
      const sure = `No. ${attempts} certainly did not take effect.`
      return isEnd(call.state) && call.supersededBy !== null ? `${sure} Key "${call.supersededBy}" took its place: ask for that one.` : sure
    }
  }
}

function happenedText(call: Call): string {
  const ids = references(call.facts)
  const corrected = correctedFrom(call.story)
  const earlier = corrected === null ? '' : ` It had been recorded as "${corrected.state}" until ${iso(corrected.at)}: whatever was done because of that must be looked at again.`
  const successor = corrected !== null && call.supersededBy !== null ? ` Key "${call.supersededBy}" replaced it and may have happened, too.` : ''
  const missing = call.resultMissing === null ? '' : ` Its result could not be stored: ${call.resultMissing}.`
  const yes = ids.length > 1 ? `Yes, and more than once: ${ids.join(' and ')} are different effects at the provider.` : `Yes${ids[0] === undefined ? '' : `: ${ids[0]}`}.`
  return `${yes}${earlier}${successor}${missing}`
}

/** The end that a later fact corrected, and when. */
function correctedFrom(story: readonly Entry[]): { readonly state: string; readonly at: number } | null {
  let state = 'waiting'
  for (const entry of story) {
    if (entry.to === 'succeeded' && isEnd(state as Call['state'])) return { state, at: entry.at }
    state = entry.to ?? state
  }
  return null
}

function acceptedAs(call: Call): string {
  const reference = call.open.find((attempt) => attempt.verdict === 'accepted')?.reference
  return reference === undefined ? '' : ` as ${reference}`
}

function doubtCount(call: Call): string {
  const open = unrefuted(call)
  return open.length === 1 ? `Attempt ${(open[0] as OpenAttempt).n} is` : `${open.length} of its attempts are`
}

// ---------------------------------------------------------------------------------------------------------------------
// What do we know, and how?

function whatIsKnown(call: Call, policy: Policy | null, now: number): string {
  const parts: string[] = []
  if (call.effect === 'happened') parts.push(...evidence(call))
  else {
    const open = unrefuted(call)
    for (const attempt of open.slice(0, NAMED)) parts.push(attemptText(attempt, now))
    if (open.length > NAMED) parts.push(`${open.length - NAMED} more attempts are open.`)
    if (open.length === 0) parts.push(...absenceText(call))
  }
  const refuting = call.effect === 'unknown' && policy !== null ? ANSWER[policy.answer] : ''
  return [...parts, refuting].filter((part) => part !== '').join(' ')
}

const ANSWER = {
  providerKey: 'The provider tells repeats apart by the key it is sent.',
  reconcile: 'The provider knows no keys, but it can be asked.',
  natural: 'Sending it twice has the effect of sending it once.',
  none: 'The provider can neither tell repeats apart nor be asked.',
} as const

function evidence(call: Call): string[] {
  const applied = call.facts.filter((fact) => fact.kind === 'applied')
  const parts = applied.slice(0, NAMED).map((fact) => `It happened, says ${source(fact)} at ${iso(fact.at)}${fact.reference === undefined ? '' : ` (reference ${fact.reference})`}.`)
  if (applied.length > NAMED) parts.push(`So do ${applied.length - NAMED} more facts.`)
  const against = call.facts.filter((fact) => contradicts(fact, applied))
  for (const fact of against.slice(0, NAMED)) parts.push(`Against that, ${source(fact)} said at ${iso(fact.at)} that it did not happen; "happened" stands, since a positive fact outranks a negative one.`)
  return parts
}

/** A refutation that speaks of the same attempt, or of an instant at which the effect was there. */
function contradicts(fact: Fact, applied: readonly Fact[]): boolean {
  if (fact.kind !== 'refuted') return false
  if (fact.attempt !== undefined) return applied.some((other) => other.attempt === fact.attempt)
  return applied.some((other) => fact.at >= other.at)
}

function source(fact: Fact): string {
  return fact.by.startsWith('attempt ') ? `the answer to ${fact.by}` : fact.by === 'lookup' ? 'the provider, asked by a lookup,' : fact.by
}

function attemptText(attempt: OpenAttempt, now: number): string {
  if (attempt.worker === FORGOTTEN && attempt.verdict === 'unknown') return `Attempt ${attempt.n} is presumed: the database lost what was committed since ${iso(attempt.begunAt)}, and with it the record of what was sent.`
  const began = `Attempt ${attempt.n} began at ${iso(attempt.begunAt)}`
  if (attempt.closedAt === null) return `${began} on worker ${attempt.worker} and is running${now > attempt.deadlineAt ? ' past its deadline' : ''}; nothing of it leaves after ${iso(attempt.deadlineAt)}.`
  if (attempt.verdict === 'accepted') return `${began}, and the provider accepted it${attempt.reference === undefined ? '' : ` as ${attempt.reference}`}.`
  return `${began} and ended without a definite answer${attempt.reason === undefined ? '' : ` (${attempt.reason})`}.`
}

function absenceText(call: Call): string[] {
  if (call.attempts === 0) return ['No attempt was ever begun, so no byte of it left.']
  const parts: string[] = []
  const last = call.story.findLast((entry) => entry.what === 'closed' || entry.what === 'late' || entry.what === 'lapsed')
  if (last && 'attempt' in last && last.attempt !== undefined) {
    const verdict = last.what === 'lapsed' ? 'lost its worker' : last.verdict === 'rejected' ? 'was refused' : last.verdict === 'unknown' ? 'had no definite answer' : last.verdict === 'accepted' ? 'was accepted' : 'did not happen'
    parts.push(`The last of its attempts to end, attempt ${last.attempt}, ${verdict}${last.why === undefined ? '' : ` (${last.why})`}.`)
  }
  for (const fact of call.facts.filter((known) => known.kind === 'refuted').slice(-NAMED)) parts.push(`It did not happen, says ${source(fact)} at ${iso(fact.at)}${fact.reason === undefined ? '' : ` (${fact.reason})`}.`)
  return parts
}

// ---------------------------------------------------------------------------------------------------------------------
// What happens next, and when?

function whatIsNext(call: Call, policy: Policy | null, now: number, paused: readonly string[]): string {
  switch (call.state) {
    case 'waiting': return waitingNext(call, policy, now, paused)
    case 'running': return runningNext(call, policy, now)
    case 'accepted': return acceptedNext(call, policy, now, paused)
    case 'checking': return checkingNext(call, policy, now, paused)
    case 'in_doubt': return `Nothing by itself: a fact (webhook, late answer) or a person decides, with no time limit.${call.stop === null ? '' : ` Found not to have happened, it ends ${END_OF[call.stop.kind]} (${call.stop.why}).`} Look at the provider, then: steward settle ${call.operation} ${call.key} --happened | --send-again | --stop`
    case 'succeeded': return `Nothing: it ended succeeded at ${endedAt(call)}.`
    case 'rejected': case 'exhausted': case 'expired': case 'cancelled': return `Nothing by itself: it ended ${call.state} at ${endedAt(call)} (${call.stop?.why ?? call.reason}).${call.supersededBy === null ? '' : ` Key "${call.supersededBy}" took its place.`}`
  }
}

const END_OF = { cancel: 'cancelled', expire: 'expired', give_up: 'exhausted', refuse: 'rejected' } as const

function endedAt(call: Call): string {
  return call.endedAt === null ? 'an unrecorded time' : iso(call.endedAt)
}

function held(paused: readonly string[]): string {
  return `It is held while ${paused.join(' and ')}; nothing of it is sent until that is over.`
}

function waitingNext(call: Call, policy: Policy | null, now: number, paused: readonly string[]): string {
  const dueAt = Math.max(call.dueAt ?? now, now)
  const at = dueAt > now ? `At ${when(dueAt, now)}` : `As soon as a worker takes it (due since ${iso(call.dueAt ?? now)})`
  if (policy === null) return `${at}, a worker that knows the operation goes on; this process does not know "${call.operation}".${paused.length > 0 ? ` ${held(paused)}` : ''}`
  const stop = stopInForce(call, policy, dueAt)
  const doubt = unrefuted(call).length > 0
  if (stop && !doubt) return `${at} it ends ${END_OF[stop.kind]}, since ${stop.why}; no further attempt is sent.`
  if (doubt && (stop || !resendIsSafe(call, policy, dueAt))) {
    const why = stop ? stop.why : 'the provider may have forgotten the key'
    return `${at} it turns to ${policy.hasLookup ? 'asking the provider' : 'a person: it becomes in doubt'}, since ${why}; no further attempt is sent before that is decided.`
  }
  const fresh = !doubt && call.firstBegunAt !== null && (call.keySpent || !windowOpen(policy, call.firstBegunAt, dueAt)) ? ', with a fresh key' : doubt && policy.answer === 'providerKey' ? ', with the same key' : ''
  const attempt = `attempt ${call.attempts + 1} begins${fresh}`
  const limit = limitText(call, now)
  const why = ` Why it waits: ${call.reason}.`
  return paused.length > 0 ? `${held(paused)} Then ${attempt}.${why}${limit}` : `${at}, ${attempt}.${why}${limit}`
}

function limitText(call: Call, now: number): string {
  const expires = call.expiresAt === null ? '' : ` It expires at ${when(call.expiresAt, now)}.`
  return call.giveUpAt === null ? expires : `${expires} It is given up at ${when(call.giveUpAt, now)}.`
}

function runningNext(call: Call, policy: Policy | null, now: number): string {
  const running = call.open.find((attempt) => attempt.closedAt === null)
  if (!running) return 'Its attempt is about to be recorded.'
  const answer = running.deadlineAt > now
    ? `Attempt ${running.n} is answered, or ends at its deadline ${when(running.deadlineAt, now)}.`
    : `The deadline of attempt ${running.n} passed at ${when(running.deadlineAt, now)}: its worker records the outcome any moment, or is found dead, and the attempt counts as "may have happened".`
  const stop = policy === null ? call.stop : stopInForce(call, policy, now)
  if (stop) return `${answer} No further attempt is sent: ${stop.why}.`
  return policy === null ? answer : `${answer} Without a definite answer, ${AFTER_DOUBT[policy.answer](policy.hasLookup)}.`
}

const AFTER_DOUBT = {
  providerKey: (hasLookup: boolean) => `it is sent again with the same key while the provider remembers it, then ${hasLookup ? 'the provider is asked' : 'a person is asked'}`,
  reconcile: (_hasLookup: boolean) => 'the provider is asked before anything is sent again',
  natural: (_hasLookup: boolean) => 'it is sent again, which has the effect of sending it once',
  none: (_hasLookup: boolean) => 'it becomes in doubt and a person is asked',
} as const

function acceptedNext(call: Call, policy: Policy | null, now: number, paused: readonly string[]): string {
  const fact = 'A fact (webhook: confirm or refute) ends it whenever it comes.'
  const stopped = call.stop === null ? '' : ` Found not to have happened, it ends ${END_OF[call.stop.kind]}.`
  if (policy === null || call.dueAt === null) return `${fact} Nothing is sent again.${stopped}`
  const polls = policy.hasLookup && policy.pollEveryMs !== null
  const next = polls ? `The provider is asked ${paused.length > 0 ? `once nothing holds it any more (${paused.join(' and ')})` : `at ${when(call.dueAt, now)}`}.` : `Without a fact, an alert is raised at ${when(call.dueAt, now)}.`
  return `${next} ${fact} Nothing is sent again.${stopped}`
}

function checkingNext(call: Call, policy: Policy | null, now: number, paused: readonly string[]): string {
  const at = call.dueAt === null || call.dueAt <= now ? 'as soon as a worker takes it' : `at ${when(call.dueAt, now)}`
  if (policy === null) return `A worker that knows the operation asks the provider ${at}; this process does not know "${call.operation}".`
  const ask = paused.length > 0 ? `${held(paused)} Then the provider is asked.` : `The provider is asked ${at}.`
  const stop = stopInForce(call, policy, now)
  const absent = stop ? `it ends ${END_OF[stop.kind]} (${stop.why})` : 'it is sent again'
  const times = policy.absences > 1 ? ` ${policy.absences} times in a row` : ''
  const until = call.lookup === null || call.lookup.asked === 0
    ? ` Undecided ${durationText(policy.lookupForMs)} after the first question, a person is asked.`
    : ` Undecided until ${when(call.lookup.since + policy.lookupForMs, now)}, a person is asked.`
  return `${ask} Found: it ends succeeded. Provably absent${times}: ${absent}.${until}`
}

/** Whom to wake, where a person is needed. */
function people(call: Call, options: TellOptions): string {
  const needed = call.state === 'in_doubt' || call.state === 'exhausted' || references(call.facts).length > 1 || correctedFrom(call.story) !== null
  if (!needed) return ''
  const { owner, runbook } = options.operation ?? {}
  return `${owner === undefined ? '' : ` Owner: ${owner}.`}${runbook === undefined ? '' : ` Runbook: ${runbook}`}`
}

// ---------------------------------------------------------------------------------------------------------------------
// Is it safe to press retry?

function isRetrySafe(call: Call, policy: Policy | null, now: number, paused: readonly string[]): string {
  if (references(call.facts).length > 1) return 'No. It happened more than once already: refund or void all but one at the provider.'
  if (isApplied(call)) return 'No. It happened; a new effect needs a new key.'
  if (isEnd(call.state)) return endedRetry(call)
  if (policy === null) return `Not from here: this process does not know "${call.operation}" and cannot judge what is safe. Ask where it is defined.`
  switch (call.state) {
    case 'waiting': return waitingRetry(call, policy, now, paused)
    case 'running': return 'It has no effect: an attempt is running. Wait for its end; a second one beside it would be a second request.'
    case 'accepted': return `Nothing is ever sent again after the provider accepted it. ${policy.hasLookup && policy.pollEveryMs !== null ? 'Retry only asks the provider now instead of later, which is safe.' : 'Retry is refused.'}`
    case 'checking': return 'Yes: it only asks the provider now instead of later. Nothing is sent before its absence is proven.'
    case 'in_doubt': return policy.hasLookup
      ? 'Yes, it only asks the provider again. Sending it again by hand is not safe: it may have happened.'
      : `No. It may have happened, and sending it again could do it twice. Find out at the provider, then settle it: steward settle ${call.operation} ${call.key} --happened | --send-again | --stop`
  }
}

function endedRetry(call: Call): string {
  if (call.effect !== 'did_not_happen') return 'No. It happened; a new effect needs a new key.'
  if (call.supersededBy !== null) return `No. Key "${call.supersededBy}" took its place; sending both could do it twice.`
  const safe = `Yes, by redrive: it certainly did not happen, and it is sent under a fresh key (steward redrive ${call.operation} ${call.key}).`
  if (call.state === 'rejected') return `${safe} Without a change at the provider it is refused again: ${call.reason}.`
  if (call.state === 'expired') return `${safe} But it was declared useless after ${call.expiresAt === null ? 'its expiry' : iso(call.expiresAt)}: make sure that somebody still wants it.`
  if (call.state === 'cancelled') return `${safe} But ${call.stop?.by ?? 'somebody'} cancelled it (${call.stop?.why ?? call.reason}): ask first.`
  return safe
}

/** Of a call that ended before the database lost commits. */
function lostRetry(call: Call, policy: Policy, { noticedAt }: Restored): string {
  const resent = policy.answer === 'natural' ? 'sent again, which has the effect of sending it once' : 'sent again under the key that it may have been sent with, while the provider surely remembers it'
  const then = policy.hasLookup && policy.answer !== 'natural' ? 'the provider is asked before anything is sent' : policy.answer === 'none' ? 'it is in doubt then, until you settle it' : `it is ${resent}`
  return `Yes, by redrive: it is presumed to have been sent in that time, so ${then} (steward redrive ${call.operation} ${call.key}). Who knows that it did not happen refutes it first, with an instant after ${iso(noticedAt + policy.timeoutMs)}.`
}

function waitingRetry(call: Call, policy: Policy, now: number, paused: readonly string[]): string {
  const pausedToo = paused.length === 0 ? '' : ` Nothing is sent while ${paused.join(' and ')}.`
  const stop = stopInForce(call, policy, now)
  const doubt = unrefuted(call).length > 0
  if (stop && !doubt) return `It is safe and sends nothing: ${stop.why}, so it ends ${END_OF[stop.kind]}. Redrive it after that.`
  if (!doubt) return `Yes. Nothing of it has happened; retry only makes attempt ${call.attempts + 1} begin now instead of later.${pausedToo}`
  if (stop) return `It is safe and sends nothing: ${stop.why}. ${policy.hasLookup ? 'The provider is asked instead.' : 'It becomes in doubt instead.'}`
  if (!resendIsSafe(call, policy, now)) return `It is safe and sends nothing: the same key may not be used any more. ${policy.hasLookup ? 'The provider is asked instead.' : 'It becomes in doubt instead.'}`
  if (policy.answer === 'natural') return `Yes. It may have happened, but sending it twice has the effect of sending it once.${pausedToo}`
  const until = call.firstBegunAt === null ? '' : ` until ${when(lastBeginAt(policy, call.firstBegunAt), now)}`
  return `Yes, through Steward: it sends the same key, which the provider surely remembers${until} (its memory of ${durationText(policy.retentionMs)}, less a margin). Not by hand with another key: it may have happened.${pausedToo}`
}
