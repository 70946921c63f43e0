/** Named points around the commits of this store, where tests and the torture end or freeze the process. Production has none. */
import type { CallWrite } from '../ports/store.ts'
import { failpointsOf, parseFailpoints } from '../ports/failpoints.ts'
import type { Failpoints } from '../ports/system.ts'

export type Point = 'submit' | 'claim' | 'begin' | 'finish'

/** Those of STEWARD_FAILPOINTS: the process ends itself there. */
export function environmentsFailpoints(): Failpoints | null {
  return failpointsOf(parseFailpoints(process.env['STEWARD_FAILPOINTS'] ?? ''), () => void process.kill(process.pid, 'SIGKILL'))
}

/** Runs `commit` between the points before and after it. What the server refuses passes no second one. */
export async function passing<Value>(failpoints: Failpoints | null, points: () => readonly Point[], commit: () => Promise<Value>): Promise<Value> {
  if (failpoints === null) return await commit()
  const passed = points()
  for (const point of passed) failpoints.hit(`${point}.before-commit`)
  const value = await commit()
  for (const point of passed) failpoints.hit(`${point}.after-commit`)
  return value
}

/** A batch may begin some calls and end others. */
export function pointsOfWrites(batch: readonly CallWrite[]): readonly Point[] {
  return [...new Set(batch.map((write) => (write.call.state === 'running' ? 'begin' : 'finish')))]
}
