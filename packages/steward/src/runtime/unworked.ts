/** Alerts about work that waits because no running worker takes it: one a day per operation and version. */
import type { Alert } from '../core/alert.ts'

type Unworked = { readonly operation: string; readonly at: number; readonly message: string }

export function noWorker({ operation, at, message }: Unworked): Alert {
  return { ...aboutOperation(operation, at), id: `no_worker:${operation}:${dayOf(at)}`, kind: 'no_worker', message, next: 'Start a worker: steward worker' }
}

export function notUnderstood({ operation, at, message }: Unworked, version: number): Alert {
  return { ...aboutOperation(operation, at), id: `not_understood:${operation}:${version}:${dayOf(at)}`, kind: 'not_understood', message, next: `Deploy a worker that knows ${operation} version ${version}, or an upgrade from it.` }
}

function aboutOperation(operation: string, at: number): Omit<Alert, 'id' | 'kind' | 'message' | 'next'> {
  return { severity: 'page', at, operation, callId: null, key: null, state: null }
}

function dayOf(at: number): number {
  return Math.floor(at / 86_400_000)
}
