import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { defineOperation, natural, none, type Operation, providerKey, type StandardSchema } from 'steward'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Scenario } from '../scenarios/scenario.ts'
import { check, type Problem, suggestionsFor } from './check.ts'
import { ownScenario, premortem, type Premortem } from './definition.ts'
import { digestOf, provenBy, readProof, writeProof } from './proof.ts'

const anything: StandardSchema<unknown, unknown> = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } }
const charge = (more: Partial<Operation> = {}): Operation => defineOperation({ name: 'charge', input: anything, idempotency: providerKey({ retention: '24h' }), send: () => Promise.resolve({ id: 'ch_1' }), ...more })
const scenario = (id: string, more: Partial<Scenario> = {}): Scenario => ({
  id, title: id, tier: 2, theme: 'identity', question: `${id}?`, incidents: [], invariants: [], naive: { outcome: '', what: '' }, queue: '', does: '', fits: ['providerKey'], run: () => Promise.resolve(), ...more,
})
const CATALOGUE = [scenario('answer-lost', { tier: 1 }), scenario('window-over'), scenario('crash', { tier: 1, fits: ['providerKey', 'none', 'natural', 'reconcile'] }), scenario('only-none', { fits: ['none'] }), scenario('herd', { waitsFor: { what: 'limits' } })]
const own = ownScenario('the card is replaced while we wait', () => Promise.resolve())
const good = (operation: Operation, entries: Premortem['entries'] = ['answer-lost', 'crash', own]): Premortem => premortem(operation, { example: (key) => ({ key }), entries })

let folder: string
let file: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'steward-proof-'))
  file = join(folder, 'steward.proof.json')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const survived = (of: Premortem): void => writeProof(file, { [of.operation.name]: provenBy(of, 7, new Map(of.entries.map((entry) => [typeof entry === 'string' ? entry : entry.title, 'survived']))) })
const problems = (operation: Operation, ...premortems: Premortem[]): readonly Problem[] => check([operation], premortems, readProof(file), CATALOGUE).problems
const kinds = (operation: Operation, ...premortems: Premortem[]): readonly string[] => problems(operation, ...premortems).map((problem) => problem.kind)

describe('a premortem that is proven', () => {
  it('has no problem', () => {
    const of = good(charge())
    survived(of)
    expect(problems(of.operation, of)).toEqual([])
  })

  it('keeps what was proven of other operations, and the file is the same however often it is written', () => {
    const [one, other] = [good(charge()), good(charge({ name: 'payout' }))]
    survived(other)
    survived(one)
    const text = readFileSync(file, 'utf8')
    survived(other)
    expect(readFileSync(file, 'utf8')).toBe(text)
    expect(Object.keys(readProof(file).operations)).toEqual(['charge', 'payout'])
  })
})

describe('what CI fails on', () => {
  it('an operation without a premortem', () => {
    expect(kinds(charge())).toEqual(['no premortem'])
  })
  it('fewer than three entries, and none in the words of the team', () => {
    const of = good(charge(), ['answer-lost', 'crash'])
    survived(of)
    expect(kinds(of.operation, of)).toEqual(['too few', 'none of your own'])
  })
  it('an own scenario whose name says nothing', () => {
    const of = good(charge(), ['answer-lost', 'crash', ownScenario('todo', () => Promise.resolve())])
    survived(of)
    expect(kinds(of.operation, of)).toEqual(['none of your own'])
  })
  it('an unknown scenario, with the words that are known', () => {
    const of = good(charge(), ['anser-lost', 'crash', own])
    survived(of)
    expect(problems(of.operation, of)).toMatchObject([{ kind: 'unknown scenario', given: 'anser-lost', known: CATALOGUE.map((one) => one.id) }])
  })
  it('the same entry twice', () => {
    const of = good(charge(), ['crash', 'crash', own])
    survived(of)
    expect(kinds(of.operation, of)).toEqual(['repeated'])
  })
  it('a premortem that was never run', () => {
    const of = good(charge())
    expect(kinds(of.operation, of)).toEqual(['not proven', 'not proven', 'not proven'])
  })
  it('an entry that the operation did not survive', () => {
    const of = good(charge())
    writeProof(file, { charge: provenBy(of, 7, new Map([['answer-lost', 'survived'], ['crash', 'not handled'], [own.title, 'survived']])) })
    expect(problems(of.operation, of).map((problem) => problem.what)).toEqual(['"crash" is not proven: the operation did not survive it. Run: steward lab charge'])
    writeProof(file, { charge: provenBy(of, 7, new Map([['answer-lost', 'survived'], ['crash', 'does not apply'], [own.title, 'survived']])) })
    expect(problems(of.operation, of)[0]?.what).toContain('it asks nothing of an operation with this answer')
  })
})

