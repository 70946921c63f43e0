/**
 * A store in memory: the same port, guards and answers as the SQL stores, deterministic, without a thread or a file.
 *
 * For tests and simulation under virtual time. Everything is applied at once when it is asked; only the answer is a
 * promise. Two stores over one `MemoryData` act as two processes; what a crash loses is decided by who holds the data.
 */
import { type Call, isEnd } from '../core/call.ts'
import { limitAt } from '../core/conclude.ts'
import { StewardError } from '../core/errors.ts'
import { saysMore } from '../core/facts.ts'
import { LIMITS } from '../core/limits.ts'
import { joinEarlyFacts, prunedText } from '../ports/early-facts.ts'
import type { Backlog, ClaimQuery, EarlyFact, Lane, ListQuery, SettleDue, SettleInTx, SettleTx, Store, StoreOpening, WorkerRow, CallWrite, WriteResult } from '../ports/store.ts'
import type { System } from '../ports/system.ts'
import { keyName, type MemoryData, memoryData, place, type Row } from './memory-data.ts'
import { applyControl, applyInsert, applyWrite, claimableAt, copy, guardOf, holds, isAlive, noticeSetBack, raise } from './memory-rows.ts'

export type MemoryStoreOptions = {
  /** Where time comes from; give the same `manualSystem` to Steward. */
  readonly system: Pick<System, 'now' | 'soon'>
  /** What is stored; pass the same to two stores to play two processes. Default: new and empty. */
  readonly data?: MemoryData
  /** What `tx` is for handlers of `onSettled`. Default: statements are refused. */
  readonly tx?: SettleTx
}

export interface MemoryStore extends Store {
  readonly data: MemoryData
  /** From now on the worker's process counts as proven dead. */
  proveDead(worker: string): void
}

export function memoryStore(options: MemoryStoreOptions): MemoryStore {
  return new StoreInMemory(options)
}

const NO_TX: SettleTx = {
  run: () => Promise.reject(new Error('the memory store has no tables; pass `tx` to memoryStore')),
  all: () => Promise.reject(new Error('the memory store has no tables; pass `tx` to memoryStore')),
}

class StoreInMemory implements MemoryStore {
  readonly name = 'memory'
  readonly pulseMs = 200
  readonly data: MemoryData
  readonly #system: Pick<System, 'now' | 'soon'>
  readonly #tx: SettleTx
  readonly #own = new Set<() => void>()
  #isOpen = false

  constructor({ system, data = memoryData(), tx = NO_TX }: MemoryStoreOptions) {
    this.#system = system
    this.data = data
    this.#tx = tx
  }

