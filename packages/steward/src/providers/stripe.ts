/**
 * Stripe.
 *
 * v1 (every v1 POST; `idempotencyKey` request option, header `Idempotency-Key`, up to 255 characters):
 *  - Keys may be pruned once they are 24 h old; a pruned key is a new request. [documented: docs.stripe.com/api/idempotent_requests]
 *  - Once execution began, status and body are stored and replayed for the whole window, a 500 included, marked
 *    `idempotent-replayed: true`. So the same key never gets past a stored 5xx. [documented; header: docs.stripe.com/error-low-level]
 *  - Not stored: failed validation of parameters, and conflicts with a request that is still running. [documented]
 *  - Still running under the same key: 409 `idempotency_key_in_use`. [documented; code read in stripe@23.1.0]
 *  - Same key, other parameters: 400 of type `idempotency_error`. [documented; status as in stripe-stateful-mock]
 *  - 402 `card_error` is the outcome of executing a valid request, hence decided after the key was looked up. [documented]
 *  - The SDK turns a 400 with code `rate_limit` into StripeRateLimitError. [read in stripe@23.1.0: Error.js]
 *  - The SDK sends up to 3 times by itself, and sends a reset connection again even with `maxNetworkRetries: 0`; under
 *    our key both are harmless. [read and measured, stripe@23.1.0]
 *  - The SDK returns any JSON without `error` as a result, whatever its status: a gateway's 502 `{ "message": … }` becomes a
 *    charge without an id. The wire witness sees the status, and the attempt is not taken for applied. [measured, stripe@23.1.0]
 *  - Lookup: list by customer or payment intent. Search by metadata lags by up to a minute, longer in an outage, and is
 *    not for reading one's own writes. [documented]
 *
 * v2 (POST and DELETE under /v2):
 *  - Keys are remembered for 30 days. [documented: docs.stripe.com/error-low-level]
 *  - Successes are not repeated; failed work is run again, and the answer updated: nothing is ever stuck. [documented]
 *  - What a key in flight, or with other parameters, is answered is not documented; `idempotency_error` exists in the
 *    SDK's v2 errors. [read in stripe@23.1.0: Error.js]
 */
import type { FailureVerdict } from '../core/verdict.ts'
import type { Tried } from '../core/verdict-of.ts'
import type { IdempotencyAnswer } from '../ports/definition.ts'
import { type ProviderAnswer, shown, textAt } from './error-shape.ts'
import { type Facts, preset, type PresetOptions, spent } from './preset.ts'

const V1: Facts = {
  provider: 'stripe',
  reason: 'Stripe (API v1) replays the first answer to a key for at least 24 hours',
  retention: '24h',
  margin: '1h',
  settle: '2m',
  absences: 2,
  refine: (answer, general) => common(answer, general) ?? replayed(answer, general),
}

const V2: Facts = {
  provider: 'stripe',
  reason: 'Stripe (API v2) does not repeat what succeeded under a key, for 30 days',
  retention: '30d',
  margin: '1d',
  settle: '2m',
  absences: 2,
  refine: common,
}

/** What Stripe's answers mean in both versions. */
function common(answer: ProviderAnswer, general: FailureVerdict & Tried): FailureVerdict | undefined {
  const { type, code } = wordsOf(answer)
  if (type === 'idempotency_error') return spent(answer, 'the key belongs to a request with other parameters, which may have happened')
  if (answer.status === 400 && code === 'rate_limit') return { kind: 'not_applied', reason: 'answered 400 (rate_limit)', status: 400, refused: 'load' }
  if (code === 'idempotency_key_in_use') return { kind: 'unknown', reason: 'answered 409: an earlier request with the same key is still running', status: answer.status }
  // "Any other type of problem": not a judgement of the request, whatever its status.
  if (type === 'api_error' && general.kind === 'rejected') return { kind: 'unknown', reason: `answered ${answer.status} (api_error)`, status: answer.status }
  return undefined
}

function replayed(answer: ProviderAnswer, general: FailureVerdict & Tried): FailureVerdict | undefined {
  const { type, code } = wordsOf(answer)
  const isReplay = answer.header('idempotent-replayed') === 'true'
  if (isReplay && general.kind === 'not_applied') return { ...general, reason: `answered ${answer.status}: a replay of the stored answer, which never changes`, keySpent: true }
  if (isReplay && general.kind === 'unknown') return spent(answer, 'a replay of the stored answer, which never changes')
  const executed = answer.status === 402 && type === 'card_error'
  if (general.kind === 'rejected' && (isReplay || executed)) return { ...general, reason: `answered ${answer.status}${shown(code)}`, conclusive: true }
  return undefined
}

/** `type` and `code` of Stripe's error object: from the SDK's error, or from the body that a plain client kept. */
function wordsOf(answer: ProviderAnswer): { readonly type: string | undefined; readonly code: string | undefined } {
  const { error, body } = answer
  return {
    type: textAt(error, 'rawType') ?? textAt(body, 'error', 'type') ?? TYPE_OF_CLASS[textAt(error, 'type') ?? ''],
    code: textAt(error, 'code') ?? textAt(body, 'error', 'code'),
  }
}

const TYPE_OF_CLASS: Readonly<Record<string, string>> = { StripeCardError: 'card_error', StripeIdempotencyError: 'idempotency_error' }

/**
 * Answers for Stripe's two API generations. Pass `context.idempotencyKey` as the request option `idempotencyKey`.
 *
 * ```ts
 * idempotency: stripe.v1({ lookup: async (input, { idempotencyKeys }) => … })
 * ```
 */
export const stripe = {
  v1: <Input = unknown, Result = unknown>(options: PresetOptions<Input, Result> = {}): IdempotencyAnswer<Input, Result> => preset(V1, options),
  v2: <Input = unknown, Result = unknown>(options: PresetOptions<Input, Result> = {}): IdempotencyAnswer<Input, Result> => preset(V2, options),
}
