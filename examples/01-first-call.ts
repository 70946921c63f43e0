/**
 * The smallest program: one charge, whose response is lost.
 *
 * The provider does what it is asked and loses its first answer. The provider deduplicates by key, and the operation
 * says so; Steward sends the same key again, and the order is charged once.
 *
 *   node examples/01-first-call.ts
 */
import { createServer } from 'node:http'
import { mkdtempSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineOperation, providerKey, Steward } from 'steward'
import { sqlite } from 'steward/sqlite'
import * as z from 'zod'

const charges = new Map<string, string>()
const provider = createServer((request, response) => {
  const key = String(request.headers['idempotency-key'])
  const isRepeat = charges.has(key)
  if (!isRepeat) charges.set(key, `ch_${charges.size + 1}`)
  if (isRepeat) response.end(JSON.stringify({ chargeId: charges.get(key) }))
  else request.socket.destroy()
})
await new Promise<void>((resolve) => void provider.listen(0, '127.0.0.1', resolve))
const url = `http://127.0.0.1:${(provider.address() as AddressInfo).port}/charges`

const chargeOrder = defineOperation({
  name: 'charge-order',
  input: z.object({ orderId: z.string(), amount: z.int() }),
  idempotency: providerKey({ retention: '24h' }),
  timeout: '5s',
  backoff: { base: '50ms' },
  async send(input, { idempotencyKey, signal, fetch }) {
    const headers = { 'idempotency-key': idempotencyKey, 'content-type': 'application/json' }
    const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(input), signal })
    const charged = (await response.json()) as { chargeId: string }
    return charged
  },
})

const folder = mkdtempSync(join(tmpdir(), 'steward-example-'))
const steward = await Steward.open({ store: sqlite(join(folder, 'steward.db')), operations: [chargeOrder] })
steward.start()

const input = { orderId: 'o_17', amount: 4_200 }
const outcome = await steward.perform(chargeOrder, { key: 'o_17', input, wait: '10s' })
console.log(`effect: ${outcome.effect}, attempts: ${outcome.attempts}, charges at the provider: ${charges.size}`)

// Asked again, by whomever and whenever: the same call, the same outcome, and nothing is sent.
const again = await steward.submit(chargeOrder, { key: 'o_17', input })
console.log(`submitted again: ${again.status}, charges at the provider: ${charges.size}`)

await steward.close()
provider.close()
provider.closeAllConnections()
rmSync(folder, { recursive: true })
