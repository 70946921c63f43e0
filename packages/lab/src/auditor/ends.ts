/** Ends: loud, told to the application, and reached; doubt only where nobody could know. */
import type { AlertKind, CallView } from 'steward'
import type { Case, Evidence } from './evidence.ts'
import { openDoubts } from './story.ts'

const LOUD = ['exhausted', 'in_doubt', 'expired'] as const satisfies readonly AlertKind[]
const ENDS: ReadonlySet<string> = new Set(['succeeded', 'rejected', 'exhausted', 'expired', 'cancelled'])

/** Alerts on record by call and kind, worked out once for an audit. */
export type AlertIndex = ReadonlyMap<string, number>
export function alertIndex(evidence: Evidence): AlertIndex {
  const index = new Map<string, number>()
  for (const { callId, kind } of evidence.alerts) {
    if (callId !== null) index.set(`${callId} ${kind}`, (index.get(`${callId} ${kind}`) ?? 0) + 1)
  }
  return index
}

/** Contract 7: each time a call is exhausted, expired or in doubt, there is one alert, no more and no less. */
export function loud({ call }: Case, alerts: AlertIndex): readonly string[] {
  if (call === null || call.story.some((entry) => entry.what === 'folded')) return []
  return LOUD.flatMap((kind) => {
    const times = call.story.filter((entry) => entry.to === kind).length
    const raised = alerts.get(`${call.id} ${kind}`) ?? 0
    return raised === times ? [] : [`it became ${kind} ${times} times, and ${raised} alerts of that kind are on record`]
  })
}

/** Contract 7 and 12: an effect that was seen under two references, and an end that was wrong, are alerted. */
export function surprises({ call }: Case, alerts: AlertIndex): readonly string[] {
  if (call === null) return []
  const references = new Set(call.story.flatMap((entry) => (saysApplied(entry) && 'reference' in entry && entry.reference !== undefined ? [entry.reference] : [])))
  const corrected = call.story.some((entry, index) => entry.to === 'succeeded' && call.story.slice(0, index).findLast((earlier) => earlier.to !== undefined && ENDS.has(earlier.to)) !== undefined && isDenied(call, index))
  return [
    ...(references.size > 1 && !alerts.has(`${call.id} effect_twice`) ? [`its story names ${references.size} effects (${[...references].join(', ')}), and no effect_twice alert is on record`] : []),
    ...(corrected && !alerts.has(`${call.id} corrected`) ? ['its end was corrected to succeeded, and no corrected alert is on record'] : []),
  ]
}

function saysApplied(entry: CallView['story'][number]): boolean {
  return (entry.what === 'looked' && entry.answer === 'found') || (entry.what === 'fact' && entry.kind === 'applied') || ((entry.what === 'closed' || entry.what === 'late') && entry.verdict === 'applied')
}

/** Whether the call stood at an end that denies the effect just before this entry. */
function isDenied(call: CallView, index: number): boolean {
  const stood = call.story.slice(0, index).findLast((entry) => entry.to !== undefined)?.to
  return stood !== undefined && stood !== 'succeeded' && ENDS.has(stood)
}

/** Contract 7: every alert reached somebody. */
export function delivered(evidence: Evidence): readonly { readonly operation: string; readonly key: string; readonly what: string }[] {
  return evidence.alerts.filter((alert) => alert.deliveredAt === null)
    .map((alert) => ({ operation: alert.operation, key: alert.key ?? '', what: `the ${alert.kind} alert ${alert.id} was delivered to nobody` }))
}

/** Contract 1: a call ends, or waits visibly for a person or for its own time. */
export function ended({ call }: Case, evidence: Evidence): readonly string[] {
  if (call === null || ENDS.has(call.state) || call.state === 'in_doubt') return []
  const isPlanned = call.state === 'waiting' && call.attempts === 0 && call.dueAt !== null && call.dueAt > evidence.now
  return isPlanned ? [] : [`it is still ${call.state} (${call.reason})`]
}

/** Contract 7: the application was told how it ended. */
export function settled({ call }: Case, told: ReadonlyMap<string, string>): readonly string[] {
  if (call === null || !ENDS.has(call.state)) return []
  const last = told.get(`${call.operation} ${call.key}`)
  return last === call.state ? [] : [`it ended ${call.state}, and the application was told ${last ?? 'nothing'}`]
}

/** Section 2 of the design: under the safe answers a call ends undecided only when nobody could know. */
export function decided({ operation, call, provider, requests }: Case, evidence: Evidence): readonly string[] {
  if (call?.state !== 'in_doubt') return []
  const undecided = (why: string): readonly string[] => [`it is in doubt (${call.reason}), although ${why}`]
  if (openDoubts(operation, call).length === 0) return undecided('every attempt that it began has a definite answer')
  const isStopped = call.story.some((entry) => entry.what === 'action' && entry.action === 'cancel') || (call.giveUpAt ?? Number.POSITIVE_INFINITY) <= evidence.now || (call.expiresAt ?? Number.POSITIVE_INFINITY) <= evidence.now
  switch (operation.answer) {
    case 'none': return []
    case 'natural': return isStopped ? [] : undecided('sending it again is safe')
    case 'reconcile': return undecided('the provider can be asked')
    case 'providerKey': {
      if (operation.hasLookup) return undecided('the provider can be asked')
      const isForgotten = provider?.keyRetentionMs != null && requests.some((request) => evidence.now >= request.arrivedAt + (provider.keyRetentionMs as number) * 0.9)
      const isStuck = requests.some((request) => typeof request.answered === 'number' && request.answered >= 400 && (request.isReplay || request.answered === 500))
      return isForgotten || isStuck || isStopped ? [] : undecided('its key is still good')
    }
  }
}
