/**
 * What is due, by lane: index ranges only. Within a lane (operation, version) the index is ordered by priority and due
 * time, so each priority is one range, found by seeking from one priority to the next; rows that are not due are never
 * walked over.
 *
 * A claim first looks, without a lock, how many of the calls that go first belong to which range, and then locks as many
 * of each range, passing over those that another claim has locked: it never locks what it does not take, and of two
 * claims at the same time both get their fill.
 *
 * What was claimed leaves a dead entry at the beginning of its range, and while any transaction of the database is held open,
 * no entry can be removed: looks from the beginning then take longer and longer. So a process remembers how far it has claimed in
 * each range and goes on from there; ranges that are new are found between those that are known. Looks from the beginning
 * (`Pace`) take no more than a small share of its time. They find what comes about behind: calls that are given back, or that are
 * stored late by a long transaction. Once they take long they only find where that begins, beside the claims, which then go on
 * from there.
 */
import type { Call } from '../core/call.ts'
import { GIVEN_UP_FOR_MS, looksGivenUp } from '../core/given-up.ts'
import type { ClaimQuery, Lane, LateLane } from '../ports/store.ts'
import type { alertRows } from './alert-rows.ts'
import type { Around } from './around.ts'
import { alive, numberOr } from './call-columns.ts'
import { numberColumn, textColumn } from './columns.ts'
import { Pace } from './pace.ts'
import { type Row, statement, type Value } from './pool.ts'

/** One priority of a lane, and how far it was claimed: what is due by then and has an id up to that one is taken. */
type Range = { readonly operation: string; readonly version: number; readonly priority: number; fromAt: number; fromId: string }

/** Before every due time. */
export const BEGINNING = Number.MIN_SAFE_INTEGER
/** A range in which nothing was left is gone on with from this much before then: inserts take a while to be committed. */
export const LATE_MS = 1_000
/** So does one that was claimed up to now: of what is submitted at the same moment by many, some is committed after what is due later. Every claim walks over what was claimed of that. */
const SOON_MS = 100

/** Priorities that wait in each of the lanes given as $1 and $2, from their beginning ($3 to $5 are not used). */
export const found = (s: string): string => `RECURSIVE ${seeking(s, 'unnest($1::text[], $2::int[], $3::int[], $4::bigint[], $5::text[]) AS l(operation, version)')}`

/** The same for all lanes in which any call waits. */
const foundInAll = (s: string): string => {
  const waits = `FROM ${s}steward_open AS o WHERE o.worker IS NULL AND o.due_at IS NOT NULL`
  return `RECURSIVE lane AS (
      (SELECT o.operation, o.version ${waits} ORDER BY o.operation, o.version LIMIT 1)
      UNION ALL SELECT n.operation, n.version FROM lane AS l CROSS JOIN LATERAL (SELECT o.operation, o.version ${waits} AND (o.operation, o.version) > (l.operation, l.version) ORDER BY o.operation, o.version LIMIT 1) AS n),
    ${seeking(s, 'lane AS l')}`
}

function seeking(s: string, lanes: string): string {
  const next = (after: string): string => `(SELECT o.priority FROM ${s}steward_open AS o WHERE o.operation = l.operation AND o.version = l.version AND o.worker IS NULL AND o.due_at IS NOT NULL ${after} ORDER BY o.priority LIMIT 1)`
  return `seek AS (
      SELECT l.operation, l.version, ${next('')} AS priority FROM ${lanes}
      UNION ALL SELECT l.operation, l.version, ${next('AND o.priority > l.priority')} FROM seek AS l WHERE l.priority IS NOT NULL),
    range AS MATERIALIZED (SELECT operation, version, priority, ${BEGINNING}::bigint AS from_at, ''::text COLLATE "C" AS from_id FROM seek WHERE priority IS NOT NULL)`
}

/** What most calls have: known of each lane from the start. */
const USUAL = 0
/** No priority is as low, and none as high. */
const [BELOW, ABOVE] = [-1_000, 1_000]

