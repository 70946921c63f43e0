import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Bench } from './phases.ts'
import { type Figures, jsonOf, median, type Round, tableOf } from './report.ts'

const round = (over: Partial<Round>): Round => ({ raw: 10_000, submit: 70_000, drain: 5_000, live: 4_000, liveInTwo: 4_000, drainRssMb: 100, drainCpuUs: 90, ...over })

describe('the figures of the benchmark', () => {
  it('are medians, and ratios are taken within a round', () => {
    expect(median([3, 1, 2])).toBe(2)
    expect(median([4, 1, 3, 2])).toBe(2.5)
    const figures: Figures = { store: 'sqlite', rounds: [round({}), round({ raw: 20_000, drain: 6_000 }), round({ raw: 5_000, drain: 3_000 })] }
    expect(jsonOf(figures)).toMatchObject({ raw: 10_000, drain: 5_000, drainToRaw: 0.5 })
  })

  it('say which targets are met and which are not', () => {
    const table = tableOf({ store: 'sqlite', rounds: [round({ submit: 30_000 })], recoveryMs: 900, commitMs: 0.25, latency: { p50Ms: 3, p99Ms: 9 } })
    expect(table).toMatch(/by this machine's raw +3\.00 × raw.*1\.64× {2}met/)
    expect(table).toMatch(/at 50\/s, median +3\.00 ms.*NOT MET/)
    expect(table).toMatch(/by this machine's commits +12\.00 commits.* {2}met/)
    expect(table).toMatch(/submit, one by one.*0\.50× {2}NOT MET/)
    expect(table).toMatch(/drain, one process.*0\.50 × raw.*met/)
    expect(table).toMatch(/recovery of 50 in flight +900 ms .*0\.18× {2}met/)
    expect(table).not.toContain('perform')
  })
})

describe('the phases of the benchmark, at a small size', () => {
  let bench: Bench
  beforeAll(async () => { bench = await Bench.start() })
  afterAll(async () => bench.stop())

  it('measure a bare pool, and a backlog worked off by a fresh worker', async () => {
    expect((await bench.raw(200)).rate).toBeGreaterThan(0)
    expect(await bench.commitMs()).toBeGreaterThan(0)
    const drained = await bench.drain(200)
    expect(drained.rate).toBeGreaterThan(0)
    expect(drained.rssMb).toBeGreaterThan(20)
  })

  it('measure how long it takes until the calls of a killed worker are recorded by another', async () => {
    expect(await bench.recovery()).toBeLessThan(15_000)
  })
})
