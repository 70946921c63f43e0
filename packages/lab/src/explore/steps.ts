/**
 * What can go wrong at each step of one call, and the plan that makes it go wrong at exactly one of them.
 *
 * Steps are counted as they come. Same plan, same steps: a run with a fault at step 7 is, up to there, the run without.
 */
import type { Act, AnswerAct, ArriveAct, ConnectAct, Mischief, Step, StoreAct, StoreMove, StoreStep, WireStep, WorkAct } from '../faults/steps.ts'

/** A freeze outlasts the lease; a long one also outlasts deadline and settle, so that others have gone on. */
const FREEZE_MS = 6_000
const LONG_FREEZE_MS = 12_000
const kill = (when: 'before' | 'after') => ({ do: 'kill', when }) as const
const freeze = (when: 'before' | 'after') => ({ do: 'freeze', when, forMs: FREEZE_MS }) as const

/** `direct`: submitted in a worker, which sends at once. `queued`: in a process that only submits. `performed`: sent by that process itself. */
export const ENTRIES = ['queued', 'direct', 'performed'] as const
export type Entry = (typeof ENTRIES)[number]

/** Not a fault of the step, but what others do just then: a person cancels, a webhook tells of the effect. */
export type Beside = 'cancel' | 'webhook'
type BesideAct = { readonly do: 'beside'; readonly what: Beside }
const cancel: BesideAct = { do: 'beside', what: 'cancel' }
const webhook: BesideAct = { do: 'beside', what: 'webhook' }

const WRITES: readonly StoreAct[] = [kill('before'), kill('after'), freeze('before'), freeze('after'), { do: 'refuse' }, { do: 'lose_answer', stored: true }, { do: 'lose_answer', stored: false }, { do: 'slow', ms: 3_000 }]
const STORE_ACTS: Partial<Readonly<Record<StoreMove, readonly StoreAct[]>>> = {
  submit: WRITES, begin: WRITES, finish: WRITES, look: WRITES,
  claim: [kill('after'), freeze('after'), { do: 'refuse' }, { do: 'lose_answer', stored: true }],
  change: [kill('after'), { do: 'refuse' }, { do: 'lose_answer', stored: true }],
}
const CONNECT: readonly ConnectAct[] = [kill('before'), kill('after'), { do: 'freeze', when: 'before', forMs: LONG_FREEZE_MS }, { do: 'freeze', when: 'before', forMs: LONG_FREEZE_MS, isAsleep: true }, freeze('after'), { do: 'dns' }, { do: 'refused' }, { do: 'tls' }, { do: 'reset' }, { do: 'late', ms: 1_500 }, { do: 'twice' }]
const answered = (status: number, headers: Readonly<Record<string, string>> = {}): ArriveAct => ({ do: 'answer', answer: { status, headers, body: {} } })
const ARRIVE: readonly ArriveAct[] = [answered(502), answered(503, { 'retry-after': '3' }), answered(429, { 'retry-after': '3' }), answered(401), answered(422), { do: 'reset' }]
const WORK: readonly WorkAct[] = [{ do: 'error', effect: false, status: 500 }, { do: 'error', effect: true, status: 500 }, { do: 'gateway', status: 504 }, { do: 'slow', ms: 2_500 }, { do: 'decline' }, kill('before'), freeze('before')]
const ANSWER: readonly AnswerAct[] = [kill('before'), kill('after'), freeze('before'), { do: 'reset' }, { do: 'stall' }, { do: 'slow', ms: 1_500 }, { do: 'garbled' }]
/** A question has no effect: only what keeps its answer away matters. */
const LOOKUP: Readonly<Record<Exclude<Step['at'], 'store' | 'work'>, readonly Act[]>> = { connect: [kill('after'), { do: 'refused' }], arrive: [answered(503), answered(401)], answer: [{ do: 'reset' }, { do: 'stall' }, freeze('before')] }

export function actsAt(step: Step): readonly (Act | BesideAct)[] {
  switch (step.at) {
    case 'store': return [...(STORE_ACTS[step.move] ?? []), ...(step.move === 'begin' ? [cancel] : step.move === 'finish' ? [cancel, webhook] : [])]
    case 'connect': return step.isLookup ? LOOKUP.connect : CONNECT
    case 'arrive': return step.isLookup ? LOOKUP.arrive : ARRIVE
    case 'work': return step.isLookup ? [] : [...WORK, cancel]
    case 'answer': return step.isLookup ? LOOKUP.answer : ANSWER
  }
}

export type Planned = { readonly step: number; readonly act: Act | BesideAct }

/** Steps beyond this are those of a call that goes round in circles; its end is what is judged then. */
const MOST_STEPS = 60

export class Planner implements Mischief {
  readonly steps: Step[] = []
  /** How many of the planned acts took place. */
  struck = 0
  readonly #plan: ReadonlyMap<number, Act | BesideAct>
  /** A claim is a step of the call only when there is something to claim. */
  isClaimable: () => boolean = () => false
  beside: (what: Beside) => void = () => undefined

  constructor(plan: readonly Planned[]) {
    this.#plan = new Map(plan.map(({ step, act }) => [step, act]))
  }

  store(step: StoreStep): StoreAct | null {
    if (STORE_ACTS[step.move] === undefined || (step.move === 'claim' && !this.isClaimable())) return null
    return this.#pass(step) as StoreAct | null
  }
  connect(step: WireStep): ConnectAct | null { return this.#pass(step) as ConnectAct | null }
  arrive(step: WireStep): ArriveAct | null { return this.#pass(step) as ArriveAct | null }
  work(step: WireStep): WorkAct | null { return step.isLookup ? null : (this.#pass(step) as WorkAct | null) }
  answer(step: WireStep): AnswerAct | null { return this.#pass(step) as AnswerAct | null }

  #pass(step: Step): Act | null {
    if (this.steps.length >= MOST_STEPS) return null
    const act = this.#plan.get(this.steps.length) ?? null
    this.steps.push(step)
    if (act === null) return null
    this.struck++
    if (act.do !== 'beside') return act
    this.beside(act.what)
    return null
  }
}

/** A fault in words: `7 begin: lose_answer stored`. */
export function describe({ step, act }: Planned, steps: readonly Step[]): string {
  const at = steps[step]
  const where = at === undefined ? '?' : at.at === 'store' ? at.move : `${at.isLookup ? 'lookup ' : ''}${at.at}`
  const { do: what, ...more } = act
  return `${step} ${where}: ${what}${Object.keys(more).length === 0 ? '' : ` ${JSON.stringify(more)}`}`
}
