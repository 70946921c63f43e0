/** What the conformance cases work with: stores over one place, a clock they can move, and sample records. */
import assert from 'node:assert/strict'
import type { Alert } from '../../core/alert.ts'
import type { Call, EndState } from '../../core/call.ts'
import type { CallWrite, InsertWrite, Lease, Pulse, Store, WriteResult } from '../../ports/store.ts'

/** One place where a store keeps its data. Every case gets a new, empty one. */
export interface StorePlace {
  /** A new store over this place, not opened yet. All of them read the time that was set last. */
  make(): Store
  /** Sets the clock that stores of this place read. */
  setClock(now: number): void
  /** Plays the sudden death of the process that holds this worker, where the kind of store can prove death. */
  proveDead?: (worker: string) => void
  /** Why stores here get no hints from one another (they may always be lost): the cases about hints are then left out. */
  withoutHints?: string
  /** Copies all that is stored. What it returns sets the place back to that, under open stores, as restoring a backup does. */
  backup?: () => Promise<() => Promise<void>>
  /** After all stores were closed. */
  remove(): Promise<void>
}

export type Case = { readonly name: string; readonly run: (world: World) => Promise<void> }

export const START = 1_800_000_000_000
export const OPERATION = 'charge-order'

export class World {
  readonly place: StorePlace
  readonly #stores: Store[] = []
  #ids = 0
  constructor(place: StorePlace) {
    this.place = place
    place.setClock(START)
  }
  async open(namespace = 'default'): Promise<Store> {
    const store = this.place.make()
    await store.open({ namespace, notice: () => undefined })
    this.#stores.push(store)
    return store
  }
  async end(): Promise<void> {
    for (const store of this.#stores) await store.close()
    await this.place.remove()
  }
  /** A waiting call under a key of its own, due at once. */
  call(changes: Partial<Call> = {}): Call {
    this.#ids += 1
    return {
      id: `c_${this.#ids}`, namespace: 'default', operation: OPERATION, version: 1, key: `o_${this.#ids}`, group: null, place: null, priority: 0,
      state: 'waiting', effect: 'did_not_happen', rev: 0, generation: 1, attempts: 0, tries: 0, lapses: 0, firstBegunAt: null, keySpent: false,
      createdAt: START, dueAt: START, expiresAt: null, giveUpAt: START + 86_400_000, open: [], facts: [], stop: null, lookup: null, reason: 'submitted', lastVerdict: null,
      given: '{"amount":4200}', input: null, result: null, resultMissing: null, supersedes: null, supersededBy: null, endedAt: null, encryptionKeyId: null,
      story: [{ at: START, what: 'submitted' }], ...changes,
    }
  }
}

export const inserting = (call: Call, more: Partial<InsertWrite> = {}): InsertWrite => ({ kind: 'insert', call, factsSeen: 0, ...more })

/** Stores calls and expects that each was created. */
export async function put(store: Store, ...calls: readonly Call[]): Promise<void> {
  const results = await store.insert(calls.map((call) => inserting(call)))
  assert.deepEqual(results, calls.map(() => ({ ok: true })))
}

export async function enlist(store: Store, worker: string, epoch = 1, leaseUntilAt = START + 60_000): Promise<Lease> {
  await store.enlist({ worker, epoch, host: 'here', pid: 1, startedAt: START, beatAt: START, leaseUntilAt, lanes: [{ operation: OPERATION, versions: [1] }], release: null })
  return { worker, epoch }
}

/** A heartbeat alone. */
export async function beat(store: Store, lease: Lease, leaseUntilAt: number): Promise<boolean> {
  return (await store.pulse({ now: store.now(), lease, leaseUntilAt, operations: [], lanes: [] })).alive
}

/** What there is to do, as the worker sees it at `now`. */
export async function pulse(store: Store, lease: Lease | null, now = START): Promise<Pulse> {
  return store.pulse({ now, lease, leaseUntilAt: null, operations: [OPERATION], lanes: [{ operation: OPERATION, versions: [1] }] })
}

export async function claimOf(store: Store, lease: Lease, more: Partial<Parameters<Store['claim']>[0]> = {}): Promise<readonly Call[]> {
  return store.claim({ lease, lanes: [{ operation: OPERATION, versions: [1] }], limit: 100, now: START, pausedGroups: [], ...more })
}

export function changed(call: Call, changes: Partial<Call>, more: Partial<CallWrite> = {}): CallWrite {
  return { kind: 'call', call: { ...call, rev: call.rev + 1, ...changes }, expectRev: call.rev, leaseAfter: 'keep', ...more }
}

export function begun(call: Call, lease: Lease, more: Partial<CallWrite> = {}): CallWrite {
  const open = [{ n: 1, generation: 1, worker: lease.worker, begunAt: START, deadlineAt: START + 30_000, closedAt: null, verdict: null }]
  return changed(call, { state: 'running', effect: 'unknown', dueAt: null, attempts: 1, tries: 1, firstBegunAt: START, open, reason: 'attempt 1 is running' }, { lease, ...more })
}

export function ended(call: Call, state: EndState = 'succeeded', more: Partial<CallWrite> = {}, endedAt = START + 1_000): CallWrite {
  const happened = state === 'succeeded'
  return changed(call, { state, effect: happened ? 'happened' : 'did_not_happen', dueAt: null, endedAt, open: [], facts: happened ? [{ kind: 'applied', at: endedAt, by: 'attempt 1' }] : [], result: happened ? '{"id":"ch_1"}' : null, reason: 'over' }, more)
}

export async function write(store: Store, one: CallWrite): Promise<WriteResult> {
  const [result] = await store.write([one])
  assert(result, 'one write has one result')
  return result
}

/** A call that is stored, claimed and begun by the worker; the record as written. */
export async function running(world: World, store: Store, lease: Lease, changes: Partial<Call> = {}): Promise<Call> {
  const call = world.call(changes)
  await put(store, call)
  const claimed = (await claimOf(store, lease)).find((one) => one.id === call.id)
  assert(claimed, 'a due call can be claimed')
  const begin = begun(claimed, lease)
  assert.deepEqual(await write(store, begin), { ok: true })
  return begin.call
}

export function alert(id: string, at = START): Alert {
  return { id, kind: 'exhausted', severity: 'page', at, operation: OPERATION, callId: 'c_1', key: 'o_1', state: 'exhausted', message: 'It was given up.', next: 'Redrive it.' }
}
