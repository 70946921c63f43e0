/**
 * Every sequence of events in small spaces, checked against an oracle.
 *
 * The search walks breadth-first over distinct situations (record, oracle and clock, with instants relative to now)
 * of one call, for each answer × lookup × expiry, and tries every event of the alphabet in each. The oracle knows
 * nothing of `facts.ts` and `conclude.ts`: it keeps its own books of what the evidence delivered so far allows,
 * that is, which attempts may have had an effect.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ev, newCall, policyOf, T0 } from './call.fixture.ts'
import { type Call, isEnd } from './call.ts'
import { type CallEvent, type Decision, decide, mayUpgrade } from './decide.ts'
import type { Policy } from './policy.ts'
import { replay } from './story.ts'

/** What evidence allows of one attempt. */
type Possible = { readonly n: number; readonly generation: number; readonly version: number; readonly deadlineAt: number; readonly overAt: number; readonly accepted: boolean }

type Oracle = {
  /** Attempts that may have had an effect. */
  readonly possible: readonly Possible[]
  readonly running: number | null
  readonly happened: boolean
  /** Valid absences since the last begin, acceptance or answer that tells nothing. */
  readonly absences: number
  /** First begin under the current key. */
  readonly keyFirstUsedAt: number | null
  readonly keySpent: boolean
  /** Somebody ordered to send no more, and nobody took it back. */
  readonly stopped: boolean
  /** The provider took it, and no person ordered another one since. */
  readonly taken: boolean
  /** The generation of each attempt, the first at index 1. */
  readonly generations: readonly number[]
  /** Attempts whose acceptance is known; hearing it again says nothing new. */
  readonly accepted: readonly number[]
  /** Attempts that a named fact refutes as soon as they are over. */
  readonly named: readonly number[]
  /** The attempt that stands for whatever a database forgot. Nobody on record has made it. */
  readonly presumed: number | null
}

const NOTHING: Oracle = { possible: [], running: null, happened: false, absences: 0, keyFirstUsedAt: null, keySpent: false, stopped: false, taken: false, generations: [0], accepted: [], named: [], presumed: null }

type Node = { readonly call: Call; readonly oracle: Oracle; readonly now: number; readonly path: readonly string[] }
type Move = { readonly name: string; readonly event: CallEvent | null; readonly now: number }
type Space = { readonly name: string; readonly policy: Policy; readonly expiresAt: number | null }

