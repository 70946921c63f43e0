/** What is remembered of an input after its record was pruned. */
import { expect, it } from 'vitest'
import { differingDigests, fieldDigests } from './input.ts'
import type { Json } from './json.ts'

const digests = (input: Json): Readonly<Record<string, string>> => fieldDigests(input, 'salt', (text) => Buffer.from(text).toString('hex').slice(-24).padStart(24, '0') + text)

it.each<[Json, Json]>([
  [{ 'a.b': 1 }, { a: { b: 1 } }],
  [{ 'a[0]': 1 }, { a: [1] }],
  [{ a: { '': 1 } }, { 'a.': 1 }],
  [{ '': 1 }, 1],
  [{ '["a"]': 1 }, { a: 1 }],
  [{ a: {} }, { a: [] }],
])('tells %j from %j', (one, other) => {
  expect(differingDigests(digests(one), digests(other))).not.toEqual([])
  expect(differingDigests(digests(one), digests(one))).toEqual([])
})

it('names the field that differs', () => {
  expect(differingDigests(digests({ order: { amount: 1, 'net.amount': 2 } }), digests({ order: { amount: 1, 'net.amount': 3 } }))).toEqual(['order["net.amount"]'])
})
