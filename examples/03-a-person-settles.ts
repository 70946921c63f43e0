/**
 * A provider with neither keys nor a lookup: `none`. The honest answer to a lost response is doubt.
 *
 * A letter is ordered and the answer is lost. Steward does not send again: the call is in doubt, somebody is told, and
 * a person who has asked the print shop settles it. The story keeps who said what, and why.
 *
 *   node examples/03-a-person-settles.ts
 */
import { createServer } from 'node:http'
import { mkdtempSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineOperation, none, Steward } from 'steward'
import { sqlite } from 'steward/sqlite'
import * as z from 'zod'

let letters = 0
const provider = createServer((request) => {
  letters++
  request.socket.destroy()
})
await new Promise<void>((resolve) => void provider.listen(0, '127.0.0.1', resolve))
const url = `http://127.0.0.1:${(provider.address() as AddressInfo).port}/letters`

const sendLetter = defineOperation({
  name: 'send-letter',
  input: z.object({ to: z.string(), text: z.string() }),
  idempotency: none('the print shop takes orders by a form post and has no order list'),
  timeout: '5s',
  owner: 'letters team',
  runbook: 'call the print shop and ask for the order of that day',
  async send(input, { fetch, signal }) {
    const response = await fetch(url, { method: 'POST', body: JSON.stringify(input), signal })
    const ordered = (await response.json()) as { orderId: string }
    return ordered
  },
})

const folder = mkdtempSync(join(tmpdir(), 'steward-example-'))
const told = Promise.withResolvers<string>()
const steward = await Steward.open({
  store: sqlite(join(folder, 'steward.db')),
  operations: [sendLetter],
  onAlert: (alert) => told.resolve(`${alert.severity}: ${alert.kind} ${alert.key}`),
})
steward.start()

const outcome = await steward.perform(sendLetter, { key: 'letter-5', input: { to: 'Ana', text: 'Your account is open.' }, wait: '10s' })
console.log(`effect: ${outcome.effect}, state: ${outcome.state}, letters ordered: ${letters}`)
console.log(`told: ${await told.promise}`)

const settled = await steward.settle(sendLetter, 'letter-5', { outcome: 'happened', by: 'ana@example.com', why: 'the print shop has the order', result: { orderId: 'P-88' } })
console.log(`settled: ${settled.state}, letters ordered: ${letters}`)
const { answers } = await steward.tell(sendLetter, 'letter-5')
console.log(`is it safe to press retry? ${answers.retry}`)

await steward.close()
provider.close()
provider.closeAllConnections()
rmSync(folder, { recursive: true })
