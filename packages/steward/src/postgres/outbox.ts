/**
 * The outbox: a call inserted by the transaction of the application's own, so that it exists exactly when the row beside it does.
 *
 * Three things must not happen to that transaction. It must not break: what might be refused is asked first, and a taken key is a
 * conflict that does nothing. It must not hold others up: no lock of the controls, and no lock of a call that exists; what it
 * does hold is the row of a key that nobody else has. And it must not be another one: its first statement takes the transaction's
 * number, and each insert is guarded by it, so that a pool, or a connection outside BEGIN, stores nothing.
 *
 * That it is on the store's own database is shown by the place that both are told (`PLACE`). No other connection is needed for it, except
 * in the second after the server was started anew: all of a pool may be in transactions that submit.
 */
import { isEnd } from '../core/call.ts'
import { StewardError } from '../core/errors.ts'
import type { CallerTx, EarlyFact, InsertResult, InsertWrite, PlainInsert } from '../ports/store.ts'
import type { Around } from './around.ts'
import { PostgresCallerTx } from './caller.ts'
import { later } from './clock.ts'
import { PLACE } from './incarnation.ts'
import { type CallInserts, OPEN, openValues } from './inserts.ts'
import { type Row, type Session, statement, type Value } from './pool.ts'
import { refusalOf } from './refusals.ts'

/** A question to the store's own database may take so long, and no longer: its pool may be full of transactions that wait for the answer. */
const LOOK_MS = 1_000

/** Looks at a key whose owner changes in between: each change is a transaction of somebody else's that ended. */
const LOOKS = 5

/** What may be needed of a role: more than for a new call, when its key is taken, or facts wait for it. */
const NEEDED = [['key', 'SELECT'], ['key', 'INSERT'], ['key', 'UPDATE'], ['open', 'SELECT'], ['open', 'INSERT'], ['ended', 'SELECT'], ['ended', 'INSERT'], ['pruned', 'SELECT'], ['early_fact', 'SELECT'], ['early_fact', 'DELETE'], ['alert', 'SELECT'], ['alert', 'INSERT'], ['settle', 'INSERT']] as const

