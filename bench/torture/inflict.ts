/** What is done to the processes and to the database of a run, and when: each kind spread evenly over the run, at drawn moments. */
import { setTimeout as sleep } from 'node:timers/promises'
import { seededBy } from '../seeded.ts'
import type { Database } from './database.ts'
import type { Fleet } from './fleet.ts'
import { PACES } from './numbers.ts'
import type { TortureOptions } from './options.ts'
import type { Orders } from './orders.ts'

type Kind = {
  readonly name: string
  readonly planned: number
  /** How many there were, those under way included. */
  begun(): number
  /** How many there really were. */
  done(): number
  inflict(): void
}

/** Down for so long, besides what starting and recovering takes. */
const DOWN_MS = { least: 100, most: 2_000 }
/** Besides three times the planned length: outages and a busy machine hold submits up. */
const PATIENCE_MS = 600_000
/** Longest wait for processes to be at work. */
const READY_MS = 20_000
const DELAY_MS = { least: 50, most: 3_000 }

function kindsOf(options: TortureOptions, fleet: Fleet, database: Database | null, random: () => number): readonly Kind[] {
  const between = ({ least, most }: { least: number; most: number }): number => least + random() * (most - least)
  const guises = { begun: () => 0, inflict: () => undefined }
  const processes: readonly Kind[] = [
    { name: 'kills', planned: options.kills, begun: () => fleet.kills, done: () => fleet.kills, inflict: () => fleet.killOne() },
    { name: 'freezes', planned: options.freezes, begun: () => fleet.freezes + fleet.freezing, done: () => fleet.freezes, inflict: () => fleet.freezeOne() },
  ]
  if (database === null) return processes
  let cuts = 0
  let delays = 0
  return [
    ...processes,
    // One process each at least: they start by themselves.
    { ...guises, name: 'false clocks', planned: fleet.plans.falseClock ? 1 : 0, done: () => fleet.ran.falseClock },
    { ...guises, name: 'older versions', planned: fleet.plans.older ? 1 : 0, done: () => fleet.ran.older },
    { name: 'crashes', planned: options.crashes, begun: () => database.crashes + (database.crashing ? 1 : 0), done: () => (database.crashing ? 0 : database.crashes), inflict: () => database.crash(between(DOWN_MS)) },
    { name: 'cuts', planned: options.cuts, begun: () => cuts, done: () => database.cuts, inflict: () => { cuts++; database.cut() } },
    { name: 'delays', planned: options.delays, begun: () => delays, done: () => database.delays, inflict: () => { delays++; database.delay(between(DELAY_MS)) } },
  ]
}

/** Goes on until every kind has happened as often as planned and all calls were submitted. */
export async function inflict(options: TortureOptions, orders: Orders, fleet: Fleet, database: Database | null, progress: (line: string) => void): Promise<void> {
  const numbers = PACES[options.pace]
  const untilAt = orders.startedAt + 3 * orders.lengthMs + PATIENCE_MS
  const random = seededBy(options.seed, 'kills')
  const kinds = kindsOf(options, fleet, database, random)
  const turns = Math.max(1, ...kinds.map((kind) => kind.planned))
  await atWork(fleet, 1)
  for (let turn = 1; !fleet.submittersLeft || kinds.some((kind) => kind.done() < kind.planned); turn++) {
    if (Date.now() > untilAt) {
      const missing = [...kinds.filter((kind) => kind.done() < kind.planned).map((kind) => `${kind.name} (${kind.done()} of ${kind.planned})`), ...(fleet.submittersLeft ? [] : ['submits'])]
      fleet.mishaps.push(`after ${Math.round((Date.now() - orders.startedAt) / 1_000)} s these are still to come: ${missing.join(', ')}`)
      break
    }
    await sleep(numbers.killEveryMs * (0.5 + random()) * 0.8)
    // On a busy machine processes take long to start: those that never come to work suffer nothing.
    await atWork(fleet, 0.5)
    if (fleet.kills >= options.kills) fleet.arm(0)
    for (const kind of kinds) if (kind.begun() < Math.min(kind.planned, Math.ceil((kind.planned * turn) / turns))) kind.inflict()
    if (turn % 10 === 0) progress(`  ${fleet.kills} of ${options.kills} kills, ${fleet.freezes} freezes${database ? `, ${database.crashes} crashes` : ''}, submitting ${fleet.submittersLeft ? 'done' : 'goes on'}`)
  }
  await database?.settled()
}

async function atWork(fleet: Fleet, share: number): Promise<void> {
  for (const untilAt = Date.now() + READY_MS; !fleet.isAtWork(share) && Date.now() < untilAt;) await sleep(20)
}
