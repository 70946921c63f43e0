/** When two facts that wait for their call are one fact, said again: the same for every store. */
import type { EarlyFact } from './store.ts'

/**
 * What to keep when `again` repeats `kept`; `null` when it says something else.
 *
 * A webhook that repeats itself brings a new `at`, and a result encrypted once more is another text. Same is what
 * agrees in kind, source, attempt, generation and reference. A refutation keeps the later `at` (it covers more), a
 * confirmation the first; a result that was missing is taken over.
 */
export function joinEarlyFacts(kept: EarlyFact, again: EarlyFact): EarlyFact | null {
  const [one, other] = [kept.fact, again.fact]
  if (one.kind !== other.kind || one.by !== other.by || one.attempt !== other.attempt || one.generation !== other.generation || one.reference !== other.reference) return null
  const fact = one.kind === 'refuted' && other.at > one.at ? other : one
  return { fact, result: kept.result ?? again.result }
}

/** Why a fact is not kept when its call was pruned: it would wait for ever, the key never gets another call. */
export function prunedText(operation: string, key: string, id: string, state: string): string {
  return `call ${id} of ${operation} with key "${key}" ended as ${state} and its record was pruned. The fact was not kept, and that end stands. Compare it with the provider; what contradicts it needs a person, and a new key.`
}
