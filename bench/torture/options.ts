/** Command line of `npm run torture`. */
import { parseArgs } from 'node:util'
import { type Answer, ANSWERS, type Pace, PACES } from './numbers.ts'

export const HELP = `npm run torture -- [options]

Real processes on one SQLite file against a provider that loses, delays, refuses and forgets, killed with SIGKILL and
frozen with SIGSTOP on the way. Afterwards an auditor compares the records with the provider's own ledger.

  --answer NAME     providerKey | reconcile | natural | none     (default providerKey)
  --store NAME      sqlite                                       (default sqlite)
  --calls N         calls in all                                 (default 5000)
  --kills N         SIGKILLs, at random moments and failpoints   (default 50)
  --freezes N       SIGSTOP past the lease, then SIGCONT         (default kills / 5)
  --workers N       worker processes                             (default 3)
  --seed N          of the provider's faults and of the kills    (default 7)
  --pace NAME       long | short: time-outs, leases, retention   (default long)
  --json FILE       write the result there, too
  --keep            keep the store and the ledger also when all is well

Exit code 1 when an invariant does not hold; the store file and the ledger are then kept, and the story of each call
concerned is printed.`

export type TortureOptions = {
  readonly answer: Answer
  readonly calls: number
  readonly kills: number
  readonly freezes: number
  readonly workers: number
  readonly seed: number
  readonly pace: Pace
  readonly keep: boolean
  readonly json: string | null
}

/** @throws Error that names what is not understood. */
export function optionsOf(args: readonly string[]): TortureOptions | 'help' {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean' } as const
  const { values } = parseArgs({
    args: [...args],
    options: { store: text, answer: text, calls: text, kills: text, freezes: text, workers: text, seed: text, pace: text, json: text, keep: flag, help: flag },
  })
  if (values.help) return 'help'
  if (values.store !== undefined && values.store !== 'sqlite') throw new Error(`--store ${values.store} is not there yet; this release has sqlite.`)
  const kills = count('kills', values.kills, 50, 0)
  return {
    answer: oneOf('answer', values.answer ?? 'providerKey', ANSWERS),
    calls: count('calls', values.calls, 5_000, 1),
    kills,
    freezes: count('freezes', values.freezes, Math.floor(kills / 5), 0),
    workers: count('workers', values.workers, 3, 1),
    seed: count('seed', values.seed, 7, 0),
    pace: oneOf('pace', values.pace ?? 'long', Object.keys(PACES) as Pace[]),
    keep: values.keep ?? false,
    json: values.json ?? null,
  }
}

function count(name: string, text: string | undefined, fallback: number, least: number): number {
  const value = text === undefined ? fallback : Number(text)
  if (!Number.isInteger(value) || value < least) throw new Error(`--${name} is ${text}; it must be a whole number from ${least} on.`)
  return value
}

function oneOf<Name extends string>(option: string, value: string, names: readonly Name[]): Name {
  const known = names.find((name) => name === value)
  if (known === undefined) throw new Error(`--${option} ${value} is not one of: ${names.join(', ')}.`)
  return known
}