/** The ranges given as $1 to $5, and between those of a lane all that are new. Each lane has a row of its own, with the priority `BELOW`. */
export function given(s: string): string {
  const next = `(SELECT o.priority FROM ${s}steward_open AS o WHERE o.operation = k.operation AND o.version = k.version AND o.worker IS NULL AND o.due_at IS NOT NULL AND o.priority > k.priority AND o.priority < k.next ORDER BY o.priority LIMIT 1)`
  return `RECURSIVE known AS MATERIALIZED (SELECT operation, version, priority, from_at, from_id COLLATE "C" AS from_id, lead(priority, 1, ${ABOVE}) OVER (PARTITION BY operation, version ORDER BY priority) AS next
      FROM unnest($1::text[], $2::int[], $3::int[], $4::bigint[], $5::text[]) AS l(operation, version, priority, from_at, from_id)),
    gap AS (SELECT k.operation, k.version, k.next, ${next} AS priority FROM known AS k
      UNION ALL SELECT k.operation, k.version, k.next, ${next} FROM gap AS k WHERE k.priority IS NOT NULL),
    range AS MATERIALIZED (SELECT operation, version, priority, from_at, from_id FROM known WHERE priority > ${BELOW}
      UNION ALL SELECT operation, version, priority, ${BEGINNING}::bigint, ''::text COLLATE "C" FROM gap WHERE priority IS NOT NULL)`
}

const OF_RANGE = 'o.operation = r.operation AND o.version = r.version AND o.priority = r.priority AND o.worker IS NULL AND o.due_at IS NOT NULL'
const IN_RANGE = `${OF_RANGE} AND (o.due_at, o.id) > (r.from_at, r.from_id)`

/** With `found` or `given`: the earliest due time in the ranges. */
export const nextDueAt = (s: string): string => `SELECT min(${firstDueAt(s)}) AS due_at FROM range AS r`
const firstDueAt = (s: string): string => `(SELECT o.due_at FROM ${s}steward_open AS o WHERE ${IN_RANGE} ORDER BY o.due_at LIMIT 1)`

function texts(s: string) {
  const free = (paused: string): string => `(o.grp IS NULL OR o.grp <> ALL (${paused}::text[]))`
  const due = `${IN_RANGE} AND o.due_at <= $6 AND ${free('$8')}`
  // The array keeps the planner, which expects a tenth of all, from reading the whole table for a join. Last come the ranges, and how
  // many calls were seen to be due.
  const claim = (ranges: string): string => `WITH ${ranges},
      share AS (SELECT operation, version, priority, count(*) AS n FROM (
          SELECT r.operation, r.version, r.priority FROM range AS r CROSS JOIN LATERAL (SELECT o.due_at, o.id FROM ${s}steward_open AS o WHERE ${due} ORDER BY o.due_at, o.id LIMIT $7) AS c
          ORDER BY r.priority, c.due_at, c.id LIMIT $7) AS first GROUP BY operation, version, priority),
      picked AS MATERIALIZED (SELECT c.id FROM share AS t JOIN range AS r USING (operation, version, priority) CROSS JOIN LATERAL (SELECT o.id FROM ${s}steward_open AS o WHERE ${due} ORDER BY o.due_at, o.id LIMIT t.n FOR UPDATE SKIP LOCKED) AS c),
      claimed AS (UPDATE ${s}steward_open AS o SET worker = $9, epoch = $10 WHERE o.id = ANY (ARRAY (SELECT id FROM picked)) AND ${alive(s, '$9', '$10::bigint')} RETURNING o.operation, o.version, o.priority, o.due_at, o.id, o.body, o.input)
      SELECT operation, version, priority, due_at, id, body, input, NULL AS seen FROM claimed
      UNION ALL SELECT operation, version, priority, NULL, NULL, NULL, NULL, (SELECT coalesce(sum(n), 0) FROM share) FROM range
      ORDER BY priority, due_at, id`
  return {
    claimFound: statement(claim(found(s))),
    claimGiven: statement(claim(given(s))),
    nextFound: statement(`WITH ${found(s)} ${nextDueAt(s)}`),
    nextGiven: statement(`WITH ${given(s)} ${nextDueAt(s)}`),
    behind: statement(`WITH ${given(s)} SELECT r.operation, r.version, r.priority, c.due_at FROM range AS r CROSS JOIN LATERAL (
      SELECT o.due_at FROM ${s}steward_open AS o WHERE ${OF_RANGE} AND (o.due_at, o.id) <= (r.from_at, r.from_id) AND ${free('$6')} ORDER BY o.due_at, o.id LIMIT 1) AS c`),
    late: statement(`WITH ${foundInAll(s)}, first AS (SELECT r.operation, r.version, ${firstDueAt(s)} AS due_at FROM range AS r)
      SELECT operation, version, min(due_at) AS due_at FROM first WHERE due_at < $1 GROUP BY operation, version ORDER BY operation, version`),
  }
}

