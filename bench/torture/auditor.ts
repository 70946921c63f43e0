/**
 * The auditor: holds what the engine says (its public API) and what submitters were promised against what really
 * happened at the provider (its ledger). It knows nothing of the engine's insides, and changes nothing.
 */
import type { CallView } from 'steward'
import type { Acknowledged } from './acknowledged.ts'
import type { Order } from './application.ts'
import type { LedgerEntry } from './ledger.ts'
import type { Answer } from './numbers.ts'
import type { Heard } from './points.ts'
import type { Way } from './ways.ts'

export type Evidence = {
  readonly answer: Answer
  readonly ledger: readonly LedgerEntry[]
  readonly records: readonly CallView[]
  readonly acknowledged: readonly Acknowledged[]
  /** How each key was meant to enter. */
  readonly wayOf: (key: string) => Way
  /** The application's own rows; `null` where it has none. */
  readonly orders: readonly Order[] | null
  /** Answers that were heard by workers which then froze, and lived long enough afterwards. */
  readonly heard: readonly Heard[]
}

export type Violation = {
  readonly kind: 'effect twice' | 'lost' | 'in doubt' | 'record differs from ledger' | 'sent without a record' | 'submit' | 'transaction' | 'zombie'
  readonly key: string
  readonly detail: string
}

/**
 * A request that reached the provider after its attempt's deadline, or after others had taken its call over. Counted
 * from when the provider last looked, so that its own slowness is not blamed on the caller.
 */
export type Gap = { readonly key: string; readonly attempt: number; readonly after: 'deadline' | 'lease'; readonly byMs: number }

export type Audit = {
  readonly effectsOnce: number
  readonly effectsTwice: number
  readonly effectsNone: number
  readonly lost: number
  readonly inDoubt: number
  readonly recordDiffersFromLedger: number
  readonly gaps: readonly Gap[]
  /** Answers of fenced workers that came after their attempts had lapsed, kept as facts. */
  readonly lateAnswersKept: number
  /** Of those that workers had in their hands when they froze. */
  readonly heardBeforeFreeze: number
  /** Transactions with a submit in them that were rolled back, and those that were committed. */
  readonly rolledBackSubmits: number
  readonly committedSubmits: number
  readonly violations: readonly Violation[]
  /** Calls by state. */
  readonly states: Readonly<Record<string, number>>
}

const ENDS = new Set(['succeeded', 'rejected', 'exhausted', 'expired', 'cancelled'])

export function audit(evidence: Evidence): Audit {
  const { answer, ledger, records, acknowledged } = evidence
  const effects = effectsByKey(ledger)
  const record = new Map(records.map((call) => [call.key, call]))
  const promised = acknowledged.filter((line) => 'how' in line)
  const keys = new Set([...record.keys(), ...effects.keys(), ...promised.map((line) => line.key)])
  const violations: Violation[] = acknowledged.flatMap((line) => ('wrong' in line ? [{ kind: 'submit', key: line.key, detail: line.wrong }] : []))
  const counts = { effectsOnce: 0, effectsTwice: 0, effectsNone: 0 }
  for (const key of keys) {
    const references = effects.get(key) ?? []
    counts[references.length === 0 ? 'effectsNone' : references.length === 1 ? 'effectsOnce' : 'effectsTwice']++
    if (references.length > 1) violations.push({ kind: 'effect twice', key, detail: `${references.length} effects in the ledger: ${references.join(', ')}` })
    const call = record.get(key)
    violations.push(...(call ? judged(call, references, answer) : [{ kind: 'lost' as const, key, detail: 'no record' }]))
  }
  for (const line of promised) {
    const call = record.get(line.key)
    if (call && call.id !== line.id) violations.push({ kind: 'lost', key: line.key, detail: `acknowledged as ${line.id}, recorded as ${call.id}` })
  }
  violations.push(...unrecorded(ledger, record), ...records.flatMap(overruled), ...forgotten(evidence.heard, record))
  if (evidence.orders !== null) violations.push(...apart(evidence.orders, record, ledger, evidence.wayOf))
  const count = (kind: Violation['kind']): number => violations.filter((one) => one.kind === kind).length
  return {
    ...counts,
    lost: count('lost'),
    inDoubt: records.filter((call) => call.state === 'in_doubt').length,
    recordDiffersFromLedger: count('record differs from ledger'),
    gaps: gapsOf(ledger, record),
    lateAnswersKept: records.reduce((sum, call) => sum + call.story.filter((entry) => entry.what === 'late').length, 0),
    heardBeforeFreeze: evidence.heard.length,
    rolledBackSubmits: acknowledged.filter((line) => 'undone' in line).length,
    committedSubmits: evidence.orders?.length ?? 0,
    violations,
    states: tally(records.map((call) => call.state)),
  }
}

