/** Many runs of the standard workload, one seed after another, as one figure. */
import { createHash } from 'node:crypto'
import { runWorkload, type RunOptions, type WorkloadResult } from './run.ts'

export type CampaignOptions = {
  readonly calls: number
  readonly seeds: number
  readonly firstSeed?: number
  readonly store?: RunOptions['store']
  /** Milliseconds of the real clock: what simulated time is divided by. */
  readonly clock: () => number
  readonly onRun?: (result: WorkloadResult, calls: number) => void
}

export type Campaign = {
  readonly calls: number
  readonly seeds: number
  readonly doubled: number
  readonly lost: number
  readonly untrue: number
  /** Calls left in doubt; under answers that cannot decide, or where nobody could know. */
  readonly undecided: number
  /** Violations of any rule of the auditor. */
  readonly violations: number
  /** Kinds of faults that struck something. */
  readonly faultKinds: number
  readonly faultPoints: number
  readonly faultsInjected: number
  readonly simulatedPerReal: number
  readonly traceHash: string
  readonly failures: readonly { readonly seed: number; readonly calls: number; readonly what: string }[]
}

/** At most so many failures are told in words. */
const TOLD = 50

export async function runCampaign(options: CampaignOptions): Promise<Campaign> {
  const { seeds, firstSeed = 1, clock } = options
  const hash = createHash('sha256')
  const sum = { calls: 0, doubled: 0, lost: 0, untrue: 0, undecided: 0, violations: 0, faultsInjected: 0 }
  const kinds = new Set<string>()
  const points = new Set<string>()
  const failures: { seed: number; calls: number; what: string }[] = []
  let simulatedMs = 0
  const startMs = clock()
  for (let n = 0; n < seeds; n++) {
    const seed = firstSeed + n
    const calls = Math.floor((options.calls * (n + 1)) / seeds) - Math.floor((options.calls * n) / seeds)
    const result = await runWorkload({ seed, calls, ...(options.store === undefined ? {} : { store: options.store }) })
    const { figures, safety, liveness } = result
    sum.calls += figures.intents
    for (const name of ['doubled', 'lost', 'untrue', 'undecided', 'faultsInjected'] as const) sum[name] += figures[name]
    sum.violations += safety.length + liveness.length
    for (const kind of result.kinds) kinds.add(kind)
    for (const point of result.points) points.add(point)
    for (const { rule, operation, key, what } of [...safety, ...liveness]) if (failures.length < TOLD) failures.push({ seed, calls, what: `${rule}: ${operation} "${key}": ${what}` })
    hash.update(result.traceHash)
    simulatedMs += figures.simulatedMs
    options.onRun?.(result, calls)
  }
  const { faultsInjected, ...counted } = sum
  return { ...counted, seeds, faultKinds: kinds.size, faultPoints: points.size, faultsInjected, simulatedPerReal: Math.round(simulatedMs / Math.max(1, clock() - startMs)), traceHash: hash.digest('hex'), failures }
}
