import { describe, expect, it } from 'vitest'
import type { Call } from './call.ts'
import type { CallEvent } from './decide.ts'
import type { Policy } from './policy.ts'
import type { Entry } from './story.ts'
import { tell, type TellOptions } from './tell.ts'
import { AT_FIRST, sentences } from './tell-entry.ts'
import { answered, applied, type At, begin, H, lived, NATURAL, newCall, NONE, POLICY, RECONCILE, refused, S, T0, unknown } from './tell.fixture.ts'
import { wireLine } from './tell-wire.ts'
import type { Telling } from './telling.ts'

type Row = {
  readonly name: string
  readonly policy: Policy
  readonly steps: readonly At[]
  readonly start?: Partial<Call>
  /** Milliseconds after T0 at which the question is asked. */
  readonly askedMs: number
  readonly state: Call['state']
  readonly options?: TellOptions
  readonly tells: Partial<Telling['answers']>
}

const doubt: readonly At[] = [[0, begin], [S, answered(1, unknown)]]
const LOOKUP: Policy = { ...POLICY, hasLookup: true }
const who = { by: 'ana@example.com', why: 'seen in the dashboard' } as const
const PAUSED: TellOptions = { paused: ['provider "stripe" is paused by ana@example.com (their outage)'] }
const T = (ms: number): string => new Date(T0 + ms).toISOString()

