/** Found by a second reader: sends after their time, lapses of the wrong attempt, tellings that are none. */
import { describe, expect, it } from 'vitest'
import { natural, none, providerKey, SendVerdict } from '../ports/definition.ts'
import { memoryStore } from '../testing/memory-store.ts'
import { change } from './change.ts'
import { register } from './operation.ts'
import { answers, gate, onEachStore, scripted, throws, World } from './world.fixture.ts'

onEachStore((make) => {
  it('does not run send when its deadline passed while the begin was stored: it certainly did not happen', async () => {
    const world = make()
    const wire = scripted(world, { name: 'wire', idempotency: none('x'), timeout: '200ms' }, answers(1))
    const { steward, watched } = await world.work({ operations: [wire] })
    let slow = true
    watched.alter = (method, answer) => {
      if (method === 'write' && slow) { slow = false; world.time.advance(400) }
      return answer
    }
    await world.got(steward.submit(wire, { key: 'a', input: {}, runAt: world.time.wallMs + 50 }))
    await world.reaches(wire, 'a', 'succeeded')
    expect(wire.sent.map((one) => one.attempt)).toEqual([2])
    expect(await world.alerted()).toEqual([])
    const story = (await world.call(wire, 'a')).story
    expect(story.find((entry) => entry.what === 'closed')).toMatchObject({ attempt: 1, verdict: 'not_applied', why: 'its deadline passed before it was sent' })
  })

  it('does not run send when its deadline may have passed by the clock that others reckon with', async () => {
    const world = make()
    const wire = scripted(world, { name: 'wire', idempotency: none('x'), timeout: '200ms' }, answers(1))
    const { steward, watched } = await world.work({ operations: [wire] })
    let uncertain = true
    watched.alter = (method, answer) => {
      watched.uncertaintyMs = method === 'write' && uncertain ? 250 : 0
      if (method === 'write') uncertain = false
      return answer
    }
    await world.got(steward.submit(wire, { key: 'a', input: {}, runAt: world.time.wallMs + 50 }))
    await world.reaches(wire, 'a', 'succeeded')
    expect(wire.sent.map((one) => one.attempt)).toEqual([2])
    expect((await world.call(wire, 'a')).story.find((entry) => entry.what === 'closed')).toMatchObject({ attempt: 1, verdict: 'not_applied', why: 'its deadline passed before it was sent' })
  })

  it('sends nothing after a sleep in which the monotonic clock stood still', async () => {
    const world = make()
    const charge = scripted(world, { idempotency: natural('x') }, answers(1))
    const { steward, watched } = await world.work({ operations: [charge] })
    let asleep = true
    watched.alter = (method, answer) => {
      if (method === 'write' && asleep) { asleep = false; world.time.wallMs += 600_000 }
      return answer
    }
    const wakesAt = world.time.wallMs + 600_000
    await world.got(steward.submit(charge, { key: 'a', input: {}, runAt: world.time.wallMs + 50, giveUpAfter: '1h' }))
    await world.reaches(charge, 'a', 'succeeded')
    expect(charge.sent.map((one) => one.attempt)).not.toContain(1)
    expect(charge.sent.every((one) => one.at >= wakesAt)).toBe(true)
  })

  it('lapses only the attempt that was seen running, not one begun since', async () => {
    const world = make()
    const door = gate()
    const charge = scripted(world, { idempotency: natural('x') }, door.step)
    const { steward, watched } = await world.work({ operations: [charge] })
    await world.got(steward.submit(charge, { key: 'a', input: {} }))
    await world.until(() => door.entered() === 1)
    const call = await watched.store.find('charge', 'a')
    if (!call) throw new Error('no call')
    const earlier = { ...call, attempts: 0, rev: call.rev - 1 }
    const around = { store: watched.store, system: world.processes[0]?.system as never, recorder: null as never, registered: register(charge) }
    const decision = await change(around, { ...earlier, open: call.open }, { type: 'lapsed', why: 'died' }, { onlyWhileRunning: 7 })
    expect(decision.call.state).toBe('running')
    door.release()
    await world.reaches(charge, 'a', 'succeeded')
    expect((await world.call(charge, 'a')).story.map((entry) => entry.what)).not.toContain('lapsed')
  })

  it('tells of the end that stands, and not of one that was redriven meanwhile', async () => {
    const world = make()
    const told: string[] = []
    let broken = true
    const door = gate()
    const charge = scripted(world, {
      idempotency: providerKey({ retention: '1h' }),
      onSettled: (outcome) => {
        if (broken) throw new Error('orders are down')
        told.push(`${outcome.state} ${outcome.ended}`)
      },
    }, throws(() => new SendVerdict({ kind: 'rejected', reason: 'declined' })), door.step)
    const { steward } = await world.work({ operations: [charge] })
    await world.got(steward.perform(charge, { key: 'a', input: {} }))
    broken = false
    await world.got(steward.redrive(charge, 'a', { by: 'ana', why: 'card replaced' }))
    await world.until(() => door.entered() === 1)
    await world.pass(900)
    door.release({ ok: true })
    await world.reaches(charge, 'a', 'succeeded')
    await world.pass(10_000)
    expect(told).toEqual(['succeeded true'])
    expect(charge.sent).toHaveLength(2)
  })

  it('raises an alert for begun attempts of an operation that no running worker knows', async () => {
    const world = make()
    const door = gate()
    const gone = scripted(world, { name: 'gone', idempotency: natural('x'), timeout: '10s' }, door.step)
    const first = await world.work({ operations: [gone] })
    await world.got(first.steward.submit(gone, { key: 'a', input: {} }))
    await world.until(() => door.entered() === 1)
    first.system.frozen = true
    const other = scripted(world, { name: 'other', idempotency: natural('x') }, answers(1))
    const second = await world.work({ operations: [other] })
    await world.until(() => second.alerts.some((alert) => alert.kind === 'not_understood' && alert.operation === 'gone'), 60_000)
    first.system.frozen = false
    door.release()
    await world.rest()
  })

  it('lets a handler start calls once its transaction is over', async () => {
    const world = make()
    const mail = scripted(world, { name: 'mail', idempotency: natural('x') }, answers(1))
    let submitted: Promise<unknown> | null = null
    const charge = scripted(world, {
      idempotency: natural('x'),
      onSettled: () => {
        setImmediate(() => setImmediate(() => setImmediate(() => { submitted = world.processes[0]?.steward.submit(mail, { key: 'a', input: {} }) ?? null })))
      },
    }, answers(1))
    const { steward } = await world.work({ operations: [charge, mail] })
    await world.got(steward.perform(charge, { key: 'a', input: {} }))
    await world.until(() => submitted !== null)
    await expect(world.got(submitted as unknown as Promise<unknown>)).resolves.toMatchObject({ status: 'created' })
  })
})

