/** Whether each operation was asked what could go wrong with it, and the answers were proven. What CI fails on. */
import type { Operation } from 'steward'
import type { Scenario } from '../scenarios/scenario.ts'
import { type Premortem, titleOf } from './definition.ts'
import { type Proof, unproven } from './proof.ts'

export const FEWEST_ENTRIES = 3

export type Problem = {
  readonly operation: string
  readonly kind: 'no premortem' | 'too few' | 'none of your own' | 'unknown scenario' | 'repeated' | 'not proven'
  /** What is wrong, and what to do. */
  readonly what: string
  /** A word that was mistyped, and those that are known. */
  readonly given?: string
  readonly known?: readonly string[]
}

/** A question that was not asked yet. */
export type Suggestion = { readonly operation: string; readonly scenario: string; readonly question: string }

export type Checked = { readonly problems: readonly Problem[]; readonly suggestions: readonly Suggestion[] }

const MOST_SUGGESTIONS = 3

export function check(operations: readonly Operation[], premortems: readonly Premortem[], proof: Proof, catalogue: readonly Scenario[]): Checked {
  const of = (operation: Operation): Premortem | undefined => premortems.find((one) => one.operation.name === operation.name)
  return {
    problems: operations.flatMap((operation) => problemsOf(operation, of(operation), proof, catalogue)),
    suggestions: operations.flatMap((operation) => suggestionsFor(operation, of(operation), catalogue).slice(0, MOST_SUGGESTIONS)),
  }
}

function problemsOf(operation: Operation, premortem: Premortem | undefined, proof: Proof, catalogue: readonly Scenario[]): readonly Problem[] {
  const problem = (kind: Problem['kind'], what: string, more: Pick<Problem, 'given' | 'known'> = {}): Problem => ({ operation: operation.name, kind, what, ...more })
  if (premortem === undefined) return [problem('no premortem', 'it has no premortem. Write down what could go wrong with it: premortem(operation, { example, entries }), and list it under premortems in steward.config.ts.')]
  const { entries } = premortem
  const known = catalogue.map((scenario) => scenario.id)
  const titles = entries.map(titleOf)
  const problems: Problem[] = []
  if (entries.length < FEWEST_ENTRIES) problems.push(problem('too few', `its premortem has ${entries.length} ${entries.length === 1 ? 'entry' : 'entries'}; name at least ${FEWEST_ENTRIES} things that could go wrong.`))
  if (!entries.some((entry) => typeof entry !== 'string' && entry.title.trim().includes(' '))) problems.push(problem('none of your own', 'none of its entries is in your own words. Picking names from a list is not thinking: write ownScenario("what could go wrong here", async (lab) => { … }).'))
  for (const [index, entry] of entries.entries()) {
    const title = titleOf(entry)
    if (titles.indexOf(title) !== index) problems.push(problem('repeated', `"${title}" stands in it twice.`))
    else if (typeof entry === 'string' && !known.includes(entry)) problems.push(problem('unknown scenario', `there is no scenario "${entry}".`, { given: entry, known }))
    else {
      const why = unproven(premortem, title, proof)
      if (why !== null) problems.push(problem('not proven', `"${title}" is not proven: ${why}. Run: steward lab ${operation.name}`))
    }
  }
  return problems
}

/** Scenarios that ask something of this operation's answer and are not in its premortem, the most dangerous first. */
export function suggestionsFor(operation: Operation, premortem: Premortem | undefined, catalogue: readonly Scenario[]): readonly Suggestion[] {
  const asked = new Set((premortem?.entries ?? []).map(titleOf))
  return catalogue
    .filter((scenario) => !asked.has(scenario.id) && scenario.waitsFor === undefined && scenario.providers === undefined && scenario.fits.includes(operation.idempotency.kind))
    .sort((a, b) => a.tier - b.tier || a.fits.length - b.fits.length)
    .map(({ id, question }) => ({ operation: operation.name, scenario: id, question }))
}
