/**
 * decide(call, event, policy, now, entropy) → Decision: the only place where a call changes.
 *
 * Each handler records what the event says (attempt, fact, order to stop) and then asks `conclude` where the call
 * stands. What people may not do is refused as a value; what cannot happen stops as a broken invariant.
 */
import type { Alert } from './alert.ts'
import { alertsOf } from './alerts-of.ts'
import { type Call, type Fact, isEnd, type OpenAttempt } from './call.ts'
import { absenceCountsFrom, conclude, limitAt, resendIsSafe, stopInForce } from './conclude.ts'
import { invariant } from './errors.ts'
import { isApplied, saysMore, unrefuted, withFact } from './facts.ts'
import { LIMITS } from './limits.ts'
import { backoffMs, type Policy, windowOpen } from './policy.ts'
import { FORGOTTEN, isOnRecord, mayBeForgotten, mayHaveBeenOrdered, presumeSent, type Restored } from './set-back.ts'
import { type Entry, folded, type Happening, type Moved } from './story.ts'
import type { Verdict, WireExchange } from './verdict.ts'

export type LookupAnswer =
  | { readonly kind: 'found'; readonly result: string | null; readonly resultMissing?: string; readonly reference?: string }
  | { readonly kind: 'absent' }
  /** `retryAfterMs`: the provider said not to come back within this time. */
  | { readonly kind: 'cannot_tell'; readonly reason: string; readonly retryAfterMs?: number }

export type CallEvent =
  /** A worker wants to send. It may find the call stopped, or turned to a lookup, instead. */
  | { readonly type: 'begin'; readonly worker: string; readonly version: number; readonly release?: string }
  /** The outcome of an attempt, from the worker that holds the lease, or late from one that lost it. */
  | { readonly type: 'answered'; readonly attempt: number; readonly verdict: Verdict; readonly worker: string; readonly wire?: readonly WireExchange[]; readonly notes?: readonly string[] }
  /** The worker of the running attempt lost its lease or died. */
  | { readonly type: 'lapsed'; readonly why: string }
  | { readonly type: 'looked'; readonly askedAt: number; readonly answer: LookupAnswer; readonly wire?: readonly WireExchange[] }
  | { readonly type: 'fact'; readonly fact: Fact; readonly result?: string | null }
  | { readonly type: 'settle'; readonly outcome: 'happened' | 'send_again' | 'stop'; readonly by: string; readonly why: string; readonly result?: string | null; readonly reference?: string }
  | { readonly type: 'cancel'; readonly by: string; readonly why: string }
  | { readonly type: 'retry_now'; readonly by: string; readonly why: string }
  | { readonly type: 'redrive'; readonly by: string; readonly why: string; readonly priority?: number; readonly expiresAt?: number | null }
  | { readonly type: 'superseded'; readonly byKey: string }
  /** The stored input was brought to a newer version, before anything of this generation was sent. */
  | { readonly type: 'upgraded'; readonly version: number; readonly input: string }
  | { readonly type: 'held'; readonly untilAt: number; readonly why: string }
  /** The database has lost commits, and a person said since when. */
  | ({ readonly type: 'restored' } & Restored)
  /** Time has passed: look again. */
  | { readonly type: 'time' }

export type Decision = {
  readonly call: Call
  readonly alerts: readonly Alert[]
  /** The call reached an end, or its end was corrected: tell the application. */
  readonly settles: boolean
  /** An attempt was begun: its number. Bytes may leave once this is on record. */
  readonly begun: number | null
  /** Nobody may send to the provider before this instant (Retry-After). */
  readonly holdProviderUntilAt: number | null
  /** Why a person's action was not carried out. The call is unchanged. */
  readonly refused: string | null
}

type Step = { readonly call: Call; readonly entry: Happening | null; readonly begun?: number; readonly holdUntilAt?: number | undefined }
type Refusal = { readonly refused: string }

