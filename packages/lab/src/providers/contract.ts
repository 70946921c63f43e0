/**
 * What a provider promises about keys, lookups and answers. Each contract is data; `model.ts` is the state machine.
 * Facts are those of the presets in steward/providers, with their sources there.
 */
import type { ClientAnswer, Json } from '../contract.ts'

/**
 * What is kept under a key once the work has begun:
 *  - `answers`: the first answer, an error included, for the whole window (Stripe v1, the IETF draft, Adyen);
 *  - `successes`: only 2xx; after an error the same key has the work done again (Checkout.com);
 *  - `effects`: what was achieved; after an error the work is taken up again and finds it (Stripe v2, PayPal).
 */
export type Keeps = 'answers' | 'successes' | 'effects'

export type KeyContract = {
  /** Lower case. */
  readonly header: string
  /** Keys are forgotten exactly then: "at least" is taken at its word. */
  readonly retentionMs: number
  readonly keeps: Keeps
  /** What the second of two requests under one key is told while the first is running. */
  readonly whileRunning: ClientAnswer
  /** What another payload under a known key is told; `null`: it gets the stored answer. */
  readonly otherPayload: ClientAnswer | null
  /** Headers that mark a stored answer. */
  readonly replayed: Readonly<Record<string, string>>
  /** Headers of every answer given under a key. */
  readonly keyed?: (key: string) => Readonly<Record<string, string>>
}

export type ProviderContract = {
  readonly name: string
  readonly keys: KeyContract | null
  /** It can be asked; an effect shows up at most this long after it happened. */
  readonly lookup: { readonly lagMs: number } | null
  /** Sending the same document twice is sending it once. */
  readonly isNatural?: boolean
  /** It takes the request, and does the work later. */
  readonly later?: { readonly fromMs: number; readonly toMs: number }
  readonly workMs: { readonly from: number; readonly to: number }
  success(effect: { readonly reference: string; readonly amount: number | null }): ClientAnswer
  /** An internal error. `isKept`: it will be replayed. */
  error(status: number, isKept: boolean): ClientAnswer
  /** The request was looked at and refused: no effect. */
  decline(): ClientAnswer
}

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

const answer = (status: number, body: Json, headers: Readonly<Record<string, string>> = {}): ClientAnswer => ({ status, headers, body })
const paid = (reference: string, amount: number | null): Json => ({ id: reference, amount, status: 'succeeded' })
const quick = { from: 20, to: 900 }

/** First status and body are kept for 24 hours, a 500 included. */
const stripeV1: ProviderContract = {
  name: 'stripe-v1',
  keys: {
    header: 'idempotency-key', retentionMs: DAY, keeps: 'answers',
    whileRunning: answer(409, { error: { type: 'invalid_request_error', code: 'idempotency_key_in_use' } }),
    otherPayload: answer(400, { error: { type: 'idempotency_error' } }),
    replayed: { 'idempotent-replayed': 'true' },
  },
  lookup: { lagMs: 60 * SECOND },
  workMs: quick,
  success: ({ reference, amount }) => answer(200, paid(reference, amount)),
  error: (status) => answer(status, { error: { type: 'api_error' } }),
  decline: () => answer(402, { error: { type: 'card_error', code: 'card_declined' } }),
}

/** Nothing that succeeded is repeated for 30 days; failed work is taken up again. */
const stripeV2: ProviderContract = {
  ...stripeV1,
  name: 'stripe-v2',
  keys: { header: 'idempotency-key', retentionMs: 30 * DAY, keeps: 'effects', whileRunning: answer(409, { error: { type: 'invalid_request_error', code: 'idempotency_key_in_use' } }), otherPayload: answer(400, { error: { type: 'idempotency_error' } }), replayed: {} },
  decline: () => answer(402, { error: { type: 'card_error', code: 'card_declined' } }),
}

/** Only 2xx is kept: after an error the same key has the payment attempted again. */
const checkoutCom: ProviderContract = {
  name: 'checkout',
  keys: { header: 'cko-idempotency-key', retentionMs: DAY, keeps: 'successes', whileRunning: answer(429, {}), otherPayload: null, replayed: {} },
  lookup: { lagMs: 2 * MINUTE },
  workMs: quick,
  success: ({ reference, amount }) => answer(201, { id: reference, amount, approved: true }),
  error: (status) => answer(status, {}),
  decline: () => answer(201, { approved: false, response_code: '20005' }),
}

