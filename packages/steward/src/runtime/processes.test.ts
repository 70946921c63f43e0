/** Real processes on one SQLite file, killed, frozen and blocked for real. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { sqlite } from '../sqlite/index.ts'
import { operations } from './process.fixture.ts'
import { Steward } from './steward.ts'

const [keyed, blind, blocking, order] = operations
type Child = { readonly child: ChildProcess; readonly lines: string[]; said(text: string): Promise<string>; tell(line: string): void; readonly gone: Promise<void> }

let folder = ''
let path = ''
let provider: Server
/** Requests that reached the provider, by call key. */
let reached: string[] = []
/** Answers the provider holds back until told. */
let held: (() => void)[] = []
let holding = false
const open: { child: ChildProcess; gone: Promise<void> }[] = []

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'steward-processes-'))
  path = join(folder, 'steward.db')
  reached = []
  held = []
  holding = true
  provider = createServer((request, response) => {
    reached.push(String(request.headers['x-call']))
    const answer = (): void => void response.end('{"ok":true}')
    if (holding) held.push(answer)
    else answer()
  }).listen(0, '127.0.0.1')
  await new Promise<void>((resolve) => { provider.once('listening', resolve) })
  process.env['STEWARD_TEST_PROVIDER'] = `http://127.0.0.1:${(provider.address() as { port: number }).port}/`
})
afterEach(async () => {
  for (const { child, gone } of open.splice(0)) {
    child.kill('SIGKILL')
    await gone
  }
  provider.closeAllConnections()
  await new Promise<void>((resolve) => { provider.close(() => resolve()) })
  rmSync(folder, { recursive: true, force: true })
})

function start(mode = 'work'): Child {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'process.fixture.ts'), path, mode], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines: string[] = []
  const waiting = new Set<() => void>()
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line)
    for (const look of [...waiting]) look()
  })
  const gone = new Promise<void>((resolve) => void child.once('exit', () => resolve()))
  open.push({ child, gone })
  return {
    child, lines, gone,
    said: (text) => new Promise((resolve) => {
      const look = (): void => {
        const found = lines.find((line) => line.includes(text))
        if (found === undefined) return
        waiting.delete(look)
        resolve(found)
      }
      waiting.add(look)
      look()
    }),
    tell: (line) => void child.stdin.write(`${line}\n`),
  }
}

async function rescuer(): Promise<Steward> {
  return await Steward.open({ store: sqlite(path), operations, onAlert: null, log: { info: () => undefined, warn: () => undefined, error: () => undefined } })
}

it('recovers the calls of a killed worker at once: the keyed one is sent again, the blind one is in doubt', async () => {
  const child = start()
  await child.said('ready')
  for (const name of ['keyed', 'blind']) child.tell(`submit ${name} ${name}-1`)
  for (const name of ['keyed', 'blind']) await child.said(`sending ${name}-1`)
  await new Promise<void>((resolve) => { const look = (): void => void (held.length === 2 ? resolve() : setImmediate(look)); look() })
  child.child.kill('SIGKILL')
  await child.gone
  holding = false
  const steward = await rescuer()
  const startedMs = performance.now()
  steward.start()
  expect(await steward.outcome(keyed, 'keyed-1', { wait: '15s' })).toMatchObject({ state: 'succeeded', attempts: 2 })
  expect(await steward.outcome(blind, 'blind-1', { wait: '15s' })).toMatchObject({ state: 'in_doubt', attempts: 1 })
  expect(performance.now() - startedMs).toBeLessThan(3_000)
  expect(reached.filter((key) => key === 'blind-1')).toHaveLength(1)
  expect((await steward.alerts()).map((alert) => alert.kind)).toEqual(['in_doubt'])
  await steward.close()
})

// Frozen inside a transaction, a process holds SQLite's write lock and everybody waits for it: then it is tried again.
it('replaces a worker that is frozen, and keeps its late answer as a fact when it thaws', { retry: 2 }, async () => {
  const child = start('short-lease')
  await child.said('ready')
  child.tell('submit blind blind-1')
  await child.said('sending blind-1')
  await new Promise<void>((resolve) => { const look = (): void => void (held.length === 1 ? resolve() : setImmediate(look)); look() })
  child.child.kill('SIGSTOP')
  const steward = await rescuer()
  steward.start()
  expect(await steward.outcome(blind, 'blind-1', { wait: '15s' })).toMatchObject({ state: 'in_doubt' })
  held.forEach((answer) => answer())
  child.child.kill('SIGCONT')
  await child.said('the lease was lost')
  await expect.poll(async () => (await steward.find(blind, 'blind-1'))?.state, { timeout: 10_000 }).toBe('succeeded')
  expect(reached).toEqual(['blind-1'])
  await steward.close()
})

it('sends nothing after its event loop was blocked for longer than the lease', async () => {
  holding = false
  const child = start('short-lease')
  await child.said('ready')
  const steward = await rescuer()
  steward.start()
  child.tell('submit blocking b-1')
  await child.said('blocking b-1')
  expect(await steward.outcome(blocking, 'b-1', { wait: '15s' })).toMatchObject({ state: 'in_doubt' })
  await child.said('warn')
  expect(reached).toEqual([])
  await steward.close()
})

it('has neither the row of the application nor the end when it is killed between them, and both once after', async () => {
  const schema = await rescuer()
  await schema.close()
  const db = new DatabaseSync(path, { timeout: 5_000 })
  db.exec('CREATE TABLE orders (id TEXT)')
  const orders = (): unknown[] => db.prepare('SELECT id FROM orders').all().map((row) => row['id'])
  const child = start('die-settling')
  await child.said('ready')
  child.tell('submit order o-1')
  await child.said('settling o-1')
  await child.gone
  expect(orders()).toEqual([])
  const steward = await rescuer()
  expect(await steward.find(order, 'o-1')).toMatchObject({ state: 'running' })
  steward.start()
  expect(await steward.outcome(order, 'o-1', { wait: '15s' })).toMatchObject({ state: 'succeeded' })
  expect(orders()).toEqual(['o-1'])
  await steward.close()
  db.close()
})
