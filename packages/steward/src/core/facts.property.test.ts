/** State is a function of the set of facts, whatever their order or repetition (contract 12). */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { after, type Dated, ev, newCall, play, policyOf, T0 } from './call.fixture.ts'
import type { Call, Fact } from './call.ts'
import { type CallEvent, decide } from './decide.ts'
import { references, unrefuted } from './facts.ts'
import { LIMITS } from './limits.ts'
import type { Policy } from './policy.ts'

const RUNS = { numRuns: 400, seed: 20_260_602 }
/** When the facts come: after all attempts of the history, before anything is given up. */
const NOW = 150

/** How each attempt of a call ended, and how long it took; under an answer that lets several be in doubt. */
type Ending = { readonly how: 'unknown' | 'lapsed' | 'not applied' | 'runs'; readonly tookMs: number }
type History = { readonly policy: Policy; readonly events: readonly Dated[]; readonly attempts: number; readonly running: number | null }

const policies: readonly Policy[] = [
  policyOf('natural'),
  policyOf('providerKey', { retentionMs: 1_000 }),
  policyOf('providerKey', { retentionMs: 1_000, hasLookup: true }),
  policyOf('natural', { hasLookup: true }),
  policyOf('reconcile'),
  policyOf('none'),
]

const endings = fc.array(fc.record<Ending>({ how: fc.constantFrom('unknown', 'lapsed', 'not applied', 'runs'), tookMs: fc.integer({ min: 1, max: 9 }) }), { minLength: 1, maxLength: 4 })

function historyOf(policy: Policy, wanted: readonly Ending[]): History {
  const events: Dated[] = []
  let at = 0
  let attempts = 0
  for (const { how, tookMs } of wanted) {
    if (after(policy, events).state !== 'waiting') break
    attempts++
    events.push([at, ev.begin])
    at += tookMs
    if (how === 'runs') return { policy, events, attempts, running: attempts }
    events.push([at, how === 'lapsed' ? ev.lapsed : how === 'unknown' ? ev.unknown(attempts) : ev.notApplied(attempts)])
    at += 20
  }
  return { policy, events, attempts, running: null }
}

const history: fc.Arbitrary<History> = fc.tuple(fc.constantFrom(...policies), endings).map(([policy, wanted]) => historyOf(policy, wanted))

/** Facts that may come of it: evidence from outside, and at most one late answer for each attempt that does not run. */
function factsFor({ attempts, running }: History, withAccepted: boolean): fc.Arbitrary<readonly CallEvent[]> {
  const instant = fc.integer({ min: 0, max: NOW })
  const reference = fc.constantFrom(undefined, 'ch_1', 'ch_2')
  const attempt = fc.integer({ min: 1, max: attempts })
  const outside: fc.Arbitrary<CallEvent> = fc.oneof(
    fc.tuple(instant, reference).map(([at, name]) => ev.confirm(at, name)),
    instant.map((at) => ev.refute(at)),
    instant.map((at): CallEvent => ({ type: 'fact', fact: { kind: 'refuted', at: T0 + at, by: 'ben@example.com' } })),
    ...(withAccepted ? [] : [fc.tuple(instant, attempt).map(([at, n]) => ev.refute(at, n))]),
    fc.tuple(instant, reference).map(([at, name]) => ev.found(at, name)),
    fc.constant(ev.settle('happened')),
  )
  // An acceptance and an end that comes before it depend on their order: see the test below.
  const answers = (n: number): fc.Arbitrary<CallEvent> =>
    fc.oneof(reference.map((name) => ev.applied(n, name)), fc.constant(ev.unknown(n)), fc.constant(withAccepted ? ev.accepted(n) : ev.rejected(n)), fc.constant(ev.notApplied(n)))
  const late = Array.from({ length: attempts }, (_, i) => i + 1).filter((n) => n !== running)
  return fc.tuple(fc.array(outside, { maxLength: 5 }), fc.array(fc.constantFrom(0, ...late), { maxLength: 4 })).chain(([out, who]) =>
    fc.tuple(...[...new Set(who)].filter((n) => n > 0).map(answers)).map((answered) => [...out, ...answered]),
  )
}

/** A set of facts, and an order in which it comes, some of it twice. */
const delivered = (withAccepted: boolean) =>
  history.chain((told) =>
    factsFor(told, withAccepted).chain((facts) =>
      fc.record({
        told: fc.constant(told),
        facts: fc.constant(facts),
        shuffled: fc.shuffledSubarray([...facts], { minLength: facts.length, maxLength: facts.length }).chain((all) => (all.length === 0 ? fc.constant(all) : fc.array(fc.constantFrom(...all), { maxLength: 4 }).map((again) => [...all, ...again]))),
      }),
    ),
  )

