/** The calls that are explored: one operation for each idempotency answer, with times short enough to be run by the ten thousand. */
import { natural, none, providerKey, reconcile } from 'steward'
import { checkout, ietfDraft, stripe } from 'steward/providers'
import type { OperationSource } from '../contract.ts'
import { CONTRACTS, type ProviderContract } from '../providers/contract.ts'
import { axiosError, checkoutError, modelled, type ModelledOptions, plainError, stripeError } from '../workload/operations.ts'

export type Subject = { readonly name: string; readonly contract: ProviderContract; readonly source: OperationSource; /** The long list also takes those that say nothing new about an answer. */ readonly isCore: boolean }

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
const documents = { ...CONTRACTS.documents, ...quick }

export const SUBJECTS: readonly Subject[] = [
  { name: 'providerKey with lookup (Stripe v1)', contract: stripeV1, isCore: true, source: modelled(stripeV1, (lookup) => stripe.v1({ lookup, ...lookups }), stripeError, options) },
  { name: 'providerKey without lookup (IETF draft)', contract: draft, isCore: true, source: modelled(draft, () => ietfDraft({ retention: '24h', replayedHeader: 'idempotent-replayed' }), plainError, options) },
  { name: 'reconcile', contract: keyless, isCore: true, source: modelled(keyless, (lookup) => reconcile(lookup, lookups), plainError, options) },
  { name: 'natural', contract: documents, isCore: true, source: modelled(documents, () => natural('a PUT of the whole document'), plainError, options) },
  { name: 'none', contract: blind, isCore: true, source: modelled(blind, () => none('the provider has neither keys nor a list'), axiosError, options) },
  { name: 'providerKey with lookup (Checkout.com)', contract: checkoutCom, isCore: false, source: modelled(checkoutCom, (lookup) => checkout({ lookup, ...lookups }), checkoutError, options) },
  { name: 'providerKey, plain', contract: keyed, isCore: false, source: modelled(keyed, (lookup) => providerKey({ retention: '30d', lookup, ...lookups }), plainError, options) },
]
