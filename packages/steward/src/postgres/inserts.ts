/**
 * New calls. The usual ones of a batch go in one statement, which is one transaction: guards, keys and rows together.
 * What it leaves out (a key that is taken, a guard that does not hold) is looked at again, one call at a time, in a
 * transaction that finds out why.
 *
 * One key, one effect: two inserts of a key, or an insert and a fact that came before its call, meet at the row of
 * `steward_key`; whoever comes second waits for the first and then finds it. Keys of a batch are taken in their order,
 * so that two batches never wait for each other.
 */
import { isEnd } from '../core/call.ts'
import type { EarlyFact, InsertResult, InsertWrite } from '../ports/store.ts'
import { claimableAt, encodeBody, encodeInput, sweptAt } from '../store-sql/record.ts'
import { raise } from './alert-rows.ts'
import type { Around } from './around.ts'
import { joined, leftOut, runsOf } from './batches.ts'
import { alive, controlsLatch, controlsRev, lives, living, rareState } from './call-columns.ts'
import { jsonArray, jsonColumn, numberColumn, textColumn } from './columns.ts'
import { type Row, type Session, statement, type Value } from './pool.ts'
import { isHeldUp } from './refusals.ts'
import type { CallWrites } from './writes.ts'

/** What goes in one statement: no fact was seen, nothing is replaced or told. */
function isUsual(write: InsertWrite): boolean {
  return write.factsSeen === 0 && write.supersedes === undefined && (write.alerts === undefined || write.alerts.length === 0) && (write.settleDueAt ?? null) === null && !isEnd(write.call.state)
}

const GIVEN = 'id, operation, key, version, priority, due_at, limit_at, grp, place, state, rare_state, rev, encryption_key_id, worker, epoch, controls_rev, body, input'
/** Columns of an open call's row. */
export const OPEN = 'id, rev, epoch, due_at, limit_at, place, version, priority, operation, grp, encryption_key_id, state, rare_state, worker, body, input'

function texts({ s, timing }: Around) {
  return {
    // IS TRUE keeps the planner, which expects one row, from comparing each with each.
    usual: statement(`WITH ${controlsLatch(s)}, ${living(s, '$14')}, given AS MATERIALIZED (
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::int[], $6::bigint[], $7::bigint[], $8::text[], $9::bigint[], $10::text[], $11::text[], $12::bigint[], $13::text[], $14::text[], $15::bigint[], $16::bigint[], ${jsonArray('$17')}, ${jsonArray('$18')}) AS g(${GIVEN})
        WHERE (SELECT set_config('lock_timeout', $19::text, true)) IS NOT NULL AND (worker IS NULL OR ${lives('g.worker', 'g.epoch')}) AND (controls_rev IS NULL OR controls_rev = ${controlsRev(s)})),
      named AS (INSERT INTO ${s}steward_key (operation, key, id) SELECT operation, key, id FROM given ORDER BY operation, key ON CONFLICT (operation, key) DO NOTHING RETURNING id),
      placed AS (INSERT INTO ${s}steward_open (${OPEN}) SELECT ${OPEN} FROM given WHERE (id IN (SELECT id FROM named)) IS TRUE)
      SELECT count(*) AS n, CASE WHEN count(*) < cardinality($1::text[]) THEN array_to_json(array_agg(id))::text END AS ids, ${timing} FROM named`),
    keyOf: statement(`SELECT k.id, p.state, p.digests FROM ${s}steward_key AS k LEFT JOIN ${s}steward_pruned AS p ON p.id = k.id WHERE k.operation = $1 AND k.key = $2 FOR UPDATE OF k`),
    key: statement(`INSERT INTO ${s}steward_key (operation, key, id) VALUES ($1, $2, $3) ON CONFLICT (operation, key) DO NOTHING`),
    keyTaken: statement(`UPDATE ${s}steward_key SET id = $3 WHERE operation = $1 AND key = $2 AND id IS NULL`),
    facts: statement(`SELECT body FROM ${s}steward_early_fact WHERE namespace = $1 AND operation = $2 AND key = $3 ORDER BY seq`),
    dropFacts: statement(`DELETE FROM ${s}steward_early_fact WHERE namespace = $1 AND operation = $2 AND key = $3`),
    open: statement(`INSERT INTO ${s}steward_open (${OPEN}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`),
    ended: statement(`INSERT INTO ${s}steward_ended (id, rev, ended_at, operation, grp, encryption_key_id, state, body, input) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`),
    settle: statement(`INSERT INTO ${s}steward_settle (id, due_at, tries) VALUES ($1, $2, 0)`),
    guards: statement(`SELECT ${alive(s, '$1', '$2::bigint')} AS alive, ${controlsRev(s)} AS rev`),
  }
}

