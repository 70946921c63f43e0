/** The calls that are explored: one operation for each idempotency answer, with times short enough to be run by the ten thousand. */
import { natural, none, providerKey, reconcile } from 'steward'
import { checkout, ietfDraft, stripe } from 'steward/providers'
import type { OperationSource } from '../contract.ts'
import type { Entry } from './steps.ts'
import { CONTRACTS, type KeyContract, type ProviderContract } from '../providers/contract.ts'
import { axiosError, checkoutError, modelled, type ModelledOptions, plainError, stripeError } from '../workload/operations.ts'

export type Subject = {
  readonly name: string
  readonly contract: ProviderContract
  readonly source: OperationSource
  /** How it is submitted where all pairs are explored; empty: single faults only. */
  readonly pairs: readonly Entry[]
  /** Why nobody could keep one effect one under some pair of faults. */
  readonly unlessPaired?: string
}

const quick = { workMs: { from: 10, to: 40 } } as const
const asked = { lookup: { lagMs: 500 } } as const
const lookups = { settle: '6s', absences: 1, lookupEvery: '1s', lookupFor: '5m' } as const
const options: ModelledOptions = { definition: { timeout: '1s', giveUpAfter: '10m', backoff: { base: '100ms', cap: '1s' } } }

const stripeV1 = { ...CONTRACTS.stripeV1, ...quick, ...asked }
const checkoutCom = { ...CONTRACTS.checkoutCom, ...quick, ...asked }
const draft = { ...CONTRACTS.ietfDraftApi, ...quick }
const keyed = { ...CONTRACTS.stripeV2, ...quick, ...asked }
const keyless = { ...CONTRACTS.keylessLookup, ...quick, ...asked }
const blind = { ...CONTRACTS.keylessBlind, ...quick }
// The provider forgets within the life of a call.
const forgetful = { ...keyed, name: 'forgetful', keys: { ...(CONTRACTS.stripeV1.keys as KeyContract), retentionMs: 6_000 } }
const documents = { ...CONTRACTS.documents, ...quick }

export const SUBJECTS: readonly Subject[] = [
  { name: 'providerKey with lookup (Stripe v1)', contract: stripeV1, pairs: ['queued'], source: modelled(stripeV1, (lookup) => stripe.v1({ lookup, ...lookups }), stripeError, options) },
  { name: 'providerKey without lookup (IETF draft)', contract: draft, pairs: ['queued'], source: modelled(draft, () => ietfDraft({ retention: '24h', replayedHeader: 'idempotent-replayed' }), plainError, options) },
  { name: 'reconcile', contract: keyless, pairs: ['queued', 'direct'], source: modelled(keyless, (lookup) => reconcile(lookup, lookups), plainError, options) },
  { name: 'natural', contract: documents, pairs: ['queued'], source: modelled(documents, () => natural('a PUT of the whole document'), plainError, options) },
  { name: 'none', contract: blind, pairs: ['queued', 'direct'], source: modelled(blind, () => none('the provider has neither keys nor a list'), axiosError, options) },
  { name: 'providerKey with lookup (Checkout.com)', contract: checkoutCom, pairs: [], unlessPaired: 'an error after the effect that is lost on its way: the provider keeps no trace of it under the key', source: modelled(checkoutCom, (lookup) => checkout({ lookup, ...lookups }), checkoutError, options) },
  { name: 'providerKey, plain', contract: keyed, pairs: [], source: modelled(keyed, (lookup) => providerKey({ retention: '30d', lookup, ...lookups }), plainError, options) },
  { name: 'providerKey with a short memory', contract: forgetful, pairs: [], source: modelled(forgetful, (lookup) => providerKey({ retention: '6s', margin: '500ms', lookup, ...lookups }), stripeError, options) },
  { name: 'none, by a client that nobody sees', contract: blind, pairs: [], source: modelled(blind, () => none('the provider has neither keys nor a list'), plainError, { ...options, isUnseen: true }) },
]
