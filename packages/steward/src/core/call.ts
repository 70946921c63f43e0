/**
 * The record of one call: what is stored, and nothing else.
 *
 * Authority: the store's row. A worker that holds the lease keeps a copy and writes it back guarded by `rev`
 * (compare-and-set) and by its epoch. Every next record comes from `decide`; nothing else branches on `state`.
 */
import type { Entry } from './story.ts'
import type { Verdict } from './verdict.ts'

/** States of a call; the last five are ends. `in_doubt` is open: a fact or a person decides. */
export const STATES = ['waiting', 'running', 'accepted', 'checking', 'in_doubt', 'succeeded', 'rejected', 'exhausted', 'expired', 'cancelled'] as const
export type State = (typeof STATES)[number]
export type EndState = 'succeeded' | 'rejected' | 'exhausted' | 'expired' | 'cancelled'

/** What is known about the effect at the provider. */
export type Effect = 'happened' | 'did_not_happen' | 'pending' | 'unknown'

export function isEnd(state: State): state is EndState {
  return state === 'succeeded' || state === 'rejected' || state === 'exhausted' || state === 'expired' || state === 'cancelled'
}

/**
 * An attempt that is running, in doubt, or accepted. Attempts that are certainly over leave this list;
 * the story keeps them.
 */
export type OpenAttempt = {
  /** Counted from 1 over the life of the call, across generations. */
  readonly n: number
  readonly generation: number
  readonly worker: string
  readonly begunAt: number
  /** No byte of this attempt leaves after this instant. */
  readonly deadlineAt: number
  /** When it was closed; `null` while it runs. A lapsed attempt counts as closed at its deadline, since its bytes may leave until then. */
  readonly closedAt: number | null
  /** `null` while it runs. */
  readonly verdict: 'unknown' | 'accepted' | null
  readonly reason?: string
  /** The provider's reference, for an accepted attempt. */
  readonly reference?: string
}

/**
 * Something known about the effect from outside the record: stored whenever it arrives, also twice,
 * also before the call exists. State is a function of the set of facts (contract 12).
 */
export type Fact = {
  readonly kind: 'applied' | 'refuted'
  /** The instant at which it was true. A refutation covers only attempts that were over before it. */
  readonly at: number
  /** Who or what says so: `attempt 2`, `lookup`, `late answer of attempt 1`, `webhook evt_1`, `ana@example.com`. */
  readonly by: string
  /** The attempt it speaks of; without it, `at` decides. */
  readonly attempt?: number
  /** Of an applied attempt: its generation. A refutation with it covers every attempt of this generation up to `attempt` (a conclusive replay of its key). */
  readonly generation?: number
  /** The provider's own id of the effect. */
  readonly reference?: string
  readonly reason?: string
}

/** An order to send no more: by a person (`cancel`), by time (`expire`, `give_up`), or by a refusal (`refuse`). */
export type Stop = { readonly kind: 'cancel' | 'expire' | 'give_up' | 'refuse'; readonly at: number; readonly by: string; readonly why: string }

/** Progress of the questions put to the provider while `checking` or `accepted`. */
export type LookupProgress = {
  /** When the first question of this series was put; before that, when it was decided to ask. */
  readonly since: number
  /** Questions asked. */
  readonly asked: number
  /** Valid absences in a row. */
  readonly absences: number
  /** Patience is spent: `checking` puts no further question by itself; `accepted` goes on asking, and people were told. */
  readonly spent: boolean
}

export type Call = {
  readonly id: string
  readonly namespace: string
  readonly operation: string
  /** Version of the operation that the stored input belongs to. */
  readonly version: number
  readonly key: string
  readonly group: string | null
  /** Place in a strictly ordered group; `null` where no order is asked for. */
  readonly place: number | null
  /** Lower goes first. 0 is normal, redrives in bulk use 10. */
  readonly priority: number
  readonly state: State
  readonly effect: Effect
  /** Raised by each write of the row: the compare-and-set mark. */
  readonly rev: number
  readonly generation: number
  /** Attempts begun so far, over all generations. */
  readonly attempts: number
  /** Attempts begun since the submit, the last redrive or a person's order to send again: drives backoff and maxAttempts. */
  readonly tries: number
  /** Workers lost while sending, in a row. */
  readonly lapses: number
  /** First begin in this generation: the provider's memory of the key is counted from here. */
  readonly firstBegunAt: number | null
  /** The key's stored answer can never change (a replayed 500). */
  readonly keySpent: boolean
  readonly createdAt: number
  /** Next instant at which a worker has something to do; `null` where only a fact or a person can move it. */
  readonly dueAt: number | null
  readonly expiresAt: number | null
  readonly giveUpAt: number | null
  readonly open: readonly OpenAttempt[]
  readonly facts: readonly Fact[]
  readonly stop: Stop | null
  readonly lookup: LookupProgress | null
  /** Why the call is where it is, in a few words for people. */
  readonly reason: string
  /** Kind of the last verdict, for lists and alerts. */
  readonly lastVerdict: Verdict['kind'] | null
  /** The input as given, JSON text: what a second submit is compared with. */
  readonly given: string
  /** The input as parsed by the schema, JSON text, identical for all attempts; `null` when equal to `given`. */
  readonly input: string | null
  /** JSON text. */
  readonly result: string | null
  readonly resultMissing: string | null
  /** The key of the call this one replaces, and of the one that replaces it. */
  readonly supersedes: string | null
  readonly supersededBy: string | null
  readonly endedAt: number | null
  /** Key id under which given, input and result are encrypted; `null` for plain text. */
  readonly encryptionKeyId: string | null
  readonly story: readonly Entry[]
}
