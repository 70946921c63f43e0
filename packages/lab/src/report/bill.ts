/** The bill of each strategy, as a table. */
import { type Bill, STRATEGIES, type Total, totals } from '../compare/compare.ts'
import type { Strategy } from '../contract.ts'

const NAMES: Readonly<Record<Strategy, string>> = { 'steward': 'Steward', 'naive-loop': 'loop in memory', 'competent-queue': 'queue, stable key' }
const COLUMNS = [['effects twice', 'doubled'], ['lost', 'lost'], ['untrue records', 'untrue'], ['in doubt', 'undecided'], ['requests', 'requests'], ['people told', 'peopleTold']] as const satisfies readonly (readonly [string, keyof Total])[]

export function billText(bills: readonly Bill[]): string {
  const scenarios = [...new Set(bills.map((bill) => bill.scenario))]
  const rows = scenarios.flatMap((scenario) => [scenario, ...STRATEGIES.map((strategy) => {
    const figures = bills.find((bill) => bill.scenario === scenario && bill.strategy === strategy)?.figures ?? null
    return figures === null ? `  ${NAMES[strategy].padEnd(18)} cannot play it` : row(NAMES[strategy], figures)
  })])
  const sums = totals(bills)
  return [header(), ...rows, '', 'All that every strategy could play', ...STRATEGIES.map((strategy) => row(NAMES[strategy], sums[strategy])), '',
    'Effects twice: at the provider, beyond the first. Lost: acknowledged, no effect, and nobody knows of it. Untrue: an end that the',
    "provider's books contradict, or an effect that no record knows. In doubt: left for a person, who was told.",
  ].join('\n')
}

const header = (): string => `  ${''.padEnd(18)}${COLUMNS.map(([title]) => title.padStart(16)).join('')}`
const row = (name: string, figures: Total): string => `  ${name.padEnd(18)}${COLUMNS.map(([, field]) => String(figures[field]).padStart(16)).join('')}`
