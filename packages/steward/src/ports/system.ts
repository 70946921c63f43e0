/** Time, randomness and identity are arguments: production passes `runtime/system.ts`, tests and the lab pass their own. */
export interface System {
  /** Milliseconds since the epoch, whole. May jump; see `Store.now` for the time decisions use. */
  now(): number
  /** Milliseconds that only ever grow, with fractions; no relation to the epoch. */
  monotonicMs(): number
  /** Runs `fn` once after `delayMs`; returns the way to stop it. Does not keep the process alive when `background`. */
  after(delayMs: number, fn: () => void, background?: boolean): () => void
  /** Runs `fn` when the events at hand are worked off: the end of a batch. */
  soon(fn: () => void): void
  /** Uniform in [0, 1). */
  random(): number
  /** A new identity: 16 characters of [0-9a-z], random. */
  identity(): string
  /** SHA-256 of text, 64 hexadecimal characters. */
  digest(text: string): string
}

/** Structured log lines; the library writes nothing else to the console. */
export interface Log {
  info(message: string, fields?: Readonly<Record<string, unknown>>): void
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void
  error(message: string, fields?: Readonly<Record<string, unknown>>): void
}

/**
 * Named points around each commit and each send, for tests and the lab. Production has none set: a point costs
 * one comparison.
 */
export const FAILPOINTS = [
  'submit.before-commit', 'submit.after-commit',
  'claim.before-commit', 'claim.after-commit',
  'begin.before-commit', 'begin.after-commit',
  'send.before', 'send.after',
  'finish.before-commit', 'finish.after-commit',
  'settle.before', 'settle.after',
] as const
export type FailpointName = (typeof FAILPOINTS)[number]
export type Failpoints = { hit(name: FailpointName): void }