/** @param entropy uniform in [0, 1): the jitter of whatever wait this decision makes. */
export function decide(call: Call, event: CallEvent, policy: Policy, now: number, entropy: number): Decision {
  const step = apply(call, event, policy, now, entropy)
  if ('refused' in step) return { call, alerts: [], settles: false, begun: null, holdProviderUntilAt: null, refused: step.refused }
  const changed = step.call !== call || step.entry !== null
  const moved = changed ? { ...step.call, rev: call.rev + 1, story: step.entry ? told(call, step.call, step.entry, now) : step.call.story } : call
  assertSound(moved)
  return {
    call: moved,
    alerts: changed ? alertsOf(call, moved, event, policy, now) : [],
    settles: isEnd(moved.state) && moved.state !== call.state,
    begun: step.begun ?? null,
    holdProviderUntilAt: step.holdUntilAt ?? null,
    refused: null,
  }
}

/**
 * The same for a person's order to send, after the database has lost commits: what may have been ordered and sent in the lost
 * time is presumed to have been, and looked up first where the provider can be asked (contract 13).
 */
export function decideOrder(call: Call, event: CallEvent, policy: Policy, now: number, entropy: number, restored: Restored | null): Decision {
  const decision = decide(call, event, policy, now, entropy)
  if (restored === null || decision.refused !== null || !mayHaveBeenOrdered(call, restored)) return decision
  // Of several orders in the lost time each has had a key of its own: that this key may be sent again says nothing of the others.
  const asked = policy.answer === 'providerKey' && policy.hasLookup ? { ...decision.call, keySpent: true } : decision.call
  const presumed = decide(asked, { type: 'restored', ...restored }, policy, now, entropy)
  return presumed.call === asked ? decision : { ...presumed, alerts: [...decision.alerts, ...presumed.alerts] }
}

/** What holds of every record, whatever happened (kept on in production). */
function assertSound(call: Call): void {
  const running = call.open.some((attempt) => attempt.closedAt === null)
  invariant(call.state !== 'running' || running, `${call.id} is running without a running attempt`)
  if (isEnd(call.state) && call.effect !== 'happened') {
    invariant(unrefuted(call).length === 0, `${call.id} would end ${call.state} with an attempt in doubt`)
  }
  invariant(call.effect !== 'happened' || isApplied(call), `${call.id} would have happened without a fact that says so`)
}

/** The story with one more entry, which says where it moved the call. Never before the entry it follows: another process's reading of the time may be a moment ahead. */
function told(before: Call, after: Call, happening: Happening, now: number): readonly Entry[] {
  const moved: { -readonly [K in keyof Moved]: Moved[K] } = {}
  if (after.state !== before.state) moved.to = after.state
  if (after.effect !== before.effect) moved.effect = after.effect
  if (after.generation !== before.generation) moved.generation = after.generation
  if (after.dueAt !== before.dueAt && after.dueAt !== null) moved.due = after.dueAt
  const entry: Entry = { at: Math.max(now, before.story.at(-1)?.at ?? now), ...happening, ...moved }
  return folded([...before.story, entry], LIMITS.storyEntries)
}

function apply(call: Call, event: CallEvent, policy: Policy, now: number, entropy: number): Step | Refusal {
  switch (event.type) {
    case 'begin': return begin(call, event, policy, now)
    case 'answered': return answered(call, event, policy, now, entropy)
    case 'lapsed': return lapsed(call, event.why, policy, now, entropy)
    case 'looked': return looked(call, event, policy, now, entropy)
    case 'fact': return learned(call, event.fact, event.result, policy, now, entropy)
    case 'settle': return settled(call, event, policy, now)
    case 'cancel': return cancelled(call, event, policy, now)
    case 'retry_now': return retriedNow(call, event, policy, now)
    case 'redrive': return redriven(call, event, policy, now)
    case 'superseded': return superseded(call, event.byKey)
    case 'upgraded': return upgraded(call, event)
    case 'held': return held(call, event, policy, now)
    case 'restored': return mayBeForgotten(call, event, policy) ? presumeSent(call, event, policy, now) : { call, entry: null }
    case 'time': return timePassed(call, policy, now)
  }
}

