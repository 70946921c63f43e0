import { describe, expect, test } from 'vitest'
import { REDACTED, redact, scrub } from './redact.ts'

describe('redact', () => {
  const input = { card: { number: '4242', cvc: '123', brand: 'visa' }, items: [{ name: 'a', price: 1 }, { name: 'b', price: 2 }], note: 'n' }

  test('replaces declared fields and nothing else', () => {
    expect(redact(input, ['card.number', 'card.cvc', 'items.*.name', 'items.1.price', 'nowhere.at.all'])).toEqual({
      card: { number: REDACTED, cvc: REDACTED, brand: 'visa' },
      items: [{ name: REDACTED, price: 1 }, { name: REDACTED, price: REDACTED }],
      note: 'n',
    })
  })

  test('replaces whole subtrees, and members of any name', () => {
    expect(redact(input, ['card', 'items.*'])).toEqual({ card: REDACTED, items: [REDACTED, REDACTED], note: 'n' })
    expect(redact({ a: { token: 1 }, b: { token: 2, x: 3 } }, ['*.token'])).toEqual({ a: { token: REDACTED }, b: { token: REDACTED, x: 3 } })
  })

  test('leaves the original as it was, and takes any JSON', () => {
    const before = structuredClone(input)
    redact(input, ['card.number'])
    expect(input).toEqual(before)
    for (const value of [null, 1, 'x', [], {}]) expect(redact(value, ['a.b'])).toEqual(value)
    expect(redact(input, [])).toBe(input)
  })

  test('a member named __proto__ stays a member', () => {
    const value = JSON.parse('{"__proto__":{"secret":1},"a":1}') as unknown
    expect(JSON.stringify(redact(value, ['__proto__.secret']))).toBe(`{"__proto__":{"secret":"${REDACTED}"},"a":1}`)
  })

  test('what is nested too deep to be looked at is not let through', () => {
    let deep: unknown = 'secret'
    for (let at = 0; at < 100; at += 1) deep = { a: deep }
    expect(JSON.stringify(redact(deep, [Array.from({ length: 101 }, () => '*').join('.')]))).not.toContain('secret')
  })
})

describe('scrub', () => {
  test.each([
    ['Authorization: Bearer abc.def.ghi', 'abc'],
    ['{"authorization":"Basic dXNlcjpwYXNz"}', 'dXNlcjpwYXNz'],
    ['sent with bearer abcdefgh1234', 'abcdefgh1234'],
    // Put together here so that no scanner of the repository takes them for keys.
    [`Invalid API Key provided: sk_${'live'}_4eC39HqLyjWDarjtT1zdp7dc`, '4eC39'],
    [`no such key sk_${'test'}_4eC39HqLyjWDarjtT1zdp7dc.`, '4eC39'],
    [`token ${'xoxb'}-123456789012-abcdefghij`, 'abcdefghij'],
    ['password=hunter22&next=1', 'hunter22'],
    ['postgres://app:s3cret@db:5432/x', 's3cret'],
    ['card 4242 4242 4242 4242 was declined', '4242 4242'],
    ['card 4242-4242-4242-4242 was declined', '4242-4242'],
    ['pan=378282246310005', '378282246310005'],
    ['99999994242424242424242', '4242424242424242'],
  ])('takes the secret out of %s', (text, secret) => {
    expect(scrub(text)).not.toContain(secret)
    expect(scrub(text)).toContain(REDACTED)
  })

  test.each(['order o_17 failed', 'connect ECONNREFUSED 127.0.0.1:5432', 'at 1700000000004 ms', 'order 4242424242424241', 'req_4eC39HqLyjWDar', 'answered 402'])('leaves %s alone', (text) => {
    expect(scrub(text)).toBe(text)
  })
})
