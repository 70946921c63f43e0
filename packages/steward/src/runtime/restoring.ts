/**
 * After the database was set back: what a person says of it, carried out.
 *
 * Everything is held first, if the store has not done that by itself. Then each open call that may have been sent in the
 * lost time is presumed to have been, by `decide`, one compare-and-set each. Only then is the hold lifted. Whatever breaks
 * off in between leaves everything held, and saying it again goes on: a call that is presumed sent is not presumed twice, unless the
 * instant is an earlier one.
 */
import type { Call, State } from '../core/call.ts'
import { type CallEvent, decide } from '../core/decide.ts'
import { durationMs } from '../core/duration.ts'
import { StewardError } from '../core/errors.ts'
import { LIMITS } from '../core/limits.ts'
import type { Restored } from '../core/set-back.ts'
import type { CallRef } from '../ports/outcome.ts'
import { setBackHold } from '../ports/set-back.ts'
import type { Store } from '../ports/store.ts'
import type { System } from '../ports/system.ts'
import type { RestoredOptions, RestoredReport } from './api.ts'
import { change } from './change.ts'
import type { ControlsCopy } from './controls.ts'
import { instant } from './intake.ts'
import type { Recorder } from './recorder.ts'
import type { Registry } from './registry.ts'

export type RestoringParts = { readonly store: Store; readonly system: System; readonly recorder: Recorder; readonly registry: Registry; readonly controls: ControlsCopy }

const OPEN_STATES: readonly State[] = ['waiting', 'running', 'accepted', 'checking', 'in_doubt']
const LOOK_FIRST_MS = 7 * 24 * 60 * 60 * 1_000

/** @throws StewardError STEWARD_OPTION_INVALID, STEWARD_OPERATION_UNKNOWN, STEWARD_STORE_*; everything stays as it was, or held. */
export async function restore(parts: RestoringParts, options: RestoredOptions, who: { readonly by: string; readonly why: string }): Promise<RestoredReport> {
  const { store, controls } = parts
  const now = store.now()
  const lostSinceAt = instant(options.lostSince, 'lostSince', 'restored')
  if (lostSinceAt === null || lostSinceAt > now) throw new StewardError('STEWARD_OPTION_INVALID', `lostSince is ${lostSinceAt === null ? 'missing' : new Date(lostSinceAt).toISOString()}; it must be the instant from which on commits may be lost, and not after now (${new Date(now).toISOString()}). Nothing was changed.`)
  const lookFirstMs = options.lookFirstFor === undefined ? LOOK_FIRST_MS : durationMs(options.lookFirstFor, 'lookFirstFor of restored')
  await refuseUnknown(parts)
  const dryRun = options.dryRun === true
  await controls.refresh()
  const heldAt = controls.setBack?.at ?? now
  if (lostSinceAt > heldAt) throw new StewardError('STEWARD_OPTION_INVALID', `lostSince is ${new Date(lostSinceAt).toISOString()}, but everything has been held since ${new Date(heldAt).toISOString()}: nothing was sent after that, and what was lost was lost before. Nothing was changed. Rather say an instant that is too early.`)
  if (controls.setBack === null && !dryRun) {
    await store.control({ set: setBackHold(who.by, who.why, now) }, [])
    await controls.refresh()
  }
  const noticedAt = controls.setBack?.at ?? now
  const said: Restored = { lostSinceAt, noticedAt, lookFirstUntilAt: now + lookFirstMs, ...who }
  const report = await presumeAll(parts, said, dryRun)
  if (!dryRun) {
    await store.control({ restored: said }, [])
    await controls.refresh()
  }
  return report
}

/** What nobody here knows cannot be judged, and would be sent once the hold is lifted. */
async function refuseUnknown({ store, registry }: RestoringParts): Promise<void> {
  const unknown = (await store.backlog()).filter((lane) => lane.open > 0 && registry.get(lane.operation) === null)
  if (unknown.length === 0) return
  const names = [...new Set(unknown.map((lane) => lane.operation))]
  throw new StewardError('STEWARD_OPERATION_UNKNOWN', `${unknown.reduce((sum, lane) => sum + lane.open, 0)} open calls are of operations that this process does not know (${names.join(', ')}), and it cannot judge what became of them. Nothing was changed, and what is held stays held. Say it from a process that knows every operation.`, { operations: names })
}

type Counts = { -readonly [Kind in keyof RestoredReport['presumed']]: RestoredReport['presumed'][Kind] }

async function presumeAll(parts: RestoringParts, said: Restored, dryRun: boolean): Promise<RestoredReport> {
  const presumed: Counts = { sentAgain: 0, lookedUp: 0, inDoubt: 0, running: 0 }
  const inDoubt: CallRef[] = []
  let untouched = 0
  for (let afterId: string | undefined; ;) {
    const page = await parts.store.list({ states: OPEN_STATES, limit: LIMITS.redrivePage, ...(afterId === undefined ? {} : { afterId }) })
    const judged = await Promise.all(page.map((call) => presume(parts, call, { type: 'restored', ...said }, dryRun)))
    for (const call of judged) {
      const kind = call && KIND[call.state]
      if (!call || !kind) { untouched++; continue }
      presumed[kind]++
      if (kind === 'inDoubt' && inDoubt.length < LIMITS.listPage) inDoubt.push({ id: call.id, operation: call.operation, key: call.key })
    }
    afterId = page.at(-1)?.id
    if (page.length < LIMITS.redrivePage) break
  }
  return { lostSinceAt: said.lostSinceAt, noticedAt: said.noticedAt, lookFirstUntilAt: said.lookFirstUntilAt, presumed, inDoubt, untouched, dryRun }
}

const KIND: { readonly [S in State]?: keyof Counts } = { waiting: 'sentAgain', checking: 'lookedUp', in_doubt: 'inDoubt', running: 'running' }

/** @returns the call as it is presumed now; `null` where nothing can have been lost of it. */
async function presume(parts: RestoringParts, call: Call, event: CallEvent, dryRun: boolean): Promise<Call | null> {
  const registered = parts.registry.require(call.operation)
  const decision = dryRun ? decide(call, event, registered.policy, parts.store.now(), 0) : await change({ ...parts, registered }, call, event)
  return decision.call !== call && decision.call.story.at(-1)?.what === 'presumed' ? decision.call : null
}
