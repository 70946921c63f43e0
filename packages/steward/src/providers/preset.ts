/** What every preset takes from its user, and what it is made of. */
import type { Duration } from '../core/duration.ts'
import type { FailureVerdict } from '../core/verdict.ts'
import { type Tried, verdictOf } from '../core/verdict-of.ts'
import { type IdempotencyAnswer, type Lookup, type LookupOptions, providerKey, type VerdictOfError } from '../ports/definition.ts'
import { answerOf, type ProviderAnswer } from './error-shape.ts'

export type PresetOptions<Input, Result> = LookupOptions & {
  /** Asks the provider whether the effect exists: decides what the key cannot. Without it such calls become in doubt. */
  readonly lookup?: Lookup<Input, Result>
  /** Only where a contract with the provider says so: how long your keys are remembered. */
  readonly retention?: Duration
}

/** What is known of one API of a provider. */
export type Facts = {
  readonly provider?: string
  /** Shown in story and console. */
  readonly reason: string
  /** The shortest time for which a key is surely remembered. */
  readonly retention: Duration
  readonly margin?: Duration
  /** False where the key travels in the body. */
  readonly keyInHeader?: boolean
  /** How long after a request a lookup may still miss its effect. */
  readonly settle: Duration
  readonly absences: number
  /** What an answer means here, on top of the general rules; `undefined` leaves it to them. */
  readonly refine: Refine
}

/** @param general the verdict of the general rules, about the same error. */
export type Refine = (answer: ProviderAnswer, general: FailureVerdict & Tried) => FailureVerdict | undefined

export function preset<Input, Result>(facts: Facts, options: PresetOptions<Input, Result>): IdempotencyAnswer<Input, Result> {
  const { refine, reason, ...known } = facts
  return { ...providerKey<Input, Result>({ ...known, verdict: refined(refine), ...options }), reason }
}

/** A verdict function from what one provider's answers mean; errors without an answer are left to the general rules. */
export function refined(refine: Refine): VerdictOfError {
  return (error, { nowMs }) => {
    const answer = answerOf(error)
    return answer === null ? undefined : refine(answer, verdictOf(error, { nowMs }))
  }
}

/** The same verdict as far as it is doubt, knowing that the key's stored answer never changes. */
export function spent(answer: ProviderAnswer, why: string): FailureVerdict {
  return { kind: 'unknown', reason: `answered ${answer.status}: ${why}`, status: answer.status, keySpent: true }
}
