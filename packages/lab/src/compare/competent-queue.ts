/**
 * Baseline N1: the competent queue, and the fair opponent. Durable, at least once, a stable key (the job's id), a lease
 * of 30 s that is renewed, exponential backoff, success is any return; what is spent goes to a dead set that somebody
 * would have to look at. It does not know doubt, lookups, or that a provider forgets keys.
 */
import type { Json } from 'steward'
import type { Belief, Carrier, ProcessParts } from '../contract.ts'
import { operationOf, sendOnce } from './sending.ts'

const LEASE_MS = 30_000
const RENEW_MS = 10_000
/** Looks for due jobs at least and at most this often; in between it knows when the next is due. */
const POLL_MS = { from: 1_000, to: 15_000 }
const CONCURRENCY = 20
const FIRST_WAIT_MS = 2_000
const LONGEST_WAIT_MS = 6 * 3_600_000
/** With these waits about four days: the span of the usual defaults. */
const TRIES = 25

type Job = {
  readonly id: string
  readonly operation: string
  readonly key: string
  readonly input: Json
  readonly state: 'waiting' | 'leased' | 'done' | 'dead'
  readonly attempts: number
  readonly dueAt: number
  readonly leaseUntilAt: number
  readonly owner: string | null
  readonly result: Json
}

export function competentQueue(parts: ProcessParts): Carrier {
  return new Queue(parts)
}

class Queue implements Carrier {
  readonly #parts: ProcessParts
  /** Of this boot: a restarted process holds no lease of the one before. */
  readonly #me: string
  #running = 0
  #isClosing = false
  #stopPoll: () => void = () => undefined

  constructor(parts: ProcessParts) {
    this.#parts = parts
    this.#me = parts.system.identity()
    this.#poll()
  }

  submit(operation: string, { key, input, runAt }: { readonly key: string; readonly input: Json; readonly runAt?: Date | number }): Promise<void> {
    const { system } = this.#parts
    const now = system.now()
    this.#write({ id: system.identity(), operation, key, input, state: 'waiting', attempts: 0, dueAt: runAt === undefined ? now : Number(runAt), leaseUntilAt: 0, owner: null, result: null })
    system.soon(() => this.#poll())
    return Promise.resolve()
  }

  /** Of two jobs for one key the one that was done speaks, else the later. */
  belief(operation: string, key: string): Promise<Belief | null> {
    const jobs = this.#jobs().filter((job) => job.operation === operation && job.key === key)
    const job = jobs.find((one) => one.state === 'done') ?? jobs.at(-1)
    if (job === undefined) return Promise.resolve(null)
    const { attempts, result } = job
    switch (job.state) {
      case 'done': return Promise.resolve({ effect: 'happened', ended: true, state: 'succeeded', attempts, result })
      case 'dead': return Promise.resolve({ effect: 'did_not_happen', ended: true, state: 'exhausted', attempts, result })
      case 'waiting': case 'leased': return Promise.resolve({ effect: 'unknown', ended: false, state: job.state === 'waiting' ? 'waiting' : 'running', attempts, result })
    }
  }

  async close(graceMs: number): Promise<void> {
    this.#isClosing = true
    const { system } = this.#parts
    const endAt = system.monotonicMs() + graceMs
    while (this.#running > 0 && system.monotonicMs() < endAt) await new Promise<void>((resolve) => void system.after(100, resolve))
  }

  #jobs(): readonly Job[] {
    return [...this.#parts.disk.values()] as unknown as readonly Job[]
  }
  #write(job: Job): void {
    this.#parts.disk.set(job.id, job)
  }
  /** The job, if it is still ours: whoever lost the lease changes nothing. */
  #mine(id: string): Job | null {
    const job = this.#parts.disk.get(id) as unknown as Job | undefined
    return job?.state === 'leased' && job.owner === this.#me ? job : null
  }

  #poll(): void {
    if (this.#isClosing) return
    const now = this.#parts.system.now()
    for (const job of this.#jobs()) {
      if (this.#running >= CONCURRENCY) break
      const isDue = (job.state === 'waiting' && job.dueAt <= now) || (job.state === 'leased' && job.leaseUntilAt <= now)
      if (isDue && this.#parts.operations.some((operation) => operation.name === job.operation)) this.#work(job).catch((error: unknown) => this.#parts.log.error(String(error)))
    }
    const dueAt = Math.min(...this.#jobs().map((job) => (job.state === 'waiting' ? job.dueAt : job.state === 'leased' ? job.leaseUntilAt : Number.POSITIVE_INFINITY)))
    this.#stopPoll()
    this.#stopPoll = this.#parts.system.after(Math.min(Math.max(dueAt - now, POLL_MS.from), POLL_MS.to), () => this.#poll())
  }

  async #work(job: Job): Promise<void> {
    const { system, log } = this.#parts
    this.#running++
    this.#write({ ...job, state: 'leased', owner: this.#me, leaseUntilAt: system.now() + LEASE_MS, attempts: job.attempts + 1 })
    let isOver = false
    const renew = (): void => {
      const mine = this.#mine(job.id)
      if (isOver || mine === null) return
      this.#write({ ...mine, leaseUntilAt: system.now() + LEASE_MS })
      system.after(RENEW_MS, renew)
    }
    system.after(RENEW_MS, renew)
    const sent = await sendOnce(this.#parts, operationOf(this.#parts, job.operation), job.input, job.key, job.id, job.attempts + 1)
    isOver = true
    this.#running--
    const mine = this.#mine(job.id)
    if (mine === null) return
    if (sent.ok) return this.#write({ ...mine, state: 'done', owner: null, result: sent.result })
    if (mine.attempts >= TRIES) {
      log.error(`${job.operation} ${job.key} is in the dead set: ${sent.why}`)
      return this.#write({ ...mine, state: 'dead', owner: null })
    }
    const waitMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (mine.attempts - 1)) * (0.5 + system.random() / 2)
    this.#write({ ...mine, state: 'waiting', owner: null, dueAt: system.now() + waitMs })
  }
}
