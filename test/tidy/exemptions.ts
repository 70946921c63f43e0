/**
 * What the tidy checks let pass, each with its reason. The list only shrinks: an exemption that nothing needs any more
 * fails the check, and so does a list that is not exactly as long as `EXEMPTIONS_LEFT`. When you remove one, lower
 * the number. Raising it is a decision for review, never a by-product.
 */
import type { Violation } from './project.ts'

export interface Exemption {
  readonly check: string
  readonly path: string
  /** The violation's text, word for word. */
  readonly what: string
  readonly reason: string
}

export const EXEMPTIONS: readonly Exemption[] = [
  {
    check: 'time and randomness are arguments',
    path: 'packages/steward/src/cli/every.ts',
    what: 'setInterval (time and randomness are arguments; the real ones live in packages/steward/src/runtime/system.ts)',
    reason: 'a person watches the terminal: the command line shows progress and stays alive until it is told to end; no decision depends on this timer',
  },
  {
    check: 'time and randomness are arguments',
    path: 'packages/steward/src/sqlite/clock.ts',
    what: 'Date.now (time and randomness are arguments; the real ones live in packages/steward/src/runtime/system.ts)',
    reason: "the store's own clock (the `clock` option replaces it) and the time limits inside its thread, which no System can reach",
  },
  {
    check: 'time and randomness are arguments',
    path: 'packages/steward/src/sqlite/clock.ts',
    what: 'process.hrtime (time and randomness are arguments; the real ones live in packages/steward/src/runtime/system.ts)',
    reason: "the store's time goes on by it while the machine's clock is behind the stored mark (the `ticks` option replaces it); a store has no System",
  },
  {
    check: 'time and randomness are arguments',
    path: 'packages/steward/src/postgres/clock.ts',
    what: 'process.hrtime (time and randomness are arguments; the real ones live in packages/steward/src/runtime/system.ts)',
    reason: "the database's time goes on by it between two readings (the `ticks` option replaces it); a store has no System",
  },
  {
    check: 'time and randomness are arguments',
    path: 'packages/steward/src/postgres/clock.ts',
    what: 'setTimeout (time and randomness are arguments; the real ones live in packages/steward/src/runtime/system.ts)',
    reason: 'spaces hints, listens again after a break, and bounds a handler that holds a transaction open; no decision depends on it, and a store has no System',
  },
]

export const EXEMPTIONS_LEFT = 5

/** The one place where the real clock, real timers and real randomness are read. */
export const SYSTEM_ADAPTER = 'packages/steward/src/runtime/system.ts'

const covers = (exemption: Exemption, violation: Violation): boolean =>
  exemption.path === violation.path && exemption.what === violation.what

export function withoutExempt(check: string, found: readonly Violation[], exemptions: readonly Exemption[] = EXEMPTIONS): readonly Violation[] {
  const own = exemptions.filter((exemption) => exemption.check === check)
  return found.filter((violation) => !own.some((exemption) => covers(exemption, violation)))
}

export function staleExemptions(check: string, found: readonly Violation[], exemptions: readonly Exemption[] = EXEMPTIONS): readonly Exemption[] {
  return exemptions.filter((exemption) => exemption.check === check && !found.some((violation) => covers(exemption, violation)))
}
