/**
 * A provider without idempotency keys that can be asked: `reconcile`.
 *
 * Two payouts get no answer. One of them happened, the other did not. Before anything is sent again, Steward waits
 * until the provider's list can be trusted and looks: the first is found and not repeated, the second is sent again.
 *
 *   node examples/02-look-before-resend.ts
 */
import { createServer } from 'node:http'
import { mkdtempSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineOperation, reconcile, Steward } from 'steward'
import { sqlite } from 'steward/sqlite'
import * as z from 'zod'

const payouts: { id: string; reference: string }[] = []
const seen = new Set<string>()
const provider = createServer((request, response) => {
  const reference = new URL(request.url ?? '/', 'http://provider').searchParams.get('reference') ?? ''
  if (request.method === 'GET') return void response.end(JSON.stringify(payouts.filter((payout) => payout.reference === reference)))
  const isFirst = !seen.has(reference)
  seen.add(reference)
  const happens = !isFirst || reference === 'invoice-1'
  if (happens) payouts.push({ id: `po_${payouts.length + 1}`, reference })
  if (isFirst) request.socket.destroy()
  else response.end(JSON.stringify(payouts.at(-1)))
})
await new Promise<void>((resolve) => void provider.listen(0, '127.0.0.1', resolve))
const url = (reference: string): string => `http://127.0.0.1:${(provider.address() as AddressInfo).port}/payouts?reference=${reference}`

const payOut = defineOperation<{ reference: string; amount: number }, { reference: string; amount: number }, { payoutId: string }>({
  name: 'pay-out',
  input: z.object({ reference: z.string(), amount: z.int() }),
  idempotency: reconcile(
    async (input, { fetch, signal }) => {
      const response = await fetch(url(input.reference), { signal })
      const [found] = (await response.json()) as { id: string }[]
      return found ? { found: { payoutId: found.id }, reference: found.id } : { absent: true }
    },
    { settle: '200ms', lookupEvery: '100ms' },
  ),
  timeout: '500ms',
  backoff: { base: '50ms' },
  async send(input, { fetch, signal }) {
    const response = await fetch(url(input.reference), { method: 'POST', signal })
    return { payoutId: ((await response.json()) as { id: string }).id }
  },
})

const folder = mkdtempSync(join(tmpdir(), 'steward-example-'))
const steward = await Steward.open({ store: sqlite(join(folder, 'steward.db')), operations: [payOut] })
steward.start()

for (const reference of ['invoice-1', 'invoice-2']) {
  const outcome = await steward.perform(payOut, { key: reference, input: { reference, amount: 900 }, wait: '10s' })
  const made = payouts.filter((payout) => payout.reference === reference).length
  console.log(`${reference}: effect ${outcome.effect}, requests sent: ${outcome.attempts}, payouts at the provider: ${made}`)
}

await steward.close()
provider.close()
provider.closeAllConnections()
rmSync(folder, { recursive: true })
