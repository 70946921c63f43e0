/**
 * One torture run: provider, workers and submitters start; faults come until their number is reached and all calls were
 * submitted; then everybody lives, and all that is open must end. The auditor has the last word.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type CallView, Steward, type Telling } from 'steward'
import { seededBy } from '../seeded.ts'
import { readAcknowledged } from './acknowledged.ts'
import { type Audit, audit, tally } from './auditor.ts'
import { Database } from './database.ts'
import { Fleet, SPARED_MS } from './fleet.ts'
import { fakeTimeLibrary, Guises } from './guises.ts'
import { inflict } from './inflict.ts'
import { readLedger } from './ledger.ts'
import { type Numbers, PACES } from './numbers.ts'
import { olderCommit, tortureOnOlder } from './older.ts'
import { tortureOperations, type TortureOperations } from './operation.ts'
import type { TortureOptions } from './options.ts'
import { ORDERS, type Orders } from './orders.ts'
import { type Place, storeOfOnlooker } from './place.ts'
import type { Heard } from './points.ts'
import { wayOf } from './ways.ts'

export type TortureResult = {
  readonly audit: Audit
  readonly kills: number
  readonly freezes: number
  /** Faults of a fleet that really happened; all 0 on one file. */
  readonly crashes: number
  readonly cuts: number
  readonly delays: number
  readonly falseClocks: number
  readonly olderProcesses: number
  /** The older library: a commit, or why there was none. */
  readonly older: string
  readonly durationMs: number
  /** How the provider's answers ended, windows, lookups; how processes died; what happened on the wire. */
  readonly faults: Readonly<Record<string, number>>
  /** Of the run itself: a process that ended by itself, a limit that was reached. */
  readonly mishaps: readonly string[]
  readonly tellings: readonly { readonly key: string; readonly telling: Telling | null }[]
  /** Where store, ledger and acknowledgements lie; `null` when they were removed. */
  readonly folder: string | null
}

type Run = { readonly options: TortureOptions; readonly folder: string; readonly beganAt: number; readonly progress: (line: string) => void }

const OPEN = ['waiting', 'running', 'accepted', 'checking'] as const
const TOLD_AT_MOST = 10
/** So long a process that was frozen may take to bring what it had: a call in doubt can wait again by it. */
const LATE_MS = 3_000

export async function torture(options: TortureOptions, progress: (line: string) => void): Promise<TortureResult> {
  const numbers = PACES[options.pace]
  const folder = mkdtempSync(join(tmpdir(), 'steward-torture-'))
  const run: Run = { options, folder, beganAt: Date.now(), progress }
  const paths = { ledgerPath: join(folder, 'ledger.ndjson'), acknowledgedPath: join(folder, 'acknowledged.ndjson'), heardPath: join(folder, 'heard.ndjson'), compiledPath: join(folder, 'compiled') }
  const { answer, seed, pace, calls, rollbacks } = options
  const plan = { answer, seed, pace, calls, rollbacks, ...paths, providerPort: 0, lengthMs: Math.max(options.kills * numbers.killEveryMs * 0.8, calls * 5), startedAt: 0 }
  let database: Database | null = null
  let kept = false
  try {
    if (options.store === 'postgres') database = await Database.start(folder, plan)
    const place: Place = database?.place ?? { kind: 'sqlite', path: join(folder, 'steward.db') }
    const result = await onStore(run, { ...plan, place }, database)
    kept = result.folder !== null
    return result
  } finally {
    await database?.stop()
    if (!kept) rmSync(folder, { recursive: true, force: true })
  }
}

async function onStore(run: Run, orders: Orders, database: Database | null): Promise<TortureResult> {
  const { options, progress } = run
  const numbers = PACES[options.pace]
  const older = olderOf(run)
  const provider = await startProvider(orders)
  try {
    const ready = { ...orders, providerPort: provider.port, startedAt: Date.now() + 500 }
    const operator = await openOperator(ready, tortureOperations({ answer: options.answer, port: provider.port, numbers }), database === null)
    try {
      const clocks = fakeTimeLibrary() === null ? 0 : options.clocks
      if (clocks < options.clocks) progress('  libfaketime is not installed: all clocks are right')
      const fleet = new Fleet(ready, seededBy(options.seed, 'fleet'), new Guises({ leaseMs: numbers.leaseMs, clocks, olderFolder: older.folder }))
      try {
        for (let i = 1; i <= options.workers; i++) fleet.add('worker', `worker ${i}`)
        fleet.add('submitter', 'submitter 1')
        fleet.arm(0.5)
        provider.openWindows()
        await inflict(options, ready, fleet, database, progress)
        await allEnded(operator, numbers, fleet, database, progress)
      } finally {
        await fleet.close(5_000)
      }
      await provider.stop()
      return await concluded(run, ready, operator, fleet, database, older.name)
    } finally {
      await operator.close()
    }
  } finally {
    await provider.stop()
  }
}

