/**
 * What keeps a scope from being sent: one control that is in force, and behind a person's pause the hold that a provider asked for.
 * A pause neither ends a hold nor outlasts its own lifting: told to wait, nobody sends before then (contract 11).
 */
import type { Control, Scope } from './store.ts'

export type ScopeControls = { readonly inForce: Control | null; readonly behind: Control | null }

/** Kind of the row that keeps the hold behind a pause; a version that does not know it sees the pause alone. */
export function behindKind(kind: Scope['kind']): string {
  return `${BEHIND}${kind}`
}
export const BEHIND = 'behind '

/** Holds only lengthen, and never replace a pause. @returns `before` itself when nothing changes. */
export function withControl(before: ScopeControls, set: Control): ScopeControls {
  const { inForce } = before
  // Left behind by a version that lifts the pause alone: it is over.
  const behind = inForce?.mode === 'pause' ? before.behind : null
  if (set.mode === 'pause') return { inForce: set, behind: inForce?.mode === 'hold' ? inForce : behind }
  if (inForce?.mode === 'pause') return isLonger(set, behind) ? { inForce, behind: set } : before
  return isLonger(set, inForce) ? { inForce: set, behind } : before
}

/** Of a pause and a hold the pause is lifted first. @returns `before` itself when there is nothing to lift. */
export function lifted(before: ScopeControls): ScopeControls {
  if (before.inForce === null) return before
  return { inForce: before.inForce.mode === 'pause' ? before.behind : null, behind: null }
}

function isLonger({ untilAt }: Control, than: Control | null): boolean {
  return than === null || (than.untilAt !== null && (untilAt === null || untilAt > than.untilAt))
}
