/** What a pause and a hold of one scope do to each other. */
import { expect, it } from 'vitest'
import { lifted, withControl } from './scope-controls.ts'
import type { Control } from './store.ts'

const control = (mode: Control['mode'], untilAt: number | null): Control => ({ kind: 'provider', name: 'acme', mode, untilAt, by: 'x', why: 'x', at: 1 })
const [pause, hold, longer] = [control('pause', null), control('hold', 10), control('hold', 20)]
const nothing = { inForce: null, behind: null }

it('keeps the longest hold behind a pause, and puts it in force when that is lifted', () => {
  const paused = withControl(withControl(withControl(nothing, hold), pause), longer)
  expect(paused).toEqual({ inForce: pause, behind: longer })
  expect(withControl(paused, hold)).toBe(paused)
  expect(lifted(paused)).toEqual({ inForce: longer, behind: null })
  expect(lifted(lifted(paused))).toEqual(nothing)
})

it('brings no hold back that a version without such rows left behind when it lifted the pause', () => {
  const left = { inForce: null, behind: control('hold', null) }
  expect(withControl(left, pause)).toEqual({ inForce: pause, behind: null })
  expect(lifted(withControl(left, hold))).toEqual(nothing)
  expect(lifted({ inForce: hold, behind: left.behind })).toEqual(nothing)
})