const ROWS: readonly Row[] = [
  {
    name: 'waiting, never sent', policy: POLICY, steps: [], askedMs: -5 * S, state: 'waiting',
    tells: {
      happened: 'No. Nothing has been sent yet.',
      known: 'No attempt was ever begun, so no byte of it left.',
      next: `At ${T(0)} (in 5s), attempt 1 begins. Why it waits: not sent yet. It is given up at ${T(12 * H)} (in 12h).`,
      retry: 'Yes. Nothing of it has happened; retry only makes attempt 1 begin now instead of later.',
    },
  },
  {
    name: 'waiting, paused', policy: POLICY, steps: [], askedMs: 60 * S, state: 'waiting', options: PAUSED,
    tells: {
      next: `It is held while provider "stripe" is paused by ana@example.com (their outage); nothing of it is sent until that is over. Then attempt 1 begins. Why it waits: not sent yet. It is given up at ${T(12 * H)} (in 12h).`,
      retry: 'Yes. Nothing of it has happened; retry only makes attempt 1 begin now instead of later. Nothing is sent while provider "stripe" is paused by ana@example.com (their outage).',
    },
  },
  {
    name: 'waiting after attempts that certainly did nothing', policy: POLICY, steps: [[0, begin], [S, answered(1, { kind: 'not_applied', reason: 'answered 429', status: 429, refused: 'load', retryAfterMs: 30 * S })]], askedMs: 2 * S, state: 'waiting',
    tells: {
      happened: 'No. Its one attempt certainly did not take effect.',
      known: 'The last of its attempts to end, attempt 1, did not happen (answered 429).',
      next: `At ${T(31 * S)} (in 29s), attempt 2 begins. Why it waits: answered 429. It is given up at ${T(12 * H)} (in 12h).`,
    },
  },
  {
    name: 'waiting at its limit: it ends instead of being sent', policy: POLICY, start: { giveUpAt: T0 + 10 * S }, steps: [[0, begin], [S, answered(1, { kind: 'not_applied', reason: 'answered 429', status: 429, refused: 'load', retryAfterMs: 30 * S })]], askedMs: 2 * S, state: 'waiting',
    tells: { next: `At ${T(10 * S)} (in 8s) it ends exhausted, since its time is spent; no further attempt is sent.` },
  },
  {
    name: 'waiting beyond its limit: retry sends nothing', policy: POLICY, start: { expiresAt: T0 + S }, steps: [], askedMs: 2 * S, state: 'waiting',
    tells: { retry: 'It is safe and sends nothing: not useful any more, so it ends expired. Redrive it after that.' },
  },
  {
    name: 'waiting with a fresh key ahead', policy: LOOKUP, askedMs: 200 * S, state: 'waiting',
    steps: [[0, begin], [S, answered(1, { kind: 'unknown', reason: 'answered 500', keySpent: true })], [150 * S, { type: 'looked', askedAt: T0 + 150 * S, answer: { kind: 'absent' } }]],
    tells: {
      happened: 'No. Its one attempt certainly did not take effect.',
      known: `The last of its attempts to end, attempt 1, had no definite answer (answered 500). It did not happen, says the provider, asked by a lookup, at ${T(150 * S)} (the provider does not know it).`,
      next: `As soon as a worker takes it (due since ${T(151 * S)}), attempt 2 begins, with a fresh key. Why it waits: a lookup proved that it did not happen. It is given up at ${T(12 * H)} (in 11.9h).`,
    },
  },
  {
    name: 'waiting in doubt, the key is remembered', policy: POLICY, steps: doubt, askedMs: S, state: 'waiting',
    tells: {
      happened: 'Possibly. Attempt 1 is without a definite answer.',
      known: `Attempt 1 began at ${T(0)} and ended without a definite answer (no definite answer (ECONNRESET)). The provider tells repeats apart by the key it is sent.`,
      next: `At ${T(2 * S)} (in 1s), attempt 2 begins, with the same key. Why it waits: no definite answer (ECONNRESET). It is given up at ${T(12 * H)} (in 12h).`,
      retry: `Yes, through Steward: it sends the same key, which the provider surely remembers until ${T(23 * H - 20 * S)} (in 23h) (its memory of 24h, less a margin). Not by hand with another key: it may have happened.`,
    },
  },
  {
    name: 'waiting in doubt, the window has closed meanwhile', policy: POLICY, start: { giveUpAt: T0 + 48 * H }, steps: doubt, askedMs: 23 * H, state: 'waiting',
    tells: {
      next: `As soon as a worker takes it (due since ${T(2 * S)}) it turns to a person: it becomes in doubt, since the provider may have forgotten the key; no further attempt is sent before that is decided.`,
      retry: 'It is safe and sends nothing: the same key may not be used any more. It becomes in doubt instead.',
    },
  },
  {
    name: 'waiting in doubt, told to stop meanwhile by time', policy: LOOKUP, steps: doubt, askedMs: 13 * H, state: 'waiting',
    tells: {
      next: `As soon as a worker takes it (due since ${T(2 * S)}) it turns to asking the provider, since its time is spent; no further attempt is sent before that is decided.`,
      retry: 'It is safe and sends nothing: its time is spent. The provider is asked instead.',
    },
  },
  {
    name: 'waiting in doubt, natural', policy: NATURAL, steps: doubt, askedMs: 2 * S, state: 'waiting',
    tells: { retry: 'Yes. It may have happened, but sending it twice has the effect of sending it once.' },
  },
  {
    name: 'running', policy: NONE, steps: [[0, begin]], askedMs: 5 * S, state: 'running',
    tells: {
      happened: 'Possibly. Attempt 1 is running and may have sent it.',
      known: `Attempt 1 began at ${T(0)} on worker w1 and is running; nothing of it leaves after ${T(20 * S)}. The provider can neither tell repeats apart nor be asked.`,
      next: `Attempt 1 is answered, or ends at its deadline ${T(20 * S)} (in 15s). Without a definite answer, it becomes in doubt and a person is asked.`,
      retry: 'It has no effect: an attempt is running. Wait for its end; a second one beside it would be a second request.',
    },
  },
  {
    name: 'running, cancelled, past its deadline', policy: RECONCILE, steps: [[0, begin], [S, { type: 'cancel', ...who }]], askedMs: 25 * S, state: 'running',
    tells: { next: `The deadline of attempt 1 passed at ${T(20 * S)} (5s ago): its worker records the outcome any moment, or is found dead, and the attempt counts as "may have happened". No further attempt is sent: seen in the dashboard.` },
  },
  {
    name: 'accepted, facts alone', policy: POLICY, steps: [[0, begin], [S, answered(1, { kind: 'accepted', reference: 'po_9' })]], askedMs: 2 * S, state: 'accepted',
    tells: {
      happened: 'Not known yet: the provider accepted it as po_9, and its result is still to come.',
      known: `Attempt 1 began at ${T(0)}, and the provider accepted it as po_9.`,
      next: `Without a fact, an alert is raised at ${T(24 * H + S)} (in 24h). A fact (webhook: confirm or refute) ends it whenever it comes. Nothing is sent again.`,
      retry: 'Nothing is ever sent again after the provider accepted it. Retry is refused.',
    },
  },
  {
    name: 'accepted, polled', policy: { ...LOOKUP, pollEveryMs: 60 * S }, steps: [[0, begin], [S, answered(1, { kind: 'accepted', reference: 'po_9' })]], askedMs: 2 * S, state: 'accepted',
    tells: {
      next: `The provider is asked at ${T(61 * S)} (in 59s). A fact (webhook: confirm or refute) ends it whenever it comes. Nothing is sent again.`,
      retry: 'Nothing is ever sent again after the provider accepted it. Retry only asks the provider now instead of later, which is safe.',
    },
  },
  {
    name: 'checking', policy: { ...RECONCILE, absences: 2 }, steps: doubt, askedMs: 2 * S, state: 'checking',
    tells: {
      happened: 'Possibly. Attempt 1 is without a definite answer.',
      next: `The provider is asked at ${T(80 * S + 1)} (in 1.3m). Found: it ends succeeded. Provably absent 2 times in a row: it is sent again. Undecided 24h after the first question, a person is asked.`,
      retry: 'Yes: it only asks the provider now instead of later. Nothing is sent before its absence is proven.',
    },
  },
  {
    name: 'checking, cancelled', policy: RECONCILE, steps: [...doubt, [2 * S, { type: 'cancel', ...who }]], askedMs: 200 * S, state: 'checking',
    tells: { next: `The provider is asked as soon as a worker takes it. Found: it ends succeeded. Provably absent: it ends cancelled (seen in the dashboard). Undecided 24h after the first question, a person is asked.` },
  },
  {
    name: 'checking, asked already', policy: RECONCILE, steps: [...doubt, [100 * S, { type: 'looked', askedAt: T0 + 100 * S, answer: { kind: 'cannot_tell', reason: 'answered 500' } }]], askedMs: 101 * S, state: 'checking',
    tells: { next: `The provider is asked at ${T(110 * S)} (in 9s). Found: it ends succeeded. Provably absent: it is sent again. Undecided until ${T(24 * H + 100 * S)} (in 24h), a person is asked.` },
  },
  {
    name: 'in doubt without a lookup', policy: NONE, steps: doubt, askedMs: H, state: 'in_doubt', options: { operation: { owner: 'payments', runbook: 'https://wiki.example/charge' } },
    tells: {
      happened: 'Possibly. Attempt 1 is without a definite answer.',
      known: `Attempt 1 began at ${T(0)} and ended without a definite answer (no definite answer (ECONNRESET)). The provider can neither tell repeats apart nor be asked.`,
      next: 'Nothing by itself: a fact (webhook, late answer) or a person decides, with no time limit. Look at the provider, then: steward settle charge-order o_17 --happened | --send-again | --stop Owner: payments. Runbook: https://wiki.example/charge',
      retry: 'No. It may have happened, and sending it again could do it twice. Find out at the provider, then settle it: steward settle charge-order o_17 --happened | --send-again | --stop',
    },
  },
  {
    name: 'in doubt with a spent lookup, cancelled', policy: RECONCILE, askedMs: 30 * H, state: 'in_doubt',
    steps: [...doubt, [2 * S, { type: 'cancel', ...who }], [H, { type: 'looked', askedAt: T0 + H, answer: { kind: 'cannot_tell', reason: 'answered 500' } }], [26 * H, { type: 'looked', askedAt: T0 + 26 * H, answer: { kind: 'cannot_tell', reason: 'answered 500' } }]],
    tells: {
      next: 'Nothing by itself: a fact (webhook, late answer) or a person decides, with no time limit. Found not to have happened, it ends cancelled (seen in the dashboard). Look at the provider, then: steward settle charge-order o_17 --happened | --send-again | --stop',
      retry: 'Yes, it only asks the provider again. Sending it again by hand is not safe: it may have happened.',
    },
  },
  {
    name: 'succeeded', policy: POLICY, steps: [[0, begin], [S, answered(1, applied)]], askedMs: H, state: 'succeeded',
    tells: {
      happened: 'Yes: ch_1.',
      known: `It happened, says the answer to attempt 1 at ${T(S)} (reference ch_1).`,
      next: `Nothing: it ended succeeded at ${T(S)}.`,
      retry: 'No. It happened; a new effect needs a new key.',
    },
  },
  {
    name: 'succeeded, result missing', policy: POLICY, steps: [[0, begin], [S, answered(1, { kind: 'applied', result: null, resultMissing: 'when is a Date' })]], askedMs: H, state: 'succeeded',
    tells: { happened: 'Yes. Its result could not be stored: when is a Date.' },
  },
  {
    name: 'succeeded, contradicted later', policy: POLICY, askedMs: H, state: 'succeeded',
    steps: [[0, begin], [S, answered(1, applied)], [60 * S, { type: 'fact', fact: { kind: 'refuted', at: T0 + 50 * S, by: 'webhook evt_2' } }]],
    tells: { known: `It happened, says the answer to attempt 1 at ${T(S)} (reference ch_1). Against that, webhook evt_2 said at ${T(50 * S)} that it did not happen; "happened" stands, since a positive fact outranks a negative one.` },
  },
  {
    name: 'succeeded in a second generation: the absence of the first is no contradiction', policy: LOOKUP, askedMs: H, state: 'succeeded',
    steps: [[0, begin], [S, answered(1, { kind: 'unknown', reason: 'answered 500', keySpent: true })], [150 * S, { type: 'looked', askedAt: T0 + 150 * S, answer: { kind: 'absent' } }], [160 * S, begin], [161 * S, answered(2, applied)]],
    tells: { known: `It happened, says the answer to attempt 2 at ${T(161 * S)} (reference ch_1).` },
  },
  {
    name: 'the effect twice', policy: POLICY, askedMs: H, state: 'succeeded', options: { operation: { owner: 'payments' } },
    steps: [[0, begin], [S, answered(1, applied)], [60 * S, { type: 'fact', fact: { kind: 'applied', at: T0 + 50 * S, by: 'webhook evt_2', reference: 'ch_2' } }]],
    tells: {
      happened: 'Yes, and more than once: ch_1 and ch_2 are different effects at the provider.',
      next: `Nothing: it ended succeeded at ${T(S)}. Owner: payments.`,
      retry: 'No. It happened more than once already: refund or void all but one at the provider.',
    },
  },
  {
    name: 'rejected', policy: POLICY, steps: [[0, begin], [S, answered(1, refused)]], askedMs: H, state: 'rejected',
    tells: {
      happened: 'No. Its one attempt certainly did not take effect.',
      known: 'The last of its attempts to end, attempt 1, was refused (answered 402).',
      next: `Nothing by itself: it ended rejected at ${T(S)} (answered 402).`,
      retry: 'Yes, by redrive: it certainly did not happen, and it is sent under a fresh key (steward redrive charge-order o_17). Without a change at the provider it is refused again: answered 402.',
    },
  },
  {
    name: 'exhausted', policy: { ...POLICY, maxAttempts: 1 }, steps: [[0, begin], [S, answered(1, { kind: 'not_applied', reason: 'could not connect (ECONNREFUSED)', refused: 'unsent' })]], askedMs: H, state: 'exhausted', options: { operation: { owner: 'payments' } },
    tells: {
      next: `Nothing by itself: it ended exhausted at ${T(S)} (its 1 attempts are spent). Owner: payments.`,
      retry: 'Yes, by redrive: it certainly did not happen, and it is sent under a fresh key (steward redrive charge-order o_17).',
    },
  },
  {
    name: 'expired', policy: POLICY, start: { expiresAt: T0 + S }, steps: [[2 * S, { type: 'time' }]], askedMs: H, state: 'expired',
    tells: {
      happened: 'No. Nothing was ever sent.',
      retry: `Yes, by redrive: it certainly did not happen, and it is sent under a fresh key (steward redrive charge-order o_17). But it was declared useless after ${T(S)}: make sure that somebody still wants it.`,
    },
  },
  {
    name: 'cancelled', policy: POLICY, steps: [[S, { type: 'cancel', ...who }]], askedMs: H, state: 'cancelled',
    tells: { retry: 'Yes, by redrive: it certainly did not happen, and it is sent under a fresh key (steward redrive charge-order o_17). But ana@example.com cancelled it (seen in the dashboard): ask first.' },
  },
  {
    name: 'superseded', policy: POLICY, steps: [[0, begin], [S, answered(1, refused)], [2 * S, { type: 'superseded', byKey: 'o_17b' }]], askedMs: H, state: 'rejected',
    tells: {
      happened: 'No. Its one attempt certainly did not take effect. Key "o_17b" took its place: ask for that one.',
      retry: 'No. Key "o_17b" took its place; sending both could do it twice.',
    },
  },
  {
    name: 'a corrected end that had been superseded', policy: POLICY, askedMs: H, state: 'succeeded',
    steps: [[0, begin], [S, answered(1, refused)], [2 * S, { type: 'superseded', byKey: 'o_17b' }], [60 * S, { type: 'fact', fact: { kind: 'applied', at: T0 + S, by: 'webhook evt_1', reference: 'ch_1' } }]],
    tells: {
      happened: `Yes: ch_1. It had been recorded as "rejected" until ${T(60 * S)}: whatever was done because of that must be looked at again. Key "o_17b" replaced it and may have happened, too.`,
      retry: 'No. It happened; a new effect needs a new key.',
    },
  },
]

