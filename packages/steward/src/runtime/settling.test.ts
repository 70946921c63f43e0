/** The application is told of every end, at least once; on SQLite in the transaction that records it. */
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Outcome } from '../ports/outcome.ts'
import { none, providerKey, SendVerdict } from '../ports/definition.ts'
import { ana, answers, gate, lost, onEachStore, scripted, throws, unreachable, World } from './world.fixture.ts'

const idempotency = providerKey({ retention: '1h' })

onEachStore((make) => {
  it('tells each kind of end once, and a correction again', async () => {
    const world = make()
    const told: string[] = []
    const onSettled = (outcome: Outcome<unknown>): void => void told.push(`${outcome.call.key} ${outcome.state}`)
    const charge = scripted(world, { idempotency, onSettled, maxAttempts: 1 }, answers(1), throws(() => new SendVerdict({ kind: 'rejected', reason: 'declined' })), unreachable)
    const { steward } = await world.work({ operations: [charge] })
    for (const key of ['yes', 'no', 'gone']) await world.got(steward.perform(charge, { key, input: {}, wait: '5s' }))
    await world.got(steward.submit(charge, { key: 'late', input: {}, runAt: world.time.wallMs + 60_000 }))
    await world.got(steward.cancel(charge, 'late', { by: 'ana', why: 'x' }))
    await world.got(steward.confirm(charge, 'no', { by: 'webhook' }))
    await world.got(steward.confirm(charge, 'early', { by: 'webhook' }))
    await world.got(steward.submit(charge, { key: 'early', input: {} }))
    await world.pass(5_000)
    expect(told.sort()).toEqual(['early succeeded', 'gone exhausted', 'late cancelled', 'no rejected', 'no succeeded', 'yes succeeded'])
  })

  it('does not tell of doubt, which is no end', async () => {
    const world = make()
    const told: string[] = []
    const wire = scripted(world, { name: 'wire', idempotency: none('x'), onSettled: (outcome) => void told.push(outcome.state) }, lost)
    const { steward } = await world.work({ operations: [wire] })
    await world.got(steward.perform(wire, { key: 'a', input: {} }))
    await world.pass(5_000)
    expect(told).toEqual([])
  })

  it('calls a throwing handler again while the end stands, and pages when it goes on throwing', async () => {
    const world = make()
    let tries = 0
    const charge = scripted(world, { idempotency, onSettled: () => { if (++tries <= 5) throw new Error('orders are down') } }, answers({ id: 1 }))
    const { steward, alerts } = await world.work({ operations: [charge] })
    expect(await world.got(steward.perform(charge, { key: 'a', input: {} }))).toMatchObject({ state: 'succeeded', result: { id: 1 } })
    await world.until(() => tries === 6, 200_000)
    await world.pass(60_000)
    expect(tries).toBe(6)
    expect(charge.sent).toHaveLength(1)
    expect(alerts.map((alert) => alert.kind)).toEqual(['settle_handler_failing'])
  })

  it.each([['throws undefined', () => { throw undefined }], ['rejects with null', () => Promise.reject(null)]])('counts a handler that %s as not told', async (_name, broken) => {
    const world = make()
    let tries = 0
    const charge = scripted(world, { idempotency, onSettled: () => (++tries === 1 ? broken() : undefined) }, answers(1))
    const { steward } = await world.work({ operations: [charge] })
    await world.got(steward.perform(charge, { key: 'a', input: {} }))
    await world.until(() => tries === 2)
    await world.pass(10_000)
    expect(tries).toBe(2)
  })

  it('says that the end stands, and calls the handler again, when the store does not take down that it threw', async () => {
    const world = make()
    let tries = 0
    const charge = scripted(world, { idempotency, onSettled: () => { if (++tries <= 2) throw new Error('orders are down') } }, answers(1))
    const { steward, watched, lines } = await world.work({ operations: [charge] })
    watched.refuse = (method) => { if (method === 'settleTold') throw new Error('the connection broke') }
    expect(await world.got(steward.perform(charge, { key: 'a', input: {} }))).toMatchObject({ state: 'succeeded' })
    await world.got(steward.submit(charge, { key: 'b', input: {}, runAt: world.time.wallMs + 60_000 }))
    expect(await world.got(steward.cancel(charge, 'b', ana))).toMatchObject({ state: 'cancelled' })
    await world.until(() => tries === 4)
    await world.pass(5_000)
    expect(tries).toBe(4)
    expect(charge.sent).toHaveLength(1)
    expect(lines.map(({ message }) => message).filter((message) => message.includes('could not be stored yet; trying again'))).toEqual([])
    expect(lines).toContainEqual(expect.objectContaining({ level: 'error', message: expect.stringContaining('onSettled threw; the call has ended all the same') as unknown }))
  })

  it('refuses a handler that awaits a submit, which would wait for its own transaction, and stores nothing of it', async () => {
    const world = make()
    const refused: unknown[] = []
    const mail = scripted(world, { name: 'mail', idempotency }, answers(1))
    const charge = scripted(world, {
      idempotency,
      onSettled: async () => {
        await world.processes[0]?.steward.submit(mail, { key: 'a', input: {} }).catch((error: unknown) => refused.push(error))
      },
    }, answers(1))
    const { steward } = await world.work({ operations: [charge, mail] })
    expect(await world.got(steward.perform(charge, { key: 'a', input: {} }))).toMatchObject({ state: 'succeeded' })
    expect(refused).toEqual([expect.objectContaining({ code: 'STEWARD_INSIDE_TRANSACTION' })])
    expect(await world.got(steward.find(mail, 'a'))).toBeNull()
  })

  it('leaves the telling to a process that works, when the end was recorded as the call came in', async () => {
    const world = make()
    const told: string[] = []
    const charge = scripted(world, { idempotency, onSettled: (outcome) => void told.push(outcome.call.key) }, answers(1))
    const web = await world.open({ operations: [charge] })
    await world.got(web.steward.confirm(charge, 'a', { by: 'webhook' }))
    await world.got(web.steward.submit(charge, { key: 'a', input: {} }))
    await world.pass(3_000)
    expect(told).toEqual([])
    await world.work({ operations: [charge] })
    await world.until(() => told.length === 1, 3_000)
    await world.pass(3_000)
    expect(told).toEqual(['a'])
  })

  it('tells all ends that were recorded without the handler at once, however many', async () => {
    const world = make()
    let told = 0
    const charge = scripted(world, { idempotency, onSettled: () => { told++ } }, answers(1))
    const web = await world.open({ operations: [charge] })
    for (let n = 0; n < 120; n++) {
      await world.got(web.steward.confirm(charge, `k${n}`, { by: 'webhook' }))
      await world.got(web.steward.submit(charge, { key: `k${n}`, input: {} }))
    }
    await world.work({ operations: [charge] })
    await world.until(() => told > 0)
    await world.pass(500)
    expect(told).toBe(120)
  })

  it('goes on sending and settling other calls while one handler takes its time', async () => {
    const world = make()
    const door = gate()
    const slow = scripted(world, { name: 'slow', idempotency, onSettled: () => door.step(null as never, null) as Promise<void> }, answers(1))
    const { steward } = await world.work({ operations: [slow] })
    const performing = steward.perform(slow, { key: 'a', input: {} })
    // The store may hold its transaction open meanwhile: only the handler's own end is waited for.
    for (let turn = 0; door.entered() === 0 && turn < 10_000; turn++) await new Promise<void>((resolve) => void setImmediate(resolve))
    door.release()
    expect(await world.got(performing)).toMatchObject({ state: 'succeeded' })
  })
})

