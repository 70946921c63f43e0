/**
 * What size and age do to a fleet's database: a drain with millions of calls around it, and a load that goes on while a
 * transaction is held open elsewhere.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { nowMs } from './clock.ts'
import type { Bench } from './phases.ts'

export type Big = {
  readonly ended: number
  readonly waiting: number
  /** Calls per second of a drain in a database that holds nothing else, and in the large one. */
  readonly emptyPerS: number
  readonly bigPerS: number
  readonly backlogMs: number
  readonly prunedPerS: number
}

export type HeldOpen = {
  readonly minutes: number
  readonly beforePerS: number
  readonly afterPerS: number
  /** The rate of each minute in which the transaction was open. */
  readonly perMinute: readonly number[]
  /** Pages of the database that were looked at per call, before and in the last minute: the same on any machine, however busy. */
  readonly beforePages: number
  readonly afterPages: number
}

/** Rows of one statement while the large database is filled. */
const PAGE = 250_000
const WARM_UP_S = 15
const WINDOW_S = 30
/** Prune counts this many pages of 200. */
const PRUNE_PAGES = 50

async function connected<Result>(url: string, work: (client: pg.Client) => Promise<Result>): Promise<Result> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

/** @param say told how far the filling is: it takes minutes. */
export async function big(bench: Bench, sizes: { readonly ended: number; readonly waiting: number; readonly calls: number }, say: (line: string) => void): Promise<Big> {
  const { ended, waiting, calls } = sizes
  const emptyPerS = await bench.onStore(async (place) => {
    await bench.preload(place, 2 * calls)
    return await bench.rateOfFirst(place, calls)
  })
  say(`  ${calls} of a database that holds nothing else: ${emptyPerS.toFixed(0)}/s`)
  return await bench.onStore(async (place) => {
    await bench.preload(place, 1)
    await bench.rateOfFirst(place, 1)
    await bench.preload(place, 2, 1)
    await connected(place, async (client) => {
      await fill(client, 'ended', ended, say)
      await fill(client, 'open', waiting, say)
      say('  filled; vacuum')
      await client.query('VACUUM (ANALYZE)')
      await client.query('CHECKPOINT')
    })
    const bigPerS = await bench.rateOfFirst(place, calls)
    say(`  ${calls} of ${waiting} waiting beside ${ended} ended: ${bigPerS.toFixed(0)}/s`)
    return { ended, waiting, emptyPerS, bigPerS, ...(await bench.questions(place, PRUNE_PAGES)) }
  })
}

/** Copies of the one row that is there, under keys and ids of their own, in the order of their creation. */
async function fill(client: pg.Client, state: 'ended' | 'open', rows: number, say: (line: string) => void): Promise<void> {
  const table = `steward.steward_${state}`
  const { rows: columns } = await client.query("SELECT string_agg(CASE WHEN column_name IN ('id', 'input') THEN 'n.' ELSE 't.' END || column_name, ', ' ORDER BY ordinal_position) AS list FROM information_schema.columns WHERE table_schema = 'steward' AND table_name = $1", [`steward_${state}`])
  await client.query('SET synchronous_commit = off')
  for (let from = 0; from < rows; from += PAGE) {
    const to = Math.min(rows, from + PAGE)
    await client.query(`WITH t AS MATERIALIZED (SELECT t.*, t.id AS old, k.key AS old_key FROM ${table} AS t JOIN steward.steward_key AS k ON k.id = t.id ORDER BY t.id LIMIT 1),
      n AS MATERIALIZED (SELECT substr(t.old, 1, 11) || lpad(g::text, 10, '0') AS id, $1 || g AS key, t.operation AS operation, replace(replace(t.input, t.old_key, $1 || g), t.old, substr(t.old, 1, 11) || lpad(g::text, 10, '0')) AS input FROM t, generate_series($2::int, $3::int) AS g),
      named AS (INSERT INTO steward.steward_key (operation, key, id) SELECT operation, key, id FROM n)
      INSERT INTO ${table} SELECT ${(columns[0] as { list: string }).list} FROM t, n`, [`${state}_`, from, to - 1])
    if (to % 1_000_000 === 0) say(`  ${to} ${state === 'ended' ? 'ended' : 'waiting'}`)
  }
}

export async function heldOpen(bench: Bench, minutes: number, say: (line: string) => void): Promise<HeldOpen> {
  return await bench.onStore(async (place) => await bench.underLoad(place, async (requests) => await connected(place, async (client) => {
    const window = async (seconds: number): Promise<{ readonly perS: number; readonly pages: number }> => {
      const [fromMs, fromCalls, fromPages] = [nowMs(), await requests(), await pagesOf(client)]
      await sleep(seconds * 1_000)
      const calls = (await requests()) - fromCalls
      return { perS: calls / ((nowMs() - fromMs) / 1_000), pages: ((await pagesOf(client)) - fromPages) / calls }
    }
    await sleep(WARM_UP_S * 1_000)
    const before = await window(WINDOW_S)
    say(`  before: ${before.perS.toFixed(0)}/s, ${before.pages.toFixed(0)} pages a call`)
    return await connected(place, async (holder) => {
      await holder.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
      await holder.query('SELECT count(*) FROM steward.steward_worker')
      const perMinute: number[] = []
      for (let minute = 1; minute < minutes; minute++) {
        const { perS, pages } = await window(60)
        perMinute.push(perS)
        say(`  minute ${minute}: ${perS.toFixed(0)}/s, ${pages.toFixed(0)} pages a call`)
      }
      await sleep((60 - WINDOW_S) * 1_000)
      const after = await window(WINDOW_S)
      await holder.query('ROLLBACK')
      return { minutes, beforePerS: before.perS, afterPerS: after.perS, perMinute, beforePages: before.pages, afterPages: after.pages }
    })
  })))
}

async function pagesOf(client: pg.Client): Promise<number> {
  const { rows } = await client.query('SELECT (blks_hit + blks_read)::float8 AS pages FROM pg_stat_database WHERE datname = current_database()')
  return (rows[0] as { pages: number }).pages
}
