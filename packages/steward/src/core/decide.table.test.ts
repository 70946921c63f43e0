/**
 * What every event does in every state: one table, checked to be complete.
 *
 * A row reads: in this state, reached this way, this event leads there. An outcome names the next state and effect,
 * and whatever else the decision carries: `begun n`, `generation n`, `stop kind`, `due +ms` (from T0, where it
 * changed), `settles`, and alerts as `!kind`. `unchanged` is the very same record; `noted` the same but for its
 * story and facts. `refused: …` quotes the sentence a person reads, `asserts: …` the invariant that stops it.
 */
import { describe, expect, it } from 'vitest'
import { after, type Dated, ev, newCall, policyOf, T0 } from './call.fixture.ts'
import { type Call, type State, STATES } from './call.ts'
import { type CallEvent, decide } from './decide.ts'
import type { Policy } from './policy.ts'

const EVENTS = ['begin', 'answered', 'lapsed', 'looked', 'fact', 'settle', 'cancel', 'retry_now', 'redrive', 'superseded', 'upgraded', 'held', 'restored', 'time'] as const satisfies readonly CallEvent['type'][]
type Unlisted = Exclude<CallEvent['type'], (typeof EVENTS)[number]>
/** Does not compile when an event type is missing above. */
const everyEventIsListed: [Unlisted] extends [never] ? true : Unlisted = true

/** How a call got where it is. */
type Scene = { readonly policy: Policy; readonly call: Call; readonly how: string }
const scene = (how: string, policy: Policy, events: readonly Dated[], call?: Call): Scene => ({ how, policy, call: after(policy, events, call) })

const key = policyOf('providerKey')
const keyAndLookup = policyOf('providerKey', { hasLookup: true })
const ask = policyOf('reconcile')
const askTwice = policyOf('reconcile', { absences: 2 })
const natural = policyOf('natural')
const twice = policyOf('natural', { maxAttempts: 2 })
const none = policyOf('none')
const facts = policyOf('providerKey', { acceptedOverdueMs: 30 })
const polls = policyOf('providerKey', { hasLookup: true, pollEveryMs: 6 })
const expiring = newCall({ expiresAt: T0 + 90 })
const LOST: readonly Dated[] = [[0, ev.begin], [4, ev.unknown(1)]]

const waiting = {
  fresh: scene('nothing was sent', none, []),
  refused: scene('its attempt certainly did not happen', key, [[0, ev.begin], [1, ev.notApplied(1)]]),
  key: scene('in doubt, the provider knows the key', key, LOST),
  keyAndLookup: scene('in doubt, the provider knows the key and can be asked', keyAndLookup, LOST),
  natural: scene('in doubt, safe to repeat', natural, LOST),
  spent: scene('its key is spent, its absence proven', keyAndLookup, [[0, ev.begin], [4, ev.unknown(1, true)], [16, ev.absent(16)]]),
  expiring: scene('it may expire', key, [], expiring),
  doubtExpiring: scene('in doubt, it may expire', key, LOST, expiring),
  settled: scene('settled as not happened', none, [...LOST, [20, ev.settle('send_again')]]),
}
const running = {
  first: scene('first attempt', none, [[0, ev.begin]]),
  key: scene('first attempt under a key', key, [[0, ev.begin]]),
  ask: scene('first attempt, the provider can be asked', ask, [[0, ev.begin]]),
  again: scene('second attempt, the first in doubt', key, [...LOST, [6, ev.begin]]),
  againNatural: scene('second attempt, the first in doubt, safe to repeat', natural, [...LOST, [6, ev.begin]]),
  ofTwo: scene('first of two attempts', twice, [[0, ev.begin]]),
  lastOfTwo: scene('second of two attempts', twice, [[0, ev.begin], [1, ev.notApplied(1)], [6, ev.begin]]),
  cancelled: scene('cancelled meanwhile', ask, [[0, ev.begin], [1, ev.cancel]]),
}
const accepted = {
  facts: scene('a fact will tell', facts, [[0, ev.begin], [1, ev.accepted(1)]]),
  unpolled: scene('a fact will tell, though it could be asked', keyAndLookup, [[0, ev.begin], [1, ev.accepted(1)]]),
  polls: scene('polled', polls, [[0, ev.begin], [1, ev.accepted(1)]]),
  natural: scene('accepted, an earlier attempt in doubt', natural, [...LOST, [6, ev.begin], [7, ev.accepted(2)]]),
}
const checking = {
  ask: scene('lost, the provider can be asked', ask, LOST),
  askTwice: scene('lost, absence takes two answers', askTwice, LOST),
  cancelled: scene('lost and cancelled', ask, [[0, ev.begin], [1, ev.cancel], [4, ev.unknown(1)]]),
  rejected: scene('lost, then rejected', policyOf('natural', { hasLookup: true }), [...LOST, [6, ev.begin], [7, ev.rejected(2)]]),
}
const inDoubt = {
  none: scene('lost, nothing can tell', none, LOST),
  spent: scene('the lookup had its time', ask, [...LOST, [16, ev.cannotTell(16)], [60, ev.cannotTell(60)]]),
  cancelled: scene('cancelled, nothing can tell', key, [...LOST, [5, ev.cancel]]),
}
const ended = {
  succeeded: scene('attempt 1 was applied', none, [[0, ev.begin], [1, ev.applied(1, 'ch_1')]]),
  rejected: scene('attempt 1 was rejected', none, [[0, ev.begin], [1, ev.rejected(1)]]),
  exhausted: scene('its time was spent', none, [[200, ev.begin]]),
  taken: scene('its time was spent, and the provider had accepted it after all', key, [[0, ev.begin], [1, ev.notApplied(1)], [200, ev.begin], [201, ev.accepted(1)]]),
  takenTwice: scene('two attempts were accepted after its end, one of them denied', key, [[0, ev.begin], [1, ev.notApplied(1)], [5, ev.begin], [6, ev.notApplied(2)], [200, ev.begin], [201, ev.accepted(1)], [202, ev.accepted(2)], [203, ev.refute(203, 2)]]),
  deniedAgain: scene('accepted after its end, denied before and after by the same source', key, [[0, ev.begin], [1, ev.notApplied(1)], [2, ev.refute(2, 1)], [200, ev.begin], [201, ev.accepted(1)], [202, ev.refute(202, 1)]]),
  takenInTime: scene('accepted late while it was open, settled as stopped', none, [[0, ev.begin], [4, ev.unknown(1)], [5, ev.accepted(1)], [20, ev.settle('stop')]]),
  denied: scene('the same, and that very attempt was denied since', key, [[0, ev.begin], [1, ev.notApplied(1)], [200, ev.begin], [201, ev.accepted(1)], [202, ev.refute(202, 1)]]),
  expired: scene('not sent in time', none, [[90, ev.begin]], expiring),
  cancelled: scene('cancelled before it was sent', none, [[0, ev.cancel]]),
  replaced: scene('rejected, and another key took its purpose', none, [[0, ev.begin], [1, ev.rejected(1)], [2, ev.superseded]]),
  lapsed: scene('lost, then settled as stopped', none, [[0, ev.begin], [2, ev.lapsed], [20, ev.settle('stop')]]),
}

