/** Identity: which keys and payloads reached the provider, and for how long one key was used. */
import { type Case, derivedKeys, type Evidence } from './evidence.ts'
import { iso } from './effects.ts'

/** Contract 5: under one key always the same payload. */
export function samePayload({ requests }: Case): readonly string[] {
  const prints = new Map<string, string>()
  const found: string[] = []
  for (const { providerKey, fingerprint } of requests) {
    if (providerKey === null) continue
    const first = prints.get(providerKey) ?? fingerprint
    prints.set(providerKey, first)
    if (first !== fingerprint) found.push(`key ${providerKey} was sent with payload ${first.slice(0, 12)} and with ${fingerprint.slice(0, 12)}`)
  }
  return [...new Set(found)]
}

/** Contract 5: a key on the wire is one that is derived from namespace, operation, key and a generation on record. */
export function derivedKey({ operation, call, requests }: Case, evidence: Evidence): readonly string[] {
  if (call === null || operation.answer !== 'providerKey') return []
  const derived = derivedKeys(evidence, call)
  const sent = new Set(requests.map((request) => request.providerKey))
  return [...sent].flatMap((key) => (key === null ? ['it was sent without the key that the operation declares: does its send pass idempotencyKey?'] : derived.includes(key) ? [] : [`it was sent under ${key}, which is not derived from it (${call.generation} generations)`]))
}

/** Invariant I06: a key is not sent any more once the provider may have forgotten it. */
export function insideWindow({ operation, provider, requests }: Case): readonly string[] {
  if (operation.answer !== 'providerKey' || provider?.keyRetentionMs == null) return []
  const firstAt = new Map<string, number>()
  return requests.flatMap(({ providerKey, arrivedAt }) => {
    if (providerKey === null) return []
    const first = firstAt.get(providerKey) ?? arrivedAt
    firstAt.set(providerKey, first)
    return arrivedAt - first <= (provider.keyRetentionMs as number) ? [] : [`key ${providerKey} was first sent at ${iso(first)} and again at ${iso(arrivedAt)}; ${provider.name} remembers it for ${provider.keyRetentionMs}ms`]
  })
}

/** Contract 6: no more requests than attempts on record. Clients that resend by themselves are seen here, too. */
export function begunBeforeSent({ operation, call, requests }: Case, { clockIsTrue }: Evidence): readonly string[] {
  if (call === null || call.story.some((entry) => entry.what === 'folded')) return []
  const begun = call.story.filter((entry) => entry.what === 'begun')
  if (requests.length > begun.length) return [`${requests.length} requests reached ${operation.provider}, and ${begun.length} attempts are on record`]
  const early = requests.filter((request) => clockIsTrue && !begun.some((entry) => entry.at <= request.arrivedAt))
  return early.map((request) => `a request reached ${operation.provider} at ${iso(request.arrivedAt)}, before any attempt was on record`)
}
