/** The world itself: time, processes, the network and the database behave as their real counterparts do. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { fault } from '../faults/kinds.ts'
import { STANDARD } from '../workload/operations.ts'
import { seeded } from './random.ts'
import { Scheduler } from './scheduler.ts'
import { createWorld, type SimOptions, type SimWorld } from './world.ts'

const order = (key: string) => ({ key, input: { orderId: key, amount: 100 } })

async function inWorld(options: Partial<SimOptions>, play: (world: SimWorld) => Promise<void>): Promise<void> {
  const world = await createWorld({ seed: 1, operations: [STANDARD.stripeV1()], ...options })
  try {
    await play(world)
  } finally {
    await world.close()
  }
}

describe('a world that is closed', () => {
  it('is let go, with all its processes, dead ones and those whose attempts were overdue', async () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const closed: WeakRef<SimWorld>[] = []
    for (const seed of [1, 2, 3]) {
      await inWorld({ seed }, async (world) => {
        closed.push(new WeakRef(world))
        for (const kind of ['keys.in-flight', 'worker.dies-while-provider-works']) {
          world.inject(fault(kind, { parameters: { ms: 60_000, times: 1 } }))
          await world.submit('charge-stripe-v1', order(kind))
          await world.advance(120_000)
        }
      })
    }
    await new Promise(setImmediate)
    collect()
    expect(closed.map((world) => world.deref() === undefined)).toEqual([true, true, true])
  })
})

describe('virtual time', () => {
  const scheduler = (seed: number, calmUntilMs: () => number | null = () => null) => new Scheduler({ random: seeded(seed), lateMs: 1_000, busy: () => false, calmUntilMs })
  const orderOf = async (seed: number): Promise<string> => {
    const line = scheduler(seed)
    let text = ''
    for (const name of 'abcdef') line.after(5, null, () => { text += name })
    line.after(1, null, () => { text += '1' })
    await line.advanceTo(10)
    return text
  }

  it('orders what falls on one instant by the seed', async () => {
    const [one, again, other] = [await orderOf(1), await orderOf(1), await orderOf(2)]
    expect(one).toBe(again)
    expect(one).not.toBe(other)
    expect([...one].sort().join('')).toBe('1abcdef')
    expect(one[0]).toBe('1')
  })

  it('lets everything that an event set off come to rest before the next one', async () => {
    const line = scheduler(1)
    const seen: string[] = []
    line.after(1, null, () => { void (async () => { for (let n = 0; n < 100; n++) await Promise.resolve(); seen.push('rested') })() })
    line.after(2, null, () => void seen.push('next'))
    await line.advanceTo(5)
    expect(seen).toEqual(['rested', 'next'])
  })

  it('runs rounds late in calm times, and on time otherwise', async () => {
    const runsOf = async (calmUntilMs: () => number | null): Promise<number> => {
      const line = scheduler(1, calmUntilMs)
      let runs = 0
      const round = (): void => { runs++; line.after(10, null, round, true) }
      line.after(10, null, round, true)
      await line.advanceTo(10_000)
      return runs
    }
    expect(await runsOf(() => null)).toBe(1_000)
    expect(await runsOf(() => Number.POSITIVE_INFINITY)).toBeLessThan(12)
  })
})

describe('a process', () => {
  it('sends nothing more once it is killed, and somebody else finishes its call', () => inWorld({ workers: 2, lease: '4s' }, async (world) => {
    await world.submit('charge-stripe-v1', order('o_1'), 'a')
    await world.until(() => world.providers.get('stripe-v1')!.ledger.requests.length === 1, 5_000)
    for (const name of ['a', 'b']) world.kill(name)
    await world.advance(60_000)
    expect(world.providers.get('stripe-v1')!.ledger.requests).toHaveLength(1)
    await world.spawn('c')
    await world.advance(60_000)
    expect(await world.belief('charge-stripe-v1', 'o_1')).toMatchObject({ state: 'succeeded', effect: 'happened' })
    expect(world.providers.get('stripe-v1')!.ledger.effects).toHaveLength(1)
  }))

  it('does at its thaw what waited, and what it handed over before went on without it', () => inWorld({ workers: 1, lease: '4s' }, async (world) => {
    await world.submit('charge-stripe-v1', order('o_1'))
    await world.until(() => world.providers.get('stripe-v1')!.ledger.requests.length === 1, 5_000)
    world.freeze('a')
    await world.advance(3_000)
    expect(world.providers.get('stripe-v1')!.ledger.effects).toHaveLength(1)
    expect(await world.belief('charge-stripe-v1', 'o_1')).toMatchObject({ state: 'running' })
    world.thaw('a')
    await world.advance(3_000)
    expect(await world.belief('charge-stripe-v1', 'o_1')).toMatchObject({ state: 'succeeded' })
  }))

  it("stops at the gate what a frozen process would send after its deadline", () => inWorld({ workers: 2, lease: '4s', keepTrace: true }, async (world) => {
    world.inject(fault('worker.freezes-before-leaving', { parameters: { ms: 30_000 } }))
    await world.submit('charge-stripe-v1', order('o_1'))
    await world.advance(90_000)
    expect(world.trace.filter((line) => line.endsWith('is stopped by the gate'))).toHaveLength(1)
    expect(world.providers.get('stripe-v1')!.ledger.effects).toHaveLength(1)
    expect(await world.belief('charge-stripe-v1', 'o_1')).toMatchObject({ state: 'succeeded' })
  }))
})

describe('the database', () => {
  it('loses what was committed after a backup that is restored', () => inWorld({ workers: 1 }, async (world) => {
    await world.submit('charge-stripe-v1', order('o_1'))
    await world.advance(5_000)
    world.inject(fault('db.loses-commits', { parameters: { ms: 3_000 } }))
    await world.submit('charge-stripe-v1', order('o_2'))
    await world.advance(10_000)
    expect(await world.belief('charge-stripe-v1', 'o_1')).toMatchObject({ state: 'succeeded' })
    expect(await world.belief('charge-stripe-v1', 'o_2')).toBeNull()
    // The caller asks again; the key is derived, so the provider knows it.
    await world.submit('charge-stripe-v1', order('o_2'))
    await world.advance(10_000)
    expect(world.providers.get('stripe-v1')!.ledger.effects.filter(({ businessKey }) => businessKey === 'o_2')).toHaveLength(1)
  }))

  it('refuses to the face of the caller while it is down', () => inWorld({ workers: 1 }, async (world) => {
    world.inject(fault('db.down', { forMs: 30_000 }))
    expect(await world.submit('charge-stripe-v1', order('o_1'))).toMatchObject({ acknowledgedAt: null, refused: expect.stringContaining('STEWARD_STORE_UNAVAILABLE') as string })
  }))
})

it('names an operation whose send ignores the key it declared', () => inWorld({ workers: 1, operations: [STANDARD.stripeV1({ ignoresKey: true })] }, async (world) => {
  await world.submit('charge-stripe-v1', order('o_1'))
  await world.advance(5_000)
  const call = await world.observer.find('charge-stripe-v1', 'o_1')
  expect(JSON.stringify(call?.story)).toContain('declares a provider key')
}))

describe('a person', () => {
  const inDoubt = (play: (world: SimWorld) => Promise<void>) => inWorld({ workers: 1, operations: [STANDARD.keylessBlind()] }, async (world) => {
    world.inject(fault('net.answer-lost', { parameters: { times: 1 } }))
    await world.submit('charge-keyless-blind', order('o_1'))
    await world.advance(15 * 60_000)
    expect(await world.belief('charge-keyless-blind', 'o_1')).toMatchObject({ state: 'in_doubt' })
    await play(world)
  })

  it('settles a doubt by what the books of the provider say', () => inDoubt(async (world) => {
    world.inject(fault('operator.settles'))
    await world.advance(60_000)
    expect(await world.belief('charge-keyless-blind', 'o_1')).toMatchObject({ state: 'succeeded', effect: 'happened' })
  }))

  it('who settles wrongly is corrected by a webhook, loudly', () => inDoubt(async (world) => {
    world.inject(fault('operator.settles-wrongly'))
    await world.advance(60_000)
    expect(await world.belief('charge-keyless-blind', 'o_1')).toMatchObject({ state: 'cancelled', effect: 'did_not_happen' })
    world.inject(fault('webhook.early'))
    await world.advance(120_000)
    expect(await world.belief('charge-keyless-blind', 'o_1')).toMatchObject({ state: 'succeeded', effect: 'happened' })
    expect(world.alerts.map(({ alert }) => alert.kind)).toContain('corrected')
  }))
})