  open({ namespace }: StoreOpening): Promise<void> {
    return this.#at(() => {
      if (this.data.namespace !== null && this.data.namespace !== namespace) {
        throw new StewardError('STEWARD_NAMESPACE_CHANGED', `this memory store belongs to namespace "${this.data.namespace}" and was opened as "${namespace}". Nothing was changed. Open it as "${this.data.namespace}".`, { stored: this.data.namespace, given: namespace })
      }
      this.data.namespace = namespace
      noticeSetBack(this.data, this.now())
      this.#isOpen = true
    }, true)
  }
  close(): Promise<void> {
    this.#isOpen = false
    for (const listener of this.#own) this.data.listeners.delete(listener)
    return Promise.resolve()
  }
  now(): number {
    this.data.mark = Math.max(this.data.mark, this.#system.now())
    return this.data.mark
  }

  /** Runs at once; what it answers or throws arrives as a promise. */
  #at<Value>(run: () => Value, whileClosed = false): Promise<Value> {
    if (!this.#isOpen && !whileClosed) return Promise.reject(new StewardError('STEWARD_CLOSED', 'the memory store is closed. Nothing was stored. Open it again, or finish the work before closing.'))
    return new Promise((resolve) => {
      if (this.#isOpen) noticeSetBack(this.data, this.now())
      resolve(run())
    })
  }
  /** @param hints whether what was done is worth a hint to others: idle rounds are not. */
  #change<Value>(run: () => Value, hints: (value: Value) => boolean = () => true): Promise<Value> {
    return this.#at(() => {
      const value = run()
      if (!hints(value)) return value
      this.#system.soon(() => [...this.data.listeners].filter((listener) => !this.#own.has(listener)).forEach((listener) => listener()))
      return value
    })
  }

  write: Store['write'] = (batch) => this.#change(() => batch.map((write) => applyWrite(this.data, write)))
  insert: Store['insert'] = (batch) => this.#change(() => batch.map((write) => applyInsert(this.data, write)))

  /**
   * Nobody waits here while the handler runs: the write comes before it, so that others see the end and not what led to
   * it; with `onlyIfHandled` it comes after it, and its guards are judged again.
   */
  writeSettling: Store['writeSettling'] = async (write: CallWrite, inTx: SettleInTx) => {
    const refused = await this.#at(() => guardOf(this.data, write))
    if (refused) return { result: refused }
    let result: WriteResult = write.onlyIfHandled === true ? { ok: true } : applyWrite(this.data, write)
    let handler: unknown
    try {
      await inTx(this.#tx)
      if (write.onlyIfHandled === true) result = applyWrite(this.data, write)
      const row = this.data.rows.get(write.call.id)
      if (row && result.ok) {
        row.settle = null
        place(this.data, row)
      }
    } catch (error) {
      handler = error ?? new Error('onSettled threw nothing at all')
    }
    await this.#change(() => undefined)
    return handler === undefined ? { result } : { result, handler }
  }

  claim: Store['claim'] = (query) => this.#at(() => this.#claim(query))
  #claim(query: ClaimQuery): readonly Call[] {
    if (!isAlive(this.data, query.lease)) return []
    const due = [...this.data.open.values()].filter((row) => {
      const at = claimableAt(row.call)
      return row.lease === null && at !== null && at <= query.now && understands(query.lanes, row.call) && !(row.call.group !== null && query.pausedGroups.includes(row.call.group))
    })
    due.sort((a, b) => a.call.priority - b.call.priority || (a.call.dueAt as number) - (b.call.dueAt as number) || a.seq - b.seq)
    return due.slice(0, query.limit).map((row) => {
      row.lease = { ...query.lease }
      return copy(row.call)
    })
  }
  giveBack: Store['giveBack'] = (lease, ids) => this.#change(() => {
    if (!isAlive(this.data, lease)) return
    for (const id of ids) {
      const row = this.data.rows.get(id)
      if (row && holds(row, lease) && row.call.state !== 'running') row.lease = null
    }
  })
  leasedTo: Store['leasedTo'] = (lease, limit) => this.#at(() => [...this.data.open.values()].filter((row) => holds(row, lease)).sort((a, b) => a.seq - b.seq).slice(0, limit).map((row) => copy(row.call)))

  enlist: Store['enlist'] = (row) => this.#change(() => void this.data.workers.set(row.worker, { ...copy(row), fenced: false }))
  pulse: Store['pulse'] = (query) => this.#at(() => {
    const { lease, leaseUntilAt, lanes, now } = query
    const row = lease !== null && isAlive(this.data, lease) ? this.data.workers.get(lease.worker) : undefined
    if (row && leaseUntilAt !== null) this.data.workers.set(row.worker, { ...row, beatAt: Math.max(row.beatAt, this.now()), leaseUntilAt: Math.max(row.leaseUntilAt, leaseUntilAt) })
    return {
      alive: row !== undefined,
      controlsRev: this.data.controlsRev,
      todo: {
        dead: this.#dead(now, lease?.worker ?? null).length > 0 || this.#lost().some(({ call }) => call.state !== 'running' || query.operations.includes(call.operation)),
        overdue: this.#overdue(now, query.operations).length > 0,
        settles: this.#settles(now, query.operations).length > 0,
        alerts: [...this.data.alerts.values()].some((one) => one.deliveredAt === null),
      },
      nextDueAt: lanes.length === 0 ? null : this.#nextDueAt(lanes),
    }
  })
  leave: Store['leave'] = (lease) => this.#change(() => {
    for (const row of this.data.open.values()) if (holds(row, lease) && row.call.state !== 'running') row.lease = null
    if (this.data.workers.get(lease.worker)?.epoch === lease.epoch) this.data.workers.delete(lease.worker)
  })
  workers: Store['workers'] = () => this.#at(() => copy([...this.data.workers.values()].sort((a, b) => a.startedAt - b.startedAt || (a.worker < b.worker ? -1 : 1))))
  proveDead(worker: string): void {
    this.data.dead.add(worker)
  }
  #dead(now: number, except: string | null): WorkerRow[] {
    return [...this.data.workers.values()].filter((row) => !row.fenced && row.worker !== except && (row.leaseUntilAt <= now || this.data.dead.has(row.worker)))
  }
  #lost(): Row[] {
    return [...this.data.open.values()].filter((row) => row.lease !== null && !isAlive(this.data, row.lease))
  }
  fenceDead: Store['fenceDead'] = (now, except) => this.#change(() => this.#dead(now, except).map((row) => {
    const fenced: WorkerRow = { ...row, fenced: true }
    this.data.workers.set(row.worker, fenced)
    return copy(fenced)
  }), (fenced) => fenced.length > 0)
  orphans: Store['orphans'] = (limit, operations) => this.#at(() => {
    const lost = this.#lost()
    for (const row of lost) if (row.call.state !== 'running') row.lease = null
    return lost.filter((row) => row.call.state === 'running' && isOf(row.call, operations)).slice(0, limit).map((row) => copy(row.call))
  })

  get: Store['get'] = (id) => this.#at(() => this.#copyOf(id))
  find: Store['find'] = (operation, key) => this.#at(() => this.#copyOf(this.data.keys.get(keyName(operation, key))))
  #copyOf(id: string | undefined): Call | null {
    const row = id === undefined ? undefined : this.data.rows.get(id)
    return row ? copy(row.call) : null
  }
  getMany: Store['getMany'] = (ids) => this.#at(() => ids.map((id) => this.#copyOf(id)).filter((call) => call !== null))
  list: Store['list'] = (query) => this.#at(() => {
    if (query.afterId !== undefined && !this.data.rows.has(query.afterId) && !this.data.pruned.has(query.afterId)) return []
    const after = query.afterId === undefined ? null : (this.data.rows.get(query.afterId)?.seq ?? null)
    const matching = [...this.data.rows.values()].filter((row) => matches(row.call, query) && (after === null || (query.newestFirst ? row.seq < after : row.seq > after)))
    matching.sort((a, b) => (query.newestFirst ? b.seq - a.seq : a.seq - b.seq))
    return matching.slice(0, query.limit).map((row) => copy(row.call))
  })
  #overdue(now: number, operations: readonly string[] | undefined): Row[] {
    return this.#open().filter((row) => isOf(row.call, operations) && row.lease === null && row.call.stop === null && row.call.state !== 'running' && row.call.state !== 'accepted' && (limitAt(row.call) ?? Number.POSITIVE_INFINITY) <= now)
  }
  overdue: Store['overdue'] = (now, limit, operations) => this.#at(() => this.#overdue(now, operations)
    .sort((a, b) => (limitAt(a.call) as number) - (limitAt(b.call) as number))
    .slice(0, limit).map((row) => copy(row.call)))
  #open(): Row[] {
    return [...this.data.open.values()].filter((row) => !isEnd(row.call.state))
  }
  backlog: Store['backlog'] = () => this.#at(() => {
    const lanes = new Map<string, Backlog>()
    for (const { call, lease } of this.#open()) {
      const name = keyName(call.operation, String(call.version))
      const lane = lanes.get(name) ?? { operation: call.operation, version: call.version, open: 0, oldestDueAt: null, stuck: 0 }
      const at = lease === null ? claimableAt(call) : null
      const isStuck = call.state === 'running' && lease !== null && !isAlive(this.data, lease)
      lanes.set(name, { ...lane, open: lane.open + 1, oldestDueAt: at === null ? lane.oldestDueAt : Math.min(at, lane.oldestDueAt ?? at), stuck: lane.stuck + (isStuck ? 1 : 0) })
    }
    return [...lanes.values()].sort((a, b) => (a.operation < b.operation ? -1 : a.operation > b.operation ? 1 : a.version - b.version))
  })
  lateLanes: Store['lateLanes'] = async (dueBefore) => (await this.backlog())
    .flatMap(({ operation, version, oldestDueAt }) => (oldestDueAt !== null && oldestDueAt < dueBefore ? [{ operation, version, oldestDueAt }] : []))
  nextDueAt: Store['nextDueAt'] = (lanes) => this.#at(() => this.#nextDueAt(lanes))
  #nextDueAt(lanes: readonly Lane[]): number | null {
    return this.#open()
      .filter((row) => row.lease === null && understands(lanes, row.call))
      .reduce<number | null>((next, row) => {
        const at = claimableAt(row.call)
        return at === null ? next : Math.min(at, next ?? at)
      }, null)
  }

  keepEarlyFact: Store['keepEarlyFact'] = (operation, key, fact) => this.#change(() => {
    const id = this.data.keys.get(keyName(operation, key))
    const pruned = id === undefined ? undefined : this.data.pruned.get(id)
    if (pruned) throw new StewardError('STEWARD_CALL_NOT_FOUND', prunedText(operation, key, pruned.id, pruned.state), { operation, key, id: pruned.id, state: pruned.state })
    const call = this.#copyOf(id)
    if (call) return { kept: false, call } as const
    const kept: EarlyFact[] = this.data.earlyFacts.get(keyName(operation, key)) ?? []
    for (const [at, known] of kept.entries()) {
      const joined = joinEarlyFacts(known, fact)
      if (joined === null) continue
      kept[at] = copy(joined)
      return { kept: true } as const
    }
    if (kept.length >= LIMITS.factsPerCall && !saysMore(kept.map((known) => known.fact), fact.fact, LIMITS.factsPerCall)) throw new StewardError('STEWARD_FACT_INVALID', `key "${key}" of ${operation} has no call yet and already keeps ${LIMITS.factsPerCall} facts. This one was not stored. Look for a webhook that repeats itself with changing content.`, { operation, key })
    this.data.earlyFacts.set(keyName(operation, key), [...kept, copy(fact)])
    return { kept: true } as const
  })

  controls: Store['controls'] = () => this.#at(() => ({
    rev: this.data.controlsRev,
    restored: copy(this.data.restored),
    all: copy([...this.data.controls.values()].sort((a, b) => (`${a.kind} ${a.name}` < `${b.kind} ${b.name}` ? -1 : 1))),
  }))
  control: Store['control'] = (write, alerts) => this.#change(() => {
    applyControl(this.data, write)
    raise(this.data, alerts)
  })

  raise: Store['raise'] = (alerts) => this.#change(() => raise(this.data, alerts))
  alerts: Store['alerts'] = ({ undeliveredOnly, limit }) => this.#at(() => {
    const all = [...this.data.alerts.values()].filter((one) => !undeliveredOnly || one.deliveredAt === null)
    return (undeliveredOnly ? all : all.reverse()).slice(0, limit).map((one) => ({ ...copy(one.alert), deliveredAt: one.deliveredAt }))
  })
  alertsDelivered: Store['alertsDelivered'] = (ids, at) => this.#change(() => {
    for (const id of ids) {
      const one = this.data.alerts.get(id)
      if (one) one.deliveredAt ??= at
    }
  })

  #settles(now: number, operations: readonly string[] | undefined): SettleDue[] {
    return [...this.data.open.values()].flatMap((row) => (row.settle !== null && row.settle.dueAt <= now && isEnd(row.call.state) && isOf(row.call, operations) ? [{ call: row.call, ...row.settle }] : []))
  }
  settlesDue: Store['settlesDue'] = (now, limit, operations) => this.#at(() => this.#settles(now, operations)
    .sort((a, b) => a.dueAt - b.dueAt).slice(0, limit).map(copy))
  settleTold: Store['settleTold'] = (id, dueAt, tries) => this.#change(() => {
    const row = this.data.rows.get(id)
    if (!row?.settle) return
    row.settle = dueAt === null ? null : { dueAt, tries }
    place(this.data, row)
  })

  prune: Store['prune'] = (endedBefore, limit, digestsOf) => this.#change(() => {
    const old = [...this.data.rows.values()].filter((row) => row.settle === null && isEnd(row.call.state) && row.call.endedAt !== null && row.call.endedAt < endedBefore)
      .sort((a, b) => (a.call.endedAt as number) - (b.call.endedAt as number)).slice(0, limit)
    for (const { call } of old) {
      this.data.pruned.set(call.id, { id: call.id, state: call.state, digests: digestsOf(copy(call)) })
      this.data.rows.delete(call.id)
    }
    return old.length
  }, (pruned) => pruned > 0)

  onHint(listener: () => void): () => void {
    this.data.listeners.add(listener)
    this.#own.add(listener)
    return () => {
      this.data.listeners.delete(listener)
      this.#own.delete(listener)
    }
  }
}

const understands = (lanes: readonly Lane[], call: Call): boolean => lanes.some((lane) => lane.operation === call.operation && lane.versions.includes(call.version))

function matches(call: Call, query: ListQuery): boolean {
  return (query.operation === undefined || call.operation === query.operation) &&
    (query.states === undefined || query.states.includes(call.state)) &&
    (query.group === undefined || call.group === query.group) &&
    (query.keyPrefix === undefined || call.key.startsWith(query.keyPrefix)) &&
    (query.endedAfter === undefined || (call.endedAt !== null && isEnd(call.state) && call.endedAt > query.endedAfter)) &&
    (query.endedBefore === undefined || (call.endedAt !== null && isEnd(call.state) && call.endedAt < query.endedBefore))
}

function isOf(call: Call, operations: readonly string[] | undefined): boolean {
  return operations === undefined || operations.includes(call.operation)
}