const bring = (policy: Policy, call: Call, facts: readonly CallEvent[], afterMs = NOW): Call => after(policy, facts.map((fact): Dated => [afterMs, fact]), call)
const standing = (call: Call) => ({ state: call.state, effect: call.effect, references: [...references(call.facts)].sort(), stop: call.state === 'succeeded' ? null : (call.stop?.kind ?? null) })

describe('the set of facts decides', () => {
  it.each([{ withAccepted: false }, { withAccepted: true }])('changes nothing by its order or repetition (late acceptances: $withAccepted)', ({ withAccepted }) => {
    fc.assert(
      fc.property(delivered(withAccepted), ({ told, facts, shuffled }) => {
        const start = after(told.policy, told.events)
        const one = bring(told.policy, start, facts)
        const other = bring(told.policy, start, shuffled)
        expect(standing(other)).toEqual(standing(one))
        // What runs is closed later: facts that named it count then, in either order.
        if (one.state !== 'running') return
        expect(standing(after(told.policy, [[NOW + 1, ev.lapsed]], other))).toEqual(standing(after(told.policy, [[NOW + 1, ev.lapsed]], one)))
      }),
      RUNS,
    )
  })

  it('the same facts again, later, change neither the call nor the number of facts', () => {
    fc.assert(
      fc.property(delivered(false), fc.integer({ min: 0, max: 40 }), ({ told, facts }, laterMs) => {
        const known = bring(told.policy, after(told.policy, told.events), facts)
        const again = bring(told.policy, known, facts, NOW + laterMs)
        expect(standing(again)).toEqual(standing(known))
        expect(again.facts.length).toBe(known.facts.length)
        for (const fact of facts) if (fact.type === 'fact') expect(decide(known, fact, told.policy, T0 + NOW + laterMs, 0.5).call).toBe(known)
      }),
      RUNS,
    )
  })

  it('one word that it happened outranks all that say it did not', () => {
    fc.assert(
      fc.property(delivered(false), ({ told, shuffled }) => {
        const call = bring(told.policy, after(told.policy, told.events), [...shuffled.slice(0, 3), ev.confirm(5, 'ch_9'), ...shuffled.slice(3)])
        expect(call.state).toBe('succeeded')
        expect(call.effect).toBe('happened')
        expect(references(call.facts)).toContain('ch_9')
      }),
      RUNS,
    )
  })

  it('two references raise the highest alert once, in whatever order they come', () => {
    fc.assert(
      fc.property(history, fc.shuffledSubarray([ev.confirm(1, 'ch_1'), ev.confirm(2, 'ch_2'), ev.confirm(3, 'ch_1'), ev.refute(NOW), ev.found(4, 'ch_2')], { minLength: 5 }), (told, facts) => {
        const start = after(told.policy, told.events)
        const alerts = play(told.policy, facts.map((fact): Dated => [NOW, fact]), start).flatMap((decision) => decision.alerts)
        expect(alerts.filter((alert) => alert.kind === 'effect_twice').map((alert) => alert.severity)).toEqual(['page'])
      }),
      RUNS,
    )
  })
})

