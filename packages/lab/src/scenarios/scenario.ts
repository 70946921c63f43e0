/** A scenario: a question about production that can be run. */
import type { Json } from 'steward'
import type { AnswerKind } from 'steward/internal'
import type { Rule } from '../auditor/index.ts'
import type { World } from '../contract.ts'
import type { ScenarioFacts } from './facts.ts'

/** Where a scenario plays: a world, and the operation that is put to the question. */
export interface Stage {
  readonly world: World
  /** Name of the operation. */
  readonly operation: string
  readonly answer: AnswerKind
  /** Name of its provider's model. */
  readonly provider: string
  /** A valid input for a call of this key. */
  input(key: string): Json
  /** Submits calls and moves time until each submit has answered. */
  submit(...keys: readonly string[]): Promise<void>
  /** What must hold beside the contract; what does not is reported. */
  expect(holds: boolean, otherwise: string): void
  /**
   * What this run itself brings about, so that it is nobody's bug: a truth that nobody could know, a person who decided
   * wrongly. Of these rules of the auditor, for these keys (default: all).
   */
  excuse(rules: readonly Rule[], why: string, keys?: readonly string[]): void
}

export type Scenario = ScenarioFacts & {
  /** What the run does, in a sentence. */
  readonly does: string
  /** The idempotency answers for which it asks something. */
  readonly fits: readonly AnswerKind[]
  /** Shown as not handled until Steward has this; the scenario runs all the same. */
  readonly waitsFor?: string
  run(stage: Stage): Promise<void>
}

/** The half of a scenario that plays; the other half is in `facts/`. */
export type Play = Pick<Scenario, 'does' | 'fits' | 'waitsFor' | 'run'>

export const ANY_ANSWER: readonly AnswerKind[] = ['providerKey', 'reconcile', 'natural', 'none']
