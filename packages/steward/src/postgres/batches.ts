/**
 * Group commit: what many callers ask for at once goes to the database together. There is no timer: a batch is what
 * queued while the previous ones were under way.
 *
 * Callers share a transaction, never a fault: when one statement breaks on somebody's values, nothing of it was stored,
 * and each caller's part is tried alone.
 */
import type { Call } from '../core/call.ts'
import type { Row } from './pool.ts'
import { concernsValues } from './refusals.ts'

type Job<Write, Result> = { readonly batch: readonly Write[]; readonly resolve: (results: readonly Result[]) => void; readonly reject: (error: unknown) => void }

export type Store<Write, Result> = (batch: readonly Write[]) => Promise<readonly Result[]>

/** Transactions of a kind under way at once: one is written by the server while the next one is read by it. */
const UNDER_WAY = 2
/** Rows that callers share a transaction for; a caller with more has one of its own. Bounds what one fault can spoil, and how long a statement takes. */
const ROWS = 1_000

export class Batches<Write, Result> {
  readonly #store: Store<Write, Result>
  readonly #queue: Job<Write, Result>[] = []
  #underWay = 0

  constructor(store: Store<Write, Result>) {
    this.#store = store
  }

  add(batch: readonly Write[]): Promise<readonly Result[]> {
    if (batch.length === 0) return Promise.resolve([])
    return new Promise((resolve, reject) => {
      this.#queue.push({ batch, resolve, reject })
      this.#pump()
    })
  }

  #pump(): void {
    while (this.#underWay < UNDER_WAY && this.#queue.length > 0) {
      this.#underWay++
      void this.#send(this.#next()).finally(() => {
        this.#underWay--
        this.#pump()
      })
    }
  }

  /** As many callers as fit, in the order they came. */
  #next(): readonly Job<Write, Result>[] {
    let rows = 0
    let jobs = 0
    for (; jobs < this.#queue.length; jobs++) {
      rows += (this.#queue[jobs] as Job<Write, Result>).batch.length
      if (jobs > 0 && rows > ROWS) break
    }
    return this.#queue.splice(0, jobs)
  }

  async #send(jobs: readonly Job<Write, Result>[]): Promise<void> {
    try {
      const results = await this.#store(jobs.length === 1 ? (jobs[0] as Job<Write, Result>).batch : jobs.flatMap((job) => job.batch))
      let from = 0
      for (const { batch, resolve } of jobs) resolve(results.slice(from, (from += batch.length)))
    } catch (error) {
      if (jobs.length > 1 && concernsValues(error)) for (const job of jobs) await this.#send([job])
      else for (const { reject } of jobs) reject(error)
    }
  }
}

type OfCall = { readonly call: Call }

/** @param rows the answer of a statement for many: `n` stored ones, and which (`ids`) when some were not. @returns those that were not. */
export function leftOut<Write extends OfCall>(batch: readonly Write[], [row]: readonly Row[]): readonly Write[] {
  if (Number(row?.['n']) === batch.length) return []
  const ids = row?.['ids'] as string | null
  const stored = new Set(ids === null ? [] : (JSON.parse(ids) as string[]))
  // Of two with one id, the first was stored.
  return batch.filter((write) => !stored.delete(write.call.id))
}

/** Answers in the order of the batch: `answers` belong to `left`, everything else went well. */
export function joined<Write, Result>(batch: readonly Write[], left: readonly Write[], answers: readonly Result[]): readonly (Result | { readonly ok: true })[] {
  let at = 0
  return batch.map((write) => (at < left.length && left[at] === write ? (answers[at++] as Result) : { ok: true }))
}

/** The batch in pieces that keep its order: of usual ones with different calls, and alone what is not usual. */
export function runsOf<Write extends OfCall>(batch: readonly Write[], isUsual: (write: Write) => boolean): readonly (readonly Write[])[] {
  const runs: Write[][] = []
  let ids: Set<string> | null = null
  for (const write of batch) {
    if (!isUsual(write)) {
      runs.push([write])
      ids = null
    } else if (ids === null || ids.has(write.call.id)) {
      runs.push([write])
      ids = new Set([write.call.id])
    } else {
      runs.at(-1)?.push(write)
      ids.add(write.call.id)
    }
  }
  return runs
}
