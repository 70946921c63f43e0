/**
 * One run of the standard workload: calls and faults as planned, then peace, then the audit.
 *
 * Safety is judged by the auditor once at the end of the faults and once at the end; an effect that came twice shows
 * at any later moment. Liveness is judged at the end: whatever can end has ended.
 */
import { auditWorld, type Rule, surplusEffects } from '../auditor/index.ts'
import type { RunResult, Violation } from '../contract.ts'
import type { OpenIntent } from '../sim/callers.ts'
import { createWorld, type SimOptions, type SimWorld } from '../sim/world.ts'
import { excuses, unexplained } from './excuses.ts'
import { standardOperations } from './operations.ts'
import { type Plan, type PlanOptions, planOf, type PlannedCall } from './plan.ts'

export type RunOptions = PlanOptions & Pick<SimOptions, 'store' | 'keepTrace'>
export type WorkloadResult = RunResult & { readonly kinds: readonly string[]; readonly points: readonly string[]; readonly trace: readonly string[] }

const SECOND = 1_000
const HOUR = 3_600 * SECOND
/** A caller that was not told "stored" asks again, this often and this many times. */
const ASK_AGAIN_MS = 20 * SECOND
const ASK_AGAIN = 30
/** The longest way to an end: 12 hours until a call is given up, a day of questions, 3 days of a provider's patience. */
const PATIENCE_MS = 7 * 24 * HOUR

/** On SQLite idle time is real time: worlds there are short. */
type Pace = { readonly perCallMs: number; /** Between two looks whether all has come to rest. */ readonly lookMs: number; /** After that, for what is told in rounds. */ readonly lastMs: number }
const PACE: Readonly<Record<'memory' | 'sqlite', Pace>> = {
  memory: { perCallMs: 480 * SECOND, lookMs: HOUR, lastMs: 600 * SECOND },
  sqlite: { perCallMs: 5 * SECOND, lookMs: 60 * SECOND, lastMs: 20 * SECOND },
}

export async function runWorkload(options: RunOptions): Promise<WorkloadResult> {
  const pace = PACE[options.store ?? 'memory']
  const plan = planOf({ ...pace, ...options })
  const world = await createWorld({
    seed: plan.seed, workers: plan.workers, lease: plan.lease, concurrency: plan.concurrency, ...(plan.isPunctual ? { lateMs: 0 } : {}), store: options.store ?? 'memory', keepTrace: options.keepTrace ?? false,
    operations: standardOperations(options.operations), nextRelease: standardOperations(options.operations, nextVersion),
  })
  try {
    schedule(world, plan)
    await world.advance(plan.spanMs + 10 * SECOND)
    const excused = (rule: Rule, operation: string): boolean => excuses(world, rule, operation)
    const during = await auditWorld(world, { excused })
    await makePeace(world)
    await rest(world, pace)
    const after = await auditWorld(world, { atRest: true, excused })
    return await resultOf(world, [...during.safety, ...after.safety, ...promised(world), ...(await untold(world))], await unexplained(world, after.liveness))
  } finally {
    await world.close()
  }
}

/** The next release of every operation: another version, whose input has a field more. */
const nextVersion = { version: 2, definition: { upgrade: { 1: (input: object) => ({ ...input, channel: 'web' }) } } }

function schedule(world: SimWorld, plan: Plan): void {
  for (const call of plan.calls) world.scheduler.after(call.atMs, null, () => submit(world, call, null, 0))
  for (const { atMs, fault } of plan.faults) world.scheduler.after(atMs, null, () => world.inject(fault))
}

/** As callers do: until somebody says "stored", or refuses for a reason that stays. */
function submit(world: SimWorld, call: PlannedCall, before: OpenIntent | null, tries: number): void {
  const over = before !== null && (before.acknowledgedAt !== null || before.refused?.startsWith('STEWARD_KEY_REUSED') === true)
  if (over || tries > ASK_AGAIN) return
  const intent = world.submitNow(call.operation, {
    key: call.key, input: call.input,
    ...(call.group === null ? {} : { group: call.group }),
    ...(call.expiresInMs === null ? {} : { expiresAt: world.now + call.expiresInMs }),
    ...(call.startsInMs === null ? {} : { runAt: world.now + call.startsInMs }),
  }, world.pickProcess(world.hands.random) ?? undefined, call.how)
  world.scheduler.after(ASK_AGAIN_MS, null, () => submit(world, call, intent, tries + 1))
}

