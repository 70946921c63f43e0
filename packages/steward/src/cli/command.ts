/** What a command is: a row of the table that help, parsing and dispatch are made of. */
import type { Steward, StewardOptions } from '../index.ts'

export type Flag = {
  readonly name: string
  /** What stands for the value in help: `PATH`. Without it the flag takes none. */
  readonly value?: string
  readonly text: string
}

/** What a command is called and takes. */
export type CommandText = {
  readonly name: string
  /** One line for the list of commands. */
  readonly summary: string
  /** Arguments as written in usage: `<operation> <key>`. */
  readonly usage: string
  /** Fewest and most positional arguments. */
  readonly positionals: readonly [least: number, most: number]
  readonly flags: readonly Flag[]
  /** What a person should know before using it. */
  readonly about: string
  readonly examples: readonly string[]
}

/** A command on the store of the config. */
export type StoreCommand = CommandText & {
  /** Sees the log and delivers alerts, as the service would; other commands do neither. */
  readonly works?: boolean
  run(context: Context): Promise<ExitCode>
}

/** A command that opens no store: what it does is about code, or happens in a world of its own. */
export type AloneCommand = CommandText & {
  runAlone(context: AloneContext): Promise<ExitCode>
}

export type Command = StoreCommand | AloneCommand

/** 0: done. 1: refused, or not found. 2: the command line or the config is not understood. */
export type ExitCode = 0 | 1 | 2

export type Arguments = {
  readonly positionals: readonly string[]
  /** The value of a flag that takes one; of one given twice, the last. */
  text(name: string): string | undefined
  has(name: string): boolean
}

type Speaking = {
  readonly args: Arguments
  /** Prints for people, or JSON for programs: the caller gives both. */
  print(json: unknown, text: string): void
  readonly isJson: boolean
}

export type Context = Speaking & {
  readonly steward: Steward
  /** What steward.config.ts exports. */
  readonly options: StewardOptions
}

export type AloneContext = Speaking & {
  /** Where the config is. */
  configPath(): string
  /** Loads what it exports. Its store is not opened. */
  config(): Promise<StewardOptions>
}

/** Flags of every command. */
export const EVERYWHERE: readonly Flag[] = [
  { name: 'config', value: 'PATH', text: 'the config (default: steward.config.ts, .js or .mjs, here or in a folder above)' },
  { name: 'json', text: 'print JSON for programs' },
  { name: 'help', text: 'print this' },
]

/** Flags of every decision by a person. */
export const BY_WHOM: readonly Flag[] = [
  { name: 'why', value: 'TEXT', text: 'why you decide so (required); it stays in the story' },
  { name: 'by', value: 'NAME', text: 'who decides (default: your user name)' },
]
