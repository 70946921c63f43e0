/** The baselines do what they are said to do: they are the yardstick, and a crooked one would flatter. */
import { describe, expect, it } from 'vitest'
import type { Figures, Strategy } from '../contract.ts'
import { scenarioOf } from '../scenarios/catalogue.ts'
import type { Scenario } from '../scenarios/scenario.ts'
import { STANDARD, type StandardName } from '../workload/operations.ts'
import { billText } from '../report/bill.ts'
import { type Bill, compare, totals } from './compare.ts'

const billed = async (id: string, name: StandardName = 'stripeV1'): Promise<Readonly<Record<Strategy, Figures | null>>> => {
  const bills = await compare([scenarioOf(id) as Scenario], STANDARD[name](), 1)
  return Object.fromEntries(bills.map((bill) => [bill.strategy, bill.figures])) as Record<Strategy, Figures | null>
}

describe('under the same faults', () => {
  it('a lost answer: the loop pays again, the queue with its stable key does not', async () => {
    const bills = await billed('response-lost-after-effect')
    expect([bills['naive-loop']?.doubled, bills['competent-queue']?.doubled, bills.steward?.doubled]).toEqual([4, 0, 0])
  })

  it('a provider without keys: the queue pays again, too', async () => {
    const bills = await billed('response-lost-after-effect', 'keylessLookup')
    expect(bills['competent-queue']?.doubled).toBeGreaterThan(0)
    expect(bills.steward).toMatchObject({ doubled: 0, lost: 0, untrue: 0, undecided: 0 })
  })

  it('a key that is forgotten before the last try: the queue turns patience into a second payment', async () => {
    const bills = await billed('key-window-expired-before-last-retry')
    expect([bills['competent-queue']?.doubled, bills.steward?.doubled]).toEqual([1, 0])
  })

  it('a deploy: what the loop had in memory is gone, the queue goes on', async () => {
    const bills = await billed('shutdown-kills-in-flight')
    expect(bills['naive-loop']?.lost).toBeGreaterThan(0)
    expect(bills['competent-queue']).toMatchObject({ lost: 0, doubled: 0 })
  })

  it('a double click: whoever has no key of the business pays for it', async () => {
    const bills = await billed('duplicate-user-submit')
    expect([bills['naive-loop']?.doubled, bills['competent-queue']?.doubled, bills.steward?.doubled]).toEqual([2, 2, 0])
  })

  it('what is given up: only one of the three tells somebody', async () => {
    const bills = await billed('exhausted-and-nobody-told')
    expect([bills['naive-loop']?.peopleTold, bills['competent-queue']?.peopleTold, bills.steward?.peopleTold]).toEqual([0, 0, 5])
  })
})

it('adds up only what every strategy could play', () => {
  const figures = (doubled: number): Figures => ({ intents: 1, doubled, lost: 0, untrue: 0, undecided: 0, requests: 2, peopleTold: 0, faultsInjected: 1, simulatedMs: 1 })
  const bills: Bill[] = [
    { scenario: 'one', strategy: 'steward', figures: figures(0) }, { scenario: 'one', strategy: 'naive-loop', figures: figures(3) }, { scenario: 'one', strategy: 'competent-queue', figures: figures(1) },
    { scenario: 'two', strategy: 'steward', figures: figures(0) }, { scenario: 'two', strategy: 'naive-loop', figures: null }, { scenario: 'two', strategy: 'competent-queue', figures: figures(9) },
  ]
  expect(totals(bills)).toMatchObject({ 'naive-loop': { doubled: 3, requests: 2 }, 'competent-queue': { doubled: 1, requests: 2 } })
  expect(billText(bills)).toContain('cannot play it')
})