export function tally(words: readonly string[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const word of words) counts[word] = (counts[word] ?? 0) + 1
  return counts
}

function effectsByKey(ledger: readonly LedgerEntry[]): ReadonlyMap<string, readonly string[]> {
  const effects = new Map<string, string[]>()
  for (const entry of ledger) {
    if (entry.what !== 'effect') continue
    const known = effects.get(entry.key)
    if (known) known.push(entry.reference)
    else effects.set(entry.key, [entry.reference])
  }
  return effects
}

/** One record against the effects of its key. */
function judged(call: CallView, references: readonly string[], answer: Answer): Violation[] {
  const { key, state, effect } = call
  const differs = (detail: string): Violation[] => [{ kind: 'record differs from ledger', key, detail }]
  if (state === 'in_doubt') {
    if (answer !== 'none') return [{ kind: 'in doubt', key, detail: `under ${answer} somebody could know: ${call.reason}` }]
    return mayBeInDoubt(call) ? [] : [{ kind: 'in doubt', key, detail: 'every attempt it began has a recorded answer' }]
  }
  if (!ENDS.has(state)) return [{ kind: 'lost', key, detail: `still ${state} (${call.reason})` }]
  if (state === 'succeeded') {
    if (effect !== 'happened') return differs(`it is succeeded, and its effect "${effect}"`)
    if (references.length === 0) return differs('it is succeeded, and there is no effect in the ledger')
    const told = referenceIn(call.result)
    return told !== null && references.includes(told) ? [] : differs(`its result names ${told ?? 'nothing'}; the ledger has ${references.join(', ')}`)
  }
  if (effect !== 'did_not_happen') return differs(`it is ${state}, and its effect "${effect}"`)
  return references.length > 0 ? differs(`it is ${state} ("did not happen"), and the ledger has ${references.join(', ')}`) : []
}

function referenceIn(result: unknown): string | null {
  return typeof result === 'object' && result !== null && 'reference' in result && typeof result.reference === 'string' ? result.reference : null
}

/** Under `none`, doubt is right only where an attempt began and no definite answer of it was recorded. */
function mayBeInDoubt(call: CallView): boolean {
  const open = new Set<number>()
  for (const entry of call.story) {
    if (entry.what === 'begun') open.add(entry.attempt)
    if (entry.what === 'closed' && entry.verdict !== 'unknown') open.delete(entry.attempt)
    if (entry.what === 'late' && entry.verdict !== 'unknown') open.delete(entry.attempt)
  }
  return open.size > 0
}

/** Requests of attempts that no story tells of: bytes left before the attempt was on record. */
function unrecorded(ledger: readonly LedgerEntry[], record: ReadonlyMap<string, CallView>): readonly Violation[] {
  return ledger.flatMap((entry) => {
    if (entry.what !== 'arrived') return []
    const call = record.get(entry.key)
    if (!call) return [{ kind: 'sent without a record' as const, key: entry.key, detail: `attempt ${entry.attempt} arrived, and there is no such call` }]
    const told = call.story.some((one) => (one.what === 'begun' && one.attempt === entry.attempt) || one.what === 'folded')
    return told ? [] : [{ kind: 'sent without a record' as const, key: entry.key, detail: `attempt ${entry.attempt} arrived, and its story has no such attempt` }]
  })
}

