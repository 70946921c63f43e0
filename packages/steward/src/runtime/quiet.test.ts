/** Work that must wait is left alone: no loop of claim, give back, hint, claim. Store calls are counted over virtual seconds. */
import { expect, it } from 'vitest'
import { natural, none, providerKey } from '../ports/definition.ts'
import { ana, answers, gate, lost, onEachStore, type Process, scripted, status, type World } from './world.fixture.ts'

const idempotency = providerKey({ retention: '1h' })
const CLAIMS = ['claim', 'giveBack', 'nextDueAt', 'write'] as const

/** How many claims, give-backs and writes a second of waiting costs. */
async function perSecond(world: World, { watched }: Process, seconds = 5): Promise<number> {
  const before = watched.count(...CLAIMS)
  await world.pass(seconds * 1_000)
  return (watched.count(...CLAIMS) - before) / seconds
}

onEachStore((make) => {
  it('asks little of the store while nothing is due', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, answers(1))
    const process = await world.work({ operations: [charge] })
    await world.pass(1_000)
    expect(await perSecond(world, process)).toBeLessThan(10)
  })

  it.each([['operation', { operation: 'charge' }], ['provider', { provider: 'charge' }], ['group', { group: 'acme' }]] as const)('leaves due calls of a paused %s alone, and sends them after resume', async (_name, scope) => {
    const world = make()
    const charge = scripted(world, { idempotency }, answers(1))
    const process = await world.work({ operations: [charge] })
    const { steward } = process
    await world.got(steward.pause(scope, ana))
    for (const key of ['a', 'b', 'c']) await world.got(steward.submit(charge, { key, input: {}, group: 'acme' }))
    await world.pass(1_000)
    expect(await perSecond(world, process)).toBeLessThan(10)
    expect(charge.sent).toHaveLength(0)
    await world.got(steward.resume(scope, ana))
    await world.until(() => charge.sent.length === 3, 5_000)
  })

  it('sends calls of other groups on time while one group is paused', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, answers(1))
    const { steward } = await world.work({ operations: [charge] })
    await world.got(steward.pause({ group: 'acme' }, ana))
    await world.got(steward.submit(charge, { key: 'paused', input: {}, group: 'acme' }))
    await world.pass(3_000)
    const at = world.time.wallMs
    await world.got(steward.submit(charge, { key: 'free', input: {}, group: 'other' }))
    await world.until(() => charge.sent.length === 1, 5_000)
    expect((charge.sent[0]?.at ?? 0) - at).toBeLessThan(50)
  })

  it('waits quietly while one attempt is out on probation', async () => {
    const world = make()
    const door = gate()
    const charge = scripted(world, { idempotency, timeout: '20s', holdAfter: { refusals: 1 }, giveUpAfter: '10m' }, status(401), door.step)
    const process = await world.work({ operations: [charge] })
    for (let n = 0; n < 20; n++) await world.got(process.steward.submit(charge, { key: `k${n}`, input: {} }))
    await world.until(() => door.entered() === 1)
    await world.pass(1_000)
    expect(await perSecond(world, process)).toBeLessThan(20)
    expect(door.entered()).toBe(1)
    door.release()
    await world.until(() => { door.release(); return charge.sent.length >= 21 })
  })

  it('leaves a call in doubt of an older version alone', async () => {
    const world = make()
    const old = scripted(world, { idempotency: natural('x') }, lost)
    const first = await world.work({ operations: [old] })
    await world.got(first.steward.submit(old, { key: 'a', input: {} }))
    await world.until(() => old.sent.length === 1)
    await world.got(first.steward.close())
    const next = scripted(world, { idempotency: natural('x'), version: 2, upgrade: { 1: (input: never) => input } }, answers(1))
    const process = await world.work({ operations: [next] })
    await world.pass(1_000)
    expect(await perSecond(world, process)).toBeLessThan(10)
    expect(next.sent).toHaveLength(0)
    world.processes.reverse()
  })

  it('leaves calls in doubt alone', async () => {
    const world = make()
    const wire = scripted(world, { idempotency: none('x'), giveUpAfter: '2s' }, lost)
    const process = await world.work({ operations: [wire] })
    for (let n = 0; n < 3; n++) await world.got(process.steward.submit(wire, { key: `k${n}`, input: {} }))
    await world.pass(5_000)
    expect(await perSecond(world, process)).toBeLessThan(15)
    expect(wire.sent).toHaveLength(3)
  })

  it('keeps trying a store that refuses claims, a few times a second', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, answers(1))
    const process = await world.work({ operations: [charge] })
    await world.got(process.steward.submit(charge, { key: 'later', input: {}, runAt: world.time.wallMs + 2_000 }))
    process.watched.refuse = (method) => { if (method === 'claim') throw new Error('busy') }
    await world.pass(3_000)
    expect(await perSecond(world, process)).toBeLessThan(20)
    expect(charge.sent).toHaveLength(0)
    process.watched.refuse = () => undefined
    await world.until(() => charge.sent.length === 1, 2_000)
  })
})