/** What may come next: every event that the engine or a person could bring to a call in this state. */
function movesOf({ call, now }: Node, policy: Policy): readonly Move[] {
  const moves: Move[] = []
  const add = (name: string, event: CallEvent | null, at = now): void => void moves.push({ name, event, now: at })
  const running = call.open.find((attempt) => attempt.closedAt === null)
  if (call.state === 'waiting') add('begin', ev.beginAs(call.version))
  if (call.state === 'waiting' && call.version === 1 && !mayUpgrade(call)) add('begin as version 2', ev.beginAs(2))
  if (call.state === 'waiting' && call.version === 1 && mayUpgrade(call)) add('upgraded', ev.upgraded)
  if (call.state === 'running') add('lapsed', ev.lapsed)
  for (let n = 1; n <= call.attempts; n++) {
    // Any attempt that was begun may still answer, late; each answer may come twice.
    const late = running?.n === n ? '' : 'late '
    add(`${late}applied ${n}`, ev.applied(n, `r${n}`))
    add(`${late}accepted ${n}`, ev.accepted(n))
    add(`${late}rejected ${n}`, ev.rejected(n))
    add(`${late}not applied ${n}`, ev.notApplied(n))
    add(`${late}unknown ${n}`, ev.unknown(n))
    if (running?.n === n) add(`rejected conclusively ${n}`, ev.rejected(n, true))
    if (running?.n === n) add(`unknown, key spent ${n}`, ev.unknown(n, true))
    if (running?.n === n) add(`told to wait ${n}`, ev.notApplied(n, 20))
    add(`refuted ${n}`, ev.refute(now - T0, n))
  }
  if (policy.hasLookup) {
    add('found', ev.found(now - T0))
    add('absent', ev.absent(now - T0))
    add('absent, asked 8 earlier', ev.absent(now - 8 - T0))
    add('cannot tell', ev.cannotTell(now - T0))
  }
  add('confirmed', ev.confirm(now - T0))
  add('refuted', ev.refute(now - T0))
  add('refuted as of 12 earlier', ev.refute(now - 12 - T0))
  for (const outcome of ['happened', 'send_again', 'stop'] as const) add(`settled ${outcome}`, ev.settle(outcome))
  add('cancel', ev.cancel)
  add('retry now', ev.retryNow)
  add('redrive', ev.redrive)
  if (!call.story.some((entry) => entry.what === 'presumed')) add('restored', ev.restored(now - 12 - T0, now - T0))
  if (!isEnd(call.state) && call.state !== 'running') add('time', ev.time)
  if (call.state === 'waiting' || call.state === 'checking' || call.state === 'accepted') add('held', ev.held(now + 9 - T0))
  if (call.dueAt !== null && call.dueAt > now) add('→ due', null, call.dueAt)
  add('→ +16', null, now + 16)
  add('→ +60', null, now + 60)
  if (call.expiresAt !== null && call.expiresAt > now) add('→ expiry', null, call.expiresAt)
  if (call.giveUpAt !== null && call.giveUpAt > now) add('→ give up', null, call.giveUpAt)
  return moves
}

/** The oracle's books after an event; `decision` tells it only whether the event was carried out, and what was begun. */
function learn(before: Oracle, call: Call, event: CallEvent, decision: Decision, policy: Policy, now: number): Oracle {
  if (decision.refused !== null) return before
  const without = (n: number): readonly Possible[] => before.possible.filter((one) => one.n !== n)
  switch (event.type) {
    case 'begin': {
      if (decision.begun === null) return before
      const sameKey = decision.call.generation === call.generation
      const attempt = { n: decision.begun, generation: decision.call.generation, version: decision.call.version, deadlineAt: now + policy.timeoutMs, overAt: Number.POSITIVE_INFINITY, accepted: false }
      return { ...before, possible: [...before.possible, attempt], generations: [...before.generations, attempt.generation], running: decision.begun, absences: 0, keyFirstUsedAt: sameKey ? (before.keyFirstUsedAt ?? now) : now, keySpent: sameKey && before.keySpent }
    }
    case 'answered':
      return pruned(answers(before, call, event, policy, now, without))
    case 'lapsed':
      return pruned({ ...before, running: null, possible: before.possible.map((one) => (one.n === before.running ? { ...one, overAt: Math.max(now, one.deadlineAt) } : one)) })
    case 'looked': {
      if (event.answer.kind === 'found') return { ...before, happened: true }
      if (call.state !== 'checking' && call.state !== 'accepted') return before
      if (event.answer.kind === 'cannot_tell') return { ...before, absences: 0 }
      const valid = before.possible.every((one) => event.askedAt > (one.accepted ? one.overAt : Math.max(one.overAt, one.deadlineAt)) + policy.settleMs)
      const absences = valid ? before.absences + 1 : before.absences
      return absences >= policy.absences ? { ...before, absences, possible: [] } : { ...before, absences }
    }
    case 'fact': {
      const { fact } = event
      if (fact.kind === 'applied') return { ...before, happened: true }
      if (fact.attempt !== undefined) return pruned({ ...before, named: [...new Set([...before.named, fact.attempt])].sort() })
      return { ...before, possible: before.possible.filter((one) => one.overAt >= Math.min(fact.at, now)) }
    }
    case 'settle':
      if (event.outcome === 'happened') return { ...before, happened: true }
      claim(before.running === null, 'a person settles nothing while an attempt runs')
      claim(before.possible.every((one) => Math.max(one.overAt, one.deadlineAt) < now), 'a person settles only what is over')
      return { ...before, possible: [], stopped: event.outcome === 'stop', taken: false, ...(event.outcome === 'send_again' ? { keyFirstUsedAt: null, keySpent: false } : {}) }
    case 'cancel':
      return { ...before, stopped: true }
    case 'redrive':
      return { ...before, stopped: false, taken: false, ...(isEnd(call.state) ? { keyFirstUsedAt: null, keySpent: false } : {}) }
    case 'upgraded':
      return { ...before, keyFirstUsedAt: null, keySpent: false }
    case 'retry_now':
      return call.state === 'in_doubt' ? { ...before, absences: 0 } : before
    case 'restored': {
      if (decision.call === call) {
        claim(isEnd(call.state) || call.state === 'accepted' || (call.state === 'waiting' && (call.dueAt ?? now) > now), 'what a worker could have sent is presumed sent')
        return before
      }
      const presumed = call.attempts + 1
      const attempt = { n: presumed, generation: call.generation, version: call.version, deadlineAt: event.noticedAt + policy.timeoutMs, overAt: event.noticedAt + policy.timeoutMs, accepted: false }
      return { ...before, possible: [...before.possible, attempt], generations: [...before.generations, call.generation], presumed, absences: 0, keyFirstUsedAt: Math.min(before.keyFirstUsedAt ?? event.lostSinceAt, event.lostSinceAt) }
    }
    case 'superseded': case 'held': case 'time':
      return before
  }
}

