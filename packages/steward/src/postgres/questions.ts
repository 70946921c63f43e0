/** Reads: each an indexed question over committed rows. A statement sees one moment, so that no call is missed while it moves from one table to the other. */
import { type Call, isEnd, type State } from '../core/call.ts'
import type { Backlog, ListQuery, SettleDue } from '../ports/store.ts'
import type { Around } from './around.ts'
import { numberOr } from './call-columns.ts'
import { textColumn } from './columns.ts'
import { type Row, statement, type Value } from './pool.ts'
import { known, lost } from './worker-rows.ts'

function texts(s: string) {
  const both = (where: string): string => `SELECT t.body, t.input FROM ${s}steward_open AS t WHERE ${where} UNION ALL SELECT t.body, t.input FROM ${s}steward_ended AS t WHERE ${where}`
  return {
    byId: statement(both('t.id = $1')),
    byIds: statement(both('t.id = ANY ($1::text[])')),
    byKey: statement(both(`t.id = (SELECT k.id FROM ${s}steward_key AS k WHERE k.operation = $1 AND k.key = $2)`)),
    known: statement(['open', 'ended', 'pruned'].map((table) => `SELECT 1 FROM ${s}steward_${table} WHERE id = $1`).join(' UNION ALL ')),
    overdue: statement(`SELECT o.body, o.input FROM ${s}steward_open AS o WHERE o.worker IS NULL AND o.limit_at IS NOT NULL AND o.limit_at <= $1 AND ${known('o.operation', '$3')} ORDER BY o.limit_at LIMIT $2`),
    // Counts are taken when somebody asks: a row that kept them would be what all submits wait for.
    backlog: statement(`WITH ${lost(s)},
      stuck AS (SELECT o.operation, o.version, count(*) AS n FROM lost AS l JOIN ${s}steward_open AS o ON o.worker = l.worker AND o.epoch = l.epoch WHERE o.state = 'running' GROUP BY o.operation, o.version)
      SELECT o.operation, o.version, count(*) AS open, min(o.due_at) FILTER (WHERE o.worker IS NULL) AS oldest, max(stuck.n) AS stuck
      FROM ${s}steward_open AS o LEFT JOIN stuck ON stuck.operation = o.operation AND stuck.version = o.version GROUP BY o.operation, o.version ORDER BY o.operation, o.version`),
    settles: statement(`SELECT d.due_at, d.tries, e.body, e.input FROM ${s}steward_settle AS d JOIN ${s}steward_ended AS e ON e.id = d.id
      WHERE d.due_at <= $1 AND ${known('e.operation', '$3')} ORDER BY d.due_at, d.id LIMIT $2`),
    told: statement(`DELETE FROM ${s}steward_settle WHERE id = $1`),
    tellAgain: statement(`UPDATE ${s}steward_settle SET due_at = $2, tries = $3 WHERE id = $1`),
  }
}

export function questions(around: Around) {
  const { connections, s } = around
  const sql = texts(s)
  const calls = (rows: readonly Row[]): readonly Call[] => rows.map((row) => around.call(row))
  const first = (rows: readonly Row[]): Call | null => calls(rows)[0] ?? null

  async function list(query: ListQuery): Promise<readonly Call[]> {
    if (query.afterId !== undefined && (await connections.run(sql.known, [query.afterId])).length === 0) return []
    const { text, values } = listText(query, s)
    return text === null ? [] : calls(await connections.read(text, values))
  }

  return {
    list,
    get: async (id: string): Promise<Call | null> => first(await connections.run(sql.byId, [id])),
    find: async (operation: string, key: string): Promise<Call | null> => first(await connections.run(sql.byKey, [operation, key])),
    getMany: async (ids: readonly string[]): Promise<readonly Call[]> => (ids.length === 0 ? [] : calls(await connections.run(sql.byIds, [textColumn(ids)]))),
    overdue: async (now: number, limit: number, operations: readonly string[] | undefined): Promise<readonly Call[]> =>
      calls(await connections.run(sql.overdue, [now, limit, operations === undefined ? null : textColumn(operations)])),
    async backlog(): Promise<readonly Backlog[]> {
      const rows = await connections.run(sql.backlog)
      return rows.map((row) => ({ operation: row['operation'] as string, version: Number(row['version']), open: Number(row['open']), oldestDueAt: numberOr(row['oldest']), stuck: Number(row['stuck'] ?? 0) }))
    },
    async settlesDue(now: number, limit: number, operations: readonly string[] | undefined): Promise<readonly SettleDue[]> {
      const rows = await connections.run(sql.settles, [now, limit, operations === undefined ? null : textColumn(operations)])
      return rows.map((row) => ({ call: around.call(row), dueAt: Number(row['due_at']), tries: Number(row['tries']) }))
    },
    async settleTold(id: string, dueAt: number | null, tries: number): Promise<void> {
      if (dueAt === null) await connections.run(sql.told, [id])
      else await connections.run(sql.tellAgain, [id, dueAt, tries])
    },
  }
}

