/** Options of the lab's scripts: `--name value`, whole numbers and file names. */
import { writeFileSync } from 'node:fs'
import process from 'node:process'
import { parseArgs } from 'node:util'

export type Option = { readonly what: string; readonly default?: number | string }

/** Reads the options, or prints the help and ends. Unknown options and numbers that are none end with 2. */
export function readOptions<Name extends string>(command: string, about: string, options: Readonly<Record<Name, Option>>): Readonly<Record<Name, string | undefined>> & { number(name: Name): number } {
  const names = Object.keys(options) as Name[]
  const { values } = parsed(command, names)
  if (values['help'] === true) {
    console.log(`${about}\n\nnpm run ${command} -- [options]\n`)
    for (const name of names) console.log(`  --${name.padEnd(12)} ${options[name].what}${options[name].default === undefined ? '' : ` (default ${options[name].default})`}`)
    process.exit(0)
  }
  const given = Object.fromEntries(names.map((name) => [name, (values[name] as string | undefined) ?? (options[name].default === undefined ? undefined : String(options[name].default))])) as Record<Name, string | undefined>
  const number = (name: Name): number => {
    const value = Number(given[name])
    if (!Number.isInteger(value) || value < 0) stop(command, `--${name} is "${given[name]}"; it must be a whole number`)
    return value
  }
  return Object.assign(given, { number })
}

function parsed(command: string, names: readonly string[]): ReturnType<typeof parseArgs> {
  try {
    return parseArgs({ options: { help: { type: 'boolean' }, ...Object.fromEntries(names.map((name) => [name, { type: 'string' as const }])) }, strict: true })
  } catch (error) {
    return stop(command, error instanceof Error ? error.message : String(error))
  }
}

export function stop(command: string, why: string): never {
  console.error(`${why}. Nothing was run. See npm run ${command} -- --help`)
  process.exit(2)
}

/** The result, on stdout and, where asked for, in a file. */
export function tellResult(file: string | undefined, result: object): void {
  const text = JSON.stringify(result, null, 2)
  console.log(text)
  if (file !== undefined) writeFileSync(file, `${text}\n`)
}
