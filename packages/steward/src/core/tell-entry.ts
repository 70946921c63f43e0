/** One entry of a story as sentences: what happened, and where it left the call. */
import { isEnd, type Effect, type State } from './call.ts'
import type { Policy } from './policy.ts'
import { windowOpen } from './policy.ts'
import type { Entry, Happening } from './story.ts'
import { iso } from './tell-wire.ts'
import type { Verdict } from './verdict.ts'

/** Where the call stood before an entry, as far as the story tells. */
export type Before = {
  readonly state: State
  readonly effect: Effect
  /** When the first attempt of the generation began; `null` before it. */
  readonly firstBegunAt: number | null
  /** What the last begun attempt ran under. */
  readonly release: string | null
  readonly version: number | null
  readonly attempts: number
  /** Entries were left out since: when the generation began, and under which release, is not told. */
  readonly isFolded: boolean
}

export const AT_FIRST: Before = { state: 'waiting', effect: 'did_not_happen', firstBegunAt: null, release: null, version: null, attempts: 0, isFolded: false }

/** The standing after an entry. */
export function stepped(before: Before, entry: Entry): Before {
  if (entry.what === 'folded') return { ...AT_FIRST, state: entry.to ?? before.state, effect: entry.effect ?? before.effect, isFolded: true }
  const begun = entry.what === 'begun' ? entry : null
  const firstBegunAt = entry.generation !== undefined ? null : before.firstBegunAt
  return {
    state: entry.to ?? before.state,
    effect: entry.effect ?? before.effect,
    firstBegunAt: entry.what === 'presumed' ? Math.min(firstBegunAt ?? entry.lostSinceAt, entry.lostSinceAt) : (firstBegunAt ?? (begun ? entry.at : null)),
    release: begun ? (begun.release ?? null) : before.release,
    version: begun ? (begun.version ?? null) : before.version,
    attempts: begun ? begun.attempt : entry.what === 'presumed' ? entry.attempt : before.attempts,
    isFolded: before.isFolded && entry.generation === undefined,
  }
}

/** What happened, a fresh key where one was made, and where that left the call. */
export function sentences(entry: Entry, before: Before, policy: Policy | null): string {
  return [happened(entry), freshKey(entry, before, policy), moved(entry, before)].filter((text) => text !== '').join(' ')
}

/** A deploy between two attempts, or an attempt by code of another version; `null` where nothing changed hands. */
export function boundary(entry: Entry, before: Before): string | null {
  if (entry.what !== 'begun' || before.attempts === 0) return null
  const changes: string[] = []
  const release = entry.release ?? null
  if (release !== before.release) changes.push(`release ${before.release ?? '(unnamed)'} → ${release ?? '(unnamed)'}`)
  const version = entry.version ?? null
  if (version !== null && before.version !== null && version !== before.version) changes.push(`version ${before.version} → ${version}`)
  return changes.length === 0 ? null : `Deploy boundary between attempt ${before.attempts} and attempt ${entry.attempt}: ${changes.join(', ')}.`
}

function happened(entry: Happening & { readonly at: number }): string {
  switch (entry.what) {
    case 'submitted': return `Submitted${entry.by === undefined ? '' : ` by ${entry.by}`}${entry.why === undefined ? '.' : `: ${stopped(entry.why)}`}`
    case 'begun': return `Attempt ${entry.attempt} began on worker ${entry.worker}${release(entry)}; nothing of it leaves after ${iso(entry.deadlineAt)}.`
    case 'closed': return closedText(entry)
    case 'lapsed': return `Attempt ${entry.attempt} lost its worker ${entry.worker}: ${stopped(entry.why)} Its request may have left.`
    case 'looked': return lookedText(entry)
    case 'fact': return factText(entry)
    case 'late': return `Worker ${entry.worker}, which had lost its lease, brought a late answer of attempt ${entry.attempt}${entry.reference === undefined ? '' : ` (reference ${entry.reference})`}: ${verdictText(entry.verdict, entry.why)}`
    case 'action': return actionText(entry)
    case 'held': return `Held: ${stopped(entry.why)}`
    case 'presumed': return `The database came back without what was committed since ${iso(entry.lostSinceAt)}, said ${entry.by} (${entry.why}). It may have been sent between then and ${iso(entry.noticedAt)} without a record: that counts as attempt ${entry.attempt}, without a definite answer.`
    case 'time': return `Time moved it: ${stopped(entry.why)}`
    case 'upgraded': return `Its input was brought from version ${entry.from} to version ${entry.version}; nothing of the older version was in doubt.`
    case 'folded': return `${entry.entries} entries are left out here, up to attempt ${entry.attempts}.`
    case 'settled': return `The application was told of the outcome: ${stopped(entry.why)}`
  }
}

