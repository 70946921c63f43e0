/** The failpoints around `send`, which run in the worker's main thread; those around commits are read by the store itself. */
import process from 'node:process'
import type { Failpoints } from 'steward'

/** From STEWARD_FAILPOINTS, e.g. `send.after:kill@9`; `null` when it names none of these. */
export function sendFailpoints(): Failpoints | null {
  const [, point, hit] = /(send\.(?:before|after)):kill@(\d+)/.exec(process.env['STEWARD_FAILPOINTS'] ?? '') ?? []
  if (point === undefined) return null
  let hits = 0
  return {
    hit(name) {
      if (name !== point) return
      hits++
      if (hits === Number(hit)) process.kill(process.pid, 'SIGKILL')
    },
  }
}
