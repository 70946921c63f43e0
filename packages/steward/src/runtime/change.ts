/**
 * A change of a call by anybody: read, decide, compare-and-set, again when somebody was faster.
 */
import { type Call, isEnd } from '../core/call.ts'
import { type CallEvent, type Decision, decide, decideOrder } from '../core/decide.ts'
import type { Restored } from '../core/set-back.ts'
import type { Lease, Store } from '../ports/store.ts'
import type { System } from '../ports/system.ts'
import { providerHold } from './hold-rules.ts'
import type { Registered } from './operation.ts'
import type { Recorder } from './recorder.ts'

export type Changing = { readonly store: Store; readonly system: System; readonly recorder: Recorder; readonly registered: Registered }

export type ChangeOptions = {
  /** Write under this lease. */
  readonly lease?: Lease
  /** If this attempt still counts as running, it lapses first: whoever calls has lost its lease. */
  readonly lapseFirst?: number
  /** Stop without a change when this attempt is not the running one any more; or when the call is not open and idle any more. */
  readonly onlyWhileRunning?: number
  readonly onlyWhileOpen?: boolean
  /** Write only if no control was set since this revision. */
  readonly controlsRev?: number
  /** Of an order to send: what a person said of the database's lost commits. */
  readonly restored?: Restored | null
}

/** The decision that was stored; a refusal, or a decision that changes nothing, stores nothing. */
export async function change(around: Changing, call: Call, event: CallEvent, options: ChangeOptions = {}): Promise<Decision> {
  const { store, system, recorder, registered } = around
  // An answer speaks of an attempt of its own worker: a database that lost commits gives the number to another one.
  const worker = event.type === 'answered' ? event.worker : null
  let before = call
  for (;;) {
    const now = store.now()
    let from = before
    let alerts: Decision['alerts'] = []
    if (options.onlyWhileRunning !== undefined && !runs(from, options.onlyWhileRunning, worker)) return unchanged(from)
    if (options.onlyWhileOpen && (isEnd(from.state) || from.state === 'running')) return unchanged(from)
    if (options.lapseFirst !== undefined && runs(from, options.lapseFirst, worker)) {
      const lapse = decide(from, { type: 'lapsed', why: 'its worker lost the lease' }, registered.policy, now, system.random())
      from = lapse.call
      alerts = lapse.alerts
    }
    const last = decideOrder(from, event, registered.policy, now, system.random(), options.restored ?? null)
    const decision = alerts.length === 0 ? last : { ...last, alerts: [...alerts, ...last.alerts] }
    if (decision.refused !== null || decision.call === before) return decision
    const leaseAfter = decision.call.state === 'running' ? 'keep' : 'release'
    const controls = providerHold(registered, decision, decision.call.reason, now)
    const result = await recorder.recordAsync(before, decision, registered, { leaseAfter, controls, ...(options.lease ? { lease: options.lease } : {}), ...(options.controlsRev === undefined ? {} : { controlsRev: options.controlsRev }) })
    if (result.ok) return decision
    if (!result.call || result.why !== 'rev') return { ...decision, call: result.call ?? before, refused: 'the call is not where it was' }
    before = result.call
  }
}

function runs(call: Call, n: number, worker: string | null): boolean {
  return call.state === 'running' && call.open.some((attempt) => attempt.n === n && attempt.closedAt === null && (worker === null || attempt.worker === worker))
}

function unchanged(call: Call): Decision {
  return { call, alerts: [], settles: false, begun: null, holdProviderUntilAt: null, refused: null }
}
