/**
 * The operations of the standard workload: one per provider contract, written as users write them, with modelled sends.
 *
 * Together they cover the four idempotency answers, with and without a lookup, and the error shapes of a few clients.
 */
import { accepted, defineOperation, type IdempotencyAnswer, type Json, type LookupContext, type LookupResult, natural, none, type Operation, reconcile, Referenced, type SendContext, SendVerdict, type StandardSchema } from 'steward'
import { adyen, checkout, ietfDraft, paypal, stripe } from 'steward/providers'
import type { Client, ClientAnswer, OperationSource } from '../contract.ts'
import { CONTRACTS, type ProviderContract } from '../providers/contract.ts'

export type Order = { readonly orderId: string; readonly amount: number }
type Made = { readonly id: string }

const order: StandardSchema<Order, Order> = {
  '~standard': {
    version: 1, vendor: 'lab',
    validate: (value) => (typeof value === 'object' && value !== null && typeof (value as Order).orderId === 'string' && Number.isInteger((value as Order).amount) ? { value: value as Order } : { issues: [{ message: 'an order has an id and an amount' }] }),
  },
}

/** An answer of 4xx or 5xx, as the SDKs and clients of this world throw it. */
export type ErrorShape = (answer: ClientAnswer) => Error
export const stripeError: ErrorShape = ({ status, headers, body }) => {
  const raw = (body as { error?: { type?: string; code?: string } }).error ?? {}
  return Object.assign(new Error(`Stripe answered ${status}`), { type: 'StripeError', rawType: raw.type, code: raw.code, statusCode: status, headers, raw: body })
}
export const axiosError: ErrorShape = ({ status, headers, body }) => Object.assign(new Error(`Request failed with status code ${status}`), { name: 'AxiosError', isAxiosError: true, code: 'ERR_BAD_RESPONSE', response: { status, headers, data: body } })
export const checkoutError: ErrorShape = ({ status, headers, body }) => Object.assign(new Error('checkout error'), { name: 'ProviderError', http_code: status, headers, body })
const adyenError: ErrorShape = ({ status, headers, body }) => Object.assign(new Error('HTTP Exception'), { name: 'HttpClientException', statusCode: status, responseHeaders: headers, responseBody: JSON.stringify(body), errorCode: (body as { errorCode?: string }).errorCode })
export const plainError: ErrorShape = ({ status, headers, body }) => Object.assign(new Error(`answered ${status}`), { status, headers, body })

export type ModelledOptions = {
  readonly name?: string
  readonly version?: number
  /** What a release can do wrong; all default to doing it right. */
  readonly ignoresKey?: boolean
  readonly ignoresSignal?: boolean
  /** The client opens sockets of its own: neither witness nor gate see its requests. */
  readonly isUnseen?: boolean
  readonly definition?: Partial<Pick<Operation, 'timeout' | 'giveUpAfter' | 'maxAttempts' | 'backoff' | 'upgrade' | 'pollEvery' | 'onSettled' | 'holdAfter' | 'redact'>>
}

/** An operation on a provider of this contract, with the idempotency answer that fits it. */
export function modelled(contract: ProviderContract, answerOf: (lookup: LookupOf) => IdempotencyAnswer<Order, Made>, shape: ErrorShape, options: ModelledOptions = {}): OperationSource {
  return (client) => defineOperation<Order, Order, Made>({
    name: options.name ?? `charge-${contract.name}`,
    version: options.version ?? 1,
    input: order,
    idempotency: answerOf(lookupAt(client, contract)),
    provider: contract.name,
    timeout: '10s',
    giveUpAfter: '12h',
    ...options.definition,
    send: (input, context) => send(client, contract, shape, options, input, context),
  })
}

