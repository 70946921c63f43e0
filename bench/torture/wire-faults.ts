/**
 * A loopback proxy in front of the database, and what it does to connections. Each fault befalls the next connection on
 * which something is sent, so that it happens in the middle of something.
 */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { pick } from '../seeded.ts'

export const WIRE_FAULTS = ['idle cut', 'request lost', 'answer lost', 'delayed', 'silent'] as const
export type WireFault = (typeof WIRE_FAULTS)[number]

type Pair = { readonly client: Socket; readonly server: Socket; losesAnswer: boolean; silent: boolean }

/** A silent connection is cut after this long: the network is mended, and says so. */
const SILENT_MS = 9_000

export class WireFaults {
  readonly #socketPath: string
  readonly #random: () => number
  readonly #happened: (fault: WireFault) => void
  readonly #server: Server
  readonly #pairs = new Set<Pair>()
  /** Faults that wait for something to be sent. */
  readonly #next: { readonly fault: WireFault; readonly forMs: number }[] = []
  #holding = false

  /** @param happened is told of each fault when it has really befallen a connection. */
  constructor(socketPath: string, random: () => number, happened: (fault: WireFault) => void) {
    this.#socketPath = socketPath
    this.#random = random
    this.#happened = happened
    this.#server = createServer((client) => this.#accept(client))
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => void this.#server.listen(0, '127.0.0.1', resolve))
    return (this.#server.address() as AddressInfo).port
  }

  close(): void {
    this.#server.close()
    for (const pair of this.#pairs) end(pair)
  }

  /** Loses what is sent, or the answer to it, or cuts a connection on which nothing happens just then. */
  cut(): void {
    this.#next.push({ fault: pick(this.#random, ['answer lost', 'answer lost', 'request lost', 'idle cut']), forMs: 0 })
  }

  /** Holds back all that is under way for `forMs`, or lets one connection fall silent for longer than anybody waits. */
  delay(forMs: number): void {
    this.#next.push({ fault: this.#random() < 0.3 ? 'silent' : 'delayed', forMs })
  }

  #accept(client: Socket): void {
    const pair: Pair = { client, server: connect(this.#socketPath), losesAnswer: false, silent: false }
    const { server } = pair
    this.#pairs.add(pair)
    client.setNoDelay(true)
    client.on('data', (bytes: Buffer) => this.#sent(pair, bytes))
    server.on('data', (bytes: Buffer) => {
      if (!pair.losesAnswer) return void client.write(bytes)
      pair.losesAnswer = false
      this.#happened('answer lost')
      end(pair)
    })
    for (const side of [client, server]) {
      side.on('error', () => undefined)
      side.once('close', () => {
        this.#pairs.delete(pair)
        // Whoever asked died first, or the server did: another answer is lost instead.
        if (pair.losesAnswer) this.#next.push({ fault: 'answer lost', forMs: 0 })
        pair.losesAnswer = false
        end(pair)
      })
      if (this.#holding) side.pause()
    }
  }

  #sent(pair: Pair, bytes: Buffer): void {
    const next = this.#next.shift()
    if (next?.fault === 'request lost') {
      this.#happened('request lost')
      return end(pair)
    }
    pair.server.write(bytes)
    switch (next?.fault) {
      case undefined: return
      case 'answer lost': return void (pair.losesAnswer = true)
      case 'idle cut': return this.#cutAnother(pair)
      case 'delayed': return this.#hold(next.forMs)
      case 'silent': return this.#silence(pair)
    }
  }

  #cutAnother(than: Pair): void {
    const other = pick(this.#random, [...this.#pairs].filter((pair) => pair !== than && !pair.silent) as [Pair, ...Pair[]]) as Pair | undefined
    this.#happened('idle cut')
    end(other ?? than)
  }

  #hold(forMs: number): void {
    this.#happened('delayed')
    this.#holding = true
    for (const pair of this.#pairs) pause(pair)
    setTimeout(() => {
      this.#holding = false
      for (const pair of this.#pairs) if (!pair.silent) resume(pair)
    }, forMs)
  }

  #silence(pair: Pair): void {
    this.#happened('silent')
    pair.silent = true
    pause(pair)
    setTimeout(() => end(pair), SILENT_MS)
  }
}

function pause({ client, server }: Pair): void {
  client.pause()
  server.pause()
}

function resume({ client, server }: Pair): void {
  client.resume()
  server.resume()
}

/** Both sides are told by a reset. */
function end({ client, server }: Pair): void {
  if (!client.destroyed) client.resetAndDestroy()
  server.destroy()
}
