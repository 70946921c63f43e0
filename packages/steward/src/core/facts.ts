/**
 * Facts: which are new, and which attempts they close.
 *
 * Everything here is a function of the set of facts, so that neither order nor repetition matters (contract 12).
 */
import type { Call, Fact, OpenAttempt } from './call.ts'

/** Two facts are the same when they say the same of the same attempt, from the same source; of instants, the latest counts. */
export function sameFact(a: Fact, b: Fact): boolean {
  return a.kind === b.kind && a.by === b.by && a.attempt === b.attempt && a.generation === b.generation && a.reference === b.reference
}

/**
 * The facts with one more; the same list when it says nothing new. A later refutation from the same source covers all
 * that its earlier one covers and takes its place: a source that repeats itself for ever does not grow the row.
 */
export function withFact(facts: readonly Fact[], fact: Fact): readonly Fact[] {
  const known = facts.find((one) => sameFact(one, fact))
  if (!known) return [...facts, fact]
  const says = known.kind === 'refuted' && fact.at > known.at
  return says ? facts.map((one) => (one === known ? fact : one)) : facts
}

/** Whether a fact beyond the limit would still change what is known: that it happened, or that it happened again. */
export function saysMore(facts: readonly Fact[], fact: Fact, limit: number): boolean {
  if (fact.kind === 'refuted') return false
  const seen = references(facts)
  return !facts.some((known) => known.kind === 'applied') || (fact.reference !== undefined && !seen.includes(fact.reference) && seen.length < limit)
}

/** Whether a refutation closes the doubt of a closed attempt. */
export function covers(fact: Fact, attempt: OpenAttempt): boolean {
  if (fact.kind !== 'refuted' || attempt.closedAt === null) return false
  if (fact.generation !== undefined && attempt.generation !== fact.generation) return false
  if (fact.attempt === undefined) return overAt(attempt) < fact.at
  return fact.generation === undefined ? attempt.n === fact.attempt : attempt.n <= fact.attempt
}

/** The instant from which on nothing of this attempt leaves any more. A lapsed attempt is over at its deadline. */
export function overAt(attempt: OpenAttempt): number {
  return attempt.closedAt ?? attempt.deadlineAt
}

/** Attempts that no fact has closed: running, in doubt, or accepted. */
export function unrefuted(call: Call): readonly OpenAttempt[] {
  if (call.open.length === 0) return call.open
  return call.open.filter((attempt) => !call.facts.some((fact) => covers(fact, attempt)))
}

export function isApplied(call: Call): boolean {
  return call.facts.some((fact) => fact.kind === 'applied')
}

/** Applied attempts that are effects of their own: each one, or one per generation where the provider takes repeats for one. */
export function appliedAttempts(facts: readonly Fact[], repeatsAreOne: boolean): readonly string[] {
  const seen: string[] = []
  for (const fact of facts) {
    if (fact.kind !== 'applied' || fact.attempt === undefined || (repeatsAreOne && fact.generation === undefined)) continue
    const name = repeatsAreOne ? `generation ${fact.generation}` : `attempt ${fact.attempt}`
    if (!seen.includes(name)) seen.push(name)
  }
  return seen
}

/** Provider references under which the effect is known to exist. Two of them: the effect happened twice. */
export function references(facts: readonly Fact[]): readonly string[] {
  const seen: string[] = []
  for (const fact of facts) {
    if (fact.kind === 'applied' && fact.reference !== undefined && !seen.includes(fact.reference)) seen.push(fact.reference)
  }
  return seen
}
