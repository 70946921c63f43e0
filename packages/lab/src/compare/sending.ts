/** What both baselines do to send once: the operation's own code, a key of theirs, and a client that gives up after a while. */
import type { CallInfo, Json, Operation } from 'steward'
import type { ProcessParts } from '../contract.ts'

/** Their client's time limit, milliseconds. */
const TIMEOUT_MS = 10_000

export type Sent = { readonly ok: true; readonly result: Json } | { readonly ok: false; readonly why: string }

/** Any return is a success, as any 2xx is to them; any throw is a failure. */
export async function sendOnce(parts: ProcessParts, operation: Operation, input: Json, key: string, providerKey: string, attempt: number): Promise<Sent> {
  const limit = new AbortController()
  const stop = parts.system.after(TIMEOUT_MS, () => limit.abort(new DOMException('The operation was aborted due to timeout', 'TimeoutError')))
  const call: CallInfo = { id: providerKey, operation: operation.name, key, group: null, version: operation.version, generation: 1, attempt }
  try {
    const result: unknown = await operation.send(input, { idempotencyKey: providerKey, signal: limit.signal, fetch: globalThis.fetch, call })
    return { ok: true, result: plain(result) }
  } catch (error) {
    return { ok: false, why: error instanceof Error ? error.message : String(error) }
  } finally {
    stop()
  }
}

function plain(result: unknown): Json {
  return result === undefined ? null : (JSON.parse(JSON.stringify(result)) as Json)
}

export function operationOf(parts: ProcessParts, name: string): Operation {
  const operation = parts.operations.find((one) => one.name === name)
  if (operation === undefined) throw new Error(`${parts.name} does not know the operation "${name}"`)
  return operation
}
