/** `npm run torture`: see --help. */
import { writeFileSync } from 'node:fs'
import process from 'node:process'
import { HELP, optionsOf } from './options.ts'
import { held, jsonOf, textOf } from './report.ts'
import { torture } from './run.ts'

async function main(): Promise<number> {
  const options = optionsOf(process.argv.slice(2))
  if (options === 'help') {
    console.log(HELP)
    return 0
  }
  console.log(`torture: ${options.calls} calls on ${options.store} under ${options.answer}, ${options.kills} kills, ${options.freezes} freezes, ${options.crashes} crashes, seed ${options.seed}`)
  const result = await torture(options, (line) => console.log(line))
  console.log(textOf(options, result))
  if (options.json !== null) writeFileSync(options.json, `${JSON.stringify(jsonOf(options, result), null, 2)}\n`)
  return held(result) ? 0 : 1
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 2
}
