/**
 * `npm run demo`: 300 orders are charged with the official Stripe SDK, three ways, under the same faults, while each
 * worker is killed six times. The table at the end is read from the Stripe mock's own ledger.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type CallView, Steward, type Telling } from 'steward'
import { sqlite } from 'steward/sqlite'
import { KILLS_MS, OUTAGES } from './faults.ts'
import { readLedger } from './mock-ledger.ts'
import { chargeOrder } from './operation.ts'
import { arrivesAt, ORDERS, type Setting } from './orders.ts'
import { endProgress, heading, progress, type Row, story, table } from './screen.ts'
import { Strategy } from './strategy.ts'

const SEED = 7
/** Whatever is not through by then is shown as it is. */
const LIMIT_MS = 45_000

async function startMock(): Promise<{ readonly child: ChildProcess; readonly port: number }> {
  const child = fork(join(import.meta.dirname, 'mock.ts'), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const [{ port }] = (await once(child, 'message')) as [{ port: number }]
  return { child, port }
}

/** The shop: accepts orders as they come in, in this process. Its acknowledgement is Steward's promise. */
async function acceptOrders(setting: Setting): Promise<Steward> {
  const operation = chargeOrder(setting)
  const quiet = { info: () => undefined, warn: () => undefined, error: (message: string) => console.error(message) }
  const steward = await Steward.open({ store: sqlite(join(setting.folder, 'steward.db')), operations: [operation], log: quiet })
  const accept = async (): Promise<void> => {
    for (const [n, order] of ORDERS.entries()) {
      await sleep(Math.max(0, arrivesAt(n, setting.startedAt) - Date.now()))
      await steward.submit(operation, { key: order.id, input: order })
    }
  }
  accept().catch((error: unknown) => console.error(error))
  return steward
}

async function untilThrough(strategies: readonly Strategy[], ours: Strategy, steward: Steward, startedAt: number): Promise<void> {
  for (let turn = 0; Date.now() < startedAt + LIMIT_MS; turn++) {
    const calls = await steward.list({ limit: 1_000 })
    ours.settled = calls.filter((call) => call.endedAt !== null).length
    ours.finished = ours.settled === ORDERS.length && ours.kills >= KILLS_MS.length
    if (process.stdout.isTTY || turn % 10 === 0) progress(strategies, Date.now() - startedAt)
    if (strategies.every((one) => one.finished)) break
    await sleep(200)
  }
  endProgress()
}

/** A lost worker or an unknown outcome makes a better story than one more refused connection. */
function eventfulness(call: CallView): number {
  return call.story.reduce((sum, entry) => sum + (entry.what === 'lapsed' ? 8 : entry.what === 'closed' && entry.verdict === 'unknown' ? 6 : 1), 0)
}

async function mostEventful(steward: Steward): Promise<Telling | null> {
  const calls = await steward.list({ limit: 1_000 })
  const most = calls.reduce<CallView | null>((best, call) => (best !== null && eventfulness(best) >= eventfulness(call) ? best : call), null)
  return most === null ? null : await steward.tell(most.operation, most.key)
}

function conclude(rows: readonly Row[], telling: Telling | null, kills: number, lost: number): void {
  console.log(`Every worker was killed with SIGKILL ${kills} times; ${lost} answers of Stripe were lost after the charge on Steward's side alone.`)
  console.log("Orders by how often they were charged, from the mock's own ledger:\n")
  table(rows)
  if (telling !== null) {
    console.log('')
    heading('The most eventful call:')
    story(telling)
  }
  console.log('\nWhat to type next:')
  console.log('  npx node examples/01-first-call.ts         the smallest program: a lost response, one charge')
  console.log('  npx node examples/02-look-before-resend.ts no keys, but a lookup')
  console.log('  npx node examples/03-a-person-settles.ts   neither: in doubt, told, settled by a person')
  console.log('  npm run torture -- --help                 the same in earnest: 5,000 calls, 50 kills, an auditor')
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { json: { type: 'string' } } })
  const folder = mkdtempSync(join(tmpdir(), 'steward-demo-'))
  const mock = await startMock()
  const ours = new Strategy('steward', 'Steward', 'steward-worker.ts', [], SEED, mock.port)
  const strategies = [
    new Strategy('loop', 'retry loop', 'loop-worker.ts', [], SEED, mock.port),
    new Strategy('loop-with-keys', 'loop with keys in memory', 'loop-worker.ts', ['--keys'], SEED, mock.port),
    ours,
  ]
  let steward: Steward | null = null
  try {
    heading(`Charging ${ORDERS.length} orders with the Stripe SDK, ${strategies.length} ways, through a network that loses, resets and stalls.`)
    console.log(`Stripe goes down ${OUTAGES.length} times; each worker is killed ${KILLS_MS.length} times. About half a minute.\n`)
    const startedAt = Date.now() + 300
    const settings = await Promise.all(strategies.map((one) => one.begin(folder, startedAt)))
    steward = await acceptOrders(settings.at(-1) as Setting)
    await untilThrough(strategies, ours, steward, startedAt)
    const ledger = await readLedger(mock.port, strategies.map((one) => one.name))
    const inDoubt = (await steward.list({ states: ['in_doubt'], limit: 1_000 })).length
    const rows = strategies.map((one): Row => ({ name: one.name, label: one.label, inDoubt: one === ours ? inDoubt : 0, ...(ledger.get(one.name) ?? { once: 0, twice: 0, never: ORDERS.length }) }))
    conclude(rows, await mostEventful(steward), ours.kills, ours.proxy.lost)
    const named = rows.map(({ name, once: charged, twice, never, inDoubt: doubts }) => ({ name, once: charged, twice, never, inDoubt: doubts }))
    if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ kills: ours.kills, strategies: named }, null, 2)}\n`)
    return rows.some((row) => row.name === 'steward' && row.once === ORDERS.length) ? 0 : 1
  } finally {
    for (const one of strategies) one.end()
    await steward?.close()
    mock.child.kill()
    rmSync(folder, { recursive: true, force: true })
  }
}

process.exitCode = await main()
