/** Which provider model stands in for an operation's real provider: the one whose contract its idempotency answer names. */
import type { Operation } from 'steward'
import { register } from 'steward/internal'
import { CONTRACTS, type ProviderContract } from '../providers/contract.ts'

const DAY = 86_400_000

/** The contract, under the name of the operation's own provider and with the retention that its answer declares. */
export function contractOf(operation: Operation): ProviderContract {
  const { policy, provider } = register(operation)
  const { kind } = operation.idempotency
  if (kind === 'natural') return { ...CONTRACTS.documents, name: provider }
  if (kind === 'none') return { ...CONTRACTS.keylessBlind, name: provider }
  const lookup = policy.hasLookup ? { lagMs: Math.round(policy.settleMs / 2) } : null
  if (kind === 'reconcile') return { ...CONTRACTS.keylessLookup, name: provider, lookup }
  const { keys, ...contract } = keyed(operation.idempotency.provider ?? provider, policy.retentionMs)
  return { ...contract, name: provider, lookup, keys: keys && { ...keys, retentionMs: policy.retentionMs } }
}

function keyed(provider: string, retentionMs: number): ProviderContract {
  switch (provider) {
    case 'stripe': return retentionMs > 7 * DAY ? CONTRACTS.stripeV2 : CONTRACTS.stripeV1
    case 'checkout.com': return CONTRACTS.checkoutCom
    case 'paypal': return CONTRACTS.paypalOrders
    case 'adyen': return CONTRACTS.adyenPayments
    default: return CONTRACTS.ietfDraftApi
  }
}
