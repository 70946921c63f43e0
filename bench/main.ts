/** `npm run bench`: see --help. Compare ratios within one run; absolute numbers belong to the machine. */
import { mkdirSync, writeFileSync } from 'node:fs'
import process from 'node:process'
import { parseArgs } from 'node:util'
import { Bench, SMALL_NURSERY } from './speed/phases.ts'
import type { StoreName } from './speed/places.ts'
import { big, heldOpen } from './speed/scale.ts'
import { type Figures, jsonOf, median, tableOf } from './speed/report.ts'

const HELP = `npm run bench -- [options]

How fast Steward is, story complete, beside a bare undici Pool against the same provider: on SQLite (synchronous=FULL), or on a
PostgreSQL of its own from npm (fsync on), there beside pg-boss at its best settings, too. Phases are interleaved and repeated, each in
fresh processes; medians are shown. Takes about 4 minutes, with --quick less than one.

  --store NAME      sqlite, postgres                            (default sqlite)
  --quick           fewer calls, 100,000 waiting instead of 1,000,000, two rounds
  --only NAMES      comma-separated: throughput, latency, backlog, recovery, slow (SQLite alone)
  --rounds N        repetitions of the throughput phases        (default 5, quick 3)
  --json FILE       write the result there, too
  --big             PostgreSQL: only a drain beside 10,000,000 ended and 1,000,000 waiting calls (takes 20 GB and many minutes; a hundredth with --quick)
  --held-open N     PostgreSQL: only a load of N minutes beside a transaction that is held open
  --profile FOLDER  only drains once and leaves a CPU profile of the worker in FOLDER`

type Sizes = { readonly rounds: number; readonly calls: number; readonly submits: number; readonly waiting: number; readonly singles: number }
const FULL: Sizes = { rounds: 5, calls: 60_000, submits: 150_000, waiting: 1_000_000, singles: 1_000 }
const QUICK: Sizes = { rounds: 3, calls: 30_000, submits: 60_000, waiting: 100_000, singles: 300 }

const say = (line: string): void => console.log(line)

async function throughput(bench: Bench, sizes: Sizes, figures: Figures): Promise<void> {
  for (let round = 1; round <= sizes.rounds; round++) {
    const rawBefore = (await bench.raw(sizes.calls)).rate
    const submit = await bench.submit(sizes.submits)
    const drain = await bench.drain(sizes.calls)
    const live = await bench.live(sizes.calls)
    const liveInTwo = await bench.liveInTwo(sizes.calls)
    const boss = figures.store === 'postgres' ? await bench.boss(Math.round(sizes.calls / 5), sizes.calls) : undefined
    const raw = (rawBefore + (await bench.raw(sizes.calls)).rate) / 2
    figures.rounds.push({ raw, submit, drain: drain.rate, live, liveInTwo, drainRssMb: drain.rssMb, drainCpuUs: drain.cpuUsPerCall, ...(boss === undefined ? {} : { boss }) })
    say(`  round ${round} of ${sizes.rounds}: raw ${raw.toFixed(0)}/s, submit ${submit.toFixed(0)}/s, drain ${drain.rate.toFixed(0)}/s (${(drain.rate / raw).toFixed(2)}), live ${live.toFixed(0)}/s (${(live / raw).toFixed(2)}), in two processes ${liveInTwo.toFixed(0)}/s`)
    if (boss !== undefined) say(`  pg-boss: submit ${boss.submit.toFixed(0)}/s, drain ${boss.drain.toFixed(0)}/s (${(boss.drain / raw).toFixed(2)})`)
  }
}

async function latency(bench: Bench, sizes: Sizes, figures: Figures): Promise<void> {
  figures.commitMs = await bench.commitMs()
  figures.perform = await bench.perform(sizes.singles)
  say(`  a bare commit: median ${figures.commitMs.toFixed(3)} ms`)
  say(`  perform: median ${figures.perform.performP50Ms.toFixed(2)} ms, direct ${figures.perform.directP50Ms.toFixed(2)} ms`)
  figures.bareLatency = await bench.bareLatency(sizes.singles)
  figures.latency = await bench.latency(sizes.singles)
  figures.latencyInTwo = await bench.latencyInTwo(sizes.singles)
  const text = ({ p50Ms, p99Ms }: { readonly p50Ms: number; readonly p99Ms: number }): string => `${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)}`
  say(`  submit to recorded at 50/s: ${text(figures.latency)}; worked by another process: ${text(figures.latencyInTwo)}; two bare commits and the request: ${text(figures.bareLatency)}`)
}

async function backlog(bench: Bench, sizes: Sizes, figures: Figures): Promise<void> {
  const bare = await bench.raw(4 * sizes.calls)
  const bareSmall = await bench.raw(4 * sizes.calls, SMALL_NURSERY)
  figures.backlog = { waiting: sizes.waiting, rawRssMb: bare.rssMb, rawSmallRssMb: bareSmall.rssMb, ...(await bench.backlog(sizes.waiting)) }
  const { openMs, rssMb, smallRssMb } = figures.backlog
  say(`  ${sizes.waiting} waiting: opens in ${openMs.toFixed(0)} ms; the worker takes up to ${rssMb.toFixed(0)} MB (a bare client ${bare.rssMb.toFixed(0)}), with a small nursery ${smallRssMb.toFixed(0)} MB (${bareSmall.rssMb.toFixed(0)})`)
}