/** Named refutations take effect when their attempt is over. */
function pruned(oracle: Oracle): Oracle {
  return { ...oracle, possible: oracle.possible.filter((one) => !(oracle.named.includes(one.n) && Number.isFinite(one.overAt))) }
}

function answers(before: Oracle, call: Call, event: CallEvent & { type: 'answered' }, policy: Policy, now: number, without: (n: number) => readonly Possible[]): Oracle {
  const { verdict, attempt } = event
  const inTime = before.running === attempt
  const running = inTime ? null : before.running
  const known = before.possible.find((one) => one.n === attempt)
  const stopped = before.stopped || (verdict.kind === 'rejected' && inTime)
  const named = [...new Set([...before.named, attempt])].sort()
  // Whose answer this is nobody knows: it denies nothing that is on record.
  if (attempt === before.presumed && (verdict.kind === 'rejected' || verdict.kind === 'not_applied')) return before
  switch (verdict.kind) {
    case 'applied':
      return { ...before, running, happened: true }
    case 'accepted': {
      if (isEnd(call.state) || before.accepted.includes(attempt)) return { ...before, running }
      const others = inTime && policy.answer === 'providerKey' ? [] : without(attempt)
      const accepted = { n: attempt, generation: before.generations[attempt] ?? 0, version: known?.version ?? call.version, deadlineAt: known?.deadlineAt ?? now, overAt: now, accepted: true }
      return pruned({ ...before, running, possible: [...others, accepted], accepted: [...before.accepted, attempt].sort(), taken: true, absences: 0 })
    }
    case 'rejected': {
      const generation = known?.generation
      const speaksForAll = inTime && verdict.conclusive === true && policy.answer === 'providerKey'
      return { ...before, running, stopped, named: inTime ? before.named : named, possible: speaksForAll ? before.possible.filter((one) => one.generation !== generation) : without(attempt) }
    }
    case 'not_applied':
      return { ...before, running, named: inTime ? before.named : named, possible: without(attempt) }
    case 'unknown':
      return inTime ? { ...before, running, keySpent: before.keySpent || verdict.keySpent === true, possible: before.possible.map((one) => (one.n === attempt ? { ...one, overAt: now } : one)) } : before
  }
}

