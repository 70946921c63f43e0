import { describe, expect, it } from 'vitest'
import { auditWorld } from '../auditor/index.ts'
import { fault, FAULT_KINDS } from '../faults/kinds.ts'
import { createWorld } from '../sim/world.ts'
import { STANDARD } from './operations.ts'
import { STANDARD_KINDS } from './plan.ts'
import { runWorkload } from './run.ts'

const again = (seed: number): string => `seed ${seed}: npm run simulate -- --calls 60 --seeds 1 --first-seed ${seed}`

describe('the standard workload', () => {
  it.each([1, 2, 3, 4, 5, 6])('holds under drawn faults, and runs the same twice: seed %i', async (seed) => {
    const once = await runWorkload({ seed, calls: 60 })
    const twice = await runWorkload({ seed, calls: 60 })
    expect([...once.safety, ...once.liveness], again(seed)).toEqual([])
    expect(once.figures, again(seed)).toMatchObject({ doubled: 0, lost: 0, untrue: 0 })
    expect(once.figures.intents).toBeGreaterThanOrEqual(60)
    expect(twice.traceHash, again(seed)).toBe(once.traceHash)
    expect(once.figures.faultsInjected).toBeGreaterThan(0)
  }, 60_000)

  it('runs another way from another seed', async () => {
    const [one, other] = [await runWorkload({ seed: 1, calls: 20 }), await runWorkload({ seed: 2, calls: 20 })]
    expect(one.traceHash).not.toBe(other.traceHash)
  })

  it('holds on SQLite, where answers take real time', async () => {
    const { safety, liveness, figures } = await runWorkload({ seed: 7, calls: 8, store: 'sqlite' })
    expect([...safety, ...liveness]).toEqual([])
    expect(figures).toMatchObject({ doubled: 0, lost: 0, untrue: 0 })
    expect(figures.intents).toBeGreaterThanOrEqual(8)
  }, 120_000)

  it('draws from at least 40 kinds of faults at 20 of the injection points', () => {
    expect(STANDARD_KINDS.length).toBeGreaterThanOrEqual(40)
    expect(new Set(FAULT_KINDS.filter(({ kind }) => STANDARD_KINDS.includes(kind)).map(({ point }) => point)).size).toBeGreaterThanOrEqual(20)
  })

  it('has no effect twice under keys, whatever the database lost: they are derived', async () => {
    for (const seed of [1, 2, 3]) {
      const { safety, liveness, figures } = await runWorkload({ seed, calls: 60, operations: ['stripeV1', 'stripeV2', 'adyenPayments', 'ietfDraftApi'], kinds: ['db.loses-commits', 'net.answer-lost', 'worker.dies', 'provider.error-before'] })
      const rules = new Set([...safety, ...liveness].map(({ rule }) => rule))
      expect(figures.doubled, again(seed)).toBe(0)
      // What was acknowledged and then lost is nowhere: the database's promise was broken, not Steward's.
      expect([...rules].filter((rule) => rule !== 'kept' && rule !== 'begun-before-sent'), again(seed)).toEqual([])
      expect(rules.has('kept')).toBe(true)
    }
  })

  it('finds the second effect of a provider that forgets a key', async () => {
    const world = await createWorld({ seed: 1, operations: [STANDARD.stripeV1()] })
    world.inject(fault('net.answer-lost', { parameters: { times: 1 } }))
    world.inject(fault('keys.forgotten', { parameters: { times: 2 } }))
    await world.submit('charge-stripe-v1', { key: 'o_1', input: { orderId: 'o_1', amount: 100 } })
    await world.advance(60_000)
    const { safety } = await auditWorld(world)
    await world.close()
    expect(safety.map(({ rule }) => rule)).toContain('one-effect')
  })
})
