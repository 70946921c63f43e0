/**
 * What `steward lab` and `steward check` do. The command line of the library calls this with plain values, so that it
 * needs this package only when one of the two is asked for.
 */
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Operation, StewardError, type StewardOptions } from 'steward'
import { compare } from '../compare/compare.ts'
import type { OperationSource } from '../contract.ts'
import { FAULT_KINDS } from '../faults/kinds.ts'
import { billText } from '../report/bill.ts'
import { junit } from '../report/junit.ts'
import { accountText, entryText, faultsText, listText, premortemText, scenarioText } from '../report/text.ts'
import { CATALOGUE, scenarioOf } from '../scenarios/catalogue.ts'
import { play, type Played } from '../scenarios/run.ts'
import type { Scenario } from '../scenarios/scenario.ts'
import { STANDARD, STANDARD_NAMES, type StandardName } from '../workload/operations.ts'
import { check, type Problem } from './check.ts'
import { type Premortem, titleOf } from './definition.ts'
import { keptFile } from './keep.ts'
import { PROOF_FILE, provenBy, readProof, writeProof } from './proof.ts'
import { type PremortemResult, runPremortem } from './run.ts'

/** One word was not understood; the caller knows how to say "did you mean". */
export type Unknown = { readonly what: string; readonly given: string; readonly known: readonly string[] }

export type Reply = { readonly exitCode: 0 | 1; readonly json: unknown; readonly text: string } | { readonly unknown: Unknown }

export type LabRequest = {
  /** What the config exports, and where it lies; loaded only where it is needed. */
  config(): Promise<StewardOptions>
  configPath(): string
  readonly operation?: string | undefined
  readonly list?: boolean | undefined
  readonly faults?: boolean | undefined
  readonly about?: string | undefined
  readonly scenario?: string | undefined
  readonly seed?: number | undefined
  readonly store?: string | undefined
  readonly trace?: boolean | undefined
  readonly compare?: boolean | undefined
  readonly junit?: string | undefined
  readonly keep?: string | undefined
  /** Tells people how it goes on. */
  say(text: string): void
}

export async function lab(request: LabRequest): Promise<Reply> {
  const { list, about, scenario, operation } = request
  if (list === true) return { exitCode: 0, json: CATALOGUE, text: listText(CATALOGUE) }
  if (request.faults === true) return { exitCode: 0, json: FAULT_KINDS, text: faultsText(FAULT_KINDS) }
  const named = about ?? scenario
  const known = named === undefined ? undefined : scenarioOf(named)
  if (about !== undefined && known !== undefined) return { exitCode: 0, json: known, text: scenarioText(known) }
  const knownIds = CATALOGUE.map((one) => one.id)
  if (about !== undefined) return { unknown: { what: 'scenario', given: about, known: knownIds } }
  if (request.compare === true) return scenario !== undefined && known === undefined ? { unknown: { what: 'scenario', given: scenario, known: knownIds } } : await bills(request, known)
  if (scenario !== undefined && operation === undefined) return known === undefined ? { unknown: { what: 'scenario', given: scenario, known: knownIds } } : await onModels(request, known)
  return await premortems(request)
}

// ---------------------------------------------------------------------------------------------------------------------
// Against the operations of the config

