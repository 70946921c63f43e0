/**
 * Steward: durable, idempotent calls to other people's APIs.
 *
 * Define an operation (`defineOperation`) with an answer to "is it safe to send twice?", open a Steward on a store,
 * and `perform` or `submit` calls under business keys.
 */
export { Steward } from './runtime/steward.ts'
export { defineOperation } from './runtime/operation.ts'
export { defineConfig } from './runtime/config.ts'
export type { ConfigOptions, PremortemLike, StewardConfig } from './runtime/config.ts'
export { AcceptedReference, accepted, natural, none, providerKey, reconcile, Referenced, referenced, SendVerdict } from './ports/definition.ts'
export { ERROR_CODES, StewardError } from './core/errors.ts'
export type { ErrorCode } from './core/errors.ts'
export type { Alert, AlertKind, Severity } from './core/alert.ts'
export type { Effect, EndState, State } from './core/call.ts'
export type { Duration } from './core/duration.ts'
export type { Json } from './core/json.ts'
export type { Entry } from './core/story.ts'
export type { Telling } from './core/telling.ts'
export type { Accepted, Applied, FailureVerdict, NotApplied, Rejected, Unknown, Verdict, WireExchange } from './core/verdict.ts'
export type { CallInfo, IdempotencyAnswer, Lookup, LookupContext, LookupOptions, LookupResult, OperationDefinition, SendContext, VerdictOfError } from './ports/definition.ts'
export type { CallRef, Outcome } from './ports/outcome.ts'
export type { StandardSchema } from './ports/standard-schema.ts'
export type { Backlog, CallerTx, Control, MigrationReport, SettleTx, SqlValue, Store, WorkerRow } from './ports/store.ts'
export type { Failpoints, Log, System } from './ports/system.ts'
export type { Encryption } from './runtime/encryption.ts'
export type {
  AlertView, ByWhom, CallView, FactOptions, ListFilter, Operation, OwnTxOptions, PerformOptions, PlainOptions, RedriveManyOptions, RedriveManyReport, RedriveOptions, RestoredOptions, RestoredReport, ScopeName, SettleOptions, StewardApi, StewardOptions, SubmitOptions, SubmitStatement, Submitted,
} from './runtime/api.ts'
