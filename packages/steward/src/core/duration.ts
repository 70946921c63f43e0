import { StewardError } from './errors.ts'

/** A length of time: milliseconds as a number, or text such as `'500ms'`, `'20s'`, `'1.5h'`, `'7d'`. Never defaults to 0. */
export type Duration = number | string

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }

/** The longest duration that makes sense anywhere: 10 years. */
const LONGEST_MS = 10 * 365 * 86_400_000

/**
 * Milliseconds in a duration, rounded to whole ones.
 *
 * @param what names the option in the error, e.g. `giveUpAfter of charge-order`.
 * @throws StewardError STEWARD_DURATION_INVALID for anything that is not a positive duration of at most 10 years.
 */
export function durationMs(value: Duration, what: string): number {
  const ms = typeof value === 'number' ? value : parse(value)
  if (!Number.isFinite(ms) || ms < 1 || ms > LONGEST_MS) {
    throw new StewardError(
      'STEWARD_DURATION_INVALID',
      `${what} is ${typeof value === 'string' ? JSON.stringify(value) : String(value)}, which is not a duration between 1ms and 10 years. Nothing was started. Write a number of milliseconds or text such as '500ms', '20s', '15m', '12h', '7d'.`,
    )
  }
  return Math.round(ms)
}

function parse(text: string): number {
  if (typeof text !== 'string') return Number.NaN
  const match = /^\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)\s*$/.exec(text)
  return match ? Number(match[1]) * (UNIT_MS[match[2] as string] as number) : Number.NaN
}

/** A duration for people: `1.2s`, `3m`, `12h`, `2d`. */
export function durationText(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)}ms`
  for (const [unit, size, next] of [['s', 1_000, 60_000], ['m', 60_000, 3_600_000], ['h', 3_600_000, 172_800_000]] as const) {
    if (ms < next) return `${Number((ms / size).toFixed(1))}${unit}`
  }
  return `${Number((ms / 86_400_000).toFixed(1))}d`
}
