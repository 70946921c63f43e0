/** The figures of a run: medians, ratios within rounds, and the table that holds them against their targets. */
export type Round = { readonly raw: number; readonly submit: number; readonly drain: number; readonly live: number; readonly liveInTwo: number; readonly drainRssMb: number; readonly drainCpuUs: number }

import { REFERENCE } from './reference.ts'

export type Figures = {
  readonly rounds: Round[]
  perform?: { readonly directP50Ms: number; readonly performP50Ms: number; readonly directP99Ms: number; readonly performP99Ms: number }
  latency?: { readonly p50Ms: number; readonly p99Ms: number }
  latencyInTwo?: { readonly p50Ms: number; readonly p99Ms: number }
  /** Median of a bare commit of one row. */
  commitMs?: number
  backlog?: { readonly waiting: number; readonly openMs: number; readonly rssMb: number; readonly smallRssMb: number; readonly rawRssMb: number; readonly rawSmallRssMb: number }
  recoveryMs?: number
  slowDisk?: { readonly commitDelayMs: number; readonly raw: number; readonly submit: number; readonly drain: number; readonly live: number }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const half = Math.floor(sorted.length / 2)
  if (sorted.length === 0) return Number.NaN
  return sorted.length % 2 === 1 ? (sorted[half] as number) : ((sorted[half - 1] as number) + (sorted[half] as number)) / 2
}

const of = (figures: Figures, name: keyof Round): number => median(figures.rounds.map((round) => round[name]))
/** The median of the ratios, each taken within its round: the machine's mood falls out. */
const toRaw = (figures: Figures, name: 'submit' | 'drain' | 'live' | 'liveInTwo'): number => median(figures.rounds.map((round) => round[name] / round.raw))

export function jsonOf(figures: Figures): object {
  const { perform, latency, latencyInTwo, backlog, recoveryMs, slowDisk, commitMs } = figures
  return {
    store: 'sqlite',
    ...(figures.rounds.length === 0 ? {} : {
      raw: of(figures, 'raw'), submit: of(figures, 'submit'), drain: of(figures, 'drain'), live: of(figures, 'live'), liveInTwoProcesses: of(figures, 'liveInTwo'),
      submitToRaw: toRaw(figures, 'submit'), drainToRaw: toRaw(figures, 'drain'), liveToRaw: toRaw(figures, 'live'), liveInTwoProcessesToRaw: toRaw(figures, 'liveInTwo'),
      drainCpuUsPerCall: of(figures, 'drainCpuUs'), drainRssMb: of(figures, 'drainRssMb'),
      rounds: figures.rounds,
    }),
    ...(commitMs === undefined ? {} : { commitMs }),
    ...(perform ? { performOverheadMs: perform.performP50Ms - perform.directP50Ms, performOverheadP99Ms: perform.performP99Ms - perform.directP99Ms, ...perform } : {}),
    ...(latency ? { submitToRecordedP50Ms: latency.p50Ms, submitToRecordedP99Ms: latency.p99Ms } : {}),
    ...(latencyInTwo ? { submitToRecordedInTwoProcessesP50Ms: latencyInTwo.p50Ms, submitToRecordedInTwoProcessesP99Ms: latencyInTwo.p99Ms } : {}),
    ...(backlog ? { waiting: backlog.waiting, workerRssMb: backlog.rssMb, workerSmallNurseryRssMb: backlog.smallRssMb, rawRssMb: backlog.rawRssMb, rawSmallNurseryRssMb: backlog.rawSmallRssMb, openMs: backlog.openMs } : {}),
    ...(recoveryMs === undefined ? {} : { recoveryMs }),
    ...(slowDisk ? { slowDisk: { ...slowDisk, drainToRaw: slowDisk.drain / slowDisk.raw, liveToRaw: slowDisk.live / slowDisk.raw } } : {}),
  }
}

const rounded = (value: number): number => Math.round(value * 100) / 100

type Row = { readonly what: string; readonly measured: number | undefined; readonly target: number; readonly atLeast: boolean; readonly unit: string; readonly digits: number }

export function tableOf(figures: Figures): string {
  const { perform, latency, backlog, recoveryMs, commitMs } = figures
  const performMs = perform && perform.performP50Ms - perform.directP50Ms
  const inCommits = (ms: number | undefined): number | undefined => (ms === undefined || commitMs === undefined ? undefined : ms / commitMs)
  const ran = figures.rounds.length > 0
  const rows: readonly Row[] = [
    { what: 'submit, one by one, 50 callers', measured: ran ? of(figures, 'submit') : undefined, target: 60_000, atLeast: true, unit: '/s', digits: 0 },
    { what: '  the same by this machine\'s raw', measured: ran ? toRaw(figures, 'submit') : undefined, target: rounded(60_000 / REFERENCE.rawPerS), atLeast: true, unit: '× raw', digits: 2 },
    { what: 'drain, one process', measured: ran ? toRaw(figures, 'drain') : undefined, target: 0.4, atLeast: true, unit: '× raw', digits: 2 },
    { what: 'submit and drain together', measured: ran ? toRaw(figures, 'live') : undefined, target: 0.3, atLeast: true, unit: '× raw', digits: 2 },
    { what: 'perform adds, median', measured: performMs, target: 1, atLeast: false, unit: 'ms', digits: 2 },
    { what: '  the same by this machine\'s commits', measured: inCommits(performMs), target: rounded(1 / REFERENCE.commitMs), atLeast: false, unit: 'commits', digits: 2 },
    { what: 'submit to recorded at 50/s, median', measured: latency?.p50Ms, target: 2, atLeast: false, unit: 'ms', digits: 2 },
    { what: '  the same by this machine\'s commits', measured: inCommits(latency?.p50Ms), target: rounded(2 / REFERENCE.commitMs), atLeast: false, unit: 'commits', digits: 2 },
    { what: `worker with ${(backlog?.waiting ?? 0).toLocaleString('en')} waiting`, measured: backlog?.rssMb, target: 200, atLeast: false, unit: 'MB', digits: 0 },
    { what: '  the same with a small nursery', measured: backlog?.smallRssMb, target: 200, atLeast: false, unit: 'MB', digits: 0 },
    { what: 'opening such a store', measured: backlog?.openMs, target: 1_000, atLeast: false, unit: 'ms', digits: 0 },
    { what: 'recovery of 50 in flight', measured: recoveryMs, target: 5_000, atLeast: false, unit: 'ms', digits: 0 },
  ]
  const shown = rows.flatMap(({ what, measured, target, atLeast, unit, digits }) => {
    if (measured === undefined) return []
    const met = atLeast ? measured >= target : measured <= target
    return `  ${what.padEnd(38)}${`${measured.toFixed(digits)} ${unit}`.padStart(16)}   ${atLeast ? '≥' : '≤'} ${`${target} ${unit}`.padEnd(12)} ${(measured / target).toFixed(2)}×  ${met ? 'met' : 'NOT MET'}`
  })
  return ['', `  ${'what'.padEnd(38)}${'measured'.padStart(16)}   ${'target'.padEnd(14)} of target`, ...shown].join('\n')
}
