/** The figures of a run: medians, ratios within rounds, and the table that holds them against their targets. */
import type { StoreName } from './places.ts'
import { REFERENCE } from './reference.ts'
import type { Big, HeldOpen } from './scale.ts'

export type Round = { readonly raw: number; readonly submit: number; readonly drain: number; readonly live: number; readonly liveInTwo: number; readonly drainRssMb: number; readonly drainCpuUs: number; /** On PostgreSQL: pg-boss in the same round. */ readonly boss?: { readonly submit: number; readonly drain: number } }

export type Figures = {
  readonly store: StoreName
  readonly rounds: Round[]
  perform?: { readonly directP50Ms: number; readonly performP50Ms: number; readonly directP99Ms: number; readonly performP99Ms: number }
  /** Two bare commits and the request, at the same pace. */
  bareLatency?: { readonly p50Ms: number; readonly p99Ms: number }
  latency?: { readonly p50Ms: number; readonly p99Ms: number }
  latencyInTwo?: { readonly p50Ms: number; readonly p99Ms: number }
  /** Median of a bare commit of one row. */
  commitMs?: number
  backlog?: { readonly waiting: number; readonly openMs: number; readonly rssMb: number; readonly smallRssMb: number; readonly rawRssMb: number; readonly rawSmallRssMb: number }
  recoveryMs?: number
  big?: Big
  heldOpen?: HeldOpen
  slowDisk?: { readonly commitDelayMs: number; readonly raw: number; readonly submit: number; readonly drain: number; readonly live: number }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const half = Math.floor(sorted.length / 2)
  if (sorted.length === 0) return Number.NaN
  return sorted.length % 2 === 1 ? (sorted[half] as number) : ((sorted[half - 1] as number) + (sorted[half] as number)) / 2
}

const of = (figures: Figures, name: Exclude<keyof Round, 'boss'>): number => median(figures.rounds.map((round) => round[name]))
/** The median of the ratios, each taken within its round: the machine's mood falls out. */
const toRaw = (figures: Figures, name: 'submit' | 'drain' | 'live' | 'liveInTwo'): number => median(figures.rounds.map((round) => round[name] / round.raw))
/** Likewise against pg-boss; `undefined` where it did not run. */
const toBoss = (figures: Figures, name: 'submit' | 'drain'): number | undefined => {
  const ratios = figures.rounds.flatMap((round) => (round.boss === undefined ? [] : [round[name] / round.boss[name]]))
  return ratios.length === 0 ? undefined : median(ratios)
}
const ofBoss = (figures: Figures, name: 'submit' | 'drain'): number => median(figures.rounds.flatMap((round) => (round.boss === undefined ? [] : [round.boss[name]])))

export function jsonOf(figures: Figures): object {
  const { perform, latency, latencyInTwo, bareLatency, backlog, recoveryMs, slowDisk, commitMs, big, heldOpen } = figures
  return {
    store: figures.store,
    ...(figures.rounds.length === 0 ? {} : {
      raw: of(figures, 'raw'), submit: of(figures, 'submit'), drain: of(figures, 'drain'), live: of(figures, 'live'), liveInTwoProcesses: of(figures, 'liveInTwo'),
      submitToRaw: toRaw(figures, 'submit'), drainToRaw: toRaw(figures, 'drain'), liveToRaw: toRaw(figures, 'live'), liveInTwoProcessesToRaw: toRaw(figures, 'liveInTwo'),
      drainCpuUsPerCall: of(figures, 'drainCpuUs'), drainRssMb: of(figures, 'drainRssMb'),
      ...(toBoss(figures, 'drain') === undefined ? {} : { bossSubmit: ofBoss(figures, 'submit'), bossDrain: ofBoss(figures, 'drain'), submitToBoss: toBoss(figures, 'submit'), drainToBoss: toBoss(figures, 'drain') }),
      rounds: figures.rounds,
    }),
    ...(commitMs === undefined ? {} : { commitMs }),
    ...(perform ? { performOverheadMs: perform.performP50Ms - perform.directP50Ms, performOverheadP99Ms: perform.performP99Ms - perform.directP99Ms, ...perform } : {}),
    ...(latency ? { submitToRecordedP50Ms: latency.p50Ms, submitToRecordedP99Ms: latency.p99Ms } : {}),
    ...(bareLatency ? { twoBareCommitsAndRequestP50Ms: bareLatency.p50Ms, twoBareCommitsAndRequestP99Ms: bareLatency.p99Ms } : {}),
    ...(latencyInTwo ? { submitToRecordedInTwoProcessesP50Ms: latencyInTwo.p50Ms, submitToRecordedInTwoProcessesP99Ms: latencyInTwo.p99Ms } : {}),
    ...(backlog ? { waiting: backlog.waiting, workerRssMb: backlog.rssMb, workerSmallNurseryRssMb: backlog.smallRssMb, rawRssMb: backlog.rawRssMb, rawSmallNurseryRssMb: backlog.rawSmallRssMb, openMs: backlog.openMs } : {}),
    ...(recoveryMs === undefined ? {} : { recoveryMs }),
    ...(big ? { big: { ...big, bigToEmpty: big.bigPerS / big.emptyPerS } } : {}),
    ...(heldOpen ? { heldOpen: { ...heldOpen, afterToBefore: heldOpen.afterPerS / heldOpen.beforePerS } } : {}),
    ...(slowDisk ? { slowDisk: { ...slowDisk, drainToRaw: slowDisk.drain / slowDisk.raw, liveToRaw: slowDisk.live / slowDisk.raw } } : {}),
  }
}