/** Stops at the first claim that does not hold (the test runner's own matchers are too slow for millions of them). */
function claim(holds: boolean, what: string): void {
  if (!holds) throw new Error(what)
}

/** Everything the contract says of one step. */
function check(before: Node, event: CallEvent, decision: Decision, oracle: Oracle, policy: Policy, now: number): void {
  const was = before.call
  const is = decision.call
  checkRecord(was, is, decision)
  checkAlerts(was, is, decision)
  if (decision.begun !== null) checkBegin(before, decision, policy, now)
  if (is.generation !== was.generation) {
    claim(is.generation === was.generation + 1, 'generations rise one by one')
    claim((event.type === 'settle' ? oracle : before.oracle).possible.length === 0, 'a fresh key is taken only where all earlier attempts are known not to have happened')
  }
  if (oracle.happened) claim(is.state === 'succeeded', 'what happened has succeeded')
  if (isEnd(is.state) && is.state !== 'succeeded') {
    claim(oracle.possible.length === 0 && oracle.running === null, `nothing ends ${is.state} while an attempt may have happened`)
    claim(is.effect === 'did_not_happen', `the effect of ${is.state} is did_not_happen`)
  }
  if (is.state === 'succeeded') claim(oracle.happened, 'succeeded only where something says so')
  if (is.state === 'waiting' && is.effect === 'did_not_happen') claim(oracle.possible.length === 0, 'did_not_happen is said only where it is known')
  if (is.state === 'waiting') {
    const limit = Math.min(is.expiresAt ?? Number.POSITIVE_INFINITY, is.giveUpAt ?? Number.POSITIVE_INFINITY)
    claim((is.dueAt ?? 0) <= Math.max(limit, now), 'no wait is longer than the life of the call')
  }
  if (is.state === 'in_doubt') checkInDoubt(is, oracle, policy, now)
  if (isEnd(was.state) && !isEnd(is.state)) claim(event.type === 'redrive', 'only a redrive opens what ended')
}

function checkRecord(was: Call, is: Call, decision: Decision): void {
  claim(is === was || is.rev === was.rev + 1, 'rev grows by one with each change')
  claim(decision.refused === null || is === was, 'a refusal changes nothing')
  claim(is === was || is.story.length === was.story.length + 1, 'each change is one entry of the story')
  const told = replay(is.story)
  claim(told.state === is.state && told.effect === is.effect && told.generation === is.generation && told.attempts === is.attempts, 'the story gives the state')
  const quiet = is.state === 'running' || is.state === 'in_doubt' || isEnd(is.state)
  claim((is.dueAt === null) === quiet, `dueAt is null only where nothing is due by itself (${is.state})`)
  claim(is.dueAt === null || Number.isFinite(is.dueAt), 'dueAt is an instant')
  const applied = (call: Call): boolean => call.facts.some((fact) => fact.kind === 'applied')
  claim(!applied(was) || applied(is), 'applied is never undone')
  claim(was.state !== 'succeeded' || is.state === 'succeeded', 'succeeded is final')
  claim((is.endedAt !== null) === isEnd(is.state), 'endedAt marks ends')
  claim(is.facts.length <= 6 + 3 * is.attempts, 'facts do not grow by repetition')
}

function checkAlerts(was: Call, is: Call, decision: Decision): void {
  const raised = (kind: string): number => decision.alerts.filter((alert) => alert.kind === kind).length
  for (const kind of ['exhausted', 'in_doubt', 'expired'] as const) {
    claim(raised(kind) === (is.state === kind && was.state !== kind ? 1 : 0), `a move to ${kind} raises exactly one alert, and nothing else does`)
  }
  const corrected = isEnd(was.state) && was.state !== 'succeeded' && is.state === 'succeeded'
  claim(corrected ? raised('corrected') === 1 : raised('corrected') === 0 || (is.state === 'succeeded' && was.facts.some((fact) => fact.kind === 'refuted')), 'a corrected end is loud, and nothing is corrected that nobody had denied')
  claim(decision.settles === (isEnd(is.state) && is.state !== was.state), 'the application is told of each end and correction')
  claim(new Set(decision.alerts.map((alert) => alert.id)).size === decision.alerts.length, 'alerts have ids of their own')
}

