/** Looks for a bug: the explored calls first, then the standard workload. The first violation ends the hunt. */
import { runWorkload } from '../workload/run.ts'
import { exhaust } from './exhaust.ts'
import { SUBJECTS } from './subjects.ts'

/** Which scenario found something, and what. */
export type Catch = { readonly scenario: string; readonly what: string }

const SEEDS = 60
const CALLS = 60
/** Of the pairs, the hunt takes every so many-th in a round: the first rounds find most. */
const SPREADS = [97, 13]

export async function hunt(): Promise<Catch | null> {
  return (await huntSingles()) ?? (await huntPairs(SPREADS[0] ?? 1)) ?? (await huntWorkload(1, SEEDS / 3)) ?? (await huntPairs(SPREADS[1] ?? 1)) ?? (await huntWorkload(1 + SEEDS / 3, SEEDS))
}

async function huntSingles(): Promise<Catch | null> {
  for (const subject of SUBJECTS) {
    for (const entry of ['queued', 'direct'] as const) {
      const { failures } = await exhaust(subject, entry, { pairs: false, stopAtFirst: true })
      const [failure] = failures
      if (failure) return { scenario: `one call, ${subject.name}, ${entry}: ${failure.faults.join(' + ') || 'no fault'}`, what: told(failure.violations) }
    }
  }
  return null
}

async function huntPairs(everyPair: number): Promise<Catch | null> {
  for (const subject of SUBJECTS.filter(({ isCore }) => isCore)) {
    const [failure] = (await exhaust(subject, 'queued', { everyPair, stopAtFirst: true })).failures
    if (failure) return { scenario: `one call, ${subject.name}, queued: ${failure.faults.join(' + ')}`, what: told(failure.violations) }
  }
  return null
}

async function huntWorkload(from: number, to: number): Promise<Catch | null> {
  for (let seed = from; seed <= to; seed++) {
    const { safety, liveness } = await runWorkload({ seed, calls: CALLS })
    if (safety.length + liveness.length > 0) return { scenario: `workload, ${CALLS} calls, seed ${seed}`, what: told([...safety, ...liveness]) }
  }
  return null
}

const told = (violations: readonly { readonly rule: string; readonly operation: string; readonly key: string; readonly what: string }[]): string =>
  violations.slice(0, 1).map(({ rule, operation, key, what }) => `${rule}: ${operation} "${key}": ${what}`).join('')
