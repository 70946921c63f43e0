/** What comes before a call and what outlives it: facts that wait for their call, and keys of pruned ones. */
import type { Call } from '../core/call.ts'
import { StewardError } from '../core/errors.ts'
import { saysMore } from '../core/facts.ts'
import { LIMITS } from '../core/limits.ts'
import { joinEarlyFacts, prunedText } from '../ports/early-facts.ts'
import type { EarlyFact } from '../ports/store.ts'
import type { Around } from './around.ts'
import { jsonArray, jsonColumn, numberColumn, textColumn } from './columns.ts'
import { type Session, statement } from './pool.ts'
import { isHeldUp } from './refusals.ts'

function texts(s: string) {
  return {
    claimKey: statement(`INSERT INTO ${s}steward_key (operation, key) VALUES ($1, $2) ON CONFLICT (operation, key) DO NOTHING`),
    keyOf: statement(`SELECT k.id, p.state, p.digests FROM ${s}steward_key AS k LEFT JOIN ${s}steward_pruned AS p ON p.id = k.id WHERE k.operation = $1 AND k.key = $2 FOR UPDATE OF k`),
    // Changes nothing but the row's version: a transaction whose snapshot is older, and cannot see the fact, may not take the key then.
    touch: statement(`UPDATE ${s}steward_key SET id = NULL WHERE operation = $1 AND key = $2 AND id IS NULL`),
    waiting: statement(`SELECT seq, body FROM ${s}steward_early_fact WHERE namespace = $1 AND operation = $2 AND key = $3 ORDER BY seq`),
    add: statement(`INSERT INTO ${s}steward_early_fact (namespace, operation, key, body) VALUES ($1, $2, $3, $4)`),
    replace: statement(`UPDATE ${s}steward_early_fact SET body = $2 WHERE seq = $1`),
    prunable: statement(`SELECT t.id, t.rev, t.ended_at, t.body, t.input FROM ${s}steward_ended AS t WHERE t.ended_at >= $3 AND t.ended_at < $1 AND NOT EXISTS (SELECT 1 FROM ${s}steward_settle AS d WHERE d.id = t.id) ORDER BY t.ended_at LIMIT $2`),
    prune: statement(`WITH them AS (SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], ${jsonArray('$4')}) AS g(id, rev, state, digests)),
      gone AS (DELETE FROM ${s}steward_ended AS t USING them WHERE t.id = them.id AND t.rev = them.rev AND NOT EXISTS (SELECT 1 FROM ${s}steward_settle AS d WHERE d.id = t.id) RETURNING them.id, them.state, them.digests),
      kept AS (INSERT INTO ${s}steward_pruned (id, state, digests) SELECT id, state, digests FROM gone)
      SELECT count(*) AS n FROM gone`),
  }
}

/** Looks for a call that moves from table to table meanwhile. */
const LOOKS = 5

/** @param lockMs how long a fact waits for a key that a transaction elsewhere has. */
export function keeping(around: Around, lockMs: number) {
  const { connections, namespace, s } = around
  const sql = texts(s)
  let prunedTo = Number.MIN_SAFE_INTEGER

  /** The key's row is taken first: whoever inserts the call meets it there, and finds the fact. */
  async function keep(session: Session, operation: string, key: string, fact: EarlyFact, looks = 1): Promise<Kept> {
    await session.change(sql.claimKey, [operation, key])
    const [known] = await session.query(sql.keyOf, [operation, key])
    const id = (known?.['id'] ?? null) as string | null
    if (id !== null && known?.['digests'] === null) {
      const row = await around.rowOf(session, id)
      if (row !== null) return { kept: false, call: around.call(row) }
      if (looks === LOOKS) throw around.withoutRecord(operation, key, id)
      // Pruned in between: the next look says so.
      return await keep(session, operation, key, fact, looks + 1)
    }
    if (id !== null) throw new StewardError('STEWARD_CALL_NOT_FOUND', prunedText(operation, key, id, known?.['state'] as string), { operation, key, id, state: known?.['state'] })
    const waiting = await session.query(sql.waiting, [namespace, operation, key])
    const facts = waiting.map((row) => JSON.parse(row['body'] as string) as EarlyFact)
    for (const [at, row] of waiting.entries()) {
      const joined = joinEarlyFacts(facts[at] as EarlyFact, fact)
      if (joined === null) continue
      await session.change(sql.replace, [Number(row['seq']), JSON.stringify(joined)])
      return { kept: true }
    }
    if (waiting.length >= LIMITS.factsPerCall && !saysMore(facts.map((known) => known.fact), fact.fact, LIMITS.factsPerCall)) {
      throw new StewardError('STEWARD_FACT_INVALID', `key "${key}" of ${operation} has no call yet and already keeps ${LIMITS.factsPerCall} facts. This one was not stored. Look for a webhook that repeats itself with changing content.`, { operation, key })
    }
    await session.change(sql.touch, [operation, key])
    await session.change(sql.add, [namespace, operation, key, JSON.stringify(fact)])
    return { kept: true }
  }

  /** Never for long: of the few connections, each waiting fact would take one from everybody else. */
  async function keepEarlyFact(operation: string, key: string, fact: EarlyFact): Promise<Kept> {
    try {
      return await connections.transaction(async (session) => {
        await session.change(`SET LOCAL lock_timeout = ${lockMs}`)
        return await keep(session, operation, key, fact)
      })
    } catch (error) {
      if (!isHeldUp(error)) throw error
      throw new StewardError('STEWARD_STORE_UNAVAILABLE', `a transaction that is open elsewhere has key "${key}" of ${operation}, and may be about to submit its call. The fact was not kept. Tell it again.`, { operation, key, outcome: 'not_stored', held: true }, { cause: error })
    }
  }

  return {
    keepEarlyFact,
    async prune(endedBefore: number, limit: number, digestsOf: (call: Call) => Readonly<Record<string, string>>): Promise<number> {
      const rows = await connections.run(sql.prunable, [endedBefore, limit, prunedTo])
      // What was pruned leaves dead entries behind: the next page goes on from this one, and after the last one from the beginning.
      prunedTo = rows.length < limit ? Number.MIN_SAFE_INTEGER : Number(rows.at(-1)?.['ended_at'])
      if (rows.length === 0) return 0
      const calls = rows.map((row) => around.call(row))
      const [gone] = await connections.run(sql.prune, [
        textColumn(calls.map((call) => call.id)), numberColumn(rows.map((row) => Number(row['rev']))), textColumn(calls.map((call) => call.state)),
        jsonColumn(calls.map((call) => JSON.stringify(digestsOf(call)))),
      ])
      return Number(gone?.['n'])
    },
  }
}

type Kept = { readonly kept: true } | { readonly kept: false; readonly call: Call }
