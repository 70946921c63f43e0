/** Instants, lengths of time and wire exchanges, in the words of a story. */
import { durationText } from './duration.ts'
import type { AnswerKind } from './policy.ts'
import { isUnsafeMethod } from './verdict-of.ts'
import type { WireExchange } from './verdict.ts'

/** `2026-11-24T02:14:00.000Z` */
export function iso(at: number): string {
  return new Date(at).toISOString()
}

/** `2026-11-24T02:14:00.000Z (in 3m)`, `… (3m ago)`, `… (now)` */
export function when(at: number, now: number): string {
  if (at === now) return `${iso(at)} (now)`
  return at > now ? `${iso(at)} (in ${durationText(at - now)})` : `${iso(at)} (${durationText(now - at)} ago)`
}

const GATED = {
  deadline: 'the deadline of the attempt had passed',
  lease: 'the worker had lost its lease',
  'second-request': 'it was a second request inside one attempt, and this operation has no key that would make it harmless',
} as const

/**
 * One HTTP request of an attempt: `POST https://api.stripe.com/v1/charges → sent, then ECONNRESET after 212ms; key on the wire`.
 *
 * @param answer of the operation, when it is known: a missing key is worth words only where the provider was to see one.
 */
export function wireLine(exchange: WireExchange, answer: AnswerKind | null): string {
  const after = exchange.durationMs === undefined ? '' : ` after ${durationText(exchange.durationMs)}`
  return `${exchange.method} ${exchange.origin}${exchange.path} → ${reached(exchange, after)}${keyed(exchange, answer)}`
}

function reached(exchange: WireExchange, after: string): string {
  const gate = exchange.gated === undefined ? '' : `stopped by Steward's wire gate${after}: ${GATED[exchange.gated]}`
  switch (exchange.reached) {
    case 'created': return gate !== '' ? `not sent, ${gate}` : `not sent${exchange.error === undefined ? '' : ` (${exchange.error})`}${after}`
    case 'sent': return gate !== '' ? `sent, then ${gate}` : `sent, ${exchange.error === undefined ? 'and no answer was seen' : `then ${exchange.error}`}${after}`
    case 'answered': return `${exchange.status ?? 'answered'}${exchange.error === undefined ? '' : `, then ${exchange.error}`}${after}`
  }
}

function keyed(exchange: WireExchange, answer: AnswerKind | null): string {
  if (exchange.keyOnWire) return '; key on the wire'
  return answer === 'providerKey' && exchange.reached !== 'created' && isUnsafeMethod(exchange.method) ? '; the key was NOT on the wire' : ''
}