function checkBegin({ call, oracle }: Node, decision: Decision, policy: Policy, now: number): void {
  claim(!oracle.taken, 'what the provider took is not sent again')
  claim(!oracle.stopped, 'a stopped call is not sent')
  claim(call.expiresAt === null || now < call.expiresAt, 'nothing is sent after expiry')
  claim(call.giveUpAt === null || now < call.giveUpAt, 'nothing is sent after giving up')
  claim(oracle.running === null, 'one attempt at a time')
  claim(decision.begun === call.attempts + 1, 'attempts are counted one by one')
  if (oracle.possible.length > 0) {
    claim(policy.answer === 'providerKey' || policy.answer === 'natural', 'no blind resend')
    claim(decision.call.generation === call.generation, 'an effect in doubt is repeated under its own key only')
    claim(oracle.possible.every((one) => one.version === decision.call.version), 'an effect in doubt is repeated with its own content only')
    claim(policy.answer !== 'providerKey' || !oracle.keySpent, 'a spent key is not sent again')
  }
  if (policy.answer === 'providerKey' && oracle.keyFirstUsedAt !== null && decision.call.generation === call.generation) {
    claim(now + policy.timeoutMs <= oracle.keyFirstUsedAt + policy.retentionMs - policy.marginMs, 'an attempt ends within the memory of the provider')
  }
}

/** Nor is marking everything in doubt an answer. */
function checkInDoubt(is: Call, oracle: Oracle, policy: Policy, now: number): void {
  claim(oracle.possible.length > 0, 'in doubt only where something may have happened')
  const stopped = oracle.stopped || is.stop !== null
  if (policy.hasLookup) claim(is.lookup?.spent === true, 'in doubt only after the lookup had its time')
  else if (policy.answer === 'natural') claim(stopped, 'what is safe to repeat is not left in doubt')
  else if (policy.answer === 'providerKey' && !stopped) {
    const windowOver = now + policy.timeoutMs > (oracle.keyFirstUsedAt ?? now) + policy.retentionMs - policy.marginMs
    claim(windowOver || oracle.keySpent, 'in doubt only when the key helps no more')
  }
}

/** A due call that a worker takes moves on: nothing spins. Nor does the sweep that brings `time` twice. */
function checkMoves(node: Node, policy: Policy): void {
  const { call, now } = node
  if (isEnd(call.state) || call.state === 'running') return
  const swept = decide(call, ev.time, policy, now, 0.5).call
  if (!isEnd(swept.state)) claim(decide(swept, ev.time, policy, now, 0.5).call === swept, 'time brought twice changes nothing the second time')
  if (call.dueAt === null || call.dueAt > now) return
  for (const event of takenBy(call, policy, now)) {
    const { call: next } = decide(call, event, policy, now, 0)
    claim(next.dueAt === null || next.dueAt > now || next.state !== call.state, `a due call moves when a worker takes it (${call.state}, ${event.type})`)
  }
}

/** What a worker that claims a due call may bring to it. */
function takenBy(call: Call, policy: Policy, now: number): readonly CallEvent[] {
  const held = ev.held(now + 1 - T0)
  if (call.state === 'waiting') return [ev.beginAs(call.version), held, ...(mayUpgrade(call) ? [] : [ev.beginAs(call.version + 1)])]
  const asks = call.state === 'checking' || (policy.hasLookup && policy.pollEveryMs !== null)
  return asks ? [ev.cannotTell(now - T0), ev.absent(0), held] : [ev.time, held]
}

