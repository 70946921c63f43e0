import type { CallView, Entry } from 'steward'
import { describe, expect, it } from 'vitest'
import type { Order } from './application.ts'
import { audit, type Evidence } from './auditor.ts'
import type { LedgerEntry } from './ledger.ts'

function call(key: string, over: Partial<CallView> = {}): CallView {
  const story: readonly Entry[] = [
    { at: 1, what: 'submitted' },
    { at: 2, what: 'begun', attempt: 1, worker: 'w1', deadlineAt: 102, to: 'running', effect: 'unknown' },
    { at: 9, what: 'closed', attempt: 1, verdict: 'applied', to: 'succeeded', effect: 'happened' },
  ]
  return {
    id: `c_${key}`, operation: 'torture-effect', key, version: 1, group: null, state: 'succeeded', effect: 'happened', reason: '', generation: 1, attempts: 1,
    createdAt: 1, dueAt: null, expiresAt: null, giveUpAt: null, endedAt: 9, priority: 0, input: {}, result: { reference: `e_${key}` }, supersedes: null, supersededBy: null, story, ...over,
  }
}
const arrived = (key: string, at = 3, attempt = 1): LedgerEntry => ({ what: 'arrived', at: at + 1_000, unreadSinceAt: at, key, attempt, idempotencyKey: `i_${key}` })
const effect = (key: string, reference = `e_${key}`): LedgerEntry => ({ what: 'effect', at: 5, key, attempt: 1, reference })

/** Two calls that went well; each test plants one thing that did not. */
function evidence(over: Partial<Evidence> = {}): Evidence {
  return {
    answer: 'providerKey',
    records: [call('a'), call('b')],
    ledger: [arrived('a'), effect('a'), arrived('b'), effect('b')],
    acknowledged: [{ key: 'a', id: 'c_a', how: 'submit' }, { key: 'b', id: 'c_b', how: 'perform' }],
    wayOf: () => 'submit',
    orders: null,
    heard: [],
    ...over,
  }
}
const kinds = (found: ReturnType<typeof audit>): readonly string[] => found.violations.map((one) => `${one.kind} ${one.key}`)
const doubtful = (key: string, closed?: 'unknown' | 'not_applied'): CallView => {
  const begun = call(key).story.slice(0, 2)
  return call(key, { state: 'in_doubt', effect: 'unknown', result: null, endedAt: null, story: closed === undefined ? begun : [...begun, { at: 9, what: 'closed', attempt: 1, verdict: closed }] })
}

