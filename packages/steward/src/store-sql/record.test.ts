import fc from 'fast-check'
import { expect, test } from 'vitest'
import { newCall } from '../core/call.fixture.ts'
import type { Call } from '../core/call.ts'
import { BETWEEN, encodeBody, encodeInput, recordDecoder } from './record.ts'

const decode = recordDecoder('default')
const roundTrip = (call: Call): Call => decode(`${encodeBody(call)}${BETWEEN}${encodeInput(call)}`)

const whole = fc.integer({ min: 0, max: 2 ** 45 })
const text = fc.string({ unit: 'binary' })
const changes = fc.record<Partial<Call>>({
  state: fc.constantFrom('waiting', 'running', 'accepted', 'checking', 'in_doubt', 'succeeded', 'rejected'),
  effect: fc.constantFrom('happened', 'did_not_happen', 'pending', 'unknown'),
  version: fc.integer({ min: 1, max: 3 }), place: fc.option(whole), priority: fc.integer({ min: -100, max: 100 }), generation: fc.integer({ min: 1, max: 3 }),
  attempts: whole, tries: whole, lapses: whole, rev: whole, firstBegunAt: fc.option(whole), keySpent: fc.boolean(), dueAt: fc.option(whole), expiresAt: fc.option(whole),
  giveUpAt: fc.option(whole), endedAt: fc.option(whole), lastVerdict: fc.option(fc.constantFrom('applied', 'unknown')), reason: text, result: fc.option(text), resultMissing: fc.option(text),
  supersededBy: fc.option(text), supersedes: fc.option(text), group: fc.option(text), given: text, input: fc.option(text), encryptionKeyId: fc.option(text), key: text,
  stop: fc.option(fc.record({ kind: fc.constantFrom('cancel', 'expire'), at: whole, by: text, why: text })),
  lookup: fc.option(fc.record({ since: whole, asked: whole, absences: whole, spent: fc.boolean() })),
  facts: fc.array(fc.record({ kind: fc.constantFrom('applied', 'refuted'), at: whole, by: text }), { maxLength: 3 }),
  open: fc.array(fc.record({ n: whole, generation: whole, worker: text, begunAt: whole, deadlineAt: whole, closedAt: fc.option(whole), verdict: fc.option(fc.constantFrom('unknown', 'accepted')) }), { maxLength: 3 }),
}, { noNullPrototype: true })

test('a record is read as it was written, whatever is in it', () => {
  fc.assert(fc.property(changes, (over) => {
    const call = newCall(over)
    expect(roundTrip(call)).toEqual(call)
  }), { numRuns: 500, seed: 20_261_124 })
})

test('fields of later versions survive, in the company of any others', () => {
  fc.assert(fc.property(changes, fc.string({ minLength: 1 }), (over, words) => {
    const call = { ...newCall(over), fromTomorrow: { words } }
    expect(roundTrip(call)).toEqual(call)
  }), { numRuns: 100, seed: 20_261_124 })
})