/** The faults end; one worker keeps the old release, for what it had begun, the others get the new one; people lift what is still paused. */
async function makePeace(world: SimWorld): Promise<void> {
  world.heal()
  await world.advance(30 * SECOND)
  for (const [place, name] of [...world.running.keys()].entries()) await world.ask(() => world.redeploy(name, world.withRelease(place === 0 ? 'previous' : 'next', {}), 10 * SECOND))
  await liftPauses(world)
}

async function liftPauses(world: SimWorld): Promise<void> {
  for (const control of await world.observer.controls()) {
    if (control.untilAt !== null) continue
    const scope = control.kind === 'provider' ? { provider: control.name } : control.kind === 'operation' ? { operation: control.name } : { group: control.name }
    await world.operate({ do: 'resume', scope, by: 'ana@example.com', why: 'the faults are over' })
  }
}

/** Time passes until nothing moves by itself any more. */
async function rest(world: SimWorld, { lookMs, lastMs }: Pace): Promise<void> {
  for (let restedMs = 0; restedMs < PATIENCE_MS; restedMs += lookMs) {
    await world.advance(lookMs)
    await liftPauses(world)
    const moving = await world.observer.list({ states: ['waiting', 'running', 'checking', 'accepted'], limit: 1 })
    if (moving.length === 0) break
  }
  // Alerts and handlers are told within their own rounds.
  await world.advance(lastMs)
}

/** What the auditor cannot see from its side: other inputs under a key, outcomes told to callers, and purposes that were taken over. */
function promised(world: SimWorld): readonly Violation[] {
  const reused = world.callers.keysReused.map(({ operation, key }) => ({ rule: 'one-key', operation, key, what: 'another input was taken under its key' }))
  const untrue = world.callers.untrueOutcomes.map((one) => ({ rule: 'true-outcome', ...one }))
  const twice = world.intents.filter(({ supersedes, acknowledgedAt }) => supersedes != null && acknowledgedAt !== null).flatMap(({ operation, key, provider, supersedes }) => {
    const effects = [supersedes ?? '', key].map((one) => world.models.get(provider)?.effectsOf(one).length ?? 0)
    return effects.every((count) => count > 0) ? [{ rule: 'one-purpose', operation, key, what: `it replaced "${supersedes}", and both happened` }] : []
  })
  return [...reused, ...untrue, ...twice]
}

/** Alerts that count as delivered and that nobody was told. */
async function untold(world: SimWorld): Promise<readonly Violation[]> {
  const told = new Set(world.alerts.map(({ alert }) => alert.id))
  const alerts = await world.observer.alerts({ limit: 100_000 })
  return alerts.filter(({ id, deliveredAt }) => deliveredAt !== null && !told.has(id)).map(({ id, kind, operation, key }) => ({ rule: 'told', operation, key: key ?? '', what: `the ${kind} alert ${id} counts as delivered, and nobody was told` }))
}

async function resultOf(world: SimWorld, safety: readonly Violation[], liveness: readonly Violation[]): Promise<WorkloadResult> {
  const undecided = await world.observer.list({ states: ['in_doubt'], limit: 1_000 })
  const count = (rule: string): number => new Set([...safety, ...liveness].filter((one) => one.rule === rule).map((one) => `${one.operation} ${one.key}`)).size
  const doubled = [...world.models.values()].reduce((sum, model) => sum + model.doubled(surplusEffects), 0)
  return {
    seed: world.seed, strategy: world.strategy, safety, liveness, traceHash: world.traceHash, trace: world.trace,
    points: [...new Set(world.faults.filter((fault) => fault.hits > 0).map((fault) => fault.point))],
    kinds: [...new Set(world.faults.filter((fault) => fault.hits > 0).map((fault) => fault.kind))],
    figures: {
      intents: new Set(world.intents.map((intent) => `${intent.operation} ${intent.key}`)).size,
      doubled, lost: count('kept') + count('ended'), untrue: count('truth'), undecided: undecided.length,
      requests: [...world.models.values()].reduce((sum, model) => sum + model.ledger.requests.length, 0),
      peopleTold: new Set(world.alerts.map(({ alert }) => alert.id)).size,
      faultsInjected: world.faults.reduce((sum, fault) => sum + fault.hits, 0),
      simulatedMs: world.scheduler.elapsedMs,
    },
  }
}