describe('a verdict that is not plain data', () => {
  it('is cut down to what can be stored', async () => {
    const world = new World('memory')
    const circular: Record<string, unknown> = {}
    circular['self'] = circular
    const charge = scripted(world, { idempotency: natural('x'), maxAttempts: 1, verdict: () => ({ kind: 'rejected', reason: 'no', status: circular, extra: 5n }) as never }, throws(() => new Error('x')))
    const { steward } = await world.work({ operations: [charge] })
    expect(await world.got(steward.perform(charge, { key: 'a', input: {} }))).toMatchObject({ state: 'rejected' })
    await world.close()
  })
})

it('sends nothing after a sleep of which a store that only estimates the time has not heard yet', async () => {
  const world = new World('memory')
  const { wallMs, monotonic } = world.time
  let slept = 0
  // As the database's time is learned in passing: between two answers it goes on by the monotonic clock.
  const estimated = { now: () => wallMs + world.time.monotonic - monotonic + slept, soon: (fn: () => void) => void setImmediate(fn) }
  const charge = scripted(world, { idempotency: none('x'), timeout: '30s' }, answers(1))
  const { steward, watched } = await world.open({ operations: [charge] }, memoryStore({ system: estimated }))
  steward.start()
  let asleep = true
  watched.alter = (method, answer) => {
    if (method === 'write' && asleep) { asleep = false; world.time.wallMs += 600_000 }
    if (method === 'pulse') slept = world.time.wallMs - wallMs - (world.time.monotonic - monotonic)
    return answer
  }
  await world.got(steward.submit(charge, { key: 'a', input: {}, runAt: world.time.wallMs + 50, giveUpAfter: '1h' }))
  await world.reaches(charge, 'a', 'succeeded')
  expect(charge.sent.map((one) => one.attempt)).toEqual([2])
  expect(charge.sent[0]!.at).toBeGreaterThan(wallMs + 600_000)
  expect((await world.call(charge, 'a')).story.find((entry) => entry.what === 'closed')).toMatchObject({ attempt: 1, verdict: 'not_applied' })
  await world.close()
})
