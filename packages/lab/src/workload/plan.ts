/** What a run of the standard workload consists of, drawn from its seed before anything happens. */
import type { Fault, Json } from '../contract.ts'
import { FAULT_KINDS, fault } from '../faults/kinds.ts'
import { between, pick, seeded, seedOf } from '../sim/random.ts'
import { operationName, STANDARD_NAMES, type StandardName } from './operations.ts'

export type PlannedCall = { readonly atMs: number; readonly operation: string; readonly key: string; readonly input: Json; readonly group: string | null; readonly expiresInMs: number | null; readonly startsInMs: number | null; readonly how: 'submit' | 'perform' }
export type PlannedFault = { readonly atMs: number; readonly fault: Fault }

export type Plan = {
  readonly seed: number
  /** From the first call to the last; the faults lie in between. */
  readonly spanMs: number
  readonly workers: number
  readonly lease: string
  readonly concurrency: number
  /** Rounds are never late, however little they find: the engine's defaults, at the price of real time. */
  readonly isPunctual: boolean
  readonly calls: readonly PlannedCall[]
  readonly faults: readonly PlannedFault[]
}

const SECOND = 1_000
const PER_CALL_MS = 480 * SECOND
/** The same, where every idle second is lived through. */
const PUNCTUAL_MS = 15 * SECOND
/** Calls per fault. */
const CALLS_PER_FAULT = 5

export type PlanOptions = {
  readonly seed: number
  readonly calls: number
  readonly operations?: readonly StandardName[]
  /** Kinds to draw from. Default: all that leave the provider's and the database's promises standing. */
  readonly kinds?: readonly string[]
  /** Virtual time per call. Default eight minutes: calls come in bursts, with quiet in between. */
  readonly perCallMs?: number
}

export const STANDARD_KINDS: readonly string[] = FAULT_KINDS.filter((kind) => kind.beyondContract !== true).map(({ kind }) => kind)

export function planOf({ seed, calls, operations = STANDARD_NAMES, kinds = STANDARD_KINDS, perCallMs = PER_CALL_MS }: PlanOptions): Plan {
  const random = seeded(seedOf(seed, 'plan'))
  const isPunctual = random() < 0.05
  const pace = isPunctual ? Math.min(perCallMs, PUNCTUAL_MS) : perCallMs
  const spanMs = calls * pace
  const planned: PlannedCall[] = []
  let atMs = 0
  for (let n = 0; n < calls; n++) {
    // Two of three come close after another, the rest after a pause.
    atMs = Math.min(spanMs, atMs + (random() < 0.66 ? between(random, 0, SECOND) : between(random, 0, 6 * pace)))
    planned.push({
      atMs, operation: operationName(pick(random, operations)), key: `o_${n}`, input: { orderId: `o_${n}`, amount: between(random, 1, 99_999) },
      group: random() < 0.2 ? `customer_${between(random, 1, 5)}` : null,
      expiresInMs: random() < 0.05 ? between(random, 30 * SECOND, 3_600 * SECOND) : null,
      startsInMs: random() < 0.05 ? between(random, SECOND, 12 * pace) : null,
      how: random() < 0.2 ? 'perform' : 'submit',
    })
  }
  const faults: PlannedFault[] = kinds.length === 0 ? [] : Array.from({ length: Math.ceil(calls / CALLS_PER_FAULT) }, () => {
    // Where something happens, most faults are near: they strike what is in flight.
    const near = pick(random, planned)
    return { atMs: Math.max(0, near.atMs - between(random, 0, 3 * SECOND)), fault: fault(pick(random, kinds)) }
  })
  return {
    seed, spanMs, calls: planned, faults,
    workers: between(random, 2, 3),
    isPunctual,
    lease: isPunctual ? '4s' : pick(random, ['30s', '2m', '5m']),
    concurrency: pick(random, [1, 4, 64]),
  }
}
