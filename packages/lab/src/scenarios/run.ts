/** Plays one scenario once, and judges it. */
import type { CallView, Json, Telling } from 'steward'
import type { AnswerKind } from 'steward/internal'
import { auditWorld } from '../auditor/index.ts'
import { billOf } from '../compare/bill.ts'
import type { Figures, OperationSource, Violation, World, WorldOptions } from '../contract.ts'
import type { RealSends } from '../premortem/real-sends.ts'
import type { ProviderContract } from '../providers/contract.ts'
import { createWorld } from '../sim/world.ts'
import { DAY, MINUTE, type Scenario } from './scenario.ts'
import { SceneStage } from './stage.ts'

export type PlayOptions = {
  readonly seed: number
  readonly store?: 'memory' | 'sqlite'
  /** The operation that is put to the question. */
  readonly source: OperationSource
  /** Default: an order of 4200. */
  readonly example?: (key: string) => Json
  /** Who carries the calls in Steward's place. */
  readonly carrier?: WorldOptions['carrier']
  readonly keepTrace?: boolean
  /** Providers beside the standard ones. */
  readonly contracts?: readonly ProviderContract[]
  /** The operation's real code: its contract with the world, and its client, which may send more than once within an attempt. */
  readonly real?: RealSends
}

/** `survived`: the contract held, and so did what the scenario expects. `waits`: it does not, and Steward is known not to have that yet. */
export type Verdict = 'survived' | 'not handled' | 'waits'

export type Played = {
  readonly scenario: string
  readonly operation: string
  readonly answer: AnswerKind
  readonly provider: string
  readonly store: 'memory' | 'sqlite'
  readonly seed: number
  readonly verdict: Verdict
  /** What Steward waits for, where that is why it does not hold. */
  readonly waitsFor: string | null
  readonly findings: readonly string[]
  /** Calls that ended in doubt, loudly: what this answer cannot decide. */
  readonly inDoubt: readonly string[]
  readonly figures: Figures
  /** The story of the call that a finding is about, or of one in doubt. */
  readonly story: Telling | null
  /** What the provider saw, line by line. */
  readonly ledger: readonly string[]
  readonly trace: readonly string[]
  readonly traceHash: string
}

export const order = (key: string): Json => ({ orderId: key, amount: 4200 })

export async function play(scenario: Scenario, options: PlayOptions): Promise<Played> {
  const { seed, store = 'memory', source, example = order, carrier, keepTrace = false, real, contracts = [] } = options
  const world = await createWorld({
    seed, store, keepTrace, operations: [source], ...(carrier === undefined ? {} : { carrier }),
    contracts: real === undefined ? contracts : [...contracts, real.contract], ...(real === undefined ? {} : { busy: real.busy }),
  })
  try {
    const stage = new SceneStage(world, source, example)
    if (real !== undefined) {
      real.enter(world)
      if (stage.answer === 'providerKey' || stage.answer === 'natural') stage.excuse(['begun-before-sent'], 'its client resends by itself, which is harmless here')
    }
    await scenario.run(stage)
    world.heal()
    stage.expect(await stage.rest(4 * DAY), 'after the faults had ended, not everything came to rest')
    // Alerts and handlers that were refused are told again after a while.
    await world.advance(5 * MINUTE)
    return await judged(scenario, world, stage, seed, store)
  } finally {
    await world.close()
  }
}

async function judged(scenario: Scenario, world: World, stage: SceneStage, seed: number, store: 'memory' | 'sqlite'): Promise<Played> {
  const isSteward = world.strategy === 'steward'
  const excused = (rule: string, _operation: string, key: string): boolean => stage.excuses.some((excuse) => (excuse.rules as readonly string[]).includes(rule) && (excuse.keys === null || excuse.keys.includes(key)))
  const { safety, liveness } = isSteward ? await auditWorld(world, { atRest: true, excused }) : { safety: [], liveness: [] }
  const broken = [...safety, ...liveness]
  const findings = [...stage.findings, ...broken.map(sentence)]
  const inDoubt = isSteward ? await world.observer.list({ states: ['in_doubt'], limit: 1_000 }) : []
  const waitsFor = scenario.waitsFor && (scenario.waitsFor.under ?? [stage.answer]).includes(stage.answer) ? scenario.waitsFor.what : null
  return {
    scenario: scenario.id, operation: stage.operation, answer: stage.answer, provider: stage.provider, store, seed,
    verdict: findings.length === 0 ? 'survived' : waitsFor === null ? 'not handled' : 'waits',
    waitsFor: findings.length === 0 ? null : waitsFor,
    findings, inDoubt: inDoubt.map((call) => call.key), figures: await billOf(world),
    story: isSteward ? await storyOf(world, stage, broken, inDoubt) : null,
    ledger: ledgerLines(world, stage.provider), trace: [...world.trace], traceHash: world.traceHash,
  }
}

const sentence = ({ rule, key, what }: Violation): string => `${rule}${key === '' ? '' : ` (${key})`}: ${what}`

async function storyOf(world: World, stage: SceneStage, broken: readonly Violation[], inDoubt: readonly CallView[]): Promise<Telling | null> {
  const named = stage.findings.flatMap((finding) => world.intents.filter((intent) => finding.split(/[\s,:()]+/).includes(intent.key)).map((intent) => intent.key))
  const key = broken.find((one) => one.key !== '')?.key ?? named[0] ?? inDoubt[0]?.key
  if (key === undefined || (await world.observer.find(stage.operation, key)) === null) return null
  return await world.observer.tell(stage.operation, key)
}

/** Longest account of what a provider saw. */
const LEDGER_LINES = 40

function ledgerLines(world: World, provider: string): readonly string[] {
  const requests = world.providers.get(provider)?.ledger.requests ?? []
  const lines = requests.slice(0, LEDGER_LINES).map((request) => {
    const effect = request.reference === null ? '' : request.isReplay ? `, a replay (${request.reference})` : `, effect ${request.reference}`
    const answered = request.answered === 'none' ? 'never answered' : request.answered === 'lost' ? 'its answer was lost' : `answered ${request.answered}`
    return `${new Date(request.arrivedAt).toISOString()} ${request.method} ${request.path}${request.isLookup ? ' (asks only)' : ''}: ${answered}${effect}`
  })
  return requests.length > LEDGER_LINES ? [...lines, `… and ${requests.length - LEDGER_LINES} more requests`] : lines
}
