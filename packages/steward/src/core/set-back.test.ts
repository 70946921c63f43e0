import { expect, it } from 'vitest'
import { after, ev, policyOf, T0 } from './call.fixture.ts'

it('believes the earlier instant when a person says the same loss again', () => {
  const policy = policyOf('providerKey')
  const first = after(policy, [[31, ev.restored(20, 30)]])
  expect(first).toMatchObject({ state: 'waiting', firstBegunAt: T0 + 20 })
  // The provider may have forgotten by now what it was sent then.
  expect(after(policy, [[32, ev.restored(-30, 30)]], first)).toMatchObject({ state: 'in_doubt', firstBegunAt: T0 - 30 })
  expect(after(policy, [[32, ev.restored(25, 30)], [33, ev.restored(20, 30)]], first)).toBe(first)
})