/** Sorts behind every other: the end of the range of keys with a prefix. */
const LAST_CHARACTER = '\u{10ffff}'

/** The question, put to open and to ended rows apart, each with its own indices. `text` is `null` where nothing can match. */
function listText(query: ListQuery, s: string): { readonly text: string | null; readonly values: readonly Value[] } {
  const values: Value[] = []
  const bind = (value: Value): string => `$${values.push(value)}`
  const where: string[] = []
  if (query.afterId !== undefined) where.push(`t.id ${query.newestFirst ? '<' : '>'} ${bind(query.afterId)}`)
  if (query.operation !== undefined) where.push(`t.operation = ${bind(query.operation)}`)
  if (query.group !== undefined) where.push(`t.grp = ${bind(query.group)}`)
  if (query.keyPrefix !== undefined) {
    const [prefix, end] = [bind(query.keyPrefix), bind(query.keyPrefix + LAST_CHARACTER.repeat(4))]
    const operation = query.operation === undefined ? '' : `k.operation = ${bind(query.operation)} AND `
    where.push(`t.id IN (SELECT k.id FROM ${s}steward_key AS k WHERE ${operation}k.key >= ${prefix} AND k.key < ${end} AND starts_with(k.key, ${prefix}))`)
  }
  const order = query.newestFirst ? 'DESC' : 'ASC'
  const limit = bind(query.limit)
  const part = (table: string, conditions: readonly string[]): string =>
    `SELECT * FROM (SELECT t.id, t.body, t.input FROM ${s}${table} AS t${conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`} ORDER BY t.id ${order} LIMIT ${limit}) AS ${table}`
  const inStates = (states: readonly State[] | undefined, indexed: string, isIndexed: (state: State) => boolean): readonly string[] => {
    if (states === undefined) return []
    const listed = `${bind(textColumn(states))}::text[]`
    return states.every(isIndexed) ? [indexed, `t.state = ANY (${listed})`] : [`t.state = ANY (${listed})`]
  }
  const open = query.states?.filter((state) => !isEnd(state))
  const ended = query.states?.filter((state) => isEnd(state))
  const byTime = [...(query.endedAfter === undefined ? [] : [`t.ended_at > ${bind(query.endedAfter)}`]), ...(query.endedBefore === undefined ? [] : [`t.ended_at < ${bind(query.endedBefore)}`])]
  const parts: string[] = []
  if (byTime.length === 0 && open?.length !== 0) parts.push(part('steward_open', [...where, ...inStates(open, 't.rare_state IS NOT NULL', (state) => state !== 'waiting' && state !== 'running')]))
  if (ended?.length !== 0) parts.push(part('steward_ended', [...where, ...byTime, ...inStates(ended, "t.state <> 'succeeded'", (state) => state !== 'succeeded')]))
  return { text: parts.length === 0 ? null : `${parts.join(' UNION ALL ')} ORDER BY id ${order} LIMIT ${limit}`, values }
}
