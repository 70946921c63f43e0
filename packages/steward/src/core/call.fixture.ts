/** Calls and policies for tests of the core: small numbers, so that windows, deadlines and limits lie close together. */
import type { Call } from './call.ts'
import { type CallEvent, type Decision, decide } from './decide.ts'
import type { AnswerKind, Policy } from './policy.ts'

/** When the calls of the fixtures are created. */
export const T0 = 1_000

/** Attempts take up to 10 ms, the provider remembers 60 (5 of them margin), a lookup is trusted 5 after the deadline. */
export function policyOf(answer: AnswerKind, over: Partial<Policy> = {}): Policy {
  return {
    answer,
    retentionMs: answer === 'providerKey' ? 60 : 0,
    marginMs: answer === 'providerKey' ? 5 : 0,
    hasLookup: answer === 'reconcile',
    settleMs: 5,
    absences: 1,
    lookupEveryMs: 8,
    lookupForMs: 40,
    timeoutMs: 10,
    giveUpAfterMs: 200,
    maxAttempts: null,
    backoffBaseMs: 4,
    backoffCapMs: 16,
    pollEveryMs: null,
    acceptedOverdueMs: 30,
    ...over,
  }
}

export function newCall(over: Partial<Call> = {}): Call {
  return {
    id: 'c_1',
    namespace: 'default',
    operation: 'charge-order',
    version: 1,
    key: 'o_17',
    group: null,
    place: null,
    priority: 0,
    state: 'waiting',
    effect: 'did_not_happen',
    rev: 1,
    generation: 1,
    attempts: 0,
    tries: 0,
    lapses: 0,
    firstBegunAt: null,
    keySpent: false,
    createdAt: T0,
    dueAt: T0,
    expiresAt: null,
    giveUpAt: T0 + 200,
    open: [],
    facts: [],
    stop: null,
    lookup: null,
    reason: 'submitted',
    lastVerdict: null,
    given: '{}',
    input: null,
    result: null,
    resultMissing: null,
    supersedes: null,
    supersededBy: null,
    endedAt: null,
    encryptionKeyId: null,
    story: [{ at: T0, what: 'submitted' }],
    ...over,
  }
}

/** An event and the instant at which it comes, counted from T0. */
export type Dated = readonly [afterMs: number, event: CallEvent]

/** The decisions that these events lead to, one after another; entropy is one half throughout. */
export function play(policy: Policy, events: readonly Dated[], call: Call = newCall()): readonly Decision[] {
  const decisions: Decision[] = []
  let at = call
  for (const [afterMs, event] of events) {
    const decision = decide(at, event, policy, T0 + afterMs, 0.5)
    decisions.push(decision)
    at = decision.call
  }
  return decisions
}

/** Where these events leave a call. */
export function after(policy: Policy, events: readonly Dated[], call: Call = newCall()): Call {
  return play(policy, events, call).at(-1)?.call ?? call
}

/** The usual events, with the names and sentences that do not matter filled in. */
export const ev = {
  begin: { type: 'begin', worker: 'w1', version: 1 },
  beginAs: (version: number) => ({ type: 'begin', worker: 'w1', version }),
  applied: (attempt: number, reference?: string) => ({ type: 'answered', attempt, worker: 'w1', verdict: { kind: 'applied', result: '1', ...(reference === undefined ? {} : { reference }) } }),
  accepted: (attempt: number, reference = `r${attempt}`) => ({ type: 'answered', attempt, worker: 'w1', verdict: { kind: 'accepted', reference } }),
  rejected: (attempt: number, conclusive = false) => ({ type: 'answered', attempt, worker: 'w1', verdict: { kind: 'rejected', reason: 'declined', status: 402, ...(conclusive ? { conclusive } : {}) } }),
  notApplied: (attempt: number, retryAfterMs?: number) => ({ type: 'answered', attempt, worker: 'w1', verdict: { kind: 'not_applied', reason: 'refused', ...(retryAfterMs === undefined ? {} : { retryAfterMs }) } }),
  unknown: (attempt: number, keySpent = false) => ({ type: 'answered', attempt, worker: 'w1', verdict: { kind: 'unknown', reason: 'reset', ...(keySpent ? { keySpent } : {}) } }),
  lapsed: { type: 'lapsed', why: 'its worker died' },
  found: (askedAfterMs: number, reference?: string) => ({ type: 'looked', askedAt: T0 + askedAfterMs, answer: { kind: 'found', result: '2', ...(reference === undefined ? {} : { reference }) } }),
  absent: (askedAfterMs: number) => ({ type: 'looked', askedAt: T0 + askedAfterMs, answer: { kind: 'absent' } }),
  cannotTell: (askedAfterMs: number) => ({ type: 'looked', askedAt: T0 + askedAfterMs, answer: { kind: 'cannot_tell', reason: 'it is down' } }),
  comeBack: (askedAfterMs: number, retryAfterMs: number) => ({ type: 'looked', askedAt: T0 + askedAfterMs, answer: { kind: 'cannot_tell', reason: 'too many requests', retryAfterMs } }),
  confirm: (atMs: number, reference?: string) => ({ type: 'fact', fact: { kind: 'applied', at: T0 + atMs, by: 'webhook', ...(reference === undefined ? {} : { reference }) } }),
  refute: (atMs: number, attempt?: number) => ({ type: 'fact', fact: { kind: 'refuted', at: T0 + atMs, by: 'webhook', ...(attempt === undefined ? {} : { attempt }) } }),
  settle: (outcome: 'happened' | 'send_again' | 'stop') => ({ type: 'settle', outcome, by: 'ana', why: 'asked the provider' }),
  cancel: { type: 'cancel', by: 'ana', why: 'not wanted' },
  retryNow: { type: 'retry_now', by: 'ana', why: 'it is mended' },
  redrive: { type: 'redrive', by: 'ana', why: 'it is mended' },
  superseded: { type: 'superseded', byKey: 'o_18' },
  upgraded: { type: 'upgraded', version: 2, input: '{"v":2}' },
  held: (untilMs: number) => ({ type: 'held', untilAt: T0 + untilMs, why: 'the upgrade threw' }),
  restored: (lostSinceMs: number, noticedMs: number) => ({ type: 'restored', lostSinceAt: T0 + lostSinceMs, noticedAt: T0 + noticedMs, lookFirstUntilAt: T0 + noticedMs + 1_000, by: 'ana', why: 'a backup was restored' }),
  time: { type: 'time' },
} as const satisfies Record<string, CallEvent | ((...args: never[]) => CallEvent)>
