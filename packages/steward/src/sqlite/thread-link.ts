/**
 * The main thread's end: queues what callers ask, keeps a few messages under way, and hands out the answers.
 *
 * While the thread commits one message, everything asked meanwhile gathers in the next. Nothing here is durable: if
 * the thread is lost, callers under way are refused with "outcome unknown" and the store stays closed.
 */
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads'
import { type ErrorCode, invariant, StewardError } from '../core/errors.ts'
import { type Answer, flattenInsert, flattenWrite, type Flat, type Refusal, type Remark, type Reply, type RowAnswer, SIGNAL, type ThreadData } from './protocol.ts'
import type { CallWrite, InsertWrite } from '../ports/store.ts'
import type { Ended, SettleRequest } from './settling-thread.ts'

/** What comes while a transaction is open joins it, so the main thread prepares the next rows while the thread stores these. */
const MESSAGES_UNDER_WAY = 8

/** The thread's garbage is young and small: a larger nursery would only stay resident. */
const YOUNG_MB = 4

type Waiting = { readonly resolve: (answer: Exclude<Answer, { refusal: Refusal }>) => void; readonly reject: (error: Error) => void }
type Under = { readonly waiting: readonly Waiting[] }
export type Settled = { readonly row: Readonly<Record<string, unknown>> | null; readonly ended?: Ended; readonly refusal?: Refusal }
type FromThread = readonly Reply[] | Remark | { readonly opened: boolean; readonly mark?: number; readonly refusal?: Refusal } | { readonly closed: true } | { readonly n: number; readonly settled: Settled }

export type LinkEvents = { readonly hint: () => void; readonly notice: (text: string) => void; readonly mark: (mark: number) => void }

export function errorOf(refusal: Refusal): StewardError {
  return new StewardError(refusal.code as ErrorCode, refusal.message, refusal.details)
}

export class ThreadLink {
  readonly #thread: Worker
  readonly #settlePort: MessagePort
  readonly #signal: Int32Array
  readonly #events: LinkEvents
  readonly #path: string
  readonly #now: () => number
  readonly #under = new Map<number, Under>()
  readonly #settles = new Map<number, (settled: Settled) => void>()
  /** Told when the recording transaction is open or has answered a statement. */
  onSettleRemark: ((remark: Remark) => void) | null = null
  #opening: { resolve: () => void; reject: (error: Error) => void } | null = null
  #closing: (() => void) | null = null
  /** Why nothing more can be asked; nothing of what comes from then on is stored. */
  #lost: StewardError | null = null
  #n = 0
  #inserts: Flat = []
  #insertSizes: number[] = []
  #insertWaiting: Waiting[] = []
  #writes: Flat = []
  #writeSizes: number[] = []
  #writeWaiting: Waiting[] = []
  #requests: { what: string; with: unknown }[] = []
  #requestWaiting: Waiting[] = []
  /** More inserts are being prepared. */
  #more = false
  #flushQueued = false

  constructor(data: Omit<ThreadData, 'signal'>, events: LinkEvents, now: () => number) {
    this.#events = events
    this.#path = data.path
    this.#now = now
    const signal = new SharedArrayBuffer(4 * SIGNAL.length)
    this.#signal = new Int32Array(signal)
    const { port1, port2 } = new MessageChannel()
    this.#settlePort = port1
    port1.unref()
    // Beside this file, as source or as emitted JavaScript.
    const entry = new URL(import.meta.url.endsWith('.ts') ? './thread.ts' : './thread.js', import.meta.url)
    this.#thread = new Worker(entry, { workerData: { ...data, signal, settlePort: port2 }, transferList: [port2], stdin: false, resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB } })
    this.#thread.on('message', (said: FromThread) => this.#hear(said))
    this.#thread.on('error', (error) => this.#lose(error instanceof Error ? error.message : String(error)))
    this.#thread.on('exit', (code) => this.#lose(`it ended with code ${code}`))
  }

