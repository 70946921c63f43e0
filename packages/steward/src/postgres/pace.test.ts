import { expect, it } from 'vitest'
import { Pace } from './pace.ts'

it('counts a look that was given up for as slow as it was', async () => {
  let ticks = 0
  const pace = new Pace(() => ticks)
  await pace.timed(() => Promise.resolve())
  expect(pace.rests(false)).toBe(false)
  await expect(pace.timed(() => { ticks += 30_000; return Promise.reject(new Error('canceling statement due to statement timeout')) })).rejects.toThrow('timeout')
  expect(pace.rests(false)).toBe(true)
  ticks += 59_999
  expect(pace.rests(false)).toBe(true)
  ticks += 1
  expect(pace.rests(false)).toBe(false)
})
