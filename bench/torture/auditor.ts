/**
 * The auditor: holds what the engine says (its public API) and what submitters were promised against what really
 * happened at the provider (its ledger). It knows nothing of the engine's insides, and changes nothing.
 */
import type { CallView } from 'steward'
import type { Acknowledged } from './acknowledged.ts'
import type { LedgerEntry } from './ledger.ts'
import type { Answer } from './numbers.ts'

export type Evidence = {
  readonly answer: Answer
  readonly ledger: readonly LedgerEntry[]
  readonly records: readonly CallView[]
  readonly acknowledged: readonly Acknowledged[]
}

export type Violation = {
  readonly kind: 'effect twice' | 'lost' | 'in doubt' | 'record differs from ledger' | 'sent without a record' | 'submit'
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
  violations.push(...unrecorded(ledger, record))
  const count = (kind: Violation['kind']): number => violations.filter((one) => one.kind === kind).length
  return {
    ...counts,
    lost: count('lost'),
    inDoubt: records.filter((call) => call.state === 'in_doubt').length,
    recordDiffersFromLedger: count('record differs from ledger'),
    gaps: gapsOf(ledger, record),
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