/** A situation, with instants relative to now: what the future of a call depends on. */
function situation({ call, oracle, now }: Node): string {
  const rel = (at: number | null): number | null => (at === null ? null : Math.max(-80, at - now))
  return JSON.stringify([
    call.state, call.effect, call.generation - (oracle.possible[0]?.generation ?? call.generation), call.version, Math.min(call.tries, 3), Math.min(call.lapses, 2), rel(call.firstBegunAt), call.keySpent, rel(call.dueAt),
    rel(call.expiresAt), rel(call.giveUpAt), call.open.map((one) => [call.attempts - one.n, one.verdict, rel(one.closedAt), rel(one.deadlineAt)]),
    [...new Set(call.facts.map((fact) => `${fact.kind} ${call.attempts - (fact.attempt ?? -9)} ${fact.attempt === undefined ? rel(fact.at) : ''}`))].sort(),
    call.stop?.kind, call.lookup && [rel(call.lookup.since), Math.min(call.lookup.asked, 3), call.lookup.absences, call.lookup.spent],
    oracle.possible.map((one) => [call.attempts - one.n, rel(one.overAt), rel(one.deadlineAt), one.accepted]), oracle.running !== null, oracle.happened, oracle.absences, rel(oracle.keyFirstUsedAt), oracle.keySpent, oracle.stopped, oracle.taken,
    oracle.presumed === null ? null : call.attempts - oracle.presumed, oracle.named.map((n) => call.attempts - n), oracle.accepted.map((n) => call.attempts - n),
  ])
}

type Searched = { readonly opened: number; readonly steps: number; readonly depth: number; readonly states: ReadonlySet<string>; readonly broken: readonly string[] }

/** Breadth-first: every event in every distinct situation, until `limit` situations were opened. Each broken claim is named once, with its shortest sequence. */
function search({ policy, expiresAt }: Space, limit: number, only: RegExp = /./): Searched {
  const queue: Node[] = [{ call: newCall({ expiresAt }), oracle: NOTHING, now: T0, path: [] }]
  const seen = new Set<string>()
  const states = new Set<string>()
  const broken = new Map<string, string>()
  let steps = 0
  let opened = 0
  let depth = 0
  while (opened < queue.length && opened < limit) {
    const node = queue[opened++]!
    depth = node.path.length
    for (const move of movesOf(node, policy)) {
      if (!only.test(move.name)) continue
      const path = [...node.path, move.name]
      steps++
      const next = step(node, move, path, policy)
      if (next instanceof Error) {
        const claim = next.message.split('\n')[0] ?? ''
        if (!broken.has(claim)) broken.set(claim, `after ${path.join(' · ')} (at +${move.now - T0}): ${claim}`)
        continue
      }
      const key = situation(next)
      if (seen.has(key)) continue
      seen.add(key)
      states.add(next.call.state)
      queue.push(next)
    }
  }
  return { opened, steps, depth, states, broken: [...broken.values()] }
}

