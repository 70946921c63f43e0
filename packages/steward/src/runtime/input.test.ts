/** Bad input is refused to the caller's face: a coded error that says what to do, and nothing stored or sent. */
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { StewardError } from '../core/errors.ts'
import { LIMITS } from '../core/limits.ts'
import { natural, none, type OperationDefinition, providerKey, reconcile } from '../ports/definition.ts'
import type { Operation, SubmitOptions } from './api.ts'
import { defineOperation } from './operation.ts'
import { ana, answers, anything, onEachStore, scripted, World } from './world.fixture.ts'

class Money { readonly amount = 1 }
const cyclic: Record<string, unknown> = {}
cyclic['self'] = cyclic
const hidden = {}
Object.defineProperty(hidden, 'toJSON', { value: () => undefined })

const INPUTS: readonly (readonly [string, unknown, string])[] = [
  ['undefined', undefined, 'UNSERIALISABLE'],
  ['a function', () => 1, 'UNSERIALISABLE'],
  ['a symbol', { a: Symbol('x') }, 'UNSERIALISABLE'],
  ['a date', { at: new Date(0) }, 'UNSERIALISABLE'],
  ['a bigint', { amount: 1n }, 'UNSERIALISABLE'],
  ['NaN', { amount: Number.NaN }, 'UNSERIALISABLE'],
  ['Infinity', { amount: Number.POSITIVE_INFINITY }, 'UNSERIALISABLE'],
  ['a cycle', cyclic, 'UNSERIALISABLE'],
  ['a getter that throws', { get amount() { throw new Error('no') } }, 'UNSERIALISABLE'],
  ['a getter that throws no error', { get amount() { throw null } }, 'UNSERIALISABLE'],
  ['an instance of a class', { money: new Money() }, 'UNSERIALISABLE'],
  ['a Map', new Map(), 'UNSERIALISABLE'],
  ['a hole in an array', [1, , 2], 'UNSERIALISABLE'],
  ['an own toJSON that leaves nothing', hidden, 'UNSERIALISABLE'],
  ['256 KiB of text', { text: 'x'.repeat(LIMITS.inputBytes) }, 'TOO_LARGE'],
  ['256 KiB of three-byte letters', { text: '€'.repeat(LIMITS.inputBytes / 3) }, 'TOO_LARGE'],
]

const KEYS: readonly (readonly [string, unknown])[] = [
  ['empty', ''], ['too long', 'k'.repeat(LIMITS.keyChars + 1)], ['a number', 7], ['null', null], ['undefined', undefined], ['an object', {}],
  ['with a NUL', 'a\u0000b'], ['with a newline', 'a\nb'], ['with DEL', 'a\u007f'], ['half a surrogate pair', 'a\ud800'],
]

const OPTIONS: readonly (readonly [string, Record<string, unknown>, string])[] = [
  ['runAt that is no date', { runAt: new Date('x') }, 'OPTION_INVALID'],
  ['runAt as text', { runAt: '2030-01-01' }, 'OPTION_INVALID'],
  ['expiresAt in the past', { expiresAt: 1 }, 'OPTION_INVALID'],
  ['expiresAt NaN', { expiresAt: Number.NaN }, 'OPTION_INVALID'],
  ['priority of 101', { priority: 101 }, 'OPTION_INVALID'],
  ['priority of a half', { priority: 0.5 }, 'OPTION_INVALID'],
  ['priority NaN', { priority: Number.NaN }, 'OPTION_INVALID'],
  ['an empty group', { group: '' }, 'OPTION_INVALID'],
  ['a group that is a number', { group: 4 }, 'OPTION_INVALID'],
  ['a group with a character that a database cannot hold', { group: 'a\u0000b' }, 'OPTION_INVALID'],
  ['a group with half of a surrogate pair', { group: 'a\ud83d' }, 'OPTION_INVALID'],
  ['giveUpAfter 0', { giveUpAfter: 0 }, 'DURATION_INVALID'],
  ['giveUpAfter of words', { giveUpAfter: 'soon' }, 'DURATION_INVALID'],
  ['supersedes of an unknown key', { supersedes: 'nobody' }, 'SUPERSEDES_REFUSED'],
  ['supersedes of itself', { supersedes: 'k' }, 'SUPERSEDES_REFUSED'],
  ['supersedes of nothing', { supersedes: '' }, 'SUPERSEDES_REFUSED'],
]

const DURATIONS: readonly unknown[] = [0, -1, Number.NaN, Number.POSITIVE_INFINITY, '', '0s', '10', 'ten seconds', '1y', '-5s', '1h30m', null, {}, 10n, 4e11]

