/** Who may send and write, when processes freeze, block and close. */
import { expect, it } from 'vitest'
import type { Call } from '../core/call.ts'
import { natural, none, providerKey, referenced } from '../ports/definition.ts'
import { answers, gate, onEachStore, type Process, scripted, silent, type World } from './world.fixture.ts'

const idempotency = providerKey({ retention: '1h' })

/** A frozen process: its timers stand still, and so does the code it runs. */
function freeze(process: Process): void {
  process.system.frozen = true
}

async function thaw(world: World, process: Process): Promise<void> {
  process.system.frozen = false
  await world.pass(100)
}

onEachStore((make) => {
  it('takes over from a frozen worker within 5s: the attempt is unknown, claimed calls are unharmed', async () => {
    const world = make()
    const door = gate()
    const charge = scripted(world, { idempotency, timeout: '3s' }, door.step, answers({ by: 'second' }))
    const watcher = await world.open({ operations: [charge] })
    const frozen = await world.work({ operations: [charge], concurrency: 1 })
    await world.got(frozen.steward.submit(charge, { key: 'begun', input: {} }))
    await world.until(() => door.entered() === 1)
    await world.got(frozen.steward.submit(charge, { key: 'claimed', input: {} }))
    await world.pass(1_200)
    freeze(frozen)
    const at = world.time.wallMs
    const second = await world.work({ operations: [charge] })
    await world.reaches(charge, 'claimed', 'succeeded')
    await world.reaches(charge, 'begun', 'succeeded')
    expect(world.time.wallMs - at).toBeLessThan(6_000)
    expect(charge.sent).toHaveLength(3)
    expect((await world.call(charge, 'begun')).story.map((entry) => entry.what)).toContain('lapsed')
    expect((await world.call(charge, 'claimed')).attempts).toBe(1)
    const before = await world.call(charge, 'begun')
    // The zombie wakes up with an answer of its own: kept as a fact, it changes nothing else.
    door.release({ by: 'zombie' })
    await thaw(world, frozen)
    await world.pass(2_000)
    const after = await world.call(charge, 'begun')
    expect(after).toMatchObject({ state: 'succeeded', result: { by: 'second' }, attempts: before.attempts })
    expect(after.story.at(-1)).toMatchObject({ what: 'late', verdict: 'applied' })
    expect(frozen.lines.some((line) => line.message.includes('lease was lost'))).toBe(true)
    expect(second.lines.some((line) => line.message.includes('a worker is gone'))).toBe(true)
    expect(await world.alerted()).toEqual([])
    expect(watcher.lines).toEqual([])
  })

  it('takes over what goes on after hundreds of broken records of the same dead worker, and ends its look', async () => {
    const world = make()
    const [broken, whole] = [210, 3]
    const charge = scripted(world, { idempotency: natural('x'), timeout: '2s' }, ...Array.from({ length: broken + whole }, () => silent), answers(1))
    const frozen = await world.work({ operations: [charge], concurrency: 1_000 })
    for (const [name, n] of [['broken', broken], ['whole', whole]] as const) {
      await world.got(frozen.steward.submitMany(charge, Array.from({ length: n }, (_, i) => ({ key: `${name} ${i}`, input: {} }))))
    }
    await world.until(() => charge.sent.length === broken + whole)
    freeze(frozen)
    const rescuer = await world.open({ operations: [charge] })
    rescuer.watched.alter = (method, answer) => (method === 'orphans' ? (answer as Call[]).map((call) => (call.key.startsWith('broken') ? { ...call, facts: null as never } : call)) : answer)
    let looks = 0
    rescuer.watched.refuse = (method) => { if (method === 'orphans' && looks++ > 100) throw new Error('it looks and looks') }
    rescuer.steward.start()
    for (let i = 0; i < whole; i++) await world.reaches(charge, `whole ${i}`, 'succeeded')
    expect(looks).toBeLessThan(50)
    expect((await world.call(charge, 'broken 0')).state).toBe('running')
    expect((await world.alerted()).filter((kind) => kind === 'invariant_broken')).toHaveLength(broken)
  })

  it('works again under a new identity after it lost its lease', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, answers(1))
    const first = await world.work({ operations: [charge] })
    await world.pass(1_000)
    freeze(first)
    const second = await world.work({ operations: [charge] })
    await world.pass(8_000)
    await thaw(world, first)
    await world.got(second.steward.close())
    expect(await world.got(first.steward.perform(charge, { key: 'a', input: {} }))).toMatchObject({ state: 'succeeded' })
    const submitted = await world.got(first.steward.submit(charge, { key: 'b', input: {} }))
    expect(await world.got(submitted.outcome())).toMatchObject({ state: 'succeeded' })
  })

  it('keeps the applied answer of a zombie although the call went in doubt, and closes the doubt with it', async () => {
    const world = make()
    const door = gate()
    const wire = scripted(world, { name: 'wire', idempotency: none('x'), timeout: '60s' }, door.step)
    const second = await world.work({ operations: [wire] })
    const frozen = await world.open({ operations: [wire] })
    const performing = frozen.steward.perform(wire, { key: 'a', input: {}, wait: '100s' }).catch(() => null)
    await world.until(() => door.entered() === 1)
    freeze(frozen)
    await world.reaches(wire, 'a', 'in_doubt')
    door.release(referenced({ id: 'w_1' }, 'w_1'))
    await thaw(world, frozen)
    expect(await world.reaches(wire, 'a', 'succeeded')).toMatchObject({ result: { id: 'w_1' } })
    expect(await world.got(performing)).toMatchObject({ call: { key: 'a' }, attempts: 1 })
    expect(wire.sent).toHaveLength(1)
    expect(second.alerts.map((alert) => alert.kind)).toEqual(['in_doubt'])
  })

  it('lets nothing leave after a stall longer than the lease, until a heartbeat was answered', async () => {
    const world = make()
    const refusals: unknown[] = []
    const door = gate()
    const charge = scripted(world, {
      idempotency, timeout: '60s',
      async send(_input, { fetch }) {
        await door.step(null as never, null)
        try {
          return await fetch('http://127.0.0.1:9/')
        } catch (error) {
          refusals.push((error as { code?: string; refusal?: string }).refusal)
          throw error
        }
      },
    })
    const { steward, watched } = await world.work({ operations: [charge] })
    const performing = steward.perform(charge, { key: 'a', input: {}, wait: '1s' })
    await world.until(() => door.entered() === 1)
    // A blocked event loop: time goes on, no timer ran, no heartbeat was sent.
    watched.refuse = (method) => { if (method === 'pulse') throw new Error('unreachable') }
    world.time.advance(4_100)
    door.release()
    await world.until(() => refusals.length === 1, 5_000)
    expect(refusals).toEqual(['lease'])
    watched.refuse = () => undefined
    await world.got(performing)
  })

  it('begins nothing while its heartbeat cannot be stored, and goes on once it can', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, answers(1))
    const { steward, watched } = await world.work({ operations: [charge] })
    await world.pass(1_000)
    watched.refuse = (method) => { if (method === 'pulse') throw new Error('unreachable') }
    await world.pass(5_000)
    await world.got(steward.submit(charge, { key: 'a', input: {} }))
    await world.pass(5_000)
    expect(charge.sent).toHaveLength(0)
    watched.refuse = () => undefined
    await world.reaches(charge, 'a', 'succeeded')
    expect(charge.sent).toHaveLength(1)
  })

  it('lets begun attempts finish at close, claims nothing more, and gives the rest back at once', async () => {
    const world = make()
    const door = gate()
    const charge = scripted(world, { idempotency, timeout: '30s' }, door.step)
    const leaving = await world.work({ operations: [charge], concurrency: 1 })
    for (const key of ['a', 'b', 'c']) await world.got(leaving.steward.submit(charge, { key, input: {} }))
    await world.until(() => door.entered() === 1)
    const staying = await world.work({ operations: [charge] })
    world.processes.reverse()
    let closed = false
    const closing = leaving.steward.close({ grace: '20s' }).then(() => { closed = true })
    await world.until(() => door.entered() === 3, 1_500)
    await world.pass(3_000)
    expect(closed).toBe(false)
    expect((await world.call(charge, 'a')).state).toBe('running')
    await expect(leaving.steward.submit(charge, { key: 'd', input: {} })).rejects.toMatchObject({ code: 'STEWARD_CLOSED' })
    door.release({ ok: 1 })
    await world.got(closing)
    for (const key of ['a', 'b', 'c']) expect(await world.reaches(charge, key, 'succeeded')).toMatchObject({ attempts: 1 })
    expect(staying.alerts).toEqual([])
    expect(await world.got(staying.steward.find(charge, 'd'))).toBeNull()
    expect(leaving.system.pending).toBe(0)
  })

  it('leaves attempts beyond the grace of close unknown, and another worker goes on at once', async () => {
    const world = make()
    const charge = scripted(world, { idempotency, timeout: '30s' }, silent, answers({ ok: 2 }))
    const leaving = await world.work({ operations: [charge] })
    await world.got(leaving.steward.submit(charge, { key: 'a', input: {} }))
    await world.until(() => charge.sent.length === 1)
    const staying = await world.work({ operations: [charge] })
    world.processes.reverse()
    await world.got(leaving.steward.close({ grace: '2s' }))
    const at = world.time.wallMs
    expect(await world.reaches(charge, 'a', 'succeeded')).toMatchObject({ attempts: 2 })
    expect(world.time.wallMs - at).toBeLessThan(2_000)
    expect(charge.sent[1]?.idempotencyKey).toBe(charge.sent[0]?.idempotencyKey)
    expect(await world.got(staying.steward.alerts())).toEqual([])
  })

  it('rejects who still waits at close, and refuses everything afterwards', async () => {
    const world = make()
    const charge = scripted(world, { idempotency }, answers(1))
    const { steward, system } = await world.open({ operations: [charge] })
    const other = await world.open({ operations: [charge] })
    world.processes.reverse()
    const submitted = await world.got(steward.submit(charge, { key: 'a', input: {} }))
    const waiting = [submitted.outcome(), steward.outcome(charge, 'a'), submitted.outcome({ wait: '1h' })].map((one) => one.catch((error: unknown) => error))
    await world.rest()
    await world.got(steward.close())
    for (const one of waiting) expect(await world.got(one)).toMatchObject({ code: 'STEWARD_CLOSED' })
    await expect(submitted.outcome()).rejects.toMatchObject({ code: 'STEWARD_CLOSED' })
    await expect(steward.outcome(charge, 'a')).rejects.toMatchObject({ code: 'STEWARD_CLOSED' })
    await expect(steward.perform(charge, { key: 'b', input: {} })).rejects.toMatchObject({ code: 'STEWARD_CLOSED' })
    expect(() => steward.start()).toThrow('STEWARD_CLOSED')
    await steward.close()
    await world.pass(2_000)
    expect(system.pending).toBe(0)
    expect(await world.got(other.steward.find(charge, 'a'))).toMatchObject({ state: 'waiting' })
  })

  it('tells an outcome to a process that neither works nor knows the operation', async () => {
    const world = make()
    const door = gate()
    const charge = scripted(world, { idempotency, timeout: '30s' }, door.step)
    const worker = await world.work({ operations: [charge] })
    const asker = await world.open()
    await world.got(worker.steward.submit(charge, { key: 'a', input: {} }))
    await world.until(() => door.entered() === 1)
    const early = await world.got(asker.steward.outcome('charge', 'a', { wait: '1s' }))
    expect(early).toMatchObject({ state: 'running', ended: false })
    const waiting = asker.steward.outcome('charge', 'a')
    door.release({ id: 1 })
    expect(await world.got(waiting, 2_000)).toMatchObject({ state: 'succeeded', result: { id: 1 } })
  })

  it('alerts from a process that only submits when no worker is alive', async () => {
    const world = make()
    const charge = scripted(world, { idempotency, giveUpAfter: '1h' }, answers(1))
    const web = await world.open({ operations: [charge] })
    await world.got(web.steward.submit(charge, { key: 'a', input: {} }))
    await world.until(() => web.alerts.length > 0, 60_000)
    await world.pass(30_000)
    expect(web.alerts.map((alert) => alert.kind)).toEqual(['no_worker'])
    await world.work({ operations: [charge] })
    await world.reaches(charge, 'a', 'succeeded')
  })
})
