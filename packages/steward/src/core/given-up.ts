/** Looks at the store that are given up again and again: what only they find waits, and nobody sees it. */
import { type Alert, dayOf } from './alert.ts'
import { durationText } from './duration.ts'
import { LIMITS } from './limits.ts'

/** From then on somebody is told: longer than an outage that mends itself. Milliseconds. */
export const GIVEN_UP_FOR_MS = 300_000

const UNSEEN = {
  behind: 'calls that wait behind those that were claimed are given up: what another process gave back, or a long transaction stored, waits',
  unworked: 'calls that nobody works are given up: what no running worker understands, and what was begun by workers that are gone, waits unseen',
} as const

/** One a day. @param what what is looked for. */
export function looksGivenUp(store: string, what: keyof typeof UNSEEN, { at, sinceMs, error }: { readonly at: number; readonly sinceMs: number; readonly error: unknown }): Alert {
  return {
    id: `looks_given_up:${what}:${dayOf(at)}`, kind: 'looks_given_up', severity: 'page', at, operation: '*', callId: null, key: null, state: null,
    message: `For ${durationText(Math.round(sinceMs))} all looks in ${store} for ${UNSEEN[what]} until one succeeds. None of it is lost. The last one: ${String(error).slice(0, LIMITS.reasonChars)}`,
    next: 'Look for a transaction that is held open (PostgreSQL: pg_stat_activity by xact_start, the oldest first), for dead rows that are not cleaned up, and at the disk. The looks go on by themselves.',
  }
}