describe('the auditor', () => {
  it('finds nothing where records and ledger agree', () => {
    const found = audit(evidence())
    expect(found).toMatchObject({ effectsOnce: 2, effectsTwice: 0, effectsNone: 0, lost: 0, inDoubt: 0, recordDiffersFromLedger: 0 })
    expect(found.violations).toEqual([])
    expect(found.gaps).toEqual([])
  })

  it('finds an effect that happened twice, and one under a key that nobody recorded', () => {
    const found = audit(evidence({ ledger: [arrived('a'), effect('a'), effect('a', 'e_other'), arrived('b'), effect('b'), effect('z')] }))
    expect(found.effectsTwice).toBe(1)
    expect(kinds(found)).toEqual(['effect twice a', 'lost z'])
  })

  it('finds an acknowledged call without a record, and one recorded under another id', () => {
    const found = audit(evidence({ records: [call('b', { id: 'c_other' })] }))
    expect(kinds(found)).toContain('lost a')
    expect(kinds(found)).toContain('lost b')
    expect(found.lost).toBe(2)
  })

  it('finds a call that never ended', () => {
    expect(kinds(audit(evidence({ records: [call('a', { state: 'checking', effect: 'unknown' }), call('b')] })))).toEqual(['lost a'])
  })

  it('finds a success without an effect, and one that names an effect of another call', () => {
    expect(kinds(audit(evidence({ ledger: [arrived('a'), arrived('b'), effect('b')] })))).toEqual(['record differs from ledger a'])
    expect(kinds(audit(evidence({ records: [call('a', { result: { reference: 'e_b' } }), call('b')] })))).toEqual(['record differs from ledger a'])
  })

  it.each(['rejected', 'exhausted', 'expired', 'cancelled'] as const)('finds an effect behind a call that ended %s', (state) => {
    const found = audit(evidence({ records: [call('a', { state, effect: 'did_not_happen', result: null }), call('b')] }))
    expect(found.recordDiffersFromLedger).toBe(1)
    expect(kinds(found)).toEqual(['record differs from ledger a'])
  })

  it('finds doubt where somebody could know', () => {
    for (const answer of ['providerKey', 'reconcile', 'natural'] as const) {
      expect(kinds(audit(evidence({ answer, records: [doubtful('a', 'unknown'), call('b')] })))).toEqual(['in doubt a'])
    }
  })

  it('accepts doubt under none only where an attempt began and has no definite answer', () => {
    const under = (record: CallView): ReturnType<typeof audit> => audit(evidence({ answer: 'none', records: [record, call('b')] }))
    expect(under(doubtful('a'))).toMatchObject({ inDoubt: 1, violations: [] })
    expect(under(doubtful('a', 'unknown')).violations).toEqual([])
    expect(kinds(under(doubtful('a', 'not_applied')))).toEqual(['in doubt a'])
  })

  it('finds a request whose attempt is not on record', () => {
    expect(kinds(audit(evidence({ ledger: [...evidence().ledger, arrived('b', 4, 2)] })))).toEqual(['sent without a record b'])
  })

  it('counts what came after the deadline, or after others had taken over, apart', () => {
    const late = audit(evidence({ ledger: [arrived('a', 103), effect('a'), arrived('b'), effect('b')] }))
    expect(late.gaps).toEqual([{ key: 'a', attempt: 1, after: 'deadline', byMs: 1 }])
    expect(late.violations).toEqual([])
    const story: readonly Entry[] = [...call('a').story.slice(0, 2), { at: 4, what: 'lapsed', attempt: 1, worker: 'w1', why: 'it died' }]
    const overtaken = audit(evidence({ records: [call('a', { story }), call('b')], ledger: [arrived('a', 6), effect('a'), arrived('b'), effect('b')] }))
    expect(overtaken.gaps).toEqual([{ key: 'a', attempt: 1, after: 'lease', byMs: 2 }])
  })

  it('passes on what a submitter saw itself', () => {
    expect(kinds(audit(evidence({ acknowledged: [...evidence().acknowledged, { key: 'a', wrong: 'another input was accepted' }] })))).toEqual(['submit a'])
  })

  it('finds an attempt that was closed after it had lapsed, and leaves a late answer alone', () => {
    const [submitted, begun] = call('a').story as readonly [Entry, Entry]
    const lapsed: Entry = { at: 5, what: 'lapsed', attempt: 1, worker: 'w1', why: 'frozen', to: 'waiting' }
    const closed: Entry = { at: 9, what: 'closed', attempt: 1, verdict: 'applied', to: 'succeeded', effect: 'happened' }
    const late: Entry = { at: 9, what: 'late', attempt: 1, verdict: 'applied', worker: 'w1', to: 'succeeded', effect: 'happened' }
    const found = audit(evidence({ records: [call('a', { story: [submitted, begun, lapsed, closed] }), call('b', { story: [submitted, begun, lapsed, late] })] }))
    expect(kinds(found)).toEqual(['zombie a'])
    expect(found.lateAnswersKept).toBe(1)
  })

  it('finds an answer that a frozen worker had heard and that nobody kept', () => {
    const forgetful = call('b', { story: call('b').story.slice(0, 2) })
    const found = audit(evidence({ records: [call('a'), forgetful], heard: [{ key: 'a', attempt: 1, pid: 7 }, { key: 'b', attempt: 1, pid: 7 }] }))
    expect(kinds(found)).toEqual(['zombie b'])
    expect(found.heardBeforeFreeze).toBe(2)
  })

  describe('of transactions', () => {
    const order = (key: string, over: Partial<Order> = {}): Order => ({ key, callId: `c_${key}`, settled: 'succeeded', ...over })
    const inside = (over: Partial<Evidence>): ReturnType<typeof audit> => audit(evidence({ orders: [order('a'), order('b')], wayOf: () => 'transaction', ...over }))

    it('finds nothing where each order has its call, and says how many were rolled back', () => {
      const found = inside({ acknowledged: [{ key: 'z', undone: true }], wayOf: (key) => (key === 'z' ? 'rolled back' : 'transaction') })
      expect(found.violations).toEqual([])
      expect(found).toMatchObject({ committedSubmits: 2, rolledBackSubmits: 1 })
    })

    it('finds an order without its call, with another one, and a call without its order', () => {
      expect(kinds(inside({ orders: [order('a'), order('b', { callId: 'c_other' }), order('y')] }))).toEqual(['transaction b', 'transaction y'])
      expect(kinds(inside({ orders: [order('a')] }))).toEqual(['transaction b'])
    })

    it('finds an order that was told another end than its call has, or none', () => {
      expect(kinds(inside({ orders: [order('a', { settled: 'rejected' }), order('b', { settled: null })] }))).toEqual(['transaction a', 'transaction b'])
    })

    it('finds a call, an order and an effect of a transaction that was rolled back', () => {
      const wayOf: Evidence['wayOf'] = (key) => (key === 'b' ? 'rolled back' : 'transaction')
      expect(kinds(inside({ orders: [order('a')], wayOf }))).toEqual(['transaction b', 'transaction b'])
      expect(kinds(inside({ orders: [order('a'), order('b')], wayOf, records: [call('a')], acknowledged: [], ledger: [] })).filter((one) => one.startsWith('transaction'))).toEqual(['transaction b'])
    })
  })
})
