/** The call that is measured: about 300 bytes to the provider through a shared undici Pool, about 150 back. */
import { defineOperation, type Operation, providerKey } from 'steward'
import { Pool } from 'undici'
import * as z from 'zod'

export type Charge = { readonly orderId: string; readonly amount: number; readonly currency: string; readonly customer: string; readonly email: string; readonly description: string; readonly note: string }
export type Charged = { readonly id: string }

export const CONCURRENT = 50
/** A worker's slot is taken while its begin is being stored, too: to keep that many connections busy it takes more. The provider sees no more at once than of the bare client. */
export const SLOTS = 2 * CONCURRENT

/** Calls before those whose latency is measured. */
export const WARM = 1_000

export function poolOf(port: number): Pool {
  return new Pool(`http://127.0.0.1:${port}`, { connections: CONCURRENT, pipelining: 1 })
}

export function chargeOf(n: number): Charge {
  return {
    orderId: `o_${n}`, amount: 1_000 + (n % 9_000), currency: 'eur', customer: `cus_${String(n).padStart(14, '0')}`, email: `customer-${n}@example.com`,
    description: 'Order of three books and a lamp, sent to the address on file, gift wrapped',
    note: 'Leave it with the neighbours on the left when nobody opens the door.',
  }
}

/** What both the raw loop and `send` do: one POST, and the body read as JSON. */
export async function post(pool: Pool, path: string, charge: Charge, idempotencyKey: string, signal?: AbortSignal): Promise<Charged> {
  const headers = { 'content-type': 'application/json', 'idempotency-key': idempotencyKey }
  const { statusCode, body } = await pool.request({ method: 'POST', path, headers, body: JSON.stringify(charge), ...(signal ? { signal } : {}) })
  const answer = (await body.json()) as Charged
  if (statusCode !== 200) throw Object.assign(new Error(`answered ${statusCode}`), { status: statusCode })
  return answer
}

const SCHEMA = z.object({ orderId: z.string(), amount: z.int(), currency: z.string(), customer: z.string(), email: z.string(), description: z.string(), note: z.string() })

/** @param onSent told after each send, so that a worker can tell when to look whether all is recorded. */
export function chargeOperation(pool: Pool, options: { readonly hold?: boolean; readonly signal?: boolean; readonly onSent?: () => void } = {}): Operation<Charge, Charge, Charged> {
  const { hold = false, signal = true, onSent } = options
  return defineOperation<Charge, Charge, Charged>({
    name: 'charge-order',
    input: SCHEMA,
    idempotency: providerKey({ retention: '24h' }),
    timeout: '30s',
    async send(input, context) {
      const { id } = await post(pool, hold ? `/hold/${input.orderId}` : '/charges', input, context.idempotencyKey, signal ? context.signal : undefined)
      onSent?.()
      return { id }
    },
  })
}
