import { expect, test } from 'vitest'
import type { Entry } from './story.ts'
import { folded, replay } from './story.ts'

function story(attempts: number): Entry[] {
  const entries: Entry[] = [{ at: 0, what: 'submitted' }]
  for (let n = 1; n <= attempts; n++) {
    entries.push({ at: n * 10, what: 'begun', attempt: n, worker: 'w', deadlineAt: n * 10 + 5, to: 'running', effect: 'unknown' })
    entries.push({ at: n * 10 + 1, what: 'closed', attempt: n, verdict: 'not_applied', to: 'waiting', effect: 'did_not_happen' })
  }
  return entries
}

test('a story within the limit stays as it is', () => {
  const short = story(4)
  expect(folded(short, 9)).toBe(short)
})

test('a folded story replays to the same state, however often it is folded', () => {
  let told: readonly Entry[] = []
  for (const entry of story(100)) {
    told = folded([...told, entry], 20)
    expect(told.length).toBeLessThanOrEqual(20)
  }
  expect(replay(told)).toEqual(replay(story(100)))
  const stands = told.filter((entry) => entry.what === 'folded')
  expect(stands).toHaveLength(1)
  expect(stands.reduce((sum, entry) => sum + entry.entries, 0) + told.length - 1).toBe(201)
})

test('a story folded inside an attempt keeps the count of attempts', () => {
  const cut = folded(story(30).slice(0, -1), 12)
  expect(replay(cut)).toMatchObject({ state: 'running', attempts: 30 })
})
