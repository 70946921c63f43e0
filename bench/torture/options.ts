/** Command line of `npm run torture`. */
import { parseArgs } from 'node:util'
import { type Answer, ANSWERS, type Pace, PACES } from './numbers.ts'
import { type StoreName, STORES } from './place.ts'

export const HELP = `npm run torture -- [options]

Real processes on one store against a provider that loses, delays, refuses and forgets, killed with SIGKILL and frozen
with SIGSTOP on the way. Afterwards an auditor compares the records with the provider's own ledger.

  --answer NAME     providerKey | reconcile | natural | none     (default providerKey)
  --store NAME      sqlite | postgres                            (default sqlite)
  --calls N         calls in all                                 (default 5000)
  --kills N         SIGKILLs, at random moments and failpoints   (default 50)
  --freezes N       SIGSTOP past the lease, then SIGCONT         (default kills / 5)
  --workers N       worker processes                             (default 3, with postgres 4)
  --seed N          of the provider's faults and of the kills    (default 7)
  --pace NAME       long | short: time-outs, leases, retention   (default long)
  --json FILE       write the result there, too
  --keep            keep the store and the ledger also when all is well

With --store postgres a server of its own (18, from npm) is started, and all but the auditor reach it through a proxy:

  --crashes N       SIGKILL of the server and all its processes, then started again      (default kills / 10)
  --cuts N          connections cut, most of them before an answer arrives               (default kills)
  --delays N        all connections held back, or one silent for ever                    (default kills / 5)
  --clocks N        workers whose clock is an hour off; needs libfaketime                (default 1)
  --older REF       commit of the library that one worker runs by turns, or none         (default the newest tag, else
                    the library before its last change; needs the repository's history)
  --rollbacks N     percent of the submits inside a transaction that are rolled back     (default 40)

Exit code 1 when an invariant does not hold; the store and the ledger are then kept, and the story of each call
concerned is printed.`

export type TortureOptions = {
  readonly store: StoreName
  readonly answer: Answer
  readonly calls: number
  readonly kills: number
  readonly freezes: number
  readonly workers: number
  readonly seed: number
  readonly pace: Pace
  readonly crashes: number
  readonly cuts: number
  readonly delays: number
  readonly clocks: number
  /** `null`: whichever is at hand. */
  readonly older: string | null
  readonly rollbacks: number
  readonly keep: boolean
  readonly json: string | null
}

/** Options that only PostgreSQL knows. */
const FLEET_ONLY = ['crashes', 'cuts', 'delays', 'clocks', 'older', 'rollbacks'] as const

/** @throws Error that names what is not understood. */
export function optionsOf(args: readonly string[]): TortureOptions | 'help' {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean' } as const
  const { values } = parseArgs({
    args: [...args],
    options: {
      store: text, answer: text, calls: text, kills: text, freezes: text, workers: text, seed: text, pace: text, json: text, keep: flag, help: flag,
      crashes: text, cuts: text, delays: text, clocks: text, older: text, rollbacks: text,
    },
  })
  if (values.help) return 'help'
  const store = oneOf('store', values.store ?? 'sqlite', STORES)
  const fleet = store === 'postgres'
  const foreign = FLEET_ONLY.find((name) => values[name] !== undefined)
  if (!fleet && foreign !== undefined) throw new Error(`--${foreign} is for --store postgres; a file has no server and no wire.`)
  const kills = count('kills', values.kills, 50, 0)
  const ofFleet = (name: Exclude<(typeof FLEET_ONLY)[number], 'older'>, fallback: number): number => (fleet ? count(name, values[name], fallback, 0) : 0)
  return {
    store,
    answer: oneOf('answer', values.answer ?? 'providerKey', ANSWERS),
    calls: count('calls', values.calls, 5_000, 1),
    kills,
    freezes: count('freezes', values.freezes, Math.floor(kills / 5), 0),
    workers: count('workers', values.workers, fleet ? 4 : 3, 1),
    seed: count('seed', values.seed, 7, 0),
    pace: oneOf('pace', values.pace ?? 'long', Object.keys(PACES) as Pace[]),
    crashes: ofFleet('crashes', Math.floor(kills / 10)),
    cuts: ofFleet('cuts', kills),
    delays: ofFleet('delays', Math.floor(kills / 5)),
    clocks: ofFleet('clocks', 1),
    older: fleet ? (values.older ?? null) : 'none',
    rollbacks: ofFleet('rollbacks', 40),
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
