import { afterEach, beforeEach, expect, it } from 'vitest'
import { turnOverTimers } from './virtual-timers.ts'

type Planned = { readonly at: number; readonly fn: () => void; isStopped: boolean }
let now: number
let planned: Planned[]
let isInside: boolean
let restore: () => void
/** Timers as the code under test finds them: looked up at each call. */
const rest = async (ms: number, value?: unknown, options?: { readonly signal: AbortSignal }) => (await import('node:timers/promises')).setTimeout(ms, value, options)
const timers = { set: (fn: () => void, ms: number) => globalThis['setTimeout'](fn, ms), every: (fn: () => void, ms: number) => globalThis['setInterval'](fn, ms) }

beforeEach(() => {
  ;[now, planned, isInside] = [0, [], true]
  restore = turnOverTimers({
    isInside: () => isInside,
    after(delayMs, fn) {
      const one: Planned = { at: now + delayMs, fn, isStopped: false }
      planned.push(one)
      return () => { one.isStopped = true }
    },
  })
})
afterEach(() => restore())

function pass(ms: number): void {
  const until = now + ms
  for (;;) {
    const next = planned.filter((one) => !one.isStopped && one.at <= until).sort((a, b) => a.at - b.at)[0]
    if (next === undefined) break
    next.isStopped = true
    now = next.at
    next.fn()
  }
  now = until
}

it('runs what was set inside by the time of the world, once', () => {
  let runs = 0
  timers.set(() => runs++, 86_400_000)
  pass(86_399_999)
  expect(runs).toBe(0)
  pass(1)
  pass(86_400_000)
  expect(runs).toBe(1)
})

it('stops, starts again, and repeats', () => {
  let [once, often] = [0, 0]
  const timer = timers.set(() => once++, 1_000)
  pass(900)
  timer.refresh().unref().ref()
  pass(900)
  expect(once).toBe(0)
  clearTimeout(timer)
  const interval = timers.every(() => often++, 100)
  pass(1_000)
  clearInterval(interval)
  pass(1_000)
  expect({ once, often }).toEqual({ once: 0, often: 10 })
})

it('lets promises sleep, and wakes those that are aborted', async () => {
  const stop = new AbortController()
  const slept = rest(60_000, 'rested')
  const woken = rest(60_000, undefined, { signal: stop.signal })
  stop.abort()
  await expect(woken).rejects.toMatchObject({ name: 'AbortError' })
  expect(planned).toHaveLength(1)
  pass(60_000)
  await expect(slept).resolves.toBe('rested')
})

it('aborts signals with a time limit', () => {
  const signal = AbortSignal.timeout(5_000)
  pass(4_999)
  expect(signal.aborted).toBe(false)
  pass(1)
  expect(signal.reason).toMatchObject({ name: 'TimeoutError' })
})

it('leaves timers outside alone, and puts all back', async () => {
  isInside = false
  await new Promise<void>((resolve) => void timers.set(resolve, 1))
  await rest(1)
  expect(planned).toEqual([])
  isInside = true
  restore()
  await new Promise<void>((resolve) => void timers.set(resolve, 1))
  expect(planned).toEqual([])
})