function begin(before: Call, event: CallEvent & { type: 'begin' }, policy: Policy, now: number): Step {
  invariant(before.state === 'waiting', `${before.id} is ${before.state} and was to begin`)
  const doubt = unrefuted(before)
  if (stopInForce(before, policy, now) || (doubt.length > 0 && !resendIsSafe(before, policy, now))) {
    const call = conclude(before, policy, now, now)
    return { call, entry: { what: 'time', why: call.stop ? call.stop.why : 'sending again is not safe any more' } }
  }
  if (before.version !== event.version) {
    invariant(doubt.length > 0, `${before.id} holds version ${before.version} and was to begin as ${event.version}; upgrade it first`)
    return otherVersion(before, event.version, policy, now)
  }
  const call = doubt.length === 0 && needsFreshKey(before, policy, now) ? freshGeneration(before) : before
  const n = call.attempts + 1
  const deadlineAt = now + policy.timeoutMs
  const attempt: OpenAttempt = { n, generation: call.generation, worker: event.worker, begunAt: now, deadlineAt, closedAt: null, verdict: null }
  const next: Call = {
    ...call,
    state: 'running',
    effect: 'unknown',
    dueAt: null,
    attempts: n,
    tries: call.tries + 1,
    firstBegunAt: call.firstBegunAt ?? now,
    // Attempts that a fact has closed leave the list here: it would grow with each cycle of sending and looking.
    open: doubt.length === 0 ? [attempt] : [...doubt, attempt],
    reason: `attempt ${n} is running`,
  }
  const entry: Happening = { what: 'begun', attempt: n, worker: event.worker, deadlineAt, version: call.version, ...(event.release === undefined ? {} : { release: event.release }) }
  return { call: next, entry, begun: n }
}

/** A key whose stored answer never changes, or whose window is over. Asked only where no attempt is in doubt. */
function needsFreshKey(call: Call, policy: Policy, now: number): boolean {
  return call.firstBegunAt !== null && (call.keySpent || !windowOpen(policy, call.firstBegunAt, now))
}

function freshGeneration(call: Call): Call {
  return { ...call, generation: call.generation + 1, keySpent: false, firstBegunAt: null, open: [] }
}

/** Whether the stored input may be upgraded now: no attempt of the generation has begun, or all certainly came to nothing. */
export function mayUpgrade(call: Call): boolean {
  return call.state === 'waiting' && unrefuted(call).length === 0
}

function otherVersion(call: Call, version: number, policy: Policy, now: number): Step {
  // Only the version that sent it, or a lookup, may go on (contract 5).
  const why = `an attempt with version ${call.version} is in doubt; version ${version} must not repeat it with other content`
  if (!policy.hasLookup || policy.answer !== 'providerKey') return { call: { ...call, dueAt: Math.min(now + 30_000, limitAt(call) ?? Number.POSITIVE_INFINITY), reason: why }, entry: { what: 'held', why } }
  const checking = { ...call, keySpent: true }
  return { call: { ...conclude(checking, policy, now, now), reason: why }, entry: { what: 'held', why } }
}

function answered(call: Call, event: CallEvent & { type: 'answered' }, policy: Policy, now: number, entropy: number): Step {
  const mine = call.open.find((attempt) => attempt.n === event.attempt && attempt.closedAt === null && attempt.worker === event.worker)
  if (call.state !== 'running' || !mine) return answeredLate(call, event, policy, now, entropy)
  const verdict = event.verdict
  const entry: Happening = {
    what: 'closed',
    attempt: event.attempt,
    verdict: verdict.kind,
    ...('reason' in verdict ? { why: verdict.reason } : {}),
    ...('status' in verdict && verdict.status !== undefined ? { status: verdict.status } : {}),
    ...('reference' in verdict && verdict.reference !== undefined ? { reference: verdict.reference } : {}),
    ...(event.wire && event.wire.length > 0 ? { wire: event.wire } : {}),
    ...(event.notes && event.notes.length > 0 ? { notes: event.notes } : {}),
  }
  const closed = close(call, mine, verdict, policy, now)
  const wait = waitMs(verdict)
  const retryAt = now + Math.max(backoffMs(policy, closed.tries, entropy), wait)
  return { call: conclude(closed, policy, now, retryAt), entry, ...(wait > 0 ? { holdUntilAt: now + wait } : {}) }
}

/** How long the provider told us to stay away. A verdict function of the user's may come up with any number; one that is no length of time must not become an instant. */
function waitMs(said: Verdict | LookupAnswer): number {
  const told = 'retryAfterMs' in said ? (said.retryAfterMs ?? 0) : 0
  return Number.isFinite(told) ? Math.min(Math.max(0, Math.ceil(told)), LIMITS.retryAfterMs) : 0
}

