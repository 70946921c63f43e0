/**
 * Adyen (header `Idempotency-Key`, up to 64 characters; SDK `requestOptions.idempotencyKey`).
 *
 *  - Keys are remembered for at least 7 days; an older copy of the same page said 31: it was shortened.
 *    [documented: docs.adyen.com/development-resources/api-idempotency]
 *  - Keys belong to the company account and are not compared across regional endpoints: do not switch region between
 *    attempts. [documented]
 *  - A repeat gets the first answer; answers handled under a key echo it in the header `idempotency-key`. [documented]
 *  - `transient-error: true` marks answers that are not stored: the same key may be sent again. Its absence means that
 *    the same key never changes the answer. [documented]
 *  - 422 or 409 with code 704: already processed, or still in progress. [documented]
 *  - 503 with code 703: the store of keys is out of order, and the request was not looked at. We do not rely on the
 *    latter. [documented]
 *  - A refused payment is a 200 with `resultCode: Refused`: judge it in `send`. [documented]
 *  - Whether a failed validation is decided before or after the key is looked up is not documented: no refusal is taken
 *    to speak for an earlier attempt.
 */
import type { FailureVerdict } from '../core/verdict.ts'
import type { Tried } from '../core/verdict-of.ts'
import type { IdempotencyAnswer } from '../ports/definition.ts'
import { type ProviderAnswer, shown, textAt } from './error-shape.ts'
import { type Facts, preset, type PresetOptions, spent } from './preset.ts'

function refine(answer: ProviderAnswer, general: FailureVerdict & Tried): FailureVerdict | undefined {
  const code = textAt(answer.error, 'errorCode') ?? textAt(answer.body, 'errorCode')
  const transient = answer.header('transient-error')?.toLowerCase() === 'true'
  // Not stored, so not a judgement of the request either: what would be a refusal is doubt.
  if (transient) return general.kind === 'rejected' ? { kind: 'unknown', reason: `answered ${answer.status}${shown(code)}, transient by Adyen's word`, status: answer.status } : undefined
  if (code === '704') return spent(answer, 'a request with this key was processed or is in progress (704)')
  const stored = answer.header('idempotency-key') !== undefined
  return stored && answer.status >= 500 && code !== '703' ? spent(answer, `stored under the key${shown(code)}`) : undefined
}

const FACTS: Facts = {
  provider: 'adyen',
  reason: 'Adyen answers a repeated key with its first answer for at least 7 days',
  retention: '7d',
  margin: '6h',
  settle: '5m',
  absences: 2,
  refine,
}

/** Answer for Adyen's POSTs. Pass `context.idempotencyKey` as `idempotencyKey` of the request options. */
export function adyen<Input = unknown, Result = unknown>(options: PresetOptions<Input, Result> = {}): IdempotencyAnswer<Input, Result> {
  return preset(FACTS, options)
}
