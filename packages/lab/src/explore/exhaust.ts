/** Every single fault and every pair of faults at every step of one call, for every idempotency answer: enumerated, not sampled. */
import type { Violation } from '../contract.ts'
import { runOneCall } from './one-call.ts'
import { actsAt, describe, type Entry, type Planned } from './steps.ts'
import type { Subject } from './subjects.ts'

export type Exhausted = { readonly subject: string; readonly entry: Entry; readonly singles: number; readonly pairs: number; readonly failures: readonly Failure[] }
export type Failure = { readonly subject: string; readonly entry: Entry; readonly plan: readonly Planned[]; readonly faults: readonly string[]; readonly violations: readonly Violation[] }

export type ExhaustOptions = {
  readonly subjects?: readonly Subject[]
  /** False: single faults only. Default true. */
  readonly pairs?: boolean
  /** Only every n-th pair: for tests that must be quick. Default 1, all. */
  readonly everyPair?: number
  /** Stop at the first failure. */
  readonly stopAtFirst?: boolean
  readonly onFailure?: (failure: Failure) => void
}

export async function exhaust(subject: Subject, entry: Entry, options: ExhaustOptions = {}): Promise<Exhausted> {
  const failures: Failure[] = []
  let singles = 0
  let pairs = 0
  const judged = async (plan: readonly Planned[]) => {
    const run = await runOneCall(subject, plan, { entry })
    if (run.struck !== plan.length) throw new Error(`${subject.name}: ${run.struck} of ${plan.length} planned faults took place; the same plan gave other steps`)
    if (run.violations.length === 0) return run
    const failure = { subject: subject.name, entry, plan, faults: plan.map((planned) => describe(planned, run.steps)), violations: run.violations }
    failures.push(failure)
    options.onFailure?.(failure)
    return run
  }
  const over = (): boolean => options.stopAtFirst === true && failures.length > 0
  const undisturbed = await judged([])
  for (const first of faultsFrom(undisturbed.steps, 0)) {
    if (over()) break
    const once = await judged([first])
    singles++
    if (options.pairs === false) continue
    for (const second of faultsFrom(once.steps, first.step + 1)) {
      if (over()) break
      pairs++
      if (pairs % (options.everyPair ?? 1) === 0) await judged([first, second])
    }
  }
  return { subject: subject.name, entry, singles, pairs, failures }
}

function* faultsFrom(steps: readonly Parameters<typeof actsAt>[0][], from: number): Generator<Planned> {
  for (let step = from; step < steps.length; step++) {
    const at = steps[step]
    if (at) for (const act of actsAt(at)) yield { step, act }
  }
}
