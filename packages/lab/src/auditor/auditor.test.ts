/** The auditor itself: a sound run passes, and each rule finds the bugs that were planted for it. */
import type { CallView, Entry } from 'steward'
import { describe, expect, it } from 'vitest'
import { alert, begun, call, closed, done, effect, facts, intent, keyOf, request, sound, T0, withCall, withLedger } from './evidence.fixture.ts'
import { audit, type Evidence, LIVENESS_RULES, type Rule, SAFETY_RULES } from './index.ts'

const s = (seconds: number): number => T0 + seconds * 1_000
const found = (evidence: Evidence): readonly string[] => {
  const { safety, liveness } = audit(evidence, { atRest: true })
  return [...safety, ...liveness].map(({ rule, key, what }) => `${rule} ${key}: ${what}`)
}
/** The story with some entries changed, told by their index. */
const told = (known: CallView, changes: Readonly<Record<number, Partial<Entry>>>): CallView => ({ ...known, story: known.story.map((entry, index) => ({ ...entry, ...changes[index] }) as Entry) })
const added = (evidence: Evidence, one: CallView): Evidence => ({
  ...evidence, calls: [...evidence.calls, one], intents: [...evidence.intents, intent(one.operation, one.key)],
  told: [...(evidence.told ?? []), { at: s(1), process: 'p1', operation: one.operation, key: one.key, state: one.state, effect: one.effect }],
})