/** Records what a verdict says of its own attempt. */
function close(call: Call, attempt: OpenAttempt, verdict: Verdict, policy: Policy, now: number): Call {
  const others = call.open.filter((other) => other !== attempt)
  const base = { ...call, lastVerdict: verdict.kind, lapses: 0 }
  switch (verdict.kind) {
    case 'applied': {
      const fact: Fact = { kind: 'applied', at: now, by: `attempt ${attempt.n}`, attempt: attempt.n, generation: attempt.generation, ...(verdict.reference === undefined ? {} : { reference: verdict.reference }) }
      return { ...base, open: others, facts: withFact(call.facts, fact), result: verdict.result, resultMissing: verdict.resultMissing ?? null, reason: `attempt ${attempt.n} was applied` }
    }
    case 'accepted':
      return { ...base, open: [...(policy.answer === 'providerKey' ? [] : others), { ...attempt, closedAt: now, verdict: 'accepted', reference: verdict.reference }], reason: `accepted as ${verdict.reference}; the result comes later` }
    case 'rejected': {
      const conclusive = verdict.conclusive === true && policy.answer === 'providerKey'
      const stop = call.stop ?? { kind: 'refuse' as const, at: now, by: `attempt ${attempt.n}`, why: verdict.reason }
      return { ...base, open: conclusive ? others.filter((other) => other.generation !== attempt.generation) : others, stop, reason: verdict.reason }
    }
    case 'not_applied':
      return { ...base, open: others, keySpent: call.keySpent || verdict.keySpent === true, reason: verdict.reason }
    case 'unknown':
      return { ...base, open: [...others, { ...attempt, closedAt: now, verdict: 'unknown', reason: verdict.reason }], keySpent: call.keySpent || verdict.keySpent === true, reason: verdict.reason }
  }
}

/** The answer of an attempt that is not running any more is a fact about that attempt (contract 6). */
function answeredLate(call: Call, event: CallEvent & { type: 'answered' }, policy: Policy, now: number, entropy: number): Step {
  const { verdict, attempt } = event
  const entry: Happening = { what: 'late', attempt, verdict: verdict.kind, worker: event.worker, ...('reason' in verdict ? { why: verdict.reason } : {}), ...('reference' in verdict && verdict.reference !== undefined ? { reference: verdict.reference } : {}), ...(event.wire && event.wire.length > 0 ? { wire: event.wire } : {}) }
  const by = `late answer of attempt ${attempt}`
  if (verdict.kind === 'unknown') return { call, entry }
  // A database that lost commits may have given its number to another attempt since: that it happened is true all the same.
  const isKnown = isOnRecord(call, attempt, event.worker)
  if (verdict.kind === 'accepted') return { call: acceptedLate(call, attempt, verdict.reference, event.worker, policy, now), entry }
  if (verdict.kind === 'applied') {
    const generation = isKnown ? call.open.find((known) => known.n === attempt)?.generation : undefined
    const fact: Fact = { kind: 'applied', at: now, by, ...(isKnown ? { attempt } : {}), ...(generation === undefined ? {} : { generation }), ...(verdict.reference === undefined ? {} : { reference: verdict.reference }) }
    const known = { ...call, facts: withFact(call.facts, fact), result: call.result ?? verdict.result, resultMissing: call.result === null ? (verdict.resultMissing ?? call.resultMissing) : call.resultMissing, reason: `${by}: applied` }
    return { call: conclude(known, policy, now, now), entry }
  }
  // Its own next attempt waits, too: the scope that is held is everybody's.
  const wait = waitMs(verdict)
  const hold = wait > 0 ? { holdUntilAt: now + wait } : {}
  if (!isKnown) return { call, entry, ...hold }
  const fact: Fact = { kind: 'refuted', at: now, by, attempt, reason: verdict.reason }
  // A refusal is a refusal, late or not; but it does not stop what a person ordered since (its attempt is not open any more).
  const refuses = verdict.kind === 'rejected' && !isEnd(call.state) && call.open.some((known) => known.n === attempt)
  const stop = call.stop ?? (refuses ? { kind: 'refuse' as const, at: now, by: `attempt ${attempt}`, why: verdict.reason } : null)
  const closed = { ...call, stop, facts: withFact(call.facts, fact), open: call.open.map((known) => (known.n === attempt && known.closedAt === null ? { ...known, closedAt: now, verdict: 'unknown' as const } : known)) }
  return { call: conclude(closed, policy, now, retryAtOf(call, policy, now, entropy)), entry, ...hold }
}