type Row = readonly [state: State, at: Scene, afterMs: number, event: CallEvent, outcome: string]

const TABLE: readonly Row[] = [
  // ── waiting ────────────────────────────────────────────────────────────────────────────────────────────────────
  ['waiting', waiting.fresh, 0, ev.begin, 'running unknown begun 1'],
  ['waiting', waiting.refused, 9, ev.begin, 'running unknown begun 2'],
  ['waiting', waiting.refused, 46, ev.begin, 'running unknown generation 2 begun 2'],
  ['waiting', waiting.key, 9, ev.begin, 'running unknown begun 2'],
  ['waiting', waiting.key, 45, ev.begin, 'running unknown begun 2'],
  ['waiting', waiting.key, 46, ev.begin, 'in_doubt unknown !in_doubt'],
  ['waiting', waiting.keyAndLookup, 46, ev.begin, 'checking unknown due +46'],
  ['waiting', waiting.key, 9, ev.beginAs(2), 'waiting unknown due +200'],
  ['waiting', waiting.keyAndLookup, 9, ev.beginAs(2), 'checking unknown due +16'],
  ['waiting', waiting.natural, 199, ev.begin, 'running unknown begun 2'],
  ['waiting', waiting.natural, 200, ev.begin, 'in_doubt unknown stop give_up !in_doubt'],
  ['waiting', waiting.natural, 9, ev.beginAs(2), 'waiting unknown due +200'],
  ['waiting', waiting.spent, 20, ev.begin, 'running unknown generation 2 begun 2'],
  ['waiting', waiting.settled, 20, ev.begin, 'running unknown begun 2'],
  ['waiting', waiting.expiring, 89, ev.begin, 'running unknown begun 1'],
  ['waiting', waiting.expiring, 90, ev.begin, 'expired did_not_happen stop expire settles !expired'],
  ['waiting', waiting.doubtExpiring, 90, ev.begin, 'in_doubt unknown stop expire !in_doubt'],
  ['waiting', waiting.fresh, 200, ev.begin, 'exhausted did_not_happen stop give_up settles !exhausted'],
  ['waiting', waiting.fresh, 0, ev.beginAs(2), 'asserts: upgrade it first'],
  ['waiting', waiting.key, 9, ev.applied(1, 'ch_1'), 'succeeded happened settles'],
  ['waiting', waiting.key, 9, ev.accepted(1), 'accepted pending due +39'],
  ['waiting', waiting.key, 9, ev.rejected(1), 'rejected did_not_happen stop refuse settles'],
  ['waiting', waiting.key, 9, ev.notApplied(1), 'waiting did_not_happen'],
  ['waiting', waiting.key, 9, ev.unknown(1), 'noted'],
  ['waiting', waiting.settled, 21, ev.rejected(1), 'noted'],
  ['waiting', waiting.settled, 21, ev.accepted(1), 'accepted pending due +51'],
  ['waiting', waiting.fresh, 0, ev.lapsed, 'asserts: was to lapse'],
  ['waiting', waiting.keyAndLookup, 9, ev.found(9), 'succeeded happened settles'],
  ['waiting', waiting.keyAndLookup, 20, ev.absent(20), 'noted'],
  ['waiting', waiting.keyAndLookup, 9, ev.cannotTell(9), 'noted'],
  ['waiting', waiting.fresh, 1, ev.confirm(1), 'succeeded happened settles'],
  ['waiting', waiting.fresh, 1, ev.refute(1), 'noted'],
  ['waiting', waiting.fresh, 1, ev.refute(1, 1), 'refused: it has begun 0 attempts, not 1'],
  ['waiting', waiting.key, 9, ev.refute(9), 'waiting did_not_happen'],
  ['waiting', waiting.key, 9, ev.refute(4), 'noted'],
  ['waiting', waiting.key, 9, ev.refute(2, 1), 'waiting did_not_happen'],
  ['waiting', waiting.fresh, 1, ev.settle('happened'), 'succeeded happened settles'],
  ['waiting', waiting.fresh, 1, ev.settle('send_again'), 'refused: nothing about it is in doubt'],
  ['waiting', waiting.fresh, 1, ev.settle('stop'), 'refused: use cancel'],
  ['waiting', waiting.key, 10, ev.settle('send_again'), 'refused: bytes of its last attempt may leave until'],
  ['waiting', waiting.key, 11, ev.settle('send_again'), 'waiting did_not_happen generation 2 due +11'],
  ['waiting', waiting.key, 11, ev.settle('stop'), 'cancelled did_not_happen stop cancel settles'],
  ['waiting', waiting.fresh, 1, ev.cancel, 'cancelled did_not_happen stop cancel settles'],
  ['waiting', waiting.key, 9, ev.cancel, 'in_doubt unknown stop cancel !in_doubt'],
  ['waiting', waiting.keyAndLookup, 9, ev.cancel, 'checking unknown stop cancel due +16'],
  ['waiting', waiting.refused, 2, ev.retryNow, 'waiting did_not_happen due +2'],
  ['waiting', waiting.fresh, 1, ev.redrive, 'refused: it is waiting and goes on by itself'],
  ['waiting', waiting.fresh, 1, ev.superseded, 'refused: it is waiting'],
  ['waiting', waiting.fresh, 1, ev.upgraded, 'noted'],
  ['waiting', waiting.refused, 2, ev.upgraded, 'waiting did_not_happen generation 2'],
  ['waiting', waiting.key, 9, ev.upgraded, 'asserts: was to be upgraded'],
  ['waiting', waiting.fresh, 1, ev.held(50), 'waiting did_not_happen due +50'],
  ['waiting', waiting.fresh, 1, ev.held(500), 'waiting did_not_happen due +200'],
  ['waiting', waiting.fresh, 200, ev.held(260), 'exhausted did_not_happen stop give_up settles !exhausted'],
  ['waiting', waiting.fresh, 5, ev.restored(0, 5), 'in_doubt unknown !in_doubt'],
  ['waiting', waiting.key, 9, ev.restored(3, 9), 'waiting unknown due +9'],
  ['waiting', waiting.key, 9, ev.restored(-40, 9), 'in_doubt unknown !in_doubt'],
  ['waiting', waiting.keyAndLookup, 9, ev.restored(-40, 9), 'checking unknown due +25'],
  ['waiting', waiting.natural, 9, ev.restored(3, 9), 'waiting unknown due +9'],
  ['waiting', waiting.refused, 9, ev.restored(-3, 2), 'unchanged'],
  // It was denied only after the notice, which says nothing of an attempt that was forgotten.
  ['waiting', waiting.refused, 9, ev.restored(-3, 0), 'waiting unknown due +9'],
  ['waiting', waiting.fresh, 1, ev.time, 'unchanged'],
  ['waiting', waiting.key, 9, ev.time, 'unchanged'],
  ['waiting', waiting.fresh, 200, ev.time, 'exhausted did_not_happen stop give_up settles !exhausted'],
  ['waiting', waiting.expiring, 90, ev.time, 'expired did_not_happen stop expire settles !expired'],
  ['waiting', waiting.key, 46, ev.time, 'in_doubt unknown !in_doubt'],

  // ── running ────────────────────────────────────────────────────────────────────────────────────────────────────
  ['running', running.first, 1, ev.begin, 'asserts: was to begin'],
  ['running', running.first, 1, ev.applied(1), 'succeeded happened settles'],
  ['running', running.first, 1, ev.accepted(1), 'accepted pending due +31'],
  ['running', running.first, 1, ev.rejected(1), 'rejected did_not_happen stop refuse settles'],
  ['running', running.first, 1, ev.notApplied(1), 'waiting did_not_happen due +3'],
  ['running', running.first, 1, ev.notApplied(1, 50), 'waiting did_not_happen due +51 hold +51'],
  ['running', running.first, 1, ev.notApplied(1, 49.25), 'waiting did_not_happen due +51 hold +51'],
  ['running', running.first, 1, ev.notApplied(1, 1e300), 'waiting did_not_happen due +200 hold +2592000001'],
  ['running', running.first, 1, ev.notApplied(1, 5_000), 'waiting did_not_happen due +200 hold +5001'],
  ['running', running.first, 1, ev.unknown(1), 'in_doubt unknown !in_doubt'],
  ['running', running.key, 1, ev.unknown(1), 'waiting unknown due +3'],
  ['running', running.key, 1, ev.unknown(1, true), 'in_doubt unknown !in_doubt'],
  ['running', running.key, 45, ev.unknown(1), 'waiting unknown due +45'],
  ['running', running.key, 46, ev.unknown(1), 'in_doubt unknown !in_doubt'],
  ['running', running.ask, 1, ev.unknown(1), 'checking unknown due +16'],
  ['running', running.again, 7, ev.applied(2), 'succeeded happened settles'],
  ['running', running.again, 7, ev.accepted(2), 'accepted pending due +37'],
  ['running', running.again, 7, ev.rejected(2), 'in_doubt unknown stop refuse !in_doubt'],
  ['running', running.again, 7, ev.rejected(2, true), 'rejected did_not_happen stop refuse settles'],
  ['running', running.again, 7, ev.notApplied(2), 'waiting unknown due +11'],
  ['running', running.ofTwo, 1, ev.notApplied(1), 'waiting did_not_happen due +3'],
  ['running', running.lastOfTwo, 7, ev.notApplied(2), 'exhausted did_not_happen stop give_up settles !exhausted'],
  ['running', running.lastOfTwo, 7, ev.unknown(2), 'in_doubt unknown stop give_up !in_doubt'],
  ['running', running.again, 7, ev.applied(1), 'succeeded happened settles'],
  ['running', running.again, 7, ev.accepted(1), 'noted'],
  ['running', running.again, 7, ev.rejected(1), 'running unknown stop refuse'],
  ['running', running.againNatural, 7, ev.rejected(2, true), 'in_doubt unknown stop refuse !in_doubt'],
  ['running', running.againNatural, 7, ev.unknown(2), 'waiting unknown due +11'],
  ['running', running.cancelled, 2, ev.notApplied(1), 'cancelled did_not_happen settles'],
  ['running', running.cancelled, 2, ev.unknown(1), 'checking unknown due +16'],
  ['running', running.cancelled, 2, ev.applied(1), 'succeeded happened settles'],
  ['running', running.first, 2, ev.lapsed, 'in_doubt unknown !in_doubt'],
  ['running', running.key, 2, ev.lapsed, 'waiting unknown due +4'],
  ['running', running.ask, 2, ev.lapsed, 'checking unknown due +16'],
  ['running', running.ask, 30, ev.lapsed, 'checking unknown due +36'],
  ['running', running.ask, 1, ev.found(1), 'succeeded happened settles'],
  ['running', running.ask, 1, ev.absent(1), 'noted'],
  ['running', running.ask, 1, ev.cannotTell(1), 'noted'],
  ['running', running.first, 1, ev.confirm(1), 'succeeded happened settles'],
  ['running', running.first, 1, ev.refute(1), 'noted'],
  ['running', running.first, 1, ev.refute(1, 1), 'noted'],
  ['running', running.first, 1, ev.settle('happened'), 'succeeded happened settles'],
  ['running', running.first, 1, ev.settle('send_again'), 'refused: an attempt is running'],
  ['running', running.first, 30, ev.settle('stop'), 'refused: an attempt is running'],
  ['running', running.first, 1, ev.cancel, 'running unknown stop cancel'],
  ['running', running.cancelled, 2, ev.cancel, 'refused: ana already cancelled it'],
  ['running', running.first, 1, ev.retryNow, 'refused: it is running'],
  ['running', running.first, 1, ev.redrive, 'refused: it is running and goes on by itself'],
  ['running', running.first, 1, ev.superseded, 'refused: it is running'],
  ['running', running.first, 1, ev.upgraded, 'asserts: was to be upgraded'],
  ['running', running.first, 1, ev.held(50), 'asserts: was to be held'],
  ['running', running.first, 3, ev.restored(0, 3), 'noted'],
  ['running', running.first, 1, ev.time, 'asserts: time does not move it'],

  // ── accepted ───────────────────────────────────────────────────────────────────────────────────────────────────
  ['accepted', accepted.facts, 2, ev.begin, 'asserts: was to begin'],
  ['accepted', accepted.facts, 2, ev.applied(1), 'succeeded happened settles'],
  ['accepted', accepted.facts, 2, ev.accepted(1), 'noted'],
  ['accepted', accepted.facts, 2, ev.rejected(1), 'rejected did_not_happen stop refuse settles'],
  ['accepted', accepted.facts, 2, ev.notApplied(1), 'rejected did_not_happen stop refuse settles'],
  ['accepted', accepted.facts, 2, ev.unknown(1), 'noted'],
  ['accepted', accepted.natural, 9, ev.notApplied(1), 'noted'],
  ['accepted', accepted.natural, 9, ev.notApplied(2), 'in_doubt unknown stop refuse !in_doubt'],
  ['accepted', accepted.facts, 2, ev.lapsed, 'asserts: was to lapse'],
  ['accepted', accepted.polls, 7, ev.found(7), 'succeeded happened settles'],
  ['accepted', accepted.polls, 7, ev.absent(6), 'accepted pending due +13'],
  ['accepted', accepted.polls, 7, ev.absent(7), 'rejected did_not_happen stop refuse settles'],
  ['accepted', accepted.polls, 7, ev.cannotTell(7), 'accepted pending due +13'],
  ['accepted', accepted.polls, 300, ev.cannotTell(300), 'accepted pending due +306'],
  ['accepted', accepted.facts, 2, ev.confirm(2), 'succeeded happened settles'],
  ['accepted', accepted.facts, 2, ev.refute(2), 'rejected did_not_happen stop refuse settles'],
  ['accepted', accepted.facts, 2, ev.refute(1), 'noted'],
  ['accepted', accepted.natural, 9, ev.refute(9, 2), 'in_doubt unknown stop refuse !in_doubt'],
  ['accepted', accepted.facts, 2, ev.settle('happened'), 'succeeded happened settles'],
  ['accepted', accepted.facts, 20, ev.settle('send_again'), 'refused: what is accepted is never sent again'],
  ['accepted', accepted.facts, 10, ev.settle('stop'), 'refused: bytes of its last attempt may leave until'],
  ['accepted', accepted.facts, 11, ev.settle('stop'), 'cancelled did_not_happen stop cancel settles'],
  ['accepted', accepted.facts, 2, ev.cancel, 'accepted pending stop cancel'],
  ['accepted', accepted.polls, 2, ev.retryNow, 'accepted pending due +2'],
  ['accepted', accepted.facts, 2, ev.retryNow, 'refused: it is accepted'],
  ['accepted', accepted.unpolled, 2, ev.retryNow, 'refused: it is accepted'],
  ['accepted', accepted.facts, 2, ev.redrive, 'refused: it is accepted and goes on by itself'],
  ['accepted', accepted.facts, 2, ev.superseded, 'refused: it is accepted (effect: pending)'],
  ['accepted', accepted.facts, 2, ev.upgraded, 'asserts: was to be upgraded'],
  ['accepted', accepted.facts, 2, ev.held(50), 'accepted pending due +50'],
  ['accepted', accepted.facts, 250, ev.held(300), 'accepted pending due +300'],
  ['accepted', accepted.facts, 3, ev.restored(0, 3), 'unchanged'],
  ['accepted', accepted.facts, 2, ev.time, 'unchanged'],
  ['accepted', accepted.facts, 31, ev.time, 'accepted pending due +61 !accepted_overdue'],
  ['accepted', accepted.polls, 7, ev.time, 'unchanged'],
  ['accepted', accepted.facts, 200, ev.time, 'accepted pending due +230 !accepted_overdue'],

  // ── checking ───────────────────────────────────────────────────────────────────────────────────────────────────
  ['checking', checking.ask, 5, ev.begin, 'asserts: was to begin'],
  ['checking', checking.ask, 5, ev.applied(1), 'succeeded happened settles'],
  ['checking', checking.ask, 5, ev.accepted(1), 'accepted pending due +35'],
  ['checking', checking.ask, 5, ev.rejected(1), 'rejected did_not_happen stop refuse settles'],
  ['checking', checking.ask, 5, ev.notApplied(1), 'waiting did_not_happen due +7'],
  ['checking', checking.ask, 5, ev.unknown(1), 'noted'],
  ['checking', checking.ask, 5, ev.lapsed, 'asserts: was to lapse'],
  ['checking', checking.ask, 16, ev.found(16), 'succeeded happened settles'],
  ['checking', checking.ask, 16, ev.comeBack(16, 30), 'checking unknown due +46 hold +46'],
  ['checking', checking.ask, 16, ev.absent(15), 'checking unknown due +24'],
  ['checking', checking.ask, 16, ev.absent(16), 'waiting did_not_happen due +18'],
  ['checking', checking.ask, 200, ev.absent(16), 'exhausted did_not_happen stop give_up settles !exhausted'],
  ['checking', checking.askTwice, 16, ev.absent(16), 'checking unknown due +24'],
  ['checking', checking.ask, 16, ev.cannotTell(16), 'checking unknown due +24'],
  ['checking', checking.ask, 150, ev.cannotTell(150), 'checking unknown due +158'],
  ['checking', checking.cancelled, 16, ev.absent(16), 'cancelled did_not_happen settles'],
  ['checking', checking.cancelled, 16, ev.found(16), 'succeeded happened settles'],
  ['checking', checking.rejected, 23, ev.absent(23), 'rejected did_not_happen settles'],
  ['checking', checking.ask, 5, ev.confirm(5), 'succeeded happened settles'],
  ['checking', checking.ask, 5, ev.refute(5), 'waiting did_not_happen due +7'],
  ['checking', checking.ask, 5, ev.refute(4), 'noted'],
  ['checking', checking.cancelled, 5, ev.refute(5), 'cancelled did_not_happen settles'],
  ['checking', checking.ask, 11, ev.settle('happened'), 'succeeded happened settles'],
  ['checking', checking.ask, 10, ev.settle('send_again'), 'refused: bytes of its last attempt may leave until'],
  ['checking', checking.ask, 11, ev.settle('send_again'), 'waiting did_not_happen generation 2 due +11'],
  ['checking', checking.cancelled, 11, ev.settle('send_again'), 'waiting did_not_happen generation 2 due +11 stop none'],
  ['checking', checking.ask, 11, ev.settle('stop'), 'cancelled did_not_happen stop cancel settles'],
  ['checking', checking.ask, 5, ev.cancel, 'checking unknown stop cancel'],
  ['checking', checking.cancelled, 5, ev.cancel, 'refused: ana already cancelled it'],
  ['checking', checking.ask, 5, ev.retryNow, 'checking unknown due +5'],
  ['checking', checking.ask, 5, ev.redrive, 'refused: it is checking and goes on by itself'],
  ['checking', checking.ask, 5, ev.superseded, 'refused: it is checking (effect: unknown)'],
  ['checking', checking.ask, 5, ev.upgraded, 'asserts: was to be upgraded'],
  ['checking', checking.ask, 16, ev.held(50), 'checking unknown due +50'],
  ['checking', checking.ask, 250, ev.held(300), 'checking unknown due +300'],
  ['checking', checking.ask, 20, ev.restored(0, 20), 'checking unknown due +36'],
  // A fact could have made it wait, and be sent, before its lookup was due.
  ['checking', checking.ask, 9, ev.restored(0, 9), 'checking unknown due +25'],
  ['checking', checking.ask, 16, ev.time, 'unchanged'],
  ['checking', checking.ask, 200, ev.time, 'checking unknown stop give_up'],

  // ── in_doubt ───────────────────────────────────────────────────────────────────────────────────────────────────
  ['in_doubt', inDoubt.none, 5, ev.begin, 'asserts: was to begin'],
  ['in_doubt', inDoubt.none, 5, ev.applied(1), 'succeeded happened settles'],
  ['in_doubt', inDoubt.none, 5, ev.accepted(1), 'accepted pending due +35'],
  ['in_doubt', inDoubt.none, 5, ev.rejected(1), 'rejected did_not_happen stop refuse settles'],
  ['in_doubt', inDoubt.none, 5, ev.notApplied(1), 'waiting did_not_happen due +7'],
  ['in_doubt', inDoubt.cancelled, 6, ev.notApplied(1), 'cancelled did_not_happen settles'],
  ['in_doubt', inDoubt.none, 5, ev.unknown(1), 'noted'],
  ['in_doubt', inDoubt.none, 5, ev.lapsed, 'asserts: was to lapse'],
  ['in_doubt', inDoubt.spent, 61, ev.found(61), 'succeeded happened settles'],
  ['in_doubt', inDoubt.spent, 61, ev.absent(61), 'noted'],
  ['in_doubt', inDoubt.spent, 61, ev.cannotTell(61), 'noted'],
  ['in_doubt', inDoubt.none, 5, ev.confirm(5), 'succeeded happened settles'],
  ['in_doubt', inDoubt.none, 5, ev.refute(5), 'waiting did_not_happen due +7'],
  ['in_doubt', inDoubt.none, 250, ev.refute(5), 'exhausted did_not_happen stop give_up settles !exhausted'],
  ['in_doubt', inDoubt.none, 5, ev.refute(4), 'noted'],
  ['in_doubt', inDoubt.cancelled, 6, ev.refute(6), 'cancelled did_not_happen settles'],
  ['in_doubt', inDoubt.none, 11, ev.settle('happened'), 'succeeded happened settles'],
  ['in_doubt', inDoubt.none, 10, ev.settle('send_again'), 'refused: bytes of its last attempt may leave until'],
  ['in_doubt', inDoubt.none, 11, ev.settle('send_again'), 'waiting did_not_happen generation 2 due +11'],
  ['in_doubt', inDoubt.none, 300, ev.settle('send_again'), 'waiting did_not_happen generation 2 due +300'],
  ['in_doubt', inDoubt.none, 11, ev.settle('stop'), 'cancelled did_not_happen stop cancel settles'],
  ['in_doubt', inDoubt.none, 5, ev.cancel, 'in_doubt unknown stop cancel'],
  ['in_doubt', inDoubt.none, 5, ev.retryNow, 'refused: no lookup exists; settle it'],
  ['in_doubt', inDoubt.spent, 61, ev.retryNow, 'checking unknown due +61'],
  ['in_doubt', inDoubt.none, 5, ev.redrive, 'refused: no lookup exists; settle it first'],
  ['in_doubt', inDoubt.spent, 61, ev.redrive, 'checking unknown due +61'],
  ['in_doubt', inDoubt.none, 5, ev.superseded, 'refused: it is in_doubt (effect: unknown)'],
  ['in_doubt', inDoubt.none, 5, ev.upgraded, 'asserts: was to be upgraded'],
  ['in_doubt', inDoubt.none, 5, ev.held(50), 'asserts: was to be held'],
  ['in_doubt', inDoubt.none, 9, ev.restored(0, 9), 'noted'],
  ['in_doubt', inDoubt.none, 5, ev.time, 'unchanged'],
  ['in_doubt', inDoubt.none, 200, ev.time, 'in_doubt unknown stop give_up'],

  // ── succeeded ──────────────────────────────────────────────────────────────────────────────────────────────────
  ['succeeded', ended.succeeded, 2, ev.begin, 'asserts: was to begin'],
  ['succeeded', ended.succeeded, 2, ev.applied(1, 'ch_1'), 'noted'],
  ['succeeded', ended.succeeded, 2, ev.applied(1, 'ch_2'), 'noted !effect_twice'],
  ['succeeded', ended.succeeded, 2, ev.accepted(1), 'noted'],
  ['succeeded', ended.succeeded, 2, ev.rejected(1), 'noted'],
  ['succeeded', ended.succeeded, 2, ev.notApplied(1), 'noted'],
  ['succeeded', ended.succeeded, 2, ev.unknown(1), 'noted'],
  ['succeeded', ended.succeeded, 2, ev.lapsed, 'asserts: was to lapse'],
  ['succeeded', ended.succeeded, 2, ev.found(2), 'noted'],
  ['succeeded', ended.succeeded, 2, ev.found(2, 'ch_2'), 'noted !effect_twice'],
  ['succeeded', ended.succeeded, 2, ev.absent(2), 'noted'],
  ['succeeded', ended.succeeded, 2, ev.cannotTell(2), 'noted'],
  ['succeeded', ended.succeeded, 2, ev.confirm(2, 'ch_1'), 'noted'],
  ['succeeded', ended.succeeded, 2, ev.confirm(2, 'ch_2'), 'noted !effect_twice'],
  ['succeeded', ended.succeeded, 2, ev.refute(2), 'noted !contradicted'],
  ['succeeded', ended.succeeded, 2, ev.settle('happened'), 'noted'],
  ['succeeded', ended.succeeded, 20, ev.settle('send_again'), 'refused: it already ended succeeded'],
  ['succeeded', ended.succeeded, 20, ev.settle('stop'), 'refused: it already ended succeeded'],
  ['succeeded', ended.succeeded, 2, ev.cancel, 'refused: it already ended succeeded'],
  ['succeeded', ended.succeeded, 2, ev.retryNow, 'refused: it is succeeded'],
  ['succeeded', ended.succeeded, 2, ev.redrive, 'refused: it happened; sending it again needs a new key'],
  ['succeeded', ended.succeeded, 2, ev.superseded, 'refused: it is succeeded (effect: happened)'],
  ['succeeded', ended.succeeded, 2, ev.upgraded, 'asserts: was to be upgraded'],
  ['succeeded', ended.succeeded, 2, ev.held(50), 'asserts: was to be held'],
  ['succeeded', ended.succeeded, 3, ev.restored(0, 3), 'unchanged'],
  ['succeeded', ended.succeeded, 2, ev.time, 'asserts: time does not move it'],

  // ── rejected ───────────────────────────────────────────────────────────────────────────────────────────────────
  ['rejected', ended.rejected, 2, ev.begin, 'asserts: was to begin'],
  ['rejected', ended.rejected, 2, ev.applied(1), 'succeeded happened settles !corrected'],
  ['rejected', ended.rejected, 2, ev.accepted(1), 'noted !contradicted'],
  ['rejected', ended.rejected, 2, ev.rejected(1), 'noted'],
  ['rejected', ended.rejected, 2, ev.notApplied(1), 'noted'],
  ['rejected', ended.rejected, 2, ev.unknown(1), 'noted'],
  ['rejected', ended.rejected, 2, ev.lapsed, 'asserts: was to lapse'],
  ['rejected', ended.rejected, 2, ev.found(2), 'succeeded happened settles !corrected'],
  ['rejected', ended.rejected, 2, ev.absent(2), 'noted'],
  ['rejected', ended.rejected, 2, ev.cannotTell(2), 'noted'],
  ['rejected', ended.rejected, 2, ev.confirm(2), 'succeeded happened settles !corrected'],
  ['rejected', ended.replaced, 3, ev.confirm(3), 'succeeded happened settles !corrected'],
  ['rejected', ended.rejected, 2, ev.refute(2), 'noted'],
  ['rejected', ended.rejected, 2, ev.settle('happened'), 'succeeded happened settles !corrected'],
  ['rejected', ended.rejected, 20, ev.settle('send_again'), 'refused: use redrive to send it again'],
  ['rejected', ended.rejected, 20, ev.settle('stop'), 'refused: it already ended rejected'],
  ['rejected', ended.rejected, 2, ev.cancel, 'refused: it already ended rejected'],
  ['rejected', ended.rejected, 2, ev.retryNow, 'refused: use redrive'],
  ['rejected', ended.rejected, 2, ev.redrive, 'waiting did_not_happen generation 2 due +2 stop none'],
  ['rejected', ended.replaced, 3, ev.redrive, 'refused: key "o_18" replaced it'],
  ['rejected', ended.rejected, 2, ev.superseded, 'noted'],
  ['rejected', ended.replaced, 3, ev.superseded, 'unchanged'],
  ['rejected', ended.replaced, 3, { type: 'superseded', byKey: 'o_19' }, 'refused: key "o_18" already replaced it'],
  ['rejected', ended.rejected, 2, ev.upgraded, 'asserts: was to be upgraded'],
  ['rejected', ended.rejected, 2, ev.held(50), 'asserts: was to be held'],
  ['rejected', ended.rejected, 3, ev.restored(0, 3), 'unchanged'],
  ['rejected', ended.rejected, 2, ev.time, 'asserts: time does not move it'],

  // ── exhausted ──────────────────────────────────────────────────────────────────────────────────────────────────
  ['exhausted', ended.exhausted, 201, ev.begin, 'asserts: was to begin'],
  ['exhausted', ended.exhausted, 201, ev.applied(1), 'succeeded happened settles !corrected'],
  ['exhausted', ended.exhausted, 201, ev.accepted(1), 'noted !contradicted'],
  ['exhausted', ended.exhausted, 201, ev.notApplied(1), 'noted'],
  ['exhausted', ended.taken, 203, ev.redrive, 'refused: accepted its attempt 1 after all'],
  ['exhausted', ended.taken, 203, ev.superseded, 'refused: it is exhausted'],
  ['exhausted', ended.takenTwice, 204, ev.redrive, 'refused: accepted its attempt 1 after all'],
  ['exhausted', ended.deniedAgain, 203, ev.redrive, 'waiting did_not_happen due +203 generation 2 stop none'],
  ['cancelled', ended.takenInTime, 21, ev.redrive, 'waiting did_not_happen due +21 generation 2 stop none'],
  ['exhausted', ended.denied, 203, ev.redrive, 'waiting did_not_happen due +203 generation 2 stop none'],
  ['exhausted', ended.exhausted, 201, ev.lapsed, 'asserts: was to lapse'],
  ['exhausted', ended.exhausted, 201, ev.found(201), 'succeeded happened settles !corrected'],
  ['exhausted', ended.exhausted, 201, ev.absent(201), 'noted'],
  ['exhausted', ended.exhausted, 201, ev.confirm(201), 'succeeded happened settles !corrected'],
  ['exhausted', ended.exhausted, 201, ev.refute(201), 'noted'],
  ['exhausted', ended.exhausted, 201, ev.settle('happened'), 'succeeded happened settles !corrected'],
  ['exhausted', ended.exhausted, 201, ev.settle('send_again'), 'refused: use redrive to send it again'],
  ['exhausted', ended.exhausted, 201, ev.cancel, 'refused: it already ended exhausted'],
  ['exhausted', ended.exhausted, 201, ev.retryNow, 'refused: use redrive'],
  ['exhausted', ended.exhausted, 201, ev.redrive, 'waiting did_not_happen generation 2 due +201 stop none'],
  ['exhausted', ended.exhausted, 201, ev.superseded, 'noted'],
  ['exhausted', ended.exhausted, 201, ev.upgraded, 'asserts: was to be upgraded'],
  ['exhausted', ended.exhausted, 201, ev.held(250), 'asserts: was to be held'],
  ['exhausted', ended.exhausted, 201, ev.restored(0, 201), 'unchanged'],
  ['exhausted', ended.exhausted, 201, ev.time, 'asserts: time does not move it'],

  // ── expired ────────────────────────────────────────────────────────────────────────────────────────────────────
  ['expired', ended.expired, 91, ev.begin, 'asserts: was to begin'],
  ['expired', ended.expired, 91, ev.applied(1), 'succeeded happened settles !corrected'],
  ['expired', ended.expired, 91, ev.accepted(1), 'noted !contradicted'],
  ['expired', ended.expired, 91, ev.lapsed, 'asserts: was to lapse'],
  ['expired', ended.expired, 91, ev.found(91), 'succeeded happened settles !corrected'],
  ['expired', ended.expired, 91, ev.absent(91), 'noted'],
  ['expired', ended.expired, 91, ev.confirm(91), 'succeeded happened settles !corrected'],
  ['expired', ended.expired, 91, ev.refute(91), 'noted'],
  ['expired', ended.expired, 91, ev.settle('happened'), 'succeeded happened settles !corrected'],
  ['expired', ended.expired, 91, ev.settle('stop'), 'refused: it already ended expired'],
  ['expired', ended.expired, 91, ev.cancel, 'refused: it already ended expired'],
  ['expired', ended.expired, 91, ev.retryNow, 'refused: use redrive'],
  ['expired', ended.expired, 91, ev.redrive, 'waiting did_not_happen generation 2 due +91 stop none'],
  ['expired', ended.expired, 91, ev.superseded, 'noted'],
  ['expired', ended.expired, 91, ev.upgraded, 'asserts: was to be upgraded'],
  ['expired', ended.expired, 91, ev.held(150), 'asserts: was to be held'],
  ['expired', ended.expired, 91, ev.restored(0, 91), 'unchanged'],
  ['expired', ended.expired, 91, ev.time, 'asserts: time does not move it'],

  // ── cancelled ──────────────────────────────────────────────────────────────────────────────────────────────────
  ['cancelled', ended.cancelled, 1, ev.begin, 'asserts: was to begin'],
  ['cancelled', ended.lapsed, 21, ev.applied(1), 'succeeded happened settles !corrected'],
  ['cancelled', ended.lapsed, 21, ev.accepted(1), 'noted !contradicted'],
  ['cancelled', ended.lapsed, 21, ev.rejected(1), 'noted'],
  ['cancelled', ended.lapsed, 21, ev.unknown(1), 'noted'],
  ['cancelled', ended.lapsed, 21, ev.lapsed, 'asserts: was to lapse'],
  ['cancelled', ended.cancelled, 1, ev.found(1), 'succeeded happened settles !corrected'],
  ['cancelled', ended.cancelled, 1, ev.absent(1), 'noted'],
  ['cancelled', ended.lapsed, 21, ev.confirm(1), 'succeeded happened settles !corrected'],
  ['cancelled', ended.lapsed, 21, ev.refute(21), 'noted'],
  ['cancelled', ended.cancelled, 1, ev.settle('happened'), 'succeeded happened settles !corrected'],
  ['cancelled', ended.cancelled, 1, ev.settle('stop'), 'refused: it already ended cancelled'],
  ['cancelled', ended.cancelled, 1, ev.cancel, 'refused: it already ended cancelled'],
  ['cancelled', ended.cancelled, 1, ev.retryNow, 'refused: use redrive'],
  ['cancelled', ended.lapsed, 21, ev.redrive, 'waiting did_not_happen generation 2 due +21 stop none'],
  ['cancelled', ended.cancelled, 1, ev.superseded, 'noted'],
  ['cancelled', ended.cancelled, 1, ev.upgraded, 'asserts: was to be upgraded'],
  ['cancelled', ended.cancelled, 1, ev.held(50), 'asserts: was to be held'],
  ['cancelled', ended.cancelled, 3, ev.restored(0, 3), 'unchanged'],
  ['cancelled', ended.cancelled, 1, ev.time, 'asserts: time does not move it'],
]

