/** A sound run, written by hand: four operations, one for each answer, and what ledger, API and people show of them. */
import type { AlertView, CallView, Entry } from 'steward'
import type { AnswerKind, Replayed } from 'steward/internal'
import type { Intent, LedgerEffect, LedgerRequest, ProviderView } from '../contract.ts'
import { derivedKeys, type Evidence, type OperationFacts } from './evidence.ts'

export const T0 = 1_800_000_000_000
const SECOND = 1_000

export const facts = (name: string, answer: AnswerKind, hasLookup = false): OperationFacts => ({ name, answer, provider: 'acme', settleMs: 60 * SECOND, hasLookup })

type Told = Partial<Omit<CallView, 'story' | 'operation' | 'key'>>

export function call(operation: string, key: string, story: readonly Entry[], told: Told = {}): CallView {
  const moved = story.reduce<Replayed>((last, entry) => ({ state: entry.to ?? last.state, effect: entry.effect ?? last.effect, generation: entry.generation ?? last.generation, attempts: entry.what === 'begun' ? entry.attempt : last.attempts }), { state: 'waiting', effect: 'did_not_happen', generation: 1, attempts: 0 })
  return {
    id: `c-${operation}-${key}`, operation, key, version: 1, group: null, reason: 'as told', createdAt: T0, dueAt: null, expiresAt: null, giveUpAt: T0 + 86_400 * SECOND,
    endedAt: story.at(-1)?.at ?? null, priority: 0, input: { amount: 100 }, result: null, supersedes: null, supersededBy: null, story, ...moved, ...told,
  }
}

export const begun = (n: number, at: number, more: Partial<Entry> = {}): Entry => ({ at, what: 'begun', attempt: n, worker: 'w1', deadlineAt: at + 30 * SECOND, version: 1, to: 'running', effect: 'unknown', ...more } as Entry)
export const closed = (n: number, at: number, verdict: 'applied' | 'unknown' | 'not_applied' | 'rejected' | 'accepted', more: Partial<Entry> = {}): Entry => ({ at, what: 'closed', attempt: n, verdict, ...more } as Entry)
export const done = { to: 'succeeded', effect: 'happened' } as const

export const keyOf = (operation: string, key: string, generation = 1): string => derivedKeys({ namespace: 'default' }, { operation, key, generation }).at(-1) as string

export const request = (operation: string, key: string, arrivedAt: number, more: Partial<LedgerRequest> = {}): LedgerRequest => ({
  arrivedAt, method: 'POST', path: '/v1/things', operation, businessKey: key, providerKey: operation === 'charge' ? keyOf(operation, key) : null, fingerprint: 'f'.repeat(64), isLookup: false, answered: 200, isReplay: false, reference: null, toldToWaitUntil: null, ...more,
})
export const effect = (operation: string, key: string, at: number, more: Partial<LedgerEffect> = {}): LedgerEffect => ({
  at, operation, businessKey: key, providerKey: null, reference: `r-${key}`, fingerprint: 'f'.repeat(64), amount: 100, undoneAt: null, ...more,
})

export const intent = (operation: string, key: string): Intent => ({ operation, key, input: { amount: 100 }, provider: 'acme', process: 'p1', askedAt: T0, acknowledgedAt: T0 + 5, refused: null, group: null })

export const alert = (of: CallView, kind: AlertView['kind']): AlertView => ({ id: `${of.id}:${kind}`, kind, severity: 'page', at: T0, operation: of.operation, callId: of.id, key: of.key, state: of.state, message: 'm', next: 'n', deliveredAt: T0 + 1 })

