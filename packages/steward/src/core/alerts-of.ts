/** Which alerts a change of a call raises: a function of the record before and after, whatever code path caused it (contract 7). */
import type { Alert, AlertKind, Severity } from './alert.ts'
import { type Call, isEnd } from './call.ts'
import type { CallEvent } from './decide.ts'
import { appliedAttempts, isApplied, references } from './facts.ts'
import type { Policy } from './policy.ts'

/** Workers lost in a row while sending one call, from which on it is suspected of killing them. */
const LAPSES_SUSPECT = 5

export function alertsOf(before: Call, after: Call, event: CallEvent, policy: Policy, now: number): readonly Alert[] {
  const alerts: Alert[] = []
  const raise = (kind: AlertKind, severity: Severity, message: string, next: string): void => {
    alerts.push({ id: `${after.id}:${kind}:${after.rev}`, kind, severity, at: now, operation: after.operation, callId: after.id, key: after.key, state: after.state, message, next })
  }
  const name = `${after.operation} "${after.key}"`
  const story = `steward story ${after.operation} ${after.key}`
  if (after.state !== before.state) onChangeOfState(before, after, event, raise)
  const effects = effectsOf(after, policy)
  if (effects.length > 1 && effects.length > effectsOf(before, policy).length) {
    raise('effect_twice', 'page', `${name} happened more than once at the provider: ${effects.join(', ')}.`, `Refund or void all but one, then read: ${story}`)
  }
  const refuted = event.type === 'fact' && event.fact.kind === 'refuted' ? event.fact.by : null
  if (refuted !== null && isApplied(before) && after !== before) {
    raise('contradicted', 'warn', `${refuted} says that ${name} did not happen, but it is known to have happened. The record stays "${after.state}".`, `Compare with the provider, then read: ${story}`)
  }
  if (event.type === 'answered' && event.verdict.kind === 'accepted' && isEnd(before.state) && before.effect === 'did_not_happen') {
    raise('contradicted', 'page', `${name} ended ${before.state}, but the late answer of attempt ${event.attempt} says that the provider took it as ${event.verdict.reference}. The record stays "${after.state}" until its result is known.`, `Look at the provider; if it happened: steward settle ${after.operation} ${after.key} --happened. Read: ${story}`)
  }
  if (after.lapses >= LAPSES_SUSPECT && after.lapses > before.lapses && after.lapses % LAPSES_SUSPECT === 0) {
    raise('worker_lost_repeatedly', 'page', `${after.lapses} workers in a row were lost while sending ${name}. It may be killing them.`, `Look at what its send does, pause the operation, then read: ${story}`)
  }
  if (after.resultMissing !== null && before.resultMissing === null) {
    raise('result_missing', 'warn', `${name} was applied, but its result cannot be stored: ${after.resultMissing}.`, 'Return plain JSON from send; the call is not sent again.')
  }
  const spent = event.type === 'looked' && after.lookup?.spent === true && before.lookup?.spent !== true
  if ((event.type === 'time' || spent) && before.state === 'accepted' && after.state === 'accepted') {
    raise('accepted_overdue', 'warn', `${name} was accepted by the provider and has no result yet.`, `Look at the provider, then: steward settle ${after.operation} ${after.key}`)
  }
  return alerts
}

/** Effects that surely differ: provider references; else applied attempts that the provider could not have taken for one. */
function effectsOf(call: Call, policy: Policy): readonly string[] {
  const named = references(call.facts)
  const attempts = appliedAttempts(call.facts, policy.answer === 'providerKey' || policy.answer === 'natural')
  return named.length >= attempts.length ? named : attempts
}

type Raise = (kind: AlertKind, severity: Severity, message: string, next: string) => void

function onChangeOfState(before: Call, after: Call, event: CallEvent, raise: Raise): void {
  const name = `${after.operation} "${after.key}"`
  const story = `steward story ${after.operation} ${after.key}`
  if (after.state === 'exhausted') raise('exhausted', 'page', `${name} was given up: ${after.stop?.why ?? after.reason}. It certainly did not happen. Last: ${after.reason}.`, `When the cause is mended: steward redrive ${after.operation} ${after.key}`)
  if (after.state === 'expired') raise('expired', 'warn', `${name} expired before it could be sent. It certainly did not happen.`, `Read: ${story}`)
  if (after.state === 'in_doubt') raise('in_doubt', 'page', `${name} may have happened, and no rule can tell: ${after.reason}. It is not sent again.`, `Look at the provider, then: steward settle ${after.operation} ${after.key} --happened | --send-again | --stop`)
  if (after.state === 'succeeded' && before.effect === 'did_not_happen' && before.endedAt !== null) {
    raise('corrected', 'page', `${name} had ended ${before.state}, but it happened: ${after.reason}.${after.supersededBy === null ? '' : ` Key "${after.supersededBy}" replaced it and may have happened, too.`}`, `Whatever was done because it "did not happen" must be undone. Read: ${story}`)
  }
  const denied = deniedBy(before)
  if (after.state === 'succeeded' && before.endedAt === null && denied !== null && event.type !== 'answered') {
    raise('corrected', 'page', `${name} happened (${after.reason}), although ${denied} had said that it did not.`, `Compare with the provider. Read: ${story}`)
  }
}

/** Who said that it did not happen, if nothing was begun since. */
function deniedBy(call: Call): string | null {
  const begun = call.story.findLast((entry) => entry.what === 'begun')
  const denied = call.facts.findLast((fact) => fact.kind === 'refuted' && fact.attempt === undefined && begun !== undefined && fact.at >= begun.at)
  return denied?.by ?? null
}