async function recovery(bench: Bench, _sizes: Sizes, figures: Figures): Promise<void> {
  const took = [await bench.recovery(), await bench.recovery(), await bench.recovery()]
  figures.recoveryMs = median(took)
  say(`  a worker killed with 50 in flight: all recorded after ${figures.recoveryMs.toFixed(0)} ms`)
}

async function slow(bench: Bench, sizes: Sizes, figures: Figures): Promise<void> {
  const commitDelayMs = 2
  const { rate: raw } = await bench.raw(sizes.calls)
  const submit = await bench.submit(Math.round(sizes.submits / 3), commitDelayMs)
  const drain = await bench.drain(sizes.calls, { commitDelayMs })
  const live = await bench.live(sizes.calls, commitDelayMs)
  figures.slowDisk = { commitDelayMs, raw, submit, drain: drain.rate, live }
  say(`  with ${commitDelayMs} ms added to each commit: submit ${submit.toFixed(0)}/s, drain ${drain.rate.toFixed(0)}/s (${(drain.rate / raw).toFixed(2)}), live ${live.toFixed(0)}/s (${(live / raw).toFixed(2)})`)
}

const STORES: readonly StoreName[] = ['sqlite', 'postgres']
const isStore = (name: string): name is StoreName => STORES.some((known) => known === name)

const PHASES = { throughput, latency, backlog, recovery, slow }

async function main(): Promise<void> {
  const text = { type: 'string' } as const
  const { values } = parseArgs({ options: { store: text, quick: { type: 'boolean' }, only: text, rounds: text, json: text, profile: text, big: { type: 'boolean' }, 'held-open': text, help: { type: 'boolean' } } })
  if (values.help) return say(HELP)
  const store = values.store ?? 'sqlite'
  if (!isStore(store)) throw new Error(`--store ${store} is not one of: ${STORES.join(', ')}.`)
  const sizes = { ...(values.quick ? QUICK : FULL), ...(values.rounds === undefined ? {} : { rounds: Number(values.rounds) }) }
  const names = (values.only ?? Object.keys(PHASES).filter((name) => store === 'sqlite' || name !== 'slow').join(',')).split(',')
  const unknown = names.find((name) => !(name in PHASES))
  if (unknown !== undefined) throw new Error(`--only ${unknown} is not one of: ${Object.keys(PHASES).join(', ')}.`)
  if (!Number.isInteger(sizes.rounds) || sizes.rounds < 1) throw new Error(`--rounds is ${values.rounds}; it must be a whole number from 1 on.`)
  if (store !== 'sqlite' && names.includes('slow')) throw new Error('--only slow delays the commits of SQLite; it is not there for another store.')
  const heldMinutes = values['held-open'] === undefined ? null : Number(values['held-open'])
  if (heldMinutes !== null && !(Number.isInteger(heldMinutes) && heldMinutes >= 1)) throw new Error(`--held-open is ${values['held-open']}; it must be a whole number of minutes from 1 on.`)
  if (store !== 'postgres' && (values.big || heldMinutes !== null)) throw new Error('--big and --held-open are about PostgreSQL: add --store postgres.')
  const bench = await Bench.start(store)
  try {
    if (values.profile !== undefined) return await profile(bench, sizes, values.profile)
    const figures: Figures = { store, rounds: [] }
    if (values.big || heldMinutes !== null) await scale(bench, sizes, figures, { isBig: values.big === true, minutes: heldMinutes, isQuick: values.quick === true })
    else {
      for (const name of names) {
        say(`${name}:`)
        await PHASES[name as keyof typeof PHASES](bench, sizes, figures)
      }
    }
    say(tableOf(figures))
    if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(jsonOf(figures), null, 2)}\n`)
  } finally {
    await bench.stop()
  }
}

async function scale(bench: Bench, sizes: Sizes, figures: Figures, { isBig, minutes, isQuick }: { readonly isBig: boolean; readonly minutes: number | null; readonly isQuick: boolean }): Promise<void> {
  const smaller = isQuick ? 100 : 1
  if (isBig) {
    say('big:')
    figures.big = await big(bench, { ended: 10_000_000 / smaller, waiting: 1_000_000 / smaller, calls: Math.min(sizes.calls, 500_000 / smaller) }, say)
    say(`  backlog() takes ${figures.big.backlogMs.toFixed(0)} ms, prune takes ${figures.big.prunedPerS.toFixed(0)} calls a second`)
  }
  if (minutes !== null) {
    say('held open:')
    figures.heldOpen = await heldOpen(bench, minutes, say)
  }
}

async function profile(bench: Bench, sizes: Sizes, folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true })
  const { rate, cpuUsPerCall } = await bench.drain(sizes.calls, { profileTo: folder })
  say(`drained at ${rate.toFixed(0)}/s, ${cpuUsPerCall.toFixed(0)} µs of CPU per call (all threads); the profile is in ${folder}`)
}

try {
  await main()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 2
}
