/**
 * Inputs and results as JSON text: refused rather than changed, compared field by field.
 */
import type { Json } from './json.ts'

/** What JSON would change or lose, and where; `null` when the value survives the round trip. Properties that are `undefined` count as absent. */
export function notJson(value: unknown, path = '', depth = 0): string | null {
  if (value === null) return null
  switch (typeof value) {
    case 'string': case 'boolean': return null
    case 'number': return Number.isFinite(value) ? null : `${at(path)} is ${value}, which JSON turns into null`
    case 'bigint': return `${at(path)} is a bigint, which JSON cannot hold; pass it as text`
    case 'undefined': return `${at(path)} is undefined`
    case 'function': case 'symbol': return `${at(path)} is a ${typeof value}`
    case 'object': break
  }
  if (depth > 100) return `${at(path)} is nested deeper than 100 levels, or refers to itself`
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const found = notJson(value[i], `${path}[${i}]`, depth + 1)
      if (found !== null) return found
    }
    return null
  }
  const proto: unknown = Object.getPrototypeOf(value)
  if (proto !== Object.prototype && proto !== null) {
    const name = (value).constructor?.name ?? 'an object with a prototype'
    return name === 'Date' ? `${at(path)} is a Date, which JSON turns into text; pass date.toISOString()` : `${at(path)} is a ${name}, which JSON would change`
  }
  for (const key of Object.keys(value)) {
    const member = (value as Record<string, unknown>)[key]
    if (member === undefined) continue
    const found = notJson(member, path === '' ? key : `${path}.${key}`, depth + 1)
    if (found !== null) return found
  }
  return null
}

function at(path: string): string {
  return path === '' ? 'the value' : path
}

/** Paths of the fields in which two inputs differ, by content, not by the order of their keys. At most 20. */
export function differingFields(a: Json | undefined, b: Json | undefined, path = ''): string[] {
  if (a === b) return []
  if (isRecord(a) && isRecord(b)) {
    const keys = new Set([...Object.keys(a), ...Object.keys(b)])
    const found: string[] = []
    for (const key of keys) {
      found.push(...differingFields(a[key], b[key], path === '' ? key : `${path}.${key}`))
      if (found.length >= 20) break
    }
    return found.slice(0, 20)
  }
  if (Array.isArray(a) && Array.isArray(b) && a.length === b.length) {
    return a.flatMap((member, i) => differingFields(member as Json, b[i] as Json, `${path}[${i}]`)).slice(0, 20)
  }
  return [path === '' ? '(the whole input)' : path]
}

function isRecord(value: unknown): value is Readonly<Record<string, Json>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Makes equal values of two calls differ in their digests. */
export function digestSalt(call: { readonly operation: string; readonly key: string }): string {
  return `${call.operation}\u0000${call.key}`
}

/** A digest per field, for comparing with an input that was pruned. */
export function fieldDigests(input: Json, salt: string, digest: (text: string) => string): Readonly<Record<string, string>> {
  const out: Record<string, string> = {}
  const visit = (value: Json, path: string): void => {
    const entries: readonly (readonly [string, Json])[] = Array.isArray(value)
      ? value.map((member, i) => [`${path}[${i}]`, member as Json] as const)
      : isRecord(value) ? Object.keys(value).filter((key) => value[key] !== undefined).map((key) => [memberPath(path, key), value[key] as Json] as const) : []
    if (entries.length === 0) out[path] = digest(`${salt}\u0000${path}\u0000${JSON.stringify(value)}`).slice(0, 24)
    for (const [where, member] of entries) visit(member, where)
  }
  visit(input, '')
  return out
}

/** No two fields have one path: a name that could be read as several is quoted. */
function memberPath(path: string, key: string): string {
  if (key === '' || /[.[\]"]/.test(key)) return `${path}[${JSON.stringify(key)}]`
  return path === '' ? key : `${path}.${key}`
}

/** Paths in which an input differs from the digests of a pruned one. */
export function differingDigests(known: Readonly<Record<string, string>>, given: Readonly<Record<string, string>>): string[] {
  const paths = new Set([...Object.keys(known), ...Object.keys(given)])
  return [...paths].filter((path) => known[path] !== given[path]).slice(0, 20)
}
