/** Effects: at most one for each intent, none without an intent, and the record tells the truth about them. */
import type { LedgerEffect } from '../contract.ts'
import type { Case } from './evidence.ts'

/** Effects that came while an earlier one still stood. */
export function surplusEffects(effects: readonly LedgerEffect[]): readonly LedgerEffect[] {
  return effects.filter((effect, index) => effects.slice(0, index).some((earlier) => earlier.undoneAt === null || earlier.undoneAt > effect.at))
}

/** Contract 4: one key, one effect. An effect that comes naturally once is counted by the provider itself. */
export function oneEffect({ operation, effects }: Case): readonly string[] {
  const surplus = operation.answer === 'natural' ? [] : surplusEffects(effects)
  return surplus.length === 0 ? [] : [`${effects.length} effects in the ledger of ${operation.provider}: ${effects.map((effect) => `${effect.reference} at ${iso(effect.at)}`).join(', ')}`]
}

/** Contract 1: what was acknowledged is on record. */
export function kept({ intent, call }: Case): readonly string[] {
  return intent !== null && intent.acknowledgedAt !== null && call === null ? [`acknowledged at ${iso(intent.acknowledgedAt)}, and there is no such call`] : []
}

/** No effect without a call that wanted it. */
export function wanted({ call, intent, effects }: Case): readonly string[] {
  return effects.length > 0 && call === null && intent?.acknowledgedAt == null ? [`${effects.length} effects in the ledger (${effects.map((effect) => effect.reference).join(', ')}), and nobody's call for them`] : []
}

/** Contract 3, and the record against the ledger in both directions. An undone effect counts as happened until it was undone. */
export function truth({ operation, call, effects }: Case): readonly string[] {
  if (call === null) return []
  const standing = effects.filter((effect) => effect.undoneAt === null)
  const which = standing.map((effect) => effect.reference).join(', ')
  if (call.effect === 'did_not_happen') return standing.length > 0 ? [`it is ${call.state} and says that it did not happen; the ledger of ${operation.provider} has ${which}`] : []
  if (call.effect !== 'happened') return []
  const until = call.endedAt ?? Number.POSITIVE_INFINITY
  if (!effects.some((effect) => effect.undoneAt === null || effect.undoneAt > until)) return [`it is ${call.state} and says that it happened; the ledger of ${operation.provider} has ${effects.length === 0 ? 'no effect' : 'only what was undone before'}`]
  const named = referenceIn(call.result)
  return named === null || effects.some((effect) => effect.reference === named) ? [] : [`its result names ${named}; the ledger of ${operation.provider} has ${which}`]
}

/** The provider's id in a result, where the result has one under a usual name. */
function referenceIn(result: unknown): string | null {
  if (typeof result !== 'object' || result === null) return null
  const { reference } = result as { readonly reference?: unknown }
  return typeof reference === 'string' ? reference : null
}

/** Invariant I22: the provider did it for the amount that the caller asked. */
export function exactAmount({ intent, effects }: Case): readonly string[] {
  const asked = intent === null ? null : amountIn(intent.input)
  if (asked === null) return []
  return effects.filter((effect) => effect.amount !== null && effect.amount !== asked).map((effect) => `${effect.reference} was made for ${effect.amount}; ${asked} was asked for`)
}

function amountIn(input: unknown): number | null {
  if (typeof input !== 'object' || input === null) return null
  const { amount } = input as { readonly amount?: unknown }
  return typeof amount === 'number' ? amount : null
}

export const iso = (at: number): string => new Date(at).toISOString()
