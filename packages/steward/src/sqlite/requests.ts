/** Requests other than inserts and writes: what each does, and whether it belongs in the shared transaction. */
import type { Alert } from '../core/alert.ts'
import type { ClaimQuery, ControlWrite, EarlyFact, Lane, Lease, ListQuery, WorkerRow } from '../ports/store.ts'
import { joinEarlyFacts, prunedText } from '../ports/early-facts.ts'
import { saysMore } from '../core/facts.ts'
import { LIMITS } from '../core/limits.ts'
import type { CallRows } from './call-rows.ts'
import { applyControl, readControls } from './control-rows.ts'
import type { laneRows } from './lanes.ts'
import { type Look, looks } from './pulse.ts'
import type { questions } from './questions.ts'
import { StoreRefusal } from './refusals.ts'
import type { SideFiles } from './side-files.ts'
import type { Prepared, Transaction } from './transaction.ts'
import type { workerRows } from './worker-rows.ts'

/** What each request takes. Answers hold records as text; the main thread reads them. */
export type Requests = {
  claim: ClaimQuery
  giveBack: { lease: Lease; ids: readonly string[] }
  leasedTo: { lease: Lease; limit: number }
  enlist: Omit<WorkerRow, 'fenced'>
  beat: { lease: Lease; leaseUntilAt: number }
  leave: Lease
  fenceDead: { now: number; except: string | null; ours: readonly string[] }
  orphans: { limit: number; operations: Operations }
  keepEarlyFact: { operation: string; key: string; fact: EarlyFact }
  control: { write: ControlWrite; alerts: readonly Alert[] }
  raise: readonly Alert[]
  alertsDelivered: { ids: readonly string[]; at: number }
  settleTold: { id: string; dueAt: number | null; tries: number }
  pruneThese: readonly { id: string; rev: number; state: string; digests: Readonly<Record<string, string>> }[]
  pulse: Look
  workers: null
  get: string
  find: { operation: string; key: string }
  getMany: readonly string[]
  list: ListQuery
  overdue: { now: number; limit: number; operations: Operations }
  backlog: null
  lateLanes: number
  nextDueAt: readonly Lane[]
  controls: null
  alerts: { undeliveredOnly: boolean; limit: number }
  settlesDue: { now: number; limit: number; operations: Operations }
  prunable: { endedBefore: number; limit: number }
}
/** Those that the asker knows; `null` for all. */
export type Operations = readonly string[] | null
export type RequestName = keyof Requests

export type Parts = {
  readonly shared: Prepared
  readonly calls: CallRows
  readonly lanes: ReturnType<typeof laneRows>
  readonly workers: ReturnType<typeof workerRows>
  readonly questions: ReturnType<typeof questions>
  readonly sideFiles: SideFiles
}

type InTransaction = { [Name in RequestName]?: (tx: Transaction, given: Requests[Name]) => unknown }
type Outside = { [Name in RequestName]?: (given: Requests[Name]) => unknown }

/** Requests that change rows: they run in the transaction, in the order they came. */
export function changing({ shared, calls, lanes, workers }: Parts): InTransaction {
  const { db } = shared
  const delivered = db.prepare('UPDATE steward_alert SET delivered_at = ? WHERE id = ? AND delivered_at IS NULL')
  return {
    claim: (tx, query) => lanes.claim(tx, query),
    giveBack: (tx, { lease, ids }) => workers.giveBack(tx, lease, ids),
    enlist: (tx, row) => workers.enlist(tx, row),
    beat: (tx, { lease, leaseUntilAt }) => workers.beat(tx, lease, leaseUntilAt),
    leave: (tx, lease) => workers.leave(tx, lease),
    fenceDead: (tx, { now, except, ours }) => workers.fenceDead(tx, now, except, ours),
    orphans: (_tx, { limit, operations }) => workers.orphans(limit, operations),
    keepEarlyFact: keepsEarlyFact(shared, calls),
    control: (tx, { write, alerts }) => {
      applyControl(tx, write)
      tx.raise(alerts)
    },
    raise: (tx, alerts) => tx.raise(alerts),
    alertsDelivered: (_tx, { ids, at }) => {
      for (const id of ids) delivered.run(at, id)
    },
    settleTold: (tx, { id, dueAt, tries }) => {
      const seq = calls.seqOf(id)
      if (seq !== undefined) tx.moveSettle(seq, dueAt, tries)
    },
    pruneThese: prunes(shared, calls),
  }
}

