import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { MUTANTS, planted } from './mutants.ts'

it.each(MUTANTS.map((mutant) => [mutant.name, mutant] as const))('%s can be planted: its text stands in the source, once', (_name, mutant) => {
  const source = readFileSync(new URL(`../../../steward/src/${mutant.file}`, import.meta.url), 'utf8')
  expect(planted(mutant, source)).not.toBe(source)
})

it('refuses to plant what has no place any more', () => {
  expect(() => planted(MUTANTS[0]!, 'another source')).toThrow('its text stands 0 times')
})

it('has at least thirty bugs, each under a name of its own', () => {
  expect(MUTANTS.length).toBeGreaterThanOrEqual(30)
  expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length)
})
