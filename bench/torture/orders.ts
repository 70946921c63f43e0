/** What the parent tells each of its processes, and how a process learns it. */
import process from 'node:process'
import { type Answer, type Numbers, type Pace, PACES } from './numbers.ts'
import type { Place } from './place.ts'

export type Orders = {
  readonly answer: Answer
  readonly seed: number
  readonly pace: Pace
  readonly calls: number
  readonly place: Place
  /** Percent of the keys whose transaction is rolled back, of those that are submitted inside one. */
  readonly rollbacks: number
  readonly ledgerPath: string
  readonly acknowledgedPath: string
  readonly heardPath: string
  /** Where processes leave what they compiled for those that come after them. */
  readonly compiledPath: string
  readonly providerPort: number
  /** How long the calls are spread over. */
  readonly lengthMs: number
  /** When the run began. */
  readonly startedAt: number
}

export const ORDERS = 'STEWARD_TORTURE_ORDERS'

/** The orders of this process. It ends with its parent: nothing is left behind when a run is broken off. */
export function ordersOfThisProcess(): Orders & { readonly numbers: Numbers } {
  const orders = JSON.parse(process.env[ORDERS] ?? '{}') as Orders
  process.on('disconnect', () => process.exit(0))
  return { ...orders, numbers: PACES[orders.pace] }
}
