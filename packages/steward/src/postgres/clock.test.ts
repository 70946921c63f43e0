import fc from 'fast-check'
import { expect, it } from 'vitest'
import { DatabaseClock } from './clock.ts'

/** One statement: how long it took to get there, and to come back; and what passed before it. */
const statements = fc.array(fc.record({ pauseMs: fc.integer({ min: 0, max: 60_000 }), thereMs: fc.double({ min: 0, max: 500, noNaN: true }), backMs: fc.double({ min: 0, max: 500, noNaN: true }), driftMs: fc.double({ min: -3, max: 3, noNaN: true }) }), { minLength: 1, maxLength: 20 })

it('is off by no more than the last way there and back, however the database\'s clock drifts', () => {
  fc.assert(fc.property(fc.integer({ min: 0, max: 2e12 }), statements, (start, all) => {
    let ticks = 1_000
    let database = start
    const clock = new DatabaseClock(() => ticks)
    for (const { pauseMs, thereMs, backMs, driftMs } of all) {
      ticks += pauseMs
      database += pauseMs + driftMs
      const sent = ticks
      ticks += thereMs
      database += thereMs
      const reading = Math.floor(database)
      ticks += backMs
      database += backMs
      clock.learn(reading, sent, ticks)
      expect(Math.abs(clock.now() - database)).toBeLessThanOrEqual(thereMs + backMs + 2)
      // What the clock drifted since the last reading is in neither bound.
      expect(database).toBeLessThanOrEqual(clock.now() + 1 + clock.uncertaintyMs + 3)
      expect(clock.uncertaintyMs).toBeLessThanOrEqual(Math.ceil(thereMs + backMs) + 1)
    }
  }), { seed: 20_261_128, numRuns: 500 })
})

it('moves no further than a reading proves', () => {
  let ticks = 0
  const clock = new DatabaseClock(() => ticks)
  clock.learn(1_000, 0, 0)
  expect(clock.now()).toBe(1_000)
  // A slow answer: the database may be anywhere between 1,000 and 1,301, so that 1,300 stands.
  ticks = 300
  clock.learn(1_000, 0, 300)
  expect(clock.now()).toBe(1_300)
  // A quick one, 40 ms later, proves that it is behind by 100 at least.
  ticks = 340
  clock.learn(1_240, 340, 340)
  expect(clock.now()).toBe(1_241)
})
