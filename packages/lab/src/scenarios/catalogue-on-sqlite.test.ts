/** What loses or doubles effects, or hides it, is survived on SQLite, too. */
import { expect, it } from 'vitest'
import type { OperationSource } from '../contract.ts'
import { brief, holds, sourcesOf } from './answers.ts'
import { play } from './run.ts'

// Each of them under one answer, in turn; the others: steward lab --scenario ID --store sqlite
const first = holds.filter((scenario) => scenario.tier === 1)
it.each(first.map((scenario, index) => [scenario.id, scenario, sourcesOf(scenario)[index % sourcesOf(scenario).length] as readonly [string, OperationSource]] as const))('%s is survived', async (_id, scenario, [answer, source]) => {
  const { verdict, findings } = await play(scenario, { seed: 12, store: 'sqlite', source, contracts: [brief] })
  expect({ answer, verdict, findings }).toEqual({ answer, verdict: 'survived', findings: [] })
}, 120_000)
