/** One call, once, with faults at planned steps: what its steps were, and what was violated. */
import { auditWorld } from '../auditor/index.ts'
import type { Violation } from '../contract.ts'
import type { MemoryDatabase } from '../sim/database.ts'
import { createWorld, type SimWorld } from '../sim/world.ts'
import { excuses, unexplained } from '../workload/excuses.ts'
import { type Beside, type Entry, Planner, type Planned } from './steps.ts'
import type { Subject } from './subjects.ts'
import type { Step } from '../faults/steps.ts'

export type OneCall = { readonly steps: readonly Step[]; readonly struck: number; readonly violations: readonly Violation[]; readonly trace: readonly string[]; readonly traceHash: string }

const KEY = 'o_1'
const SECOND = 1_000
/** Idle rounds may be so late: what they have to find is bounded by leases, dues and deadlines anyway. */
const LATE_MS = 3 * SECOND
/** The longest a call may take with two faults: given up after ten minutes, asked about for five more. */
const PATIENCE_MS = 20 * 60 * SECOND

export async function runOneCall(subject: Subject, plan: readonly Planned[], options: { readonly keepTrace?: boolean; readonly seed?: number; readonly entry?: Entry } = {}): Promise<OneCall> {
  const planner = new Planner(plan)
  const world = await createWorld({ seed: options.seed ?? 1, mischief: planner, operations: [subject.source], contracts: [subject.contract], workers: 2, lease: '4s', pooled: false, storeLatencyMs: 1, lateMs: LATE_MS, keepTrace: options.keepTrace ?? false })
  try {
    planner.isClaimable = () => claimable(world)
    planner.beside = (what) => beside(world, what)
    const entry = options.entry ?? 'direct'
    if (entry !== 'direct') await world.spawn('web', { works: false })
    await call(world, entry)
    await rest(world)
    const twice = plan.some(({ act }) => act.do === 'twice')
    const delayed = plan.some(({ act }) => act.do === 'freeze' || act.do === 'slow' || act.do === 'refuse' || act.do === 'lose_answer')
    const { safety, liveness } = await auditWorld(world, { atRest: true, excused: (rule, operation) => excuses(world, rule, operation) || (twice && rule === 'begun-before-sent') || (delayed && rule === 'obeys-waits') })
    return { steps: planner.steps, struck: planner.struck, violations: [...safety, ...(await unexplained(world, liveness)), ...(await knowable(world, plan))], trace: world.trace, traceHash: world.traceHash }
  } finally {
    await world.close()
  }
}

/** Where nobody died and every request was answered with a success that was heard, there is nothing to doubt, under any answer. */
async function knowable(world: SimWorld, plan: readonly Planned[]): Promise<readonly Violation[]> {
  const [operation] = world.operations
  const call = operation === undefined ? null : await world.observer.find(operation.name, KEY)
  if (call?.state !== 'in_doubt' || plan.some(({ act }) => act.do === 'kill' || act.do === 'garbled')) return []
  const requests = [...world.models.values()].flatMap(({ ledger }) => ledger.requests.filter((request) => !request.isLookup))
  const isHeard = requests.length > 0 && requests.every(({ answered }) => typeof answered === 'number' && answered < 300)
  return isHeard ? [{ rule: 'knowable', operation: call.operation, key: KEY, what: `it is in doubt (${call.reason}), although every answer was heard` }] : []
}

/** What others do while the call is at a step. */
function beside(world: SimWorld, what: Beside): void {
  const [operation] = world.operations
  if (operation === undefined) return
  const steward = [...world.running.values()].find(({ sim }) => sim.state === 'alive')?.steward
  if (what === 'cancel') steward?.cancel(operation.name, KEY, { by: 'ana@example.com', why: 'the customer changed her mind' }).catch(() => undefined)
  const [effect] = world.models.get(operation.provider ?? '')?.effectsOf(KEY) ?? []
  if (what === 'webhook' && effect) world.webhook({ operation: operation.name, key: KEY, says: 'applied', reference: effect.reference, eventAt: effect.at })
}

function claimable(world: SimWorld): boolean {
  const { data } = world.database as MemoryDatabase
  for (const row of data.open.values()) if (row.lease === null && row.call.dueAt !== null && row.call.dueAt <= world.now) return true
  return false
}

/** Submits; a caller who is not told "stored" asks again, through the other process. */
async function call(world: SimWorld, entry: Entry): Promise<void> {
  const [operation] = world.operations
  if (operation === undefined) throw new Error('a subject has one operation')
  await world.advance(1_500)
  const options = { key: KEY, input: { orderId: KEY, amount: 4_200 } }
  const first = world.submitNow(operation.name, options, entry === 'direct' ? 'a' : 'web', entry === 'performed' ? 'perform' : 'submit')
  await world.until(() => first.acknowledgedAt !== null || first.refused !== null, 8 * SECOND)
  if (first.acknowledgedAt === null) world.submitNow(operation.name, options, world.processes.includes('b') ? 'b' : 'a')
}

async function rest(world: SimWorld): Promise<void> {
  const { data } = world.database as MemoryDatabase
  const isOver = (): boolean => [...data.open.values()].every(({ call, settle, lease }) => call.state === 'in_doubt' && settle === null && lease === null)
  // A settled call may still be struck by what is under way: zombies wake, late answers arrive.
  await world.advance(14 * SECOND)
  await world.until(() => isOver() && world.processes.length === world.running.size, PATIENCE_MS)
  // Alerts are told in a round of their own.
  await world.advance(LATE_MS + SECOND)
}
