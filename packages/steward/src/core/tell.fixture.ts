/** Calls brought to each state by `decide` itself, for tests of what is told about them. */
import type { Call } from './call.ts'
import { decide, type CallEvent, type Decision } from './decide.ts'
import type { Policy } from './policy.ts'
import type { Verdict } from './verdict.ts'

/** 2026-01-01T00:00:00.000Z */
export const T0 = Date.UTC(2026, 0, 1)
export const S = 1_000
export const H = 3_600_000

export const POLICY: Policy = {
  answer: 'providerKey', retentionMs: 24 * H, marginMs: H, hasLookup: false, settleMs: 60 * S, absences: 1, lookupEveryMs: 10 * S, lookupForMs: 24 * H,
  timeoutMs: 20 * S, giveUpAfterMs: 12 * H, maxAttempts: null, backoffBaseMs: 2 * S, backoffCapMs: 300 * S, pollEveryMs: null, acceptedOverdueMs: 24 * H,
}

export const NONE: Policy = { ...POLICY, answer: 'none', retentionMs: 0, marginMs: 0 }
export const NATURAL: Policy = { ...NONE, answer: 'natural' }
export const RECONCILE: Policy = { ...NONE, answer: 'reconcile', hasLookup: true }

export function newCall(changes: Partial<Call> = {}): Call {
  return {
    id: 'c_1', namespace: 'default', operation: 'charge-order', version: 1, key: 'o_17', group: null, place: null, priority: 0,
    state: 'waiting', effect: 'did_not_happen', rev: 1, generation: 1, attempts: 0, tries: 0, lapses: 0, firstBegunAt: null, keySpent: false,
    createdAt: T0, dueAt: T0, expiresAt: null, giveUpAt: T0 + 12 * H, open: [], facts: [], stop: null, lookup: null, reason: 'not sent yet', lastVerdict: null,
    given: '{}', input: null, result: null, resultMissing: null, supersedes: null, supersededBy: null, endedAt: null, encryptionKeyId: null,
    story: [{ at: T0, what: 'submitted' }], ...changes,
  }
}

/** One step of a life: an event at an instant. */
export type At = readonly [atMs: number, event: CallEvent]

export const begin: CallEvent = { type: 'begin', worker: 'w1', version: 1, release: 'r1' }
export const answered = (attempt: number, verdict: Verdict): CallEvent => ({ type: 'answered', attempt, verdict, worker: 'w1' })
export const unknown: Verdict = { kind: 'unknown', reason: 'no definite answer (ECONNRESET)' }
export const applied: Verdict = { kind: 'applied', result: '{"chargeId":"ch_1"}', reference: 'ch_1' }
export const refused: Verdict = { kind: 'rejected', reason: 'answered 402', status: 402 }

/** A call after these events; times are milliseconds after T0. Refused events are mistakes of the test. */
export function lived(policy: Policy, steps: readonly At[], start: Call = newCall()): Call {
  let call = start
  for (const [atMs, event] of steps) {
    const decision: Decision = decide(call, event, policy, T0 + atMs, 0.5)
    if (decision.refused !== null) throw new Error(`the fixture's ${event.type} was refused: ${decision.refused}`)
    call = decision.call
  }
  return call
}
