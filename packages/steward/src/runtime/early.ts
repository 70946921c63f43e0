/** Evidence that comes before its call, or after its record is gone. */
import type { Call, Fact, State } from '../core/call.ts'
import { StewardError } from '../core/errors.ts'
import type { EarlyFact, Store } from '../ports/store.ts'
import type { Log, System } from '../ports/system.ts'
import { correctedWhenPruned } from './evidence.ts'

export type EarlyParts = { readonly store: Store; readonly system: System; readonly onAlerts: () => void }

/** Looks at a key that a transaction elsewhere holds open: about 15 s in all, as an insert does. */
const TRIES = 20
const AGAIN_MS = { first: 10, longest: 1_000 } as const

/** @throws StewardError STEWARD_CALL_NOT_FOUND, STEWARD_FACT_INVALID, STEWARD_STORE_*; nothing was kept then. */
export async function keepFact(parts: EarlyParts, operation: string, key: string, early: EarlyFact): ReturnType<Store['keepEarlyFact']> {
  for (let tries = 1; ; tries++) {
    try {
      return await parts.store.keepEarlyFact(operation, key, early)
    } catch (error) {
      if (!isHeld(error) || tries >= TRIES) throw await tooLate(parts, operation, key, early.fact, error)
      await new Promise<void>((resolve) => void parts.system.after(Math.min(AGAIN_MS.longest, AGAIN_MS.first * 2 ** (tries - 1)), resolve))
    }
  }
}

/**
 * That a call happened of which the database has no record any more: it was set back to before the call, or has pruned it.
 *
 * @returns the call that has its key by now, which is to be told; `null` where that is all.
 */
export async function keepForgotten(parts: EarlyParts & { readonly log: Log }, { operation, key, id }: Call, early: EarlyFact): Promise<Call | null> {
  try {
    const kept = await keepFact(parts, operation, key, early)
    parts.log.warn('an answer came for a call that the database does not have; that it happened is kept for its key', { operation, key, callId: id })
    return kept.kept ? null : kept.call
  } catch (error) {
    // Later it would be refused just the same.
    if (!(error instanceof StewardError) || error.code.startsWith('STEWARD_STORE_')) throw error
    parts.log.error('an answer came for a call that the database does not have, and could not be kept', { operation, key, callId: id, error: error.message })
    return null
  }
}

const isHeld = (error: unknown): boolean => error instanceof StewardError && error.details['held'] === true

/** A fact of a call whose record was pruned is refused to whoever brings it; that it happened against its recorded end is told people, too. */
async function tooLate({ store, onAlerts }: EarlyParts, operation: string, key: string, fact: Fact, error: unknown): Promise<unknown> {
  const { id, state } = error instanceof StewardError && error.code === 'STEWARD_CALL_NOT_FOUND' ? error.details : {}
  if (fact.kind === 'applied' && typeof id === 'string' && state !== 'succeeded') {
    await store.raise([correctedWhenPruned({ id, operation, key }, state as State, fact, store.now())])
    onAlerts()
  }
  return error
}
