/** Facts: whenever they come, in whatever order, from whomever. */
import { expect, it } from 'vitest'
import { none, providerKey, referenced, SendVerdict } from '../ports/definition.ts'
import { answers, gate, lost, onEachStore, scripted, throws } from './world.fixture.ts'

const idempotency = providerKey({ retention: '1h' })
const webhook = { by: 'webhook evt_1', reference: 'ch_1' }

onEachStore((make) => {
  it('creates a call succeeded and never sends it when its key was confirmed before', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, answers(1))
    const { steward } = await world.work({ operations: [charge] })
    expect(await world.got(steward.confirm(charge, 'a', { ...webhook, result: { id: 'ch_1' } }))).toBeNull()
    expect(await world.got(steward.confirm(charge, 'a', { ...webhook, result: { id: 'ch_1' } }))).toBeNull()
    expect(await world.got(steward.perform(charge, { key: 'a', input: {} }))).toMatchObject({ state: 'succeeded', attempts: 0, result: { id: 'ch_1' } })
    await world.pass(2_000)
    expect(charge.sent).toHaveLength(0)
    expect(await world.alerted()).toEqual([])
  })

  it('pages when two facts that came before the call name two effects', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, answers(1))
    const { steward, alerts } = await world.work({ operations: [charge] })
    await world.got(steward.confirm(charge, 'a', webhook))
    await world.got(steward.confirm(charge, 'a', { by: 'webhook evt_2', reference: 'ch_2' }))
    await world.got(steward.submit(charge, { key: 'a', input: {} }))
    await world.until(() => alerts.length > 0, 5_000)
    expect(await world.alerted()).toEqual(['effect_twice'])
    expect(charge.sent).toHaveLength(0)
  })

  it('pages when a call is confirmed whose record, pruned by now, ended as not happened', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, throws(() => new SendVerdict({ kind: 'rejected', reason: 'declined' })))
    const { steward, alerts } = await world.work({ operations: [charge], keepEndedFor: '20s' })
    await world.got(steward.perform(charge, { key: 'a', input: {} }))
    await world.until(async () => (await steward.find(charge, 'a')) === null)
    for (let times = 0; times < 2; times++) {
      await expect(world.got(steward.confirm(charge, 'a', webhook))).rejects.toMatchObject({ code: 'STEWARD_CALL_NOT_FOUND', details: { state: 'rejected' } })
    }
    await world.until(() => alerts.length > 0, 5_000)
    expect(await world.alerted()).toEqual(['corrected'])
    expect(alerts[0]).toMatchObject({ key: 'a', operation: 'charge', severity: 'page' })
  })

  it('sends a call whose key was only refuted before', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, answers(1))
    const { steward } = await world.work({ operations: [charge] })
    await world.got(steward.refute(charge, 'a', { by: 'search', at: world.time.wallMs }))
    expect(await world.got(steward.perform(charge, { key: 'a', input: {} }))).toMatchObject({ state: 'succeeded', attempts: 1 })
  })

  it('keeps one end and no alert when a webhook comes before or after the answer, or many times', async () => {
    const world = make()
    const door = gate()
    const charge = scripted(world, { idempotency, timeout: '30s' }, door.step)
    const { steward } = await world.work({ operations: [charge] })
    const performing = steward.perform(charge, { key: 'a', input: {} })
    await world.until(() => door.entered() === 1)
    await world.got(steward.confirm(charge, 'a', webhook))
    door.release(referenced({ id: 'ch_1' }, 'ch_1'))
    expect(await world.got(performing)).toMatchObject({ state: 'succeeded' })
    await world.pass(1_000)
    for (let n = 0; n < 3; n++) await world.got(steward.confirm(charge, 'a', webhook))
    const call = await world.call(charge, 'a')
    expect(call.story.filter((entry) => entry.what === 'fact')).toHaveLength(1)
    expect(call).toMatchObject({ state: 'succeeded', result: { id: 'ch_1' } })
    expect(await world.alerted()).toEqual([])
  })

  it('keeps a refutation that comes after it happened, and alerts', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, answers(1))
    const { steward } = await world.work({ operations: [charge] })
    await world.got(steward.perform(charge, { key: 'a', input: {} }))
    await world.pass(10)
    await world.got(steward.refute(charge, 'a', { by: 'export', at: world.time.wallMs, reason: 'not in the file' }))
    expect(await world.call(charge, 'a')).toMatchObject({ state: 'succeeded', effect: 'happened' })
    expect(await world.alerted()).toEqual(['contradicted'])
  })

  it('corrects "did not happen" loudly when evidence says that it did', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, throws(() => new SendVerdict({ kind: 'rejected', reason: 'declined' })))
    const { steward } = await world.work({ operations: [charge] })
    expect(await world.got(steward.perform(charge, { key: 'a', input: {} }))).toMatchObject({ state: 'rejected' })
    await world.got(steward.confirm(charge, 'a', webhook))
    expect(await world.call(charge, 'a')).toMatchObject({ state: 'succeeded', effect: 'happened' })
    expect(await world.alerted()).toEqual(['corrected'])
  })

  it('pages when two references are known, whatever the order', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, answers(referenced({ id: 1 }, 'ch_1')))
    const { steward } = await world.work({ operations: [charge] })
    await world.got(steward.perform(charge, { key: 'a', input: {} }))
    await world.got(steward.confirm(charge, 'a', { by: 'webhook evt_2', reference: 'ch_2' }))
    await world.got(steward.confirm(charge, 'a', { by: 'webhook evt_3', reference: 'ch_2' }))
    expect(await world.alerted()).toEqual(['effect_twice'])
  })

  it('does not let a refutation of the past cover an attempt that was over later', async () => {
    const world = make()
    const wire = scripted(world, { name: 'wire', idempotency: none('x') }, lost)
    const { steward } = await world.work({ operations: [wire] })
    await world.got(steward.perform(wire, { key: 'a', input: {} }))
    await world.got(steward.refute(wire, 'a', { by: 'export of yesterday', at: world.time.wallMs - 60_000 }))
    expect(await world.call(wire, 'a')).toMatchObject({ state: 'in_doubt' })
    await world.pass(1_000)
    await world.got(steward.refute(wire, 'a', { by: 'export of today', at: world.time.wallMs }))
    expect((await world.call(wire, 'a')).state).not.toBe('in_doubt')
    expect(await world.alerted()).toEqual(['in_doubt'])
  })

  it('keeps facts of several processes at once, none lost', async () => {
    const world = make()
    const wire = scripted(world, { name: 'wire', idempotency: none('x') }, lost)
    const one = await world.work({ operations: [wire] })
    const two = await world.open({ operations: [wire] })
    await world.got(one.steward.perform(wire, { key: 'a', input: {} }))
    await world.got(Promise.all(Array.from({ length: 20 }, (_, n) => (n % 2 ? one : two).steward.confirm(wire, 'a', { by: `webhook ${n}`, reference: 'w_1' }))))
    expect((await world.call(wire, 'a')).story.filter((entry) => entry.what === 'fact')).toHaveLength(20)
    expect(await world.alerted()).toEqual(['in_doubt'])
  })
})
