/** Help, out of the table of commands. */
import { type Command, EVERYWHERE, type Flag } from './command.ts'

const EXIT_CODES = `Exit codes:
  0  done
  1  refused, or not found: the message says why, and what to do
  2  the command line or the config is not understood: nothing was changed`

export function generalHelp(commands: readonly Command[]): string {
  const width = Math.max(...commands.map((command) => command.name.length))
  const list = commands.map((command) => `  ${command.name.padEnd(width)}  ${command.summary}`)
  return [
    'steward: durable, idempotent calls to other people\'s APIs',
    '', 'Usage: steward <command> [options]',
    '', 'Commands:', ...list,
    '', 'Options of every command:', ...flagLines(EVERYWHERE),
    '', EXIT_CODES,
    '', 'More: steward <command> --help',
  ].join('\n')
}

export function commandHelp(command: Command): string {
  const usage = ['steward', command.name, command.usage, '[options]'].filter((part) => part !== '').join(' ')
  return [
    `${command.name}: ${command.summary}`,
    '', `Usage: ${usage}`,
    '', command.about,
    '', 'Options:', ...flagLines([...command.flags, ...EVERYWHERE]),
    '', 'Examples:', ...command.examples.map((example) => `  ${example}`),
    '', EXIT_CODES,
  ].join('\n')
}

function flagLines(flags: readonly Flag[]): readonly string[] {
  const shown = flags.map((flag) => ({ left: `--${flag.name}${flag.value === undefined ? '' : ` ${flag.value}`}`, text: flag.text }))
  const width = Math.max(...shown.map(({ left }) => left.length))
  return shown.map(({ left, text }) => `  ${left.padEnd(width)}  ${text}`)
}
