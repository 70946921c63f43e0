/** A folder with a config and a store, and the real command line run in it as a child process. */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'

const BIN = join(import.meta.dirname, '../../bin/steward.js')
const entry = (path: string): string => new URL(`../${path}`, import.meta.url).href

/** What becomes of a call is written in its input: `applied`, `lost`, `refused`, `unsent`. */
const OPERATIONS = `
import { defineOperation, none, SendVerdict } from '${entry('index.ts')}'
const input = { '~standard': { version: 1 as const, vendor: 'fixture', validate: (value: unknown) => ({ value: value as { become: string } }) } }
export const chargeOrder = defineOperation({
  name: 'charge-order', input, idempotency: none('a test'), provider: 'acme-pay', owner: 'payments', runbook: 'https://wiki.example/charge', maxAttempts: 1, timeout: '30m',
  async send({ become }: { become: string }) {
    if (become === 'lost') throw Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })
    if (become === 'refused') throw new SendVerdict({ kind: 'rejected', reason: 'card declined' })
    if (become === 'unsent') throw new SendVerdict({ kind: 'not_applied', reason: 'could not connect', refused: 'unsent' })
    return { chargeId: 'ch_1' }
  },
})
`
const CONFIG = `
import { defineConfig } from '${entry('index.ts')}'
import { sqlite } from '${entry('sqlite/index.ts')}'
import { fileURLToPath } from 'node:url'
import { chargeOrder } from './operations.ts'
export default defineConfig(() => ({ store: sqlite(fileURLToPath(new URL('steward.db', import.meta.url))), operations: [chargeOrder], onAlert: () => undefined }))
`

export type Ran = { readonly code: number | null; readonly out: string; readonly err: string }
export type Home = {
  readonly path: string
  write(name: string, text: string): void
  /** Runs a command to its end. */
  steward(...words: readonly string[]): Promise<Ran>
  /** Starts a command that goes on. */
  start(...words: readonly string[]): Started
  remove(): void
}
export type Started = {
  readonly pid: number
  /** Resolves once stdout has matched; rejects when the process ends first. */
  saw(pattern: RegExp): Promise<string>
  signal(name: NodeJS.Signals): void
  readonly ended: Promise<Ran>
}

export function home(): Home {
  const path = mkdtempSync(join(tmpdir(), 'steward-cli-'))
  const write = (name: string, text: string): void => writeFileSync(join(path, name), text)
  write('package.json', '{"type":"module"}')
  write('operations.ts', OPERATIONS)
  write('steward.config.ts', CONFIG)
  const start = (...words: readonly string[]): Started => started(spawn(process.execPath, [BIN, ...words], { cwd: path, stdio: ['ignore', 'pipe', 'pipe'] }))
  return { path, write, start, steward: (...words) => start(...words).ended, remove: () => rmSync(path, { recursive: true, force: true }) }
}

function started(child: ChildProcessByStdio<null, Readable, Readable>): Started {
  let out = ''
  let err = ''
  const look = new Set<() => void>()
  child.stdout.setEncoding('utf8').on('data', (text: string) => { out += text; for (const one of look) one() })
  child.stderr.setEncoding('utf8').on('data', (text: string) => { err += text })
  const ended = new Promise<Ran>((resolve) => {
    child.on('close', (code) => resolve({ code, out, err }))
  })
  return {
    pid: child.pid as number,
    ended,
    signal: (name) => void child.kill(name),
    saw: (pattern) => new Promise((resolve, reject) => {
      const one = (): void => {
        if (!pattern.test(out)) return
        look.delete(one)
        resolve(out)
      }
      look.add(one)
      ended.then((ran) => reject(new Error(`ended with ${String(ran.code)} before ${String(pattern)}: ${ran.out}${ran.err}`)), reject)
      one()
    }),
  }
}
