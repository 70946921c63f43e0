/**
 * A database that was set back: what a store does when it finds its own past missing, the same for every store.
 *
 * In one transaction it holds everything, by a control of its own that no person can lift except by saying what was lost;
 * fences every worker, since what they hold leases on may never have been claimed here; and raises an alert. The revision
 * of the controls becomes one that no living process can have seen, so that no begin decided before is committed after.
 */
import type { Alert } from '../core/alert.ts'
import type { Restored } from '../core/set-back.ts'
import type { Control, Scope } from './store.ts'

/** The scope that no call is outside of. */
export const EVERYTHING: Scope = { kind: 'store', name: 'everything' }

/** Nothing is sent until somebody says what was lost. @param why how it was noticed, or what the person says: a clause. */
export function setBackHold(by: string, why: string, at: number): Control {
  return { ...EVERYTHING, mode: 'pause', untilAt: null, by, why, at }
}

/** Above all revisions that were given out before: there are fewer of them than milliseconds. */
export function revAfterSetBack(rev: number, at: number): number {
  return Math.max(rev + 1, at)
}

/** @param knownUntilAt the latest time on record in the database as it came back. */
export function setBackAlert(store: string, { why, at }: Control, knownUntilAt: number): Alert {
  return {
    id: `database_set_back:${at}`, kind: 'database_set_back', severity: 'page', at, operation: '*', callId: null, key: null, state: null,
    message: `${store} was set back: ${why}. The latest time on its record is ${new Date(knownUntilAt).toISOString()}; calls may have been accepted, sent and ended since of which it knows nothing. Nothing is sent until somebody says what was lost.`,
    next: 'Confirm what the provider lists for that time, then: steward restored --lost-since TIME --why "…"',
  }
}

/** What to keep of two sayings: the later one, and of the earlier one what has not run out. */
export function joinRestored(before: Restored | null, said: Restored): Restored {
  if (before === null || before.lookFirstUntilAt <= said.noticedAt) return said
  return { ...said, lostSinceAt: Math.min(before.lostSinceAt, said.lostSinceAt), lookFirstUntilAt: Math.max(before.lookFirstUntilAt, said.lookFirstUntilAt) }
}
