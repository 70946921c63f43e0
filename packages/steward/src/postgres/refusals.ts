/** What errors of PostgreSQL and of its connections mean to the caller: coded errors that say what state they leave, and what to do. */
import { type ErrorCode, StewardError } from '../core/errors.ts'

/** What was under way: nothing was sent yet; what is surely undone; what may have been committed. */
export type During = 'connecting' | 'statement' | 'commit'

/** Classes and codes of SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html). */
const STATE = { full: '53100', readOnly: '25006', forbidden: '42501', locked: '55P03', cancelled: '57014', noTable: '42P01', noSchema: '3F000', noColumn: '42703', noDatabase: '3D000' } as const

/** The SQLSTATE of an error of the server; `null` when it did not come from there. */
function stateOf(error: unknown): string | null {
  const code = error !== null && typeof error === 'object' && 'code' in error ? error.code : null
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : null
}

/** The server is stopping, or the connection to it broke: with a commit under way, nobody can tell. */
function isLost(state: string | null): boolean {
  return state === null || state.startsWith('08') || state.startsWith('57P')
}

export function refusalOf(error: unknown, name: string, during: During): Error {
  if (error instanceof StewardError) return error
  const text = error instanceof Error && error.message !== '' ? error.message : String((error as { code?: unknown } | null)?.code ?? error)
  const state = stateOf(error)
  const refuse = (code: ErrorCode, message: string, outcome: 'not_stored' | 'unknown' = 'not_stored'): StewardError =>
    new StewardError(code, message, { store: name, postgres: text, outcome, ...(state === null ? {} : { sqlState: state }) }, { cause: error })
  if (during === 'connecting') return refusedConnection(refuse, state, name, text)
  if (isLost(state)) {
    return during === 'commit'
      ? refuse('STEWARD_STORE_UNAVAILABLE', `the connection to ${name} broke while a commit was under way (${text}). Whether it was stored is not known. Repeat the same writes: they join what is there.`, 'unknown')
      : refuse('STEWARD_STORE_UNAVAILABLE', `the connection to ${name} broke (${text}). Nothing of it was stored. Try again; the store goes on by itself when the database does.`)
  }
  switch (state as string) {
    case STATE.full: return refuse('STEWARD_STORE_FULL', `there is no room left for ${name} (${text}). Nothing of it was stored. Make room on the database's disk; the store goes on by itself.`)
    case STATE.readOnly: return refuse('STEWARD_STORE_READONLY', `${name} takes no writes (${text}): it may be a standby. Nothing of it was stored. Point the pool at the primary.`)
    case STATE.forbidden: return refuse('STEWARD_STORE_READONLY', `this role may not do what the store needs in ${name} (${text}). Nothing of it was stored. Grant it the use of the schema and of all that is in it.`)
    case STATE.noTable: case STATE.noSchema: case STATE.noColumn:
      return refuse('STEWARD_STORE_CORRUPT', `${name} lacks a part of its schema (${text}). Nothing of it was stored. Restore what was dropped, or name another schema.`)
    case STATE.locked: case STATE.cancelled:
      return refuse('STEWARD_STORE_UNAVAILABLE', `${name} gave up a statement that took too long (${text}). Nothing of it was stored. Look for a transaction that is held open, then try again.`)
    default: return refuse('STEWARD_STORE_UNAVAILABLE', `${name} refused a statement (${text}). Nothing of it was stored. Try again; if it stays so, look into the database's log.`)
  }
}

function refusedConnection(refuse: (code: ErrorCode, message: string) => StewardError, state: string | null, name: string, text: string): StewardError {
  if (state === STATE.noDatabase || state?.startsWith('28')) return refuse('STEWARD_STORE_LOCATION', `${name} does not let this process in (${text}). Nothing was stored. Correct user, password or database of the connection.`)
  return refuse('STEWARD_STORE_UNAVAILABLE', `${name} cannot be reached (${text}). Nothing was stored. Check that the database runs and has room for another connection; the store goes on by itself when it does.`)
}

/** Whether a lock was waited for in vain, and nothing was stored. */
export function isHeldUp(error: unknown): boolean {
  return error instanceof StewardError && error.details['sqlState'] === STATE.locked && error.details['outcome'] === 'not_stored'
}

/** Whether one caller's values are to blame, rather than the database as a whole: then the others of a batch are tried without it. */
export function concernsValues(error: unknown): boolean {
  if (error instanceof StewardError && error.code === 'STEWARD_STORE_CORRUPT' && 'callId' in error.details) return true
  const state = error instanceof StewardError ? error.details['sqlState'] : stateOf(error)
  return typeof state === 'string' && (state.startsWith('22') || state.startsWith('23') || state === '54000')
}