function texts(s: string, schema: string) {
  const name = `'${schema.replaceAll("'", "''")}'`
  const rights = NEEDED.map(([table, right]) => `('${table}', '${right}')`).join(', ')
  return {
    // Nothing here fails where the transaction only reads, or the schema is missing or closed to the role.
    admit: `SELECT CASE WHEN current_setting('transaction_read_only') = 'off' THEN pg_current_xact_id()::text END AS xid, ${PLACE} AS at, CASE WHEN current_setting('transaction_read_only') = 'on' THEN 'read_only' WHEN to_regnamespace(${name}) IS NULL THEN 'missing' WHEN NOT has_schema_privilege(to_regnamespace(${name}), 'USAGE') THEN 'forbidden'
      WHEN to_regclass(${name} || '.steward_meta') IS NULL THEN 'missing' WHEN (SELECT bool_and(has_table_privilege(to_regclass(${name} || '.steward_' || needed.name), needed.privilege)) FROM (VALUES ${rights}) AS needed(name, privilege)) THEN 'there' ELSE 'forbidden' END AS place`,
    insert: `WITH here AS MATERIALIZED (SELECT pg_current_xact_id_if_assigned()::text IS NOT DISTINCT FROM $17::text AS same),
      named AS (INSERT INTO ${s}steward_key (operation, key, id) SELECT $9::text, $18::text, $1::text FROM here WHERE same ON CONFLICT (operation, key) DO NOTHING RETURNING id),
      placed AS (INSERT INTO ${s}steward_open (${OPEN}) SELECT $1::text, $2::bigint, $3::bigint, $4::bigint, $5::bigint, $6::bigint, $7::int, $8::int, $9::text, $10::text, $11::text, $12::text, $13::text, $14::text, $15::text, $16::text FROM named)
      SELECT same, (SELECT count(*) FROM named)::int AS n FROM here`,
    plain: `WITH here AS MATERIALIZED (SELECT ${PLACE} = $18::text AS same),
      named AS (INSERT INTO ${s}steward_key (operation, key, id) SELECT $9::text, $17::text, $1::text FROM here WHERE same ON CONFLICT (operation, key) DO NOTHING RETURNING id),
      placed AS (INSERT INTO ${s}steward_open (${OPEN}) SELECT $1::text, $2::bigint, $3::bigint, $4::bigint, $5::bigint, $6::bigint, $7::int, $8::int, $9::text, $10::text, $11::text, $12::text, $13::text, $14::text, $15::text, $16::text FROM named),
      known AS (SELECT k.id, p.state, p.digests, coalesce(o.body, e.body) AS body, coalesce(o.input, e.input) AS input, coalesce(o.encryption_key_id, e.encryption_key_id, $11::text) AS sealed FROM ${s}steward_key AS k
        LEFT JOIN ${s}steward_pruned AS p ON p.id = k.id LEFT JOIN ${s}steward_open AS o ON o.id = k.id LEFT JOIN ${s}steward_ended AS e ON e.id = k.id WHERE k.operation = $9::text AND k.key = $17::text)
      SELECT CASE WHEN NOT h.same THEN 'other_database' WHEN n.id IS NOT NULL THEN 'created' WHEN (SELECT count(*) FROM known) = 0 THEN 'again' WHEN k.id IS NULL THEN 'facts' WHEN k.digests IS NOT NULL THEN 'pruned'
        WHEN k.sealed IS NOT NULL OR position(chr(92) || 'u' IN k.input) > 0 THEN 'taken' WHEN (k.input::jsonb ->> 'given')::jsonb = $19::jsonb THEN 'joined' ELSE 'reused' END AS status,
        coalesce(n.id, k.id) AS id, k.state, k.digests, k.body, k.input FROM here AS h LEFT JOIN named AS n ON true LEFT JOIN known AS k ON true`,
    known: `SELECT k.id, p.state, p.digests, coalesce(o.body, e.body) AS body, coalesce(o.input, e.input) AS input FROM ${s}steward_key AS k
      LEFT JOIN ${s}steward_pruned AS p ON p.id = k.id LEFT JOIN ${s}steward_open AS o ON o.id = k.id LEFT JOIN ${s}steward_ended AS e ON e.id = k.id WHERE k.operation = $1::text AND k.key = $2::text`,
    waitsForCall: `SELECT key FROM ${s}steward_key WHERE operation = $1::text AND key = $2::text AND id IS NULL FOR UPDATE`,
    facts: `SELECT body FROM ${s}steward_early_fact WHERE namespace = $1::text AND operation = $2::text AND key = $3::text ORDER BY seq`,
    dropFacts: `DELETE FROM ${s}steward_early_fact WHERE namespace = $1::text AND operation = $2::text AND key = $3::text`,
    name: `UPDATE ${s}steward_key SET id = $3::text WHERE operation = $1::text AND key = $2::text AND pg_current_xact_id_if_assigned()::text IS NOT DISTINCT FROM $4::text RETURNING id`,
    place: statement(`SELECT ${PLACE} AS place`),
  }
}

export class Outbox {
  readonly #around: Around
  readonly #inserts: CallInserts
  readonly #sql: ReturnType<typeof texts>
  #looking: Promise<unknown> | null = null

  constructor(around: Around, inserts: CallInserts) {
    this.#around = around
    this.#inserts = inserts
    // The schema as written in SQL, without its dot.
    this.#sql = texts(around.s, around.s.slice(0, -1))
  }

