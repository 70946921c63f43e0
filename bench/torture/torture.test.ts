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

  it('holds every invariant on PostgreSQL, with faults of every kind', { timeout: 120_000 }, async () => {
    const line = '--store postgres --answer providerKey --calls 300 --kills 4 --freezes 3 --crashes 1 --cuts 5 --delays 2 --workers 4 --seed 11 --pace short'
    const options = optionsOf(line.split(' '))
    if (options === 'help') throw new Error('help was not asked for')
    const said: string[] = []
    const result = await torture(options, (text) => said.push(text))
    expect(held(result), textOf(options, result)).toBe(true)
    const json = jsonOf(options, result) as Readonly<Record<string, number>>
    expect(json).toMatchObject({ store: 'postgres', effectsTwice: 0, lost: 0, inDoubt: 0, recordDiffersFromLedger: 0 })
    for (const [fault, least] of Object.entries({ kills: 4, freezes: 3, crashes: 1, cuts: 5, delays: 2, rolledBackSubmits: 10, committedSubmits: 20 })) expect(json[fault], fault).toBeGreaterThanOrEqual(least)
    // Where one of these is not to be had, the run says so.
    if (!said.some((text) => text.includes('libfaketime'))) expect(result.falseClocks).toBeGreaterThanOrEqual(1)
    if (!said.some((text) => text.includes('no older version'))) expect(result.olderProcesses).toBeGreaterThanOrEqual(1)
  })

  it('refuses options that it does not understand', () => {
    expect(() => optionsOf(['--answer', 'hope'])).toThrow('--answer hope is not one of: providerKey, reconcile, natural, none.')
    expect(() => optionsOf(['--kills', '-1'])).toThrow()
    expect(() => optionsOf(['--store', 'mysql'])).toThrow('--store mysql is not one of: sqlite, postgres.')
    expect(() => optionsOf(['--crashes', '3'])).toThrow('--crashes is for --store postgres')
    expect(optionsOf(['--help'])).toBe('help')
  })
})
