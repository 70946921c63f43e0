/**
 * Changes of calls: compare-and-set, all guards in the statement that writes.
 *
 * The usual writes of a batch, each of another call that is open, go in one statement, which is one transaction. Whatever
 * it leaves out is looked at again, one call at a time and in order, by a path that knows every case: calls at their end
 * (corrected, redriven), and the guard that did not hold. Batches that also raise alerts, set controls or marks take a
 * transaction of several statements.
 *
 * Fencing needs no lock on the worker's row. A write that began before its worker was fenced counts as made before; who
 * takes the call over afterwards changes its lease or its `rev`, in that row, and one of the two writes comes second.
 */
import { isEnd } from '../core/call.ts'
import type { CallWrite, WriteResult } from '../ports/store.ts'
import { claimableAt, encodeBody, encodeInput, sweptAt } from '../store-sql/record.ts'
import { raise } from './alert-rows.ts'
import type { Around } from './around.ts'
import { joined, leftOut, runsOf } from './batches.ts'
import { alive, controlsLatch, controlsRev, lives, living, rareState } from './call-columns.ts'
import { jsonArray, jsonColumn, numberColumn, textColumn } from './columns.ts'
import type { ControlRows } from './control-rows.ts'
import { type Row, type Session, statement, type Value } from './pool.ts'

const GIVEN = 'id, expect_rev, rev, version, priority, due_at, limit_at, state, rare_state, ended_at, encryption_key_id, worker, epoch, release, controls_rev, body'
const OPEN = 'id, rev, epoch, due_at, limit_at, place, version, priority, operation, grp, encryption_key_id, state, rare_state, worker, body, input'
const ENDED = 'id, rev, ended_at, operation, grp, encryption_key_id, state, body, input'

function texts({ s, timing }: Around) {
  const held = 'o.rev = w.expect_rev AND (w.worker IS NULL OR (o.worker = w.worker AND o.epoch = w.epoch))'
  return {
    // While a worker holds a running call, what says when it is due stays as it was: unchanged, it costs no index entry.
    usual: statement(`WITH ${controlsLatch(s)}, ${living(s, '$12')}, w AS MATERIALIZED (
        SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::int[], $5::int[], $6::bigint[], $7::bigint[], $8::text[], $9::text[], $10::bigint[], $11::text[], $12::text[], $13::bigint[], $14::int[], $15::bigint[], ${jsonArray('$16')}) AS g(${GIVEN})
        WHERE (g.worker IS NULL OR ${lives('g.worker', 'g.epoch')}) AND (g.controls_rev IS NULL OR g.controls_rev = ${controlsRev(s)})),
      kept AS (UPDATE ${s}steward_open AS o SET rev = w.rev, version = w.version, priority = w.priority, state = w.state, rare_state = w.rare_state, encryption_key_id = w.encryption_key_id, body = w.body,
          due_at = CASE WHEN w.state = 'running' AND w.release = 0 AND o.worker IS NOT NULL THEN o.due_at ELSE w.due_at END,
          limit_at = CASE WHEN w.state = 'running' AND w.release = 0 AND o.worker IS NOT NULL THEN o.limit_at ELSE w.limit_at END,
          worker = CASE WHEN w.release = 1 THEN NULL ELSE o.worker END, epoch = CASE WHEN w.release = 1 THEN NULL ELSE o.epoch END
        FROM w WHERE o.id = w.id AND w.ended_at IS NULL AND ${held} RETURNING w.id),
      gone AS (DELETE FROM ${s}steward_open AS o USING w WHERE o.id = w.id AND w.ended_at IS NOT NULL AND ${held}
        RETURNING w.id, w.rev, w.ended_at, o.operation, o.grp, w.encryption_key_id, w.state, w.body, o.input),
      ended AS (INSERT INTO ${s}steward_ended (${ENDED}) SELECT ${ENDED} FROM gone),
      done AS (SELECT id FROM kept UNION ALL SELECT id FROM gone)
      SELECT count(*) AS n, CASE WHEN count(*) < cardinality($1::text[]) THEN array_to_json(array_agg(id))::text END AS ids, ${timing} FROM done`),
    guards: statement(`SELECT ${alive(s, '$1', '$2::bigint')} AS alive, ${controlsRev(s)} AS rev`),
    keep: statement(`UPDATE ${s}steward_open SET rev = $2, version = $3, priority = $4, due_at = $5, limit_at = $6, state = $7, rare_state = $8, encryption_key_id = $9, body = $10, worker = $11, epoch = $12 WHERE id = $1`),
    end: statement(`WITH gone AS (DELETE FROM ${s}steward_open WHERE id = $1 RETURNING id, operation, grp, input)
      INSERT INTO ${s}steward_ended (${ENDED}) SELECT id, $2::bigint, $3::bigint, operation, grp, $4::text, $5::text, $6::text, input FROM gone`),
    correct: statement(`UPDATE ${s}steward_ended SET rev = $2, ended_at = $3, encryption_key_id = $4, state = $5, body = $6 WHERE id = $1`),
    // There will be another end to tell of: the mark goes with the row.
    reopen: statement(`WITH gone AS (DELETE FROM ${s}steward_ended WHERE id = $1 RETURNING id, operation, grp, input), unmarked AS (DELETE FROM ${s}steward_settle WHERE id = $1)
      INSERT INTO ${s}steward_open (${OPEN}) SELECT id, $2::bigint, NULL, $3::bigint, $4::bigint, $5::bigint, $6::int, $7::int, operation, grp, $8::text, $9::text, $10::text, NULL, $11::text, input FROM gone`),
    input: statement(`WITH open AS (UPDATE ${s}steward_open SET input = $2 WHERE id = $1) UPDATE ${s}steward_ended SET input = $2 WHERE id = $1`),
    mark: statement(`INSERT INTO ${s}steward_settle (id, due_at, tries) VALUES ($1, $2, 0) ON CONFLICT (id) DO UPDATE SET due_at = excluded.due_at, tries = excluded.tries`),
  }
}

