/**
 * PayPal (header `PayPal-Request-Id`).
 *
 *  - How long an id is remembered differs per API: Orders v2 6 hours (up to 72 on request), Payments v2 45 days, Payouts v1
 *    30 days, Subscriptions and Catalog 72 hours, Vault v3 3 hours. [documented: paypal/paypal-rest-api-specifications@ec4d8f3]
 *  - Not every API takes the header: Invoicing v2 names none, so use `reconcile` there. [documented, same]
 *  - A repeat is answered with the *latest* status of the earlier request, not with a replay. [documented: developer.paypal.com/api/rest/reference/idempotency]
 *  - Of two requests at once the first is processed, and the second "might fail", with what is not said. [documented]
 *    So no refusal is taken to speak for an earlier attempt.
 *  - An id reused for another payload: `PAYPAL_REQUEST_ID_PREVIOUSLY_USED` (vault v3), `DUPLICATE_REQUEST_ID` (older APIs).
 *    [documented on the error pages; statuses unknown]
 *  - Payouts: a reused `sender_batch_id` is refused with a link to the first batch. Send the provider-facing key as
 *    `sender_batch_id`, too. [documented, same specification]
 *  - Issues such as `ORDER_ALREADY_CAPTURED` say that the effect exists, not whose it is: doubt, never "did not happen".
 *    [issue names documented; the reading of them is ours]
 */
import type { FailureVerdict } from '../core/verdict.ts'
import type { Tried } from '../core/verdict-of.ts'
import type { IdempotencyAnswer } from '../ports/definition.ts'
import { listAt, type ProviderAnswer, shown, textAt } from './error-shape.ts'
import { type Facts, preset, type PresetOptions, spent } from './preset.ts'

const KEY_OF_ANOTHER = new Set(['PAYPAL_REQUEST_ID_PREVIOUSLY_USED', 'DUPLICATE_REQUEST_ID'])
const ALREADY_THERE = /^(\w+_)?ALREADY_(CAPTURED|AUTHORIZED|COMPLETED|REFUNDED|VOIDED|EXISTS)$|^CAPTURE_FULLY_REFUNDED$|^DUPLICATE_INVOICE_ID$/

function refine(answer: ProviderAnswer, _general: FailureVerdict & Tried): FailureVerdict | undefined {
  const words = wordsOf(answer)
  const reused = words.find((word) => KEY_OF_ANOTHER.has(word))
  if (reused !== undefined) return spent(answer, `the request id was used before, for something that may have happened${shown(reused)}`)
  const already = words.find((word) => ALREADY_THERE.test(word))
  if (already !== undefined && answer.status < 500) return spent(answer, `the effect exists already, by whom is not said${shown(already)}`)
  const batch = listAt(answer.body, 'links').map((link) => textAt(link, 'href')).find((href) => href?.includes('/payments/payouts/'))
  if (batch !== undefined && answer.status >= 400 && answer.status < 500) return spent(answer, 'the batch exists already')
  return undefined
}

/** `name` of PayPal's error object and the `issue` of each of its details. */
function wordsOf(answer: ProviderAnswer): readonly string[] {
  const words = [textAt(answer.body, 'name'), ...listAt(answer.body, 'details').map((detail) => textAt(detail, 'issue'))]
  return words.filter((word) => word !== undefined)
}

function api(name: string, retention: string): Facts {
  return { provider: 'paypal', reason: `PayPal ${name} remembers PayPal-Request-Id for ${retention}`, retention, settle: '5m', absences: 2, refine }
}

const ORDERS = api('Orders v2', '6h')
const PAYMENTS = api('Payments v2', '45d')
const PAYOUTS = api('Payouts v1', '30d')
const SUBSCRIPTIONS = api('Subscriptions v1', '72h')
const CATALOG = api('Catalog Products v1', '72h')
const VAULT = api('Vault v3', '3h')

type Make = <Input = unknown, Result = unknown>(options?: PresetOptions<Input, Result>) => IdempotencyAnswer<Input, Result>
const make = (facts: Facts): Make => (options = {}) => preset(facts, options)

/** Answers for PayPal's APIs, which remember ids for 3 hours to 45 days. Pass `context.idempotencyKey` as `PayPal-Request-Id`. */
export const paypal = { orders: make(ORDERS), payments: make(PAYMENTS), payouts: make(PAYOUTS), subscriptions: make(SUBSCRIPTIONS), catalog: make(CATALOG), vault: make(VAULT) }
