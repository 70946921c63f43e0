/**
 * From what a caller passes to a new call: checked, refused to the caller's face, never changed silently.
 */
import type { Call } from '../core/call.ts'
import { durationMs } from '../core/duration.ts'
import { StewardError } from '../core/errors.ts'
import { notJson } from '../core/input.ts'
import { LIMITS } from '../core/limits.ts'
import type { System } from '../ports/system.ts'
import type { StandardResult } from '../ports/standard-schema.ts'
import type { SubmitOptions } from './api.ts'
import type { Registered } from './operation.ts'

export type IntakeContext = { readonly namespace: string; readonly system: System; now(): number }

/** @throws StewardError STEWARD_KEY_INVALID, STEWARD_INPUT_*, STEWARD_OPTION_INVALID; nothing was stored or sent. */
export function newCall(context: IntakeContext, registered: Registered, options: SubmitOptions<unknown>): Call | Promise<Call> {
  const name = registered.operation.name
  if (typeof options !== 'object' || options === null) throw optionInvalid(name, 'it was called without { key, input }')
  checkKey(name, options.key)
  const given = jsonText(name, options.key, options.input, 'input')
  const refused = (error: unknown): never => { throw new StewardError('STEWARD_INPUT_INVALID', `the schema of ${name} threw on the input of "${options.key}": ${error instanceof Error ? error.message : 'something that is no error'}. Nothing was stored or sent. Correct the input, or the schema.`, { operation: name, key: options.key }, { cause: error }) }
  let parsed: StandardResult<unknown> | Promise<StandardResult<unknown>>
  try {
    parsed = registered.operation.input['~standard'].validate(options.input)
  } catch (error) {
    return refused(error)
  }
  return parsed instanceof Promise ? parsed.catch(refused).then((result) => assembled(context, registered, options, given, result)) : assembled(context, registered, options, given, parsed)
}

/** @throws StewardError STEWARD_KEY_INVALID */
export function checkKey(operation: string, key: unknown): void {
  if (typeof key === 'string' && key.length > 0 && key.length <= LIMITS.keyChars && !/[\u0000-\u001f\u007f]/.test(key) && key.isWellFormed()) return
  const found = typeof key === 'string' ? (key.length === 0 ? 'empty' : key.length > LIMITS.keyChars ? `${key.length} characters long` : key.isWellFormed() ? 'has control characters' : 'no well-formed Unicode (half of a surrogate pair)') : `a ${key === null ? 'null' : typeof key}`
  throw new StewardError('STEWARD_KEY_INVALID', `the key of a call of ${operation} is ${found}. Nothing was stored or sent. Pass the business key (the order id): text of 1 to ${LIMITS.keyChars} characters.`, { operation })
}

/** Silence would store the call whatever becomes of the transaction. @throws StewardError STEWARD_OPTION_INVALID */
export function refuseTx(operation: string, what: string, options: object | null | undefined): void {
  if (options && 'tx' in options && options.tx !== undefined) throw optionInvalid(operation, `${what} takes no tx; use submit({ …, tx }) inside a transaction`)
}

function jsonText(operation: string, key: string, value: unknown, what: string): string {
  let problem: string | null
  try {
    problem = value === undefined ? `the ${what} is undefined` : notJson(value)
  } catch (error) {
    problem = `reading the ${what} threw ${error instanceof Error ? error.message : String(error)}`
  }
  if (problem !== null) throw new StewardError('STEWARD_INPUT_UNSERIALISABLE', `the ${what} of ${operation} "${key}" cannot be stored as it is: ${problem}. Nothing was stored or sent. Pass plain JSON.`, { operation, key })
  const text: string | undefined = JSON.stringify(value)
  if (text === undefined) throw new StewardError('STEWARD_INPUT_UNSERIALISABLE', `the ${what} of ${operation} "${key}" cannot be stored as it is: JSON leaves nothing of it. Nothing was stored or sent. Pass plain JSON.`, { operation, key })
  if (text.length * 3 > LIMITS.inputBytes && Buffer.byteLength(text) > LIMITS.inputBytes) {
    throw new StewardError('STEWARD_INPUT_TOO_LARGE', `the ${what} of ${operation} "${key}" has ${Buffer.byteLength(text)} bytes; the limit is ${LIMITS.inputBytes}. Nothing was stored or sent. Store the large part elsewhere and pass a reference.`, { operation, key })
  }
  return text
}

