/** What a torture run came to, for people and as JSON. */
import type { TortureOptions } from './options.ts'
import type { TortureResult } from './run.ts'

/** Whether every invariant held. Under `none` doubt is allowed where nobody can know; the auditor judged each. */
export function held(result: TortureResult): boolean {
  return result.audit.violations.length === 0 && result.crashes.length === 0
}

export function jsonOf(options: TortureOptions, result: TortureResult): object {
  const { audit } = result
  return {
    store: 'sqlite',
    answer: options.answer,
    calls: options.calls,
    kills: result.kills,
    freezes: result.freezes,
    seed: options.seed,
    effectsOnce: audit.effectsOnce,
    effectsTwice: audit.effectsTwice,
    effectsNone: audit.effectsNone,
    lost: audit.lost,
    inDoubt: audit.inDoubt,
    recordDiffersFromLedger: audit.recordDiffersFromLedger,
    gateGap: audit.gaps.length,
    durationMs: result.durationMs,
    states: audit.states,
    faults: result.faults,
    gaps: audit.gaps,
    violations: audit.violations,
    crashes: result.crashes,
    held: held(result),
  }
}

export function textOf(options: TortureOptions, result: TortureResult): string {
  const { audit } = result
  const row = (name: string, value: number | string): string => `  ${name.padEnd(28)}${String(value).padStart(8)}`
  const counts = Object.entries(result.faults).sort(([a], [b]) => a.localeCompare(b)).map(([name, count]) => row(name, count))
  const told = result.tellings.flatMap(({ key, telling }) => ['', `${key}: ${telling?.title ?? 'no record'}`, ...(telling?.lines ?? []).flatMap((line) => [`  ${new Date(line.at).toISOString()}  ${line.text}`, ...line.wire.map((wire) => `      ${wire}`)])])
  return [
    `sqlite, ${options.answer}, ${options.calls} calls, seed ${options.seed}: ${result.kills} kills, ${result.freezes} freezes, ${(result.durationMs / 1_000).toFixed(1)} s`,
    row('effects once', audit.effectsOnce), row('effects twice', audit.effectsTwice), row('effects none', audit.effectsNone),
    row('lost', audit.lost), row('in doubt', audit.inDoubt), row('record differs from ledger', audit.recordDiffersFromLedger),
    row('gate gap', audit.gaps.length),
    ...Object.entries(audit.states).map(([state, count]) => row(`state ${state}`, count)),
    '  what happened on the way:', ...counts,
    ...result.crashes.map((crash) => `  CRASH ${crash}`),
    ...audit.violations.slice(0, 50).map((one) => `  VIOLATION ${one.kind}: ${one.key}: ${one.detail}`),
    ...told,
    ...(result.folder === null ? [] : [`Store, ledger and acknowledgements are kept in ${result.folder}`]),
    held(result) ? 'Every invariant held.' : 'AN INVARIANT DID NOT HOLD.',
  ].join('\n')
}
