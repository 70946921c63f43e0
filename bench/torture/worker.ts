/** A worker's process: works calls until it is killed, or told to leave. */
import { flushCompileCache } from 'node:module'
import process from 'node:process'
import { opened } from './opening.ts'
import { tortureOperations } from './operation.ts'
import { ordersOfThisProcess } from './orders.ts'
import { storeAt } from './place.ts'
import { type FromChild, Points } from './points.ts'

const { answer, numbers, place, providerPort, heardPath } = ordersOfThisProcess()
const points = new Points(heardPath)
const operations = tortureOperations({ answer, port: providerPort, numbers, answered: (key, attempt) => points.answered(key, attempt) })
const steward = await opened(() => ({
  store: storeAt(place, points),
  operations: [operations.effect, operations.order],
  lease: numbers.leaseMs,
  concurrency: 32,
  release: `pid ${process.pid}`,
  failpoints: points,
}))
steward.start()
process.once('SIGTERM', () => void steward.close({ grace: 3_000 }).finally(() => process.exit(0)))
process.send?.({ ready: Date.now() } satisfies FromChild)
// It will hardly end by itself: those that come after it start in half the time.
flushCompileCache()
