/** Operations for each answer whose windows are minutes instead of days, so that they can be played on the slow side, too. */
import { natural, none, reconcile } from 'steward'
import { ietfDraft } from 'steward/providers'
import type { OperationSource } from '../contract.ts'
import { CONTRACTS, type KeyContract, type ProviderContract } from '../providers/contract.ts'
import { type ErrorShape, modelled, STANDARD } from '../workload/operations.ts'
import { CATALOGUE } from './catalogue.ts'
import type { Scenario } from './scenario.ts'

const plain: ErrorShape = ({ status, headers, body }) => Object.assign(new Error(`answered ${status}`), { status, headers, body })

const BRIEF = { giveUpAfter: '15m' } as const
export const brief: ProviderContract = { ...CONTRACTS.ietfDraftApi, name: 'brief', keys: { ...(CONTRACTS.ietfDraftApi.keys as KeyContract), retentionMs: 20 * 60_000 }, lookup: { lagMs: 20_000 } }
export const ANSWERS: Readonly<Record<string, OperationSource>> = {
  providerKey: modelled(brief, (lookup) => ietfDraft({ retention: '20m', settle: '30s', replayedHeader: 'idempotent-replayed', lookup }), plain, { definition: BRIEF }),
  reconcile: modelled(CONTRACTS.keylessLookup, (lookup) => reconcile(lookup, { settle: '1m' }), plain, { definition: BRIEF }),
  natural: modelled(CONTRACTS.documents, () => natural('a PUT of the whole document'), plain, { definition: BRIEF }),
  none: modelled(CONTRACTS.keylessBlind, () => none('neither keys nor a list'), plain, { definition: BRIEF }),
}
const LATER = ['laterPayouts'] as const

/** What Steward promises to survive now. */
export const holds = CATALOGUE.filter((scenario) => scenario.waitsFor === undefined)
export const sourcesOf = (scenario: Scenario): readonly (readonly [string, OperationSource])[] =>
  scenario.providers === undefined ? scenario.fits.map((answer) => [answer, ANSWERS[answer] as OperationSource] as const) : LATER.map((name) => [name, STANDARD[name]()] as const)
