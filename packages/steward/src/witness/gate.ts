/** The error with which the gate stops a request. */
import type { WireExchange } from '../core/verdict.ts'
import type { ExchangeRecord } from './exchange.ts'

type Refusal = NonNullable<WireExchange['gated']>

const BECAUSE: Readonly<Record<Refusal, string>> = {
  deadline: 'the attempt is over, and what leaves now could take effect after it was accounted for. Pass `signal` on, or allow the operation a longer timeout',
  lease: 'this process lost its lease on the call, and another may be sending it. Nothing needs to be done',
  'second-request': 'an earlier request of the same attempt may have had the effect, and this operation cannot be sent twice. Switch off the retries of the client',
}

/** What the client sees of a refused request. `verdictOf` reads it as `unknown`: it says nothing of earlier requests. */
export class WireGateError extends Error {
  override readonly name = 'WireGateError'
  readonly code = 'STEWARD_GATE'
  readonly refusal: Refusal

  constructor(refusal: Refusal, attempt: string, request: string) {
    super(`STEWARD_GATE: ${request} of attempt ${attempt} was stopped and did not leave this process: ${BECAUSE[refusal]}.`)
    this.refusal = refusal
  }
}

/** Marks the record as stopped and returns the error for the client. */
export function stop(record: ExchangeRecord, refusal: Refusal): WireGateError {
  record.gated = refusal
  record.error = 'STEWARD_GATE'
  record.watch.gatedCount += 1
  return new WireGateError(refusal, record.watch.scope.id, `${record.method} ${record.origin()}${record.path()}`)
}
