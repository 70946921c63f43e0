/** What a real client sent, as far as a provider model has to understand it. */
import type { Json } from 'steward'

export type Parsed = { readonly [name: string]: Json }

/** A JSON or form body as an object; anything else under `text`. */
export function parsedBody(text: string, contentType: string): Parsed {
  if (text === '') return {}
  if (contentType.includes('form-urlencoded')) return formFields(text)
  try {
    const value = JSON.parse(text) as Json
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Parsed) : { items: value }
  } catch {
    return { text }
  }
}

/** `metadata[order_id]=o_1` becomes `{ metadata: { order_id: 'o_1' } }`. */
function formFields(text: string): Parsed {
  const fields: Record<string, Json> = {}
  for (const [name, value] of new URLSearchParams(text)) {
    const [first = name, ...rest] = name.split(/[[\]]+/).filter((part) => part !== '')
    let at = fields
    for (const [index, part] of [first, ...rest].entries()) {
      if (index === rest.length) at[part] = value
      else at = (at[part] = typeof at[part] === 'object' && at[part] !== null ? at[part] : {}) as Record<string, Json>
    }
  }
  return fields
}

/** Whole minor units, where the payload says an amount in them: as a number, as digits, or as `{ value }`. */
export function amountOf(body: Parsed): number | null {
  const { amount } = body
  const value: unknown = typeof amount === 'object' && amount !== null && 'value' in amount ? amount.value : amount
  if (typeof value === 'number') return Number.isSafeInteger(value) ? value : null
  return typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : null
}

/** Whether a request only asks. */
export function isQuestion(method: string, path: string): boolean {
  return method === 'GET' || method === 'HEAD' || /\/(search|query|list|find|lookup)(\/|$|\?)/.test(path)
}

/** Whether a request fetches an access token, which is no effect. */
export const isTokenRequest = (path: string): boolean => /\/(oauth2?\/)?token(\?|$)/.test(path)