async function premortems(request: LabRequest): Promise<Reply> {
  const { operation, scenario, seed = 1, keep } = request
  const options = await request.config()
  const all = premortemsOf(options)
  const names = all.map((one) => one.operation.name)
  if (operation !== undefined && !names.includes(operation)) return { unknown: { what: 'premortem of an operation', given: operation, known: names } }
  if (all.length === 0) throw new StewardError('STEWARD_CONFIG_INVALID', `${request.configPath()} lists no premortems, so there is nothing to run. Write one for each operation, premortem(chargeOrder, { example, entries }), and list them: premortems: [chargeOrderPremortem].`)
  const chosen = all.filter((one) => operation === undefined || one.operation.name === operation)
  const results: PremortemResult[] = []
  for (const one of chosen) {
    if (scenario !== undefined && scenarioOf(scenario) === undefined && !one.entries.some((entry) => titleOf(entry) === scenario)) return { unknown: { what: 'scenario', given: scenario, known: [...CATALOGUE.map((each) => each.id), ...one.entries.map(titleOf)] } }
    results.push(await runOne(request, one, scenario, seed))
  }
  if (keep !== undefined) return keepRun(request, keep, results)
  if (scenario === undefined) writeProof(join(dirname(request.configPath()), PROOF_FILE), Object.fromEntries(chosen.map((one, index) => [one.operation.name, proofOf(one, results[index] as PremortemResult)])))
  if (request.junit !== undefined) writeFileSync(request.junit, junit(results))
  const survived = results.every((result) => result.survived)
  return { exitCode: survived ? 0 : 1, json: { survived, results }, text: results.map(premortemText).join('\n') + (scenario === undefined ? `\nWritten: ${PROOF_FILE}. Commit it; steward check compares it with the code.` : '') }
}

/** A scenario that is not among the entries is run as if it were. */
async function runOne(request: LabRequest, one: Premortem, scenario: string | undefined, seed: number): Promise<PremortemResult> {
  request.say(`${one.operation.name} (answer: ${one.operation.idempotency.kind})`)
  const isListed = scenario === undefined || one.entries.some((entry) => titleOf(entry) === scenario)
  return await runPremortem(isListed ? one : { ...one, entries: [scenario] }, {
    seed, keepTrace: request.trace === true, ...(scenario === undefined ? {} : { only: scenario }),
    onEntry: (result) => {
      request.say(entryText(result, seed))
      if (request.trace === true && result.played !== null) request.say(traceText(result.played))
    },
  })
}

const proofOf = (premortem: Premortem, { seed, entries }: PremortemResult): ReturnType<typeof provenBy> =>
  provenBy(premortem, seed, new Map(entries.map(({ entry, verdict }) => [entry, verdict])))

const traceText = ({ trace, ledger }: Played): string => ['    Step by step (milliseconds of virtual time):', ...trace.map((line) => `      ${line}`), '    All that the provider saw:', ...ledger.map((line) => `      ${line}`)].join('\n')

/** Turns the first run that failed (or the one asked for) into a file of its own. */
function keepRun(request: LabRequest, title: string, results: readonly PremortemResult[]): Reply {
  const entries = results.flatMap((result) => result.entries.map((entry) => ({ entry, seed: result.seed })))
  const chosen = entries.find(({ entry }) => entry.verdict === 'not handled') ?? entries[0]
  if (chosen === undefined || scenarioOf(chosen.entry.entry) === undefined) throw new StewardError('STEWARD_USAGE', `--keep keeps a run of a scenario of the catalogue, and ${chosen === undefined ? 'nothing was run' : `"${chosen.entry.entry}" is a scenario of your own already`}. Nothing was written.`)
  const { name, text } = keptFile(title, chosen.entry, chosen.seed)
  const path = join(dirname(request.configPath()), name)
  writeFileSync(path, text, { flag: 'wx' })
  return { exitCode: 0, json: { written: path }, text: `Written: ${name}. Add it to the entries of the premortem.` }
}

export function premortemsOf(options: StewardOptions): readonly Premortem[] {
  const { premortems: listed } = options as { readonly premortems?: unknown }
  if (listed === undefined) return []
  const isPremortem = (one: unknown): one is Premortem => typeof one === 'object' && one !== null && 'operation' in one && 'entries' in one && Array.isArray(one.entries) && 'example' in one && typeof one.example === 'function'
  if (Array.isArray(listed) && listed.every(isPremortem)) return listed
  throw new StewardError('STEWARD_CONFIG_INVALID', 'premortems of the config is not a list of what premortem(operation, { example, entries }) returns. Nothing was run. Write premortems: [chargeOrderPremortem].')
}

// ---------------------------------------------------------------------------------------------------------------------
// Against modelled operations, one for each provider contract

const unsent = (): Promise<never> => Promise.reject(new Error('only its definition is asked for'))
const definitionOf = (source: OperationSource): Operation => source({ request: unsent, connect: unsent })