/** The provider took it after all. An end stands (people are told); an open call is not sent again, whatever the record thought of that attempt. */
function acceptedLate(call: Call, n: number, reference: string, worker: string, policy: Policy, now: number): Call {
  const known = call.open.find((attempt) => (isOnRecord(call, n, worker) ? attempt.n === n : attempt.worker === FORGOTTEN))
  if (isEnd(call.state) || known?.verdict === 'accepted') return call
  // Generation 0 stands for one that is over: no answer under a later key speaks for it.
  const attempt = known ?? { n, generation: 0, worker, begunAt: now, deadlineAt: now }
  const accepted: OpenAttempt = { ...attempt, closedAt: now, verdict: 'accepted', reference }
  const lookup = call.lookup && { ...call.lookup, absences: 0 }
  return conclude({ ...call, lookup, open: [...call.open.filter((other) => other !== known), accepted], reason: `accepted late as ${reference}; the result comes later` }, policy, now, now)
}

/** An instant for the next attempt when the record has none: soon, with jitter. */
function retryAtOf(call: Call, policy: Policy, now: number, entropy: number): number {
  return call.state === 'waiting' && call.dueAt !== null ? call.dueAt : now + backoffMs(policy, call.tries, entropy)
}

function lapsed(call: Call, why: string, policy: Policy, now: number, entropy: number): Step {
  const running = call.open.find((attempt) => attempt.closedAt === null)
  invariant(call.state === 'running' && running, `${call.id} is ${call.state} and was to lapse`)
  const closedAt = Math.max(now, running.deadlineAt)
  const open = call.open.map((attempt) => (attempt === running ? { ...attempt, closedAt, verdict: 'unknown' as const, reason: why } : attempt))
  const next = { ...call, open, lapses: call.lapses + 1, lastVerdict: 'unknown' as const, reason: why }
  return {
    call: conclude(next, policy, now, now + backoffMs(policy, Math.max(next.tries, next.lapses), entropy)),
    entry: { what: 'lapsed', attempt: running.n, worker: running.worker, why },
  }
}

function looked(call: Call, event: CallEvent & { type: 'looked' }, policy: Policy, now: number, entropy: number): Step {
  const { answer, askedAt } = event
  const wire = event.wire && event.wire.length > 0 ? { wire: event.wire } : {}
  if (answer.kind === 'found') {
    const reference = answer.reference === undefined ? {} : { reference: answer.reference }
    const known = { ...call, facts: withFact(call.facts, { kind: 'applied', at: askedAt, by: 'lookup', ...reference }), result: call.result ?? answer.result, resultMissing: call.result === null ? (answer.resultMissing ?? call.resultMissing) : call.resultMissing, reason: 'a lookup found the effect' }
    return { call: conclude(known, policy, now, now), entry: { what: 'looked', answer: 'found', counted: true, ...reference, ...wire } }
  }
  const asks = (call.state === 'checking' || call.state === 'accepted') && !isEnd(call.state)
  if (!asks) return { call, entry: { what: 'looked', answer: answer.kind, counted: false, ...wire } }
  const open = unrefuted(call)
  const counted = answer.kind === 'absent' && askedAt >= absenceCountsFrom(policy, open)
  const before = call.lookup ?? { since: now, asked: 0, absences: 0, spent: false }
  const absences = counted ? before.absences + 1 : answer.kind === 'absent' ? before.absences : 0
  const entry: Happening = { what: 'looked', answer: answer.kind, counted, ...(answer.kind === 'cannot_tell' ? { why: answer.reason } : {}), ...wire }
  if (absences >= policy.absences) return { call: provenAbsent(call, askedAt, policy, now, entropy), entry }
  // Patience is counted from the first question, not from before it could be put, and an absence that counts is on its way to a proof.
  const since = before.asked === 0 ? now : before.since
  const spent = call.state === 'checking' ? !counted && now - since >= policy.lookupForMs : before.spent || now - since >= policy.acceptedOverdueMs
  const progress = { since, asked: before.asked + 1, absences, spent }
  const wait = waitMs(answer)
  const dueAt = now + Math.max(askAgainMs(policy, call, progress.asked, counted, entropy), wait)
  const next = { ...call, lookup: progress, dueAt, reason: answer.kind === 'absent' ? 'not seen at the provider yet' : `the lookup cannot tell: ${answer.reason}` }
  return { call: conclude(next, policy, now, now), entry, ...(wait > 0 ? { holdUntilAt: now + wait } : {}) }
}

