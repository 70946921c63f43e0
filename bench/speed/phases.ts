/** The phases of the benchmark: which processes take part in each, and what number comes out. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { WARM } from './charge.ts'
import { nowMs } from './clock.ts'
import { type Places, placesOf, type StoreName } from './places.ts'
import { begin, measured, type Running, type Task } from './task.ts'

const FILE = 'measure.ts'
const BOSS = 'boss.ts'
const IN_FLIGHT = 50
/** What docs/guides/sizing-a-worker.md advises: most of a busy process is garbage that V8 has not looked at yet. */
export const SMALL_NURSERY = ['--max-semi-space-size=2'] as const

export type Stats = { readonly firstAt: number; readonly requests: number; readonly inHold: number }

export class Bench {
  readonly #provider: Running
  readonly port: number
  readonly #places: Places
  readonly #folder: string
  readonly #compileCache: string

  private constructor(folder: string, places: Places, compileCache: string, provider: Running, port: number) {
    this.#places = places
    this.#folder = folder
    this.#compileCache = compileCache
    this.#provider = provider
    this.port = port
  }

  static async start(store: StoreName = 'sqlite'): Promise<Bench> {
    const folder = mkdtempSync(join(tmpdir(), 'steward-bench-'))
    const compileCache = join(folder, 'compile-cache')
    const provider = begin('provider.ts', { task: 'provider', port: 0, place: '', calls: 0, compileCache })
    const { port } = await provider.next<{ port: number }>()
    const bench = new Bench(folder, await placesOf(store, folder), compileCache, provider, port)
    // Fills the compile cache, so that no measurement pays for it.
    await bench.live(1)
    return bench
  }

  #task(task: string, place: string, calls: number, more: Partial<Task> = {}): Task {
    return { task, port: this.port, place, calls, compileCache: this.#compileCache, ...more }
  }

  async stop(): Promise<void> {
    this.#provider.child.disconnect()
    await this.#provider.gone
    await this.#places.stop()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #ask(message: 'reset' | 'stats'): Promise<Stats> {
    this.#provider.child.send(message)
    return await this.#provider.next<Stats>()
  }

  /** Runs `phase` on a store of its own, which is removed afterwards. */
  async onStore<Result>(phase: (place: string) => Promise<Result>): Promise<Result> {
    return await this.#places.with(phase)
  }

