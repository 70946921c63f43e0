/** Whatever user code does, the record stays true: send, lookup, verdict functions, onAlert, onSettled. */
import { expect, it, vi } from 'vitest'
import { LIMITS } from '../core/limits.ts'
import { natural, none, providerKey, referenced, SendVerdict } from '../ports/definition.ts'
import { answers, gate, lost, onEachStore, scripted, silent, type Step, throws } from './world.fixture.ts'

const idempotency = none('nobody can be asked')
const trap = new Proxy({}, { get: (_target, name) => { if (name === 'then') return undefined; throw new Error('get') }, getPrototypeOf: () => { throw new Error('proto') }, ownKeys: () => { throw new Error('keys') }, has: () => { throw new Error('has') } })
const getters = { get code() { throw new Error('no code') }, get status() { throw new Error('no status') }, get message() { throw new Error('no message') } }

const THROWN: readonly (readonly [string, unknown])[] = [
  ['text', 'boom'], ['null', null], ['undefined', undefined], ['a number', 42], ['a symbol', Symbol('x')], ['an object with throwing getters', getters],
  ['a trapped proxy', trap], ['a function', () => 1], ['an error whose message throws', Object.defineProperty(new Error('x'), 'message', { get: () => { throw new Error('no') } })],
  ['an error that is its own cause', (() => { const error = new Error('x'); error.cause = error; return error })()],
  ['a verdict of no kind', new SendVerdict({ kind: 'maybe', reason: 'x' } as never)], ['a verdict that claims success', new SendVerdict({ kind: 'applied', result: null } as never)],
  ['a verdict without a reason', new SendVerdict({ kind: 'unknown' } as never)],
]

const hidden = Object.defineProperty({}, 'toJSON', { value: () => { throw new Error('no') } })
let reads = 0
const fickle = { get id() { if (reads++ % 2 === 1) throw new Error('second read'); return 1 } }
const RETURNED: readonly (readonly [string, unknown, object])[] = [
  ['a bigint', 1n, { result: null, resultMissing: expect.any(String) }],
  ['a date', { at: new Date(0) }, { result: null, resultMissing: expect.any(String) }],
  ['a function', () => 1, { result: null, resultMissing: expect.any(String) }],
  ['something huge', 'x'.repeat(LIMITS.resultBytes), { result: null, resultMissing: expect.stringContaining('bytes') }],
  ['a trapped proxy', trap, { result: null, resultMissing: expect.any(String) }],
  ['an object whose toJSON throws', hidden, { result: null, resultMissing: expect.any(String) }],
  ['an object that is read only once', fickle, { result: null, resultMissing: expect.any(String) }],
  ['NaN', Number.NaN, { result: null, resultMissing: expect.any(String) }],
]

