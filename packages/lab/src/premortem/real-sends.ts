/**
 * Lets a user's real `send` and `lookup` play in a simulated world: the operation's own code with its own client, whose
 * connections land at a server in this process (`intercept.ts`), whose requests are carried over the simulated network
 * to the provider model.
 *
 * Two times meet here. A client works in real time, the engine and the provider live in virtual time. While a client is
 * at work (it composes, writes, parses), virtual time stands still (`busy`); while it waits for a connection, for an
 * answer, or for a timer of its own (`virtual-timers.ts`), virtual time goes on. Whether a client with a timer is at
 * work or asleep cannot be seen; it counts as asleep when nothing of it was seen for a number of turns of the event
 * loop. One that has neither is given longer, but not for ever.
 *
 * Real clients are not deterministic to the byte; they are held to the contract, not to a trace.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import http from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Json, LookupContext, Operation, SendContext } from 'steward'
import { realSystem } from 'steward/internal'
import type { Client, ClientAnswer, ClientRequest, Connection, OperationSource } from '../contract.ts'
import type { ProviderContract } from '../providers/contract.ts'
import type { SimWorld } from '../sim/world.ts'
import type { Premortem } from './definition.ts'
import { intercept, type Interception } from './intercept.ts'
import { contractOf } from './model-of.ts'
import { turnOverTimers } from './virtual-timers.ts'
import { amountOf, isQuestion, isTokenRequest, type Parsed, parsedBody } from './payload.ts'

/**
 * Turns of the event loop without a sign of life after which a client that has set a timer is asleep. Both ends of its
 * connections are in this process, so that whatever comes, comes within a turn or two.
 */
const ASLEEP_TURNS = 25
/** And after which, with some real time, the world goes on without one that has set none. */
const PATIENCE = { turns: 2_000, ms: 100 }

/** One running `send` or `lookup`. */
type Work = { readonly client: Client; readonly key: string; readonly operation: string; readonly idempotencyKey: string; readonly isLookup: boolean; /** What it waits for in virtual time. */ waits: number; timers: number; turns: number; lastSeenMs: number }
type Line = { readonly work: Work; readonly connection: Connection }

export class RealSends {
  readonly contract: ProviderContract
  readonly source: OperationSource
  readonly #answers: Premortem['answers']
  readonly #passes: readonly string[]
  readonly #context = new AsyncLocalStorage<Work>()
  readonly #works = new Set<Work>()
  /** The latest work under each provider-facing key, over or not. */
  readonly #byKey = new Map<string, Work>()
  /** Connections by the local port of the client's end. */
  readonly #lines = new Map<number, Line>()
  /** Admitted, and not standing yet. */
  readonly #admitted: Line[] = []
  /** What the provider would show of an effect, by its reference. */
  readonly #objects = new Map<string, Parsed>()
  /** How it shows an effect of a call: from the payload that asked for it. */
  readonly #shapes = new Map<string, (reference: string, given: Parsed) => Parsed>()
  readonly #sockets = new Set<Socket>()
  #server: http.Server | null = null
  #interception: Interception | null = null
  #restoreTimers: () => void = () => undefined

