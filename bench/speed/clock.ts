/** One clock for all processes of the machine, with fractions of a millisecond. */
import { performance } from 'node:perf_hooks'

export function nowMs(): number {
  return performance.timeOrigin + performance.now()
}
