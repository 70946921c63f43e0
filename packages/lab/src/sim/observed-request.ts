/**
 * A request of modelled code, shown to Steward's wire witness as `node:http` would show it.
 *
 * The witness and its gate listen to Node's diagnostics channels. Modelled requests have no sockets, so they say on
 * the same channels what a real one would: created, socket, connected, answered, failed. The gate stops them by the
 * same means (`destroy`). That way the simulator runs the witness and the gate of production, too.
 */
import { channel } from 'node:diagnostics_channel'
import type { ClientRequest } from '../contract.ts'

const CREATED = channel('http.client.request.created')
const FINISHED = channel('http.client.response.finish')
const FAILED = channel('http.client.request.error')

type OnSocket = (this: ObservedRequest, socket: ObservedSocket) => void
class ObservedSocket {
  readonly connecting = true
  readonly onConnect: (() => void)[] = []
  prependOnceListener(_event: string, listener: () => void): void {
    this.onConnect.unshift(listener)
  }
}

export class ObservedRequest {
  readonly method: string
  readonly protocol = 'https:'
  readonly host: string
  readonly path: string
  readonly headersSent = false
  destroyed = false
  /** What the gate stopped it with. */
  stoppedBy: Error | null = null
  readonly #headers: Record<string, string>
  readonly #socket = new ObservedSocket()
  #onSocket: OnSocket | null = null

  /** Made in the async context of the code that sends. */
  constructor(request: ClientRequest) {
    this.method = request.method
    this.path = request.path
    this.host = `api.${request.provider}.test`
    this.#headers = { host: this.host, ...request.headers }
    CREATED.publish({ request: this })
    this.#onSocket?.(this.#socket)
  }

  getHeader(name: string): string | undefined { return this.#headers[name] }
  getHeaders(): Readonly<Record<string, string>> { return this.#headers }
  hasHeader(name: string): boolean { return name in this.#headers }
  removeHeader(name: string): void { this.#headers[name] = '' }
  prependOnceListener(_event: 'socket', listener: OnSocket): void { this.#onSocket = listener }
  destroy(error?: Error): this {
    this.destroyed = true
    this.stoppedBy ??= error ?? new Error('destroyed')
    return this
  }

  /** The connection stands: from here on its bytes may leave, unless the gate says otherwise. */
  connected(): void {
    for (const listener of this.#socket.onConnect.splice(0)) listener()
  }

  answered(statusCode: number): void {
    FINISHED.publish({ request: this, response: { statusCode } })
  }

  failed(error: unknown): void {
    FAILED.publish({ request: this, error })
  }
}