function provenAbsent(call: Call, askedAt: number, policy: Policy, now: number, entropy: number): Call {
  const fact: Fact = { kind: 'refuted', at: askedAt, by: 'lookup', reason: 'the provider does not know it' }
  const known = { ...call, facts: withFact(call.facts, fact), reason: 'a lookup proved that it did not happen' }
  return conclude(known, policy, now, now + backoffMs(policy, 1, entropy))
}

/** Until the next question: the settle time between two absences, else backoff from lookupEvery up to an hour. */
function askAgainMs(policy: Policy, call: Call, asked: number, counted: boolean, entropy: number): number {
  if (call.state === 'accepted') return Math.max(1, Math.round((policy.pollEveryMs ?? policy.lookupEveryMs) * (0.75 + entropy / 2)))
  if (counted) return Math.max(policy.settleMs, policy.lookupEveryMs)
  return Math.max(1, Math.round(Math.min(3_600_000, policy.lookupEveryMs * 2 ** Math.min(asked - 1, 20)) * (0.75 + entropy / 2)))
}

function learned(call: Call, told: Fact, result: string | null | undefined, policy: Policy, now: number, entropy: number): Step | Refusal {
  // Of an attempt that was never begun here nothing can be denied; that it happened is true all the same (a restored backup).
  if (told.kind === 'refuted' && told.attempt !== undefined && told.attempt > call.attempts) return { refused: `it has begun ${call.attempts} attempts, not ${told.attempt}` }
  // Nobody knows the future: dated later than now, it would cover attempts that are still to come.
  const fact = told.at > now ? { ...told, at: now } : told
  const facts = withFact(call.facts, fact)
  if (facts === call.facts) return { call, entry: null }
  if (facts.length > LIMITS.factsPerCall && !saysMore(call.facts, fact, LIMITS.factsPerCall)) return { refused: `it already keeps ${LIMITS.factsPerCall} facts` }
  const entry: Happening = {
    what: 'fact',
    kind: fact.kind,
    by: fact.by,
    instant: fact.at,
    ...(fact.attempt === undefined ? {} : { attempt: fact.attempt }),
    ...(fact.reference === undefined ? {} : { reference: fact.reference }),
    ...(fact.reason === undefined ? {} : { why: fact.reason }),
  }
  const known = { ...call, facts, result: call.result ?? (fact.kind === 'applied' ? (result ?? null) : null), reason: isEnd(call.state) && fact.kind === 'refuted' ? call.reason : `${fact.by} says it ${fact.kind === 'applied' ? 'happened' : 'did not happen'}` }
  return { call: conclude(known, policy, now, retryAtOf(call, policy, now, entropy)), entry }
}

