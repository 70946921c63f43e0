/** From the words of a command line to a command's arguments, or to an error that says which word is wrong. */
import { parseArgs } from 'node:util'
import { StewardError } from '../index.ts'
import { type Arguments, type Command, EVERYWHERE, type Flag } from './command.ts'
import { didYouMean } from './did-you-mean.ts'

/** @throws StewardError STEWARD_USAGE */
export function argumentsOf(command: Command, words: readonly string[]): Arguments {
  const flags = [...command.flags, ...EVERYWHERE]
  const { tokens } = parseArgs({
    args: [...words], strict: false, allowPositionals: true, tokens: true,
    options: { ...Object.fromEntries(flags.map((flag) => [flag.name, { type: flag.value === undefined ? 'boolean' as const : 'string' as const }])), help: { type: 'boolean', short: 'h' } },
  })
  const given = new Map<string, string | true>()
  const positionals: string[] = []
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value)
    if (token.kind === 'option') given.set(token.name, valueOf(command, flags, token))
  }
  const args: Arguments = {
    positionals,
    text: (name) => { const value = given.get(name); return typeof value === 'string' ? value : undefined },
    has: (name) => given.has(name),
  }
  if (!args.has('help')) checkCount(command, positionals)
  return args
}

type Token = { readonly name: string; readonly rawName: string; readonly value?: string | undefined; readonly inlineValue?: boolean | undefined }

function valueOf(command: Command, flags: readonly Flag[], token: Token): string | true {
  const flag = flags.find((one) => one.name === token.name)
  if (!flag) throw usage(command, `"${command.name}" has no option ${token.rawName}.${didYouMean(token.name, flags.map((one) => one.name)).replace(/"(.+)"/, '"--$1"')}`)
  if (flag.value === undefined) {
    if (token.value !== undefined) throw usage(command, `${token.rawName} takes no value, and was given "${token.value}".`)
    return true
  }
  if (token.value === undefined || (token.inlineValue !== true && token.value.startsWith('--'))) {
    throw usage(command, `${token.rawName} needs a value (${flag.value}).${token.value === undefined ? '' : ` If it is "${token.value}", write ${token.rawName}=${token.value}.`}`)
  }
  return token.value
}

function checkCount(command: Command, positionals: readonly string[]): void {
  const [least, most] = command.positionals
  if (positionals.length > most) throw usage(command, `"${command.name}" was given "${positionals[most] ?? ''}", which is one argument too many.`)
  if (positionals.length < least) throw usage(command, `"${command.name}" needs ${command.usage}, and was given ${positionals.length === 0 ? 'nothing' : positionals.map((word) => `"${word}"`).join(' ')}.`)
}

export function usage(command: Pick<Command, 'name'> | null, why: string): StewardError {
  return new StewardError('STEWARD_USAGE', `${why} Nothing was changed. See: steward${command === null ? '' : ` ${command.name}`} --help`)
}

/** A whole number from 1 on. */
export function countOf(command: Pick<Command, 'name'>, args: Arguments, name: string): number | undefined {
  const text = args.text(name)
  if (text === undefined) return undefined
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < 1) throw usage(command, `--${name} is "${text}"; it must be a whole number from 1 on.`)
  return value
}

/** Exactly one of these flags. */
export function oneOf(command: Pick<Command, 'name'>, args: Arguments, names: readonly string[]): string {
  const given = names.filter((name) => args.has(name))
  if (given.length === 1) return given[0] as string
  const all = names.map((name) => `--${name}`).join(', ')
  throw usage(command, given.length === 0 ? `say which: one of ${all}.` : `${given.map((name) => `--${name}`).join(' and ')} contradict each other; give one of ${all}.`)
}
