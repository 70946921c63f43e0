/**
 * The submitter's process: submits the run's keys at their time, some by `perform`, logs each acknowledgement, and
 * begins again where its log ends when it was killed. Some keys are submitted twice, some with another input.
 */
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { Steward, StewardError } from 'steward'
import { sqlite } from 'steward/sqlite'
import { seededBy } from '../seeded.ts'
import { AcknowledgedLog, readAcknowledged } from './acknowledged.ts'
import { type Input, tortureOperation } from './operation.ts'
import { ordersOfThisProcess } from './orders.ts'
import { sendFailpoints } from './send-failpoints.ts'

const AT_ONCE = 64

const { answer, seed, numbers, calls, dbPath, acknowledgedPath, providerPort, lengthMs, startedAt } = ordersOfThisProcess()
const before = new Set(readAcknowledged(acknowledgedPath).map((line) => line.key))
const log = new AcknowledgedLog(acknowledgedPath)
const operation = tortureOperation(answer, providerPort, numbers)
const failpoints = sendFailpoints()
const steward = await Steward.open({
  store: sqlite(dbPath), operations: [operation], lease: numbers.leaseMs, onAlert: null,
  log: { info: () => undefined, warn: () => undefined, error: (message, fields) => console.error(message, fields) },
  ...(failpoints ? { failpoints } : {}),
})
process.send?.('ready')

async function enter(key: string): Promise<void> {
  const random = seededBy(seed, key, 'submit')
  const input: Input = { key, amount: Math.floor(random() * 10_000) }
  if (random() < 0.12) {
    const outcome = await steward.perform(operation, { key, input, wait: numbers.timeoutMs })
    log.add({ key, id: outcome.call.id, how: 'perform' })
  } else {
    const { id } = await steward.submit(operation, { key, input })
    log.add({ key, id, how: 'submit' })
  }
  if (random() < 0.05) await again(key, input)
  if (random() < 0.02) await withAnotherInput(key, input)
}

async function again(key: string, input: Input): Promise<void> {
  const { status } = await steward.submit(operation, { key, input })
  if (status !== 'joined') log.add({ key, wrong: 'a key that was acknowledged was created again' })
}

async function withAnotherInput(key: string, input: Input): Promise<void> {
  const refused = await steward.submit(operation, { key, input: { ...input, amount: input.amount + 1 } }).then(() => null, (error: unknown) => error)
  if (refused instanceof StewardError && refused.code === 'STEWARD_KEY_REUSED') return
  if (!(refused instanceof StewardError)) log.add({ key, wrong: 'another input was accepted under the same key' })
}

/** A submit that is refused to our face is submitted again: nothing was stored, or it joins. */
async function enterUntilAcknowledged(key: string): Promise<void> {
  for (;;) {
    try {
      return await enter(key)
    } catch (error) {
      if (!(error instanceof StewardError)) throw error
      console.error(`submitter: ${key}: ${error.message}`)
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
await steward.close({ grace: 3_000 })
process.exit(0)