describe('what calls for a new proof', () => {
  const changes: Readonly<Record<string, () => Premortem>> = {
    'another version': () => good(charge({ version: 2, upgrade: { 1: (old: unknown) => old } })),
    'other code in send': () => good(charge({ send: () => Promise.resolve({ id: 'ch_2' }) })),
    'another answer': () => good(charge({ idempotency: natural('a PUT') })),
    'another time limit': () => good(charge({ timeout: '5s' })),
    'a lookup': () => good(charge({ idempotency: providerKey({ retention: '24h', lookup: () => Promise.resolve({ absent: true }) }) })),
    'another example': () => premortem(charge(), { example: (key) => ({ key, amount: 1 }), entries: ['answer-lost', 'crash', own] }),
    'other words': () => good(charge(), ['answer-lost', 'crash', ownScenario('the card is stolen while we wait', () => Promise.resolve())]),
    'another run of the own scenario': () => good(charge(), ['answer-lost', 'crash', ownScenario(own.title, async () => { await Promise.resolve() })]),
    'a further entry': () => good(charge(), ['answer-lost', 'crash', own, 'window-over']),
  }
  it.each(Object.entries(changes))('%s', (_name, changed) => {
    survived(good(charge()))
    expect(kinds(charge(), changed())).toContain('not proven')
  })

  it('a change of a file that the premortem names', () => {
    const client = join(folder, 'client.ts')
    const of = (): Premortem => premortem(charge(), { example: (key) => ({ key }), entries: ['answer-lost', 'crash', own], files: [pathToFileURL(client)] })
    writeFileSync(client, 'export const retries = 0')
    survived(of())
    expect(kinds(charge(), of())).toEqual([])
    writeFileSync(client, 'export const retries = 5')
    expect(kinds(charge(), of())).toEqual(['not proven', 'not proven', 'not proven'])
  })

  it('but not a change of layout', () => {
    const dense = new Function('return async () => { return 1 }') as () => Operation['send']
    const loose = new Function('return async () => {\n  return 1\n}') as () => Operation['send']
    expect(digestOf(good(charge({ send: dense() })))).toBe(digestOf(good(charge({ send: loose() }))))
  })
})

it('suggests what fits the answer and was not asked, the most dangerous first', () => {
  const operation = charge()
  expect(suggestionsFor(operation, good(operation, ['crash', own]), CATALOGUE)).toEqual([
    { operation: 'charge', scenario: 'answer-lost', question: 'answer-lost?' }, { operation: 'charge', scenario: 'window-over', question: 'window-over?' },
  ])
  expect(suggestionsFor(charge({ idempotency: none('a fax') }), undefined, CATALOGUE).map((one) => one.scenario)).toEqual(['crash', 'only-none'])
})

it('refuses a proof that it does not understand, and leaves it alone', () => {
  writeFileSync(file, '{"format":"other"}')
  expect(() => readProof(file)).toThrow('is not a proof')
  expect(readFileSync(file, 'utf8')).toBe('{"format":"other"}')
})
