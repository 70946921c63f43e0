/**
 * What a provider answered, read out of the errors that clients make of it: SDK errors, axios, fetch wrappers.
 *
 * Errors are foreign objects: every property is read behind a guard, causes are followed to a fixed depth, bodies are
 * parsed up to a fixed size. What cannot be read is not there.
 */

export type ProviderAnswer = {
  readonly status: number
  /** A response header, by its lower-case name. */
  header(name: string): string | undefined
  /** The answer's body, parsed where it was JSON text. */
  readonly body: unknown
  /** Name or class of the error. */
  readonly name: string
  /** The error itself, for what only one SDK says. */
  readonly error: object
}

const DEPTH = 5
const BODY_CHARS = 64 * 1024

/** The provider's answer beneath an error; `null` where the error tells of none. */
export function answerOf(error: unknown): ProviderAnswer | null {
  let node = error
  for (let depth = 0; depth < DEPTH && isObject(node); depth++) {
    const found = answerHere(node)
    if (found !== null) return found
    node = read(node, 'cause')
  }
  return null
}

function answerHere(node: object): ProviderAnswer | null {
  const response = read(node, 'response')
  const metadata = read(node, '$metadata')
  const status = [read(node, 'statusCode'), read(node, 'status'), read(node, 'http_code'), isObject(response) ? read(response, 'status') : undefined, isObject(response) ? read(response, 'statusCode') : undefined, isObject(metadata) ? read(metadata, 'httpStatusCode') : undefined]
    .find((value): value is number => typeof value === 'number' && Number.isInteger(value) && value >= 100 && value <= 599)
  if (status === undefined) return null
  const sources = [read(node, 'headers'), read(node, 'responseHeaders'), isObject(response) ? read(response, 'headers') : undefined].filter(isObject)
  const bodies = [read(node, 'raw'), read(node, 'result'), read(node, 'responseBody'), isObject(response) ? read(response, 'data') : undefined, read(node, 'body')]
  return {
    status,
    header: (name) => sources.map((source) => headerOf(source, name)).find((value) => value !== undefined),
    body: parsed(bodies.find((body) => isObject(body) || (typeof body === 'string' && body !== ''))),
    name: text(read(node, 'name')) ?? '',
    error: node,
  }
}

function headerOf(headers: object, name: string): string | undefined {
  const get = read(headers, 'get')
  if (typeof get === 'function') {
    try {
      return text(get.call(headers, name) as unknown)
    } catch {
      return undefined
    }
  }
  const exact = text(read(headers, name))
  if (exact !== undefined) return exact
  const other = Object.keys(headers).slice(0, 200).find((key) => key.toLowerCase() === name)
  return other === undefined ? undefined : text(read(headers, other))
}

function parsed(body: unknown): unknown {
  if (typeof body !== 'string') return body
  if (body.length > BODY_CHARS) return undefined
  try {
    return JSON.parse(body) as unknown
  } catch {
    return undefined
  }
}

/** Text at a path of foreign objects: `textAt(body, 'error', 'type')`. */
export function textAt(value: unknown, ...path: readonly string[]): string | undefined {
  let node = value
  for (const part of path) {
    if (!isObject(node)) return undefined
    node = read(node, part)
  }
  return text(node)
}

/** Members of an array at a path; at most 50. */
export function listAt(value: unknown, ...path: readonly string[]): readonly unknown[] {
  let node = value
  for (const part of path) {
    if (!isObject(node)) return []
    node = read(node, part)
  }
  return Array.isArray(node) ? node.slice(0, 50) : []
}

/** A provider's code, fit to be shown: one word, or it is left out. */
export function shown(code: string | undefined): string {
  return code !== undefined && /^[A-Za-z0-9_.-]{1,60}$/.test(code) ? ` (${code})` : ''
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : undefined
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

function read(object: object, name: string): unknown {
  try {
    return (object as Record<string, unknown>)[name]
  } catch {
    return undefined
  }
}
