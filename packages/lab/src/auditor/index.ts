/**
 * The auditor: holds a run against the contract. Written apart from the engine, it reads the providers' ledgers, what
 * callers were promised, and the public API, and changes nothing. Each rule is seen to find its planted bug in
 * `auditor.test.ts`.
 *
 * Safety is judged at any moment at which nothing is in between (the world's methods return at such moments); liveness
 * once the faults have stopped and time has passed.
 */
import type { Violation, World } from '../contract.ts'
import { exactAmount, kept, oneEffect, truth, wanted } from './effects.ts'
import { type AlertIndex, alertIndex, decided, delivered, ended, loud, settled, surprises } from './ends.ts'
import { type Case, casesOf, type Evidence, gather, type GatherOptions } from './evidence.ts'
import { begunBeforeSent, derivedKey, insideWindow, samePayload } from './identity.ts'
import { obeysWaits } from './pacing.ts'
import { noSecrets } from './secrets.ts'
import { absenceInTime, noBlindResend, noFalseEnd, replays, understood } from './story.ts'

export { surplusEffects } from './effects.ts'
export { type Case, casesOf, type Evidence, gather, type GatherOptions, type OperationFacts, operationFacts, type Sink } from './evidence.ts'
export { openDoubts } from './story.ts'

type Known = { readonly evidence: Evidence; readonly cases: readonly Case[]; readonly alerts: AlertIndex; readonly told: ReadonlyMap<string, string> | null }
type Found = Omit<Violation, 'rule'>

/** Every rule: the section of the contract it holds to, and what it says. */
const RULES = {
  'one-effect': each((one) => oneEffect(one)),
  'kept': each((one) => kept(one)),
  'wanted': each((one) => wanted(one)),
  'truth': each((one) => truth(one)),
  'exact-amount': each((one) => exactAmount(one)),
  'same-payload': each((one) => samePayload(one)),
  'derived-key': each((one, known) => derivedKey(one, known.evidence)),
  'inside-window': each((one) => insideWindow(one)),
  'begun-before-sent': each((one, known) => begunBeforeSent(one, known.evidence)),
  'no-blind-resend': each((one) => noBlindResend(one)),
  'no-false-end': each((one) => noFalseEnd(one)),
  'absence-in-time': each((one) => absenceInTime(one)),
  'understood': each((one) => understood(one)),
  'replays': each((one) => replays(one)),
  'loud': each((one, known) => loud(one, known.alerts)),
  'surprises': each((one, known) => surprises(one, known.alerts)),
  'obeys-waits': (known: Known) => obeysWaits(known.evidence, known.cases),
  'no-secrets': (known: Known) => noSecrets(known.evidence),
} as const satisfies Readonly<Record<string, (known: Known) => readonly Found[]>>

/** What must have come true once the faults have stopped. */
const AT_REST = {
  'ended': each((one, known) => ended(one, known.evidence)),
  'decided': each((one, known) => decided(one, known.evidence)),
  'delivered': (known: Known) => delivered(known.evidence),
  'settled': each((one, known) => (known.told === null ? [] : settled(one, known.told))),
} as const satisfies Readonly<Record<string, (known: Known) => readonly Found[]>>

export type SafetyRule = keyof typeof RULES
export type LivenessRule = keyof typeof AT_REST
export type Rule = SafetyRule | LivenessRule
export const SAFETY_RULES = Object.keys(RULES) as readonly SafetyRule[]
export const LIVENESS_RULES = Object.keys(AT_REST) as readonly LivenessRule[]

export type AuditOptions = {
  /** Liveness, too: the faults have stopped and time has passed. Default false. */
  readonly atRest?: boolean
  /** What the run itself brought about, so that it is nobody's bug: a truth made unknowable, a person who decided wrongly, bytes held in a frozen kernel. */
  readonly excused?: (rule: Rule, operation: string, key: string) => boolean
}

export type Audit = { readonly safety: readonly Violation[]; readonly liveness: readonly Violation[] }

export function audit(evidence: Evidence, { atRest = false, excused = () => false }: AuditOptions = {}): Audit {
  const told = evidence.told === null ? null : new Map(evidence.told.map((one) => [`${one.operation} ${one.key}`, one.state]))
  const known: Known = { evidence, cases: casesOf(evidence), alerts: alertIndex(evidence), told }
  const judged = <Name extends Rule>(rules: Readonly<Record<Name, (known: Known) => readonly Found[]>>): Violation[] =>
    (Object.keys(rules) as Name[]).flatMap((rule) => rules[rule](known).filter((found) => !excused(rule, found.operation, found.key)).map((found) => ({ rule, ...found })))
  return { safety: judged(RULES), liveness: atRest ? judged(AT_REST) : [] }
}

/** Gathers what a world shows at this moment, and audits it. */
export async function auditWorld(world: World, options: AuditOptions & GatherOptions = {}): Promise<Audit> {
  return audit(await gather(world, options), options)
}

function each(check: (one: Case, known: Known) => readonly string[]): (known: Known) => readonly Found[] {
  return (known) => known.cases.flatMap((one) => check(one, known).map((what) => ({ operation: one.operation.name, key: one.key, what })))
}