/** A repeat is answered with the latest status of the first request. Orders remember for 6 hours. */
const paypalOrders: ProviderContract = {
  name: 'paypal',
  keys: { header: 'paypal-request-id', retentionMs: 6 * HOUR, keeps: 'effects', whileRunning: answer(409, { name: 'RESOURCE_CONFLICT' }), otherPayload: answer(422, { name: 'PAYPAL_REQUEST_ID_PREVIOUSLY_USED' }), replayed: {} },
  lookup: { lagMs: 2 * MINUTE },
  workMs: quick,
  success: ({ reference, amount }) => answer(201, { id: reference, amount, status: 'COMPLETED' }),
  error: (status) => answer(status, { name: 'INTERNAL_SERVER_ERROR' }),
  decline: () => answer(422, { name: 'UNPROCESSABLE_ENTITY', details: [{ issue: 'INSTRUMENT_DECLINED' }] }),
}

/** First answer for 7 days, unless it is marked transient. */
const adyenPayments: ProviderContract = {
  name: 'adyen',
  keys: {
    header: 'idempotency-key', retentionMs: 7 * DAY, keeps: 'answers',
    whileRunning: answer(422, { errorCode: '704' }), otherPayload: answer(422, { errorCode: '704' }), replayed: {},
    keyed: (key) => ({ 'idempotency-key': key }),
  },
  lookup: { lagMs: 2 * MINUTE },
  workMs: quick,
  success: ({ reference, amount }) => answer(200, { pspReference: reference, amount, resultCode: 'Authorised' }),
  error: (status, isKept) => answer(status, { errorCode: '000' }, isKept ? {} : { 'transient-error': 'true' }),
  decline: () => answer(200, { resultCode: 'Refused' }),
}

/** The first result for the window that the server publishes. It cannot be asked: what the key cannot decide, a person must. */
const ietfDraftApi: ProviderContract = {
  name: 'ietf-draft',
  keys: {
    header: 'idempotency-key', retentionMs: DAY, keeps: 'answers',
    whileRunning: answer(409, { title: 'A request is outstanding for this Idempotency-Key' }),
    otherPayload: answer(422, { title: 'Idempotency-Key is already used' }), replayed: { 'idempotent-replayed': 'true' },
  },
  lookup: null,
  workMs: quick,
  success: ({ reference, amount }) => answer(201, paid(reference, amount)),
  error: (status) => answer(status, { title: 'internal error' }),
  decline: () => answer(422, { title: 'the card was declined' }),
}

/** Knows no keys. What was done shows up in its list, after a while. */
const keylessLookup: ProviderContract = {
  name: 'keyless-lookup',
  keys: null,
  lookup: { lagMs: 45 * SECOND },
  workMs: { from: 20, to: 1_500 },
  success: ({ reference, amount }) => answer(201, paid(reference, amount)),
  error: (status) => answer(status, {}),
  decline: () => answer(422, { error: 'refused' }),
}

const keylessBlind: ProviderContract = { ...keylessLookup, name: 'keyless-blind', lookup: null }

/** A document is put in its place: the second time changes nothing. */
const documents: ProviderContract = { ...keylessLookup, name: 'documents', lookup: null, isNatural: true }

/** Takes a payout, pays later, and says so by webhook. */
const laterPayouts: ProviderContract = {
  ...ietfDraftApi,
  name: 'later-payouts',
  keys: { ...(ietfDraftApi.keys as KeyContract), retentionMs: 3 * DAY },
  lookup: { lagMs: 30 * SECOND },
  later: { fromMs: 2_000, toMs: 600_000 },
}

export const CONTRACTS = { stripeV1, stripeV2, checkoutCom, paypalOrders, adyenPayments, ietfDraftApi, keylessLookup, keylessBlind, documents, laterPayouts } as const
export const ALL_CONTRACTS: readonly ProviderContract[] = Object.values(CONTRACTS)
