/** The measurements, each run in a fresh process: told by environment which one, answers by one message, leaves. */
import { once } from 'node:events'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Log, Steward } from 'steward'
import { type Charge, chargeOf, chargeOperation, CONCURRENT, poolOf, post, SLOTS, WARM } from './charge.ts'
import { nowMs } from './clock.ts'
import { bareRows, commits } from './commits.ts'
import { each } from './each.ts'
import { storeAt } from './places.ts'
import { type Task, taskOfThisProcess } from './task.ts'

const task = taskOfThisProcess()
const pool = poolOf(task.port)
const PAGE = 5_000
/** Calls that wait while a load goes on. */
const AHEAD = 20_000
const QUIET: Log = { info: () => undefined, warn: () => undefined, error: (message, fields) => console.error(message, fields) }

const open = async (operation: ReturnType<typeof chargeOperation>, options: Partial<Task> = {}): Promise<Steward> => Steward.open({
  store: storeAt(task.place, options.commitDelayMs), operations: [operation], onAlert: null, concurrency: SLOTS, log: QUIET,
})

/** Resolves when this many sends have returned. */
function sends(count: number): { readonly all: Promise<void>; readonly onSent: () => void; readonly sent: () => number } {
  let sent = 0
  let done: () => void = () => undefined
  const all = new Promise<void>((resolve) => { done = resolve })
  return { all, sent: () => sent, onSent: () => { sent++; if (sent === count) done() } }
}

/** The instant at which nothing is open any more. */
async function allRecorded(steward: Steward): Promise<number> {
  while ((await steward.list({ states: ['waiting', 'running', 'accepted', 'checking'], limit: 1 })).length > 0);
  return nowMs()
}