/** Modelled operations of which the scenario asks something. */
export function modelsFor(scenario: Scenario, names: readonly StandardName[] = STANDARD_NAMES): readonly StandardName[] {
  return names.filter((name) => {
    const { idempotency, provider } = definitionOf(STANDARD[name]())
    return scenario.fits.includes(idempotency.kind) && (scenario.providers === undefined || scenario.providers.includes(provider ?? ''))
  })
}

async function onModels(request: LabRequest, scenario: Scenario): Promise<Reply> {
  const { seed = 1, trace = false, store = 'memory' } = request
  if (store !== 'memory' && store !== 'sqlite') return { unknown: { what: 'store', given: store, known: ['memory', 'sqlite'] } }
  request.say(`${scenario.question}\n${scenario.does}`)
  const runs: Played[] = []
  for (const name of modelsFor(scenario)) {
    const played = await play(scenario, { seed, store, source: STANDARD[name](), keepTrace: trace })
    runs.push(played)
    request.say(entryText({ entry: `${name} (${played.answer})`, question: '', isOwn: false, verdict: played.verdict, findings: played.findings, played: null }, seed))
    if (played.verdict === 'not handled') request.say(accountText(played, `steward lab --scenario ${scenario.id} --seed ${seed} --trace`))
    if (trace) request.say(traceText(played))
  }
  const held = runs.filter(({ verdict }) => verdict === 'survived').length
  const survived = runs.every(({ verdict }) => verdict !== 'not handled')
  return { exitCode: survived ? 0 : 1, json: { scenario: scenario.id, seed, store, runs }, text: `${scenario.id}: ${held} of ${runs.length} modelled operations survived (seed ${seed}, ${store} store).` }
}

/** A loop in memory has no database that could be set back, and the queue's stands outside the lab. */
const SET_BACK: ReadonlySet<string> = new Set(['failover-loses-commits', 'restore-or-thaw-replays-old-calls'])

const MODEL_OF = { providerKey: 'stripeV1', reconcile: 'keylessLookup', natural: 'documents', none: 'keylessBlind' } as const

/** The bill of each strategy, on the model that has the operation's answer (default: a provider key). */
async function bills(request: LabRequest, scenario: Scenario | undefined): Promise<Reply> {
  const { operation, seed = 1 } = request
  const operations = operation === undefined ? [] : ((await request.config()).operations ?? [])
  const found = operations.find((one) => one.name === operation)
  if (operation !== undefined && found === undefined) return { unknown: { what: 'operation', given: operation, known: operations.map((one) => one.name) } }
  const name = MODEL_OF[found?.idempotency.kind ?? 'providerKey']
  const scenarios = (scenario === undefined ? CATALOGUE.filter((one) => !SET_BACK.has(one.id) && one.theme !== 'load') : [scenario]).filter((one) => modelsFor(one, [name]).length > 0)
  request.say(`Modelled on ${name}: the same faults for each strategy.`)
  const all = await compare(scenarios, STANDARD[name](), seed)
  return { exitCode: 0, json: { model: name, seed, bills: all }, text: billText(all) }
}

// ---------------------------------------------------------------------------------------------------------------------
// Whether all was asked, and is proven

export type CheckReply = { readonly exitCode: 0 | 1; readonly json: unknown; readonly problems: readonly Problem[]; readonly text: string; readonly suggestions: string }

export async function checkAll(request: Pick<LabRequest, 'config' | 'configPath'>): Promise<CheckReply> {
  const options = await request.config()
  const operations = options.operations ?? []
  const { problems, suggestions } = check(operations, premortemsOf(options), readProof(join(dirname(request.configPath()), PROOF_FILE)), CATALOGUE)
  const asked = suggestions.map(({ operation, scenario, question }) => `  ${operation}: ${scenario}\n      ${question}`).join('\n')
  return {
    exitCode: problems.length === 0 ? 0 : 1, json: { problems, suggestions }, problems,
    text: problems.length === 0 ? `${operations.length} ${operations.length === 1 ? 'operation' : 'operations'}: asked, and proven for the code as it is.` : '',
    suggestions: asked === '' ? '' : `Not asked yet:\n${asked}`,
  }
}