/** A decision in the words of the table. */
function outcomeOf({ call, policy }: Scene, afterMs: number, event: CallEvent): string {
  const decision = attempted(() => decide(call, event, policy, T0 + afterMs, 0.5))
  if (typeof decision === 'string') return `asserts: ${decision}`
  if (decision.refused !== null) return `refused: ${decision.refused}`
  if (decision.call === call) return 'unchanged'
  const next = decision.call
  const marks = [
    next.generation === call.generation ? '' : `generation ${next.generation}`,
    decision.begun === null ? '' : `begun ${decision.begun}`,
    next.dueAt === call.dueAt || next.dueAt === null ? '' : `due +${next.dueAt - T0}`,
    decision.holdProviderUntilAt === null ? '' : `hold +${decision.holdProviderUntilAt - T0}`,
    next.stop?.kind === call.stop?.kind ? '' : `stop ${next.stop?.kind ?? 'none'}`,
    decision.settles ? 'settles' : '',
    ...decision.alerts.map((alert) => `!${alert.kind}`),
  ].filter((mark) => mark !== '')
  const stays = next.state === call.state && next.effect === call.effect
  const alertsOnly = marks.every((mark) => mark.startsWith('!'))
  return [stays && alertsOnly ? 'noted' : `${next.state} ${next.effect}`, ...marks].join(' ')
}