onEachStore((make, kind) => {
  const sync = (step: Step): Step => step
  for (const [name, thrown] of kind === 'memory' ? THROWN : THROWN.slice(0, 2)) {
    it(`keeps the outcome unknown when send throws ${name}`, async () => {
      const world = make()
      const wire = scripted(world, { name: 'wire', idempotency }, sync(() => { throw thrown }))
      const { steward } = await world.work({ operations: [wire] })
      expect(await world.got(steward.perform(wire, { key: 'a', input: {} }))).toMatchObject({ effect: 'unknown', state: 'in_doubt', attempts: 1 })
      await world.pass(3_000)
      expect(wire.sent).toHaveLength(1)
      expect(await world.alerted()).toEqual(['in_doubt'])
    })
  }

  for (const [name, value, outcome] of kind === 'memory' ? RETURNED : RETURNED.slice(0, 2)) {
    it(`records that it happened when send returns ${name}`, async () => {
      const world = make()
      reads = 0
      const wire = scripted(world, { name: 'wire', idempotency: natural('x') }, answers(value))
      const { steward } = await world.work({ operations: [wire] })
      expect(await world.got(steward.perform(wire, { key: 'a', input: {} }))).toMatchObject({ effect: 'happened', ...outcome })
      await world.pass(3_000)
      expect(wire.sent).toHaveLength(1)
      expect(await world.alerted()).toEqual(['result_missing'])
    })
  }

  it('records undefined, null and false as results', async () => {
    const world = make()
    const wire = scripted(world, { name: 'wire', idempotency }, answers(undefined), answers(null), answers(false))
    const { steward } = await world.work({ operations: [wire] })
    for (const [key, result] of [['a', null], ['b', null], ['c', false]] as const) expect(await world.got(steward.perform(wire, { key, input: {} }))).toMatchObject({ effect: 'happened', result })
    expect(await world.alerted()).toEqual([])
  })

  it('takes a send that throws before it returns a promise like one that rejects', async () => {
    const world = make()
    const wire = scripted(world, { name: 'wire', idempotency, send: () => { throw Object.assign(new Error('connect'), { code: 'ECONNREFUSED', syscall: 'connect' }) }, maxAttempts: 2 })
    const { steward } = await world.work({ operations: [wire] })
    expect(await world.got(steward.perform(wire, { key: 'a', input: {}, wait: '10s' }))).toMatchObject({ effect: 'did_not_happen', state: 'exhausted', attempts: 2 })
    expect(await world.alerted()).toEqual(['exhausted'])
  })

  it('frees the slot of a send that never settles, and aborts its signal', async () => {
    const world = make()
    const signals: AbortSignal[] = []
    const wire = scripted(world, { name: 'wire', idempotency }, (context) => { signals.push(context.signal); return silent(context, null) })
    const { steward } = await world.work({ operations: [wire], concurrency: 1 })
    const all = Promise.all(['a', 'b', 'c'].map(async (key) => (await steward.submit(wire, { key, input: {} })).outcome()))
    for (const outcome of await world.got(all)) expect(outcome).toMatchObject({ state: 'in_doubt' })
    expect(signals.map((signal) => signal.aborted)).toEqual([true, true, true])
  })

  it('survives a verdict function that throws, returns nonsense or a promise', async () => {
    const world = make()
    const kinds: unknown[] = [() => { throw new Error('verdict broke') }, () => 'rejected', () => Promise.resolve({ kind: 'rejected', reason: 'x' }), () => ({ kind: 'applied', result: '1' }), () => ({ kind: 'unknown', reason: 'x', retryAfterMs: Number.NaN })]
    for (const [n, verdict] of kinds.entries()) {
      const wire = scripted(world, { name: `wire${n}`, idempotency, verdict: verdict as never }, lost)
      const { steward } = world.processes[0] ?? await world.work()
      expect(await world.got(steward.perform(wire, { key: 'a', input: {} }))).toMatchObject({ state: 'in_doubt', attempts: 1 })
      expect(wire.sent).toHaveLength(1)
    }
    expect(new Set(await world.alerted())).toEqual(new Set(['in_doubt']))
  })

  it('does not let a Retry-After that is no number hold or harm anything', async () => {
    const world = make()
    const charge = scripted(world, { idempotency: natural('x') }, throws(() => new SendVerdict({ kind: 'not_applied', reason: 'busy', retryAfterMs: Number.NaN })), answers(1))
    const { steward } = await world.work({ operations: [charge] })
    expect(await world.got(steward.perform(charge, { key: 'a', input: {}, wait: '10s' }))).toMatchObject({ state: 'succeeded', attempts: 2 })
  })

  it('delivers an alert again when onAlert throws, and every other alert meanwhile', async () => {
    const world = make()
    const heard: string[] = []
    const onAlert = vi.fn((alert: { key: string | null }) => { heard.push(String(alert.key)); if (alert.key === 'a' && heard.filter((key) => key === 'a').length < 3) throw new Error('pager is down') })
    const wire = scripted(world, { name: 'wire', idempotency }, lost)
    const { steward } = await world.work({ operations: [wire], onAlert })
    for (const key of ['a', 'b']) await world.got(steward.perform(wire, { key, input: {} }))
    await world.pass(10_000)
    expect(heard.filter((key) => key === 'a')).toHaveLength(3)
    expect(heard.filter((key) => key === 'b')).toHaveLength(1)
    expect(await world.got(steward.alerts({ undeliveredOnly: true }))).toEqual([])
  })

  it('closes although onAlert never settles', async () => {
    const world = make()
    const wire = scripted(world, { name: 'wire', idempotency }, lost)
    const { steward } = await world.work({ operations: [wire], onAlert: () => new Promise(() => { /* never */ }) })
    await world.got(steward.perform(wire, { key: 'a', input: {} }))
    await world.got(steward.close({ grace: '1s' }), 60_000)
    const next = await world.open({ operations: [wire] })
    world.processes.reverse()
    await world.until(() => next.alerts.length === 1)
  })

  it('keeps two references of one call apart, and pages', async () => {
    const world = make()
    const door = gate()
    const charge = scripted(world, { idempotency: providerKey({ retention: '1h' }) }, door.step, answers(referenced({ id: 'ch_2' }, 'ch_2')))
    const { steward } = await world.work({ operations: [charge] })
    await world.got(steward.perform(charge, { key: 'a', input: {}, wait: '20s' }))
    expect((await world.call(charge, 'a')).result).toEqual({ id: 'ch_2' })
    door.release(referenced({ id: 'ch_1' }, 'ch_1'))
    await world.until(async () => (await world.alerted()).includes('effect_twice'))
    await world.pass(10_000)
    expect(await world.alerted()).toEqual(['effect_twice'])
    expect(await world.call(charge, 'a')).toMatchObject({ state: 'succeeded', result: { id: 'ch_2' } })
  })

  it('stops one call whose record does not hold together, pages, and goes on with the others', async () => {
    const world = make()
    const charge = scripted(world, { idempotency: providerKey({ retention: '1h' }) }, answers(1))
    const { steward, watched } = await world.work({ operations: [charge] })
    let altered = 0
    // A claimed call cannot be running: `decide` stops there.
    watched.alter = (method, answer) => (method !== 'claim' ? answer : (answer as { key: string; state: string }[]).map((call) => (call.key === 'bad' && ++altered ? { ...call, state: 'running' } : call)))
    for (const key of ['bad', 'good']) await world.got(steward.submit(charge, { key, input: {}, runAt: world.time.wallMs + 500 }))
    await world.reaches(charge, 'good', 'succeeded')
    await world.pass(2_000)
    expect(altered).toBe(1)
    expect(charge.sent).toHaveLength(1)
    expect(await world.alerted()).toEqual(['invariant_broken'])
    expect(await world.call(charge, 'bad')).toMatchObject({ state: 'waiting', attempts: 0 })
  })

  it('lets the other calls of a batch hear their answers when one answer cannot be worked with', async () => {
    const world = make()
    const door = gate()
    const charge = scripted(world, { idempotency: providerKey({ retention: '1h' }), timeout: '30s' }, door.step)
    const { steward, watched } = await world.work({ operations: [charge] })
    const performing = ['a', 'b', 'c'].map((key) => steward.perform(charge, { key, input: {}, wait: '20s' }))
    await world.until(() => door.entered() === 3)
    let altered = 0
    watched.alter = (method, answer) => (method === 'write' && altered++ === 0 ? [{ ok: false, why: 'rev', call: { story: [], open: null } }, ...(answer as unknown[]).slice(1)] : answer)
    door.release()
    await world.pass(3_000)
    for (const one of performing) expect(await world.got(one)).toMatchObject({ state: 'succeeded' })
    expect(await world.alerted()).toEqual(['invariant_broken'])
  })
})
