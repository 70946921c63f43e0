import { describe, expect, it } from 'vitest'
import { ANSWERS } from './numbers.ts'
import { optionsOf } from './options.ts'
import { held, jsonOf, textOf } from './report.ts'
import { torture } from './run.ts'

describe('torture, a short run of real processes', () => {
  it.for(ANSWERS)('holds every invariant under %s, with processes killed and one frozen', { timeout: 90_000 }, async (answer) => {
    const options = optionsOf(['--answer', answer, '--calls', '150', '--kills', '4', '--freezes', '1', '--seed', '11', '--pace', 'short', '--workers', '2'])
    if (options === 'help') throw new Error('help was not asked for')
    const result = await torture(options, () => undefined)
    expect(held(result), textOf(options, result)).toBe(true)
    expect(jsonOf(options, result)).toMatchObject({ store: 'sqlite', answer, calls: 150, effectsTwice: 0, lost: 0, recordDiffersFromLedger: 0 })
    expect(result.kills).toBeGreaterThanOrEqual(4)
    if (answer !== 'none') expect(result.audit.inDoubt).toBe(0)
  })

  it('refuses options that it does not understand', () => {
    expect(() => optionsOf(['--answer', 'hope'])).toThrow('--answer hope is not one of: providerKey, reconcile, natural, none.')
    expect(() => optionsOf(['--kills', '-1'])).toThrow()
    expect(() => optionsOf(['--store', 'mysql'])).toThrow('--store mysql is not one of: sqlite, postgres.')
    expect(() => optionsOf(['--crashes', '3'])).toThrow('--crashes is for --store postgres')
    expect(optionsOf(['--help'])).toBe('help')
  })
})