/** What one statement for many can say. */
function isUsual(write: CallWrite): boolean {
  return (write.alerts === undefined || write.alerts.length === 0) && write.controls === undefined && (write.settleDueAt ?? null) === null && write.inputChanged !== true
}

const ALL_WELL = { ok: true } as const

export class CallWrites {
  readonly #around: Around
  readonly #controls: ControlRows
  readonly #sql: ReturnType<typeof texts>

  constructor(around: Around, controls: ControlRows) {
    this.#around = around
    this.#controls = controls
    this.#sql = texts(around)
  }

  async write(batch: readonly CallWrite[]): Promise<readonly WriteResult[]> {
    const apart = new Set(batch.map((write) => write.call.id)).size === batch.length
    if (!apart || !batch.every(isUsual)) return await this.#around.timedTransaction((session) => this.inOrder(session, batch))
    const left = await this.#leftOut(batch, (values) => this.#around.timed(this.#sql.usual, values))
    // The others are stored already: when these cannot be judged now, their callers must hear that it is not known.
    return joined(batch, left, left.length === 0 ? [] : await this.#around.afterCommit(() => this.#around.timedTransaction((session) => this.#oneByOne(session, left))))
  }

  /** @returns those of the batch that were not stored. */
  async #leftOut(batch: readonly CallWrite[], ask: (values: readonly Value[]) => Promise<readonly Row[]>): Promise<readonly CallWrite[]> {
    return leftOut(batch, await ask(usualValues(batch)))
  }

