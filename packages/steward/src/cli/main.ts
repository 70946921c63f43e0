/**
 * The command line. A user of the library like any other: it opens what steward.config.ts describes and calls the
 * public API. Each command is a file and a row of the table here.
 */
import process from 'node:process'
import { type Log, Steward, StewardError, type StewardOptions } from '../index.ts'
import { alerts } from './alerts.ts'
import { argumentsOf, usage } from './arguments.ts'
import { cancel } from './cancel.ts'
import { check } from './check.ts'
import type { Arguments, Command, Context, ExitCode, StoreCommand } from './command.ts'
import { configPath, loadConfig } from './config-file.ts'
import { didYouMean } from './did-you-mean.ts'
import { commandHelp, generalHelp } from './help.ts'
import { lab } from './lab.ts'
import { list } from './list.ts'
import { migrate } from './migrate.ts'
import { pause } from './pause.ts'
import { redrive } from './redrive.ts'
import { restored } from './restored.ts'
import { resume } from './resume.ts'
import { retry } from './retry.ts'
import { settle } from './settle.ts'
import { story } from './story.ts'
import { worker } from './worker.ts'

const COMMANDS: readonly Command[] = [worker, list, story, settle, retry, cancel, redrive, pause, resume, alerts, migrate, restored, lab, check]

async function main(words: readonly string[]): Promise<ExitCode> {
  const [name, ...rest] = words
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    const asked = name === 'help' ? COMMANDS.find((command) => command.name === rest[0]) : undefined
    console.log(asked === undefined ? generalHelp(COMMANDS) : commandHelp(asked))
    return name === undefined ? 2 : 0
  }
  const command = COMMANDS.find((one) => one.name === name)
  if (command === undefined) throw usage(null, `there is no command "${name}".${didYouMean(name, COMMANDS.map((one) => one.name))}`)
  const args = argumentsOf(command, rest)
  if (args.has('help')) {
    console.log(commandHelp(command))
    return 0
  }
  const given = args.text('config')
  if (!('runAlone' in command)) return await run(command, args, await loadConfig(given))
  return await command.runAlone({ args, ...speaking(args), configPath: () => configPath(given), config: () => loadConfig(given) })
}

function speaking(args: Arguments): Pick<Context, 'isJson' | 'print'> {
  const isJson = args.has('json')
  return { isJson, print: (json, text) => console.log(isJson ? JSON.stringify(json) : text) }
}

async function run(command: StoreCommand, args: Arguments, options: StewardOptions): Promise<ExitCode> {
  const isJson = args.has('json')
  // Commands that look or decide leave delivering alerts to the processes that run, and speak for themselves.
  const steward = await Steward.open(command.works === true ? { ...options, ...(isJson ? { log: QUIET } : {}) } : { ...options, onAlert: null, log: QUIET })
  const context: Context = { steward, options, args, ...speaking(args) }
  try {
    return await command.run(context)
  } finally {
    await steward.close()
  }
}

const QUIET: Log = {
  info: () => undefined,
  warn: (message) => console.error(`steward: ${message}`),
  error: (message) => console.error(`steward: ${message}`),
}

/** Not understood, so that nothing was tried. */
const USAGE_CODES: readonly string[] = ['STEWARD_USAGE', 'STEWARD_CONFIG_INVALID', 'STEWARD_REASON_MISSING', 'STEWARD_DURATION_INVALID']

function reported(error: unknown, isJson: boolean): ExitCode {
  const known = error instanceof StewardError ? error : null
  if (isJson) console.error(JSON.stringify({ error: known ? { code: known.code, message: known.message, details: known.details } : { code: null, message: String(error) } }))
  else console.error(known ? known.message : error)
  return known && USAGE_CODES.includes(known.code) ? 2 : 1
}

const words = process.argv.slice(2)
try {
  process.exitCode = await main(words)
} catch (error) {
  process.exitCode = reported(error, words.includes('--json'))
}
