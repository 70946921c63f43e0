/**
 * The suite that defines a store: whatever passes is one. Give it your test runner and a way to make empty places.
 *
 * ```ts
 * import { describe, it } from 'vitest'
 * storeConformance({ describe, it }, 'my store', async () => ({ make, setClock, remove }))
 * ```
 */
import { insertCases } from './insert-cases.ts'
import { placeCases } from './place-cases.ts'
import { setBackCases } from './set-back-cases.ts'
import { type Case, type StorePlace, World } from './world.ts'
import { workerCases } from './worker-cases.ts'
import { writeCases } from './write-cases.ts'

export type { StorePlace } from './world.ts'

/** The two words of any test runner (vitest, node:test, jest, mocha). */
export type TestRunner = {
  readonly describe: (name: string, body: () => void) => unknown
  readonly it: (name: string, body: () => Promise<void>) => unknown
}

const GROUPS: readonly (readonly [string, readonly Case[]])[] = [['inserts', insertCases], ['writes', writeCases], ['workers', workerCases], ['place and time', placeCases], ['being set back', setBackCases]]

/** @param makePlace called for each case: a new, empty place to keep data in. */
export function storeConformance({ describe, it }: TestRunner, name: string, makePlace: () => Promise<StorePlace>): void {
  describe(`${name} is a store`, () => {
    for (const [group, cases] of GROUPS) {
      describe(group, () => {
        for (const one of cases) {
          it(one.name, async () => {
            const world = new World(await makePlace())
            try {
              await one.run(world)
            } finally {
              await world.end()
            }
          })
        }
      })
    }
  })
}