  /** Any batch, in one transaction: a write later in it sees what an earlier one did. */
  async inOrder(session: Session, batch: readonly CallWrite[]): Promise<readonly WriteResult[]> {
    if (batch.some((write) => write.controls !== undefined)) await this.#around.excludeBegins(session)
    const results: WriteResult[] = []
    for (const run of runsOf(batch, isUsual)) {
      const left = run.length === 1 ? run : await this.#leftOut(run, (values) => session.query(this.#sql.usual, values))
      results.push(...joined(run, left, await this.#oneByOne(session, left)))
    }
    return results
  }

  async #oneByOne(session: Session, batch: readonly CallWrite[]): Promise<readonly WriteResult[]> {
    if (batch.some((write) => write.controlsRev !== undefined)) await this.#around.latch(session)
    const results: WriteResult[] = []
    for (const write of batch) results.push(await this.one(session, write))
    return results
  }

  /** Any write of any call, wherever its row is. Where it sets a control, begins are held off already. */
  async one(session: Session, write: CallWrite): Promise<WriteResult> {
    const { call, lease } = write
    const row = await this.#around.rowOf(session, call.id)
    if (row === null) return { ok: false, why: lease === undefined ? 'rev' : 'lease', call: null }
    const refused = await this.#refused(session, write, row)
    if (refused !== null) return { ok: false, why: refused, call: this.#around.call(row) }
    await (row['ended'] === true ? this.#fromEnded(session, write) : this.#fromOpen(session, write, row))
    await this.#extra(session, write)
    return ALL_WELL
  }

  async #refused(session: Session, { lease, expectRev, controlsRev: seen }: CallWrite, row: Row): Promise<'lease' | 'rev' | 'controls' | null> {
    const [guards] = lease === undefined && seen === undefined ? [] : await session.query(this.#sql.guards, [lease?.worker ?? null, lease?.epoch ?? null])
    if (lease !== undefined && !(row['ended'] === false && guards?.['alive'] === true && row['worker'] === lease.worker && Number(row['epoch']) === lease.epoch)) return 'lease'
    if (Number(row['rev']) !== expectRev) return 'rev'
    return seen !== undefined && Number(guards?.['rev']) !== seen ? 'controls' : null
  }

  async #fromOpen(session: Session, { call, leaseAfter }: CallWrite, row: Row): Promise<void> {
    if (isEnd(call.state)) {
      await session.change(this.#sql.end, [call.id, call.rev, call.endedAt, call.encryptionKeyId, call.state, encodeBody(call)])
      return
    }
    const keeps = leaseAfter === 'keep' && row['worker'] !== null
    await session.change(this.#sql.keep, [call.id, call.rev, call.version, call.priority, claimableAt(call), sweptAt(call), call.state, rareState(call.state), call.encryptionKeyId, encodeBody(call), keeps ? (row['worker'] as string) : null, keeps ? Number(row['epoch']) : null])
  }

  /** A corrected end stays where it is; a redriven call goes back among the open ones, unleased. */
  async #fromEnded(session: Session, { call }: CallWrite): Promise<void> {
    if (isEnd(call.state)) await session.change(this.#sql.correct, [call.id, call.rev, call.endedAt, call.encryptionKeyId, call.state, encodeBody(call)])
    else await session.change(this.#sql.reopen, [call.id, call.rev, claimableAt(call), sweptAt(call), call.place, call.version, call.priority, call.encryptionKeyId, call.state, rareState(call.state), encodeBody(call)])
  }

  async #extra(session: Session, { call, inputChanged, alerts, controls, settleDueAt }: CallWrite): Promise<void> {
    if (inputChanged === true) await session.change(this.#sql.input, [call.id, encodeInput(call)])
    await raise(session, this.#around.s, alerts ?? [])
    for (const control of controls ?? []) await this.#controls.apply(session, control)
    if ((settleDueAt ?? null) !== null) await session.change(this.#sql.mark, [call.id, settleDueAt as number])
  }
}

/** One array per column, in the order of `GIVEN`. */
function usualValues(batch: readonly CallWrite[]): readonly Value[] {
  const calls = batch.map((write) => write.call)
  return [
    textColumn(calls.map((call) => call.id)), numberColumn(batch.map((write) => write.expectRev)), numberColumn(calls.map((call) => call.rev)),
    numberColumn(calls.map((call) => call.version)), numberColumn(calls.map((call) => call.priority)), numberColumn(calls.map(claimableAt)), numberColumn(calls.map(sweptAt)),
    textColumn(calls.map((call) => call.state)), textColumn(calls.map((call) => rareState(call.state))), numberColumn(calls.map((call) => (isEnd(call.state) ? call.endedAt : null))), textColumn(calls.map((call) => call.encryptionKeyId)),
    textColumn(batch.map((write) => write.lease?.worker ?? null)), numberColumn(batch.map((write) => write.lease?.epoch ?? null)),
    numberColumn(batch.map((write) => (write.leaseAfter === 'release' ? 1 : 0))), numberColumn(batch.map((write) => write.controlsRev ?? null)),
    jsonColumn(calls.map(encodeBody)),
  ]
}