/** Bugs by the rule that must see them. A rule may see more bugs than its own. */
const PLANTED: Readonly<Record<Rule, Readonly<Record<string, (evidence: Evidence) => Evidence>>>> = {
  'one-effect': {
    'a charge that was made twice': (run) => withLedger(run, ({ effects }) => ({ effects: [...effects, effect('charge', 'o1', s(3.5), { reference: 'r-o1-again' })] })),
    'a mail that was sent twice': (run) => withLedger(run, ({ effects }) => ({ effects: [...effects, effect('mail', 'm1', s(3), { reference: 'r-m1-again' })] })),
    'a second effect that the ledger knows by its provider key alone': (run) => withLedger(run, ({ effects }) => ({ effects: [...effects, effect('charge', 'o1', s(3.5), { businessKey: null, providerKey: keyOf('charge', 'o1'), reference: 'x' })] })),
  },
  'kept': {
    'a call that vanished after it was acknowledged': (run) => withCall(run, 'o1', () => null),
  },
  'wanted': {
    'an effect that nobody asked for': (run) => withLedger(run, ({ effects }) => ({ effects: [...effects, effect('charge', 'nobody', s(1))] })),
    'an effect of a call that was refused to the caller': (run) => withLedger({ ...run, intents: [...run.intents, { ...intent('charge', 'no'), acknowledgedAt: null, refused: 'the disk is full' }] }, ({ effects }) => ({ effects: [...effects, effect('charge', 'no', s(1))] })),
  },
  'truth': {
    'succeeded without an effect': (run) => withLedger(run, ({ effects }) => ({ effects: effects.filter((one) => one.businessKey !== 'o2') })),
    'rejected although it happened': (run) => withCall(run, 'o2', (known) => ({ ...known, state: 'rejected', effect: 'did_not_happen' })),
    'succeeded by an effect that had failed before': (run) => withLedger(run, ({ effects }) => ({ effects: effects.map((one) => (one.businessKey === 'o2' ? { ...one, undoneAt: s(140.7) } : one)) })),
    'a result that names another effect': (run) => withCall(run, 'o1', (known) => ({ ...known, result: { reference: 'r-other' } })),
  },
  'exact-amount': {
    'a hundred times the amount': (run) => withLedger(run, ({ effects }) => ({ effects: effects.map((one) => (one.businessKey === 'o2' ? { ...one, amount: 10_000 } : one)) })),
  },
  'same-payload': {
    'another payload under the same key': (run) => withLedger(run, ({ requests }) => ({ requests: requests.map((one, index) => (index === 1 ? { ...one, fingerprint: 'e'.repeat(64) } : one)) })),
  },
  'derived-key': {
    'a fresh key for each attempt': (run) => withLedger(run, ({ requests }) => ({ requests: requests.map((one, index) => (index === 1 ? { ...one, providerKey: 'made-up' } : one)) })),
    'no key at all': (run) => withLedger(run, ({ requests }) => ({ requests: requests.map((one, index) => (index === 1 ? { ...one, providerKey: null } : one)) })),
  },
  'inside-window': {
    'the same key a day later': (run) => withLedger(run, ({ requests }) => ({ requests: requests.map((one, index) => (index === 1 ? { ...one, arrivedAt: s(86_500) } : one)) })),
  },
  'begun-before-sent': {
    'a client that sends a second time by itself': (run) => withLedger(run, ({ requests }) => ({ requests: [...requests, request('put', 'd1', s(3.6))] })),
    'bytes before the attempt was on record': (run) => withLedger(run, ({ requests }) => ({ requests: requests.map((one) => (one.businessKey === 'm1' ? { ...one, arrivedAt: s(0.5) } : one)) })),
  },
  'no-blind-resend': {
    'a mail that was sent again in doubt': (run) => added(run, call('mail', 'm2', [{ at: T0, what: 'submitted' }, begun(1, s(1)), closed(1, s(2), 'unknown', { to: 'waiting' }), begun(2, s(3)), closed(2, s(4), 'applied', done)])),
    'a payout that was sent again before the lookup had answered': (run) => withCall(run, 'p1', (known) => ({ ...known, story: known.story.filter((entry) => entry.what !== 'looked') })),
    'a payout that was sent again after its worker was lost': (run) => added(run, call('payout', 'p2', [{ at: T0, what: 'submitted' }, begun(1, s(1)), { at: s(5), what: 'lapsed', attempt: 1, worker: 'w1', why: 'gone', to: 'waiting' }, begun(2, s(6)), closed(2, s(7), 'applied', done)])),
    'a charge in doubt that was sent again under a fresh key': (run) => withCall(run, 'o1', (known) => ({ ...told(known, { 3: { generation: 2 } }), generation: 2 })),
    'a charge in doubt that was sent again when its key was forgotten': (run) => withCall(run, 'o1', (known) => told(known, { 3: { at: s(86_390), deadlineAt: s(86_420) }, 4: { at: s(86_400) } })),
    'a call that was sent again after it had been accepted': (run) => withCall(run, 'o1', (known) => told(known, { 2: { verdict: 'accepted' } })),
    'a call that was sent again after it had happened': (run) => withCall(run, 'o2', (known) => told(known, { 2: { verdict: 'applied' } })),
  },
  'no-false-end': {
    'exhausted while an attempt is in doubt': (run) => added(run, call('payout', 'p3', [{ at: T0, what: 'submitted' }, begun(1, s(1)), closed(1, s(2), 'unknown', { to: 'exhausted', effect: 'did_not_happen' })])),
    'rejected by a second attempt while the first is in doubt': (run) => added(run, call('mail', 'm4', [{ at: T0, what: 'submitted' }, begun(1, s(1)), closed(1, s(2), 'unknown', { to: 'waiting' }), begun(2, s(3)), closed(2, s(4), 'rejected', { to: 'rejected', effect: 'did_not_happen' })])),
  },
  'absence-in-time': {
    'an absence asked before the last deadline and the settle time': (run) => withCall(run, 'p1', (known) => told(known, { 3: { at: s(60) } })),
  },
  'understood': {
    'an attempt by code of another version': (run) => withCall(run, 'o1', (known) => told(known, { 3: { version: 2 } })),
    'a record whose version nobody sent': (run) => withCall(run, 'o1', (known) => ({ ...known, version: 2 })),
  },
  'replays': {
    'a state that the story does not tell of': (run) => withCall(run, 'm1', (known) => ({ ...known, state: 'checking' })),
    'a story without its last entry': (run) => withCall(run, 'o1', (known) => ({ ...known, story: known.story.slice(0, -1) })),
    'a story out of order': (run) => withCall(run, 'o1', (known) => told(known, { 1: { at: s(9) } })),
  },
  'loud': {
    'doubt without an alert': (run) => ({ ...run, alerts: [] }),
    'the same alert twice': (run) => ({ ...run, alerts: [...run.alerts, { ...run.alerts[0]!, id: 'another' }] }),
    'exhausted without an alert': (run) => added(run, call('mail', 'm5', [{ at: T0, what: 'submitted' }, begun(1, s(1)), closed(1, s(2), 'not_applied', { to: 'exhausted', effect: 'did_not_happen' })])),
    'expired without an alert': (run) => added(run, call('mail', 'm6', [{ at: T0, what: 'submitted' }, { at: s(5), what: 'time', why: 'not useful any more', to: 'expired' }])),
  },
  'surprises': {
    'two effects seen, and nobody told': (run) => withCall(run, 'o1', (known) => ({ ...known, story: [...known.story, { at: s(9), what: 'fact', kind: 'applied', by: 'webhook', instant: s(9), reference: 'r-other' }] })),
    'a corrected end, and nobody told': (run) => added(run, call('mail', 'm7', [{ at: T0, what: 'submitted' }, begun(1, s(1)), closed(1, s(2), 'rejected', { to: 'rejected', effect: 'did_not_happen' }), { at: s(9), what: 'fact', kind: 'applied', by: 'webhook', instant: s(9), ...done }])),
  },
  'obeys-waits': {
    'another call of the provider, before it may come back': (run) => withCall(withLedger(run, ({ requests }) => ({ requests: requests.map((one) => (one.businessKey === 'm1' ? { ...one, arrivedAt: s(60) } : one)) })), 'm1', (known) => told(known, { 1: { at: s(59), deadlineAt: s(89) }, 2: { at: s(61) } })),
    'the same call, before it may come back': (run) => withCall(withLedger(run, ({ requests }) => ({ requests: requests.map((one, index) => (index === 3 ? { ...one, arrivedAt: s(31) } : one)) })), 'o2', (known) => told(known, { 3: { at: s(30), deadlineAt: s(60) }, 4: { at: s(32) } })),
  },
  'no-secrets': {
    'a secret in a story': (run) => withCall(run, 'o1', (known) => told(known, { 2: { why: 'answered 500: key sk_live_canary is unknown' } })),
    'a secret in the log': (run) => ({ ...run, sinks: [{ name: 'the log', text: 'sending with sk_live_canary' }] }),
    'a secret in an alert': (run) => ({ ...run, alerts: run.alerts.map((one) => ({ ...one, message: 'sk_live_canary' })) }),
  },
  'ended': {
    'a call that stands still': (run) => added(run, call('charge', 'o9', [{ at: T0, what: 'submitted' }], { endedAt: null })),
    'a call that runs for ever': (run) => added(run, call('charge', 'o9', [{ at: T0, what: 'submitted' }, begun(1, s(1))], { endedAt: null })),
  },
  'decided': {
    'doubt although the key is good': (run) => added(run, call('charge', 'o8', [{ at: T0, what: 'submitted' }, begun(1, s(1)), closed(1, s(2), 'unknown', { to: 'in_doubt' })])),
    'doubt although the provider can be asked': (run) => added(run, call('payout', 'p8', [{ at: T0, what: 'submitted' }, begun(1, s(1)), closed(1, s(2), 'unknown', { to: 'in_doubt' })])),
    'doubt although sending twice is harmless': (run) => added(run, call('put', 'd8', [{ at: T0, what: 'submitted' }, begun(1, s(1)), closed(1, s(2), 'unknown', { to: 'in_doubt' })])),
    'doubt although the answer came': (run) => withCall(run, 'm1', (known) => told(known, { 2: { verdict: 'not_applied' } })),
  },
  'delivered': {
    'an alert that reached nobody': (run) => ({ ...run, alerts: run.alerts.map((one) => ({ ...one, deliveredAt: null })) }),
  },
  'settled': {
    'an end that the application was not told': (run) => ({ ...run, told: (run.told ?? []).filter((one) => one.key !== 'o1') }),
    'another end than the application was told': (run) => ({ ...run, told: (run.told ?? []).map((one) => (one.key === 'o1' ? { ...one, state: 'rejected' } : one)) }),
  },
}

