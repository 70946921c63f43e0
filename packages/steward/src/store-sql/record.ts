/**
 * How a call is kept: the whole record as one JSON text (`body`), defaults left out; beside it the columns that
 * guards and questions need, repeated from the record by the same write, so that they cannot disagree with it.
 *
 * Authority: the body is the record, the columns are what SQL may look at. `rev`, the lease (`worker`, `epoch`) and
 * the columns of `OpenColumns` are the only things SQL judges. Fields this version does not know are kept as they
 * are, so that versions N and N+1 of the library can share a store.
 */
import { type Call, isEnd } from '../core/call.ts'
import { limitAt } from '../core/conclude.ts'

const NONE: readonly never[] = Object.freeze([])

/** Values that need not be written down; most calls differ from them in a dozen fields. */
const DEFAULTS: Readonly<Record<string, unknown>> = Object.freeze({
  version: 1,
  group: null,
  place: null,
  priority: 0,
  effect: 'did_not_happen',
  generation: 1,
  attempts: 0,
  tries: 0,
  lapses: 0,
  firstBegunAt: null,
  keySpent: false,
  dueAt: null,
  expiresAt: null,
  giveUpAt: null,
  open: NONE,
  facts: NONE,
  stop: null,
  lookup: null,
  lastVerdict: null,
  input: null,
  result: null,
  resultMissing: null,
  supersedes: null,
  supersededBy: null,
  endedAt: null,
  encryptionKeyId: null,
  story: NONE,
})

/** JSON text of the record without what is default, and without the namespace: a store holds one. */
export function encodeRecord(call: Call): string {
  const kept: Record<string, unknown> = {}
  for (const name in call) {
    const value: unknown = call[name as keyof Call]
    const usual = DEFAULTS[name]
    if (value === usual || name === 'namespace') continue
    if (usual === NONE && (value as readonly unknown[]).length === 0) continue
    kept[name] = value
  }
  return JSON.stringify(kept)
}

/** The record as it was written, under the namespace of the store. */
export function recordDecoder(namespace: string): (body: string) => Call {
  const usual = { ...DEFAULTS, namespace }
  return (body) => ({ ...usual, ...(JSON.parse(body) as object) }) as unknown as Call
}

/** When a worker may claim it; `null` where no worker has anything to do by time. */
export function claimableAt(call: Call): number | null {
  return call.state === 'waiting' || call.state === 'checking' || call.state === 'accepted' ? call.dueAt : null
}

/**
 * When time alone moves it: the earlier of expiry and give-up. `null` where time has nothing left to decide: while it
 * runs, once accepted (from there nothing is resent), when an order to stop is in force already, and at the end.
 */
export function sweptAt(call: Call): number | null {
  if (call.stop !== null || call.state === 'running' || call.state === 'accepted' || isEnd(call.state)) return null
  return limitAt(call)
}
