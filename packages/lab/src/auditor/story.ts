/** The story: it is in order, replays to the record, and never tells of a send that could double an effect. */
import type { CallView, Entry } from 'steward'
import { replay } from 'steward/internal'
import { iso } from './effects.ts'
import type { Case, OperationFacts } from './evidence.ts'

/** Contract 8: replaying the story gives the call's state. */
export function replays({ call }: Case): readonly string[] {
  if (call === null) return []
  const told = replay(call.story)
  const differs = (['state', 'effect', 'generation', 'attempts'] as const).filter((field) => told[field] !== call[field])
  const backwards = call.story.findIndex((entry, index) => index > 0 && entry.at < (call.story[index - 1] as Entry).at)
  return [
    ...differs.map((field) => `its story replays to ${field} ${told[field]}; the record says ${call[field]}`),
    ...(backwards < 0 ? [] : [`entry ${backwards + 1} of its story (${call.story[backwards]?.what}) is earlier than the one before it`]),
  ]
}

type Doubt = { readonly n: number; readonly generation: number; readonly begunAt: number; readonly deadlineAt: number; readonly isAccepted: boolean; overAt: number | null }

/** What the story proves about its attempts, entry by entry. */
class Doubts {
  readonly open = new Map<number, Doubt>()
  readonly #answer: OperationFacts['answer']
  generation = 1
  /** First begin of this generation, from which the provider's memory is counted. */
  firstBegunAt: number | null = null
  applied: number | null = null

  constructor(operation: Pick<OperationFacts, 'answer'>) {
    this.#answer = operation.answer
  }

