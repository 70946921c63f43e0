/**
 * What one attempt tells about the effect at the provider.
 *
 * A verdict speaks only for its own attempt (contract 3); what it means for the call is decided in `conclude.ts`.
 */

/** How far a request got, as seen by the wire witness. Never holds bodies, query strings or header values. */
export type WireExchange = {
  /** Upper-case HTTP method. */
  readonly method: string
  /** Scheme, host and port: `https://api.stripe.com`. */
  readonly origin: string
  /** Path without query string. */
  readonly path: string
  /** Furthest point reached: `created` (nothing left the process), `sent` (headers handed to the socket), `answered`. */
  readonly reached: 'created' | 'sent' | 'answered'
  readonly status?: number
  /** Milliseconds since the epoch, by the process's clock. */
  readonly startedAt: number
  readonly durationMs?: number
  /** The provider-facing key was seen in the request's headers. */
  readonly keyOnWire: boolean
  /** Where the wire gate destroyed the request, why. */
  readonly gated?: 'deadline' | 'lease' | 'second-request'
  /** Code of the error that ended it, e.g. `ECONNRESET`. */
  readonly error?: string
}

/** The provider did it. `result` is JSON text; `null` text with `resultMissing` when what was returned cannot be stored. */
export type Applied = {
  readonly kind: 'applied'
  readonly result: string | null
  readonly resultMissing?: string
  /** The provider's own id of the effect, where `send` names it: two different ones are the highest alert. */
  readonly reference?: string
}

/** The provider took the request; the result comes later by a fact or a polling lookup. */
export type Accepted = { readonly kind: 'accepted'; readonly reference: string }

/** Refused: this attempt did not and will not happen. */
export type Rejected = {
  readonly kind: 'rejected'
  readonly reason: string
  readonly status?: number
  /** The provider is known to give this refusal only after looking up the key: it speaks for the whole generation. */
  readonly conclusive?: boolean
}

/** Did not happen; trying again makes sense. */
export type NotApplied = {
  readonly kind: 'not_applied'
  readonly reason: string
  readonly status?: number
  /** `caller`: credentials, route or method were refused (401, 403, 404, 405, 407); `load`: told to slow down (425, 429, 503 known as unsent); `unsent`: nothing left the process. */
  readonly refused?: 'caller' | 'load' | 'unsent'
  /** The provider has stored this refusal under the key: the next attempt needs a fresh one. */
  readonly keySpent?: boolean
  /** The provider said not to come back within this time; holds the provider's scope. Milliseconds, at least 0. */
  readonly retryAfterMs?: number
}

/** May have happened. */
export type Unknown = {
  readonly kind: 'unknown'
  readonly reason: string
  readonly status?: number
  readonly retryAfterMs?: number
  /** The provider has stored this answer under the key: sending the same key again never changes it. */
  readonly keySpent?: boolean
}

export type Verdict = Applied | Accepted | Rejected | NotApplied | Unknown

/** A verdict about an error thrown by `send`; a success is not decided here. */
export type FailureVerdict = Rejected | NotApplied | Unknown
