/** A scenario: a question about production that can be run. */
import type { CallView, Json, State } from 'steward'
import type { AnswerKind, Policy } from 'steward/internal'
import type { Rule } from '../auditor/index.ts'
import type { Fault, LedgerEffect, LedgerRequest, OperationSource, World } from '../contract.ts'
import type { ScenarioFacts } from './facts.ts'

/**
 * Where a scenario plays: a world, and the one operation that is put to the question. Time moves only in what returns a
 * promise. When the run returns, faults that last are ended and time passes until everything has come to rest; then
 * the auditor judges.
 */
export interface Stage {
  readonly world: World
  /** Name of the operation. */
  readonly operation: string
  readonly answer: AnswerKind
  /** What the operation's definition comes to, in milliseconds. */
  readonly policy: Policy
  /** Name of its provider's model. */
  readonly provider: string
  /** The operation as it is; wrap it for another release: `(client) => ({ ...stage.source(client), version: 2 })`. */
  readonly source: OperationSource
  /** A valid input for a call of this key. */
  input(key: string): Json
  /** Submits calls of these keys, and waits for each acknowledgement. */
  submit(...keys: readonly string[]): Promise<void>
  /** Something goes wrong, by its name in `FAULT_KINDS`. `parameters: { times, ms }` where the kind has them; `where` names a process or the provider (default: anywhere). */
  fault(kind: string, options?: Partial<Pick<Fault, 'forMs' | 'parameters' | 'where'>>): void
  /** Moves time until the call is in one of these states (an hour at most): whether it came to that. */
  reaches(key: string, ...states: readonly State[]): Promise<boolean>
  /** Moves time until every call has ended, or is in doubt: whether they came to that within the time (default: six days). */
  rest(limitMs?: number): Promise<boolean>
  call(key: string): Promise<CallView | null>
  /** What the provider did for this key, and what it was asked to do. */
  effects(key: string): readonly LedgerEffect[]
  requests(key: string): readonly LedgerRequest[]
  /** Whether it happened exactly once; or not at all, because the provider took it and refused it later. */
  happenedOnce(key: string): boolean
  /** Whether the provider took it for later, and it never came to an effect. */
  refusedLater(key: string): boolean
  /** What must hold beside the contract; what does not is a finding. */
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
  /** The idempotency answers of which it asks something. */
  readonly fits: readonly AnswerKind[]
  /** The provider models on which it can play. Default: all. */
  readonly providers?: readonly string[]
  /** What Steward does not have yet, and under which answers that shows (default: all). It runs all the same. */
  readonly waitsFor?: { readonly what: string; readonly under?: readonly AnswerKind[] }
  readonly run: (stage: Stage) => Promise<void>
}

/** The half of a scenario that plays; the other half is in `facts/`. */
export type Play = Omit<Scenario, keyof ScenarioFacts>
export type Plays = Readonly<Record<string, Play>>

export const ANY_ANSWER: readonly AnswerKind[] = ['providerKey', 'reconcile', 'natural', 'none']

export const SECOND = 1_000
export const MINUTE = 60 * SECOND
export const HOUR = 60 * MINUTE
export const DAY = 24 * HOUR

/** That long, or as long as the operation's calls have time for. */
export const within = ({ policy }: Stage, ms: number): number => Math.min(ms, Math.floor(policy.giveUpAfterMs / 3))

/** Keys `o1`, `o2`, … */
export const keys = (count: number, prefix = 'o'): readonly string[] => Array.from({ length: count }, (_, index) => `${prefix}${index + 1}`)
