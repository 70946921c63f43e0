/** What webhooks, lookups and people say, checked before it is kept: a fact is stored for ever. */
import type { Alert } from '../core/alert.ts'
import type { Fact, State } from '../core/call.ts'
import { StewardError } from '../core/errors.ts'
import { notJson } from '../core/input.ts'
import { LIMITS } from '../core/limits.ts'
import type { CallRef } from '../ports/outcome.ts'
import type { FactOptions, SettleOptions } from './api.ts'

const SETTLE_OUTCOMES: readonly unknown[] = ['happened', 'send_again', 'stop'] satisfies SettleOptions['outcome'][]

/** @throws StewardError STEWARD_FACT_INVALID; nothing was stored. */
export function factOf(options: FactOptions, now: number): Omit<Fact, 'kind'> {
  const { by, attempt, reference, reason } = options ?? {}
  if (typeof by !== 'string' || by.trim() === '') throw invalid('a fact must say who says so: { by: "webhook evt_123" }')
  const at = options.at === undefined ? now : Number(options.at)
  if (!Number.isFinite(at)) throw invalid(`the instant of a fact by ${by} is ${String(options.at)}, which is no instant`)
  if (attempt !== undefined && (!Number.isInteger(attempt) || attempt < 1)) throw invalid(`the attempt of a fact by ${by} is ${String(attempt)}; attempts are counted from 1`)
  checkReference(reference, by)
  if (reason !== undefined && typeof reason !== 'string') throw invalid(`the reason of a fact by ${by} is not text`)
  return {
    at, by: by.slice(0, LIMITS.nameChars),
    ...(attempt === undefined ? {} : { attempt }),
    ...(reference === undefined ? {} : { reference }),
    ...(reason === undefined ? {} : { reason: reason.slice(0, LIMITS.reasonChars) }),
  }
}

/** A result as text, or `null` without one. */
export function factResult(key: string, result: unknown): string | null {
  if (result === undefined) return null
  const text = jsonOf(key, result)
  if (Buffer.byteLength(text) > LIMITS.resultBytes) throw invalid(`the result of a fact about "${key}" has ${Buffer.byteLength(text)} bytes; the limit is ${LIMITS.resultBytes}`)
  return text
}

function jsonOf(key: string, result: unknown): string {
  let problem: string | null
  try {
    problem = notJson(result)
    if (problem === null) return JSON.stringify(result)
  } catch (error) {
    problem = `reading it threw ${error instanceof Error ? error.name : 'something'}`
  }
  throw invalid(`the result of a fact about "${key}" is not plain JSON: ${problem}`)
}

/** A person's decision is one of three; anything else must not count as the last of them. */
export function checkSettle(key: string, options: SettleOptions): void {
  if (!SETTLE_OUTCOMES.includes(options.outcome)) {
    throw new StewardError('STEWARD_OPTION_INVALID', `settle of "${key}" was told outcome ${JSON.stringify(options.outcome)}; it must be 'happened', 'send_again' or 'stop'. Nothing was changed or sent.`)
  }
  checkReference(options.reference, options.by)
}

function checkReference(reference: unknown, by: string): void {
  if (reference === undefined || (typeof reference === 'string' && reference !== '' && reference.length <= LIMITS.nameChars)) return
  throw invalid(`the reference given by ${by} must be text of 1 to ${LIMITS.nameChars} characters`)
}

function invalid(why: string): StewardError {
  return new StewardError('STEWARD_FACT_INVALID', `${why}. Nothing was stored.`)
}

/** The provider took a call of which the database has no record: no fact says so, since it may not have happened yet. */
export function acceptedForgotten(call: CallRef, reference: string, attempt: number, at: number): Alert {
  const { id, operation, key } = call
  return {
    id: `accepted_forgotten:${id}:${reference}`, kind: 'accepted_forgotten', severity: 'page', at, operation, callId: id, key, state: null,
    message: `The provider took ${operation} "${key}" as ${reference}, says the late answer of attempt ${attempt}, but the database has no record of call ${id}: it was set back to before it, or has pruned it. Its result comes to nobody, and whoever submits the key anew may send it again.`,
    next: `Look for ${reference} at the provider before the key is submitted again; if it happened: steward.confirm('${operation}', '${key}', { by, reference: '${reference}' }).`,
  }
}

/** What is left to do for a call whose record is gone: say that its recorded end was wrong. */
export function correctedWhenPruned(call: CallRef, state: State, fact: Fact, at: number): Alert {
  const { id, operation, key } = call
  return {
    id: `corrected:${id}:${fact.reference ?? fact.by}`, kind: 'corrected', severity: 'page', at, operation, callId: id, key, state,
    message: `${operation} "${key}" had ended ${state}, but it happened, says ${fact.by}${fact.reference === undefined ? '' : ` (${fact.reference})`}. Its record was pruned, so that its end stands in the store.`,
    next: 'Whatever was done because it "did not happen" must be undone, by hand.',
  }
}