const quantile = (sorted: readonly number[], share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
const ascending = (values: readonly number[]): readonly number[] => [...values].sort((a, b) => a - b)

/** Milliseconds each of them took at 50 a second, in a process that has done so many before: one that runs for a while has compiled what it runs. */
async function paced(one: (n: number) => Promise<void>): Promise<{ readonly p50Ms: number; readonly p99Ms: number }> {
  await each(WARM, CONCURRENT, one)
  const took: number[] = []
  const all: Promise<void>[] = []
  const startedAt = nowMs()
  for (let n = 0; n < task.calls; n++) {
    await sleep(Math.max(0, startedAt + n * 20 - nowMs()))
    const t0 = nowMs()
    all.push(one(WARM + n).then(() => void took.push(nowMs() - t0)))
  }
  await Promise.all(all)
  const sorted = ascending(took)
  return { p50Ms: quantile(sorted, 0.5), p99Ms: quantile(sorted, 0.99) }
}

const MEASUREMENTS: Readonly<Record<string, () => Promise<object>>> = {
  async raw() {
    await each(task.calls, CONCURRENT, (n) => post(pool, '/charges', chargeOf(n), `raw-${n}`))
    return { endedAt: nowMs(), rssMb: process.memoryUsage().rss / 2 ** 20 }
  },

  /** What the disk and the database take for a commit of one row, with nothing around it. */
  async commits() {
    return { p50Ms: quantile(ascending(await commits(task.place, task.calls)), 0.5) }
  },

  async submit() {
    const operation = chargeOperation(pool)
    const steward = await open(operation, task)
    const startedAt = nowMs()
    await each(task.calls, CONCURRENT, (n) => steward.submit(operation, { key: `o_${n}`, input: chargeOf(n) }))
    const endedAt = nowMs()
    await steward.close()
    return { startedAt, endedAt }
  },

  async preload() {
    const operation = chargeOperation(pool)
    const steward = await open(operation)
    for (let n = task.from ?? 0; n < task.calls; n += PAGE) {
      const inputs: Charge[] = Array.from({ length: Math.min(PAGE, task.calls - n) }, (_, i) => chargeOf(n + i))
      await steward.submitMany(operation, inputs.map((input) => ({ key: input.orderId, input })))
    }
    await steward.close()
    return {}
  },

  async drain() {
    const { all, onSent } = sends(task.calls)
    const steward = await open(chargeOperation(pool, { onSent, signal: task.noSignal !== true }), task)
    steward.start()
    process.send?.('ready')
    await all
    const endedAt = await allRecorded(steward)
    const { rss } = process.memoryUsage()
    const cpu = process.cpuUsage()
    await steward.close()
    return { endedAt, rssMb: rss / 2 ** 20, cpuUsPerCall: (cpu.user + cpu.system) / task.calls }
  },

  /** Works what waits until it is told to stop. */
  async work() {
    const steward = await open(chargeOperation(pool))
    steward.start()
    process.send?.('ready')
    await once(process, 'message')
    await steward.close()
    return {}
  },

  /** Submits, and keeps some thousands ahead of what it is told was sent, until it is killed. */
  async feed() {
    const operation = chargeOperation(pool)
    const steward = await open(operation)
    let sent = 0
    process.on('message', (told) => { sent = told as number })
    for (let n = 0; ;) {
      if (n - sent > AHEAD) await once(process, 'message')
      else {
        const inputs = Array.from({ length: 1_000 }, () => chargeOf(n++))
        await steward.submitMany(operation, inputs.map((input) => ({ key: input.orderId, input })))
      }
    }
  },

  /** Asks for the backlog, and prunes some pages. */
  async questions() {
    const store = storeAt(task.place)
    await store.open({ namespace: 'default', notice: console.error })
    const took: number[] = []
    for (let times = 0; times < 5; times++) {
      const t0 = nowMs()
      await store.backlog()
      took.push(nowMs() - t0)
    }
    const t0 = nowMs()
    let pruned = 0
    for (let page = 0; page < task.calls; page++) pruned += await store.prune(store.now(), 200, (call) => ({ orderId: call.key }))
    const prunedPerS = pruned / ((nowMs() - t0) / 1_000)
    await store.close()
    return { backlogMs: quantile(ascending(took), 0.5), prunedPerS }
  },

  async live() {
    const { all, onSent } = sends(task.calls)
    const operation = chargeOperation(pool, { onSent, signal: task.noSignal !== true })
    const steward = await open(operation, task)
    steward.start()
    const startedAt = nowMs()
    await Promise.all([all, each(task.calls, CONCURRENT, (n) => steward.submit(operation, { key: `o_${n}`, input: chargeOf(n) }))])
    const endedAt = await allRecorded(steward)
    await steward.close()
    return { startedAt, endedAt }
  },

  async perform() {
    const operation = chargeOperation(pool)
    const steward = await open(operation)
    steward.start()
    const direct: number[] = []
    const performed: number[] = []
    for (let n = 0; n < task.calls; n++) {
      const t0 = nowMs()
      await post(pool, '/charges', chargeOf(n), `direct-${n}`)
      const t1 = nowMs()
      await steward.perform(operation, { key: `o_${n}`, input: chargeOf(n) })
      const t2 = nowMs()
      if (n < task.calls / 10) continue
      direct.push(t1 - t0)
      performed.push(t2 - t1)
    }
    await steward.close()
    const [plain, durable] = [ascending(direct), ascending(performed)]
    return { directP50Ms: quantile(plain, 0.5), performP50Ms: quantile(durable, 0.5), directP99Ms: quantile(plain, 0.99), performP99Ms: quantile(durable, 0.99) }
  },

  /** Submitted and worked by this process; with `from` 1, worked by another one. */
  async latency() {
    const operation = chargeOperation(pool)
    const steward = await open(operation)
    if (task.from !== 1) steward.start()
    const figures = await paced(async (n) => {
      const submitted = await steward.submit(operation, { key: `l_${n}`, input: chargeOf(n) })
      await submitted.outcome()
    })
    await steward.close()
    return figures
  },

  /** What the machine takes for the same with nothing around it: a commit, the request, a commit. */
  async bareLatency() {
    const rows = await bareRows(task.place)
    const figures = await paced(async (n) => {
      await rows.insert()
      await post(pool, '/charges', chargeOf(n), `bare-${n}`)
      await rows.insert()
    })
    await rows.close()
    return figures
  },

  /** Opens a store with a large backlog and works it for some seconds. */
  async backlog() {
    const { onSent, sent } = sends(Number.POSITIVE_INFINITY)
    const operation = chargeOperation(pool, { onSent })
    const t0 = nowMs()
    const steward = await open(operation)
    const openMs = nowMs() - t0
    steward.start()
    let rss = 0
    for (let i = 0; i < 50; i++) {
      await sleep(100)
      rss = Math.max(rss, process.memoryUsage().rss)
    }
    await steward.close()
    return { openMs, rssMb: rss / 2 ** 20, sent: sent() }
  },

  /** Has all its calls in flight, and never hears of them: to be killed. */
  async hold() {
    const operation = chargeOperation(pool, { hold: true })
    const steward = await open(operation)
    steward.start()
    await steward.submitMany(operation, Array.from({ length: task.calls }, (_, n) => ({ key: `o_${n}`, input: chargeOf(n) })))
    return { submitted: task.calls }
  },

  /** Stands by, and takes over what another worker left. */
  async takeOver() {
    const { all, onSent } = sends(task.calls)
    const steward = await open(chargeOperation(pool, { hold: true, onSent }))
    steward.start()
    process.send?.('ready')
    await all
    const endedAt = await allRecorded(steward)
    await steward.close()
    return { endedAt }
  },
}

const measurement = MEASUREMENTS[task.task]
if (measurement === undefined) throw new Error(`there is no measurement "${task.task}"`)
const answer = await measurement()
process.send?.(answer, () => { if (task.task !== 'hold') process.exit(0) })