function step(node: Node, move: Move, path: readonly string[], policy: Policy): Node | Error {
  try {
    if (move.event === null) {
      const later = { ...node, now: move.now, path }
      checkMoves(later, policy)
      return later
    }
    const decision = decide(node.call, move.event, policy, move.now, 0.5)
    const oracle = learn(node.oracle, node.call, move.event, decision, policy, move.now)
    check(node, move.event, decision, oracle, policy, move.now)
    const next = { call: decision.call, oracle, now: move.now, path }
    checkMoves(next, policy)
    return next
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

const spaces: readonly Space[] = (['providerKey', 'reconcile', 'natural', 'none'] as const).flatMap((answer) =>
  [true, false].flatMap((hasLookup) =>
    [null, T0 + 90].map((expiresAt) => ({
      name: `${answer}${hasLookup ? ' with lookup' : ''}${expiresAt === null ? '' : ', expiring'}`,
      policy: policyOf(answer, { hasLookup, pollEveryMs: hasLookup && expiresAt === null ? 6 : null }),
      expiresAt,
    })),
  ),
)
const more: readonly Space[] = [
  { name: 'reconcile, absent twice', policy: policyOf('reconcile', { absences: 2 }), expiresAt: null },
  { name: 'providerKey, three attempts at most', policy: policyOf('providerKey', { maxAttempts: 3 }), expiresAt: null },
  { name: 'natural, two attempts at most', policy: policyOf('natural', { maxAttempts: 2 }), expiresAt: null },
]

/** Situations opened in each space; raise it for a longer search (40,000 take a minute and reach sequences of seven events). */
const SITUATIONS = Number(process.env['STEWARD_EXHAUSTIVE'] ?? 1_500)

describe('every sequence of events keeps the contract', () => {
  it.each([...spaces, ...more])('under $name', (space) => {
    const { opened, steps, depth, states, broken } = search(space, SITUATIONS)
    expect(broken.join('\n')).toBe('')
    expect(opened).toBe(SITUATIONS)
    expect(depth, 'sequences are at least this long').toBeGreaterThanOrEqual(3)
    expect(steps).toBeGreaterThan(10 * opened)
    expect([...states]).toEqual(expect.arrayContaining(['waiting', 'running', 'accepted', 'succeeded', 'rejected', 'cancelled']))
  })
})

/** Fewer events, longer sequences. */
const themes: readonly (readonly [name: string, only: RegExp, depth: number])[] = [
  ['workers that are lost, and answer late', /^(begin|lapsed|late (applied|accepted|rejected|not applied)|→ due|→ \+16)/, 6],
  ['keys that are spent or forgotten', /^(begin$|unknown|rejected conclusively|absent$|cannot tell|→ due|→ \+60|settled send_again)/, 6],
  ['people who act', /^(begin$|unknown, |unknown \d|settled|cancel|retry now|redrive|→ \+16|→ give up|→ expiry|time)/, 5],
  ['redrives, and what is heard of older generations', /^(begin$|unknown \d|late (applied|accepted|rejected)|not applied|redrive|refuted as|→ \+16|→ give up)/, 6],
  ['accepted work', /^(begin$|unknown \d|accepted|late accepted|refuted|cancel|found|cannot tell|absent$|→ due|→ expiry|time)/, 5],
  ['databases that lost commits', /^(begin$|unknown \d|lapsed|late |restored|absent$|refuted|cancel|→ due|→ \+16)/, 5],
  ['versions', /^(begin|upgraded|unknown \d|lapsed|not applied|late not applied|absent$|→ due|→ \+60|held)/, 6],
]

describe('long sequences of few events keep the contract', () => {
  it.each(themes)('%s', (_name, only, depth) => {
    for (const space of [...spaces, ...more]) {
      const searched = search(space, SITUATIONS / 2, only)
      expect(searched.broken.join('\n'), space.name).toBe('')
      if (SITUATIONS >= 1_500 && searched.opened === SITUATIONS / 2) expect(searched.depth, `sequences under ${space.name} are at least this long`).toBeGreaterThanOrEqual(depth)
    }
  })
})

describe('very long sequences of any events keep the contract', () => {
  it.each([...spaces, ...more])('under $name', ({ policy, expiresAt }) => {
    const walk = (choices: readonly number[]): void => {
      let node: Node = { call: newCall({ expiresAt }), oracle: NOTHING, now: T0, path: [] }
      for (const choice of choices) {
        const moves = movesOf(node, policy)
        const move = moves[choice % moves.length]!
        const path = [...node.path, move.name]
        const next = step(node, move, path, policy)
        if (next instanceof Error) throw new Error(`after ${path.join(' · ')} (at +${move.now - T0}): ${next.message}`)
        node = next
      }
    }
    fc.assert(fc.property(fc.array(fc.nat(999), { minLength: 20, maxLength: 60 }), walk), { numRuns: SITUATIONS / 25, seed: 20_260_601 })
  })
})