/** A worker that lost its lease changes nothing: what lapsed is not closed under that lease any more, its answer is a fact. */
function overruled(call: CallView): readonly Violation[] {
  const lapsed = new Set<number>()
  return call.story.flatMap((entry) => {
    if (entry.what === 'lapsed') lapsed.add(entry.attempt)
    if (entry.what !== 'closed' || !lapsed.has(entry.attempt)) return []
    return [{ kind: 'zombie' as const, key: call.key, detail: `attempt ${entry.attempt} was closed (${entry.verdict}) after it had lapsed` }]
  })
}

/** What a frozen worker had heard is on record, as an answer or as a late one. */
function forgotten(heard: readonly Heard[], record: ReadonlyMap<string, CallView>): readonly Violation[] {
  return heard.flatMap(({ key, attempt, pid }) => {
    const story = record.get(key)?.story ?? []
    const kept = story.some((entry) => (entry.what === 'folded') || ((entry.what === 'closed' || entry.what === 'late') && entry.attempt === attempt && entry.verdict === 'applied'))
    return kept ? [] : [{ kind: 'zombie' as const, key, detail: `process ${pid} had heard the answer of attempt ${attempt} when it froze, and it is not on record` }]
  })
}

/** The application's orders and the calls: one exists exactly when the other does, and both say the same of its end. */
function apart(orders: readonly Order[], record: ReadonlyMap<string, CallView>, ledger: readonly LedgerEntry[], wayOf: Evidence['wayOf']): readonly Violation[] {
  const wrong = (key: string, detail: string): Violation => ({ kind: 'transaction', key, detail })
  const ordered = new Set(orders.map((order) => order.key))
  const ofOrders = orders.flatMap((order) => {
    const call = record.get(order.key)
    if (wayOf(order.key) !== 'transaction') return [wrong(order.key, 'its order was made in a transaction that was rolled back')]
    if (call?.id !== order.callId) return [wrong(order.key, `its order names call ${order.callId}, and there is ${call ? call.id : 'none'}`)]
    const told = ENDS.has(call.state) ? call.state : null
    return order.settled === told ? [] : [wrong(order.key, `its call is ${call.state}, and its order was told ${order.settled ?? 'nothing'}`)]
  })
  const ofCalls = [...record.keys()].flatMap((key) => {
    const way = wayOf(key)
    if (way === 'rolled back') return [wrong(key, 'its transaction was rolled back every time, and there is a call')]
    return way === 'transaction' && !ordered.has(key) ? [wrong(key, 'there is a call, and the order beside it is not')] : []
  })
  const effects = ledger.filter((entry) => entry.what === 'effect' && wayOf(entry.key) === 'rolled back')
  return [...ofOrders, ...ofCalls, ...effects.map((entry) => wrong('key' in entry ? entry.key : '', 'its transaction was rolled back every time, and there is an effect'))]
}

function gapsOf(ledger: readonly LedgerEntry[], record: ReadonlyMap<string, CallView>): readonly Gap[] {
  return ledger.flatMap((entry): readonly Gap[] => {
    if (entry.what !== 'arrived') return []
    const story = record.get(entry.key)?.story ?? []
    const { key, attempt, unreadSinceAt: at } = entry
    const begun = story.find((one) => one.what === 'begun' && one.attempt === attempt)
    if (begun?.what === 'begun' && at > begun.deadlineAt) return [{ key, attempt, after: 'deadline', byMs: at - begun.deadlineAt }]
    const lapsed = story.find((one) => one.what === 'lapsed' && one.attempt === attempt)
    return lapsed && at > lapsed.at ? [{ key, attempt, after: 'lease', byMs: at - lapsed.at }] : []
  })
}
