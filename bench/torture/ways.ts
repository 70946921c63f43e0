/** How each key enters: drawn by the seed, so that whoever begins again does the same, and the auditor knows what was meant. */
import { seededBy } from '../seeded.ts'
import type { Orders } from './orders.ts'

/** `transaction`: inside one of the application's own, beside a row of its own. `rolled back`: the same, and then undone, every time. */
export type Way = 'submit' | 'perform' | 'transaction' | 'rolled back'

const PERFORMED = 0.12
const IN_TRANSACTION = 0.25

export function wayOf({ seed, place, rollbacks }: Pick<Orders, 'seed' | 'place' | 'rollbacks'>, key: string): Way {
  const random = seededBy(seed, key, 'way')
  const draw = random()
  if (draw < PERFORMED) return 'perform'
  if (place.kind === 'sqlite' || draw >= PERFORMED + IN_TRANSACTION) return 'submit'
  return random() * 100 < rollbacks ? 'rolled back' : 'transaction'
}
