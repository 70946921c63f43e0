/** `npm run mutants`: plants one bug at a time in the engine, and shows which scenario finds it. */
import { execFile } from 'node:child_process'
import { availableParallelism } from 'node:os'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import type { Catch } from '../src/explore/hunt.ts'
import { MUTANTS } from '../src/explore/mutants.ts'
import { readOptions, stop, tellResult } from './arguments.ts'

const options = readOptions('mutants', 'Plants one bug at a time in the engine, each in a fresh process, and hunts for it.', {
  only: { what: 'names of mutants, separated by commas; default: all, and none, which must find nothing' },
  threads: { what: 'processes at once', default: Math.min(4, availableParallelism()) },
  'limit-ms': { what: 'longest hunt; what was not found by then has escaped', default: 300_000 },
  json: { what: 'file to write the result to' },
})

const only = options.only?.split(',')
/** `none` is the engine as it is: what finds something there finds it everywhere. */
const known = ['none', ...MUTANTS.map(({ name }) => name)]
const names = only ?? known
if (names.some((name) => !known.includes(name))) stop('mutants', `--only names mutants that do not exist; known are ${known.join(', ')}`)

const SCRIPT = fileURLToPath(new URL('./mutant.ts', import.meta.url))
type Verdict = { readonly name: string; readonly caught: Catch | null; readonly note?: string }
const verdicts: Verdict[] = []
const queue = [...names]

function judge(name: string): Promise<Verdict> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [SCRIPT, name], { timeout: options.number('limit-ms'), maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      if (error?.killed === true) return resolve({ name, caught: null, note: `the hunt did not come to an end within ${options['limit-ms']} ms` })
      const line = stdout.trim().split('\n').at(-1)
      if (error || line === undefined || line === '') return reject(new Error(`mutant ${name} could not be judged: ${stderr.slice(-2_000)}`))
      resolve({ name, caught: JSON.parse(line) as Catch | null })
    })
  })
}

async function work(): Promise<void> {
  for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
    const verdict = await judge(name)
    verdicts.push(verdict)
    if (name === 'none') console.error(verdict.caught ? `without a bug the hunt finds: ${verdict.caught.scenario}: ${verdict.caught.what}` : verdict.note ?? 'without a bug nothing is found')
    else console.error(`${verdict.caught ? 'caught ' : 'ESCAPED'} ${name}: ${verdict.caught ? `${verdict.caught.scenario}: ${verdict.caught.what}`.slice(0, 300) : (verdict.note ?? 'nothing found')}`)
  }
}
await Promise.all(Array.from({ length: Math.max(1, options.number('threads')) }, () => work()))

const control = verdicts.find(({ name }) => name === 'none')?.caught
const judged = verdicts.filter(({ name }) => name !== 'none')
const escaped = judged.filter(({ caught }) => caught === null)
tellResult(options.json, {
  planted: judged.length, caught: judged.length - escaped.length, escaped: escaped.length, escapedNames: escaped.map(({ name }) => name), ...(names.includes('none') ? { control: control ?? 'nothing found without a bug' } : {}),
  by: Object.fromEntries(judged.map(({ name, caught }) => [name, caught])),
})
if (control || escaped.length > 0) process.exitCode = 1
