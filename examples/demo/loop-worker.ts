/**
 * The ordinary way: a loop with a few tries and backoff, and a list of what is done.
 *
 * Killed and started again, it goes on with whatever its list does not call done. With `--keys` it also makes an
 * idempotency key for each order, which lives as long as the process.
 */
import { randomUUID } from 'node:crypto'
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { charge, stripeAt } from './charge.ts'
import { arrivesAt, type Order, ORDERS, settingOfThisProcess } from './orders.ts'

const TRIES = 4
const AT_ONCE = 16

const setting = settingOfThisProcess()
const withKeys = process.argv.includes('--keys')
const stripe = stripeAt(setting.proxyPort)
const listPath = join(setting.folder, `${setting.strategy}.list`)
const list = existsSync(listPath) ? readFileSync(listPath, 'utf8').split('\n').filter((line) => line !== '') : []
const settled = new Set(list.map((line) => line.split(' ')[0]))
process.send?.({ settled: settled.size })

function settle(order: Order, how: 'charged' | 'gave-up'): void {
  appendFileSync(listPath, `${order.id} ${how}\n`)
  settled.add(order.id)
  process.send?.({ settled: settled.size })
}

async function chargeWithRetry(order: Order): Promise<void> {
  const key = withKeys ? randomUUID() : undefined
  for (let i = 0; i < TRIES; i++) {
    try {
      await charge(stripe, order, setting, key)
      return settle(order, 'charged')
    } catch {
      if (i < TRIES - 1) await sleep(200 * 2 ** i * (0.5 + Math.random()))
    }
  }
  settle(order, 'gave-up')
}

const pending = new Set<Promise<void>>()
for (const [n, order] of ORDERS.entries()) {
  if (settled.has(order.id)) continue
  const waitMs = arrivesAt(n, setting.startedAt) - Date.now()
  if (waitMs > 0) await sleep(waitMs)
  while (pending.size >= AT_ONCE) await Promise.race(pending)
  const one: Promise<void> = chargeWithRetry(order).finally(() => pending.delete(one))
  pending.add(one)
}
await Promise.all(pending)
process.exit(0)