/** How far this process has claimed in each range of the lanes it looked through. */
export class Ranges {
  #ranges = new Map<string, Range>()
  #lanes = new Set<string>()
  #pausedGroups = ''
  /** How often a place was set back: a claim that had begun before does not move it on. */
  backs = 0

  /** In the order of the parameters $1 to $5; `null` where only a look from the beginning can tell. */
  within(lanes: readonly Lane[]): readonly Value[] | null {
    const asked = new Set(lanes.flatMap(namesOf))
    if (![...asked].every((lane) => this.#lanes.has(lane))) return null
    const ofLanes = lanes.flatMap(({ operation, versions }) => versions.map((version) => ({ operation, version, priority: BELOW, fromAt: BEGINNING, fromId: '' })))
    return columnsOf([...ofLanes, ...[...this.#ranges.values()].filter((range) => asked.has(nameOf(range)))])
  }

  /** What was passed over because its group was paused lies behind. */
  seenWithout(pausedGroups: string): void {
    if (pausedGroups !== this.#pausedGroups) this.forget()
    this.#pausedGroups = pausedGroups
  }

  /** Calls have come about behind, nobody knows where. */
  forget(): void {
    this.backs++
    this.#lanes.clear()
  }

  /** @param rows of a claim of what was due by `now` that looked from the beginning of these lanes. */
  found(lanes: readonly Lane[], rows: readonly Row[], now: number): void {
    // From where this look ended: if there is more behind what was claimed before, the next ones go through all of it.
    const before = this.#ranges
    this.#ranges = new Map()
    this.claimed(rows, now)
    // Other lanes are where they were. And where nothing waits there may be dead entries all the same: a gap between the known ones would be looked through again and again.
    for (const [name, range] of before) if (!this.#ranges.has(name)) this.#ranges.set(name, range)
    this.claimed(lanes.flatMap(({ operation, versions }) => versions.map((version) => ({ operation, version, priority: USUAL, body: null }))), now)
    for (const lane of lanes.flatMap(namesOf)) this.#lanes.add(lane)
  }

  /** @param rows of a claim that went on. */
  claimed(rows: readonly Row[], now: number): void {
    const soon = now - SOON_MS
    for (const row of rows) {
      const [operation, version, priority] = [row['operation'] as string, Number(row['version']), Number(row['priority'])]
      const name = rangeName(row)
      const range = this.#ranges.get(name) ?? { operation, version, priority, fromAt: BEGINNING, fromId: '' }
      this.#ranges.set(name, range)
      if (row['body'] === null) continue
      const dueAt = Number(row['due_at'])
      if (dueAt < soon) reach(range, dueAt, row['id'] as string)
      else reach(range, soon, '')
    }
  }

  /** @param rows when calls are due that lie behind, and in which range: what a look found, or was given back. */
  behind(rows: readonly Row[]): void {
    if (rows.length > 0) this.backs++
    for (const row of rows) {
      const range = this.#ranges.get(rangeName(row))
      const dueAt = Number(row['due_at'])
      if (range === undefined || dueAt > range.fromAt) continue
      range.fromAt = dueAt
      range.fromId = ''
    }
  }

  /** Nothing that is due by `now` was left in any of those lanes. */
  exhausted(lanes: readonly Lane[], now: number): void {
    const asked = new Set(lanes.flatMap(namesOf))
    for (const range of this.#ranges.values()) if (asked.has(nameOf(range))) reach(range, now - LATE_MS, '')
  }
}

const nameOf = ({ operation, version }: { readonly operation: string; readonly version: number }): string => `${version} ${operation}`
const rangeName = (row: Row): string => `${Number(row['priority'])} ${nameOf({ operation: row['operation'] as string, version: Number(row['version']) })}`
const namesOf = ({ operation, versions }: Lane): readonly string[] => versions.map((version) => nameOf({ operation, version }))

function reach(range: Range, at: number, id: string): void {
  if (at < range.fromAt || (at === range.fromAt && id <= range.fromId)) return
  range.fromAt = at
  range.fromId = id
}

/** So many looks behind that were given up in a row are told of: one alone may be an outage. */
const TELLING = 2

export function laneRows(around: Around, alerts: Pick<ReturnType<typeof alertRows>, 'raise'>) {
  const { connections, s } = around
  const sql = texts(s)
  const ranges = new Ranges()
  const [pace, watching] = [new Pace(around.ticks), new Pace(around.ticks)]
  let [more, paused] = [false, NONE]
  /** Looks behind in a row that were given up, and since when. */
  let [givenUp, sinceMs] = [0, 0]

  /** Beside the claims, and no more often than its pace allows. One that is lost is repeated; of several in a row somebody is told. */
  function lookBehind(lanes: readonly Lane[], now: number): void {
    // A look in no lane would be quick, and say nothing of the others.
    const known = lanes.length > 0 && pace.long && !pace.looking && !pace.rests(false) ? ranges.within(lanes) : null
    if (known === null) return
    pace.timed(() => connections.run(sql.behind, [...known, paused])).then((rows) => {
      givenUp = 0
      ranges.behind(rows)
    }, (error: unknown) => {
      if (givenUp === 0) sinceMs = around.ticks()
      if (++givenUp === TELLING) around.notice(`${around.name}: looks for calls that wait behind those that were claimed are given up (${String(error)}). What is given back by another process, or stored by a long transaction, waits until one succeeds; they go on, one a minute. Look in pg_stat_activity for a transaction that has been open for long.`)
      const forMs = around.ticks() - sinceMs
      // What cannot be stored now is raised by the next one.
      if (forMs >= GIVEN_UP_FOR_MS) alerts.raise([looksGivenUp(around.name, 'behind', { at: now, sinceMs: forMs, error })]).catch(() => undefined)
    })
  }

  /** From where to go on; `null` while looks from the beginning are quick: nothing looks behind then. */
  function goingOn(lanes: readonly Lane[]): readonly Value[] | null {
    return pace.long ? ranges.within(lanes) : null
  }

  return {
    ranges,
    lookBehind,
    goingOn,
    /** Leases due calls to the worker; nothing when its lease is lost. */
    async claim({ lease, lanes, limit, now, pausedGroups }: ClaimQuery): Promise<readonly Call[]> {
      if (lanes.length === 0 || limit <= 0) return []
      paused = textColumn(pausedGroups)
      ranges.seenWithout(paused)
      lookBehind(lanes, now)
      const asked = [now, limit, paused, lease.worker, lease.epoch]
      const { backs } = ranges
      const known = pace.long || pace.rests(more) ? ranges.within(lanes) : null
      const rows = known === null ? await pace.timed(() => connections.run(sql.claimFound, [...laneColumns(lanes), ...asked])) : await connections.run(sql.claimGiven, [...known, ...asked])
      const isAhead = ranges.backs === backs
      if (isAhead && known === null) ranges.found(lanes, rows, now)
      else if (isAhead) ranges.claimed(rows, now)
      const calls = rows.filter((row) => row['body'] !== null)
      const seen = Number(rows.find((row) => row['body'] === null)?.['seen'] ?? 0)
      more = calls.length === limit
      // What was seen and not claimed is another claim's, or the lease is lost: then it is still there.
      if (seen < limit && calls.length === seen && isAhead) ranges.exhausted(lanes, now)
      return calls.map((row) => around.call(row))
    },
    /** Nothing while a look, which goes from the beginning, would come too soon after one that took long. */
    async lateLanes(dueBefore: number): Promise<readonly LateLane[]> {
      const rows = await watching.look(() => connections.run(sql.late, [dueBefore]), [])
      return rows.map((row) => ({ operation: row['operation'] as string, version: Number(row['version']), oldestDueAt: Number(row['due_at']) }))
    },
    async nextDueAt(lanes: readonly Lane[]): Promise<number | null> {
      if (lanes.length === 0) return null
      const known = goingOn(lanes)
      const [row] = await (known === null ? connections.run(sql.nextFound, laneColumns(lanes)) : connections.run(sql.nextGiven, known))
      return numberOr(row?.['due_at'])
    },
  }
}

const NONE = textColumn([])

function columnsOf(ranges: readonly Range[]): readonly Value[] {
  return [
    textColumn(ranges.map((range) => range.operation)), numberColumn(ranges.map((range) => range.version)), numberColumn(ranges.map((range) => range.priority)),
    numberColumn(ranges.map((range) => range.fromAt)), textColumn(ranges.map((range) => range.fromId)),
  ]
}

/** In the order of the parameters $1 to $5. */
export function laneColumns(lanes: readonly Lane[]): readonly Value[] {
  const flat = lanes.flatMap((lane) => lane.versions.map((version) => ({ operation: lane.operation, version })))
  return [textColumn(flat.map((lane) => lane.operation)), numberColumn(flat.map((lane) => lane.version)), NONE, NONE, NONE]
}