function assembled(context: IntakeContext, registered: Registered, options: SubmitOptions<unknown>, given: string, parsed: StandardResult<unknown>): Call {
  const name = registered.operation.name
  if (parsed.issues) {
    const issues = parsed.issues.slice(0, 5).map((issue) => `${pathText(issue.path)}${issue.message}`)
    throw new StewardError('STEWARD_INPUT_INVALID', `the input of ${name} "${options.key}" does not pass its schema: ${issues.join('; ')}. Nothing was stored or sent. Correct the input.`, { operation: name, key: options.key, issues })
  }
  const input = jsonText(name, options.key, parsed.value, 'parsed input')
  const now = context.now()
  const runAt = instant(options.runAt, 'runAt', name)
  const expiresAt = instant(options.expiresAt, 'expiresAt', name)
  if (expiresAt !== null && expiresAt <= Math.max(now, runAt ?? now)) throw optionInvalid(name, `expiresAt (${new Date(expiresAt).toISOString()}) is not after ${runAt === null ? 'now' : 'runAt'}`)
  const priority = options.priority ?? 0
  if (!Number.isInteger(priority) || priority < -100 || priority > 100) throw optionInvalid(name, `priority is ${priority}; it must be a whole number from -100 to 100`)
  const group = options.group ?? null
  if (group !== null && (typeof group !== 'string' || group.length === 0 || group.length > LIMITS.nameChars || group.includes('\u0000') || !group.isWellFormed())) throw optionInvalid(name, `group must be text of 1 to ${LIMITS.nameChars} characters, without U+0000 and halves of surrogate pairs`)
  const dueAt = Math.max(runAt ?? now, now)
  const giveUpAfterMs = options.giveUpAfter === undefined ? registered.policy.giveUpAfterMs : durationMs(options.giveUpAfter, `giveUpAfter of ${name} "${options.key}"`)
  return {
    id: `c_${now.toString(32).padStart(9, '0')}${context.system.identity().slice(0, 10)}`,
    namespace: context.namespace, operation: name, version: registered.operation.version, key: options.key, group, place: null, priority,
    state: 'waiting', effect: 'did_not_happen', rev: 1, generation: 1, attempts: 0, tries: 0, lapses: 0, firstBegunAt: null, keySpent: false,
    createdAt: now, dueAt, expiresAt, giveUpAt: dueAt + giveUpAfterMs, open: [], facts: [], stop: null, lookup: null,
    reason: runAt === null || runAt <= now ? 'not sent yet' : 'not due yet', lastVerdict: null, given, input: input === given ? null : input, result: null, resultMissing: null,
    supersedes: options.supersedes ?? null, supersededBy: null, endedAt: null, encryptionKeyId: null,
    story: [{ at: now, what: 'submitted', ...(options.supersedes === undefined ? {} : { why: `takes the purpose of "${options.supersedes}"` }), ...(dueAt > now ? { due: dueAt } : {}) }],
  }
}

function pathText(path: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined): string {
  if (!path || path.length === 0) return ''
  return `${path.map((part) => String(typeof part === 'object' ? part.key : part)).join('.')}: `
}

export function instant(value: Date | number | undefined, what: string, operation: string): number | null {
  if (value === undefined) return null
  const at = typeof value === 'number' ? value : value instanceof Date ? value.getTime() : Number.NaN
  if (!Number.isFinite(at) || at < 0 || at > 8.64e15) throw optionInvalid(operation, `${what} is ${String(value)}, which is no instant; pass a Date or milliseconds since the epoch`)
  return Math.round(at)
}

function optionInvalid(operation: string, why: string): StewardError {
  return new StewardError('STEWARD_OPTION_INVALID', `${operation}: ${why}. Nothing was stored or sent.`, { operation })
}

/** Items are stored one by one: the error names those that were refused, and each with its own reason. */
export function someRefused(operation: string, of: number, refused: readonly { readonly key: string; readonly error: unknown }[]): StewardError {
  const all = refused.map(({ key, error }) => ({ key, code: error instanceof StewardError ? error.code : null, message: error instanceof Error ? error.message : String(error), details: error instanceof StewardError ? error.details : {} }))
  const codes = new Set(all.map((one) => one.code))
  const first = refused[0]?.error
  const code = (codes.size === 1 ? all[0]?.code : null) ?? 'STEWARD_STORE_UNAVAILABLE'
  const named = all.slice(0, 5).map((one) => `"${one.key}"`).join(', ') + (all.length > 5 ? ' …' : '')
  const unknown = all.some((one) => one.details['outcome'] === 'unknown') ? { outcome: 'unknown' } : {}
  return new StewardError(code, `${all.length} of ${of} calls of ${operation} were refused (${named}); the other ${of - all.length} are stored, and go on. Submit the refused ones again once their cause is mended; repeating all of them is safe. Of the first: ${all[0]?.message ?? ''}`, { operation, refused: all, reused: all.filter((one) => one.code === 'STEWARD_KEY_REUSED').map((one) => one.details), ...unknown }, { cause: first })
}
