/**
 * One torture run: provider, workers and submitters start; kills and freezes come until their number is reached and
 * all calls were submitted; then everybody lives, and all that is open must end. The auditor has the last word.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type CallView, Steward, type Telling } from 'steward'
import { sqlite } from 'steward/sqlite'
import { seededBy } from '../seeded.ts'
import { readAcknowledged } from './acknowledged.ts'
import { type Audit, audit, tally } from './auditor.ts'
import { Fleet } from './fleet.ts'
import { readLedger } from './ledger.ts'
import { type Numbers, PACES } from './numbers.ts'
import { OPERATION, tortureOperation } from './operation.ts'
import type { TortureOptions } from './options.ts'
import { ORDERS, type Orders } from './orders.ts'

export type TortureResult = {
  readonly audit: Audit
  readonly kills: number
  readonly freezes: number
  readonly durationMs: number
  /** How the provider's answers ended, windows, lookups; how processes died. */
  readonly faults: Readonly<Record<string, number>>
  readonly crashes: readonly string[]
  readonly tellings: readonly { readonly key: string; readonly telling: Telling | null }[]
  /** Where store, ledger and acknowledgements lie; `null` when they were removed. */
  readonly folder: string | null
}

const OPEN = ['waiting', 'running', 'accepted', 'checking'] as const
const TOLD_AT_MOST = 10

export async function torture(options: TortureOptions, progress: (line: string) => void): Promise<TortureResult> {
  const beganAt = Date.now()
  const numbers = PACES[options.pace]
  const folder = mkdtempSync(join(tmpdir(), 'steward-torture-'))
  const orders: Orders = {
    answer: options.answer, seed: options.seed, pace: options.pace, calls: options.calls,
    dbPath: join(folder, 'steward.db'), ledgerPath: join(folder, 'ledger.ndjson'), acknowledgedPath: join(folder, 'acknowledged.ndjson'),
    providerPort: 0, lengthMs: Math.max(options.kills * numbers.killEveryMs * 0.8, options.calls * 5), startedAt: 0,
  }
  const provider = await startProvider(orders)
  try {
    const ready = { ...orders, providerPort: provider.port, startedAt: Date.now() + 500 }
    const operation = tortureOperation(options.answer, provider.port, numbers)
    const operator = await openOperator(ready, operation)
    try {
      const fleet = new Fleet(ready, seededBy(options.seed, 'fleet'))
      try {
        await inflict(options, ready, fleet, provider, progress)
        await allEnded(operator, numbers, fleet, progress)
      } finally {
        await fleet.close(5_000)
      }
      await provider.stop()
      return await concluded(options, ready, operator, fleet, beganAt, folder)
    } finally {
      await operator.close()
    }
  } finally {
    await provider.stop()
  }
}

type Provider = { readonly port: number; readonly openWindows: () => void; readonly stop: () => Promise<void> }

