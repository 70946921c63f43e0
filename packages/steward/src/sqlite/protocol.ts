/**
 * What the main thread and the store's thread say to each other.
 *
 * One message carries everything that queued while the previous ones were under way. Inserts and writes, of which
 * there are many, travel as flat arrays of primitives in a fixed order (cheap to clone, bound to statements as they
 * are); everything else travels as a named request. What few of them need (alerts, supersedes …) is one optional
 * object at the end of each. An answer names only what did not go well: a batch where all is well is one zero.
 */
import type { Alert } from '../core/alert.ts'
import type { ControlWrite, InsertWrite, CallWrite, Lease } from '../ports/store.ts'
import { claimableAt, encodeBody, encodeInput, sweptAt } from '../store-sql/record.ts'
import type { DriverName } from './driver.ts'

export type Cell = string | number | null
/** Flat rows: cells, and at the end of each an object or `null`. */
export type Flat = (Cell | object | null)[]

export type InsertExtra = {
  readonly lease: Lease | null
  readonly controlsRev: number | null
  readonly alerts: readonly Alert[]
  readonly settleDueAt: number | null
  readonly factsSeen: number
  /** The write of the call that is replaced, in the order of `W`. */
  readonly supersedes: Flat | null
}
export type WriteExtra = { readonly alerts: readonly Alert[]; readonly controls: readonly ControlWrite[]; readonly settleDueAt: number | null }

/** Places in the flat row of an insert. */
export const I = { id: 0, operation: 1, key: 2, version: 3, priority: 4, dueAt: 5, limitAt: 6, expiresAt: 7, giveUpAt: 8, group: 9, place: 10, state: 11, rev: 12, generation: 13, encryptionKeyId: 14, endedAt: 15, body: 16, input: 17, extra: 18 } as const
export const INSERT_WIDTH = 19

/** Places in the flat row of a write. */
export const W = { id: 0, expectRev: 1, operation: 2, version: 3, priority: 4, dueAt: 5, limitAt: 6, expiresAt: 7, giveUpAt: 8, state: 9, rev: 10, generation: 11, encryptionKeyId: 12, endedAt: 13, body: 14, worker: 15, epoch: 16, release: 17, controlsRev: 18, input: 19, extra: 20 } as const
export const WRITE_WIDTH = 21

export function flattenInsert(into: Flat, write: InsertWrite): void {
  const call = write.call
  into.push(call.id, call.operation, call.key, call.version, call.priority, claimableAt(call), sweptAt(call), call.expiresAt, call.giveUpAt,
    call.group, call.place, call.state, call.rev, call.generation, call.encryptionKeyId, call.endedAt, encodeBody(call), encodeInput(call), insertExtra(write))
}

function insertExtra(write: InsertWrite): InsertExtra | null {
  const usual = write.lease === undefined && write.controlsRev === undefined && write.factsSeen === 0 && write.supersedes === undefined
  if (usual && (write.alerts === undefined || write.alerts.length === 0) && (write.settleDueAt ?? null) === null) return null
  const supersedes: Flat = []
  if (write.supersedes) flattenWrite(supersedes, { kind: 'call', leaseAfter: 'keep', ...write.supersedes })
  return { lease: write.lease ?? null, controlsRev: write.controlsRev ?? null, alerts: write.alerts ?? [], settleDueAt: write.settleDueAt ?? null, factsSeen: write.factsSeen, supersedes: write.supersedes ? supersedes : null }
}

export function flattenWrite(into: Flat, write: CallWrite): void {
  const { call, lease, alerts, controls, settleDueAt } = write
  const extra: WriteExtra | null = (alerts === undefined || alerts.length === 0) && controls === undefined && (settleDueAt ?? null) === null
    ? null : { alerts: alerts ?? [], controls: controls ?? [], settleDueAt: settleDueAt ?? null }
  into.push(call.id, write.expectRev, call.operation, call.version, call.priority, claimableAt(call), sweptAt(call), call.expiresAt, call.giveUpAt,
    call.state, call.rev, call.generation, call.encryptionKeyId, call.endedAt, encodeBody(call),
    lease === undefined ? null : lease.worker, lease === undefined ? null : lease.epoch, write.leaseAfter === 'release' ? 1 : 0, write.controlsRev ?? null, write.inputChanged === true ? encodeInput(call) : null, extra)
}

/** A request other than an insert or a write: what, and with what. Answers are values that can be cloned. */
export type Request = { readonly what: string; readonly with: unknown }

/** To the thread. Sizes say how many rows belong to one caller: callers never share a failure of one row. */
export type Message = {
  readonly n: number
  /** The sender's time, for the high-water mark. */
  readonly now: number
  readonly inserts: Flat
  readonly insertSizes: readonly number[]
  readonly writes: Flat
  readonly writeSizes: readonly number[]
  readonly requests: readonly Request[]
  /** Another message follows at once: the transaction may wait for it. */
  readonly more: boolean
}

/** Places in the memory that both threads see; each counts what was said on its port, after it was said. */
export const SIGNAL = { settle: 0, said: 1, length: 2 } as const

/** What went wrong for a row: its place in the caller's batch, and the answer with records as text. */
export type RowAnswer = { readonly at: number; readonly answer: Readonly<Record<string, unknown>> }
export type Refusal = { readonly code: string; readonly message: string; readonly details: Readonly<Record<string, unknown>> }
/** Answer to one caller: 0 for all is well, rows that were not stored, a value, or the reason why nothing was. */
export type Answer = 0 | { readonly rows: readonly RowAnswer[] } | { readonly value: unknown } | { readonly refusal: Refusal }

/** From the thread, one list per transaction: answers in the order inserts, writes, requests. */
export type Reply = { readonly n: number; readonly mark: number; readonly answers: 0 | readonly Answer[]; readonly changed: boolean }
/** A remark without a question. */
export type Remark =
  | { readonly remark: 'hint' }
  | { readonly remark: 'notice'; readonly text: string }
  /** The recording transaction is open; statements may come. */
  | { readonly remark: 'settle-ready' }
  | { readonly remark: 'settle-answer'; readonly value?: unknown; readonly error?: string }

/** On the settling port: statements of the application's handler, and how it ended. */
export type SettleSay =
  | { readonly say: 'run' | 'all'; readonly sql: string; readonly params: readonly unknown[] }
  | { readonly say: 'done' | 'undo' }

/** How the thread is started. */
export type ThreadData = {
  readonly path: string
  readonly driver: DriverName
  readonly namespace: string
  readonly now: number
  readonly busyMs: number
  readonly settleMs: number
  readonly commitDelayMs: number
  readonly failpoints: string
  /** Largest size in pages; 0 for no limit. */
  readonly maxPages: number
  readonly signal: SharedArrayBuffer
}
