/**
 * The submitter's process: submits the run's keys at their time, some by `perform`, some inside transactions of the
 * application's own, logs each acknowledgement, and begins again where its log ends when it was killed. Some keys are
 * submitted twice, some with another input.
 */
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { type CallerTx, StewardError } from 'steward'
import { seededBy } from '../seeded.ts'
import { AcknowledgedLog, readAcknowledged } from './acknowledged.ts'
import { Application } from './application.ts'
import { opened } from './opening.ts'
import { type Input, tortureOperations } from './operation.ts'
import { ordersOfThisProcess } from './orders.ts'
import { storeAt } from './place.ts'
import { type FromChild, Points } from './points.ts'
import { wayOf } from './ways.ts'

const AT_ONCE = 64

const orders = ordersOfThisProcess()
const { answer, seed, numbers, calls, place, acknowledgedPath, heardPath, providerPort, lengthMs, startedAt } = orders
const before = new Set(readAcknowledged(acknowledgedPath).map((line) => line.key))
const log = new AcknowledgedLog(acknowledgedPath)
const points = new Points(heardPath)
const operations = tortureOperations({ answer, port: providerPort, numbers })
const application = place.kind === 'postgres' ? new Application(place.url) : null
const steward = await opened(() => ({ store: storeAt(place, points), operations: [operations.effect, operations.order], lease: numbers.leaseMs, failpoints: points }))
process.send?.({ ready: Date.now() } satisfies FromChild)

async function enter(key: string): Promise<void> {
  const random = seededBy(seed, key, 'submit')
  const input: Input = { key, amount: Math.floor(random() * 10_000) }
  const way = wayOf(orders, key)
  if (way === 'rolled back') return await undo(key, input, random)
  if (way === 'transaction') await order(key, input)
  else if (way === 'perform') {
    const outcome = await steward.perform(operations.effect, { key, input, wait: numbers.timeoutMs })
    log.add({ key, id: outcome.call.id, how: way })
  } else {
    const { id } = await steward.submit(operations.effect, { key, input })
    log.add({ key, id, how: way })
  }
  const operation = way === 'transaction' ? operations.order : operations.effect
  if (random() < 0.05) await again(operation, key, input)
  if (random() < 0.02) await withAnotherInput(operation, key, input)
}

const within = (key: string, input: Input) => async (tx: CallerTx): Promise<string> => (await steward.submit(operations.order, { key, input, tx })).id

async function order(key: string, input: Input): Promise<void> {
  const id = await (application as Application).order(key, within(key, input), 'commit')
  log.add({ key, id, how: 'transaction' })
}

async function undo(key: string, input: Input, random: () => number): Promise<void> {
  await (application as Application).order(key, within(key, input), random() < 0.7 ? 'rollback' : 'disconnect')
  log.add({ key, undone: true })
}

async function again(operation: typeof operations.effect, key: string, input: Input): Promise<void> {
  const { status } = await steward.submit(operation, { key, input })
  if (status !== 'joined') log.add({ key, wrong: 'a key that was acknowledged was created again' })
}

async function withAnotherInput(operation: typeof operations.effect, key: string, input: Input): Promise<void> {
  const refused = await steward.submit(operation, { key, input: { ...input, amount: input.amount + 1 } }).then(() => null, (error: unknown) => error)
  if (refused instanceof StewardError && refused.code === 'STEWARD_KEY_REUSED') return
  if (!(refused instanceof StewardError)) log.add({ key, wrong: 'another input was accepted under the same key' })
}

/** What is refused to our face, or not known to be committed, is done again: nothing was stored, or it joins. */
async function enterUntilAcknowledged(key: string): Promise<void> {
  for (;;) {
    try {
      return await enter(key)
    } catch (error) {
      // On SQLite nothing but the store itself can refuse; the application's own connections break like all others.
      if (application === null && !(error instanceof StewardError)) throw error
      if (error instanceof StewardError && error.code === 'STEWARD_KEY_REUSED') throw error
      await sleep(100)
    }
  }
}

const pending = new Set<Promise<void>>()
for (let i = 0; i < calls; i++) {
  const key = `k-${i}`
  if (before.has(key)) continue
  const waitMs = startedAt + (i / calls) * lengthMs - Date.now()
  if (waitMs > 1) await sleep(waitMs)
  while (pending.size >= AT_ONCE) await Promise.race(pending)
  const one: Promise<void> = enterUntilAcknowledged(key).finally(() => pending.delete(one))
  pending.add(one)
}
await Promise.all(pending)
log.close()
await application?.close()
await steward.close({ grace: 3_000 })
process.exit(0)
