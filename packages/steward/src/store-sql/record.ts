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

/** Fields of a record that this version knows, `namespace` and what is written once included. */
const KNOWN = Object.keys(DEFAULTS).length + ['id', 'namespace', 'operation', 'key', 'state', 'rev', 'createdAt', 'reason', 'given'].length

/** JSON text of what changes, without what is default, and without the namespace: a store holds one. */
export function encodeBody(call: Call): string {
  return Object.keys(call).length === KNOWN ? encodeKnown(call) : encodeAny(call)
}

/** Field by field, since this runs with each write: half the time of the loop over all fields below. */
function encodeKnown(call: Call): string {
  let text = `{"state":"${call.state}","rev":${call.rev},"reason":${JSON.stringify(call.reason)}`
  if (call.effect !== 'did_not_happen') text += `,"effect":"${call.effect}"`
  if (call.version !== 1) text += `,"version":${call.version}`
  if (call.place !== null) text += `,"place":${call.place}`
  if (call.priority !== 0) text += `,"priority":${call.priority}`
  if (call.generation !== 1) text += `,"generation":${call.generation}`
  if (call.attempts !== 0) text += `,"attempts":${call.attempts}`
  if (call.tries !== 0) text += `,"tries":${call.tries}`
  if (call.lapses !== 0) text += `,"lapses":${call.lapses}`
  if (call.firstBegunAt !== null) text += `,"firstBegunAt":${call.firstBegunAt}`
  if (call.keySpent) text += ',"keySpent":true'
  if (call.dueAt !== null) text += `,"dueAt":${call.dueAt}`
  if (call.expiresAt !== null) text += `,"expiresAt":${call.expiresAt}`
  if (call.giveUpAt !== null) text += `,"giveUpAt":${call.giveUpAt}`
  if (call.endedAt !== null) text += `,"endedAt":${call.endedAt}`
  if (call.lastVerdict !== null) text += `,"lastVerdict":"${call.lastVerdict}"`
  if (call.stop !== null) text += `,"stop":${JSON.stringify(call.stop)}`
  if (call.lookup !== null) text += `,"lookup":${JSON.stringify(call.lookup)}`
  if (call.result !== null) text += `,"result":${JSON.stringify(call.result)}`
  if (call.resultMissing !== null) text += `,"resultMissing":${JSON.stringify(call.resultMissing)}`
  if (call.supersededBy !== null) text += `,"supersededBy":${JSON.stringify(call.supersededBy)}`
  if (call.encryptionKeyId !== null) text += `,"encryptionKeyId":${JSON.stringify(call.encryptionKeyId)}`
  if (call.open.length > 0) text += `,"open":${JSON.stringify(call.open)}`
  if (call.facts.length > 0) text += `,"facts":${JSON.stringify(call.facts)}`
  return `${text},"story":${JSON.stringify(call.story)}}`
}

/** Any record, fields of later versions included. */
function encodeAny(call: Call): string {
  const kept: Record<string, unknown> = {}
  for (const name in call) {
    const value: unknown = call[name as keyof Call]
    const usual = DEFAULTS[name]
    if (value === usual || ELSEWHERE.has(name)) continue
    if (usual === NONE && (value as readonly unknown[]).length === 0) continue
    kept[name] = value
  }
  return JSON.stringify(kept)
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