  constructor({ operation, answers, passes = [] }: Pick<Premortem, 'operation'> & Partial<Pick<Premortem, 'answers' | 'passes'>>) {
    this.contract = contractOf(operation)
    this.#answers = answers
    this.#passes = passes
    // What the application does with ends is not at stake, and its tables are not here.
    const rest: Partial<Operation> = { ...operation }
    delete rest.onSettled
    const answer = operation.idempotency
    const lookup = answer.lookup?.bind(answer)
    this.source = (client) => ({
      ...rest,
      provider: this.contract.name,
      idempotency: { ...answer, ...(lookup === undefined ? {} : { lookup: (input: unknown, context: LookupContext) => this.#run(client, context, true, () => lookup(input, context)) }) },
      send: (input: unknown, context: SendContext) => this.#run(client, context, false, () => operation.send(input, context)),
    }) as Operation
  }

  async open(): Promise<void> {
    const server = (this.#server = http.createServer((message, response) => void this.#serve(message, response)))
    server.on('connection', (socket) => { this.#sockets.add(socket.once('close', () => this.#sockets.delete(socket))) })
    await new Promise<void>((resolve, reject) => void server.once('error', reject).listen(0, '127.0.0.1', resolve))
    this.#interception = intercept({ port: (server.address() as AddressInfo).port, admit: () => this.#admit(), connected: (port) => this.#stands(port), passes: ({ host, port }) => this.#passes.includes(`${host}:${port}`) })
  }

  async close(): Promise<void> {
    this.#restoreTimers()
    this.#interception?.restore()
    for (const socket of this.#sockets) socket.destroy()
    const server = this.#server
    if (server !== null) await new Promise((resolve) => void server.close(resolve))
  }

  /** Whether a client is at work, so that virtual time has to stand still. */
  readonly busy = (): boolean => {
    const now = realSystem.monotonicMs()
    let isBusy = false
    for (const work of this.#works) {
      work.turns++
      const isQuiet = work.timers > 0 ? work.turns > ASLEEP_TURNS : work.turns > PATIENCE.turns && now - work.lastSeenMs > PATIENCE.ms
      if (work.waits === 0 && !isQuiet) isBusy = true
    }
    return isBusy
  }

  /** Timers of the code under test go by this world's time. */
  enter({ scheduler }: Pick<SimWorld, 'scheduler'>): void {
    this.#restoreTimers = turnOverTimers({
      isInside: () => this.#context.getStore() !== undefined,
      after: (delayMs, fn) => {
        const work = this.#context.getStore()
        if (work) work.timers++
        let isOver = false
        const over = (): boolean => {
          if (isOver) return false
          isOver = true
          if (work) work.timers--
          return true
        }
        const stop = scheduler.after(delayMs, null, () => {
          if (!over()) return
          if (work) seen(work)
          fn()
        })
        return () => { over(); stop() }
      },
    })
  }

  async #run<T>(client: Client, { call, idempotencyKey }: SendContext, isLookup: boolean, run: () => Promise<T>): Promise<T> {
    const work: Work = { client, key: call.key, operation: call.operation, idempotencyKey, isLookup, waits: 0, timers: 0, turns: 0, lastSeenMs: realSystem.monotonicMs() }
    this.#works.add(work)
    if (!isLookup) this.#byKey.set(idempotencyKey, work)
    try {
      return await this.#context.run(work, run)
    } finally {
      this.#works.delete(work)
    }
  }

  /** A pooled client may connect in the context of another call, also of one that is over; then any that is at work will do. */
  #current(): Work | undefined {
    const work = this.#context.getStore()
    return work !== undefined && this.#works.has(work) ? work : [...this.#works].find((one) => one.waits === 0)
  }

  /** Whose request this is: certain by the provider-facing key in it, else likely by the business key, else by the connection. */
  #ownerOf(message: http.IncomingMessage, text: string, line: Line): Work {
    for (const value of Object.values(message.headers).flat()) {
      const work = value === undefined ? undefined : this.#byKey.get(value)
      if (work !== undefined) return work
    }
    for (const [key, work] of this.#byKey) if (text.includes(key)) return work
    const words = new Set(`${message.url} ${text}`.split(/[^\w.-]+/))
    return [...this.#works].find((work) => words.has(work.key)) ?? line.work
  }

  /** The connection belongs to the process whose code sends, whatever context a pool made it in. */
  async #lineOf(work: Work, standing: Line): Promise<Line> {
    if (work.client === standing.work.client) return { work, connection: standing.connection }
    return { work, connection: await this.#waiting(work, work.client.connect(this.contract.name, work.isLookup)) }
  }

  async #admit(): Promise<void> {
    const work = this.#current()
    if (work === undefined) throw Object.assign(new Error('connect ECONNREFUSED: no send of the lab is running'), { code: 'ECONNREFUSED', syscall: 'connect' })
    try {
      const connection = await this.#waiting(work, work.client.connect(this.contract.name, work.isLookup))
      this.#admitted.push({ work, connection })
    } catch (error) {
      // The simulated network fails as fetch does; the socket fails with what lies beneath.
      throw error instanceof Error && error.cause instanceof Error ? error.cause : error
    }
  }

  #stands(localPort: number): void {
    const own = this.#admitted.findIndex(({ work }) => work === this.#context.getStore())
    const [line] = this.#admitted.splice(Math.max(own, 0), 1)
    if (line === undefined) return
    seen(line.work)
    this.#lines.set(localPort, line)
  }

  async #waiting<T>(work: Work, what: Promise<T>): Promise<T> {
    work.waits++
    try {
      return await what
    } finally {
      work.waits--
      seen(work)
    }
  }

  async #serve(message: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const standing = this.#lines.get(message.socket.remotePort ?? 0)
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    try {
      const text = await textOf(message)
      const { method = 'GET', url = '/' } = message
      if (standing === undefined) return void message.socket.destroy()
      const owner = this.#ownerOf(message, text, standing)
      seen(owner)
      const line = await this.#lineOf(owner, standing)
      if (isTokenRequest(url)) return reply(response, { status: 200, headers: {}, body: { access_token: 'lab', token_type: 'Bearer', expires_in: 32_400 } })
      const body = parsedBody(text, message.headers['content-type'] ?? '')
      const carried = isQuestion(method, url) ? this.#ask(line, url, gone.signal) : this.#act(line, method, url, this.#keyOf(line.work, message, text), body, gone.signal)
      reply(response, await this.#waiting(line.work, Promise.race([carried, aborted(gone.signal)])))
    } catch (error) {
      // Whatever broke on the simulated way breaks the client's connection; an answer that was cut off arrives cut off.
      if (error instanceof SyntaxError && !response.headersSent) response.writeHead(200, { 'content-type': 'application/json', 'connection': 'close' }).end('{"id":"')
      else message.socket.destroy()
    }
  }

  /** The key that was sent: ours wherever it stands, else what stands where this provider looks for one. */
  #keyOf(work: Work, message: http.IncomingMessage, text: string): string | null {
    const { idempotencyKey } = work
    const headers = Object.values(message.headers).flat()
    if (headers.includes(idempotencyKey) || text.includes(idempotencyKey) || text.includes(encodeURIComponent(idempotencyKey))) return idempotencyKey
    const other = message.headers[this.contract.keys?.header ?? '']
    return typeof other === 'string' ? other : null
  }

