/** Providers that misbehave on cue, on the loopback, each with a ledger of the effects it really had. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import net, { type AddressInfo, type Server, type Socket } from 'node:net'
import { once, EventEmitter } from 'node:events'

/**
 * What the peer does with the next request: a status is answered (2xx after the effect, others without one);
 * `reset-before` and `reset-after` cut the connection before or after the effect; `truncate` answers half a body after
 * the effect; `stall` has the effect and never answers; `hold` waits for `release()`, then acts and answers 200.
 */
export type Behaviour = number | 'reset-before' | 'reset-after' | 'truncate' | 'stall' | 'hold' | 'late-500'

export type Seen = { method: string; path: string; headers: IncomingMessage['headers']; body: string }

export class Peer extends EventEmitter {
  readonly seen: Seen[] = []
  readonly effects: string[] = []
  readonly script: Behaviour[] = []
  fallback: Behaviour = 200
  retryAfter: string | undefined = undefined
  readonly server: Server
  private readonly held: (() => void)[] = []

  constructor() {
    super()
    this.server = createServer((request, response) => this.take(request, response))
  }

  async open(): Promise<this> {
    this.server.listen(0, '127.0.0.1')
    await once(this.server, 'listening')
    return this
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`
  }

  /** Resolves when so many requests have been seen in all. */
  async arrived(count: number): Promise<void> {
    while (this.seen.length < count) await once(this, 'seen')
  }

  release(): void {
    for (const go of this.held.splice(0)) go()
  }

  /** Stops listening: new connections are refused; the open ones stay. */
  refuse(): void {
    this.server.close()
  }

  async close(): Promise<void> {
    ;(this.server as ReturnType<typeof createServer>).closeAllConnections()
    if (this.server.listening) await new Promise((resolve) => void this.server.close(resolve))
  }

  private take(request: IncomingMessage, response: ServerResponse): void {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('error', () => {})
    request.on('end', () => {
      const behaviour = this.script.shift() ?? this.fallback
      this.act(behaviour, request, response, body)
      this.seen.push({ method: request.method ?? '', path: request.url ?? '', headers: request.headers, body })
      this.emit('seen')
    })
  }

  private act(behaviour: Behaviour, request: IncomingMessage, response: ServerResponse, body: string): void {
    const effect = (): void => void this.effects.push(`${request.method} ${request.url} ${body}`)
    const reset = (): void => void request.socket.resetAndDestroy()
    if (behaviour === 'hold') {
      this.held.push(() => this.act(200, request, response, body))
    } else if (behaviour === 'reset-before') {
      reset()
    } else if (behaviour === 'stall') {
      effect()
    } else if (behaviour === 'reset-after') {
      effect()
      reset()
    } else if (behaviour === 'truncate') {
      effect()
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '500' })
      response.write('{"id":"ch_1","half":', () => request.socket.destroy())
    } else {
      if (behaviour === 'late-500' || behaviour < 300) effect()
      this.answer(behaviour === 'late-500' ? 500 : behaviour, response)
    }
  }

  private answer(status: number, response: ServerResponse): void {
    if (this.retryAfter !== undefined) response.setHeader('retry-after', this.retryAfter)
    response.writeHead(status, { 'content-type': 'application/json' })
    const failed = { error: { type: 'card_error', message: 'no' }, __type: 'Refused', message: 'no' }
    response.end(JSON.stringify(status < 300 ? { id: 'ch_1', object: 'charge' } : failed))
  }
}

/** A port on which nobody listens. */
export async function closedPort(): Promise<number> {
  const server = net.createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Where a mail server fails: a reply instead of the good one, or the connection cut at that point. */
export type MailFault = { at: 'greeting' | 'auth' | 'mail' | 'rcpt' | 'data' | 'content' | 'done'; reply?: string }

/** Just enough of an SMTP server; `effects` are the mails it took. `done` takes the mail and cuts the connection. */
export async function mailPeer(fault: MailFault | undefined): Promise<{ port: number; effects: string[]; close(): void }> {
  const effects: string[] = []
  const sockets = new Set<Socket>()
  const server = net.createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    serveMail(socket, fault, effects)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = (): void => {
    server.close()
    for (const socket of sockets) socket.destroy()
  }
  return { port: (server.address() as AddressInfo).port, effects, close }
}

function serveMail(socket: Socket, fault: MailFault | undefined, effects: string[]): void {
  let content: string | undefined
  const say = (at: MailFault['at'], good: string): boolean => {
    if (fault?.at === at) {
      if (fault.reply === undefined) socket.resetAndDestroy()
      else socket.write(`${fault.reply}\r\n`)
      return false
    }
    socket.write(`${good}\r\n`)
    return true
  }
  const line = (text: string): void => {
    if (content !== undefined) {
      if (text !== '.') content += `${text}\n`
      else if (fault?.at === 'done') {
        effects.push(content)
        socket.resetAndDestroy()
      } else {
        if (say('content', '250 taken')) effects.push(content)
        content = undefined
      }
    } else if (/^EHLO/i.test(text)) socket.write('250-peer\r\n250 AUTH PLAIN\r\n')
    else if (/^AUTH/i.test(text)) say('auth', '235 ok')
    else if (/^MAIL/i.test(text)) say('mail', '250 ok')
    else if (/^RCPT/i.test(text)) say('rcpt', '250 ok')
    else if (/^DATA/i.test(text)) content = say('data', '354 go on') ? '' : undefined
    else socket.write('250 ok\r\n')
  }
  let rest = ''
  socket.on('data', (chunk) => {
    const lines = (rest + chunk.toString()).split('\r\n')
    rest = lines.pop() ?? ''
    for (const each of lines) if (!socket.destroyed) line(each)
  })
  say('greeting', '220 peer')
}
