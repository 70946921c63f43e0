import { expect, it } from 'vitest'
import { ageText, table } from './table.ts'

it('aligns columns, and cuts only the last one', () => {
  expect(table(['A', 'LONG'], [['1234', 'x'.repeat(40)], ['1', 'y']], 30)).toBe(`A     LONG\n1234  ${'x'.repeat(23)}…\n1     y`)
})

it('lets no control character of a key or a reason reach the terminal', () => {
  expect(table(['KEY', 'WHY'], [['a\u001b[31mb', 'two\nlines\u009b']], 80)).toBe('KEY      WHY\na [31mb  two lines')
})

it.each([[999, '1s'], [59_000, '59s'], [60_000, '1m'], [3_600_000, '1h'], [172_800_000, '2d'], [-5_000, '5s']])('%i ms are %s', (ms, text) => {
  expect(ageText(ms)).toBe(text)
})