async function send(client: Client, contract: ProviderContract, shape: ErrorShape, options: ModelledOptions, input: Order, context: SendContext) {
  const key = contract.keys === null || options.ignoresKey === true ? {} : { [contract.keys.header]: context.idempotencyKey }
  const answer = await client.request({
    provider: contract.name, method: contract.isNatural ? 'PUT' : 'POST', path: `/effects/${context.call.key}`, headers: key,
    body: { operation: context.call.operation, ...input },
    ...(options.ignoresSignal === true ? {} : { signal: context.signal }), ...(options.isUnseen === true ? { isUnseen: true } : {}),
  })
  if (answer.status >= 400) throw shape(answer)
  const body = answer.body as Readonly<Record<string, Json>>
  const declined = body['approved'] === false || body['resultCode'] === 'Refused'
  if (declined) throw new SendVerdict({ kind: 'rejected', reason: 'the payment was declined', status: answer.status })
  const id = body['id'] ?? body['pspReference']
  if (typeof id !== 'string') throw new Error('the answer has no id')
  return answer.status === 202 ? accepted(id) : new Referenced<Made>({ id }, id)
}

type LookupOf = (input: Order, context: LookupContext) => Promise<LookupResult<Made>>

function lookupAt(client: Client, contract: ProviderContract): LookupOf {
  return async (input, { signal }) => {
    const answer = await client.request({ provider: contract.name, method: 'GET', path: `/effects?orderId=${encodeURIComponent(input.orderId)}`, headers: {}, body: null, signal })
    if (answer.status !== 200) return { cannotTell: `the list answered ${answer.status}` }
    const { data, pending } = answer.body as { readonly data: readonly { readonly id: string }[]; readonly pending: boolean }
    const [first] = data
    if (first !== undefined) return { found: { id: first.id }, reference: first.id }
    return pending ? { cannotTell: 'it is still being paid out' } : { absent: true }
  }
}

/** What each operation of the standard workload is made of: the name of the contract is the name of its provider. */
export const STANDARD = {
  stripeV1: (options?: ModelledOptions) => modelled(CONTRACTS.stripeV1, (lookup) => stripe.v1({ lookup }), stripeError, options),
  stripeV2: (options?: ModelledOptions) => modelled(CONTRACTS.stripeV2, (lookup) => stripe.v2({ lookup }), stripeError, options),
  checkoutCom: (options?: ModelledOptions) => modelled(CONTRACTS.checkoutCom, (lookup) => checkout({ lookup }), checkoutError, options),
  paypalOrders: (options?: ModelledOptions) => modelled(CONTRACTS.paypalOrders, (lookup) => paypal.orders({ lookup }), axiosError, options),
  adyenPayments: (options?: ModelledOptions) => modelled(CONTRACTS.adyenPayments, (lookup) => adyen({ lookup }), adyenError, options),
  ietfDraftApi: (options?: ModelledOptions) => modelled(CONTRACTS.ietfDraftApi, () => ietfDraft({ retention: '24h', replayedHeader: 'idempotent-replayed' }), plainError, options),
  keylessLookup: (options?: ModelledOptions) => modelled(CONTRACTS.keylessLookup, (lookup) => reconcile(lookup, { settle: '3m', absences: 2 }), plainError, options),
  keylessBlind: (options?: ModelledOptions) => modelled(CONTRACTS.keylessBlind, () => none('the provider has neither keys nor a list'), axiosError, options),
  documents: (options?: ModelledOptions) => modelled(CONTRACTS.documents, () => natural('a PUT of the whole document'), plainError, options),
  laterPayouts: (options: ModelledOptions = {}) => modelled(CONTRACTS.laterPayouts, (lookup) => ietfDraft({ retention: '3d', replayedHeader: 'idempotent-replayed', lookup }), plainError, { ...options, definition: { pollEvery: '2m', ...options.definition } }),
} as const
export type StandardName = keyof typeof STANDARD
export const STANDARD_NAMES = Object.keys(STANDARD) as readonly StandardName[]

export const operationName = (name: StandardName): string => `charge-${CONTRACTS[name].name}`

/** Operations by the name of the contract. */
export const standardOperations = (names: readonly StandardName[] = STANDARD_NAMES, options: ModelledOptions = {}): readonly OperationSource[] => names.map((name) => STANDARD[name](options))
