/** What is leased to a process that does not know of it goes on all the same. */
import { expect, it } from 'vitest'
import { StewardError } from '../core/errors.ts'
import { natural } from '../ports/definition.ts'
import { answers, onEachStore, scripted } from './world.fixture.ts'

const idempotency = natural('x')
const unknown = (): never => { throw new StewardError('STEWARD_STORE_UNAVAILABLE', 'the answer got lost', { outcome: 'unknown' }) }

onEachStore((make) => {
  it('gives back what was claimed by a claim whose answer got lost, and sends it once', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, answers(1))
    const { steward, watched } = await world.work({ operations: [charge] })
    let times = 1
    watched.loseAnswer = (method) => { if (method === 'claim' && times-- > 0) unknown() }
    await world.got(steward.submit(charge, { key: 'a', input: {}, runAt: world.time.wallMs + 300 }))
    times = 1
    await world.pass(20_000)
    expect(await world.call(charge, 'a')).toMatchObject({ state: 'succeeded', attempts: 1 })
    expect(charge.sent).toHaveLength(1)
  })

  it('closes as unsent what was inserted as begun when no answer ever came, and sends it later', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, answers(1))
    const { steward, watched } = await world.work({ operations: [charge] })
    await world.pass(1_500)
    let lost = true
    watched.loseAnswer = (method) => { if (method === 'insert' && lost) unknown() }
    await expect(world.got(steward.perform(charge, { key: 'a', input: {} }))).rejects.toMatchObject({ details: { outcome: 'unknown' } })
    lost = false
    expect(charge.sent).toHaveLength(0)
    expect(await world.reaches(charge, 'a', 'succeeded')).toMatchObject({ attempts: 2 })
    expect(charge.sent).toHaveLength(1)
  })

  it('closes it as unsent also while a claim is under way at every look', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, answers(1))
    const { steward, watched } = await world.work({ operations: [charge] })
    await world.pass(1_500)
    let [lost, slow] = [true, true]
    const held: (() => void)[] = []
    watched.alter = (method, answer) => (method === 'claim' && slow ? new Promise((resolve) => void held.push(() => resolve(answer))) : answer)
    watched.loseAnswer = (method) => { if (method === 'insert' && lost) unknown() }
    await expect(world.got(steward.perform(charge, { key: 'a', input: {} }))).rejects.toMatchObject({ details: { outcome: 'unknown' } })
    lost = false
    expect(await world.reaches(charge, 'a', 'waiting')).toMatchObject({ effect: 'did_not_happen', attempts: 1 })
    expect(held).toHaveLength(1)
    slow = false
    held.forEach((release) => release())
    await world.reaches(charge, 'a', 'succeeded')
    expect(charge.sent).toHaveLength(1)
  })

  it('says nothing of an attempt that was settled while it looked', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, answers(1))
    const { steward, watched } = await world.work({ operations: [charge] })
    const other = await world.open({ operations: [charge] })
    await world.pass(1_500)
    let lost = true
    let looks = 0
    watched.loseAnswer = (method) => { if (method === 'insert' && lost) unknown() }
    watched.alter = (method, answer) => (method === 'leasedTo' && looks++ === 0 ? other.steward.confirm(charge, 'a', { by: 'webhook evt_1', reference: 'ch_1' }).then(() => answer) : answer)
    await expect(world.got(steward.perform(charge, { key: 'a', input: {} }))).rejects.toMatchObject({ details: { outcome: 'unknown' } })
    lost = false
    await world.until(() => looks > 0)
    await world.pass(20_000)
    const call = await world.call(charge, 'a')
    expect(call.state).toBe('succeeded')
    expect(call.story.filter((entry) => entry.what === 'late')).toEqual([])
    expect(await world.alerted()).toEqual([])
    expect(charge.sent).toHaveLength(0)
  })

  it('asks the store nothing while nothing got lost', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, answers(1))
    const { steward, watched } = await world.work({ operations: [charge] })
    await world.got(steward.perform(charge, { key: 'a', input: {} }))
    await world.pass(20_000)
    expect(watched.count('leasedTo')).toBe(0)
  })
})
