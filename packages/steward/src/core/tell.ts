/**
 * The story of a call for people, and the four answers of 2am.
 *
 * A function of the record, the policy and an instant; it decides nothing. What it says of the future is worked out
 * with the same reckonings that `decide` uses (`stopInForce`, `resendIsSafe`, the provider's window), so that the
 * sentence and the engine cannot disagree.
 */
import type { Call } from './call.ts'
import { references } from './facts.ts'
import type { Policy } from './policy.ts'
import type { Restored } from './set-back.ts'
import { answersOf } from './tell-answers.ts'
import { AT_FIRST, boundary, sentences, stepped } from './tell-entry.ts'
import { wireLine } from './tell-wire.ts'
import type { Telling } from './telling.ts'

export type TellOptions = {
  /** Whom to ask, and what to read: named where a person is needed. */
  readonly operation?: { readonly owner?: string | undefined; readonly runbook?: string | undefined }
  /** What holds the call now, a clause each: `provider "stripe" is paused by ana@example.com (their outage)`. */
  readonly paused?: readonly string[]
  /** How it was noticed that the database was set back, while nobody has said what it lost. */
  readonly setBack?: string | undefined
  /** What was said of the commits that the database has lost, once somebody has. */
  readonly restored?: Restored | null
}

/**
 * @param policy of the operation; `null` when this process does not know it: what depends on it is then said to be unknown.
 * @param now instant to which the answers belong, milliseconds since the epoch.
 */
export function tell(call: Call, policy: Policy | null, now: number, options: TellOptions = {}): Telling {
  const lines: Telling['lines'][number][] = []
  let before = AT_FIRST
  for (const entry of call.story) {
    const deployed = boundary(entry, before)
    if (deployed !== null) lines.push({ at: entry.at, text: deployed, wire: [] })
    const wire = 'wire' in entry && entry.wire ? entry.wire.map((exchange) => wireLine(exchange, policy?.answer ?? null)) : []
    lines.push({ at: entry.at, text: sentences(entry, before, policy), wire })
    before = stepped(before, entry)
  }
  return { title: titleOf(call), lines, answers: answersOf(call, policy, now, options) }
}

function titleOf(call: Call): string {
  const twice = references(call.facts).length > 1
  const effect = twice ? 'it happened MORE THAN ONCE' : EFFECT[call.effect]
  return `${call.operation} "${call.key}" is ${STATE[call.state]}: ${effect}`
}

const STATE = {
  waiting: 'waiting', running: 'running', accepted: 'accepted', checking: 'being checked', in_doubt: 'in doubt',
  succeeded: 'succeeded', rejected: 'rejected', exhausted: 'exhausted', expired: 'expired', cancelled: 'cancelled',
} as const
const EFFECT = { happened: 'it happened', did_not_happen: 'it did not happen', pending: 'its result is to come', unknown: 'it may have happened' } as const
