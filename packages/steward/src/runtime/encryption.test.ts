/** Rows in plain text, under another key, or under none that is known here, beside each other. */
import { expect, it } from 'vitest'
import { natural } from '../ports/definition.ts'
import { answers, onEachStore, scripted, unreachable, type World } from './world.fixture.ts'

const idempotency = natural('x')
const k1 = new Uint8Array(32).fill(1)
const k2 = new Uint8Array(32).fill(2)

async function stored(world: World, key: string): Promise<string> {
  const { watched } = await world.open()
  return JSON.stringify(await watched.store.find('charge', key))
}

onEachStore((make) => {
  it('reads rows written before encryption was switched on, and seals them with their next write', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, unreachable, unreachable, answers({ ok: 1 }))
    const plain = await world.open({ operations: [charge] })
    await world.got(plain.steward.submit(charge, { key: 'old', input: { card: 'plain-before' } }))
    expect(await stored(world, 'old')).toContain('plain-before')
    const { steward } = await world.work({ operations: [charge], encryption: { use: 'k1', keys: { k1 } } })
    await world.until(() => charge.sent.length === 2)
    await world.rest()
    expect(await stored(world, 'old')).not.toContain('plain-before')
    await world.until(async () => (await steward.find(charge, 'old'))?.state === 'succeeded')
    expect(await world.got(steward.find(charge, 'old'))).toMatchObject({ input: { card: 'plain-before' }, result: { ok: 1 } })
    expect(charge.sent.map((one) => one.input)).toEqual(Array.from({ length: 3 }, () => ({ card: 'plain-before' })))
  })

  it('reads an input that looks like a sealed one, and reseals under a new key', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, answers(1))
    const first = await world.open({ operations: [charge], encryption: { use: 'k1', keys: { k1 } } })
    const input = { sealed: 'k1', context: 'x', data: 'y' }
    await world.got(first.steward.submit(charge, { key: 'a', input }))
    expect(await stored(world, 'a')).toContain('sealed:1:k1:')
    const { steward } = await world.work({ operations: [charge], encryption: { use: 'k2', keys: { k1, k2 } } })
    await world.until(async () => (await steward.find(charge, 'a'))?.state === 'succeeded')
    expect(charge.sent).toMatchObject([{ input }])
    const now = await stored(world, 'a')
    expect(now).toContain('sealed:1:k2:')
    expect(now).not.toContain('sealed:1:k1:')
  })

  it('goes on with the other calls beside one whose key it was not given', async () => {
    const world = make()
    const charge = scripted(world, { idempotency, giveUpAfter: '1h' }, answers(1))
    const first = await world.open({ operations: [charge], encryption: { use: 'k1', keys: { k1 } } })
    await world.got(first.steward.submit(charge, { key: 'old', input: {} }))
    const { steward } = await world.work({ operations: [charge], encryption: { use: 'k2', keys: { k2 } } })
    const [old, good] = await world.got(Promise.allSettled([steward.submit(charge, { key: 'old', input: {} }), steward.submit(charge, { key: 'good', input: {} })]))
    expect(old).toMatchObject({ status: 'rejected', reason: { code: 'STEWARD_ENCRYPTION_KEY_MISSING', details: { encryptionKeyId: 'k1' } } })
    expect(good.status).toBe('fulfilled')
    await world.until(async () => (await steward.find(charge, 'good'))?.state === 'succeeded')
    await world.pass(70_000)
    expect(charge.sent).toHaveLength(1)
    expect((await world.got(steward.alerts())).filter((alert) => alert.kind === 'unreadable')).toHaveLength(1)
    expect(await world.got(steward.list())).toMatchObject([{ key: 'old', state: 'waiting', input: expect.stringContaining('key "k1"') as string }, { key: 'good', input: {} }])
  })

  it('sends nothing sealed from a process without encryption, refuses to show it, and leaves it to one with the key', async () => {
    const world = make()
    const charge = scripted(world, { idempotency, giveUpAfter: '1h' }, answers(1))
    const encryption = { use: 'k1', keys: { k1 } }
    const first = await world.open({ operations: [charge], encryption })
    await world.got(first.steward.submit(charge, { key: 'z', input: { amount: 1 } }))
    const { steward } = await world.work({ operations: [charge] })
    await world.pass(5_000)
    expect(charge.sent).toHaveLength(0)
    await expect(world.got(steward.find(charge, 'z'))).rejects.toMatchObject({ code: 'STEWARD_ENCRYPTION_KEY_MISSING' })
    await world.got(steward.close())
    first.steward.start()
    await world.reaches(charge, 'z', 'succeeded')
    expect(charge.sent).toMatchObject([{ input: { amount: 1 } }])
  })
})