describe('the four answers', () => {
  it.each(ROWS.map((row) => [row.name, row] as const))('%s', (_name, row) => {
    const call = lived(row.policy, row.steps, newCall(row.start))
    expect(call.state).toBe(row.state)
    const { answers } = tell(call, row.policy, T0 + row.askedMs, row.options)
    expect(answers).toMatchObject(row.tells)
  })

  it('speak of every state', () => {
    expect(new Set(ROWS.map((row) => row.state))).toEqual(new Set(['waiting', 'running', 'accepted', 'checking', 'in_doubt', 'succeeded', 'rejected', 'exhausted', 'expired', 'cancelled']))
  })

  it.each(ROWS.map((row) => [row.name, row] as const))('claim nothing that needs the policy where it is unknown: %s', (_name, row) => {
    const call = lived(row.policy, row.steps, newCall(row.start))
    const { answers } = tell(call, null, T0 + row.askedMs, row.options)
    expect(Object.values(answers).join(' ')).not.toMatch(/undefined|null|NaN|\[object/)
    if (['waiting', 'checking'].includes(row.state)) expect(answers.next).toContain('this process does not know "charge-order"')
    if (!call.endedAt) expect(answers.retry).toContain('Not from here')
  })

  it('never calls a retry safe that begin would not carry out as told', () => {
    for (const row of ROWS.filter((one) => one.state === 'waiting')) {
      const call = lived(row.policy, row.steps, newCall(row.start))
      const { retry } = tell(call, row.policy, T0 + row.askedMs).answers
      const begun = lived(row.policy, [[row.askedMs, { type: 'retry_now', ...who }], [row.askedMs, begin]], call)
      expect([row.name, begun.state === 'running']).toEqual([row.name, retry.startsWith('Yes')])
    }
  })
})

describe('the story', () => {
  it('tells times, wire, warnings, decisions, people, deploys and fresh keys', () => {
    const wire = [{ method: 'POST', origin: 'https://api.stripe.com', path: '/v1/charges', reached: 'sent' as const, startedAt: T0, durationMs: 212, keyOnWire: true, error: 'ECONNRESET' }]
    const call = lived(LOOKUP, [
      [0, begin],
      [S, { type: 'answered', attempt: 1, worker: 'w1', verdict: { kind: 'unknown', reason: 'answered 500', keySpent: true }, wire, notes: ['the SDK sent twice inside one attempt'] }],
      [150 * S, { type: 'looked', askedAt: T0 + 150 * S, answer: { kind: 'absent' } }],
      [160 * S, { type: 'begin', worker: 'w2', version: 1, release: 'r2' }],
      [161 * S, { type: 'answered', attempt: 2, verdict: refused, worker: 'w2' }],
      [162 * S, { type: 'redrive', by: 'ana@example.com', why: 'card was replaced' }],
    ])
    const told = tell(call, LOOKUP, T0 + 170 * S)
    expect(told.title).toBe('charge-order "o_17" is waiting: it did not happen')
    expect(told.lines.map((line) => [line.at - T0, line.text, ...line.wire])).toEqual([
      [0, 'Submitted.'],
      [0, `Attempt 1 began on worker w1 (release r1, version 1); nothing of it leaves after ${T(20 * S)}.`],
      [S, `Attempt 1 ended without a definite answer: answered 500. It may have happened. Warning: the SDK sent twice inside one attempt. Sending again is not safe: the provider is asked first, from ${T(80 * S + 1)} on.`, 'POST https://api.stripe.com/v1/charges → sent, then ECONNRESET after 212ms; key on the wire'],
      [150 * S, `The provider was asked: it does not know of it. It waits for the next attempt, due ${T(151 * S)}.`],
      [160 * S, 'Deploy boundary between attempt 1 and attempt 2: release r1 → r2.'],
      [160 * S, `Attempt 2 began on worker w2 (release r2, version 1); nothing of it leaves after ${T(180 * S)}. From here on a fresh key is sent (generation 2), because the provider answers the old one with a stored refusal for ever and the earlier attempts certainly did not happen.`],
      [161 * S, 'Attempt 2 was refused: answered 402. It ended rejected: it certainly did not happen.'],
      [162 * S, `ana@example.com redrove it. Why: card was replaced. From here on a fresh key is sent (generation 3), because the earlier attempts certainly did not happen and ana@example.com decided to send again. It waits for the next attempt, due ${T(162 * S)}.`],
    ])
  })

  it('tells of the attempt that a set-back database may have forgotten, and by whose word it is presumed', () => {
    const restored: CallEvent = { type: 'restored', lostSinceAt: T0 + S, noticedAt: T0 + 60 * S, lookFirstUntilAt: T0 + H, by: 'ana@example.com', why: 'the standby was behind' }
    const call = lived(NONE, [[90 * S, restored]])
    expect(call).toMatchObject({ state: 'in_doubt', attempts: 1 })
    const told = tell(call, NONE, T0 + 91 * S)
    expect(told.lines.at(-1)?.text).toBe(`The database came back without what was committed since ${T(S)}, said ana@example.com (the standby was behind). It may have been sent between then and ${T(60 * S)} without a record: that counts as attempt 1, without a definite answer. No rule can decide whether it happened: it is in doubt until a fact or a person decides, and nothing is sent.`)
    expect(told.answers.happened).toBe('Possibly. Attempt 1 is without a definite answer.')
    expect(told.answers.known).toContain(`Attempt 1 is presumed: the database lost what was committed since ${T(S)}, and with it the record of what was sent.`)
  })

  it('names the forgotten key as the reason for a fresh one', () => {
    const call = lived(LOOKUP, [...doubt, [23 * H, begin], [23 * H + S, { type: 'looked', askedAt: T0 + 23 * H + S, answer: { kind: 'absent' } }], [23 * H + 5 * S, begin]], newCall({ giveUpAt: T0 + 48 * H }))
    expect(call.generation).toBe(2)
    expect(tell(call, LOOKUP, T0 + 24 * H).lines.at(-1)?.text).toContain('because the provider may have forgotten the old one')
  })

  it('claims no reason and no deploy where entries were left out', () => {
    const call = lived(LOOKUP, [...doubt, [2 * S, begin], [3 * S, answered(2, refused)]])
    const folded: Entry = { at: T0 + 90 * S, what: 'folded', entries: 7, attempts: 4, to: 'waiting', effect: 'did_not_happen', generation: 2 }
    const fresh: Entry = { at: T0 + 100 * S, what: 'begun', attempt: 5, worker: 'w9', deadlineAt: T0 + 120 * S, release: 'r9', version: 1, generation: 3, to: 'running' }
    const told = tell({ ...call, story: [...call.story, folded, fresh] }, LOOKUP, T0 + H).lines.slice(-2).map((line) => line.text)
    expect(told).toEqual([
      '7 entries are left out here, up to attempt 4. They left it waiting.',
      `Attempt 5 began on worker w9 (release r9, version 1); nothing of it leaves after ${T(120 * S)}. From here on a fresh key is sent (generation 3), because the earlier attempts certainly did not happen and the old key could serve no longer.`,
    ])
  })

  it('tells a correction', () => {
    const call = lived(POLICY, [[0, begin], [S, answered(1, refused)], [60 * S, { type: 'fact', fact: { kind: 'applied', at: T0 + S, by: 'webhook evt_1', reference: 'ch_1' } }]])
    expect(tell(call, POLICY, T0 + H).lines.at(-1)?.text).toBe(`Evidence from webhook evt_1, as of ${T(S)}: it happened (reference ch_1). That corrects its end: it had ended rejected, as "did not happen", but it happened. It is now succeeded.`)
  })

  const ENTRIES: { readonly [W in Entry['what']]: readonly [Entry & { what: W }, string] } = {
    submitted: [{ at: T0, what: 'submitted', why: 'takes the purpose of "o_1"' }, 'Submitted: takes the purpose of "o_1".'],
    begun: [{ at: T0, what: 'begun', attempt: 1, worker: 'w1', deadlineAt: T0 }, `Attempt 1 began on worker w1; nothing of it leaves after ${T(0)}.`],
    closed: [{ at: T0, what: 'closed', attempt: 1, verdict: 'accepted', reference: 'po_9' }, 'Attempt 1 was accepted by the provider (reference po_9); its result comes later.'],
    lapsed: [{ at: T0, what: 'lapsed', attempt: 1, worker: 'w1', why: 'its lease ended' }, 'Attempt 1 lost its worker w1: its lease ended. Its request may have left.'],
    looked: [{ at: T0, what: 'looked', answer: 'absent', counted: false }, 'The provider was asked: it does not know of it; that did not count as proof (asked before it could show, or no longer the question).'],
    fact: [{ at: T0, what: 'fact', kind: 'refuted', by: 'bo@example.com', instant: T0, attempt: 2, why: 'not in the ledger' }, 'Evidence from bo@example.com: attempt 2 did not happen: not in the ledger.'],
    late: [{ at: T0, what: 'late', attempt: 1, verdict: 'applied', worker: 'w1' }, 'Worker w1, which had lost its lease, brought a late answer of attempt 1: the provider did it.'],
    action: [{ at: T0, what: 'action', action: 'retry now', by: 'bo@example.com', why: 'customer waits' }, 'bo@example.com asked to retry now instead of later. Why: customer waits.'],
    held: [{ at: T0, what: 'held', why: 'told to wait', due: T0 + S }, `Held: told to wait. Next: ${T(S)}.`],
    presumed: [{ at: T0 + S, what: 'presumed', attempt: 3, lostSinceAt: T0, noticedAt: T0 + S, deadlineAt: T0 + 9 * S, by: 'bo@example.com', why: 'the disk was lost' }, `The database came back without what was committed since ${T(0)}, said bo@example.com (the disk was lost). It may have been sent between then and ${T(S)} without a record: that counts as attempt 3, without a definite answer.`],
    time: [{ at: T0, what: 'time', why: 'its time is spent', to: 'exhausted' }, 'Time moved it: its time is spent. It ended exhausted: it certainly did not happen.'],
    upgraded: [{ at: T0, what: 'upgraded', from: 1, version: 2 }, 'Its input was brought from version 1 to version 2; nothing of the older version was in doubt.'],
    folded: [{ at: 1, what: 'folded', entries: 40, attempts: 20 }, '40 entries are left out here, up to attempt 20.'],
    settled: [{ at: T0, what: 'settled', why: 'the order row was written' }, 'The application was told of the outcome: the order row was written.'],
  }

  it.each(Object.entries(ENTRIES))('has a sentence for an entry that was %s', (_what, [entry, text]) => {
    expect(sentences(entry, AT_FIRST, POLICY)).toBe(text)
  })
})

describe('a line of the wire', () => {
  const base = { method: 'POST', origin: 'https://api.example.com', path: '/v1/x', startedAt: T0, keyOnWire: false } as const
  it.each([
    [{ ...base, reached: 'created', error: 'ECONNREFUSED', durationMs: 3 }, 'not sent (ECONNREFUSED) after 3ms'],
    [{ ...base, reached: 'created', gated: 'deadline' }, "not sent, stopped by Steward's wire gate: the deadline of the attempt had passed"],
    [{ ...base, reached: 'sent', durationMs: 20_000 }, 'sent, and no answer was seen after 20s; the key was NOT on the wire'],
    [{ ...base, reached: 'answered', status: 402, durationMs: 310, keyOnWire: true }, '402 after 310ms; key on the wire'],
    [{ ...base, reached: 'answered', status: 200, error: 'terminated', keyOnWire: true }, '200, then terminated; key on the wire'],
    [{ ...base, method: 'GET', reached: 'answered', status: 200 }, '200'],
  ] as const)('%j', (exchange, tail) => {
    expect(wireLine(exchange, 'providerKey')).toBe(`${exchange.method} https://api.example.com/v1/x → ${tail}`)
  })

  it('misses the key only where the provider was to see one', () => {
    expect(wireLine({ ...base, reached: 'sent' }, 'none')).not.toContain('key')
    expect(wireLine({ ...base, reached: 'sent' }, null)).not.toContain('key')
  })
})
