import type { Call } from '../core/call.ts'
import type { CallInfo } from '../ports/definition.ts'

/** What user code is told about a call. */
export function callInfo(call: Call): CallInfo {
  return { id: call.id, operation: call.operation, key: call.key, group: call.group, version: call.version, generation: call.generation, attempt: call.attempts }
}