  async #act({ work, connection }: Line, method: string, path: string, key: string | null, body: Parsed, signal: AbortSignal): Promise<ClientAnswer> {
    const { keys } = this.contract
    const request: ClientRequest = {
      provider: this.contract.name, method, path, headers: key === null || keys === null ? {} : { [keys.header]: key }, signal,
      body: { operation: work.operation, orderId: work.key, amount: amountOf(body), payload: body },
    }
    const kind = path.split('/').filter((part) => part !== '').at(-1)?.replace(/s$/, '') ?? 'object'
    this.#shapes.set(work.key, (reference, given) => ({ ...body, object: kind, ...given, ...this.#answers?.({ method, path, body }, reference) }))
    const answer = await connection.carry(request)
    const given = answer.body as Parsed
    const reference = given['id'] ?? given['pspReference']
    return answer.status < 300 && typeof reference === 'string' ? { ...answer, body: this.#shown(work.key, reference, given) } : answer
  }

  #shown(key: string, reference: string, given: Parsed): Parsed {
    const known = this.#objects.get(reference) ?? this.#shapes.get(key)?.(reference, given) ?? given
    this.#objects.set(reference, known)
    return known
  }

  /** A question about one object by its id, or for a list: all there is, as far as it shows already. */
  async #ask({ connection }: Line, path: string, signal: AbortSignal): Promise<ClientAnswer> {
    const answer = await connection.carry({ provider: this.contract.name, method: 'GET', path: '/effects', headers: {}, body: null, signal })
    if (answer.status !== 200 || this.contract.lookup === null) return answer
    const made = (answer.body as { readonly data?: readonly { readonly id: string; readonly amount: Json; readonly orderId: string }[] }).data ?? []
    const shown = made.map(({ id, amount, orderId }) => this.#shown(orderId, id, { id, amount, status: 'succeeded' }))
    const last = new URL(path, 'http://provider').pathname.split('/').at(-1) ?? ''
    if (this.#objects.has(last)) {
      const one = shown.find((object) => object['id'] === last || object['pspReference'] === last)
      return one === undefined ? { status: 404, headers: {}, body: { error: { type: 'invalid_request_error', code: 'resource_missing' } } } : { ...answer, body: one }
    }
    return { ...answer, body: { object: 'list', data: shown, items: shown, results: shown, has_more: false, total_count: shown.length } as unknown as Json }
  }
}

/** Something of it was seen: it is at work. */
function seen(work: Work): void {
  work.turns = 0
  work.lastSeenMs = realSystem.monotonicMs()
}

function reply(response: http.ServerResponse, { status, headers, body }: ClientAnswer): void {
  const isBare = status >= 400 && Object.keys(body as object).length === 0
  const [type, text] = isBare && status > 502 ? ['text/html', `<html><body>${status}</body></html>`] : ['application/json', JSON.stringify(isBare ? refusal(status) : body)]
  // Each request has a connection of its own, so that a fault strikes one call alone.
  response.writeHead(status, { 'content-type': type, 'connection': 'close', ...headers }).end(text)
}

/** A provider that refuses says so in its own way; what stands in front does it in its: in JSON that an SDK may take for a result, or in HTML. */
const refusal = (status: number): Json => status === 502 ? { message: 'Bad Gateway' } : ({ error: { type: 'invalid_request_error', message: `answered ${status}`, ...(status === 429 ? { code: 'rate_limit' } : {}) }, message: `answered ${status}` })

async function textOf(message: http.IncomingMessage): Promise<string> {
  const pieces: Buffer[] = []
  for await (const piece of message) pieces.push(piece as Buffer)
  return Buffer.concat(pieces).toString('utf8')
}

/** Rejects when the client has gone: its request goes on without it. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(new Error('the client has gone')), { once: true })
  })
}
