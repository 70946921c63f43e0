/** What a run itself brings about, so that it is no violation: clocks that were moved, clients that send twice, truths nobody can know. */
import type { Rule } from '../auditor/index.ts'
import type { Violation } from '../contract.ts'
import type { SimWorld } from '../sim/world.ts'

/** Rules that hold instants of the story against those of the ledger: they say nothing once the database's clock was moved. */
const BY_CLOCK: ReadonlySet<Rule> = new Set<Rule>(['begun-before-sent', 'obeys-waits', 'inside-window', 'absence-in-time'])

/** Faults that keep an answer from being recorded when it comes. */
const RECORDS_LATE: ReadonlySet<string> = new Set(['worker.freezes-before-record', 'worker.freezes-on-answer', 'worker.freezes', 'db.finish-refused', 'db.settle-refused', 'db.finish-answer-lost', 'db.restart', 'db.down', 'db.slow', 'pool.drained', 'disk.full', 'caller.dies-after-submit'])

export function excuses(world: SimWorld, rule: Rule, operation: string): boolean {
  if (BY_CLOCK.has(rule) && world.faults.some((fault) => fault.point === 'clock.db')) return true
  // What was accepted has been heard: nothing of that attempt is on its way, whatever its deadline.
  if (rule === 'absence-in-time' && world.models.get(world.operations.find(({ name }) => name === operation)?.provider ?? '')?.contract.later) return true
  // The story has the instant at which an answer came. Others can obey it from when it is on record, which may be later.
  if (rule === 'obeys-waits' && world.faults.some((fault) => fault.hits > 0 && RECORDS_LATE.has(fault.kind))) return true
  // A client that sends by itself has more requests than there are attempts.
  return rule === 'begun-before-sent' && world.faults.some((fault) => fault.kind === 'net.sent-twice' && fault.hits > 0)
}

/** Where nothing can be asked, only sending again decides; who was refused, or told to stop, while in doubt cannot know. */
export async function unexplained(world: SimWorld, liveness: readonly Violation[]): Promise<readonly Violation[]> {
  const kept: Violation[] = []
  for (const violation of liveness) {
    const call = violation.rule === 'decided' ? await world.observer.find(violation.operation, violation.key) : null
    const isStopped = call?.story.some((entry) => (entry.what === 'closed' && entry.verdict === 'rejected' && entry.status !== 409) || (entry.what === 'action' && entry.action === 'cancel')) === true
    const canAsk = world.operations.find((operation) => operation.name === violation.operation)?.idempotency.lookup !== undefined
    if (canAsk || !isStopped) kept.push(violation)
  }
  return kept
}
