/** The real clock, timers and randomness: the only file of the library that may touch them. */
import { hash, randomBytes } from 'node:crypto'
import type { Log, System } from '../ports/system.ts'

const ALPHABET = '0123456789abcdefghijklmnopqrstuv'

/** Random bytes are drawn in blocks: one call of the kernel for a few hundred identities. */
let pool = new Uint8Array(0)
let used = 0

export const realSystem: System = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, fn, background = false) {
    // Longer waits than a timer can hold are cut; whoever waits looks again.
    const timer = setTimeout(fn, Math.min(Math.max(delayMs, 0), 2_000_000_000))
    if (background) timer.unref()
    return () => clearTimeout(timer)
  },
  soon: (fn) => void setImmediate(fn),
  random: () => Math.random(),
  identity() {
    if (used + 16 > pool.length) {
      pool = randomBytes(4096)
      used = 0
    }
    let text = ''
    for (let i = 0; i < 16; i++) text += ALPHABET[(pool[used++] as number) & 31] as string
    return text
  },
  digest: (text) => hash('sha256', text, 'hex'),
}

/** Log lines on the console, one JSON-free line each; errors and warnings go to stderr. */
export const consoleLog: Log = {
  info: (message, fields) => console.log(line(message, fields)),
  warn: (message, fields) => console.warn(line(message, fields)),
  error: (message, fields) => console.error(line(message, fields)),
}

function line(message: string, fields: Readonly<Record<string, unknown>> = {}): string {
  const pairs = Object.entries(fields).map(([name, value]) => ` ${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
  return `steward: ${message}${pairs.join('')}`
}
