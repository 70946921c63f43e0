/**
 * A drill in your own suite, for Vitest, node:test, or whatever fails on a throw:
 *
 * ```ts
 * import { test } from 'node:test'
 * import { drill } from '@steward/lab/testing'
 * import { chargeOrderPremortem } from './charge-order.ts'
 *
 * test('survives its premortem', () => drill(chargeOrderPremortem))
 * ```
 */
import type { Premortem, PremortemEntry } from '../premortem/definition.ts'
import { type EntryResult, runPremortem } from '../premortem/run.ts'
import { entryText } from '../report/text.ts'

export { kept, ownScenario, premortem } from '../premortem/definition.ts'

export type DrillOptions = {
  /** Default 1: the same faults each time. */
  readonly seed?: number
  /** Run these instead of the premortem's own entries. */
  readonly entries?: readonly PremortemEntry[]
}

/** Thrown when something was not survived; the message is the account that `steward lab` prints. */
export class DrillFailed extends Error {
  override readonly name = 'DrillFailed'
  readonly results: readonly EntryResult[]
  constructor(operation: string, results: readonly EntryResult[], seed: number) {
    const failed = results.filter((result) => result.verdict !== 'survived')
    super(`${operation} did not survive ${failed.length} of ${results.length}:\n${failed.map((result) => entryText(result, seed)).join('\n')}`)
    this.results = results
  }
}

/**
 * Runs a premortem against the operation's real code and resolves with the results when all was survived.
 *
 * Time is simulated: days take a moment. Drills of one process run one after the other, since the network of the process
 * is turned over to the lab meanwhile; connections made elsewhere in the process at that moment fail as refused.
 *
 * @throws DrillFailed with what was found, what the provider saw, and the story of the failing call.
 */
export function drill(premortem: Premortem, { seed = 1, entries }: DrillOptions = {}): Promise<readonly EntryResult[]> {
  return inTurn(async () => {
    const result = await runPremortem(entries === undefined ? premortem : { ...premortem, entries }, { seed })
    if (!result.survived) throw new DrillFailed(result.operation, result.entries, seed)
    return result.entries
  })
}

let last: Promise<unknown> = Promise.resolve()

function inTurn<T>(run: () => Promise<T>): Promise<T> {
  const turn = last.then(run, run)
  last = turn.catch(() => undefined)
  return turn
}
