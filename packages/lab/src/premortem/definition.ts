/** A premortem: what could go wrong with an operation in production, written down where it can be run. */
import type { Json, Operation } from 'steward'
import { scenarioOf } from '../scenarios/catalogue.ts'
import type { Stage } from '../scenarios/scenario.ts'

/** A scenario of the team's own. */
export type OwnScenario = {
  readonly kind: 'own'
  /** What could go wrong, in the team's own words: the name under which it is proven. */
  readonly title: string
  readonly run: (stage: Stage) => Promise<void>
  /** Plays with this seed, whatever the others play with. */
  readonly seed?: number
}

/** The id of a scenario of the catalogue (`steward lab --list`), or a scenario of one's own. */
export type PremortemEntry = string | OwnScenario

export type PremortemOptions<Input> = {
  /** A valid input for a call of this key. Put the key where production puts its business key, so that lookups can find it. */
  readonly example: (key: string) => Input
  readonly entries: readonly PremortemEntry[]
  /** Files whose change calls for a new proof, beside the operation itself: what its `send` relies on. `new URL('./client.ts', import.meta.url)`. */
  readonly files?: readonly URL[]
  /** What `send` may really reach meanwhile, as `host:port`: a test database, say. Everything else lands at the lab. */
  readonly passes?: readonly string[]
  /** Extra members of the provider's answers, where the operation reads more than an id and a status. */
  readonly answers?: (asked: { readonly method: string; readonly path: string; readonly body: Json }, reference: string) => Readonly<Record<string, Json>>
}

export type Premortem = PremortemOptions<unknown> & {
  readonly operation: Operation
}

/**
 * What could go wrong with this operation: at least three entries, at least one of them in the team's own words with a
 * scenario of its own. `steward lab` runs them against the operation's real `send`, `steward check` holds CI to it.
 *
 * Nothing is checked here, so that a config with an unfinished premortem still loads.
 *
 * ```ts
 * export const chargeOrderPremortem = premortem(chargeOrder, {
 *   example: (key) => ({ orderId: key, amount: 4200 }),
 *   entries: ['response-lost-after-effect', 'crash-between-send-and-record', ownScenario('…', async (lab) => { … })],
 * })
 * ```
 */
export function premortem<Input, Parsed, Result>(operation: Operation<Input, Parsed, Result>, options: PremortemOptions<Input>): Premortem {
  return { operation, ...options }
}

/** What could go wrong, in your own words, and the run that shows whether it does. */
export function ownScenario(title: string, run: (stage: Stage) => Promise<void>): OwnScenario {
  return { kind: 'own', title, run }
}

/**
 * A run that failed once, kept under a name: this scenario of the catalogue with this seed. `steward lab --keep` writes it.
 */
export function kept(title: string, { scenario, seed }: { readonly scenario: string; readonly seed: number }): OwnScenario {
  const run = scenarioOf(scenario)?.run
  if (run === undefined) throw new Error(`the run kept as "${title}" was of the scenario "${scenario}", which there is no more; nothing was run. Write its faults down as an ownScenario.`)
  return { kind: 'own', title, run, seed }
}

export const titleOf = (entry: PremortemEntry): string => (typeof entry === 'string' ? entry : entry.title)
