/** Runs the entries of a premortem against the operation's real code. */
import type { Json } from 'steward'
import { scenarioOf } from '../scenarios/catalogue.ts'
import { play, type Played } from '../scenarios/run.ts'
import { ANY_ANSWER, type Scenario } from '../scenarios/scenario.ts'
import { type OwnScenario, type Premortem, type PremortemEntry, titleOf } from './definition.ts'
import { RealSends } from './real-sends.ts'

export type EntryResult = {
  readonly entry: string
  /** The question behind it; the team's own words where it is theirs. */
  readonly question: string
  readonly isOwn: boolean
  /** `does not apply`: it asks nothing of an operation with this answer. `waits`: Steward is known not to have that yet. */
  readonly verdict: Played['verdict'] | 'does not apply' | 'unknown scenario'
  /** Why not, in sentences. */
  readonly findings: readonly string[]
  readonly played: Played | null
}

export type PremortemResult = { readonly operation: string; readonly seed: number; readonly entries: readonly EntryResult[]; readonly survived: boolean }

export type RunOptions = {
  readonly seed: number
  /** Only this entry. */
  readonly only?: string
  /** Told of each result as it comes. */
  readonly onEntry?: (result: EntryResult) => void
  readonly keepTrace?: boolean
}

export async function runPremortem(premortem: Premortem, { seed, only, onEntry, keepTrace = false }: RunOptions): Promise<PremortemResult> {
  const entries: EntryResult[] = []
  for (const entry of premortem.entries) {
    if (only !== undefined && titleOf(entry) !== only) continue
    const result = await runEntry(premortem, entry, seed, keepTrace)
    entries.push(result)
    onEntry?.(result)
  }
  return { operation: premortem.operation.name, seed, entries, survived: entries.length > 0 && entries.every(isProven) }
}

/** Whether the result counts as a proof. */
export const isProven = (result: EntryResult): boolean => result.verdict === 'survived'

async function runEntry(premortem: Premortem, entry: PremortemEntry, seed: number, keepTrace: boolean): Promise<EntryResult> {
  const scenario = typeof entry === 'string' ? scenarioOf(entry) : ownAsScenario(entry)
  const about = { entry: titleOf(entry), question: scenario?.question ?? titleOf(entry), isOwn: typeof entry !== 'string' }
  if (scenario === undefined) return { ...about, verdict: 'unknown scenario', findings: [`there is no scenario "${titleOf(entry)}"`], played: null }
  const why = inapplicable(scenario, premortem)
  if (why !== null) return { ...about, verdict: 'does not apply', findings: [why], played: null }
  const played = await playReal(premortem, scenario, typeof entry === 'string' ? seed : (entry.seed ?? seed), keepTrace)
  return { ...about, verdict: played.verdict, findings: played.findings, played }
}

function inapplicable(scenario: Scenario, { operation }: Premortem): string | null {
  const { kind } = operation.idempotency
  if (!scenario.fits.includes(kind)) return `it asks nothing of an operation whose answer is ${kind}; it is for ${scenario.fits.join(', ')}`
  return scenario.providers === undefined ? null : `the lab's model of this provider cannot play it yet; it plays on ${scenario.providers.join(', ')}`
}

/** The team's own run, as a scenario. What it throws is a finding. */
function ownAsScenario({ title, run }: OwnScenario): Scenario {
  return {
    id: title, title, tier: 1, theme: 'people', question: title, incidents: [], invariants: [], naive: { outcome: '', what: '' }, queue: '', does: title, fits: ANY_ANSWER,
    async run(stage) {
      try {
        await run(stage)
      } catch (error) {
        stage.expect(false, error instanceof Error ? error.message : String(error))
      }
    },
  }
}

/** One scenario against the operation's own `send` and `lookup`. Plays one at a time: the network of the process is turned over meanwhile. */
export async function playReal(premortem: Premortem, scenario: Scenario, seed: number, keepTrace = false): Promise<Played> {
  const real = new RealSends(premortem)
  await real.open()
  try {
    return await play(scenario, { seed, source: real.source, real, example: (key) => premortem.example(key) as Json, keepTrace })
  } finally {
    await real.close()
  }
}