describe('a refutation', () => {
  it('covers exactly the attempts that were over before its instant', () => {
    fc.assert(
      fc.property(history, fc.integer({ min: 0, max: NOW }), (told, at) => {
        const start = after(told.policy, told.events)
        const overAt = new Map(told.events.flatMap(([ms, event], i): [number, number][] => {
          const begunMs = told.events[i - 1]?.[0] ?? 0
          if (event.type === 'lapsed') return [[(i + 1) / 2, Math.max(ms, begunMs + told.policy.timeoutMs)]]
          return event.type === 'answered' && event.verdict.kind === 'unknown' ? [[event.attempt, ms]] : []
        }))
        const left = [...overAt].filter(([, over]) => over >= at).map(([n]) => n)
        if (told.running !== null) left.push(told.running)
        expect(unrefuted(bring(told.policy, start, [ev.refute(at)])).map((attempt) => attempt.n)).toEqual(left)
      }),
      RUNS,
    )
  })

  it('says nothing of an attempt that is begun or closed later', () => {
    const natural = policyOf('natural')
    const refutedWhileRunning = after(natural, [[0, ev.begin], [3, ev.refute(3)], [4, ev.unknown(1)]])
    expect(refutedWhileRunning.effect).toBe('unknown')
    const refutedBefore = after(natural, [[0, ev.begin], [4, ev.unknown(1)], [6, ev.refute(6)], [8, ev.begin], [9, ev.unknown(2)]])
    expect(refutedBefore.effect).toBe('unknown')
    expect(unrefuted(refutedBefore).map((attempt) => attempt.n)).toEqual([2])
  })

  it('dated in the future says nothing of attempts that are still to come', () => {
    const call = after(policyOf('natural'), [[0, ev.begin], [4, ev.unknown(1)], [6, ev.refute(9_999)], [8, ev.begin], [9, ev.unknown(2)]])
    expect(unrefuted(call).map((attempt) => attempt.n)).toEqual([2])
    expect(call.effect).toBe('unknown')
  })

  it('of an attempt that was never begun is refused, so that it cannot wait for that attempt', () => {
    const call = after(policyOf('natural'), [[0, ev.begin], [4, ev.unknown(1)]])
    expect(decide(call, ev.refute(5, 2), policyOf('natural'), T0 + 5, 0.5).refused).toBe('it has begun 1 attempts, not 2')
  })

  it('of a whole generation covers what was closed before its instant, or what went before the attempt it names', () => {
    const of = (fact: Partial<Fact>): CallEvent => ({ type: 'fact', fact: { kind: 'refuted', at: T0 + 12, by: 'support', generation: 1, ...fact } })
    const events: readonly Dated[] = [[0, ev.begin], [4, ev.unknown(1)], [10, ev.begin], [14, ev.unknown(2)]]
    const left = (fact: CallEvent): readonly number[] => unrefuted(after(policyOf('natural'), [...events, [20, fact]])).map((attempt) => attempt.n)
    expect(left(of({}))).toEqual([2])
    expect(left(of({ attempt: 1 }))).toEqual([2])
    expect(left(of({ attempt: 2 }))).toEqual([])
    expect(left(of({ generation: 2, attempt: 2 }))).toEqual([1, 2])
  })

  it('that a source repeats with later instants takes the place of the earlier, and still covers what that covered', () => {
    const facts = Array.from({ length: 500 }, (_, i): Dated => [100 + i, ev.refute(100 + i)])
    const call = after(policyOf('natural', { giveUpAfterMs: 10_000 }), [[0, ev.begin], [4, ev.unknown(1)], ...facts], newCall({ giveUpAt: T0 + 10_000 }))
    expect(call.facts.length).toBe(1)
    expect(unrefuted(call)).toEqual([])
  })

  it('proven by a lookup a hundred times over keeps one fact', () => {
    const policy = policyOf('reconcile')
    let call = newCall({ giveUpAt: T0 + 1_000_000 })
    for (let i = 0; i < 100; i++) call = after(policy, [[100 * i, ev.begin], [100 * i + 1, ev.unknown(i + 1)], [100 * i + 50, ev.absent(100 * i + 50)]], call)
    expect(call.attempts).toBe(100)
    expect(call.facts.length).toBe(1)
    expect(call.open.length).toBe(1)
    expect(call.state).toBe('waiting')
  })
})

describe('the limit of facts', () => {
  const crowd = (kind: Fact['kind']): readonly Dated[] =>
    Array.from({ length: LIMITS.factsPerCall }, (_, i): Dated => [NOW, { type: 'fact', fact: { kind, at: T0 + NOW, by: `evt_${i}` } }])

  it('refuses a further refutation, and says why', () => {
    const full = after(policyOf('none'), crowd('refuted'))
    expect(full.facts.length).toBe(LIMITS.factsPerCall)
    expect(decide(full, ev.refute(NOW), policyOf('none'), T0 + NOW, 0.5).refused).toBe('it already keeps 100 facts')
  })

  it('never refuses the first word that it happened, nor a reference not seen before', () => {
    const full = after(policyOf('none'), crowd('refuted'))
    const [first, second] = play(policyOf('none'), [[NOW, ev.confirm(NOW, 'ch_1')], [NOW, ev.confirm(NOW, 'ch_2')]], full)
    expect(first?.call.state).toBe('succeeded')
    expect(second?.alerts.map((alert) => alert.kind)).toEqual(['effect_twice'])
  })

  it('refuses confirmations without end, which say nothing more', () => {
    const full = after(policyOf('none'), crowd('applied'))
    expect(decide(full, ev.confirm(NOW), policyOf('none'), T0 + NOW, 0.5).refused).toBe('it already keeps 100 facts')
    const many = after(policyOf('none'), Array.from({ length: 300 }, (_, i): Dated => [NOW, ev.confirm(NOW, `ch_${i}`)]))
    expect(many.facts.length).toBe(LIMITS.factsPerCall)
  })
})