function release(entry: Happening & { what: 'begun' }): string {
  const parts = [entry.release === undefined ? '' : `release ${entry.release}`, entry.version === undefined ? '' : `version ${entry.version}`].filter((part) => part !== '')
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`
}

function closedText(entry: Happening & { what: 'closed' }): string {
  const reference = entry.reference === undefined ? '' : ` (reference ${entry.reference})`
  const notes = (entry.notes ?? []).map((note) => ` Warning: ${stopped(note)}`).join('')
  switch (entry.verdict) {
    case 'applied': return `Attempt ${entry.attempt} was applied: the provider did it${reference}.${notes}`
    case 'accepted': return `Attempt ${entry.attempt} was accepted by the provider${reference}; its result comes later.${notes}`
    case 'rejected': return `Attempt ${entry.attempt} was refused${because(entry.why)}${notes}`
    case 'not_applied': return `Attempt ${entry.attempt} did not happen${because(entry.why)}${notes}`
    case 'unknown': return `Attempt ${entry.attempt} ended without a definite answer${because(entry.why)} It may have happened.${notes}`
  }
}

function verdictText(verdict: Verdict['kind'], why: string | undefined): string {
  switch (verdict) {
    case 'applied': return 'the provider did it.'
    case 'accepted': return 'the provider accepted it; the result comes later.'
    case 'rejected': return `it was refused${because(why)}`
    case 'not_applied': return `it did not happen${because(why)}`
    case 'unknown': return `no definite answer either${because(why)}`
  }
}

function lookedText(entry: Happening & { what: 'looked' }): string {
  switch (entry.answer) {
    case 'found': return `The provider was asked: it happened${entry.reference === undefined ? '' : ` (reference ${entry.reference})`}.`
    case 'absent': return `The provider was asked: it does not know of it${entry.counted ? '' : '; that did not count as proof (asked before it could show, or no longer the question)'}.`
    case 'cannot_tell': return `The provider was asked, and that could not tell${because(entry.why)}`
  }
}

function factText(entry: Happening & { what: 'fact' } & { readonly at: number }): string {
  const reference = entry.reference === undefined ? '' : ` (reference ${entry.reference})`
  const instant = entry.instant === entry.at ? '' : `, as of ${iso(entry.instant)}`
  const said = entry.kind === 'applied' ? `it happened${reference}` : `${entry.attempt === undefined ? 'it' : `attempt ${entry.attempt}`} did not happen`
  const which = entry.kind === 'applied' && entry.attempt !== undefined ? ` by attempt ${entry.attempt}` : ''
  return `Evidence from ${entry.by}${instant}: ${said}${which}${because(entry.why)}`
}

const ACTIONS: Readonly<Record<string, string>> = {
  'settle: happened': 'settled it as "it happened"',
  'settle: send_again': 'settled it as "it did not happen, send it again"',
  'settle: stop': 'settled it as "it did not happen, leave it"',
  cancel: 'cancelled it, so that nothing more is sent',
  'retry now': 'asked to retry now instead of later',
  redrive: 'redrove it',
}

function actionText(entry: Happening & { what: 'action' }): string {
  if (entry.action === 'superseded') return `Another call took its place: ${stopped(entry.why)}`
  return `${entry.by} ${ACTIONS[entry.action] ?? `did "${entry.action}"`}. Why: ${stopped(entry.why)}`
}

/** Why a fresh provider-facing key was made: always after all earlier attempts certainly came to nothing. */
function freshKey(entry: Entry, before: Before, policy: Policy | null): string {
  if (entry.generation === undefined || entry.what === 'folded') return ''
  const from = `From here on a fresh key is sent (generation ${entry.generation})`
  if (entry.what === 'action') return `${from}, because the earlier attempts certainly did not happen and ${entry.by} decided to send again.`
  if (entry.what === 'upgraded') return `${from}, because the content changed and nothing sent before took effect.`
  if (policy === null || before.isFolded) return `${from}, because the earlier attempts certainly did not happen and the old key could serve no longer.`
  if (!windowOpen(policy, before.firstBegunAt, entry.at)) return `${from}, because the provider may have forgotten the old one and the earlier attempts certainly did not happen.`
  return `${from}, because the provider answers the old one with a stored refusal for ever and the earlier attempts certainly did not happen.`
}

function moved(entry: Entry, before: Before): string {
  if (entry.what === 'folded') return entry.to === undefined ? '' : `They left it ${entry.to.replace('_', ' ')}.`
  const due = typeof entry.due === 'number' ? entry.due : null
  if (entry.to === undefined) return due === null || entry.what === 'submitted' && due <= entry.at ? '' : `Next: ${iso(due)}.`
  const state = entry.to
  const effect = entry.effect ?? before.effect
  if (isEnd(state)) return endText(state, before)
  switch (state) {
    case 'waiting': return `${effect === 'unknown' ? 'Sending again is safe: it waits for the next attempt' : 'It waits for the next attempt'}${due === null ? '.' : `, due ${iso(due)}.`}`
    case 'running': return ''
    case 'accepted': return `The result is awaited${due === null ? '.' : `; next look at ${iso(due)}.`}`
    case 'checking': return `Sending again is not safe: the provider is asked first${due === null ? '.' : `, from ${iso(due)} on.`}`
    case 'in_doubt': return 'No rule can decide whether it happened: it is in doubt until a fact or a person decides, and nothing is sent.'
  }
}

function endText(state: State, before: Before): string {
  if (state !== 'succeeded') return `It ended ${state}: it certainly did not happen.`
  return isEnd(before.state) ? `That corrects its end: it had ended ${before.state}, as "did not happen", but it happened. It is now succeeded.` : 'It ended succeeded.'
}

function because(why: string | undefined): string {
  return why === undefined || why === '' ? '.' : `: ${stopped(why)}`
}

/** With a full stop, once. */
export function stopped(text: string): string {
  return /[.!?…]$/.test(text) ? text : `${text}.`
}
