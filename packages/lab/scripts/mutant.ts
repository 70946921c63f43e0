/**
 * One mutant in a process of its own: plants the bug while the engine is loaded, then hunts for it. Prints one line of
 * JSON: what caught it, or null. An error of the world itself catches it, too.
 */
import { registerHooks } from 'node:module'
import process from 'node:process'
import { MUTANTS, planted } from '../src/explore/mutants.ts'

const name = process.argv[2] ?? ''
const mutant = MUTANTS.find((one) => one.name === name)
if (name !== 'none' && mutant === undefined) throw new Error(`there is no mutant "${name}"`)

let isPlanted = mutant === undefined
if (mutant) {
  const target = new URL(`../../steward/src/${mutant.file}`, import.meta.url).href
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context)
      if (url !== target) return loaded
      isPlanted = true
      return { ...loaded, source: planted(mutant, Buffer.from(loaded.source as Uint8Array).toString('utf8')) }
    },
  })
}

const { hunt } = await import('../src/explore/hunt.ts')
if (!isPlanted) throw new Error(`mutant ${name}: ${mutant?.file} was not loaded`)
// What breaks inside the engine, outside any promise of the world, is found as well.
process.on('unhandledRejection', (error) => end({ scenario: 'a rejection that nobody handles', what: String(error) }))
hunt().then(end, (error: unknown) => end({ scenario: 'the world could not go on', what: error instanceof Error ? error.message : String(error) }))

function end(caught: { readonly scenario: string; readonly what: string } | null): void {
  process.stdout.write(`${JSON.stringify(caught)}\n`, () => process.exit(0))
}
