/**
 * The story: the ordered record of all that happened to one call.
 *
 * Each entry says when, what, who and why, and where it moved the call (`to`, `effect`, `generation`). Replaying
 * the entries gives the state of the call without asking `decide`.
 */
import type { Effect, State } from './call.ts'
import type { Verdict, WireExchange } from './verdict.ts'

/** Where an entry left the call; fields are present where they changed. */
export type Moved = {
  readonly to?: State
  readonly effect?: Effect
  readonly generation?: number
  /** Next instant at which something happens by itself. */
  readonly due?: number | null
}

export type Entry = { readonly at: number } & Moved & Happening

/** What happened. `why` is a sentence for people, already scrubbed of secrets. */
export type Happening =
  | { readonly what: 'submitted'; readonly by?: string; readonly why?: string }
  | { readonly what: 'begun'; readonly attempt: number; readonly worker: string; readonly deadlineAt: number; readonly version?: number; readonly release?: string }
  | {
      readonly what: 'closed'
      readonly attempt: number
      readonly verdict: Verdict['kind']
      readonly why?: string
      readonly status?: number
      readonly reference?: string
      readonly wire?: readonly WireExchange[]
      /** Warnings of the wire witness. */
      readonly notes?: readonly string[]
    }
  | { readonly what: 'lapsed'; readonly attempt: number; readonly worker: string; readonly why: string }
  | { readonly what: 'looked'; readonly answer: 'found' | 'absent' | 'cannot_tell'; readonly counted: boolean; readonly why?: string; readonly reference?: string; readonly wire?: readonly WireExchange[] }
  | { readonly what: 'fact'; readonly kind: 'applied' | 'refuted'; readonly by: string; readonly instant: number; readonly attempt?: number; readonly reference?: string; readonly why?: string }
  | { readonly what: 'late'; readonly attempt: number; readonly verdict: Verdict['kind']; readonly worker: string; readonly why?: string; readonly reference?: string; readonly wire?: readonly WireExchange[] }
  | { readonly what: 'action'; readonly action: string; readonly by: string; readonly why: string }
  | { readonly what: 'held'; readonly why: string }
  /** The database has lost commits since `lostSinceAt`: an attempt is presumed that nobody knows of. A person said so. */
  | { readonly what: 'presumed'; readonly attempt: number; readonly lostSinceAt: number; readonly noticedAt: number; readonly deadlineAt: number; readonly by: string; readonly why: string }
  | { readonly what: 'time'; readonly why: string }
  | { readonly what: 'upgraded'; readonly from: number; readonly version: number }
  | { readonly what: 'settled'; readonly why: string }
  /** Stands for entries that were left out of a story grown too long, and says where they left the call. */
  | { readonly what: 'folded'; readonly entries: number; readonly attempts: number }

export type Replayed = { readonly state: State; readonly effect: Effect; readonly generation: number; readonly attempts: number }

/** The state of a call, from its story alone (contract 8). */
export function replay(story: readonly Entry[]): Replayed {
  let state: State = 'waiting'
  let effect: Effect = 'did_not_happen'
  let generation = 1
  let attempts = 0
  for (const entry of story) {
    state = entry.to ?? state
    effect = entry.effect ?? effect
    generation = entry.generation ?? generation
    if (entry.what === 'begun' || entry.what === 'presumed') attempts = entry.attempt
    if (entry.what === 'folded') attempts = entry.attempts
  }
  return { state, effect, generation, attempts }
}

/** A story of at most `limit` entries: beginning and end as they are, the middle as a count. Replays to the same state. */
export function folded(story: readonly Entry[], limit: number): readonly Entry[] {
  if (story.length <= limit) return story
  const head = Math.floor(limit / 4)
  const tail = Math.floor(limit / 2)
  const middle = story.slice(head, story.length - tail)
  const entries = middle.reduce((sum, entry) => sum + (entry.what === 'folded' ? entry.entries : 1), 0)
  const { state, effect, generation, attempts } = replay(story.slice(0, story.length - tail))
  const stand: Entry = { at: middle.at(-1)?.at ?? 0, what: 'folded', entries, attempts, to: state, effect, generation }
  return [...story.slice(0, head), stand, ...story.slice(story.length - tail)]
}