function attempted<T>(run: () => T): T | string {
  try {
    return run()
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

describe('every event in every state', () => {
  it('has a row for each pair of state and event', () => {
    expect(everyEventIsListed).toBe(true)
    const rows = new Set(TABLE.map(([state, , , event]) => `${state} × ${event.type}`))
    const missing = STATES.flatMap((state) => EVENTS.map((event) => `${state} × ${event}`)).filter((pair) => !rows.has(pair))
    expect(missing).toEqual([])
  })

  it('starts each row in the state that it names', () => {
    expect(TABLE.filter(([state, at]) => at.call.state !== state).map(([state, at]) => `${state}: ${at.how} is ${at.call.state}`)).toEqual([])
  })

  it.each(TABLE.map((row) => ({ row, title: `${row[0]}, ${row[1].how}: ${nameOf(row[3])} at +${row[2]} → ${row[4]}` })))('$title', ({ row }) => {
    const [, at, afterMs, event, expected] = row
    const outcome = outcomeOf(at, afterMs, event)
    if (/^(refused|asserts): /.test(expected)) {
      expect(outcome.split(':')[0]).toBe(expected.split(':')[0])
      expect(outcome).toContain(expected.slice(expected.indexOf(': ') + 2))
    } else {
      expect(outcome.split(' ').sort()).toEqual(expected.split(' ').sort())
    }
  })
})

function nameOf(event: CallEvent): string {
  switch (event.type) {
    case 'answered': return `answered ${event.verdict.kind}${event.verdict.kind === 'rejected' && event.verdict.conclusive ? ' conclusively' : ''} (attempt ${event.attempt})`
    case 'looked': return `looked: ${event.answer.kind}`
    case 'fact': return `fact: ${event.fact.kind}`
    case 'settle': return `settle: ${event.outcome}`
    case 'begin': return `begin as version ${event.version}`
    case 'lapsed': case 'cancel': case 'retry_now': case 'redrive': case 'superseded': case 'upgraded': case 'held': case 'restored': case 'time': return event.type
  }
}