export function sound(): Evidence {
  const s = (seconds: number): number => T0 + seconds * SECOND
  const charged = call('charge', 'o1', [
    { at: T0, what: 'submitted' }, begun(1, s(1)), closed(1, s(2), 'unknown', { to: 'waiting' }), begun(2, s(3)), closed(2, s(4), 'applied', { ...done, reference: 'r-o1' }),
  ], { result: { reference: 'r-o1' } })
  const limited = call('charge', 'o2', [
    { at: T0, what: 'submitted' }, begun(1, s(10)), closed(1, s(11), 'not_applied', { to: 'waiting', effect: 'did_not_happen', status: 429 }), begun(2, s(140)), closed(2, s(141), 'applied', done),
  ])
  const paid = call('payout', 'p1', [
    { at: T0, what: 'submitted' }, begun(1, s(1)), closed(1, s(2), 'unknown', { to: 'checking' }), { at: s(150), what: 'looked', answer: 'absent', counted: true, to: 'waiting', effect: 'did_not_happen' },
    begun(2, s(151)), closed(2, s(152), 'applied', done),
  ])
  const put = call('put', 'd1', [{ at: T0, what: 'submitted' }, begun(1, s(1)), closed(1, s(2), 'unknown', { to: 'waiting' }), begun(2, s(3)), closed(2, s(4), 'applied', done)])
  const mailed = call('mail', 'm1', [{ at: T0, what: 'submitted' }, begun(1, s(1)), closed(1, s(2), 'unknown', { to: 'in_doubt' })], { endedAt: null })
  const calls = [charged, limited, paid, put, mailed]
  const provider: ProviderView = {
    facts: { name: 'acme', keyRetentionMs: 86_400 * SECOND, lookupLagMs: 30 * SECOND },
    ledger: {
      provider: 'acme',
      effects: [effect('charge', 'o1', s(1.5)), effect('charge', 'o2', s(140.5)), effect('payout', 'p1', s(151.5)), effect('put', 'd1', s(1.5)), effect('put', 'd1', s(3.5), { reference: 'r-d1-again' }), effect('mail', 'm1', s(1.5))],
      requests: [
        request('charge', 'o1', s(1.5), { answered: 'lost', reference: 'r-o1' }), request('charge', 'o1', s(3.5), { isReplay: true }),
        request('charge', 'o2', s(10.5), { answered: 429, toldToWaitUntil: s(130) }), request('charge', 'o2', s(140.5)),
        request('payout', 'p1', s(1.5), { answered: 'none' }), request('payout', 'p1', s(151.5)), request('payout', 'p1', s(149), { isLookup: true }),
        request('put', 'd1', s(1.5), { answered: 'lost' }), request('put', 'd1', s(3.5)), request('mail', 'm1', s(1.5), { answered: 'lost' }),
      ],
    },
  }
  return {
    now: s(1_000), namespace: 'default', clockIsTrue: true, sinks: [{ name: 'the log', text: 'nothing of note' }], secrets: ['sk_live_canary'],
    operations: new Map([facts('charge', 'providerKey'), facts('payout', 'reconcile', true), facts('put', 'natural'), facts('mail', 'none')].map((one) => [one.name, one])),
    providers: new Map([['acme', provider]]), intents: calls.map((one) => intent(one.operation, one.key)), calls,
    alerts: [alert(mailed, 'in_doubt')], alertsTold: [],
    told: calls.filter((one) => one.state !== 'in_doubt').map((one) => ({ at: s(200), process: 'p1', operation: one.operation, key: one.key, state: one.state, effect: one.effect })),
  }
}

/** The evidence with one call changed. */
export function withCall(evidence: Evidence, key: string, change: (known: CallView) => CallView | null): Evidence {
  return { ...evidence, calls: evidence.calls.flatMap((one) => (one.key === key ? (change(one) ?? []) : [one])) }
}

/** The evidence with the ledger changed. */
export function withLedger(evidence: Evidence, change: (ledger: ProviderView['ledger']) => Partial<ProviderView['ledger']>): Evidence {
  const acme = evidence.providers.get('acme') as ProviderView
  return { ...evidence, providers: new Map([['acme', { ...acme, ledger: { ...acme.ledger, ...change(acme.ledger) } }]]) }
}