async function refusal(run: () => unknown): Promise<StewardError> {
  try {
    await run()
  } catch (error) {
    expect(error).toBeInstanceOf(StewardError)
    return error as StewardError
  }
  throw new Error('was not refused')
}

onEachStore((make, kind) => {
  /** What is judged before the store is asked is shown on one store, for the sake of time. */
  const sample = <Row>(rows: readonly Row[]): readonly Row[] => (kind === 'memory' ? rows : rows.slice(-1))
  const shop = async (schema: OperationDefinition<unknown, unknown, unknown>['input'] = anything) => {
    const world = make()
    const charge = scripted(world, { idempotency: providerKey({ retention: '1h' }), input: schema }, answers({ ok: 1 }))
    const process = await world.work({ operations: [charge] })
    /** Nothing was stored, sent or alerted, and the same process goes on serving. */
    const unharmed = async (): Promise<void> => {
      await world.pass(300)
      expect(await world.got(process.steward.list())).toEqual([])
      expect(charge.sent).toEqual([])
      expect(await world.alerted()).toEqual([])
    }
    const refused = async (options: unknown): Promise<StewardError> => {
      for (const way of ['perform', 'submitMany'] as const) {
        await refusal(() => world.got<unknown>(way === 'perform' ? process.steward.perform(charge, options as SubmitOptions<unknown>) : process.steward.submitMany(charge, [{ key: 'fine', input: { a: 1 } }, options as SubmitOptions<unknown>])))
      }
      return await refusal(() => world.got(process.steward.submit(charge, options as SubmitOptions<unknown>)))
    }
    return { world, charge, ...process, unharmed, refused }
  }

  it.each(sample(INPUTS))('refuses %s as an input', async (_name, input, code) => {
    const { refused, unharmed } = await shop()
    const error = await refused({ key: 'k', input })
    expect(error.code).toBe(`STEWARD_INPUT_${code}`)
    expect(error.message).toContain('Nothing was stored or sent')
    await unharmed()
  })

  it.each(sample(KEYS))('refuses a key that is %s', async (_name, key) => {
    const { refused, unharmed, steward, charge, world } = await shop()
    const error = await refused({ key, input: {} })
    expect(error.code).toBe('STEWARD_KEY_INVALID')
    expect(error.message).toContain('Nothing was stored or sent')
    expect(await refusal(() => world.got(steward.confirm(charge, key as string, { by: 'webhook' })))).toMatchObject({ code: 'STEWARD_KEY_INVALID' })
    await unharmed()
  })

  it.each(sample(OPTIONS))('refuses %s', async (_name, options, code) => {
    const { world, steward, charge, unharmed } = await shop()
    const error = await refusal(() => world.got(steward.submit(charge, { key: 'k', input: {}, ...options } as SubmitOptions<unknown>)))
    expect(error.code).toBe(`STEWARD_${code}`)
    expect(error.message).toMatch(/Nothing was (stored or sent|started)/)
    await unharmed()
  })

  it('refuses to be called without options', async () => {
    const { refused, unharmed } = await shop()
    expect((await refused(undefined)).code).toBe('STEWARD_OPTION_INVALID')
    expect((await refused(null)).code).toBe('STEWARD_OPTION_INVALID')
    await unharmed()
  })

  it('refuses an input that does not pass its schema, and names the field', async () => {
    const { refused, unharmed } = await shop(z.object({ amount: z.int() }))
    const error = await refused({ key: 'k', input: { amount: 'four' } })
    expect(error.code).toBe('STEWARD_INPUT_INVALID')
    expect(error.message).toContain('amount')
    await unharmed()
  })

  it('takes an asynchronous schema, and refuses what it refuses', async () => {
    const { refused, unharmed, world, steward, charge } = await shop(z.object({ amount: z.int().refine((n) => Promise.resolve(n > 0)) }))
    expect((await refused({ key: 'k', input: { amount: -1 } })).code).toBe('STEWARD_INPUT_INVALID')
    await unharmed()
    expect(await world.got(steward.perform(charge, { key: 'k', input: { amount: 1 } }))).toMatchObject({ state: 'succeeded' })
  })

  it.each([['throws', () => { throw new Error('schema broke') }], ['throws nothing at all', () => { throw undefined }], ['rejects', () => Promise.reject(new Error('schema broke'))]])('says so when a schema %s', async (_name, validate) => {
    const { refused, unharmed } = await shop({ '~standard': { version: 1, vendor: 'test', validate } })
    expect((await refused({ key: 'k', input: {} })).code).toBe('STEWARD_INPUT_INVALID')
    await unharmed()
  })

  it('refuses what a schema makes of the input when it cannot be stored', async () => {
    const { refused, unharmed } = await shop(z.object({ at: z.string().transform((text) => new Date(text)) }))
    expect((await refused({ key: 'k', input: { at: '2026-01-01' } })).code).toBe('STEWARD_INPUT_UNSERIALISABLE')
    await unharmed()
  })

  it('refuses another input under the same key, and names the fields that differ', async () => {
    const { world, steward, charge } = await shop()
    await world.got(steward.perform(charge, { key: 'k', input: { amount: 1, to: { a: 1 } } }))
    const error = await refusal(() => world.got(steward.submit(charge, { key: 'k', input: { amount: 2, to: { a: 2 } } })))
    expect(error).toMatchObject({ code: 'STEWARD_KEY_REUSED', details: { fields: ['amount', 'to.a'] } })
    expect((await world.got(steward.submit(charge, { key: 'k', input: { to: { a: 1 }, amount: 1 } }))).status).toBe('joined')
    expect(charge.sent).toHaveLength(1)
  })

  it('stores the others of a submitMany when some keys are reused, and says which', async () => {
    const { world, steward, charge } = await shop()
    await world.got(steward.perform(charge, { key: 'a', input: 1 }))
    const error = await refusal(() => world.got(steward.submitMany(charge, [{ key: 'a', input: 2 }, { key: 'b', input: 2 }])))
    expect(error).toMatchObject({ code: 'STEWARD_KEY_REUSED', details: { reused: [{ key: 'a' }] } })
    await world.reaches(charge, 'b', 'succeeded')
    expect(await refusal(() => world.got(steward.submitMany(charge, Array.from({ length: LIMITS.submitMany + 1 }, (_, n) => ({ key: `${n}`, input: 1 })))))).toMatchObject({ code: 'STEWARD_OPTION_INVALID' })
  })

  it('refuses facts and decisions that do not say enough', async () => {
    const { world, steward, charge } = await shop()
    await world.got(steward.perform(charge, { key: 'k', input: 1 }))
    const code = async (run: () => Promise<unknown>): Promise<string> => (await refusal(() => world.got(run()))).code
    for (const fact of [{}, { by: '' }, { by: 'x', at: Number.NaN }, { by: 'x', attempt: 0 }, { by: 'x', attempt: 1.5 }, { by: 'x', reference: 5 }, { by: 'x', reason: 5 }, { by: 'x', result: 1n }, { by: 'x', result: new Date(0) }, undefined]) {
      expect(await code(() => steward.confirm(charge, 'k', fact as never))).toBe('STEWARD_FACT_INVALID')
    }
    for (const decision of [{}, { by: 'ana' }, { by: 'ana', why: ' ' }, { why: 'x' }, undefined]) {
      for (const act of ['cancel', 'retryNow', 'redrive', 'settle'] as const) expect(await code(() => steward[act](charge, 'k', decision as never))).toBe('STEWARD_REASON_MISSING')
      expect(await code(() => steward.pause({ operation: 'charge' }, decision as never))).toBe('STEWARD_REASON_MISSING')
    }
    expect(await code(() => steward.settle(charge, 'k', { ...ana, outcome: 'maybe' as 'stop' }))).toBe('STEWARD_OPTION_INVALID')
    expect(await code(() => steward.settle(charge, 'k', { ...ana, outcome: 'happened', result: 1n as never }))).toBe('STEWARD_FACT_INVALID')
    expect(await code(() => steward.redrive(charge, 'k', { ...ana, expiresAt: Number.NaN }))).toBe('STEWARD_OPTION_INVALID')
    expect(await code(() => steward.redriveMany({}, { ...ana, limit: Number.NaN }))).toBe('STEWARD_OPTION_INVALID')
    expect(await code(() => steward.pause({} as never, ana))).toBe('STEWARD_OPTION_INVALID')
    expect(await code(() => steward.list({ limit: 0 }))).toBe('STEWARD_OPTION_INVALID')
    expect(await code(() => steward.cancel(charge, 'nobody', ana))).toBe('STEWARD_CALL_NOT_FOUND')
    expect(await code(() => steward.cancel('chrage', 'k', ana))).toBe('STEWARD_OPERATION_UNKNOWN')
    expect(await code(() => steward.cancel(charge, 'k', ana))).toBe('STEWARD_ACTION_REFUSED')
    expect((await world.call(charge, 'k')).story).toHaveLength(3)
  })

  it('refuses a changed namespace on an existing store', async () => {
    const { world, charge } = await shop()
    expect(await refusal(() => world.open({ operations: [charge], namespace: 'other' }))).toMatchObject({ code: 'STEWARD_NAMESPACE_CHANGED' })
  })
})

