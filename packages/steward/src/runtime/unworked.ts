/** Alerts about work that stands still: no running worker takes it (one a day per operation and version), or the engine let go of it. */
import { type Alert, dayOf } from '../core/alert.ts'
import type { Call } from '../core/call.ts'
import { durationText } from '../core/duration.ts'
import { LIMITS } from '../core/limits.ts'

type Unworked = { readonly operation: string; readonly at: number; readonly message: string }

export function noWorker({ operation, at, message }: Unworked): Alert {
  return { ...aboutOperation(operation, at), id: `no_worker:${operation}:${dayOf(at)}`, kind: 'no_worker', message, next: 'Start a worker: steward worker' }
}

export function notUnderstood({ operation, at, message }: Unworked, version: number): Alert {
  return { ...aboutOperation(operation, at), id: `not_understood:${operation}:${version}:${dayOf(at)}`, kind: 'not_understood', message, next: `Deploy a worker that knows ${operation} version ${version}, or an upgrade from it.` }
}

/** Claims have been slow or given up for a while: mostly a transaction that is held open, so that dead rows cannot be cleaned up. One a day. `error`: what the last one was given up with. */
export function claimsSlow(store: string, { operation, at, tookMs, sinceMs, error }: { readonly operation: string; readonly at: number; readonly tookMs: number; readonly sinceMs: number; readonly error: string | null }): Alert {
  const last = error === null ? `took ${durationText(Math.round(tookMs))}` : `was given up (${error})`.slice(0, LIMITS.reasonChars)
  return {
    ...aboutOperation(operation, at), id: `claims_slow:${dayOf(at)}`, kind: 'claims_slow', severity: 'warn',
    message: `Taking calls from ${store} has been slow for ${durationText(sinceMs)}: the last claim ${last}. Calls wait longer than they need to; none is lost.`,
    next: 'Look for a transaction that is held open (PostgreSQL: pg_stat_activity by xact_start, the oldest first), for dead rows that are not cleaned up, and at the disk.',
  }
}

/** Something that must hold does not: the call stays as stored, the others go on. */
export function invariantBroken(call: Call, error: unknown, at: number): Alert {
  return {
    id: `invariant_broken:${call.id}:${call.rev}`, kind: 'invariant_broken', severity: 'page', at, operation: call.operation, callId: call.id, key: call.key, state: call.state,
    message: `${call.operation} "${call.key}" was left as stored: ${error instanceof Error ? error.message : 'something was thrown'}`,
    next: `Report it with: steward story ${call.operation} ${call.key} --json. A restart of the worker takes the call up again.`,
  }
}

function aboutOperation(operation: string, at: number): Omit<Alert, 'id' | 'kind' | 'message' | 'next'> {
  return { severity: 'page', at, operation, callId: null, key: null, state: null }
}
