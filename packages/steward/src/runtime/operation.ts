/** Operations: from what users write down to what the core reckons with. */
import { durationMs } from '../core/duration.ts'
import { StewardError } from '../core/errors.ts'
import type { Json } from '../core/json.ts'
import { LIMITS } from '../core/limits.ts'
import type { AnswerKind, Policy } from '../core/policy.ts'
import type { OperationDefinition } from '../ports/definition.ts'
import type { Lane } from '../ports/store.ts'
import type { Operation } from './api.ts'

const ANSWERS: ReadonlySet<unknown> = new Set<AnswerKind>(['providerKey', 'reconcile', 'natural', 'none'])
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/

/**
 * Checks a definition and returns it as an operation.
 *
 * @throws StewardError STEWARD_OPERATION_INVALID, STEWARD_DURATION_INVALID, STEWARD_RETENTION_TOO_SHORT; nothing was started.
 */
export function defineOperation<Input, Parsed, Result>(definition: OperationDefinition<Input, Parsed, Result>): Operation<Input, Parsed, Result> {
  const operation = { version: 1, ...definition }
  register(operation)
  return operation
}

/** An operation with everything about it worked out once. */
export type Registered = {
  readonly operation: Operation
  readonly policy: Policy
  readonly provider: string
  readonly lane: Lane
  readonly doubtsToHold: number
  readonly refusalsToHold: number
}

export function register(operation: Operation): Registered {
  const name: unknown = operation.name
  if (typeof name !== 'string' || !NAME.test(name) || name.length > LIMITS.nameChars) {
    throw invalid(String(name), `its name must be 1 to ${LIMITS.nameChars} letters, digits, "-", "_" or "."`)
  }
  if (!Number.isInteger(operation.version) || operation.version < 1) throw invalid(name, `version is ${operation.version}; it must be a whole number from 1 on`)
  if (typeof operation.send !== 'function') throw invalid(name, 'send is not a function')
  if (operation.input?.['~standard']?.version !== 1) throw invalid(name, 'input is not a Standard Schema (zod, valibot, arktype …)')
  if (!operation.idempotency?.kind) {
    throw invalid(name, 'it does not say whether it is safe to send twice. Answer with idempotency: providerKey(…), reconcile(…), natural(…), none(…) or a preset of steward/providers')
  }
  if (!ANSWERS.has(operation.idempotency.kind)) throw invalid(name, `its idempotency answer is ${JSON.stringify(operation.idempotency.kind)}; make it with providerKey(…), reconcile(…), natural(…), none(…) or a preset of steward/providers`)
  for (const [whose, options] of [['', operation], [' of the idempotency answer', operation.idempotency]] as const) {
    for (const option of ['onSettled', 'verdict', 'lookup'] as const) {
      const value: unknown = (options as Readonly<Record<string, unknown>>)[option]
      if (value !== undefined && typeof value !== 'function') throw invalid(name, `${option}${whose} is not a function`)
    }
  }
  for (const [option, value] of Object.entries(operation.holdAfter ?? {})) {
    if (value !== undefined && (!Number.isInteger(value) || value < 1)) throw invalid(name, `holdAfter.${option} is ${String(value)}; it must be a whole number from 1 on`)
  }
  return {
    operation,
    policy: policyOf(operation),
    provider: operation.provider ?? operation.idempotency.provider ?? name,
    lane: { operation: name, versions: understood(operation) },
    doubtsToHold: operation.holdAfter?.doubts ?? 50,
    refusalsToHold: operation.holdAfter?.refusals ?? 5,
  }
}

function invalid(name: string, why: string): StewardError {
  return new StewardError('STEWARD_OPERATION_INVALID', `operation "${name}" cannot be used: ${why}. Nothing was started; correct the definition.`, { operation: name })
}

function policyOf(operation: Operation): Policy {
  const { name, idempotency: answer } = operation
  const ms = (value: number | string | undefined, fallback: number, option: string): number => (value === undefined ? fallback : durationMs(value, `${option} of ${name}`))
  const timeoutMs = ms(operation.timeout, 30_000, 'timeout')
  const retentionMs = answer.kind === 'providerKey' ? durationMs(answer.retention as never, `retention of ${name}`) : 0
  const policy: Policy = {
    answer: answer.kind,
    retentionMs,
    marginMs: answer.margin === undefined ? Math.min(Math.round(retentionMs * 0.05), 3_600_000) : ms(answer.margin, 0, 'margin'),
    hasLookup: answer.lookup !== undefined,
    settleMs: ms(answer.settle, 60_000, 'settle'),
    absences: answer.absences ?? 1,
    lookupEveryMs: ms(answer.lookupEvery, 10_000, 'lookupEvery'),
    lookupForMs: ms(answer.lookupFor, 86_400_000, 'lookupFor'),
    timeoutMs,
    giveUpAfterMs: ms(operation.giveUpAfter, 86_400_000, 'giveUpAfter'),
    maxAttempts: operation.maxAttempts ?? null,
    backoffBaseMs: ms(operation.backoff?.base, 500, 'backoff.base'),
    backoffCapMs: ms(operation.backoff?.cap, 300_000, 'backoff.cap'),
    pollEveryMs: operation.pollEvery === undefined ? null : ms(operation.pollEvery, 0, 'pollEvery'),
    acceptedOverdueMs: ms(operation.acceptedOverdue, 86_400_000, 'acceptedOverdue'),
  }
  if (policy.maxAttempts !== null && (!Number.isInteger(policy.maxAttempts) || policy.maxAttempts < 1)) throw invalid(name, `maxAttempts is ${policy.maxAttempts}; it counts attempts, the first included, from 1 on`)
  if (!Number.isInteger(policy.absences) || policy.absences < 1) throw invalid(name, `absences is ${policy.absences}; it must be a whole number from 1 on`)
  if (policy.answer === 'reconcile' && !policy.hasLookup) throw invalid(name, 'reconcile needs a lookup')
  if (policy.pollEveryMs !== null && !policy.hasLookup) throw invalid(name, 'pollEvery needs a lookup in its idempotency answer')
  if (policy.answer === 'providerKey' && retentionMs - policy.marginMs < 2 * timeoutMs + policy.backoffBaseMs) {
    throw new StewardError(
      'STEWARD_RETENTION_TOO_SHORT',
      `${name}: the provider remembers keys for ${retentionMs}ms (less a margin of ${policy.marginMs}ms), but a first attempt (${timeoutMs}ms), one wait (up to ${policy.backoffBaseMs}ms) and a second attempt need ${2 * timeoutMs + policy.backoffBaseMs}ms. Nothing was started. Shorten timeout, or use reconcile with a lookup.`,
      { operation: name },
    )
  }
  return policy
}

/** Versions this code understands: its own, and those that `upgrade` leads from to its own without a gap. */
function understood(operation: Operation): readonly number[] {
  const versions = [operation.version]
  for (let from = operation.version - 1; from >= 1 && typeof operation.upgrade?.[from] === 'function'; from--) versions.push(from)
  for (const step of Object.keys(operation.upgrade ?? {})) {
    if (!versions.includes(Number(step))) throw invalid(operation.name, `upgrade has a step from version ${step}, but the steps from there to version ${operation.version} are not complete`)
  }
  return versions
}

/** The stored input brought to the operation's version. */
export function upgradeInput(operation: Operation, from: number, input: Json): unknown {
  let value: unknown = input
  for (let version = from; version < operation.version; version++) {
    const step = operation.upgrade?.[version] as ((input: unknown) => unknown) | undefined
    if (!step) throw invalid(operation.name, `no upgrade from version ${version}`)
    value = step(value)
  }
  return value
}
