/** A provider that answers when it is told to, and the operation that asks it. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { providerKey } from '../ports/definition.ts'
import type { StandardSchema } from '../ports/standard-schema.ts'
import { defineOperation } from '../runtime/operation.ts'

const input: StandardSchema<{ readonly n?: number }> = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value: value as { n?: number } }) } }

/** Everything but the provider's address and the first backoff is the default. */
export function charging(url: string) {
  return defineOperation({
    name: 'charge', input, idempotency: providerKey({ retention: '1h' }), timeout: '30s',
    async send(_input, { fetch, idempotencyKey, call }) {
      const response = await fetch(url, { method: 'POST', headers: { 'idempotency-key': idempotencyKey, 'x-call': call.key } })
      return await response.json()
    },
  })
}

export class HoldingProvider {
  /** Keys of calls in the order in which their requests arrived. */
  readonly reached: string[] = []
  #held: (() => void)[] = []
  #holds = true
  #looks: (() => void)[] = []
  readonly #server: Server

  constructor() {
    this.#server = createServer((request, response) => {
      this.reached.push(String(request.headers['x-call']))
      const answer = (): void => void response.end('{"ok":true}')
      if (this.#holds) this.#held.push(answer)
      else answer()
      for (const look of this.#looks) look()
    })
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => void this.#server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`
  }

  /** When so many requests have arrived. */
  arrived(count: number): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => { if (this.reached.length >= count) resolve() }
      this.#looks.push(look)
      look()
    })
  }

  /** Answers everything, now and from now on. */
  answer(): void {
    this.#holds = false
    for (const answer of this.#held.splice(0)) answer()
  }

  hold(): void {
    this.#holds = true
  }

  close(): void {
    this.#server.closeAllConnections()
    this.#server.close()
  }
}