/** The older library beside this one, where there is one to be had. */
function olderOf({ options, folder, progress }: Run): { readonly folder: string | null; readonly name: string } {
  if (options.older === 'none') return { folder: null, name: 'none' }
  const commit = olderCommit(options.older)
  if (commit === null && options.older !== null) throw new Error(`--older ${options.older} names no commit of this repository.`)
  if (commit === null) {
    progress('  no older version of the library is at hand, since the history is missing: all run this one')
    return { folder: null, name: 'not at hand' }
  }
  return { folder: tortureOnOlder(commit, join(folder, 'older')), name: commit.slice(0, 12) }
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
async function openOperator(orders: Orders, operations: TortureOperations, complains: boolean): Promise<Steward> {
  const operator: Steward = await Steward.open({
    store: storeOfOnlooker(orders.place),
    operations: [operations.effect, operations.order],
    log: { info: () => undefined, warn: () => undefined, error: (message, fields) => { if (complains) console.error(message, fields) } },
    onAlert: async (alert) => {
      if (alert.kind !== 'operation_held') return
      await sleep(500)
      for (const { name } of [operations.effect, operations.order]) await operator.resume({ operation: name }, { by: 'operator', why: 'the provider is well again' })
    },
  })
  return operator
}

/** Everybody lives now; what is not decided, or not told to the application, when nothing has moved for so long is reported as lost. */
async function allEnded(operator: Steward, numbers: Numbers, fleet: Fleet, database: Database | null, progress: (line: string) => void): Promise<void> {
  let untilAt = Date.now() + numbers.drainMs
  let before = ''
  fleet.arm(0)
  for (let turn = 1; Date.now() < untilAt; turn++) {
    const open = await operator.list({ states: OPEN, limit: 1_000 })
    const untold = open.length > 0 || database === null ? 0 : (await database.application.orders()).filter((order) => order.settled === null).length
    const thawedAt = Math.max(0, ...fleet.wentOnAt.values())
    if (open.length === 0 && untold <= await doubted(operator) && Date.now() - thawedAt > LATE_MS) return
    const now = `${open.map((call) => call.id).join()} ${untold}`
    if (now !== before) untilAt = Date.now() + numbers.drainMs
    before = now
    if (turn % 40 === 0) progress(`  ${open.length}${open.length === 1_000 ? ' or more' : ''} calls are open, ${untold} ends untold`)
    await sleep(100)
  }
}

/** Calls in doubt have no end to tell of. */
async function doubted(operator: Steward): Promise<number> {
  return (await operator.list({ operation: 'torture-order', states: ['in_doubt'], limit: 1_000 })).length
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

async function concluded(run: Run, orders: Orders, operator: Steward, fleet: Fleet, database: Database | null, older: string): Promise<TortureResult> {
  const { options, folder } = run
  const ledger = readLedger(orders.ledgerPath)
  const records = await allCalls(operator)
  const found = audit({
    answer: options.answer, ledger, records, acknowledged: readAcknowledged(orders.acknowledgedPath), wayOf: (key) => wayOf(orders, key),
    orders: database === null ? null : await database.application.orders(), heard: heardOf(orders.heardPath, fleet),
  })
  const operationOf = new Map(records.map((call) => [call.key, call.operation]))
  const concerned = [...new Set(found.violations.map((violation) => violation.key))].slice(0, TOLD_AT_MOST)
  const tellings = await Promise.all(concerned.map(async (key) => ({ key, telling: await operator.tell(operationOf.get(key) ?? '', key).catch(() => null) })))
  const keep = options.keep || found.violations.length > 0 || fleet.mishaps.length > 0
  return {
    audit: found,
    kills: fleet.kills,
    freezes: fleet.freezes,
    crashes: database?.crashes ?? 0,
    cuts: database?.cuts ?? 0,
    delays: database?.delays ?? 0,
    falseClocks: fleet.ran.falseClock,
    olderProcesses: fleet.ran.older,
    older,
    durationMs: Date.now() - run.beganAt,
    faults: {
      ...tally(ledger.flatMap((entry) => ('how' in entry ? [`${entry.what} ${entry.how}`] : []))), ...prefixed('killed ', fleet.deaths), ...prefixed('frozen ', fleet.freezesAt), ...prefixed('connection ', database?.happened ?? {}),
      ...(database === null ? {} : { 'server processes killed': database.killed }),
    },
    mishaps: fleet.mishaps,
    tellings,
    folder: keep ? folder : null,
  }
}

/** What frozen workers had heard and lived long enough to keep: some die at a failpoint, or with the run. */
function heardOf(path: string, fleet: Fleet): readonly Heard[] {
  if (!existsSync(path)) return []
  const heard = readFileSync(path, 'utf8').split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as Heard)
  return heard.filter(({ pid }) => {
    const wentOnAt = fleet.wentOnAt.get(pid)
    return wentOnAt !== undefined && (fleet.diedAt.get(pid) ?? Date.now()) - wentOnAt > 0.9 * SPARED_MS
  })
}

function prefixed(prefix: string, counts: Readonly<Record<string, number>>): Record<string, number> {
  const points: Record<string, number> = {}
  for (const [name, count] of Object.entries(counts)) {
    const point = prefix + name.replace(/:kill@\d+$/, '')
    points[point] = (points[point] ?? 0) + count
  }
  return points
}