function settled(call: Call, event: CallEvent & { type: 'settle' }, policy: Policy, now: number): Step | Refusal {
  const action = { what: 'action' as const, action: `settle: ${event.outcome}`, by: event.by, why: event.why }
  if (event.outcome === 'happened') {
    const fact: Fact = { kind: 'applied', at: now, by: event.by, reason: event.why, ...(event.reference === undefined ? {} : { reference: event.reference }) }
    const known = { ...call, facts: withFact(call.facts, fact), result: call.result ?? event.result ?? null, reason: `${event.by} says it happened` }
    return { call: conclude(known, policy, now, now), entry: action }
  }
  if (isEnd(call.state)) return { refused: `it already ended ${call.state}${call.effect === 'did_not_happen' ? '; use redrive to send it again' : ''}` }
  if (call.state === 'accepted' && event.outcome === 'send_again') return { refused: 'the provider accepted it; what is accepted is never sent again. Settle it as stopped, then redrive' }
  const open = unrefuted(call)
  if (open.length === 0) return { refused: `nothing about it is in doubt (it is ${call.state}); use ${event.outcome === 'stop' ? 'cancel' : 'retry'}` }
  const overFrom = open.reduce((latest, attempt) => Math.max(latest, attempt.closedAt ?? Number.POSITIVE_INFINITY, attempt.deadlineAt), 0)
  if (overFrom >= now) return { refused: Number.isFinite(overFrom) ? `bytes of its last attempt may leave until ${new Date(overFrom).toISOString()}; say so again after that` : 'an attempt is running; wait for its end' }
  const fact: Fact = { kind: 'refuted', at: now, by: event.by, reason: event.why }
  const again = event.outcome === 'send_again'
  const known: Call = {
    ...call,
    facts: withFact(call.facts, fact),
    stop: again ? null : { kind: 'cancel', at: now, by: event.by, why: event.why },
    tries: again ? 0 : call.tries,
    giveUpAt: again && call.giveUpAt !== null ? Math.max(call.giveUpAt, now + policy.giveUpAfterMs) : call.giveUpAt,
    open: again ? [] : call.open,
    ...(again && call.firstBegunAt !== null ? { generation: call.generation + 1, keySpent: false, firstBegunAt: null } : {}),
    reason: `${event.by} says it did not happen`,
  }
  return { call: conclude(known, policy, now, now), entry: action }
}

function cancelled(call: Call, event: CallEvent & { type: 'cancel' }, policy: Policy, now: number): Step | Refusal {
  if (isEnd(call.state)) return { refused: `it already ended ${call.state}` }
  if (call.stop?.kind === 'cancel') return { refused: `${call.stop.by} already cancelled it; its end waits until no attempt is in doubt` }
  const stop = { kind: 'cancel' as const, at: now, by: event.by, why: event.why }
  const next = { ...call, stop, reason: `cancelled by ${event.by}` }
  return { call: conclude(next, policy, now, now), entry: { what: 'action', action: 'cancel', by: event.by, why: event.why } }
}

function retriedNow(call: Call, event: CallEvent & { type: 'retry_now' }, policy: Policy, now: number): Step | Refusal {
  const entry = { what: 'action' as const, action: 'retry now', by: event.by, why: event.why }
  if (call.state === 'waiting') return { call: { ...call, dueAt: now }, entry }
  const asks = policy.hasLookup && (call.state === 'checking' || (call.state === 'accepted' && policy.pollEveryMs !== null))
  if (asks) return { call: { ...call, dueAt: now }, entry }
  if (call.state === 'in_doubt' && policy.hasLookup) return { call: conclude({ ...call, state: 'waiting', lookup: null }, policy, now, now), entry }
  return { refused: `it is ${call.state}${call.state === 'in_doubt' ? ' and no lookup exists; settle it' : isEnd(call.state) ? '; use redrive' : ''}` }
}

function redriven(call: Call, event: CallEvent & { type: 'redrive' }, policy: Policy, now: number): Step | Refusal {
  const entry = { what: 'action' as const, action: 'redrive', by: event.by, why: event.why }
  if (call.state === 'in_doubt') {
    if (!policy.hasLookup) return { refused: 'it is in doubt and no lookup exists; settle it first' }
    const again = { ...call, ...renewed(call, event, policy, now), state: 'waiting' as const, stop: { kind: 'give_up' as const, at: now, by: event.by, why: 'redrive looks first' } }
    return { call: { ...conclude(again, policy, now, now), stop: null }, entry }
  }
  if (!isEnd(call.state)) return { refused: `it is ${call.state} and goes on by itself` }
  if (call.effect !== 'did_not_happen') return { refused: 'it happened; sending it again needs a new key' }
  if (call.supersededBy !== null) return { refused: `key "${call.supersededBy}" replaced it` }
  const taken = acceptedAfterEnd(call)
  if (taken !== null) return { refused: `the provider accepted its attempt ${taken} after all; confirm it when it happened, or refute attempt ${taken}` }
  const fresh: Call = { ...freshGeneration(call), ...renewed(call, event, policy, now), state: 'waiting', stop: null, endedAt: null, reason: `redriven by ${event.by}` }
  return { call: conclude(fresh, policy, now, now), entry }
}

