/** Who waits for an outcome hears it, whichever of the store's answer and the change comes first. */
import { expect, it } from 'vitest'
import type { Call } from '../core/call.ts'
import type { Store } from '../ports/store.ts'
import { Outcomes } from './outcomes.ts'
import { VirtualSystem, VirtualTime } from './world.fixture.ts'

const running = { id: 'c_1', state: 'running' } as Call
const succeeded = { id: 'c_1', state: 'succeeded' } as Call

/** A store that answers when it is told to. */
function slowStore() {
  const asked: { readonly resolve: (call: Call | null) => void; readonly reject: (error: Error) => void }[] = []
  const get = (): Promise<Call | null> => new Promise((resolve, reject) => void asked.push({ resolve, reject }))
  const getMany = async (): Promise<readonly (Call | null)[]> => [await get()]
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
