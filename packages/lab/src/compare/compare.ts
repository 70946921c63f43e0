/** The same scenario, the same seed, three strategies: what each costs. */
import type { Figures, OperationSource, Strategy, WorldOptions } from '../contract.ts'
import { play } from '../scenarios/run.ts'
import type { Scenario } from '../scenarios/scenario.ts'
import { competentQueue } from './competent-queue.ts'
import { naiveLoop } from './naive-loop.ts'

const CARRIERS: Readonly<Record<Strategy, WorldOptions['carrier']>> = {
  'steward': undefined,
  'naive-loop': { strategy: 'naive-loop', make: naiveLoop },
  'competent-queue': { strategy: 'competent-queue', make: competentQueue },
}
export const STRATEGIES = Object.keys(CARRIERS) as readonly Strategy[]

export type Bill = { readonly scenario: string; readonly strategy: Strategy; /** `null`: what it does has no meaning for this strategy. */ readonly figures: Figures | null }

/** Scenarios that ask a process for something that only Steward has cannot be played by the others; they bill nothing. */
export async function compare(scenarios: readonly Scenario[], source: OperationSource, seed: number): Promise<readonly Bill[]> {
  const bills: Bill[] = []
  for (const scenario of scenarios) {
    for (const strategy of STRATEGIES) {
      const carrier = CARRIERS[strategy]
      try {
        const { figures } = await play(scenario, { seed, source, ...(carrier === undefined ? {} : { carrier }) })
        bills.push({ scenario: scenario.id, strategy, figures })
      } catch (error) {
        if (strategy === 'steward') throw error
        bills.push({ scenario: scenario.id, strategy, figures: null })
      }
    }
  }
  return bills
}

export type Total = Pick<Figures, 'intents' | 'doubled' | 'lost' | 'untrue' | 'undecided' | 'requests' | 'peopleTold'>

/** Over the scenarios that all strategies could play. */
export function totals(bills: readonly Bill[]): Readonly<Record<Strategy, Total>> {
  const playable = new Set(bills.map((bill) => bill.scenario).filter((scenario) => bills.every((bill) => bill.scenario !== scenario || bill.figures !== null)))
  const total = (strategy: Strategy): Total => bills.filter((bill) => bill.strategy === strategy && playable.has(bill.scenario)).reduce<Total>((sum, { figures }) => (figures === null ? sum : {
    intents: sum.intents + figures.intents, doubled: sum.doubled + figures.doubled, lost: sum.lost + figures.lost, untrue: sum.untrue + figures.untrue,
    undecided: sum.undecided + figures.undecided, requests: sum.requests + figures.requests, peopleTold: sum.peopleTold + figures.peopleTold,
  }), { intents: 0, doubled: 0, lost: 0, untrue: 0, undecided: 0, requests: 0, peopleTold: 0 })
  return { 'steward': total('steward'), 'naive-loop': total('naive-loop'), 'competent-queue': total('competent-queue') }
}
