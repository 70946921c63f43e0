/** What a process knows of the controls is what the store says, also when that is less than it said before. */
import { expect, it } from 'vitest'
import type { Control, Controls, Store } from '../ports/store.ts'
import { ControlsCopy } from './controls.ts'

const pause = (name: string): Control => ({ kind: 'operation', name, mode: 'pause', untilAt: null, by: 'ana', why: 'x', at: 1 })
const said = (rev: number, ...names: string[]): Controls => ({ rev, all: names.map(pause), restored: null })

function copyOf(): { readonly copy: ControlsCopy; readonly answers: ((controls: Controls) => void)[] } {
  const answers: ((controls: Controls) => void)[] = []
  const store = { controls: () => new Promise<Controls>((resolve) => void answers.push(resolve)) } as Pick<Store, 'controls'> as Store
  return { copy: new ControlsCopy(store), answers }
}

it('believes a database that lost the last change of its controls: the next change gets the number again', async () => {
  const { copy, answers } = copyOf()
  for (const [controls, names] of [[said(10), []], [said(11, 'charge'), ['charge']], [said(10), []], [said(11, 'refund'), ['refund']]] as const) {
    const refreshed = copy.refresh()
    answers.shift()!(controls)
    await refreshed
    expect([copy.rev, copy.all.map(({ name }) => name)]).toEqual([controls.rev, names])
  }
})

it('is not set back by an answer that was asked for earlier and comes later', async () => {
  const { copy, answers } = copyOf()
  const both = [copy.refresh(), copy.refresh()]
  answers[1]!(said(11, 'charge'))
  await both[1]
  answers[0]!(said(10))
  await both[0]
  expect(copy.rev).toBe(11)
})
