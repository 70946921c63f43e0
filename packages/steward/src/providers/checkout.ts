/**
 * Checkout.com (header `Cko-Idempotency-Key`; the SDK's extra argument `idempotencyKey`).
 *
 *  - Keys are remembered for 24 hours, longer by contract; the sandbox once had 120 seconds.
 *    [documented: checkout.com/docs/payments/manage-payments/retry-a-payment]
 *  - Only 2xx is stored. After a 4xx or 5xx the same key makes the payment attempted *again*. [documented]
 *    So a 500 that was given although the payment went through is not covered by the key: ask (`lookup`, by your
 *    reference) instead of sending again. 502, 503 and 504 come from in front of the API, where the payment may still be
 *    running and be stored: the same key protects as after a lost answer. [the first documented; the reading is ours]
 *  - Of two requests at once with the same key one is processed. The other got 429, and gets 409 by a newer article, where
 *    429 is left to rate limits. Both are doubt here: an old twin must not be taken for "did not happen".
 *    [documented: same page; support.checkout.com article 24570669653010]
 *  - Which refusals are decided before the key is looked up is not documented: none speaks for an earlier attempt.
 *  - A declined payment is a 201 with `approved: false`: judge it in `send`. [documented]
 *  - The SDK's errors carry the status as `http_code`, which the general rules do not know. [read: checkout-sdk-node, src/services/errors.js]
 */
import type { FailureVerdict } from '../core/verdict.ts'
import { retryAfterMs, statusVerdict, type Tried } from '../core/verdict-of.ts'
import type { IdempotencyAnswer } from '../ports/definition.ts'
import type { ProviderAnswer } from './error-shape.ts'
import { type Facts, preset, type PresetOptions, spent } from './preset.ts'

function refine(answer: ProviderAnswer, general: FailureVerdict & Tried): FailureVerdict | undefined {
  const { status } = answer
  const wait = retryAfterMs(answer.header('retry-after'))
  if (answer.name === 'ApiTimeout') return { kind: 'unknown', reason: 'the client waited long enough (ApiTimeout)', status }
  if (status === 429) {
    return { kind: 'unknown', reason: 'answered 429: a rate limit, or an earlier request with the same key is still running', status, ...(wait === undefined ? {} : { retryAfterMs: wait }) }
  }
  if (status === 500) return spent(answer, 'such an answer is not stored, and the same key would attempt the payment again')
  // The SDK's own property: the general rules saw an error without a status.
  return general.status === status ? undefined : statusVerdict(status, wait)
}

const FACTS: Facts = {
  provider: 'checkout.com',
  reason: 'Checkout.com answers a repeated key with its stored success for 24 hours',
  retention: '24h',
  margin: '1h',
  settle: '5m',
  absences: 2,
  refine,
}

/** Answer for Checkout.com's payments and payment actions. Pass `context.idempotencyKey` as `Cko-Idempotency-Key`. */
export function checkout<Input = unknown, Result = unknown>(options: PresetOptions<Input, Result> = {}): IdempotencyAnswer<Input, Result> {
  return preset(FACTS, options)
}
