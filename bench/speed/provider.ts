/**
 * The provider of the benchmark, in a process of its own: answers every POST at once with about 150 bytes.
 *
 * A hand-written HTTP/1.1 server on a socket, since `node:http` would be slower than the client it is to measure.
 * It remembers when the first request since `reset` came. Requests to /hold are never answered the first time.
 */
import { createServer, type Socket } from 'node:net'
import process from 'node:process'
import { nowMs } from './clock.ts'

const HEAD_END = Buffer.from('\r\n\r\n')
const ANSWER = answer('{"id":"ch_3PqLzq2eZvKYlo2C1a2b3c4d","object":"charge","amount":4200,"currency":"eur","paid":true,"status":"succeeded","created":1767225600,"ok":1}')

function answer(body: string): Buffer {
  return Buffer.from(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
}

let firstAt = 0
let requests = 0
let inHold = 0
const heldOnce = new Set<string>()

function serve(socket: Socket): void {
  socket.setNoDelay(true)
  let rest: Buffer = Buffer.alloc(0)
  socket.on('error', () => undefined)
  socket.on('data', (part: Buffer) => {
    const data = rest.length === 0 ? part : Buffer.concat([rest, part])
    let from = 0
    const answers: Buffer[] = []
    for (;;) {
      const end = requestEnd(data, from)
      if (end === -1) break
      if (firstAt === 0) firstAt = nowMs()
      requests++
      if (!isHeld(data, from, end)) answers.push(ANSWER)
      from = end
    }
    rest = from === data.length ? Buffer.alloc(0) : data.subarray(from)
    if (answers.length > 0) socket.write(answers.length === 1 ? ANSWER : Buffer.concat(answers))
  })
}

/** Where the request that begins at `from` ends, or -1 when it is not all there. */
function requestEnd(data: Buffer, from: number): number {
  const head = data.indexOf(HEAD_END, from)
  if (head === -1) return -1
  const length = /content-length: *(\d+)/i.exec(data.toString('latin1', from, head))?.[1]
  const end = head + 4 + Number(length ?? 0)
  return end <= data.length ? end : -1
}

/** The first request to /hold/KEY is kept waiting for ever; the second one is answered. */
function isHeld(data: Buffer, from: number, end: number): boolean {
  if (data.toString('latin1', from, from + 10) !== 'POST /hold') return false
  const path = data.toString('latin1', from, Math.min(end, from + 200)).split(' ')[1] ?? ''
  if (heldOnce.has(path)) return false
  heldOnce.add(path)
  inHold++
  return true
}

const server = createServer(serve)
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  process.send?.({ port: typeof address === 'object' ? address?.port : 0 })
})
process.on('message', (message) => {
  if (message === 'reset') {
    firstAt = 0
    requests = 0
    inHold = 0
    heldOnce.clear()
  }
  process.send?.({ firstAt, requests, inHold })
})
process.on('disconnect', () => process.exit(0))
