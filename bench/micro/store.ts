/**
 * How fast the SQLite store's own paths are, without the runtime: rows per second, and microseconds of CPU per row
 * on the main thread and in the whole process. `node bench/micro/store.ts [rows] [batch] [callers]`.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import type { Store } from 'steward'
import { sqlite } from 'steward/sqlite'

type CallWrite = Parameters<Store['write']>[0][number]
type Call = CallWrite['call']

const [rows = 100_000, batch = 500, callers = 2] = process.argv.slice(2).map(Number)
const folder = mkdtempSync(join(tmpdir(), 'steward-micro-'))
const store = sqlite(join(folder, 'steward.db'))
const lease = { worker: 'w0123456789abcde', epoch: 1 }
const startedAt = store.now()
let made = 0

function newCall(): Call {
  const n = made
  made += 1
  return {
    id: `c_${(startedAt + (n >> 6)).toString(36)}${n.toString(36).padStart(8, '0')}`,
    namespace: 'default', operation: 'charge-order', version: 1, key: `o_${n}`, group: null, place: null, priority: 0,
    state: 'waiting', effect: 'did_not_happen', rev: 0, generation: 1, attempts: 0, tries: 0, lapses: 0, firstBegunAt: null, keySpent: false,
    createdAt: startedAt, dueAt: startedAt + n, expiresAt: null, giveUpAt: startedAt + n + 86_400_000, open: [], facts: [], stop: null, lookup: null,
    reason: 'submitted', lastVerdict: null, given: `{"orderId":"o_${n}","amount":4200,"currency":"eur","customer":"cus_1"}`, input: null, result: null, resultMissing: null,
    supersedes: null, supersededBy: null, endedAt: null, encryptionKeyId: null, story: [{ at: startedAt, what: 'submitted' }],
  }
}

function begun(call: Call): Call {
  const deadlineAt = startedAt + 30_000
  return {
    ...call, state: 'running', effect: 'unknown', rev: call.rev + 1, dueAt: null, attempts: 1, tries: 1, firstBegunAt: startedAt,
    open: [{ n: 1, generation: 1, worker: lease.worker, begunAt: startedAt, deadlineAt, closedAt: null, verdict: null }], reason: 'attempt 1 is running',
    story: [...call.story, { at: startedAt, what: 'begun', attempt: 1, worker: lease.worker, deadlineAt, version: 1, to: 'running', effect: 'unknown' }],
  }
}

function finished(call: Call): Call {
  return {
    ...call, state: 'succeeded', effect: 'happened', rev: call.rev + 1, endedAt: startedAt, open: [], reason: 'attempt 1 was applied', lastVerdict: 'applied',
    facts: [{ kind: 'applied', at: startedAt, by: 'attempt 1', attempt: 1 }], result: '{"chargeId":"ch_123456"}',
    story: [...call.story, {
      at: startedAt, what: 'closed', attempt: 1, verdict: 'applied', to: 'succeeded', effect: 'happened',
      wire: [{ method: 'POST', origin: 'https://api.stripe.com', path: '/v1/charges', reached: 'answered', status: 200, startedAt, durationMs: 12.5, keyOnWire: true }],
    }],
  }
}

async function measure(name: string, step: () => Promise<number>): Promise<void> {
  const from = performance.now()
  const cpu = process.cpuUsage()
  const main = process.threadCpuUsage()
  let done = 0
  const caller = async (): Promise<void> => {
    while (done < rows) {
      const count = await step()
      if (count === 0) return
      done += count
    }
  }
  await Promise.all(Array.from({ length: callers }, caller))
  const elapsedMs = performance.now() - from
  const all = process.cpuUsage(cpu)
  const own = process.threadCpuUsage(main)
  const perRow = (microseconds: number): string => (microseconds / done).toFixed(1).padStart(6)
  const mainMicros = own.user + own.system
  console.log(`${name.padEnd(8)} ${Math.round((done / elapsedMs) * 1_000).toLocaleString('en').padStart(9)}/s   main ${perRow(mainMicros)} µs   thread ${perRow(all.user + all.system - mainMicros)} µs   (${done} rows)`)
}

await store.open({ namespace: 'default', notice: console.log })
await store.enlist({ ...lease, host: 'bench', pid: process.pid, startedAt, beatAt: startedAt, leaseUntilAt: startedAt + 86_400_000, lanes: [], release: null })
const write = (call: Call): CallWrite => ({ kind: 'call', call, expectRev: call.rev - 1, lease, leaseAfter: 'keep', controlsRev: 0 })
await measure('insert', async () => (await store.insert(Array.from({ length: batch }, () => ({ kind: 'insert', call: newCall(), factsSeen: 0 })))).length)
const claimed: Call[] = []
await measure('claim', async () => {
  const calls = await store.claim({ lease, lanes: [{ operation: 'charge-order', versions: [1] }], limit: batch, now: startedAt + rows * 2, pausedGroups: [] })
  claimed.push(...calls)
  return calls.length
})
const running: Call[] = []
let [began, ended] = [0, 0]
await measure('begin', async () => {
  const calls = claimed.slice(began, began += batch).map(begun)
  if (calls.length > 0) await store.write(calls.map(write))
  running.push(...calls)
  return calls.length
})
await measure('finish', async () => {
  const calls = running.slice(ended, ended += batch).map(finished)
  if (calls.length > 0) await store.write(calls.map(write))
  return calls.length
})
await store.leave(lease)
await store.close()
rmSync(folder, { recursive: true })