  opened(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#opening = { resolve, reject }
    })
  }

  insert(batch: readonly InsertWrite[], more: boolean): Promise<readonly RowAnswer[]> {
    if (this.#lost !== null) return Promise.reject(this.#lost)
    const from = this.#inserts.length
    try {
      for (const write of batch) flattenInsert(this.#inserts, write)
    } catch (error) {
      this.#inserts.length = from
      throw error
    }
    this.#insertSizes.push(batch.length)
    this.#more = more
    return this.#wait(this.#insertWaiting).then(rowsOf)
  }

  write(batch: readonly CallWrite[]): Promise<readonly RowAnswer[]> {
    if (this.#lost !== null) return Promise.reject(this.#lost)
    const from = this.#writes.length
    try {
      for (const write of batch) flattenWrite(this.#writes, write)
    } catch (error) {
      this.#writes.length = from
      throw error
    }
    this.#writeSizes.push(batch.length)
    return this.#wait(this.#writeWaiting).then(rowsOf)
  }

  ask(what: string, given: unknown): Promise<unknown> {
    if (this.#lost !== null) return Promise.reject(this.#lost)
    this.#requests.push({ what, with: given })
    return this.#wait(this.#requestWaiting).then((answer) => (answer !== 0 && 'value' in answer ? answer.value : undefined))
  }

  /** Starts a recording transaction; other work waits behind it. */
  settle(request: SettleRequest): Promise<Settled> {
    this.#refuseIfLost()
    this.#flush(true)
    const n = ++this.#n
    return new Promise((resolve) => {
      this.#settles.set(n, resolve)
      this.#thread.ref()
      this.#say({ n, settle: request })
    })
  }

  settleSay(said: object): void {
    this.#settlePort.postMessage(said)
    this.#raise(SIGNAL.settle)
  }

  #raise(place: number): void {
    Atomics.add(this.#signal, place, 1)
    Atomics.notify(this.#signal, place)
  }

  #say(told: object): void {
    this.#thread.postMessage(told)
    this.#raise(SIGNAL.said)
  }

  tell(order: object): void {
    if (this.#lost === null) this.#say(order)
  }

  /** After what is under way. */
  close(): Promise<void> {
    if (this.#lost !== null) return Promise.resolve()
    return new Promise((resolve) => {
      this.#closing = resolve
      this.#flush(true)
      this.#thread.ref()
      this.#say({ close: true })
    })
  }

  #refuseIfLost(): void {
    if (this.#lost !== null) throw this.#lost
  }

  #wait(waiting: Waiting[]): Promise<Exclude<Answer, { refusal: Refusal }>> {
    return new Promise((resolve, reject) => {
      waiting.push({ resolve, reject })
      // At once: the thread works on these while the next are still prepared.
      if (this.#more) {
        this.#flush(false)
        return
      }
      if (this.#flushQueued || this.#under.size >= MESSAGES_UNDER_WAY) return
      this.#flushQueued = true
      // At the end of this turn: what the same turn asks travels together.
      queueMicrotask(() => {
        this.#flushQueued = false
        this.#flush(false)
      })
    })
  }

  #flush(now: boolean): void {
    if (!now && this.#under.size >= MESSAGES_UNDER_WAY) return
    const waiting = [...this.#insertWaiting, ...this.#writeWaiting, ...this.#requestWaiting]
    if (waiting.length === 0 || this.#lost !== null) return
    const n = ++this.#n
    if (this.#under.size === 0) this.#thread.ref()
    this.#under.set(n, { waiting })
    const message = { n, now: this.#now(), inserts: this.#inserts, insertSizes: this.#insertSizes, writes: this.#writes, writeSizes: this.#writeSizes, requests: this.#requests, more: this.#more && this.#under.size < MESSAGES_UNDER_WAY }
    this.#inserts = []
    this.#insertSizes = []
    this.#insertWaiting = []
    this.#writes = []
    this.#writeSizes = []
    this.#writeWaiting = []
    this.#requests = []
    this.#requestWaiting = []
    this.#more = false
    this.#say(message)
  }

  #hear(said: FromThread): void {
    // An answer that a lost thread had left behind: whoever asked was told that nobody knows.
    if (this.#lost !== null) return
    if (Array.isArray(said)) return this.#answered(said as readonly Reply[])
    this.#remarked(said as Exclude<FromThread, readonly Reply[]>)
  }

  #remarked(said: Exclude<FromThread, readonly Reply[]>): void {
    if ('settled' in said) {
      const resolve = this.#settles.get(said.n)
      this.#settles.delete(said.n)
      this.#rest()
      resolve?.(said.settled)
      return
    }
    if ('opened' in said) {
      if (said.opened) {
        this.#events.mark(said.mark ?? 0)
        this.#rest()
        this.#opening?.resolve()
      } else if (said.refusal) {
        this.#lost = errorOf(said.refusal)
        this.#opening?.reject(this.#lost)
      }
      this.#opening = null
    } else if ('closed' in said) {
      this.#lost = closedError(this.#path)
      this.#settlePort.close()
      this.#closing?.()
    } else if (said.remark === 'hint') this.#events.hint()
    else if (said.remark === 'notice') this.#events.notice(said.text)
    else this.onSettleRemark?.(said)
  }

  #answered(replies: readonly Reply[]): void {
    const under = replies.map(({ n, mark }) => {
      const one = this.#under.get(n)
      invariant(one, `an answer to message ${n}, which is not under way`)
      this.#under.delete(n)
      this.#events.mark(mark)
      return one
    })
    this.#flush(false)
    this.#rest()
    for (const [at, { waiting }] of under.entries()) handOut((replies[at] as Reply).answers, waiting)
  }

  /** An idle store does not keep the process alive; one with work under way does. */
  #rest(): void {
    if (this.#under.size === 0 && this.#settles.size === 0 && this.#closing === null) this.#thread.unref()
  }

  #lose(why: string): void {
    if (this.#lost !== null) return
    const lost = (outcome: 'unknown' | 'not_stored', said: string): StewardError => new StewardError('STEWARD_STORE_UNAVAILABLE', `the thread of ${this.#path} was lost (${why}). ${said}`, { path: this.#path, outcome })
    const unknown = lost('unknown', 'Whether what was under way is stored is not known. Open the store again and repeat it: the same writes join what is there.')
    this.#lost = lost('not_stored', 'Nothing was stored. Open the store again.')
    this.#opening?.reject(unknown)
    for (const { waiting } of this.#under.values()) waiting.forEach((one) => one.reject(unknown))
    for (const one of [...this.#insertWaiting, ...this.#writeWaiting, ...this.#requestWaiting]) one.reject(this.#lost)
    for (const resolve of this.#settles.values()) resolve({ row: null, refusal: { code: unknown.code, message: unknown.message, details: unknown.details } })
    this.#under.clear()
    this.#settles.clear()
    this.#closing?.()
  }
}

export function closedError(path: string): StewardError {
  return new StewardError('STEWARD_CLOSED', `the store ${path} is closed. Nothing was stored. Open it again, or finish the work before closing.`, { path })
}

function handOut(answers: Reply['answers'], waiting: readonly Waiting[]): void {
  for (let at = 0; at < waiting.length; at += 1) {
    const answer = answers === 0 ? 0 : (answers[at] as Answer)
    const one = waiting[at] as Waiting
    if (answer !== 0 && 'refusal' in answer) one.reject(errorOf(answer.refusal))
    else one.resolve(answer)
  }
}

function rowsOf(answer: Exclude<Answer, { refusal: Refusal }>): readonly RowAnswer[] {
  return answer !== 0 && 'rows' in answer ? answer.rows : []
}
