/** Time, openings, lists and hints. */
import assert from 'node:assert/strict'
import { type Case, ended, inserting, OPERATION, put, START, write } from './world.ts'

const keys = (calls: readonly { readonly key: string }[]): string[] => calls.map((call) => call.key)

export const placeCases: readonly Case[] = [
  { name: 'never lets time run backwards, also for those who open later', run: async (world) => {
    const store = await world.open()
    world.place.setClock(START + 10_000)
    assert.equal(store.now(), START + 10_000)
    await put(store, world.call())
    world.place.setClock(START + 3)
    assert.equal(store.now(), START + 10_000)
    const later = await world.open()
    assert.ok(later.now() >= START + 10_000, 'the mark is stored with commits')
    world.place.setClock(START + 20_000)
    assert.equal(store.now(), START + 20_000)
  } },
  { name: 'shows to one opening what another committed', run: async (world) => {
    const [one, two] = [await world.open(), await world.open()]
    const call = world.call()
    await put(one, call)
    assert.deepEqual(await two.find(OPERATION, call.key), call)
    const end = ended(call)
    assert.deepEqual(await write(two, end), { ok: true })
    assert.deepEqual(await write(one, ended(call)), { ok: false, why: 'rev', call: end.call })
  } },
  { name: 'refuses another namespace', run: async (world) => {
    const store = await world.open('production')
    await store.insert([inserting(world.call({ namespace: 'production' }))])
    await assert.rejects(world.open('staging'), { code: 'STEWARD_NAMESPACE_CHANGED' })
    assert.equal((await store.list({ limit: 5 }))[0]?.namespace, 'production')
  } },
  { name: 'keeps everything when it is closed and opened again', run: async (world) => {
    const store = await world.open()
    const call = world.call()
    await put(store, call)
    await store.close()
    await store.close()
    await assert.rejects(store.get(call.id), { code: 'STEWARD_CLOSED' })
    await assert.rejects(store.insert([inserting(world.call())]), { code: 'STEWARD_CLOSED' })
    assert.deepEqual(await (await world.open()).get(call.id), call)
  } },
  { name: 'lists in the order of creation, by page, from either end', run: async (world) => {
    const store = await world.open()
    const calls = Array.from({ length: 5 }, () => world.call())
    await put(store, ...calls)
    await write(store, ended(calls[1] as typeof calls[number]))
    const [first, second, third] = calls as [typeof calls[number], typeof calls[number], typeof calls[number]]
    assert.deepEqual(keys(await store.list({ limit: 3 })), keys([first, second, third]))
    assert.deepEqual(keys(await store.list({ limit: 10, afterId: third.id })), keys(calls.slice(3)))
    assert.deepEqual(keys(await store.list({ limit: 2, newestFirst: true })), keys(calls.slice(3).reverse()))
    assert.deepEqual(keys(await store.list({ limit: 10, newestFirst: true, afterId: third.id })), keys([second, first]))
    assert.deepEqual(await store.list({ limit: 10, afterId: 'c_none' }), [])
  } },
  { name: 'lists by operation, state, group, key and time of end', run: async (world) => {
    const store = await world.open()
    const [a, b, c, d] = [world.call({ key: 'ord_1', group: 'g' }), world.call({ key: 'ord_2' }), world.call({ key: 'ord%3', operation: 'refund-order' }), world.call({ key: 'x', state: 'in_doubt', effect: 'unknown', dueAt: null })]
    await put(store, a, b, c, d)
    await write(store, ended(b, 'succeeded', {}, START + 5))
    await write(store, ended(c, 'exhausted', {}, START + 9))
    const of = async (filter: object): Promise<string[]> => keys(await store.list({ limit: 10, ...filter }))
    assert.deepEqual(await of({ operation: OPERATION }), ['ord_1', 'ord_2', 'x'])
    assert.deepEqual(await of({ states: ['in_doubt', 'exhausted'] }), ['ord%3', 'x'])
    assert.deepEqual(await of({ states: ['waiting', 'succeeded'] }), ['ord_1', 'ord_2'])
    assert.deepEqual(await of({ states: [] }), [])
    assert.deepEqual(await of({ group: 'g' }), ['ord_1'])
    assert.deepEqual(await of({ keyPrefix: 'ord' }), ['ord_1', 'ord_2', 'ord%3'])
    assert.deepEqual(await of({ keyPrefix: 'ord_' }), ['ord_1', 'ord_2'])
    assert.deepEqual(await of({ keyPrefix: 'ord', operation: 'refund-order' }), ['ord%3'])
    assert.deepEqual(await of({ endedAfter: START + 5 }), ['ord%3'])
    assert.deepEqual(await of({ endedBefore: START + 9 }), ['ord_2'])
  } },
  { name: 'hints to other openings after a commit', run: async (world) => {
    if (world.place.withoutHints !== undefined) return
    const [one, two] = [await world.open(), await world.open()]
    const hinted = new Promise<void>((resolve) => void two.onHint(resolve))
    await put(one, world.call())
    await hinted
  } },
  { name: 'hints no more to a listener that left', run: async (world) => {
    if (world.place.withoutHints !== undefined) return
    const [one, two] = [await world.open(), await world.open()]
    let heard = 0
    const leave = two.onHint(() => { heard += 1 })
    leave()
    const hinted = new Promise<void>((resolve) => void two.onHint(resolve))
    await put(one, world.call())
    await hinted
    assert.equal(heard, 0)
  } },
  { name: 'stores a thousand calls of one batch, each under its own key', run: async (world) => {
    const store = await world.open()
    const calls = Array.from({ length: 1_000 }, () => world.call())
    await put(store, ...calls)
    assert.equal((await store.backlog())[0]?.open, 1_000)
    assert.deepEqual(await store.get((calls[777] as typeof calls[number]).id), calls[777])
  } },
]
