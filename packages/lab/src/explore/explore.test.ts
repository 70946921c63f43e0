import { describe, expect, it } from 'vitest'
import { exhaust } from './exhaust.ts'
import { runOneCall } from './one-call.ts'
import { actsAt, ENTRIES } from './steps.ts'
import { SUBJECTS } from './subjects.ts'

const cases = SUBJECTS.flatMap((subject) => ENTRIES.map((entry) => [subject.name, entry, subject] as const))

describe('every single fault at every step of one call', () => {
  it.each(cases)('leaves the contract standing: %s, %s', async (_name, entry, subject) => {
    const { singles, failures } = await exhaust(subject, entry, { pairs: false })
    expect(failures.map(({ faults, violations }) => ({ faults, violations }))).toEqual([])
    expect(singles).toBeGreaterThan(40)
  }, 60_000)
})

it('leaves the contract standing under a spread of the pairs; npm run exhaust takes them all', async () => {
  for (const [, entry, subject] of cases.filter(([, entry, subject]) => subject.pairs.includes(entry))) {
    const { pairs, failures } = await exhaust(subject, entry, { everyPair: 101 })
    expect(failures.map(({ faults, violations }) => ({ faults, violations }))).toEqual([])
    expect(pairs).toBeGreaterThan(1_000)
  }
}, 120_000)

it('passes the same steps up to a fault as without it', async () => {
  const subject = SUBJECTS[0]!
  const { steps } = await runOneCall(subject, [], { entry: 'queued' })
  expect(steps.map((step) => (step.at === 'store' ? step.move : step.at))).toEqual(['submit', 'claim', 'claim', 'begin', 'connect', 'arrive', 'work', 'answer', 'finish'])
  const at = steps.length - 2
  const disturbed = await runOneCall(subject, [{ step: at, act: actsAt(steps[at]!)[0]! }], { entry: 'queued' })
  expect(disturbed.struck).toBe(1)
  expect(disturbed.steps.slice(0, at)).toEqual(steps.slice(0, at))
})
