/** What people do, through the public API of some process. */
import type { StewardApi } from 'steward'
import type { OperatorAction } from '../contract.ts'

export async function carryOut(steward: StewardApi, action: OperatorAction): Promise<unknown> {
  const who = { by: action.by, why: action.why }
  switch (action.do) {
    case 'settle': return await steward.settle(action.operation, action.key, { ...who, outcome: action.outcome })
    case 'cancel': return await steward.cancel(action.operation, action.key, who)
    case 'retry_now': return await steward.retryNow(action.operation, action.key, who)
    case 'redrive': return await steward.redrive(action.operation, action.key, who)
    case 'redrive_many': return await steward.redriveMany({ operation: action.operation }, who)
    case 'pause': return await steward.pause(action.scope, who)
    case 'restored': return await steward.restored({ ...who, lostSince: action.lostSince })
    case 'resume': return await steward.resume(action.scope, who)
  }
}