it('finds nothing in a sound run', () => {
  expect(found(sound())).toEqual([])
})

describe.each(Object.entries(PLANTED))('%s', (rule, bugs) => {
  it.each(Object.entries(bugs))('finds %s', (_name, plant) => {
    expect(found(plant(sound())).map((line) => line.split(' ')[0])).toContain(rule)
  })

  it('is silent where the run itself brought it about', () => {
    const [plant] = Object.values(bugs) as [(evidence: Evidence) => Evidence]
    const { safety, liveness } = audit(plant(sound()), { atRest: true, excused: (one) => one === rule })
    expect([...safety, ...liveness].map((one) => one.rule)).not.toContain(rule)
  })
})

it('has planted bugs for every rule, and judges liveness only at rest', () => {
  expect(Object.keys(PLANTED).sort()).toEqual([...SAFETY_RULES, ...LIVENESS_RULES].sort())
  const stuck = PLANTED.ended['a call that stands still']!(sound())
  expect(audit(stuck).liveness).toEqual([])
})

describe('what may be', () => {
  it('sends a charge again under a fresh key once all earlier attempts are refuted', () => {
    const run = added(sound(), call('charge', 'o5', [
      { at: T0, what: 'submitted' }, begun(1, s(1)), closed(1, s(2), 'unknown', { to: 'checking' }), { at: s(200), what: 'looked', answer: 'absent', counted: true, to: 'waiting', effect: 'did_not_happen' },
      begun(2, s(201), { generation: 2 }), closed(2, s(202), 'applied', done),
    ]))
    const sent = withLedger(run, ({ effects, requests }) => ({ effects: [...effects, effect('charge', 'o5', s(201.5))], requests: [...requests, request('charge', 'o5', s(1.5), { answered: 'none' }), request('charge', 'o5', s(201.5), { providerKey: keyOf('charge', 'o5', 2) })] }))
    expect(found(sent)).toEqual([])
  })

  it('leaves a charge in doubt once its key may be forgotten and nobody can be asked', () => {
    const doubt = call('charge', 'o6', [{ at: T0, what: 'submitted' }, begun(1, s(1)), closed(1, s(2), 'unknown', { to: 'in_doubt' })], { endedAt: null })
    const run = withLedger(added(sound(), doubt), ({ requests }) => ({ requests: [...requests, request('charge', 'o6', s(1.5), { answered: 'none' })] }))
    expect(found({ ...run, now: s(86_500), alerts: [...run.alerts, alert(doubt, 'in_doubt')] })).toEqual([])
  })

  // Seed 598 of the standard workload with 250 calls.
  const refutedBeforeTheFirstDeadline = (operation: string): Evidence => added(sound(), call(operation, 'o7', [
    { at: T0, what: 'submitted' }, begun(1, s(1)), { at: s(2), what: 'lapsed', attempt: 1, worker: 'w1', why: 'gone', to: 'waiting' },
    begun(2, s(3)), closed(2, s(4), 'accepted', { to: 'accepted', effect: 'pending' }), { at: s(9), what: 'fact', kind: 'refuted', by: 'webhook', instant: s(5), to: 'rejected', effect: 'did_not_happen' },
  ]))

  it('ends what the provider took for later under the key, and refused then, before the deadline of an earlier attempt', () => {
    const run = withLedger(refutedBeforeTheFirstDeadline('charge'), ({ requests }) => ({ requests: [...requests, request('charge', 'o7', s(1.5), { answered: 'none' }), request('charge', 'o7', s(3.5))] }))
    expect(found(run)).toEqual([])
  })

  it('and does not let it end so where no key makes the attempts one', () => {
    expect(found(refutedBeforeTheFirstDeadline('payout')).join()).toContain('no-false-end o7: it ended rejected')
  })

  it('judges nothing of operations that the run does not know', () => {
    const run = { ...sound(), operations: new Map([['charge', facts('charge', 'providerKey')]]) }
    expect(found({ ...run, alerts: [] })).toEqual([])
  })
})
