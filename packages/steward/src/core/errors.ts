/**
 * Every coded error of Steward. One class, many codes; each code has a section in docs/reference/errors.md
 * (test/tidy compares the two). A message says what happened with the value, to which call, what state that
 * leaves the world in, and what to do next.
 */
export const ERROR_CODES = {
  STEWARD_DURATION_INVALID: 'An option is not a duration.',
  STEWARD_OPERATION_INVALID: 'The definition of an operation does not hold together.',
  STEWARD_OPERATION_DUPLICATE: 'Two operations carry the same name.',
  STEWARD_OPERATION_UNKNOWN: 'This process does not know the operation.',
  STEWARD_PROVIDER_CONFLICT: 'Two different providers carry the same name.',
  STEWARD_RETENTION_TOO_SHORT: 'The provider forgets the key before a first retry could be sent.',
  STEWARD_KEY_INVALID: 'The business key is empty, too long or not text.',
  STEWARD_KEY_REUSED: 'The key already belongs to a call with a different input.',
  STEWARD_INPUT_INVALID: 'The input does not pass the schema of the operation.',
  STEWARD_INPUT_UNSERIALISABLE: 'The input holds something that JSON would change or lose.',
  STEWARD_INPUT_TOO_LARGE: 'The input is larger than the limit.',
  STEWARD_OPTION_INVALID: 'An option of a call is out of range or contradicts another.',
  STEWARD_ENCRYPTION_KEY_MISSING: 'The record is encrypted under a key that this process was not given.',
  STEWARD_SUPERSEDES_REFUSED: 'The call to be superseded may have happened, or is unknown.',
  STEWARD_CALL_NOT_FOUND: 'No such call.',
  STEWARD_CALL_FORGOTTEN: 'The store has no record any more of a call that it had stored.',
  STEWARD_ACTION_REFUSED: 'The action is not safe or not possible in the state of the call.',
  STEWARD_REASON_MISSING: 'An action by a person needs who and why.',
  STEWARD_FACT_INVALID: 'The fact does not say enough to be stored.',
  STEWARD_STORE_UNAVAILABLE: 'The store cannot be reached or is busy.',
  STEWARD_STORE_READONLY: 'The store cannot be written.',
  STEWARD_STORE_CORRUPT: 'The store is damaged or is not a Steward store.',
  STEWARD_STORE_FULL: 'The disk of the store is full.',
  STEWARD_STORE_NEWER: 'The store was written by a newer version of Steward.',
  STEWARD_STORE_OUTDATED: 'The store needs a migration that this process was told not to make.',
  STEWARD_STORE_SET_BACK: 'The database was set back, and nobody has said what it lost.',
  STEWARD_NAMESPACE_CHANGED: 'The store belongs to another namespace.',
  STEWARD_STORE_LOCATION: 'The store cannot be opened where it is.',
  STEWARD_INSIDE_TRANSACTION: 'A handler of onSettled asked for what would wait for its own transaction.',
  STEWARD_TRANSACTION_REFUSED: 'The call cannot be submitted inside this transaction.',
  STEWARD_CLOSED: 'This Steward is closed.',
  STEWARD_OVERLOADED: 'Too much is waiting in this process.',
  STEWARD_CONFIG_INVALID: 'steward.config.ts is missing or does not export what is needed.',
  STEWARD_USAGE: 'The command line is not understood.',
  STEWARD_PACKAGE_MISSING: 'A command needs a package that is not installed.',
} as const

export type ErrorCode = keyof typeof ERROR_CODES

/** The one error class of Steward. Branch on `code`, never on the message. */
export class StewardError extends Error {
  override readonly name = 'StewardError'
  readonly code: ErrorCode
  /** Facts for machines, e.g. the names of the fields that differ. Never holds values of redacted fields. */
  readonly details: Readonly<Record<string, unknown>>

  constructor(code: ErrorCode, message: string, details: Readonly<Record<string, unknown>> = {}, options?: { cause?: unknown }) {
    super(`${code}: ${message}`, options as ErrorOptions)
    this.code = code
    this.details = details
  }
}

/** Stops the process's current work when something that must hold does not: a bug in Steward, never bad input. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`Steward invariant broken: ${message}. This is a bug in Steward; the call was left as stored.`)
}
