/** A store that hands calls out slowly works, and that is why nobody would notice. */
import { expect, it } from 'vitest'
import { natural } from '../ports/definition.ts'
import type { Store } from '../ports/store.ts'
import { answers, scripted, World } from './world.fixture.ts'

it('tells somebody when claims have been slow for a minute, once a day, and not of one alone', async () => {
  const world = new World('memory')
  const charge = scripted(world, { idempotency: natural('x') }, answers(1))
  let slowMs = [90_000]
  const store: Store = new Proxy(world.rawStore(), {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name)
      if (name !== 'claim') return typeof member === 'function' ? (member.bind(target) as unknown) : member
      return async (...query: Parameters<Store['claim']>) => {
        const ms = slowMs.length > 1 ? slowMs[0] : slowMs.pop()
        if (ms !== undefined) await new Promise<void>((resolve) => void world.processes[0]!.system.after(ms, resolve))
        return await target.claim(...query)
      }
    },
  })
  const { steward } = await world.open({ operations: [charge], store })
  // Something to claim every other second, for ten minutes.
  await world.got(steward.submitMany(charge, Array.from({ length: 300 }, (_, n) => ({ key: `o_${n}`, input: {}, runAt: world.time.wallMs + 2_000 * n, giveUpAfter: '1h' }))))
  steward.start()
  await world.pass(120_000)
  expect(await world.alerted()).toEqual([])
  slowMs = [2_000, 2_000]
  await world.until(async () => (await world.alerted()).length > 0)
  await world.pass(200_000)
  expect(await world.alerted()).toEqual(['claims_slow'])
  await world.close()
})

it('tells somebody when claims have been given up for a minute, as soon as the store takes the alert', async () => {
  const world = new World('memory')
  const charge = scripted(world, { idempotency: natural('x'), giveUpAfter: '1h' }, answers(1))
  const { steward, watched, alerts, lines } = await world.open({ operations: [charge] })
  await world.got(steward.submit(charge, { key: 'a', input: {} }))
  let refusals = 0
  watched.refuse = (method) => {
    if (method === 'claim') throw new Error('canceling statement due to statement timeout')
    if (method === 'raise' && refusals++ === 0) throw new Error('not now')
  }
  steward.start()
  await world.pass(50_000)
  expect(await world.alerted()).toEqual([])
  await world.pass(150_000)
  expect(alerts.map(({ kind, message }) => [kind, message])).toEqual([['claims_slow', expect.stringMatching(/given up .*canceling statement/)]])
  expect(lines.some(({ message }) => message.includes('the alert of it could not be stored yet'))).toBe(true)
  watched.refuse = () => undefined
  await world.reaches(charge, 'a', 'succeeded')
  await world.close()
})
