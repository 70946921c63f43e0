/**
 * pg-boss on the same server, with the same calls to the same provider, at the settings found best for it: large batches
 * that are worked at once and settled one by one, fetched without a pause while they come back full, by two workers so that
 * one sends while the other fetches.
 */
import process from 'node:process'
import { PgBoss } from 'pg-boss'
import pg from 'pg'
import { type Charge, chargeOf, CONCURRENT, poolOf, post } from './charge.ts'
import { nowMs } from './clock.ts'
import { each } from './each.ts'
import { taskOfThisProcess } from './task.ts'

const QUEUE = 'charge-order'
const PAGE = 5_000
const BEST = { batchSize: 500, localConcurrency: 2, perJobResults: true, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 } as const

const task = taskOfThisProcess()

async function open(): Promise<PgBoss> {
  const boss = new PgBoss({ connectionString: task.place, max: 20, supervise: false, schedule: false })
  boss.on('error', (error) => console.error(error))
  await boss.start()
  await boss.createQueue(QUEUE)
  return boss
}

const MEASUREMENTS: Readonly<Record<string, () => Promise<object>>> = {
  async submit() {
    const boss = await open()
    const startedAt = nowMs()
    await each(task.calls, CONCURRENT, (n) => boss.send(QUEUE, chargeOf(n)))
    const endedAt = nowMs()
    await boss.stop({ graceful: false })
    return { startedAt, endedAt }
  },

  async preload() {
    const boss = await open()
    for (let n = 0; n < task.calls; n += PAGE) await boss.insert(QUEUE, Array.from({ length: Math.min(PAGE, task.calls - n) }, (_, i) => ({ data: chargeOf(n + i) })))
    await boss.stop({ graceful: false })
    return {}
  },

  async drain() {
    const pool = poolOf(task.port)
    const database = new pg.Client({ connectionString: task.place })
    await database.connect()
    let sent = 0
    let done: () => void = () => undefined
    const all = new Promise<void>((resolve) => { done = resolve })
    const boss = await open()
    await boss.work<Charge>(QUEUE, BEST, async (jobs) => await Promise.all(jobs.map(async (job) => {
      const output = await post(pool, '/charges', job.data, job.id)
      if (++sent === task.calls) done()
      return { id: job.id, status: 'completed' as const, output }
    })))
    await all
    // The last batch is recorded some milliseconds after its last answer.
    while ((await database.query("SELECT 1 FROM pgboss.job WHERE state < 'completed' LIMIT 1")).rows.length > 0);
    const endedAt = nowMs()
    const { rows } = await database.query("SELECT count(*)::int AS recorded FROM pgboss.job WHERE state = 'completed'")
    await database.end()
    await boss.stop({ graceful: false })
    return { endedAt, recorded: (rows[0] as { recorded: number }).recorded }
  },
}

const measurement = MEASUREMENTS[task.task]
if (measurement === undefined) throw new Error(`there is no measurement "${task.task}"`)
const answer = await measurement()
process.send?.(answer, () => process.exit(0))
