import type { State } from '../core/call.ts'

/** A reference to a call, enough to ask for it from any process. */
export type CallRef = { readonly id: string; readonly operation: string; readonly key: string }

type OutcomeOf<Result> =
  | { readonly effect: 'happened'; readonly state: 'succeeded'; readonly result: Result; /** Why the result cannot be had, when it could not be stored. */ readonly resultMissing?: string }
  | { readonly effect: 'did_not_happen'; readonly state: 'rejected' | 'exhausted' | 'expired' | 'cancelled'; readonly reason: string }
  | { readonly effect: 'did_not_happen'; readonly state: 'waiting'; readonly reason: string }
  | { readonly effect: 'pending'; readonly state: 'accepted'; readonly reason: string }
  | { readonly effect: 'unknown'; readonly state: 'waiting' | 'running' | 'checking' | 'in_doubt'; readonly reason: string }

/** What became of a call, so far: a value, never an exception. */
export type Outcome<Result> = { readonly call: CallRef; readonly attempts: number; readonly ended: boolean } & OutcomeOf<Result>

export type OpenState = Exclude<State, 'succeeded' | 'rejected' | 'exhausted' | 'expired' | 'cancelled'>