  take(entry: Entry): void {
    switch (entry.what) {
      case 'begun':
        if (entry.generation !== undefined) [this.generation, this.firstBegunAt] = [entry.generation, null]
        this.firstBegunAt ??= entry.at
        this.open.set(entry.attempt, { n: entry.attempt, generation: this.generation, begunAt: entry.at, deadlineAt: entry.deadlineAt, isAccepted: false, overAt: null })
        return
      case 'presumed':
        // Under the key of its generation, at any time since commits may be lost.
        this.firstBegunAt = Math.min(this.firstBegunAt ?? entry.lostSinceAt, entry.lostSinceAt)
        this.open.set(entry.attempt, { n: entry.attempt, generation: this.generation, begunAt: entry.lostSinceAt, deadlineAt: entry.deadlineAt, isAccepted: false, overAt: entry.deadlineAt })
        break
      case 'closed': case 'late':
        this.#answered(entry.attempt, entry.verdict, entry.at)
        // Under one key all requests are one: what the provider took for later is all of them.
        if (this.#answer === 'providerKey' && entry.what === 'closed' && entry.verdict === 'accepted') for (const doubt of [...this.open.values()]) if (!doubt.isAccepted && doubt.generation === this.generation) this.open.delete(doubt.n)
        // Under a key a refusal may speak for all attempts of its generation (a conclusive replay); the ledger is then the judge.
        if (this.#answer === 'providerKey' && entry.what === 'closed' && entry.verdict === 'rejected' && entry.to === 'rejected') this.open.clear()
        break
      case 'lapsed': {
        const doubt = this.open.get(entry.attempt)
        if (doubt) doubt.overAt = Math.max(entry.at, doubt.deadlineAt)
        break
      }
      case 'looked':
        if (entry.answer === 'found') this.applied ??= this.open.keys().next().value ?? 0
        if (entry.answer === 'absent' && entry.counted && entry.to !== undefined && entry.to !== 'checking' && entry.to !== 'in_doubt') this.open.clear()
        break
      case 'fact':
        if (entry.kind === 'applied') this.applied ??= entry.attempt ?? 0
        else for (const doubt of [...this.open.values()]) if (entry.attempt === doubt.n || (entry.attempt === undefined && doubt.overAt !== null && doubt.overAt < entry.instant)) this.open.delete(doubt.n)
        break
      case 'action':
        if (entry.action === 'settle: happened') this.applied ??= 0
        else if (entry.action.startsWith('settle: ')) this.open.clear()
        break
      case 'submitted': case 'held': case 'time': case 'upgraded': case 'settled': case 'folded': break
    }
    if (entry.generation !== undefined) [this.generation, this.firstBegunAt] = [entry.generation, null]
  }

  #answered(n: number, verdict: string, at: number): void {
    const doubt = this.open.get(n)
    if (verdict === 'applied') this.applied ??= n
    if (verdict === 'rejected' || verdict === 'not_applied') this.open.delete(n)
    else if (doubt) this.open.set(n, { ...doubt, isAccepted: verdict === 'accepted', overAt: doubt.overAt ?? at })
  }
}

/**
 * Contract 2: send runs again only where that is safe at that moment. Judged by the answer that the operation declares
 * and by how long the provider says it remembers keys, not by what the engine thinks of either.
 */
export function noBlindResend({ operation, call, provider }: Case): readonly string[] {
  if (call === null) return []
  const doubts = new Doubts(operation)
  const found: string[] = []
  for (const entry of call.story) {
    if (entry.what === 'folded') return found
    if (entry.what === 'begun') found.push(...unsafe(entry, doubts, operation, provider?.keyRetentionMs ?? null))
    doubts.take(entry)
  }
  return found
}

function unsafe(entry: Entry & { readonly what: 'begun' }, doubts: Doubts, operation: OperationFacts, retentionMs: number | null): readonly string[] {
  const at = `attempt ${entry.attempt} began at ${iso(entry.at)}`
  if (doubts.applied !== null) return [`${at}, after it was known to have happened`]
  const open = [...doubts.open.values()]
  const accepted = open.find((doubt) => doubt.isAccepted)
  if (accepted) return [`${at}, although attempt ${accepted.n} was accepted`]
  if (open.length === 0 || operation.answer === 'natural') return []
  const names = open.map((doubt) => doubt.n).join(', ')
  if (operation.answer !== 'providerKey') return [`${at}, while attempt ${names} may have happened and nothing makes a second send safe (${operation.answer})`]
  if (entry.generation !== undefined && entry.generation !== doubts.generation) return [`${at} under a fresh key (generation ${entry.generation}), while attempt ${names} may have happened`]
  const first = doubts.firstBegunAt ?? entry.at
  if (retentionMs !== null && entry.deadlineAt > first + retentionMs) return [`${at} and may send until ${iso(entry.deadlineAt)}, while attempt ${names} may have happened and the key, first sent at ${iso(first)}, is remembered for ${retentionMs}ms only`]
  return []
}

/** Contract 3: no end that denies the effect while an attempt may have happened. */
export function noFalseEnd({ operation, call }: Case): readonly string[] {
  if (call === null) return []
  const doubts = new Doubts(operation)
  const found: string[] = []
  for (const entry of call.story) {
    if (entry.what === 'folded') return found
    doubts.take(entry)
    if (entry.to !== undefined && DENIALS.has(entry.to) && doubts.open.size > 0) found.push(`it ended ${entry.to} at ${iso(entry.at)}, while attempt ${[...doubts.open.keys()].join(', ')} may have happened`)
  }
  return found
}

const DENIALS: ReadonlySet<string> = new Set(['rejected', 'exhausted', 'expired', 'cancelled'])

/** Contract 6: an absence counts only when asked after the last deadline and the settle time. */
export function absenceInTime({ operation, call }: Case): readonly string[] {
  if (call === null) return []
  const doubts = new Doubts(operation)
  const found: string[] = []
  for (const entry of call.story) {
    if (entry.what === 'folded') return found
    if (entry.what === 'looked' && entry.answer === 'absent' && entry.counted) {
      for (const doubt of doubts.open.values()) {
        const fromAt = (doubt.isAccepted ? (doubt.overAt ?? doubt.deadlineAt) : doubt.deadlineAt) + operation.settleMs
        if (entry.at < fromAt) found.push(`an absence counted at ${iso(entry.at)}, while attempt ${doubt.n} could still take effect until ${iso(fromAt)}`)
      }
    }
    doubts.take(entry)
  }
  return found
}

/** Attempts of which nobody knows whether they happened, as the story shows them. */
export function openDoubts(operation: OperationFacts, call: CallView): readonly number[] {
  const doubts = new Doubts(operation)
  for (const entry of call.story) doubts.take(entry)
  return doubts.applied === null ? [...doubts.open.keys()] : []
}

/** Contract 9: an attempt is begun only by code that understands the version of the stored input. */
export function understood({ call }: Case): readonly string[] {
  if (call === null) return []
  let version: number | null = null
  const found: string[] = []
  for (const entry of call.story) {
    if (entry.what === 'folded') return found
    if (entry.what === 'upgraded') {
      if (version !== null && entry.from !== version) found.push(`it was upgraded from version ${entry.from}, and held version ${version}`)
      version = entry.version
    }
    if (entry.what === 'begun' && entry.version !== undefined) {
      if (version !== null && entry.version !== version) found.push(`attempt ${entry.attempt} began as version ${entry.version}, and the stored input was of version ${version}`)
      version = entry.version
    }
  }
  return version !== null && version !== call.version ? [...found, `its last attempt began as version ${version}, and the record says ${call.version}`] : found
}
