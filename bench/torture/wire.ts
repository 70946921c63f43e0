/** Three clients that carry the same request: the bound fetch, undici's own, and node:http. Each must be seen, gated and judged alike. */
import { request as httpRequest } from 'node:http'
import { request as undiciRequest } from 'undici'

export type Ask = { readonly method: 'POST' | 'PUT'; readonly url: string; readonly headers: Readonly<Record<string, string>>; readonly body: string; readonly signal: AbortSignal }
export type Reply = { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly text: string }
export type Carrier = (ask: Ask, fetch: typeof globalThis.fetch) => Promise<Reply>

const byFetch: Carrier = async ({ url, ...init }, fetch) => {
  const response = await fetch(url, init)
  return { status: response.status, headers: Object.fromEntries(response.headers), text: await response.text() }
}

const byUndici: Carrier = async ({ url, ...options }) => {
  const { statusCode, headers, body } = await undiciRequest(url, options)
  return { status: statusCode, headers: flat(headers), text: await body.text() }
}

const byHttp: Carrier = ({ url, body, ...options }) => new Promise((resolve, reject) => {
  const request = httpRequest(url, { ...options, headers: { ...options.headers, 'content-length': Buffer.byteLength(body) } }, (response) => {
    let text = ''
    response.setEncoding('utf8').on('data', (part: string) => { text += part }).once('error', reject)
    response.once('end', () => resolve({ status: response.statusCode ?? 0, headers: flat(response.headers), text }))
  })
  request.once('error', reject).end(body)
})

function flat(headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]))
}

export const CARRIERS: readonly [Carrier, ...Carrier[]] = [byFetch, byUndici, byHttp]
