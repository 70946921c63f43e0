/**
 * The store's thread at work: takes whatever messages have queued, commits all their changes in one transaction, and
 * answers each message.
 *
 * Group commit has no timer: the batch is what queued while the previous commit ran. When one statement breaks (not
 * the disk, not a lock), the transaction is undone and each caller's part runs in its own, so that callers do not
 * share a fault. An answer is sent only after COMMIT returned; on a crash before that the callers repeat and join.
 */
import type { Failpoints } from '../ports/system.ts'
import { blockFor } from './clock.ts'
import { patiently } from './database.ts'
import { META } from '../store-sql/migrations.ts'
import { type Answer, type Flat, INSERT_WIDTH, type Message, type Reply, type RowAnswer, W, WRITE_WIDTH } from './protocol.ts'
import { concernsTheWholeStore, isBusy, refusalOf } from './refusals.ts'
import { changing, type Parts, reading } from './requests.ts'
import type { Past } from './past.ts'
import type { RowResult } from './call-rows.ts'
import { Transaction } from './transaction.ts'

export type EngineOptions = { readonly path: string; readonly busyMs: number; readonly commitDelayMs: number; readonly failpoints: Failpoints | null }

/** Messages that one transaction takes: those that came first must not wait for ever. */
const MESSAGES_PER_COMMIT = 16

/** What one caller asked for; `slot` is where its answer goes. */
type RowsJob = { readonly kind: 'insert' | 'write'; readonly flat: Flat; readonly from: number; readonly to: number; readonly into: Answer[]; readonly slot: number }
type RequestJob = { readonly kind: 'change' | 'read'; readonly what: string; readonly given: unknown; readonly into: Answer[]; readonly slot: number }
type Job = RowsJob | RequestJob

type Run = (tx: Transaction | null, given: unknown) => unknown