async function startProvider(orders: Orders): Promise<Provider> {
  const child = fork(join(import.meta.dirname, 'provider.ts'), { env: { ...process.env, [ORDERS]: JSON.stringify(orders) }, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const [message] = (await once(child, 'message')) as [{ port: number }]
  const gone = new Promise<void>((resolve) => void child.once('exit', () => resolve()))
  return {
    port: message.port,
    openWindows: () => void child.send('windows'),
    stop: async () => {
      if (child.connected) child.send('stop')
      await gone
    },
  }
}

/** Submits nothing and works nothing: asks, is told of alerts, and resumes what was held, as an operator would. */
async function openOperator(orders: Orders, operation: ReturnType<typeof tortureOperation>): Promise<Steward> {
  const operator: Steward = await Steward.open({
    store: sqlite(orders.dbPath),
    operations: [operation],
    log: { info: () => undefined, warn: () => undefined, error: (message, fields) => console.error(message, fields) },
    onAlert: async (alert) => {
      if (alert.kind !== 'operation_held') return
      await sleep(500)
      await operator.resume({ operation: OPERATION }, { by: 'operator', why: 'the provider is well again' })
    },
  })
  return operator
}

async function inflict(options: TortureOptions, orders: Orders, fleet: Fleet, provider: Provider, progress: (line: string) => void): Promise<void> {
  const numbers = PACES[options.pace]
  const untilAt = orders.startedAt + 3 * orders.lengthMs + 60_000
  const random = seededBy(options.seed, 'kills')
  for (let i = 1; i <= options.workers; i++) fleet.add('worker', `worker ${i}`)
  fleet.add('submitter', 'submitter 1')
  fleet.arm(0.5)
  provider.openWindows()
  await sleep(600)
  const freezeEvery = options.freezes === 0 ? Number.POSITIVE_INFINITY : Math.max(1, options.kills / options.freezes)
  let freezeAt = freezeEvery / 2
  for (let turn = 1; fleet.kills < options.kills || fleet.freezes < options.freezes || !fleet.submittersLeft; turn++) {
    if (Date.now() > untilAt) return void fleet.crashes.push(`after ${Math.round((Date.now() - orders.startedAt) / 1_000)} s, three times as long as planned, kills or submits are still to come`)
    await sleep(numbers.killEveryMs * (0.5 + random()) * 0.8)
    if (fleet.kills < options.kills) fleet.killOne()
    else fleet.arm(0)
    if (fleet.freezes < options.freezes && fleet.kills >= Math.min(freezeAt, options.kills)) {
      freezeAt += freezeEvery
      fleet.freezeOne(numbers.leaseMs * (1.2 + random()))
    }
    if (turn % 10 === 0) progress(`  ${fleet.kills} of ${options.kills} kills, ${fleet.freezes} freezes, submitting ${fleet.submittersLeft ? 'done' : 'goes on'}`)
  }
}

/** Everybody lives now; what is not decided within the limit is reported as lost. */
async function allEnded(operator: Steward, numbers: Numbers, fleet: Fleet, progress: (line: string) => void): Promise<void> {
  const untilAt = Date.now() + numbers.drainMs
  fleet.arm(0)
  for (let turn = 1; Date.now() < untilAt; turn++) {
    const open = await operator.list({ states: OPEN, limit: 1_000 })
    if (open.length === 0) return
    if (turn % 40 === 0) progress(`  ${open.length}${open.length === 1_000 ? ' or more' : ''} calls are open`)
    await sleep(100)
  }
}

async function allCalls(operator: Steward): Promise<readonly CallView[]> {
  const calls: CallView[] = []
  for (;;) {
    const last = calls.at(-1)
    const page = await operator.list({ limit: 1_000, ...(last ? { afterId: last.id } : {}) })
    calls.push(...page)
    if (page.length < 1_000) return calls
  }
}

async function concluded(options: TortureOptions, orders: Orders, operator: Steward, fleet: Fleet, beganAt: number, folder: string): Promise<TortureResult> {
  const ledger = readLedger(orders.ledgerPath)
  const found = audit({ answer: options.answer, ledger, records: await allCalls(operator), acknowledged: readAcknowledged(orders.acknowledgedPath) })
  const concerned = [...new Set(found.violations.map((violation) => violation.key))].slice(0, TOLD_AT_MOST)
  const tellings = await Promise.all(concerned.map(async (key) => ({ key, telling: await operator.tell(OPERATION, key).catch(() => null) })))
  const keep = options.keep || found.violations.length > 0 || fleet.crashes.length > 0
  if (!keep) rmSync(folder, { recursive: true, force: true })
  return {
    audit: found,
    kills: fleet.kills,
    freezes: fleet.freezes,
    durationMs: Date.now() - beganAt,
    faults: { ...tally(ledger.flatMap((entry) => ('how' in entry ? [`${entry.what} ${entry.how}`] : []))), ...prefixed('killed ', fleet.deaths) },
    crashes: fleet.crashes,
    tellings,
    folder: keep ? folder : null,
  }
}

function prefixed(prefix: string, counts: Readonly<Record<string, number>>): Record<string, number> {
  const points: Record<string, number> = {}
  for (const [name, count] of Object.entries(counts)) {
    const point = prefix + name.replace(/:kill@\d+$/, '')
    points[point] = (points[point] ?? 0) + count
  }
  return points
}
