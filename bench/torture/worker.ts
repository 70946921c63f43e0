/** A worker's process: works calls until it is killed, or told to leave. */
import process from 'node:process'
import { Steward } from 'steward'
import { sqlite } from 'steward/sqlite'
import { tortureOperation } from './operation.ts'
import { ordersOfThisProcess } from './orders.ts'
import { sendFailpoints } from './send-failpoints.ts'

const { answer, numbers, dbPath, providerPort } = ordersOfThisProcess()
const failpoints = sendFailpoints()
const steward = await Steward.open({
  store: sqlite(dbPath),
  operations: [tortureOperation(answer, providerPort, numbers)],
  lease: numbers.leaseMs,
  concurrency: 32,
  onAlert: null,
  release: `pid ${process.pid}`,
  log: { info: () => undefined, warn: () => undefined, error: (message, fields) => console.error(message, fields) },
  ...(failpoints ? { failpoints } : {}),
})
steward.start()
process.once('SIGTERM', () => void steward.close({ grace: 3_000 }).finally(() => process.exit(0)))
process.send?.('ready')
