/** `npm run scenarios`: the whole catalogue, each scenario under every idempotency answer of which it asks something, on both stores. */
import process from 'node:process'
import { realSystem } from 'steward/internal'
import { brief, sourcesOf } from '../src/scenarios/answers.ts'
import { CATALOGUE } from '../src/scenarios/catalogue.ts'
import { play, type Played } from '../src/scenarios/run.ts'
import { readOptions, stop, tellResult } from './arguments.ts'

const options = readOptions('scenarios', 'Plays all scenarios of the catalogue under every answer they fit, and says which hold. Takes some five minutes, nearly all of it on SQLite.', {
  only: { what: 'ids of scenarios, separated by commas; default: all' },
  store: { what: 'memory, sqlite or both', default: 'both' },
  seed: { what: 'seed of every run', default: 12 },
  json: { what: 'file to write the result to' },
})

const ids = options.only?.split(',')
const unknown = ids?.filter((id) => !CATALOGUE.some((scenario) => scenario.id === id)) ?? []
if (unknown.length > 0) stop('scenarios', `--only names ${unknown.join(', ')}, which the catalogue does not have`)
const stores = (['memory', 'sqlite'] as const).filter((store) => options.store === store || options.store === 'both')
if (stores.length === 0) stop('scenarios', `--store is "${options.store}"; it must be memory, sqlite or both`)

const startMs = realSystem.monotonicMs()
const played: Played[] = []
for (const store of stores) {
  for (const scenario of CATALOGUE.filter(({ id }) => ids?.includes(id) ?? true)) {
    const verdicts: string[] = []
    for (const [answer, source] of sourcesOf(scenario)) {
      const one = await play(scenario, { seed: options.number('seed'), store, source, contracts: [brief] })
      played.push(one)
      verdicts.push(`${answer} ${one.verdict}${one.inDoubt.length > 0 ? ` (${one.inDoubt.length} in doubt)` : ''}`)
      for (const finding of one.verdict === 'not handled' ? one.findings : []) console.error(`  ${scenario.id}, ${answer}, ${store}: ${finding}`)
    }
    console.error(`${store.padEnd(6)} ${scenario.id}: ${verdicts.join(', ')}`)
  }
}

const count = (verdict: Played['verdict']): number => played.filter((one) => one.verdict === verdict).length
tellResult(options.json, {
  scenarios: new Set(played.map(({ scenario }) => scenario)).size, runs: played.length, survived: count('survived'), waits: count('waits'), notHandled: count('not handled'), durationMs: Math.round(realSystem.monotonicMs() - startMs),
  inDoubtUnderSafeAnswers: played.filter(({ answer, inDoubt }) => answer !== 'none' && inDoubt.length > 0).map(({ scenario, answer, store, inDoubt }) => ({ scenario, answer, store, inDoubt: inDoubt.length })),
  waiting: [...new Set(played.filter(({ verdict }) => verdict === 'waits').map(({ scenario, waitsFor }) => `${scenario}: ${waitsFor}`))],
})
if (count('not handled') > 0) process.exitCode = 1
