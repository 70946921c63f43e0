/** Reads: each an indexed question over committed rows, answered with records as text. */
import { isEnd } from '../core/call.ts'
import type { Backlog, LateLane, ListQuery } from '../ports/store.ts'
import { RECORD } from './call-rows.ts'
import type { Database } from './driver.ts'
import type { laneRows } from './lanes.ts'
import type { Operations } from './requests.ts'

type Bindable = string | number | null
type Part = { readonly table: 'steward_open' | 'steward_ended'; readonly where: readonly string[]; readonly values: readonly Bindable[] }
type Found = { readonly seq: number; readonly body: string }

/** A condition on the operation of a row, and what is bound to it. */
export function known(table: string): string {
  return `(? IS NULL OR ${table}.operation IN (SELECT value FROM json_each(?)))`
}
export function names(operations: Operations): readonly [string | null, string | null] {
  const list = operations === null ? null : JSON.stringify(operations)
  return [list, list]
}

export function questions(db: Database, namespace: string, lanes: ReturnType<typeof laneRows>) {
  const overdueRows = db.prepare(`SELECT ${RECORD} FROM steward_open AS t CROSS JOIN steward_key AS k ON k.seq = t.seq WHERE worker IS NULL AND limit_at IS NOT NULL AND limit_at <= ? AND ${known('t')} ORDER BY limit_at LIMIT ?`)
  const counts = db.prepare('SELECT operation, version, open FROM steward_count WHERE namespace = ? AND open > 0 ORDER BY operation, version')
  const alertRows = db.prepare('SELECT body, delivered_at FROM steward_alert ORDER BY seq DESC LIMIT ?')
  const undelivered = db.prepare('SELECT body, delivered_at FROM steward_alert WHERE delivered_at IS NULL ORDER BY seq LIMIT ?')
  const settles = db.prepare(`SELECT s.due_at, s.tries, e.body || char(10) || k.input AS body FROM steward_settle AS s CROSS JOIN steward_key AS k ON k.seq = s.seq CROSS JOIN steward_ended AS e ON e.seq = s.seq
    WHERE s.due_at <= ? AND ${known('k')} ORDER BY s.due_at, s.seq LIMIT ?`)
  const prunable = db.prepare(`SELECT ${RECORD} FROM steward_ended AS t CROSS JOIN steward_key AS k ON k.seq = t.seq WHERE ended_at < ? AND NOT EXISTS (SELECT 1 FROM steward_settle AS s WHERE s.seq = t.seq) ORDER BY ended_at LIMIT ?`)

  function list(query: ListQuery): string[] {
    const rows = partsOf(query, namespace, db).flatMap((part) => {
      const order = query.newestFirst ? 'DESC' : 'ASC'
      const where = part.where.length === 0 ? '1' : part.where.join(' AND ')
      return db.prepare(`SELECT t.seq AS seq, ${RECORD} FROM ${part.table} AS t CROSS JOIN steward_key AS k ON k.seq = t.seq WHERE ${where} ORDER BY t.seq ${order} LIMIT ?`).all(...part.values, query.limit) as unknown as Found[]
    })
    rows.sort((a, b) => (query.newestFirst ? b.seq - a.seq : a.seq - b.seq))
    return rows.slice(0, query.limit).map((row) => row.body)
  }

  return {
    list,
    overdue: (now: number, limit: number, operations: Operations): string[] => overdueRows.all(now, ...names(operations), limit).map((row) => row['body'] as string),
    /** @param stuck of calls that run under no living worker. */
    backlog: (stuck: readonly { operation: string; version: number; n: number }[]): Backlog[] => counts.all(namespace).map((row) => ({
      operation: row['operation'] as string,
      version: row['version'] as number,
      open: row['open'] as number,
      oldestDueAt: lanes.oldestDueAt(row['operation'] as string, row['version'] as number),
      stuck: stuck.find((one) => one.operation === row['operation'] && one.version === row['version'])?.n ?? 0,
    })),
    lateLanes: (dueBefore: number): LateLane[] => counts.all(namespace).flatMap((row) => {
      const [operation, version] = [row['operation'] as string, row['version'] as number]
      const oldestDueAt = lanes.oldestDueAt(operation, version)
      return oldestDueAt !== null && oldestDueAt < dueBefore ? [{ operation, version, oldestDueAt }] : []
    }),
    alerts: (undeliveredOnly: boolean, limit: number): object[] =>
      (undeliveredOnly ? undelivered : alertRows).all(limit).map((row) => ({ ...(JSON.parse(row['body'] as string) as object), deliveredAt: row['delivered_at'] })),
    settlesDue: (now: number, limit: number, operations: Operations): object[] => settles.all(now, ...names(operations), limit).map((row) => ({ call: row['body'], dueAt: row['due_at'], tries: row['tries'] })),
    prunable: (endedBefore: number, limit: number): string[] => prunable.all(endedBefore, limit).map((row) => row['body'] as string),
  }
}

