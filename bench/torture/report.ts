/** What a torture run came to, for people and as JSON. */
import type { TortureOptions } from './options.ts'
import type { TortureResult } from './run.ts'

/** Whether every invariant held. Under `none` doubt is allowed where nobody can know; the auditor judged each. */
export function held(result: TortureResult): boolean {
  return result.audit.violations.length === 0 && result.mishaps.length === 0
}

export function jsonOf(options: TortureOptions, result: TortureResult): object {
  const { audit } = result
  return {
    store: options.store,
    answer: options.answer,
    calls: options.calls,
    kills: result.kills,
    freezes: result.freezes,
    crashes: result.crashes,
    cuts: result.cuts,
    delays: result.delays,
    falseClocks: result.falseClocks,
    olderProcesses: result.olderProcesses,
    older: result.older,
    seed: options.seed,
    effectsOnce: audit.effectsOnce,
    effectsTwice: audit.effectsTwice,
    effectsNone: audit.effectsNone,
    lost: audit.lost,
    inDoubt: audit.inDoubt,
    recordDiffersFromLedger: audit.recordDiffersFromLedger,
    gateGap: audit.gaps.length,
    lateAnswersKept: audit.lateAnswersKept,
    heardBeforeFreeze: audit.heardBeforeFreeze,
    rolledBackSubmits: audit.rolledBackSubmits,
    committedSubmits: audit.committedSubmits,
    workers: options.workers,
    durationMs: result.durationMs,
    states: audit.states,
    faults: result.faults,
    gaps: audit.gaps,
    violations: audit.violations,
    mishaps: result.mishaps,
    held: held(result),
  }
}

export function textOf(options: TortureOptions, result: TortureResult): string {
  const { audit } = result
  const row = (name: string, value: number | string): string => `  ${name.padEnd(28)}${String(value).padStart(8)}`
  const counts = Object.entries(result.faults).sort(([a], [b]) => a.localeCompare(b)).map(([name, count]) => row(name, count))
  const told = result.tellings.flatMap(({ key, telling }) => ['', `${key}: ${telling?.title ?? 'no record'}`, ...(telling?.lines ?? []).flatMap((line) => [`  ${new Date(line.at).toISOString()}  ${line.text}`, ...line.wire.map((wire) => `      ${wire}`)])])
  return [
    `${options.store}, ${options.answer}, ${options.calls} calls, seed ${options.seed}: ${result.kills} kills, ${result.freezes} freezes, ${result.crashes} crashes, ${(result.durationMs / 1_000).toFixed(1)} s`,
    row('effects once', audit.effectsOnce), row('effects twice', audit.effectsTwice), row('effects none', audit.effectsNone),
    row('lost', audit.lost), row('in doubt', audit.inDoubt), row('record differs from ledger', audit.recordDiffersFromLedger),
    row('gate gap', audit.gaps.length), row('late answers kept', audit.lateAnswersKept),
    ...(options.store === 'sqlite' ? [] : ofFleet(result).map(([name, value]) => row(name, value))),
    ...Object.entries(audit.states).map(([state, count]) => row(`state ${state}`, count)),
    '  what happened on the way:', ...counts,
    ...result.mishaps.map((mishap) => `  MISHAP ${mishap}`),
    ...audit.violations.slice(0, 50).map((one) => `  VIOLATION ${one.kind}: ${one.key}: ${one.detail}`),
    ...told,
    ...(result.folder === null ? [] : [`Store, ledger and acknowledgements are kept in ${result.folder}`]),
    held(result) ? 'Every invariant held.' : 'AN INVARIANT DID NOT HOLD.',
  ].join('\n')
}

function ofFleet({ audit, ...result }: TortureResult): readonly (readonly [string, number | string])[] {
  return [
    ['heard before a freeze', audit.heardBeforeFreeze], ['submits rolled back', audit.rolledBackSubmits], ['submits committed so', audit.committedSubmits], ['connections cut', result.cuts], ['connections held back', result.delays],
    ['with a false clock', result.falseClocks], [`on the older ${result.older}`, result.olderProcesses],
  ]
}
