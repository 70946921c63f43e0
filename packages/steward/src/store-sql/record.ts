/**
 * How a call is kept: the record as two JSON texts, defaults left out. What never changes after the submit (`input`:
 * key, input as given and as parsed …) is written once and stays where it is; what changes (`body`) is rewritten by
 * each write, and small. Beside them stand the columns that guards and questions need, repeated from the record by
 * the same write, so that they cannot disagree with it.
 *
 * Authority: the two texts are the record, the columns are what SQL may look at. `rev`, the lease (`worker`, `epoch`) and
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

/** What is written once. Only an upgrade of the input writes it again (`CallWrite.inputChanged`). */
const ONCE: ReadonlySet<string> = new Set(['id', 'operation', 'key', 'group', 'createdAt', 'supersedes', 'given', 'input'])

/** Not in the body: what is written once, and what a store has once for all. */
const ELSEWHERE: ReadonlySet<string> = new Set([...ONCE, 'namespace'])

/** JSON text of what never changes. */
export function encodeInput(call: Call): string {
  const { id, operation, key, group, createdAt, supersedes, given, input } = call
  return JSON.stringify({ id, operation, key, createdAt, given, ...(group === null ? {} : { group }), ...(supersedes === null ? {} : { supersedes }), ...(input === null ? {} : { input }) })
}

/** JSON text of what changes, without what is default, and without the namespace: a store holds one. */
export function encodeBody(call: Call): string {
  // Joined by hand: this runs with each write, and one object less to build is a third of its time.
  let text = ''
  for (const name in call) {
    const value: unknown = call[name as keyof Call]
    const usual = DEFAULTS[name]
    if (value === usual || value === undefined || ELSEWHERE.has(name)) continue
    if (usual === NONE && (value as readonly unknown[]).length === 0) continue
    text += `${text === '' ? '{' : ','}"${name}":${typeof value === 'number' ? value : JSON.stringify(value)}`
  }
  return `${text === '' ? '{' : text}}`
}

/** Stands between the two texts of a record that is read; JSON text holds none of its own. */
export const BETWEEN = '\n'

/** The record as it was written, from body and input joined by `BETWEEN`, under the namespace of the store. */
export function recordDecoder(namespace: string): (text: string) => Call {
  const usual = { ...DEFAULTS, namespace }
  return (text) => {
    const end = text.indexOf(BETWEEN)
    return { ...usual, ...(JSON.parse(text.slice(end + 1)) as object), ...(JSON.parse(text.slice(0, end)) as object) } as unknown as Call
  }
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
