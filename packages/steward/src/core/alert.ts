import type { EndState, State } from './call.ts'

/** Built-in rules (contract 7). Each alert is recorded in the transaction of the transition that caused it. */
export type AlertKind =
  | 'exhausted'
  | 'expired'
  | 'in_doubt'
  | 'effect_twice'
  | 'corrected'
  | 'contradicted'
  | 'accepted_overdue'
  | 'accepted_forgotten'
  | 'worker_lost_repeatedly'
  | 'result_missing'
  | 'rejected_share'
  | 'operation_held'
  | 'not_understood'
  | 'no_worker'
  | 'settle_handler_failing'
  | 'invariant_broken'
  | 'unreadable'
  | 'database_set_back'
  | 'claims_slow'
  | 'looks_given_up'

export type Severity = 'page' | 'warn'

/** An alert as stored. The id is stable: delivering it twice is delivering the same alert. */
export type Alert = {
  readonly id: string
  readonly kind: AlertKind
  readonly severity: Severity
  readonly at: number
  readonly operation: string
  readonly callId: string | null
  readonly key: string | null
  readonly state: State | EndState | null
  /** One or two sentences: what happened, what it means. */
  readonly message: string
  /** The next safe action, as a sentence or a command. */
  readonly next: string
}

/** Of what goes on, one alert a day: stands in its id. */
export function dayOf(at: number): number {
  return Math.floor(at / 86_400_000)
}
