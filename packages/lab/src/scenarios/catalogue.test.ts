/** The catalogue is whole, and what Steward promises to survive it survives, under every answer. */
import { describe, expect, it } from 'vitest'
import type { OperationSource } from '../contract.ts'
import { STANDARD } from '../workload/operations.ts'
import { ANSWERS, brief, holds, sourcesOf } from './answers.ts'
import { CATALOGUE, scenarioOf } from './catalogue.ts'
import { INVARIANTS } from './invariants.ts'
import { play } from './run.ts'
import type { Scenario } from './scenario.ts'

describe('the catalogue', () => {
  it('has the 42 failure modes, each with a question, an incident with its source, an invariant and a run', () => {
    expect(CATALOGUE).toHaveLength(42)
    expect(new Set(CATALOGUE.map((scenario) => scenario.id)).size).toBe(42)
    for (const scenario of CATALOGUE) {
      expect(scenario.question, scenario.id).toContain('?')
      expect(scenario.incidents.length, scenario.id).toBeGreaterThan(0)
      for (const { source } of scenario.incidents) expect(source.url, scenario.id).toMatch(/^https?:\/\/\S+$/)
      expect(scenario.invariants.every((id) => id in INVARIANTS), scenario.id).toBe(true)
      expect(scenario.fits.length, scenario.id).toBeGreaterThan(0)
    }
  })
})

describe('on the memory store', () => {
  describe.each(holds.map((scenario) => [scenario.id, scenario] as const))('%s', (_id, scenario) => {
    it.each(sourcesOf(scenario))('is survived under %s', async (_answer, source) => {
      const { verdict, findings } = await play(scenario, { seed: 11, source, contracts: [brief] })
      expect({ verdict, findings }).toEqual({ verdict: 'survived', findings: [] })
    }, 60_000)
  })
})

describe('what Steward does not have yet', () => {
  const waiting = CATALOGUE.filter((scenario) => scenario.waitsFor !== undefined)
  it.each(waiting.map((scenario) => [scenario.id, scenario] as const))('%s runs, and says honestly what it waits for when it does not hold', async (_id, scenario) => {
    const { verdict, findings, waitsFor } = await play(scenario, { seed: 11, source: ANSWERS['reconcile'] as OperationSource, contracts: [brief] })
    expect(verdict).toMatch(/^(waits|survived)$/)
    expect(waitsFor).toBe(findings.length === 0 ? null : (scenario.waitsFor?.what ?? null))
  }, 60_000)

  it('shows as not handled: a provider that is flooded, and effects out of order', async () => {
    for (const id of ['rate-limit-fought', 'slow-tenant-blocks-the-line', 'effects-out-of-order']) {
      expect((await play(scenarioOf(id) as Scenario, { seed: 11, source: STANDARD.stripeV1() })).verdict, id).toBe('waits')
    }
  }, 60_000)
})

describe('a run', () => {
  it('is the same run twice with the same seed, and another with another', async () => {
    const hash = async (seed: number): Promise<string> => (await play(scenarioOf('no-thread-to-pull') as Scenario, { seed, source: STANDARD.stripeV1() })).traceHash
    expect(await hash(5)).toBe(await hash(5))
    expect(await hash(6)).not.toBe(await hash(5))
  })

  it('finds what is wrong with an operation that makes a key for each attempt', async () => {
    const careless = STANDARD.stripeV1({ ignoresKey: true })
    const { verdict, findings, story, figures } = await play(scenarioOf('response-lost-after-effect') as Scenario, { seed: 1, source: careless })
    expect(verdict).toBe('not handled')
    expect(figures.doubled).toBeGreaterThan(0)
    expect(findings.join('\n')).toContain('without the key that the operation declares')
    expect(story?.title).toContain('charge-stripe-v1')
  })
})