  async insertWithin(tx: CallerTx, write: InsertWrite): Promise<InsertResult> {
    if (!(tx instanceof PostgresCallerTx)) throw this.#refuse(write, 'no_wrapper', `tx is ${described(tx)}. Nothing was stored. Wrap the transaction with fromPg, fromPostgresJs, fromKysely, fromKnex, fromDrizzle or fromQuery of steward/postgres.`)
    const session = this.#sessionOf(tx)
    const xid = await this.#admitted(session, tx, write)
    for (let looks = 0; looks < LOOKS; looks++) {
      // A call that ends by a fact it finds, or that has seen some, is not placed like the others.
      if (write.factsSeen === 0 && !isEnd(write.call.state) && (await this.#stored(session, tx, write, xid))) return { ok: true }
      const [known] = await session.query(this.#sql.known, [write.call.operation, write.call.key])
      if (known === undefined) continue
      if (known['digests'] !== null) return { ok: false, why: 'pruned', id: known['id'], state: known['state'], digests: JSON.parse(known['digests'] as string) as unknown } as InsertResult
      if (known['id'] !== null) return this.#joined(write, known)
      const answer = await this.#withFacts(session, write, xid)
      if (answer !== null) return answer
    }
    throw new StewardError('STEWARD_STORE_UNAVAILABLE', `${write.call.operation} "${write.call.key}" could not be stored in ${this.#around.name}: others took and left its key ${LOOKS} times. Nothing was stored. Roll back, and run the transaction again.`, { outcome: 'not_stored' })
  }

  /** One statement that anybody may run. It cannot ask first: what it finds is in the row. */
  plain(write: InsertWrite): PlainInsert {
    const refuse = (why: string, text: string): StewardError => this.#refuse(write, why, `${text} Nothing was stored.`)
    return {
      text: this.#sql.plain,
      // What is sealed is no JSON; and of the characters that JSON writes as \u, jsonb takes not all. Both are compared by `read` alone.
      values: [...openValues(write), write.call.key, this.#around.place, write.call.encryptionKeyId === null && !write.call.given.includes('\\u') ? write.call.given : null] as readonly (string | number | null)[],
      read: (row): InsertResult => {
        switch (row?.['status']) {
          case 'created': return { ok: true }
          case 'joined': case 'reused': case 'taken': return this.#joined(write, row)
          case 'pruned': return { ok: false, why: 'pruned', id: row['id'], state: row['state'], digests: JSON.parse(row['digests'] as string) as unknown } as InsertResult
          case 'facts': return { ok: false, why: 'facts', facts: [] }
          case 'again': throw refuse('again', 'somebody else took its key at the same moment. Run the statement again.')
          case 'other_database': throw refuse('other_database', `the statement ran on another database than ${this.#around.name}, or on a copy of it, or the server was started anew since it was made. Make it anew, and run it on the database of the store.`)
          default: throw refuse('no_row', `the statement answers with one row that has a "status"; it was given ${JSON.stringify(row ?? null)}.`)
        }
      },
    }
  }

  #joined({ call }: InsertWrite, row: Row): InsertResult {
    if (row['body'] === null) throw this.#around.withoutRecord(call.operation, call.key, row['id'] as string)
    return { ok: false, why: 'joined', call: this.#around.call(row) }
  }

  async #admitted(session: Session, { driver }: PostgresCallerTx, write: InsertWrite): Promise<string> {
    const [row] = await session.query(this.#sql.admit)
    if (row?.['place'] === 'there') {
      if (row['at'] === this.#around.place || row['at'] === (await this.#look(write))) return row['xid'] as string
      throw this.#refuse(write, 'other_database', `${driver}'s transaction is on another database than the store: both have a schema of this name, and one may be a copy of the other. Nothing was stored, and the transaction goes on. Use one database for both, or submit after the commit, without tx.`)
    }
    if (row?.['place'] === 'read_only') throw this.#refuse(write, 'read_only', `${driver}'s transaction takes no writes: it is READ ONLY, or on a standby. Nothing was stored, and the transaction goes on. Submit in one that writes, on the primary.`)
    throw row?.['place'] === 'forbidden'
      ? this.#refuse(write, 'forbidden', `the role of ${driver}'s connection may not insert into ${this.#around.name}. Nothing was stored, and the transaction goes on. Grant it USAGE of the schema, and SELECT, INSERT, UPDATE and DELETE on its tables.`)
      : this.#refuse(write, 'other_database', `${driver}'s transaction is on a database that has no ${this.#around.name}. Nothing was stored, and the transaction goes on. Use the database of the store, or submit after the commit, without tx.`)
  }

  /** @returns false when the key is taken, or a fact waits for it. */
  async #stored(session: Session, tx: PostgresCallerTx, write: InsertWrite, xid: string): Promise<boolean> {
    const [row] = await session.query(this.#sql.insert, [...openValues(write), xid, write.call.key])
    if (row?.['same'] !== true) throw this.#refuseAutocommit(write, tx)
    return Number(row['n']) === 1
  }

  /** The server may have been started anew since the last pulse. @returns where the store's database is now. */
  async #look({ call }: InsertWrite): Promise<string> {
    this.#looking ??= this.#around.connections.run(this.#sql.place).then(([row]) => { this.#around.place = row?.['place'] as string }).finally(() => { this.#looking = null })
    const late = Promise.withResolvers<never>()
    const stop = later(LOOK_MS, () => late.reject(new StewardError('STEWARD_STORE_UNAVAILABLE', `${call.operation} "${call.key}" could not be stored inside this transaction: whether it is on the database of ${this.#around.name} could not be asked, since no connection of the store's pool was free for ${LOOK_MS} ms. Nothing was stored, and the transaction goes on. Roll back, and run it again; give the pool more connections than transactions that submit.`, { outcome: 'not_stored' })))
    await Promise.race([this.#looking, late.promise]).finally(stop)
    return this.#around.place
  }

  /** Takes the key of a call that facts wait for; whoever brings another fact waits for this transaction then. `null`: somebody was faster. */
  async #withFacts(session: Session, write: InsertWrite, xid: string): Promise<InsertResult | null> {
    const { namespace } = this.#around
    const { operation, key, id } = write.call
    if ((await session.query(this.#sql.waitsForCall, [operation, key])).length === 0) return null
    const facts = (await session.query(this.#sql.facts, [namespace, operation, key])).map((row) => JSON.parse(row['body'] as string) as EarlyFact)
    if (facts.length !== write.factsSeen) return { ok: false, why: 'facts', facts }
    if ((await session.query(this.#sql.name, [operation, key, id, xid])).length === 0) return null
    await session.change(this.#sql.dropFacts, [namespace, operation, key])
    await this.#inserts.place(session, write)
    return { ok: true }
  }

  /** Counts of changed rows are not told by every driver; nothing here asks for them. */
  #sessionOf(tx: PostgresCallerTx): Session {
    const query: Session['query'] = async (one, values: readonly Value[] = []) => {
      try {
        return await tx.query(typeof one === 'string' ? one : one.text, values)
      } catch (error) {
        throw refusalOf(ofServer(error), this.#around.name, 'statement')
      }
    }
    return { query, change: async (one, values) => (await query(one, values)).length }
  }

  #refuseAutocommit(write: InsertWrite, { driver }: PostgresCallerTx): StewardError {
    return this.#refuse(write, 'no_transaction', `what ${driver} was given is no open transaction: two statements ran in two of them. Nothing was stored. Pass the client on which BEGIN was run (not the pool), or what the driver's transaction function hands out.`)
  }

  #refuse({ call }: InsertWrite, why: string, text: string): StewardError {
    return new StewardError('STEWARD_TRANSACTION_REFUSED', `${call.operation} "${call.key}" cannot be submitted inside this transaction: ${text}`, { operation: call.operation, key: call.key, why, store: this.#around.name })
  }
}

function described(tx: unknown): string {
  const driver = tx !== null && typeof tx === 'object' && 'driver' in tx ? tx.driver : null
  return typeof driver === 'string' ? `a transaction of ${driver}` : 'not wrapped'
}

/** Some drivers wrap what the server said. */
function ofServer(error: unknown): unknown {
  let one = error
  for (let depth = 0; depth < 5 && one instanceof Error && !('code' in one) && one.cause !== undefined; depth++) one = one.cause
  return one
}