const rounded = (value: number): number => Math.round(value * 100) / 100

type Row = { readonly what: string; readonly measured: number | undefined; readonly target: number | undefined; readonly unit: string; readonly digits: number }

/** What each store is to reach; `undefined` where nothing was promised. Rates and ratios are lower bounds, the rest upper ones. */
const TARGETS = {
  sqlite: { submitPerS: 60_000, drainToRaw: 0.4, liveToRaw: 0.3, performMs: 1, p50Ms: 2, p99Ms: undefined, recoveryMs: 5_000 },
  postgres: { submitPerS: 30_000, drainToRaw: 0.3, liveToRaw: undefined, performMs: undefined, p50Ms: 3, p99Ms: 10, recoveryMs: 10_000 },
} as const

function rowsOf(figures: Figures): readonly Row[] {
  const { perform, latency, backlog, recoveryMs, commitMs, big, heldOpen } = figures
  const { submitPerS, drainToRaw, liveToRaw, performMs, p50Ms, p99Ms, recoveryMs: recoveredMs } = TARGETS[figures.store]
  const performed = perform && perform.performP50Ms - perform.directP50Ms
  const inCommits = (ms: number | undefined): number | undefined => (ms === undefined || commitMs === undefined ? undefined : ms / commitMs)
  const byReference = (ms: number | undefined): number | undefined => (ms === undefined || figures.store !== 'sqlite' ? undefined : rounded(ms / REFERENCE.commitMs))
  const ran = figures.rounds.length > 0
  return [
    { what: 'submit, one by one, 50 callers', measured: ran ? of(figures, 'submit') : undefined, target: submitPerS, unit: '/s', digits: 0 },
    { what: '  the same by this machine\'s raw', measured: ran ? toRaw(figures, 'submit') : undefined, target: rounded(submitPerS / REFERENCE.rawPerS), unit: '× raw', digits: 2 },
    { what: 'drain, one process', measured: ran ? toRaw(figures, 'drain') : undefined, target: drainToRaw, unit: '× raw', digits: 2 },
    { what: '  beside pg-boss', measured: toBoss(figures, 'drain'), target: 1, unit: '× pg-boss', digits: 2 },
    { what: 'submit and drain together', measured: ran ? toRaw(figures, 'live') : undefined, target: liveToRaw, unit: '× raw', digits: 2 },
    { what: 'perform adds, median', measured: performed, target: performMs, unit: 'ms', digits: 2 },
    { what: '  the same by this machine\'s commits', measured: inCommits(performed), target: byReference(performMs), unit: 'commits', digits: 2 },
    { what: 'submit to recorded at 50/s, median', measured: latency?.p50Ms, target: p50Ms, unit: 'ms', digits: 2 },
    { what: '  the same by this machine\'s commits', measured: inCommits(latency?.p50Ms), target: byReference(p50Ms), unit: 'commits', digits: 2 },
    { what: 'submit to recorded at 50/s, p99', measured: latency?.p99Ms, target: p99Ms, unit: 'ms', digits: 2 },
    { what: `worker with ${(backlog?.waiting ?? 0).toLocaleString('en')} waiting`, measured: backlog?.rssMb, target: 200, unit: 'MB', digits: 0 },
    { what: '  the same with a small nursery', measured: backlog?.smallRssMb, target: 200, unit: 'MB', digits: 0 },
    { what: 'opening such a store', measured: backlog?.openMs, target: 1_000, unit: 'ms', digits: 0 },
    { what: 'drain of a large database', measured: big && big.bigPerS / big.emptyPerS, target: 0.8, unit: '× empty', digits: 2 },
    { what: 'with a transaction held open', measured: heldOpen && heldOpen.afterPerS / heldOpen.beforePerS, target: 0.7, unit: '× before', digits: 2 },
    { what: 'recovery of 50 in flight', measured: recoveryMs, target: recoveredMs, unit: 'ms', digits: 0 },
  ]
}

export function tableOf(figures: Figures): string {
  const shown = rowsOf(figures).flatMap(({ what, measured, target, unit, digits }) => {
    if (measured === undefined || target === undefined) return []
    const atLeast = unit.startsWith('×') || unit === '/s'
    const met = atLeast ? measured >= target : measured <= target
    return `  ${what.padEnd(38)}${`${measured.toFixed(digits)} ${unit}`.padStart(16)}   ${atLeast ? '≥' : '≤'} ${`${target} ${unit}`.padEnd(12)} ${(measured / target).toFixed(2)}×  ${met ? 'met' : 'NOT MET'}`
  })
  return ['', `  ${'what'.padEnd(38)}${'measured'.padStart(16)}   ${'target'.padEnd(14)} of target`, ...shown].join('\n')
}