/** What a redrive gives anew: time, attempts, and its place in the order of work. An expiry that has passed is lifted. */
function renewed(call: Call, event: CallEvent & { type: 'redrive' }, policy: Policy, now: number): Pick<Call, 'tries' | 'lapses' | 'lookup' | 'expiresAt' | 'giveUpAt' | 'priority'> {
  const expiresAt = event.expiresAt !== undefined ? event.expiresAt : call.expiresAt !== null && call.expiresAt <= now ? null : call.expiresAt
  return { tries: 0, lapses: 0, lookup: null, expiresAt, giveUpAt: now + policy.giveUpAfterMs, priority: event.priority ?? call.priority }
}

/** Whether another call may take this one's purpose: it certainly did not happen, and never will. */
export function admitsSuccessor(call: Call): boolean {
  return isEnd(call.state) && call.effect === 'did_not_happen' && call.supersededBy === null && acceptedAfterEnd(call) === null
}

/** An attempt that a late answer called accepted when the call had ended without it, and that no later fact has denied. */
function acceptedAfterEnd(call: Call): number | null {
  let state = call.state
  const taken = new Map<number, number>()
  for (const entry of call.story) {
    if (entry.what === 'late' && entry.verdict === 'accepted' && isEnd(state)) taken.set(entry.attempt, entry.at)
    state = entry.to ?? (entry.what === 'submitted' ? 'waiting' : state)
  }
  for (const [attempt, at] of taken) {
    const denied = call.facts.some((fact) => fact.kind === 'refuted' && fact.generation === undefined && fact.at >= at && (fact.attempt ?? attempt) === attempt)
    if (!denied) return attempt
  }
  return null
}

function superseded(call: Call, byKey: string): Step | Refusal {
  if (call.supersededBy === byKey) return { call, entry: null }
  if (!admitsSuccessor(call)) return { refused: call.supersededBy !== null ? `key "${call.supersededBy}" already replaced it` : `it is ${call.state} (effect: ${call.effect})` }
  return { call: { ...call, supersededBy: byKey }, entry: { what: 'action', action: 'superseded', by: 'submit', why: `key "${byKey}" takes its purpose` } }
}

function upgraded(call: Call, event: CallEvent & { type: 'upgraded' }): Step {
  invariant(mayUpgrade(call), `${call.id} is ${call.state} with begun attempts and was to be upgraded`)
  const begunBefore = call.firstBegunAt === null ? call : freshGeneration(call)
  return { call: { ...begunBefore, version: event.version, input: event.input }, entry: { what: 'upgraded', from: call.version, version: event.version } }
}

function held(call: Call, event: CallEvent & { type: 'held' }, policy: Policy, now: number): Step {
  invariant(call.state === 'waiting' || call.state === 'checking' || call.state === 'accepted', `${call.id} is ${call.state} and was to be held`)
  // Where its time is up it is not held but ended or stopped; else it would be due again at once, for ever.
  const stands = conclude(call, policy, now, call.dueAt ?? now)
  if (stands.state !== call.state) return { call: stands, entry: { what: 'time', why: stands.stop?.why ?? 'its time has come' } }
  const endsAt = call.state === 'waiting' ? limitAt(call) : null
  const dueAt = Math.max(call.dueAt ?? 0, Math.min(event.untilAt, endsAt ?? event.untilAt))
  return { call: { ...call, dueAt, reason: event.why }, entry: { what: 'held', why: event.why } }
}

function timePassed(call: Call, policy: Policy, now: number): Step {
  invariant(!isEnd(call.state) && call.state !== 'running', `${call.id} is ${call.state}; time does not move it`)
  const next = conclude(call, policy, now, call.dueAt ?? now)
  const polls = policy.hasLookup && policy.pollEveryMs !== null
  if (call.state === 'accepted' && !polls && call.dueAt !== null && call.dueAt <= now && next.state === 'accepted') {
    return { call: { ...next, dueAt: now + policy.acceptedOverdueMs }, entry: { what: 'time', why: 'no result yet' } }
  }
  return next === call ? { call, entry: null } : { call: next, entry: { what: 'time', why: next.stop?.why ?? 'its time has come' } }
}
