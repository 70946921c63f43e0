/** What others do to a call while this process holds it. */
import { expect, it } from 'vitest'
import { none, providerKey } from '../ports/definition.ts'
import { ana, answers, gate, lost, onEachStore, scripted, type World } from './world.fixture.ts'

const idempotency = providerKey({ retention: '1h' })

/** A worker whose every slot is taken, with `keys` claimed behind it. */
async function busy(world: World, ...keys: string[]) {
  const door = gate()
  const charge = scripted(world, { idempotency, timeout: '30s' }, door.step)
  const process = await world.work({ operations: [charge], concurrency: 1 })
  for (const key of ['first', ...keys]) await world.got(process.steward.submit(charge, { key, input: {} }))
  await world.until(() => door.entered() === 1)
  await world.pass(1_500)
  return { door, charge, ...process }
}

onEachStore((make) => {
  it('keeps its lease and its other calls when a webhook confirms a running call', async () => {
    const world = make()
    const door = gate()
    const charge = scripted(world, { idempotency, timeout: '30s' }, door.step)
    const { steward, lines } = await world.work({ operations: [charge] })
    for (const key of ['a', 'b', 'c']) await world.got(steward.submit(charge, { key, input: {} }))
    await world.until(() => door.entered() === 3)
    await world.got(steward.confirm(charge, 'a', { by: 'webhook evt_1', reference: 'ch_a' }))
    door.release({ id: 1 })
    await world.pass(3_000)
    expect(lines.filter((line) => line.message.includes('lease was lost'))).toEqual([])
    for (const key of ['a', 'b', 'c']) expect(await world.call(charge, key)).toMatchObject({ state: 'succeeded', attempts: 1 })
    expect(charge.sent).toHaveLength(3)
    expect(await world.alerted()).toEqual([])
  })

  it('keeps its lease when a claimed call is cancelled before it was sent, and never sends that one', async () => {
    const world = make()
    const { door, charge, steward, lines } = await busy(world, 'second', 'third')
    await world.got(steward.cancel(charge, 'second', ana))
    door.release()
    await world.until(() => door.entered() === 2)
    door.release()
    await world.pass(3_000)
    expect(lines.filter((line) => line.message.includes('lease was lost'))).toEqual([])
    expect(await world.call(charge, 'second')).toMatchObject({ state: 'cancelled', attempts: 0 })
    expect(await world.call(charge, 'third')).toMatchObject({ state: 'succeeded' })
    expect(charge.sent).toHaveLength(2)
  })

  it('never sends a claimed call that a fact confirmed meanwhile', async () => {
    const world = make()
    const { door, charge, steward } = await busy(world, 'second')
    await world.got(steward.confirm(charge, 'second', { by: 'webhook' }))
    door.release()
    await world.pass(3_000)
    expect(await world.call(charge, 'second')).toMatchObject({ state: 'succeeded', attempts: 0 })
    expect(charge.sent).toHaveLength(1)
  })

  it('lets a running attempt finish when it is cancelled, and ends by its answer', async () => {
    const world = make()
    const door = gate()
    const yes = scripted(world, { name: 'yes', idempotency, timeout: '30s' }, door.step)
    const no = scripted(world, { name: 'no', idempotency, timeout: '30s' }, door.step)
    const { steward, lines } = await world.work({ operations: [yes, no] })
    await world.got(steward.submit(yes, { key: 'a', input: {} }))
    await world.got(steward.submit(no, { key: 'a', input: {} }))
    await world.until(() => door.entered() === 2)
    expect((await world.got(steward.cancel(yes, 'a', ana))).state).toBe('running')
    expect((await world.got(steward.cancel(no, 'a', ana))).state).toBe('running')
    door.fail(Object.assign(new Error('reset'), { code: 'ECONNRESET' }))
    // What was cancelled while in doubt is not sent again: only a fact or a person ends it.
    await world.pass(5_000)
    expect(await world.call(yes, 'a')).toMatchObject({ state: 'in_doubt', effect: 'unknown', attempts: 1 })
    await world.got(steward.confirm(yes, 'a', { by: 'webhook' }))
    await world.got(steward.refute(no, 'a', { by: 'search', at: world.time.wallMs }))
    expect(await world.call(yes, 'a')).toMatchObject({ state: 'succeeded' })
    expect(await world.call(no, 'a')).toMatchObject({ state: 'cancelled', effect: 'did_not_happen' })
    expect(lines.filter((line) => line.message.includes('lease was lost'))).toEqual([])
  })

  it('gives claimed calls back at a pause, to be taken by nobody until resume', async () => {
    const world = make()
    const { door, charge, steward } = await busy(world, 'second', 'third')
    const other = await world.work({ operations: [charge], concurrency: 4 })
    await world.got(steward.pause({ operation: 'charge' }, ana))
    door.release()
    await world.pass(5_000)
    expect(await world.call(charge, 'first')).toMatchObject({ state: 'succeeded' })
    expect(charge.sent).toHaveLength(1)
    await world.got(other.steward.resume({ operation: 'charge' }, ana))
    await world.until(() => { door.release(); return charge.sent.length === 3 }, 5_000)
  })

  it('sends nothing that is begun after a pause was confirmed in another process', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, answers(1))
    const worker = await world.work({ operations: [charge] })
    const other = await world.open({ operations: [charge] })
    await world.pass(1_000)
    await world.got(other.steward.pause({ provider: 'charge' }, ana))
    await world.got(worker.steward.perform(charge, { key: 'direct', input: {}, wait: '1s' }))
    await world.got(worker.steward.submit(charge, { key: 'queued', input: {} }))
    await world.pass(10_000)
    expect(charge.sent).toHaveLength(0)
    expect(await world.call(charge, 'direct')).toMatchObject({ state: 'waiting', attempts: 0 })
  })

  it('takes an answer whose record arrived although the store said nothing, once', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, answers({ id: 1 }))
    const { steward, watched, lines } = await world.work({ operations: [charge] })
    let losses = 0
    watched.loseAnswer = (method, [batch]) => {
      const ends = method === 'write' && (batch as { call: { state: string } }[]).some((one) => one.call.state === 'succeeded')
      if (ends && ++losses === 1) throw new Error('the answer of the store got lost')
    }
    expect(await world.got(steward.perform(charge, { key: 'a', input: {}, wait: '10s' }))).toMatchObject({ state: 'succeeded' })
    await world.pass(3_000)
    const call = await world.call(charge, 'a')
    expect(losses).toBeGreaterThan(0)
    expect(call.story.filter((entry) => entry.what === 'closed' || entry.what === 'late')).toHaveLength(1)
    expect(lines.filter((line) => line.message.includes('lease was lost'))).toEqual([])
    expect(charge.sent).toHaveLength(1)
  })

  it('sends nothing when the begin could not be confirmed, and goes on when the store answers again', async () => {
    const world = make()
    const wire = scripted(world, { name: 'wire', idempotency: none('x') }, answers({ id: 1 }))
    const { steward, watched } = await world.work({ operations: [wire] })
    let losses = 0
    watched.loseAnswer = (method, [batch]) => {
      const begins = method === 'write' && (batch as { call: { state: string } }[]).some((one) => one.call.state === 'running')
      if (begins && ++losses === 1) throw new Error('the answer of the store got lost')
    }
    await world.got(steward.submit(wire, { key: 'a', input: {}, runAt: world.time.wallMs + 500 }))
    const call = await world.reaches(wire, 'a', 'succeeded', 'in_doubt')
    expect(call).toMatchObject({ state: 'succeeded', attempts: 2 })
    expect(wire.sent).toHaveLength(1)
    expect(losses).toBeGreaterThan(0)
  })

  it('keeps an answer while the store refuses writes, and records it once the store is back', async () => {
    const world = make()
    const wire = scripted(world, { name: 'wire', idempotency: none('x') }, answers({ id: 1 }))
    const { steward, watched } = await world.work({ operations: [wire] })
    let refused = 0
    watched.refuse = (method, [batch]) => {
      if (method === 'write' && (batch as { call: { state: string } }[]).some((one) => one.call.state === 'succeeded') && refused < 3) { refused++; throw new Error('disk') }
    }
    expect(await world.got(steward.perform(wire, { key: 'a', input: {}, wait: '20s' }))).toMatchObject({ state: 'succeeded', attempts: 1 })
    expect(refused).toBe(3)
    expect(wire.sent).toHaveLength(1)
  })

  it('stops trying to record an answer once it is closed', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, answers({ id: 1 }))
    const { steward, watched, system, lines } = await world.work({ operations: [charge] })
    watched.refuse = (method, [batch]) => {
      if (method === 'write' && (batch as { call: { state: string } }[]).some((one) => one.call.state === 'succeeded')) throw new Error('disk')
    }
    const performing = steward.perform(charge, { key: 'a', input: {}, wait: '60s' }).catch((error: unknown) => error)
    await world.until(() => charge.sent.length === 1)
    await world.got(steward.close({ grace: '1s' }))
    expect(await world.got(performing)).toMatchObject({ code: 'STEWARD_CLOSED' })
    const complaints = lines.length
    await world.pass(20_000)
    expect(lines).toHaveLength(complaints)
    expect(system.pending).toBe(0)
  })

  it('tries again after a hold although a begin was refused before: no attempt counts as out that is not', async () => {
    const world = make()
    const door = gate()
    const charge = scripted(world, { idempotency, timeout: '30s', holdAfter: { refusals: 1 }, giveUpAfter: '10m' }, door.step)
    const { steward } = await world.work({ operations: [charge], concurrency: 1 })
    for (const key of ['first', 'second', 'third']) await world.got(steward.submit(charge, { key, input: {} }))
    await world.until(() => door.entered() === 1)
    await world.pass(1_500)
    await world.got(steward.cancel(charge, 'second', ana))
    door.release()
    await world.until(() => door.entered() === 2)
    door.fail(Object.assign(new Error('401'), { status: 401 }))
    await world.until(() => door.entered() === 3, 30_000)
    door.release()
    expect(await world.reaches(charge, 'third', 'succeeded')).toMatchObject({ attempts: 2 })
  })

  it('leaves a call alone that ended between being found overdue and being written', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, answers(1))
    const { steward, watched, lines } = await world.work({ operations: [charge] })
    await world.got(steward.perform(charge, { key: 'a', input: {} }))
    const ended = await watched.store.find('charge', 'a')
    watched.alter = (method, answer) => (method === 'overdue' ? [{ ...ended, state: 'waiting', effect: 'did_not_happen', endedAt: null, facts: [], rev: 1, giveUpAt: 1 }] : answer)
    await world.pass(2_500)
    expect(lines).toEqual([])
    expect(await world.call(charge, 'a')).toMatchObject({ state: 'succeeded' })
    expect(await world.alerted()).toEqual([])
  })

  it('frees every slot and counter, whatever the guards say', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, lost, answers(1))
    const { steward, watched } = await world.work({ operations: [charge], concurrency: 2 })
    let n = 0
    watched.loseAnswer = (method) => { if (method === 'write' && n++ % 3 === 0) throw new Error('lost') }
    const all = Promise.all(Array.from({ length: 20 }, async (_, k) => (await steward.submit(charge, { key: `k${k}`, input: {} })).outcome()))
    for (const outcome of await world.got(all, 600_000)) expect(outcome.state).toBe('succeeded')
    watched.loseAnswer = () => undefined
    expect(await world.got(steward.perform(charge, { key: 'last', input: {}, wait: '5s' }))).toMatchObject({ state: 'succeeded' })
  })
})

onEachStore((make) => {
  it('joins the same call from many submitters at once, in several processes', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, answers({ id: 1 }))
    const processes = [await world.work({ operations: [charge] }), await world.work({ operations: [charge] }), await world.open({ operations: [charge] })]
    const all = Promise.all(Array.from({ length: 60 }, (_, n) => processes[n % 3]!.steward.submit(charge, { key: 'same', input: { amount: 5 } })))
    const submitted = await world.got(all)
    expect(submitted.filter((one) => one.status === 'created')).toHaveLength(1)
    expect(new Set(submitted.map((one) => one.id)).size).toBe(1)
    await world.reaches(charge, 'same', 'succeeded')
    await world.pass(2_000)
    expect(charge.sent).toHaveLength(1)
    await expect(world.got(processes[2]!.steward.submit(charge, { key: 'same', input: { amount: 6 } }))).rejects.toMatchObject({ code: 'STEWARD_KEY_REUSED', details: { fields: ['amount'] } })
  })
})