function keepsEarlyFact(shared: Prepared, calls: CallRows) {
  const add = shared.db.prepare('INSERT INTO steward_early_fact (namespace, operation, key, body) VALUES (?, ?, ?, ?)')
  const waiting = shared.db.prepare('SELECT seq, body FROM steward_early_fact WHERE namespace = ? AND operation = ? AND key = ? ORDER BY seq')
  const replace = shared.db.prepare('UPDATE steward_early_fact SET body = ? WHERE seq = ?')
  return (tx: Transaction, { operation, key, fact }: Requests['keepEarlyFact']): object => {
    const known = calls.keyOf(shared.namespace, operation, key)
    const body = known === undefined ? null : calls.bodyAt(known['seq'] as number)
    if (body !== null) return { kept: false, call: body }
    if (known !== undefined) {
      throw new StoreRefusal('STEWARD_CALL_NOT_FOUND', prunedText(operation, key, known['id'] as string, known['state'] as string), { operation, key, id: known['id'], state: known['state'] })
    }
    const kept = waiting.all(shared.namespace, operation, key)
    const facts = kept.map((row) => JSON.parse(row['body'] as string) as EarlyFact)
    for (const [at, row] of kept.entries()) {
      const joined = joinEarlyFacts(facts[at] as EarlyFact, fact)
      if (joined === null) continue
      replace.run(JSON.stringify(joined), row['seq'] as number)
      return { kept: true }
    }
    if (kept.length >= LIMITS.factsPerCall && !saysMore(facts.map((known) => known.fact), fact.fact, LIMITS.factsPerCall)) {
      throw new StoreRefusal('STEWARD_FACT_INVALID', `key "${key}" of ${operation} has no call yet and already keeps ${LIMITS.factsPerCall} facts. This one was not stored. Look for a webhook that repeats itself with changing content.`, { operation, key })
    }
    add.run(shared.namespace, operation, key, JSON.stringify(fact))
    tx.earlyFactsChanged()
    return { kept: true }
  }
}

function prunes(shared: Prepared, calls: CallRows) {
  const drop = shared.db.prepare('DELETE FROM steward_ended WHERE seq = ? AND rev = ? AND NOT EXISTS (SELECT 1 FROM steward_settle AS s WHERE s.seq = steward_ended.seq)')
  const remember = shared.db.prepare('UPDATE steward_key SET state = ?, digests = ?, input = NULL WHERE seq = ?')
  return (_tx: Transaction, them: Requests['pruneThese']): number => {
    let pruned = 0
    for (const one of them) {
      const seq = calls.seqOf(one.id)
      if (seq === undefined || Number(drop.run(seq, one.rev).changes) === 0) continue
      remember.run(one.state, JSON.stringify(one.digests), seq)
      pruned += 1
    }
    return pruned
  }
}

/** Requests that only read: they run after the commit of whatever came with them. */
export function reading({ shared, calls, lanes, workers, questions }: Parts): Outside {
  return {
    pulse: looks(shared, lanes, workers),
    workers: () => workers.read(),
    leasedTo: ({ lease, limit }) => workers.leasedTo(lease, limit),
    get: (id) => calls.bodyOf(id),
    find: ({ operation, key }) => {
      const known = calls.keyOf(shared.namespace, operation, key)
      return known === undefined ? null : calls.bodyAt(known['seq'] as number)
    },
    getMany: (ids) => ids.map((id) => calls.bodyOf(id)).filter((body) => body !== null),
    list: (query) => questions.list(query),
    overdue: ({ now, limit, operations }) => questions.overdue(now, limit, operations),
    backlog: () => questions.backlog(workers.stuck()),
    lateLanes: (dueBefore) => questions.lateLanes(dueBefore),
    nextDueAt: (given) => lanes.nextDueAt(given),
    controls: () => readControls(shared.db, shared.meta),
    alerts: ({ undeliveredOnly, limit }) => questions.alerts(undeliveredOnly, limit),
    settlesDue: ({ now, limit, operations }) => questions.settlesDue(now, limit, operations),
    prunable: ({ endedBefore, limit }) => questions.prunable(endedBefore, limit),
  }
}
