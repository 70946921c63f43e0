/**
 * What a worker notices over several attempts of an operation: when it is to be held by itself (too many unknown
 * outcomes, or too many refused callers, in a row: contract 9), and when an unusual share is rejected (contract 7).
 *
 * Counted per process: each worker that sees the provider refuse comes to the same hold, and a hold only ever
 * lengthens. After a hold ends, one attempt at a time goes out until one is answered.
 */
import type { Alert } from '../core/alert.ts'
import type { Decision } from '../core/decide.ts'
import type { Verdict } from '../core/verdict.ts'
import type { ControlWrite } from '../ports/store.ts'
import { durationText } from '../core/duration.ts'
import type { Registered } from './operation.ts'

const FIRST_HOLD_MS = 15_000
const LONGEST_HOLD_MS = 15 * 60_000

/** The share of rejected calls is taken over this many definite answers; it is unusual from half on, and usual again below a quarter. */
const SHARE_OF = 40

type Counts = {
  doubts: number
  refusals: number
  inFlight: number
  /** Of those in flight, how many had begun before the last hold: their answers say nothing new. */
  stale: number
  holds: number
  since: number
  /** The last definite answers, true for rejected. */
  readonly answers: boolean[]
  rejected: number
  shareTold: boolean
}

/** What is to be recorded together with the answer that gave rise to it. */
export type Hold = { readonly control?: ControlWrite; readonly alert: Alert }

export class HoldRules {
  readonly #counts = new Map<string, Counts>()

  #of(registered: Registered): Counts {
    let counts = this.#counts.get(registered.operation.name)
    if (!counts) {
      counts = { doubts: 0, refusals: 0, inFlight: 0, stale: 0, holds: 0, since: 0, answers: [], rejected: 0, shareTold: false }
      this.#counts.set(registered.operation.name, counts)
    }
    return counts
  }

  begun(registered: Registered): void {
    this.#of(registered).inFlight++
  }

  /** On probation one attempt at a time is sent. */
  mayBegin(registered: Registered): boolean {
    const counts = this.#of(registered)
    return counts.holds === 0 || counts.inFlight === 0
  }

  mayClaim(registered: Registered): boolean {
    return this.mayBegin(registered)
  }

  /** @param verdict `null` when the attempt was not sent after all. */
  closed(registered: Registered, verdict: Verdict | null, now = 0): Hold | null {
    const counts = this.#of(registered)
    counts.inFlight = Math.max(0, counts.inFlight - 1)
    const stale = counts.stale > 0
    if (stale) counts.stale--
    if (verdict === null) return null
    if (verdict.kind === 'unknown') counts.doubts++
    else if (verdict.kind === 'not_applied' && verdict.refused === 'caller') counts.refusals++
    else if (verdict.kind !== 'not_applied') {
      counts.doubts = 0
      counts.refusals = 0
      counts.holds = 0
      return this.#share(registered, counts, now, verdict)
    }
    if (stale) return null
    if (counts.doubts >= registered.doubtsToHold) return this.#hold(registered, counts, now, `${counts.doubts} outcomes in a row are unknown`, verdict)
    if (counts.refusals >= registered.refusalsToHold) return this.#hold(registered, counts, now, `the provider refused us as a caller ${counts.refusals} times in a row`, verdict)
    return null
  }

  #share(registered: Registered, counts: Counts, now: number, verdict: Verdict): Hold | null {
    const rejected = verdict.kind === 'rejected'
    counts.answers.push(rejected)
    if (rejected) counts.rejected++
    if (counts.answers.length > SHARE_OF && counts.answers.shift() === true) counts.rejected--
    if (counts.rejected < SHARE_OF / 4) counts.shareTold = false
    if (counts.answers.length < SHARE_OF || counts.rejected < SHARE_OF / 2 || counts.shareTold) return null
    counts.shareTold = true
    const name = registered.operation.name
    const last = 'reason' in verdict ? ` (last: ${verdict.reason})` : ''
    return {
      alert: {
        id: `rejected_share:${name}:${now}`, kind: 'rejected_share', severity: 'warn', at: now, operation: name, callId: null, key: null, state: null,
        message: `${counts.rejected} of the last ${counts.answers.length} answers of ${name} were refusals${last}. Each call ended as its provider said; the share is unusual.`,
        next: `Look at what changed in the inputs or at ${registered.provider}: steward list --operation ${name} --state rejected`,
      },
    }
  }

  #hold(registered: Registered, counts: Counts, now: number, why: string, verdict: Verdict): Hold {
    if (counts.holds === 0) counts.since = now
    const forMs = Math.min(LONGEST_HOLD_MS, FIRST_HOLD_MS * 2 ** Math.min(counts.holds, 10))
    counts.holds++
    counts.stale = counts.inFlight
    const name = registered.operation.name
    const last = 'reason' in verdict ? verdict.reason : verdict.kind
    // Without any way to find out, each further attempt may be one more call in doubt: a person decides when to go on.
    const untilAt = registered.policy.answer === 'none' && verdict.kind === 'unknown' ? null : now + forMs
    return {
      control: { set: { kind: 'operation', name, mode: untilAt === null ? 'pause' : 'hold', untilAt, by: 'steward', why, at: now } },
      alert: {
        id: `operation_held:${name}:${counts.since}`,
        kind: 'operation_held',
        severity: 'page',
        at: now,
        operation: name,
        callId: null,
        key: null,
        state: null,
        message: `${name} is held ${untilAt === null ? 'until somebody resumes it' : `for ${durationText(forMs)}, then one call tries again`}: ${why} (last: ${last}). Its calls wait unharmed.`,
        next: `Look at ${registered.provider} and its credentials, then: steward resume --operation ${name}`,
      },
    }
  }
}

/** Told to come back later, nobody sends to the provider before then. */
export function providerHold(registered: Registered, { holdProviderUntilAt: untilAt }: Decision, said: string, now: number): readonly ControlWrite[] {
  return untilAt === null ? [] : [{ set: { kind: 'provider', name: registered.provider, mode: 'hold', untilAt, by: 'steward', why: `the provider asked for a pause (${said})`, at: now } }]
}
