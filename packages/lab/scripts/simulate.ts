/** `npm run simulate`: many calls under drawn faults, one seed after another; nothing may be doubled, lost or untrue. */
import process from 'node:process'
import { realSystem } from 'steward/internal'
import { runCampaign } from '../src/workload/campaign.ts'
import { readOptions, stop, tellResult } from './arguments.ts'

const options = readOptions('simulate', 'Runs the standard workload under drawn faults in virtual time, and audits every run.', {
  calls: { what: 'calls in all', default: 20_000 },
  seeds: { what: 'worlds to spread them over; default: one for 250 calls' },
  'first-seed': { what: 'seed of the first world', default: 1 },
  store: { what: 'memory or sqlite', default: 'memory' },
  json: { what: 'file to write the result to' },
})

const { store } = options
if (store !== 'memory' && store !== 'sqlite') stop('simulate', `--store is "${store}"; it must be memory or sqlite`)
const calls = options.number('calls')
const seeds = options.seeds === undefined ? Math.max(1, Math.round(calls / 250)) : options.number('seeds')
if (calls < seeds || seeds < 1) stop('simulate', `${calls} calls cannot be spread over ${seeds} worlds`)

let done = 0
let toldMs = 0
const campaign = await runCampaign({
  calls, seeds, firstSeed: options.number('first-seed'), store, clock: () => realSystem.monotonicMs(),
  onRun(result, ran) {
    done += ran
    for (const { rule, operation, key, what } of [...result.safety, ...result.liveness]) console.error(`seed ${result.seed} (${ran} calls): ${rule}: ${operation} "${key}": ${what}`)
    if (realSystem.monotonicMs() - toldMs < 5_000) return
    toldMs = realSystem.monotonicMs()
    console.error(`${done} of ${calls} calls, seed ${result.seed}`)
  },
})
tellResult(options.json, campaign)
console.error(`simulated time per real time: ${campaign.simulatedPerReal}`)
if (campaign.violations > 0) {
  console.error(`A failing world again: npm run simulate -- --calls ${campaign.failures[0]?.calls} --seeds 1 --first-seed ${campaign.failures[0]?.seed}`)
  process.exitCode = 1
}