const ALL_WELL = { ok: true } as const
const HELD = { ok: false, why: 'held' } as const

/** A call moves from table to table while it is looked for; each move is a transaction of somebody else's. */
const LOOKS = 5

/** So long the parts of a batch wait once it is known that one of its keys is held: inserts of other processes end within milliseconds. */
const PART_LOCK_MS = 20

export class CallInserts {
  readonly #around: Around
  readonly #writes: CallWrites
  readonly #sql: ReturnType<typeof texts>
  readonly #lockMs: number

  /** @param lockMs how long a batch waits for a key that a transaction elsewhere has: others are held up for no longer. */
  constructor(around: Around, writes: CallWrites, lockMs: number) {
    this.#lockMs = lockMs
    this.#around = around
    this.#writes = writes
    this.#sql = texts(around)
  }

  async insert(batch: readonly InsertWrite[], lockMs = this.#lockMs): Promise<readonly InsertResult[]> {
    try {
      return batch.every(isUsual) ? await this.#together(batch, lockMs) : await this.#inTransaction((session) => this.#inOrder(session, batch))
    } catch (error) {
      if (!isHeldUp(error)) throw error
      if (batch.length === 1) return [HELD]
    }
    // Nothing was stored: the half without the key that is held goes through.
    const half = batch.length >> 1
    const first = await this.insert(batch.slice(0, half), PART_LOCK_MS)
    return [...first, ...(await this.#around.afterCommit(() => this.insert(batch.slice(half), PART_LOCK_MS)))]
  }

  async #together(batch: readonly InsertWrite[], lockMs: number): Promise<readonly InsertResult[]> {
    const left = await this.#leftOut(batch, lockMs, (values) => this.#around.timed(this.#sql.usual, values))
    if (left.length === 0) return joined(batch, left, [])
    const judge = (): Promise<readonly InsertResult[]> => this.#inTransaction((session) => this.#oneByOne(session, left))
    // Where others are stored already and these cannot be judged now, their callers must hear that it is not known.
    return joined(batch, left, left.length === batch.length ? await judge() : await this.#around.afterCommit(judge))
  }

  #inTransaction<Answer>(work: (session: Session) => Promise<Answer>): Promise<Answer> {
    return this.#around.timedTransaction(async (session) => {
      await session.change(`SET LOCAL lock_timeout = ${this.#lockMs}`)
      return await work(session)
    })
  }

  /** @returns those of the batch that were not stored. */
  async #leftOut(batch: readonly InsertWrite[], lockMs: number, ask: (values: readonly Value[]) => Promise<readonly Row[]>): Promise<readonly InsertWrite[]> {
    return leftOut(batch, await ask([...usualValues(batch), String(lockMs)]))
  }

  /** Any batch, in one transaction: an insert later in it sees what an earlier one did. */
  async #inOrder(session: Session, batch: readonly InsertWrite[]): Promise<readonly InsertResult[]> {
    const results: InsertResult[] = []
    for (const run of runsOf(batch, isUsual)) {
      const left = run.length === 1 ? run : await this.#leftOut(run, this.#lockMs, (values) => session.query(this.#sql.usual, values))
      results.push(...joined(run, left, await this.#oneByOne(session, left)))
    }
    return results
  }

  async #oneByOne(session: Session, batch: readonly InsertWrite[]): Promise<readonly InsertResult[]> {
    if (batch.some((write) => write.controlsRev !== undefined)) await this.#around.latch(session)
    const results: InsertResult[] = []
    for (const write of batch) results.push(await this.#insert(session, write))
    return results
  }

  async #insert(session: Session, write: InsertWrite, looks = 1): Promise<InsertResult> {
    const { operation, key } = write.call
    const [known] = await session.query(this.#sql.keyOf, [operation, key])
    if (known !== undefined && known['id'] !== null) return await this.#taken(session, known, write, looks)
    const guarded = await this.#guarded(session, write)
    if (guarded !== null) return guarded
    const facts = known === undefined ? [] : (await session.query(this.#sql.facts, [this.#around.namespace, operation, key])).map((row) => JSON.parse(row['body'] as string) as EarlyFact)
    if (facts.length !== write.factsSeen) return { ok: false, why: 'facts', facts }
    if (write.supersedes !== undefined) await session.change('SAVEPOINT steward_insert')
    const named = await session.change(known === undefined ? this.#sql.key : this.#sql.keyTaken, [operation, key, write.call.id])
    // Somebody was faster: who it is can be seen by now, since the insert waited for it.
    if (named === 0) return await this.#insert(session, write, looks)
    if (write.supersedes !== undefined) {
      const replaced = await this.#writes.one(session, { kind: 'call', leaseAfter: 'keep', ...write.supersedes })
      await session.change(replaced.ok ? 'RELEASE steward_insert' : 'ROLLBACK TO steward_insert')
      if (!replaced.ok) return { ok: false, why: 'superseded-changed', call: replaced.call }
    }
    if (facts.length > 0) await session.change(this.#sql.dropFacts, [this.#around.namespace, operation, key])
    await this.place(session, write)
    return ALL_WELL
  }

  async #taken(session: Session, known: Row, write: InsertWrite, looks: number): Promise<InsertResult> {
    const id = known['id'] as string
    if (known['digests'] !== null) return { ok: false, why: 'pruned', id, state: known['state'], digests: JSON.parse(known['digests'] as string) as unknown } as InsertResult
    const row = await this.#around.rowOf(session, id)
    if (row !== null) return { ok: false, why: 'joined', call: this.#around.call(row) }
    if (looks === LOOKS) throw this.#around.withoutRecord(write.call.operation, write.call.key, id)
    // Pruned in between: the next look says so.
    return await this.#insert(session, write, looks + 1)
  }

  async #guarded(session: Session, { lease, controlsRev: seen }: InsertWrite): Promise<InsertResult | null> {
    if (lease === undefined && seen === undefined) return null
    const [row] = await session.query(this.#sql.guards, [lease?.worker ?? null, lease?.epoch ?? null])
    if (lease !== undefined && row?.['alive'] !== true) return { ok: false, why: 'lease' }
    return seen !== undefined && Number(row?.['rev']) !== seen ? { ok: false, why: 'controls' } : null
  }

  /** Puts the row where its state belongs. */
  async place(session: Session, write: InsertWrite): Promise<void> {
    const { call, alerts, settleDueAt } = write
    if (isEnd(call.state)) await session.change(this.#sql.ended, [call.id, call.rev, call.endedAt, call.operation, call.group, call.encryptionKeyId, call.state, encodeBody(call), encodeInput(call)])
    else await session.change(this.#sql.open, openValues(write))
    await raise(session, this.#around.s, alerts ?? [])
    if ((settleDueAt ?? null) !== null) await session.change(this.#sql.settle, [call.id, settleDueAt as number])
  }
}

/** In the order of `OPEN`. */
export function openValues({ call, lease }: InsertWrite): readonly Value[] {
  return [call.id, call.rev, lease?.epoch ?? null, claimableAt(call), sweptAt(call), call.place, call.version, call.priority, call.operation, call.group, call.encryptionKeyId, call.state, rareState(call.state), lease?.worker ?? null, encodeBody(call), encodeInput(call)]
}

/** One array per column, in the order of `GIVEN`. */
function usualValues(batch: readonly InsertWrite[]): readonly Value[] {
  const calls = batch.map((write) => write.call)
  return [
    textColumn(calls.map((call) => call.id)), textColumn(calls.map((call) => call.operation)), textColumn(calls.map((call) => call.key)),
    numberColumn(calls.map((call) => call.version)), numberColumn(calls.map((call) => call.priority)), numberColumn(calls.map(claimableAt)), numberColumn(calls.map(sweptAt)),
    textColumn(calls.map((call) => call.group)), numberColumn(calls.map((call) => call.place)), textColumn(calls.map((call) => call.state)), textColumn(calls.map((call) => rareState(call.state))),
    numberColumn(calls.map((call) => call.rev)), textColumn(calls.map((call) => call.encryptionKeyId)),
    textColumn(batch.map((write) => write.lease?.worker ?? null)), numberColumn(batch.map((write) => write.lease?.epoch ?? null)), numberColumn(batch.map((write) => write.controlsRev ?? null)),
    jsonColumn(calls.map(encodeBody)), jsonColumn(calls.map(encodeInput)),
  ]
}