// eslint-disable-next-line max-lines-per-function -- a closure over one connection, of eleven short functions
export function engine(parts: Parts, past: Past, options: EngineOptions) {
  const { db } = parts.shared
  const changes = changing(parts) as Readonly<Record<string, Run>>
  const reads = reading(parts) as Readonly<Record<string, (given: unknown) => unknown>>
  const totalChanges = db.prepare('SELECT total_changes() AS n')
  let mark = Number(parts.shared.meta.get(META.time))

  /** @param arrived a message that came in meanwhile, or that was announced: it joins the transaction that is about to be committed. */
  function work(first: readonly Message[], arrived: (announced: boolean) => Message | undefined = () => undefined): Reply[] {
    const messages: Message[] = []
    const answers: Answer[][] = []
    const questions: RequestJob[] = []
    const taken = (message: Message): Job[] => {
      const into: Answer[] = []
      messages.push(message)
      answers.push(into)
      return jobsOf(message, into, changes).filter((job) => {
        if (job.kind === 'read') questions.push(job)
        return job.kind !== 'read'
      })
    }
    const jobs = first.flatMap(taken)
    const now = first.reduce((latest, message) => Math.max(latest, message.now), mark)
    const changed = commit(jobs, now, () => {
      const message = messages.length < MESSAGES_PER_COMMIT ? arrived((messages.at(-1) as Message).more) : undefined
      return message && taken(message)
    })
    for (const job of questions) job.into[job.slot] = answerRead(job)
    return messages.map((message, at) => {
      const all = answers[at] as Answer[]
      return { n: message.n, mark, changed, answers: all.every((answer) => answer === 0) ? 0 : all }
    })
  }

  function answerRead(job: RequestJob): Answer {
    try {
      return { value: reads[job.what]?.(job.given) }
    } catch (error) {
      return { refusal: refusalOf(error, options.path, 'statement') }
    }
  }

  /** @returns whether anything was stored. */
  function commit(jobs: Job[], now: number, joining: () => readonly Job[] | undefined = () => undefined): boolean {
    if (jobs.length === 0) return false
    let during: 'statement' | 'commit' = 'statement'
    try {
      const before = totalChanges.get()?.['n']
      const tx = begin(now)
      for (let done = 0, more: readonly Job[] | undefined = []; more !== undefined; more = joining()) {
        jobs.push(...more)
        for (; done < jobs.length; done++) (jobs[done] as Job).into[(jobs[done] as Job).slot] = run(tx, jobs[done] as Job)
      }
      const wrote = totalChanges.get()?.['n'] !== before
      mark = Math.max(mark, tx.beforeCommit(wrote))
      during = 'commit'
      commitWith(tx, pointsOf(jobs))
      return wrote
    } catch (error) {
      undo()
      if (jobs.length > 1 && during === 'statement' && !concernsTheWholeStore(error)) {
        // Each caller alone: the faulty one is refused, the others are stored.
        return jobs.map((job) => commit([job], now)).some(Boolean)
      }
      const refusal = refusalOf(error, options.path, isBusy(error) ? 'statement' : during)
      for (const job of jobs) job.into[job.slot] = { refusal }
      return false
    }
  }

  function begin(now: number): Transaction {
    patiently(options.busyMs, () => db.exec('BEGIN IMMEDIATE'))
    const tx = new Transaction(parts.shared, now)
    past.judge(tx)
    return tx
  }

  /** Whether the file is the one that was left: asked before anything else is done with it. */
  function judge(now: number): void {
    try {
      const tx = begin(now)
      tx.beforeCommit(false)
      commitWith(tx, [])
    } finally {
      undo()
    }
  }

  function undo(): void {
    if (db.isTransaction) db.exec('ROLLBACK')
  }

  function commitWith(tx: Transaction, points: readonly Point[]): void {
    if (options.commitDelayMs > 0) blockFor(options.commitDelayMs)
    for (const point of points) options.failpoints?.hit(`${point}.before-commit`)
    db.exec('COMMIT')
    past.committed(tx)
    for (const point of points) options.failpoints?.hit(`${point}.after-commit`)
  }

  /** Named points of these jobs; none are looked for unless some are set. */
  function pointsOf(jobs: readonly Job[]): readonly Point[] {
    return options.failpoints === null ? [] : [...new Set(jobs.flatMap(pointsOfJob))]
  }

  function run(tx: Transaction, job: Job): Answer {
    if ('what' in job) {
      const value = changes[job.what]?.(tx, job.given)
      return value === undefined ? 0 : { value }
    }
    const width = job.kind === 'insert' ? INSERT_WIDTH : WRITE_WIDTH
    let rows: RowAnswer[] | null = null
    for (let from = job.from, at = 0; from < job.to; from += width, at += 1) {
      const answer: RowResult = job.kind === 'insert' ? parts.calls.insert(tx, job.flat, from) : parts.calls.write(tx, job.flat, from)
      if (answer !== null) (rows ??= []).push({ at, answer })
    }
    return rows === null ? 0 : { rows }
  }

  return { work, begin, judge, undo, commitWith, options, get mark() { return mark } }
}
export type Engine = ReturnType<typeof engine>

type Point = 'submit' | 'claim' | 'begin' | 'finish'

function pointsOfJob(job: Job): readonly Point[] {
  if ('what' in job) return job.what === 'claim' ? ['claim'] : []
  if (job.kind === 'insert') return ['submit']
  const points: Point[] = []
  for (let from = job.from; from < job.to; from += WRITE_WIDTH) points.push(job.flat[from + W.state] === 'running' ? 'begin' : 'finish')
  return points
}

export function jobsOf(message: Message, into: Answer[], changes: Readonly<Record<string, unknown>>): readonly Job[] {
  const jobs: Job[] = []
  const rows = (kind: 'insert' | 'write', flat: Flat, width: number, sizes: readonly number[]): void => {
    let from = 0
    for (const size of sizes) {
      jobs.push({ kind, flat, from, to: from + size * width, into, slot: jobs.length })
      from += size * width
    }
  }
  rows('insert', message.inserts, INSERT_WIDTH, message.insertSizes)
  rows('write', message.writes, WRITE_WIDTH, message.writeSizes)
  for (const { what, with: given } of message.requests) jobs.push({ kind: what in changes ? 'change' : 'read', what, given, into, slot: jobs.length })
  return jobs
}