describe('definitions', () => {
  const sound = { name: 'charge', input: anything, idempotency: providerKey({ retention: '1h' }), send: () => Promise.resolve(1) }
  const defined = (change: object): Operation => defineOperation({ ...sound, ...change } as never)
  const code = async (change: object): Promise<string> => (await refusal(() => defined(change))).code

  it.each([
    ['no name', { name: undefined }], ['a name with a space', { name: 'charge order' }], ['a name too long', { name: 'x'.repeat(LIMITS.nameChars + 1) }],
    ['no send', { send: undefined }], ['no schema', { input: {} }], ['no answer', { idempotency: undefined }], ['an answer nobody knows', { idempotency: { kind: 'exactlyOnce', reason: 'x' } }],
    ['version 0', { version: 0 }], ['maxAttempts 0', { maxAttempts: 0 }], ['a gap in its upgrades', { version: 3, upgrade: { 1: () => 1 } }],
    ['reconcile without a lookup', { idempotency: reconcile(undefined as never, { settle: '1s' }) }], ['polling without a lookup', { pollEvery: '1s' }],
    ['holdAfter 0', { holdAfter: { doubts: 0 } }], ['holdAfter NaN', { holdAfter: { refusals: Number.NaN } }], ['an onSettled that is text', { onSettled: 'x' }],
    ['a verdict that is no function', { verdict: {} }], ['a lookup that is no function', { idempotency: natural('x', { lookup: 5 as never }) }],
  ])('refuses %s', async (_name, change) => {
    expect(await code(change)).toBe('STEWARD_OPERATION_INVALID')
  })

  it('refuses a retention that ends before a first retry', async () => {
    expect(await code({ idempotency: providerKey({ retention: '40s' }) })).toBe('STEWARD_RETENTION_TOO_SHORT')
  })

  it.each(DURATIONS.map((value) => [typeof value === 'bigint' ? '10n' : (JSON.stringify(value) ?? String(value)), value] as const))('refuses %s for every duration, and never takes it as 0', async (_text, value) => {
    const lookup = () => Promise.resolve({ absent: true as const })
    for (const option of ['timeout', 'giveUpAfter', 'pollEvery', 'acceptedOverdue'] as const) expect(await code({ [option]: value, idempotency: providerKey({ retention: '1h', lookup }) })).toBe('STEWARD_DURATION_INVALID')
    for (const option of ['base', 'cap']) expect(await code({ backoff: { [option]: value } })).toBe('STEWARD_DURATION_INVALID')
    for (const option of ['retention', 'margin', 'settle', 'lookupEvery', 'lookupFor']) expect(await code({ idempotency: { ...providerKey({ retention: '1h', lookup }), [option]: value } })).toBe('STEWARD_DURATION_INVALID')
    const world = new World('memory')
    const process = await world.open()
    expect(await refusal(() => world.open({ lease: value as never }))).toMatchObject({ code: 'STEWARD_DURATION_INVALID' })
    expect(await refusal(() => world.open({ keepEndedFor: value as never }))).toMatchObject({ code: 'STEWARD_DURATION_INVALID' })
    expect(await refusal(() => process.steward.perform(defined({}), { key: 'k', input: 1, wait: value as never }))).toMatchObject({ code: 'STEWARD_DURATION_INVALID' })
    expect(await refusal(() => process.steward.close({ grace: value as never }))).toMatchObject({ code: 'STEWARD_DURATION_INVALID' })
    expect(await world.got(process.steward.list())).toEqual([])
    await world.close()
  })

  it('refuses two operations of one name, and bad options of open', async () => {
    const world = new World('memory')
    const one = defined({})
    expect(await refusal(() => world.open({ operations: [one, defined({ idempotency: none('x') })] }))).toMatchObject({ code: 'STEWARD_OPERATION_DUPLICATE' })
    expect(await refusal(() => world.open({ store: undefined as never }))).toMatchObject({ code: 'STEWARD_OPTION_INVALID' })
    expect(await refusal(() => world.open({ onAlert: 'mail' as never }))).toMatchObject({ code: 'STEWARD_OPTION_INVALID' })
    expect(await refusal(() => world.open({ namespace: '' }))).toMatchObject({ code: 'STEWARD_OPTION_INVALID' })
    expect(await refusal(() => world.open({ concurrency: 0 }))).toMatchObject({ code: 'STEWARD_OPTION_INVALID' })
    expect(await refusal(() => world.open({ lease: '100ms' }))).toMatchObject({ code: 'STEWARD_OPTION_INVALID' })
    const process = await world.open({ operations: [one, one] })
    expect(await refusal(() => process.steward.submit(defined({}), { key: 'k', input: 1 }))).toMatchObject({ code: 'STEWARD_OPERATION_DUPLICATE' })
    expect(await refusal(() => process.steward.start({ concurrency: 1.5 }))).toMatchObject({ code: 'STEWARD_OPTION_INVALID' })
    await world.close()
  })
})