describe('on sqlite, with tables of the application in the same file', () => {
  const shop = async (onSettled: Parameters<typeof scripted>[1]['onSettled']) => {
    const world = new World('sqlite')
    onTestFinished(() => world.close())
    const charge = scripted(world, { idempotency, onSettled: onSettled as never }, answers({ id: 'ch_1' }))
    const process = await world.work({ operations: [charge] })
    const db = new DatabaseSync(world.path, { timeout: 5_000 })
    onTestFinished(() => db.close())
    db.exec('CREATE TABLE orders (id TEXT PRIMARY KEY, state TEXT NOT NULL)')
    const orders = (): string[] => db.prepare('SELECT id, state FROM orders ORDER BY id').all().map((row) => `${String(row['id'])} ${String(row['state'])}`)
    return { world, charge, orders, ...process }
  }

  it('commits the row of the application and the end of the call together', async () => {
    const { world, charge, orders, steward } = await shop(async (outcome, { tx }) => {
      await tx?.run('INSERT INTO orders VALUES (?, ?)', outcome.call.key, outcome.state)
      expect(await tx?.all('SELECT count(*) AS n FROM orders')).toEqual([{ n: 1 }])
    })
    await world.got(steward.perform(charge, { key: 'a', input: {} }))
    expect(orders()).toEqual(['a succeeded'])
  })

  it('undoes only the statements of a handler that throws; the end stands, and it is called again', async () => {
    let tries = 0
    const { world, charge, orders, steward } = await shop(async (outcome, { tx }) => {
      await tx?.run('INSERT INTO orders VALUES (?, ?)', outcome.call.key, `try ${++tries}`)
      if (tries === 1) throw new Error('not yet')
    })
    await world.got(steward.perform(charge, { key: 'a', input: {} }))
    expect(orders()).toEqual([])
    expect(await world.call(charge, 'a')).toMatchObject({ state: 'succeeded' })
    await world.until(() => tries === 2)
    await world.rest()
    expect(orders()).toEqual(['a try 2'])
  })

  it('keeps the end when a statement of the handler is refused', async () => {
    let tries = 0
    const { world, charge, orders, steward } = await shop(async (outcome, { tx }) => {
      tries++
      await tx?.run('INSERT INTO orders VALUES (?, ?)', outcome.call.key, outcome.state)
      await tx?.run(tries === 1 ? 'INSERT INTO no_such_table VALUES (1)' : 'COMMIT').catch((error: unknown) => { if (tries === 1) throw error })
    })
    await world.got(steward.perform(charge, { key: 'a', input: {} }))
    expect(orders()).toEqual([])
    await world.until(() => tries === 2)
    await world.rest()
    expect(orders()).toEqual(['a succeeded'])
    expect(charge.sent).toHaveLength(1)
  })
})
