/** A proxy in front of the mock that loses responses after the effect, resets, stalls, refuses, and goes down for a while. */
import { Agent, createServer, type IncomingMessage, request as forward, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { faultOf, OUTAGES } from './faults.ts'

type Answer = { readonly status: number; readonly headers: IncomingMessage['headers']; readonly body: Buffer }

const STALL_MS = 6_000
const ERRORS = { 'answered 500': [500, 'api_error'], 'answered 503': [503, 'api_error'], 'answered 429': [429, 'rate_limit_error'] } as const

export class Proxy {
  readonly #seed: number
  readonly #mockPort: number
  readonly #agent = new Agent({ keepAlive: true })
  readonly #server: Server
  readonly #requests = new Map<string, number>()
  readonly #timers: NodeJS.Timeout[] = []
  port = 0
  isDown = false
  /** Requests whose effect happened and whose answer never arrived. */
  lost = 0

  constructor(seed: number, mockPort: number) {
    this.#seed = seed
    this.#mockPort = mockPort
    this.#server = createServer((request, response) => {
      this.#carry(request, response).catch(() => response.destroy())
    })
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => void this.#server.listen(this.port, '127.0.0.1', resolve))
    this.port = (this.#server.address() as AddressInfo).port
  }

  /** Outages, counted from now. */
  begin(): void {
    for (const [fromMs, untilMs] of OUTAGES) {
      this.#timers.push(setTimeout(() => this.#goDown(), fromMs), setTimeout(() => this.#comeBack(), untilMs))
    }
  }

  #goDown(): void {
    this.isDown = true
    this.#server.close()
    this.#server.closeAllConnections()
  }

  #comeBack(): void {
    this.isDown = false
    this.#server.listen(this.port, '127.0.0.1')
  }

  close(): void {
    for (const timer of this.#timers) clearTimeout(timer)
    this.#server.close()
    this.#server.closeAllConnections()
    this.#agent.destroy()
  }

  async #carry(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => undefined)
    const body = Buffer.concat(await request.toArray() as Buffer[])
    const order = new URLSearchParams(body.toString()).get('metadata[order]') ?? 'other'
    const nth = (this.#requests.get(order) ?? 0) + 1
    this.#requests.set(order, nth)
    const { fault, latencyMs } = faultOf(this.#seed, order, nth)
    await this.#pause(latencyMs)
    if (fault === 'reset before') return void response.destroy()
    if (fault === 'answered 500' || fault === 'answered 503' || fault === 'answered 429') {
      const [status, type] = ERRORS[fault]
      return void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ error: { type, message: 'try again later' } }))
    }
    const answer = await this.#ask(request, body)
    if (fault !== 'none') this.lost++
    if (fault === 'response lost') return void response.destroy()
    if (fault === 'charged, then 502') return void response.writeHead(502, { 'content-type': 'text/html' }).end('<h1>Bad Gateway</h1>')
    if (fault === 'stalled') await this.#pause(STALL_MS)
    if (!response.destroyed) response.writeHead(answer.status, answer.headers).end(answer.body)
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#timers.push(setTimeout(resolve, ms)))
  }

  #ask(request: IncomingMessage, body: Buffer): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const options = { agent: this.#agent, host: '127.0.0.1', port: this.#mockPort, method: request.method, path: request.url, headers: request.headers }
      const outgoing = forward(options, (incoming) => {
        incoming.toArray().then((parts) => resolve({ status: incoming.statusCode ?? 500, headers: incoming.headers, body: Buffer.concat(parts as Buffer[]) }), reject)
      })
      outgoing.once('error', reject).end(body)
    })
  }
}
