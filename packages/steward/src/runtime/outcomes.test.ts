/** Who waits for an outcome hears it, whichever of the store's answer and the change comes first. */
import { expect, it } from 'vitest'
import type { Call } from '../core/call.ts'
import type { Store } from '../ports/store.ts'
import { Outcomes } from './outcomes.ts'
import { VirtualSystem, VirtualTime } from './world.fixture.ts'

const running = { id: 'c_1', operation: 'charge', key: 'o_1', state: 'running' } as Call
const succeeded = { id: 'c_1', state: 'succeeded' } as Call

/** A store that answers when it is told to. */
function slowStore() {
  const asked: { readonly resolve: (call: Call | null) => void; readonly reject: (error: Error) => void }[] = []
  const get = (): Promise<Call | null> => new Promise((resolve, reject) => void asked.push({ resolve, reject }))
  const getMany = async (): Promise<readonly Call[]> => get().then((call) => (call === null ? [] : [call]))
  const time = new VirtualTime()
  const system = new VirtualSystem(time)
  const pass = (ms: number): void => {
    time.advance(ms)
    system.runDue()
  }
  return { asked, pass, outcomes: new Outcomes({ get, getMany } as unknown as Store, system) }
}

it('hears what this process records while the store still answers with what was before', async () => {
  const { asked, outcomes } = slowStore()
  const heard = outcomes.wait('c_1', null, null)
  outcomes.changed(succeeded)
  asked[0]?.resolve(running)
  expect(await heard).toBe(succeeded)
})

it('asks again soon when a hint comes while the store still answers with what was before', async () => {
  const { asked, pass, outcomes } = slowStore()
  const heard = outcomes.wait('c_1', running, null)
  outcomes.hint()
  pass(5)
  outcomes.hint()
  pass(5)
  asked[0]?.resolve(running)
  await new Promise((resolve) => void setImmediate(resolve))
  pass(5)
  expect(asked).toHaveLength(2)
  asked[1]?.resolve(succeeded)
  expect(await heard).toBe(succeeded)
})

it('is told by the store what was decided before', async () => {
  const { asked, outcomes } = slowStore()
  const heard = outcomes.wait('c_1', null, null)
  asked[0]?.resolve(succeeded)
  expect(await heard).toBe(succeeded)
})

it('says that there is no such call, and that the store could not be asked', async () => {
  const { asked, outcomes } = slowStore()
  const [none, refused] = [outcomes.wait('c_0', null, null), outcomes.wait('c_1', null, null)]
  asked[0]?.resolve(null)
  asked[1]?.reject(new Error('the store is away'))
  expect(await none).toBeNull()
  await expect(refused).rejects.toThrow('the store is away')
})

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

it.each([['as stored', running], ['from an open transaction, and seen since', null]])('says that the store has forgotten a call that was known %s', async (_how, seen) => {
  const { asked, pass, outcomes } = slowStore()
  const heard = outcomes.wait('c_1', running, null, seen)
  const refused = expect(heard).rejects.toMatchObject({ code: 'STEWARD_CALL_FORGOTTEN', message: expect.stringContaining('charge "o_1"') as unknown, details: { operation: 'charge', key: 'o_1', callId: 'c_1' } })
  if (seen === null) {
    pass(500)
    asked.shift()?.resolve(running)
    await turn()
  }
  pass(500)
  asked.shift()?.resolve(null)
  await refused
})

it('goes on waiting for a call whose commit nobody has seen yet', async () => {
  const { asked, pass, outcomes } = slowStore()
  const heard = outcomes.wait('c_1', running, null, null)
  pass(500)
  // It is committed, and awaited by another, while the store still answers with what was before.
  const other = outcomes.wait('c_1', running, null)
  asked.shift()?.resolve(null)
  await turn()
  pass(500)
  asked.shift()?.resolve(succeeded)
  expect(await Promise.all([heard, other])).toEqual([succeeded, succeeded])
})

it('says so, too, where its time to wait is over first', async () => {
  const { asked, pass, outcomes } = slowStore()
  const waitMs = 100
  const refused = expect(outcomes.wait('c_1', running, waitMs)).rejects.toMatchObject({ code: 'STEWARD_CALL_FORGOTTEN' })
  pass(waitMs)
  asked.shift()?.resolve(null)
  await refused
})
