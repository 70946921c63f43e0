/**
 * Failpoints written as text: `begin.after-commit:kill@17,finish.before-commit:kill@5` kills the process when
 * `begin.after-commit` is passed for the 17th time. Pure: what "kill" means is the caller's business.
 */
import { FAILPOINTS, type FailpointName, type Failpoints } from './system.ts'

export type FailpointPlan = Readonly<Partial<Record<FailpointName, number>>>

/** @returns at which hit of which point the process is to die; throws a plain Error that names what is not understood. */
export function parseFailpoints(spec: string): FailpointPlan {
  const plan: Partial<Record<FailpointName, number>> = {}
  for (const part of spec.split(',').map((text) => text.trim()).filter((text) => text !== '')) {
    const [, name, hit] = /^([a-z.-]+):kill(?:@([1-9]\d*))?$/.exec(part) ?? []
    const known = FAILPOINTS.find((one) => one === name)
    if (known === undefined) throw new Error(`STEWARD_FAILPOINTS: "${part}" is not understood. Write name:kill@hit, with one of: ${FAILPOINTS.join(', ')}.`)
    plan[known] = hit === undefined ? 1 : Number(hit)
  }
  return plan
}

/** Counts the hits of a plan, and calls `kill` at the one it names. `null` for an empty plan: nothing to pass. */
export function failpointsOf(plan: FailpointPlan, kill: (name: FailpointName) => void): Failpoints | null {
  if (Object.keys(plan).length === 0) return null
  const hits = new Map<FailpointName, number>()
  return {
    hit(name) {
      const count = (hits.get(name) ?? 0) + 1
      hits.set(name, count)
      if (plan[name] === count) kill(name)
    },
  }
}