describe('a late answer', () => {
  const LOST: readonly Dated[] = [[0, ev.begin], [2, ev.lapsed]]

  it('that it was accepted keeps the call from being sent again, even where its attempt was settled as not happened', () => {
    const call = after(policyOf('none'), [...LOST, [20, ev.settle('send_again')], [21, ev.accepted(1, 'po_1')]])
    expect(call.state).toBe('accepted')
    expect(call.effect).toBe('pending')
    expect(call.open.map((attempt) => attempt.reference)).toEqual(['po_1'])
  })

  it('that it was accepted leaves an end as it is, and pages somebody', () => {
    const decision = play(policyOf('reconcile'), [...LOST, [20, ev.cancel], [30, ev.absent(30)], [40, ev.accepted(1, 'po_1')]]).at(-1)
    expect(decision?.call.state).toBe('cancelled')
    expect(decision?.alerts.map((alert) => [alert.kind, alert.severity])).toEqual([['contradicted', 'page']])
    expect(decision?.call.story.at(-1)).toMatchObject({ what: 'late', reference: 'po_1' })
  })

  it('that it was accepted, heard again later, does not escape a refutation that came between', () => {
    const call = after(policyOf('reconcile'), [...LOST, [20, ev.accepted(1)], [30, ev.refute(30)], [40, ev.accepted(1)]])
    expect(call.state).toBe('rejected')
  })

  it('that it was rejected ends the call, as it would have in time', () => {
    expect(after(policyOf('none'), [...LOST, [20, ev.rejected(1)]]).state).toBe('rejected')
    expect(after(policyOf('reconcile'), [...LOST, [17, ev.absent(17)], [18, ev.rejected(1)]]).state).toBe('rejected')
  })

  it('that it was rejected does not stop what was redriven since', () => {
    const call = after(policyOf('none'), [...LOST, [20, ev.settle('stop')], [21, ev.redrive], [22, ev.rejected(1)]])
    expect(call.state).toBe('waiting')
    expect(call.stop).toBeNull()
  })

  it('of an older generation that it was applied, beside the new one, is an effect seen twice', () => {
    const decisions = play(policyOf('none'), [...LOST, [20, ev.settle('stop')], [21, ev.redrive], [22, ev.begin], [23, ev.applied(1, 'ch_1')], [24, ev.applied(2, 'ch_2')]])
    expect(decisions.map((decision) => decision.call.state).slice(-2)).toEqual(['succeeded', 'succeeded'])
    expect(decisions.at(-1)?.alerts.map((alert) => alert.kind)).toEqual(['effect_twice'])
  })

  it('whose result cannot be stored says so', () => {
    const event: CallEvent = { type: 'answered', attempt: 1, worker: 'w1', verdict: { kind: 'applied', result: null, resultMissing: 'it is a stream' } }
    const decision = play(policyOf('none'), [...LOST, [20, event]]).at(-1)
    expect(decision?.call.resultMissing).toBe('it is a stream')
    expect(decision?.alerts.map((alert) => alert.kind)).toEqual(['result_missing'])
  })
})

describe('one call, two effects', () => {
  const alertsAfter = (policy: Policy, events: readonly Dated[]): readonly string[] => play(policy, events).flatMap((decision) => decision.alerts.map((alert) => alert.kind))

  it('raises the highest alert when two attempts under reconcile were applied, references or not', () => {
    const events: Dated[] = [[0, ev.begin], [1, ev.lapsed], [20, ev.absent(20)], [30, ev.begin], [31, ev.applied(2)], [32, ev.applied(1)]]
    expect(alertsAfter(policyOf('reconcile'), events)).toContain('effect_twice')
  })

  it('takes two applied attempts under one provider key for one effect', () => {
    const events: Dated[] = [[0, ev.begin], [1, ev.lapsed], [10, ev.begin], [11, ev.applied(2)], [12, ev.applied(1)]]
    expect(alertsAfter(policyOf('providerKey', { retentionMs: 1_000 }), events)).not.toContain('effect_twice')
  })
})

describe('a correction while the call is open', () => {
  it('is loud when somebody had said that it did not happen, and nothing was begun since', () => {
    const policy = policyOf('none')
    const decisions = play(policy, [[0, ev.begin], [5, ev.unknown(1)], [20, ev.settle('send_again')], [21, ev.confirm(21)]])
    expect(decisions.at(-1)?.call.state).toBe('succeeded')
    expect(decisions.at(-1)?.alerts.map((alert) => alert.kind)).toEqual(['corrected'])
  })

  it('is no correction when a later attempt was lost and found', () => {
    const decisions = play(policyOf('reconcile'), [[0, ev.begin], [1, ev.lapsed], [20, ev.absent(20)], [30, ev.begin], [31, ev.unknown(2)], [50, ev.found(50)]])
    expect(decisions.at(-1)?.call.state).toBe('succeeded')
    expect(decisions.at(-1)?.alerts).toEqual([])
  })
})
