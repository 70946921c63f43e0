/**
 * Timers of user code in virtual time: a client that sleeps between tries of its own, or gives up after a while, does so
 * by the world's clock. Only timers that are set from inside a `send` or `lookup` of the lab are turned over; all others
 * stay real. Node's own timers (sockets, its built-in fetch) are out of reach and stay real, too.
 */
import { AsyncResource } from 'node:async_hooks'
import { createRequire, syncBuiltinESMExports } from 'node:module'

export type VirtualTimers = {
  /** Whether the code that runs now is to live in virtual time. */
  isInside(): boolean
  /** Runs after virtual milliseconds; returns the way to stop it. */
  after(delayMs: number, fn: () => void): () => void
}

type Set = (fn: (...args: unknown[]) => void, delayMs?: number, ...args: unknown[]) => unknown
type Clear = (timer: unknown) => void
type Place = Record<string, unknown>

/** A timer as Node's code expects it. */
class VirtualTimer {
  readonly #start: () => () => void
  #stop: () => void

  constructor(start: () => () => void) {
    this.#start = start
    this.#stop = start()
  }
  close(): this { this.#stop(); return this }
  refresh(): this { this.#stop(); this.#stop = this.#start(); return this }
  ref(): this { return this }
  unref(): this { return this }
  hasRef(): boolean { return true }
  [Symbol.toPrimitive](): number { return 0 }
}

/** Puts virtual timers in the place of the real ones; returns the way back. */
export function turnOverTimers(timers: VirtualTimers): () => void {
  const required = createRequire(import.meta.url)
  const promises = required('node:timers/promises') as Place
  const places: readonly [Place, string, (real: never) => unknown][] = [globalThis as unknown as Place, required('node:timers') as Place].flatMap((place): [Place, string, (real: never) => unknown][] => [
    [place, 'setTimeout', (real: Set) => once(timers, real)],
    [place, 'setInterval', (real: Set) => repeated(timers, real)],
    [place, 'clearTimeout', cleared], [place, 'clearInterval', cleared],
  ])
  const undo = [
    ...places.map(([place, name, make]) => replace(place, name, make)),
    replace(promises, 'setTimeout', (real: never) => slept(timers, real)),
    replace(AbortSignal as unknown as Place, 'timeout', (real: never) => timedOut(timers, real)),
  ]
  syncBuiltinESMExports()
  return () => {
    for (const back of undo.reverse()) back()
    syncBuiltinESMExports()
  }
}

function replace(place: Place, name: string, make: (real: never) => unknown): () => void {
  const real: unknown = Reflect.get(place, name)
  Reflect.set(place, name, make(real as never))
  return () => void Reflect.set(place, name, real)
}

const once = (timers: VirtualTimers, real: Set): Set => (fn, delayMs = 0, ...args) => {
  if (!timers.isInside()) return real(fn, delayMs, ...args)
  const run = AsyncResource.bind(() => fn(...args))
  return new VirtualTimer(() => timers.after(Number(delayMs) || 0, run))
}

const repeated = (timers: VirtualTimers, real: Set): Set => (fn, delayMs = 0, ...args) => {
  if (!timers.isInside()) return real(fn, delayMs, ...args)
  const run = AsyncResource.bind(() => fn(...args))
  return new VirtualTimer(() => {
    let stop = (): void => undefined
    const next = (): void => { stop = timers.after(Math.max(1, Number(delayMs) || 0), () => { next(); run() }) }
    next()
    return () => stop()
  })
}

const cleared = (real: Clear): Clear => (timer) => {
  if (timer instanceof VirtualTimer) timer.close()
  else real(timer)
}

type Sleep = (delayMs?: number, value?: unknown, options?: { readonly signal?: AbortSignal }) => Promise<unknown>
const slept = (timers: VirtualTimers, real: Sleep): Sleep => (delayMs = 0, value, options = {}) => {
  if (!timers.isInside()) return real(delayMs, value, options)
  const { signal } = options
  return new Promise((resolve, reject) => {
    const gaveUp = (): void => reject(new DOMException('The operation was aborted', { name: 'AbortError', cause: signal?.reason as unknown }))
    if (signal?.aborted) {
      gaveUp()
      return
    }
    const stop = timers.after(delayMs, () => resolve(value))
    signal?.addEventListener('abort', () => { stop(); gaveUp() }, { once: true })
  })
}

type TimeoutSignal = (delayMs: number) => AbortSignal
const timedOut = (timers: VirtualTimers, real: TimeoutSignal): TimeoutSignal => (delayMs) => {
  if (!timers.isInside()) return real.call(AbortSignal, delayMs)
  const limit = new AbortController()
  timers.after(delayMs, () => limit.abort(new DOMException('The operation was aborted due to timeout', 'TimeoutError')))
  return limit.signal
}
