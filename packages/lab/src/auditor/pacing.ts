/** Contract 11: told to wait, no worker sends in that provider's scope before then. */
import type { Violation } from '../contract.ts'
import type { Case, Evidence } from './evidence.ts'
import { iso } from './effects.ts'

type Told = { readonly provider: string; readonly heardAt: number; readonly untilAt: number }

/**
 * A told wait binds from the instant at which it is on record: a worker that died with the answer in its hand has told
 * nobody. An attempt that had begun by then may still arrive.
 */
export function obeysWaits(evidence: Evidence, cases: readonly Case[]): readonly Omit<Violation, 'rule'>[] {
  const waits = evidence.clockIsTrue ? cases.flatMap((one) => waitsOf(one)) : []
  if (waits.length === 0) return []
  const sends = cases.flatMap((one) => one.requests.map(({ arrivedAt }) => ({ one, arrivedAt, begunAt: lastBegunAt(one, arrivedAt) })))
  return sends.flatMap(({ one, arrivedAt, begunAt }) => {
    const broken = waits.find((wait) => wait.provider === one.operation.provider && begunAt > wait.heardAt && arrivedAt < wait.untilAt)
    return broken ? [{ operation: one.operation.name, key: one.key, what: `a request reached ${broken.provider} at ${iso(arrivedAt)}; it had said at ${iso(broken.heardAt)} not to come back before ${iso(broken.untilAt)}` }] : []
  })
}

function waitsOf({ operation, call, requests }: Case): readonly Told[] {
  return requests.flatMap((request) => {
    if (request.toldToWaitUntil === null || typeof request.answered !== 'number') return []
    const heard = call?.story.find((entry) => entry.what === 'closed' && entry.status === request.answered && entry.at >= request.arrivedAt)
    return heard ? [{ provider: operation.provider, heardAt: heard.at, untilAt: request.toldToWaitUntil }] : []
  })
}

function lastBegunAt({ call }: Case, before: number): number {
  return call?.story.findLast((entry) => entry.what === 'begun' && entry.at <= before)?.at ?? Number.NEGATIVE_INFINITY
}
