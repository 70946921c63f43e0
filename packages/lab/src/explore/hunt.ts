/** Looks for a bug: explored calls, the catalogue's scenarios, the standard workload; what is quick first. The first violation ends the hunt. */
import { CATALOGUE } from '../scenarios/catalogue.ts'
import { play } from '../scenarios/run.ts'
import { STANDARD } from '../workload/operations.ts'
import { runWorkload } from '../workload/run.ts'
import { exhaust } from './exhaust.ts'
import { ENTRIES } from './steps.ts'
import { SUBJECTS } from './subjects.ts'

/** Which scenario found something, and what. */
export type Catch = { readonly scenario: string; readonly what: string }

const CALLS = 60

/** Scenarios of a whole night, or of hundreds of calls: nothing that is not found sooner, and each takes as long as all the others together. */
const LONG: ReadonlySet<string> = new Set(['herd-after-the-outage', 'exhausted-and-nobody-told', 'redrive-duplicates-effects', 'retry-storm-metastable', 'slow-tenant-blocks-the-line'])
const SOURCES = { providerKey: STANDARD.stripeV1(), reconcile: STANDARD.keylessLookup(), natural: STANDARD.documents(), none: STANDARD.keylessBlind() } as const

export async function hunt(): Promise<Catch | null> {
  const rounds = [huntSingles, () => huntPairs(97), huntScenarios, () => huntWorkload(1, 20), () => huntPairs(13), () => huntWorkload(21, 60)]
  for (const round of rounds) {
    const caught = await round()
    if (caught !== null) return caught
  }
  return null
}

async function huntScenarios(): Promise<Catch | null> {
  for (const scenario of CATALOGUE.filter(({ id, providers }) => providers === undefined && !LONG.has(id))) {
    for (const answer of scenario.fits) {
      const { verdict, findings } = await play(scenario, { seed: 1, source: SOURCES[answer] })
      if (verdict === 'not handled') return { scenario: `scenario ${scenario.id}, ${answer}`, what: findings[0] ?? '' }
    }
  }
  return null
}

async function huntSingles(): Promise<Catch | null> {
  for (const subject of SUBJECTS) {
    for (const entry of ENTRIES) {
      const { failures } = await exhaust(subject, entry, { pairs: false, stopAtFirst: true })
      const [failure] = failures
      if (failure) return { scenario: `one call, ${subject.name}, ${entry}: ${failure.faults.join(' + ') || 'no fault'}`, what: told(failure.violations) }
    }
  }
  return null
}

/** @param everyPair of the pairs, every so many-th. */
async function huntPairs(everyPair: number): Promise<Catch | null> {
  for (const subject of SUBJECTS.filter(({ unlessPaired }) => unlessPaired === undefined)) {
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
