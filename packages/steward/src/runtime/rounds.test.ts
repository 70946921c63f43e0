/** When the store is asked what there is to do: by a store that takes its time to answer. */
import { expect, it } from 'vitest'
import type { Pulse, Store } from '../ports/store.ts'
import { Rounds } from './rounds.ts'
import { VirtualSystem, VirtualTime } from './world.fixture.ts'

const NOTHING: Pulse = { alive: false, controlsRev: 0, todo: { dead: false, overdue: false, settles: false, alerts: false }, nextDueAt: null }

function world() {
  const time = new VirtualTime()
  const system = new VirtualSystem(time)
  const answers: ((pulse: Pulse) => void)[] = []
  const asked: string[] = []
  let operations: readonly string[] = []
  const store = { now: () => time.wallMs, pulseMs: 1_000, pulse: ({ operations }) => new Promise((resolve) => { asked.push(operations.join()); answers.push(resolve) }) } as Pick<Store, 'now' | 'pulseMs' | 'pulse'> as Store
  const silent = { info: () => undefined, warn: () => undefined, error: () => undefined }
  const rounds = new Rounds({ store, system, log: silent, lease: () => null, operations: () => operations, lanes: () => [], onPulse: () => undefined })
  let turns = 0
  return {
    rounds, asked,
    works: (...names: string[]): void => { operations = names },
    answer: async (): Promise<void> => { answers.shift()?.(NOTHING); await new Promise<void>((resolve) => void setImmediate(resolve)) },
    /** @returns how many timers went off. */
    pass: (ms: number): number => {
      const from = turns
      for (const endMs = time.monotonic + ms; system.nextAt() <= endMs;) {
        time.advance(Math.max(0, system.nextAt() - time.monotonic))
        turns++
        system.runDue()
      }
      return turns - from
    },
  }
}

it('waits for a heartbeat that is not answered without looking at the clock all the time', async () => {
  const { rounds, asked, answer, pass } = world()
  rounds.start()
  await answer()
  rounds.beat({ worker: 'w1', epoch: 1 }, 0).catch(() => undefined)
  expect(pass(30_000)).toBeLessThan(60)
  expect(asked).toHaveLength(2)
  await answer()
  pass(2_500)
  expect(asked).toHaveLength(3)
})

it('asks at once when there is work to be told of, also where an earlier question is not answered yet', async () => {
  const { rounds, asked, works, answer, pass } = world()
  rounds.start()
  works('charge')
  rounds.start()
  expect(pass(60_000)).toBeLessThan(60)
  await answer()
  pass(1)
  expect(asked).toEqual(['', 'charge'])
})