/** Sorts behind every other: the end of the range of keys with a prefix. */
const LAST_CHARACTER = '\u{10ffff}'

/** The question, put to open and to ended rows apart, each with its own indices. */
function partsOf(query: ListQuery, namespace: string, db: Database): readonly Part[] {
  const where: string[] = []
  const values: Bindable[] = []
  const and = (condition: string, ...bound: Bindable[]): void => {
    where.push(condition)
    values.push(...bound)
  }
  if (query.afterId !== undefined) {
    const after = db.prepare('SELECT seq FROM steward_key WHERE id = ?').get(query.afterId)?.['seq'] as number | undefined
    if (after === undefined) return []
    and(query.newestFirst ? 't.seq < ?' : 't.seq > ?', after)
  }
  if (query.keyPrefix !== undefined) {
    const operation = query.operation === undefined ? '' : 'AND operation = ? '
    const bound = query.operation === undefined ? [namespace] : [namespace, query.operation]
    and(`t.seq IN (SELECT seq FROM steward_key WHERE namespace = ? ${operation}AND key >= ? AND key < ? AND substr(key, 1, length(?)) = ?)`, ...bound, query.keyPrefix, query.keyPrefix + LAST_CHARACTER.repeat(4), query.keyPrefix, query.keyPrefix)
  } else if (query.operation !== undefined) and('t.operation = ?', query.operation)
  if (query.group !== undefined) and('t.grp = ?', query.group)
  const open = query.states?.filter((state) => !isEnd(state))
  const ended = query.states?.filter((state) => isEnd(state))
  const parts: Part[] = []
  const byTime = query.endedAfter !== undefined || query.endedBefore !== undefined
  if (!byTime && (open === undefined || open.length > 0)) parts.push(withStates('steward_open', where, values, open, "t.state NOT IN ('waiting', 'running')", (state) => state !== 'waiting' && state !== 'running'))
  if (ended === undefined || ended.length > 0) {
    if (query.endedAfter !== undefined) and('t.ended_at > ?', query.endedAfter)
    if (query.endedBefore !== undefined) and('t.ended_at < ?', query.endedBefore)
    parts.push(withStates('steward_ended', where, values, ended, "t.state <> 'succeeded'", (state) => state !== 'succeeded'))
  }
  return parts
}

/** `indexed` repeats the condition of the partial index over rare states, so that the planner may use it. */
function withStates(table: Part['table'], where: readonly string[], values: readonly Bindable[], states: readonly string[] | undefined, indexed: string, rare: (state: string) => boolean): Part {
  if (states === undefined) return { table, where: [...where], values: [...values] }
  const listed = `t.state IN (${states.map(() => '?').join(', ')})`
  return { table, where: [...where, listed, ...(states.every(rare) ? [indexed] : [])], values: [...values, ...states] }
}