  /** Calls per second of a bare undici Pool: from the first request the provider sees to the last answer; and what its process takes. */
  async raw(calls: number, execArgv: readonly string[] = []): Promise<{ readonly rate: number; readonly rssMb: number }> {
    await this.#ask('reset')
    const { endedAt, rssMb } = await measured<{ endedAt: number; rssMb: number }>(FILE, this.#task('raw', '', calls), execArgv)
    return { rate: rate(calls, (await this.#ask('stats')).firstAt, endedAt), rssMb }
  }

  /** Median milliseconds of a bare commit of one row. */
  async commitMs(): Promise<number> {
    return await this.onStore(async (place) => (await measured<{ p50Ms: number }>(FILE, this.#task('commits', place, 2_000))).p50Ms)
  }

  /** One by one from 50 concurrent callers of one process, each awaiting its acknowledgement. */
  async submit(calls: number, commitDelayMs = 0): Promise<number> {
    return await this.onStore(async (place) => {
      const { startedAt, endedAt } = await measured<{ startedAt: number; endedAt: number }>(FILE, this.#task('submit', place, calls, { commitDelayMs }))
      return rate(calls, startedAt, endedAt)
    })
  }

  /** A backlog worked off by one fresh process: from the first request the provider sees to the last record. */
  async drain(calls: number, options: { readonly commitDelayMs?: number; readonly profileTo?: string; readonly noSignal?: boolean } = {}): Promise<{ readonly rate: number; readonly rssMb: number; readonly cpuUsPerCall: number }> {
    return await this.onStore(async (place) => {
      const { commitDelayMs = 0, noSignal = false, profileTo } = options
      await measured(FILE, this.#task('preload', place, calls))
      await this.#ask('reset')
      const argv = profileTo === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileTo}`]
      const worker = begin(FILE, this.#task('drain', place, calls, { commitDelayMs, noSignal }), argv)
      await worker.next<'ready'>()
      const { endedAt, rssMb, cpuUsPerCall } = await worker.next<{ endedAt: number; rssMb: number; cpuUsPerCall: number }>()
      await worker.gone
      return { rate: rate(calls, (await this.#ask('stats')).firstAt, endedAt), rssMb, cpuUsPerCall }
    })
  }

  /** What pg-boss does with as many calls on the same server: submitted one by one, and a backlog of them worked off by one process. */
  async boss(submits: number, calls: number): Promise<{ readonly submit: number; readonly drain: number }> {
    const submit = await this.onStore(async (place) => {
      const { startedAt, endedAt } = await measured<{ startedAt: number; endedAt: number }>(BOSS, this.#task('submit', place, submits))
      return rate(submits, startedAt, endedAt)
    })
    const drain = await this.onStore(async (place) => {
      await measured(BOSS, this.#task('preload', place, calls))
      await this.#ask('reset')
      const { endedAt, recorded } = await measured<{ endedAt: number; recorded: number }>(BOSS, this.#task('drain', place, calls))
      if (recorded !== calls) throw new Error(`pg-boss recorded ${recorded} of ${calls}`)
      return rate(calls, (await this.#ask('stats')).firstAt, endedAt)
    })
    return { submit, drain }
  }

  /** One process that submits from 50 callers and works what it submits, until all is recorded. */
  async live(calls: number, commitDelayMs = 0): Promise<number> {
    return await this.onStore(async (place) => {
      const { startedAt, endedAt } = await measured<{ startedAt: number; endedAt: number }>(FILE, this.#task('live', place, calls, { commitDelayMs }))
      return rate(calls, startedAt, endedAt)
    })
  }

  /** The same with the submitter and the worker in two processes. */
  async liveInTwo(calls: number): Promise<number> {
    return await this.onStore(async (place) => {
      const worker = begin(FILE, this.#task('drain', place, calls))
      await worker.next<'ready'>()
      const { startedAt } = await measured<{ startedAt: number }>(FILE, this.#task('submit', place, calls))
      const { endedAt } = await worker.next<{ endedAt: number }>()
      await worker.gone
      return rate(calls, startedAt, endedAt)
    })
  }

  async perform(calls: number): Promise<{ readonly directP50Ms: number; readonly performP50Ms: number; readonly directP99Ms: number; readonly performP99Ms: number }> {
    return await this.onStore(async (place) => measured(FILE, this.#task('perform', place, calls)))
  }

  /** A bare commit, the request and a commit at 50 a second: what is below the engine's latency on this machine. */
  async bareLatency(calls: number): Promise<{ readonly p50Ms: number; readonly p99Ms: number }> {
    return await this.onStore(async (place) => measured(FILE, this.#task('bareLatency', place, calls)))
  }

  /** From submit to recorded at 50 a second, in one process. */
  async latency(calls: number): Promise<{ readonly p50Ms: number; readonly p99Ms: number }> {
    return await this.onStore(async (place) => measured(FILE, this.#task('latency', place, calls)))
  }

  /** The same, worked by another process; heard of by the submitter. */
  async latencyInTwo(calls: number): Promise<{ readonly p50Ms: number; readonly p99Ms: number }> {
    return await this.onStore(async (place) => {
      const worker = begin(FILE, this.#task('drain', place, WARM + calls))
      await worker.next<'ready'>()
      const result = await measured<{ p50Ms: number; p99Ms: number }>(FILE, this.#task('latency', place, calls, { from: 1 }))
      await worker.next()
      await worker.gone
      return result
    })
  }

  /** A store with many calls waiting: how long it takes to open, how large a worker gets that works it, as it is and with a small nursery. */
  async backlog(calls: number): Promise<{ readonly openMs: number; readonly rssMb: number; readonly smallRssMb: number }> {
    return await this.onStore(async (place) => {
      await measured(FILE, this.#task('preload', place, calls))
      const { openMs, rssMb } = await measured<{ openMs: number; rssMb: number }>(FILE, this.#task('backlog', place, calls))
      const { rssMb: smallRssMb } = await measured<{ rssMb: number }>(FILE, this.#task('backlog', place, calls), SMALL_NURSERY)
      return { openMs, rssMb, smallRssMb }
    })
  }

  /** From SIGKILL of a worker with 50 requests in flight until another one has all of them recorded. */
  async recovery(): Promise<number> {
    return await this.onStore(async (place) => {
      await this.#ask('reset')
      const doomed = begin(FILE, this.#task('hold', place, IN_FLIGHT))
      while ((await this.#ask('stats')).inHold < IN_FLIGHT) await sleep(5)
      const heir = begin(FILE, this.#task('takeOver', place, IN_FLIGHT))
      await heir.next<'ready'>()
      await sleep(500)
      doomed.child.kill('SIGKILL')
      const killedAt = nowMs()
      const { endedAt } = await heir.next<{ endedAt: number }>()
      await Promise.all([heir.gone, doomed.gone])
      return endedAt - killedAt
    })
  }

  /** Stores calls, from that number on, that nobody works. */
  async preload(place: string, to: number, from = 0): Promise<void> {
    await measured(FILE, this.#task('preload', place, to, { from }))
  }

  /** Calls per second that one fresh process works off, over the first so many of those that wait. */
  async rateOfFirst(place: string, calls: number): Promise<number> {
    await this.#ask('reset')
    return await this.#working(place, async () => {
      for (;;) {
        const { requests, firstAt } = await this.#ask('stats')
        if (requests >= calls) return rate(requests, firstAt, nowMs())
        await sleep(5)
      }
    })
  }

  /** One process works what another one submits, with some thousands of calls always waiting. @param work asks how many were sent so far. */
  async underLoad<Result>(place: string, work: (requests: () => Promise<number>) => Promise<Result>): Promise<Result> {
    await this.#ask('reset')
    const feeder = begin(FILE, this.#task('feed', place, 0))
    const requests = async (): Promise<number> => (await this.#ask('stats')).requests
    const load = { isOver: false }
    const feeding = (async () => {
      while (!load.isOver) {
        feeder.child.send(await requests())
        await sleep(100)
      }
    })()
    try {
      return await this.#working(place, () => work(requests))
    } finally {
      load.isOver = true
      await feeding
      feeder.child.kill()
      await feeder.gone
    }
  }

  /** What counting and pruning take on a store of that size. */
  async questions(place: string, pages: number): Promise<{ readonly backlogMs: number; readonly prunedPerS: number }> {
    return await measured(FILE, this.#task('questions', place, pages))
  }

  /** While a process works what waits. */
  async #working<Result>(place: string, work: () => Promise<Result>): Promise<Result> {
    const worker = begin(FILE, this.#task('work', place, 0))
    try {
      await worker.next<'ready'>()
      return await work()
    } finally {
      worker.child.send('stop')
      await worker.gone
    }
  }
}

function rate(calls: number, fromMs: number, toMs: number): number {
  return calls / ((toMs - fromMs) / 1_000)
}
