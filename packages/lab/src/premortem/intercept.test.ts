/** Real clients, as users have them, land at the lab's server without being told. */
import axios from 'axios'
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import Stripe from 'stripe'
import { Agent, Pool, request } from 'undici'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Destination, intercept, type Interception } from './intercept.ts'

let server: http.Server
let seen: string[]
let asked: Destination[]
let refusal: Error | null
let interception: Interception

beforeEach(async () => {
  ;[seen, asked, refusal] = [[], [], null]
  server = http.createServer((message, answer) => {
    seen.push(`${message.method} ${message.headers.host}${message.url}`)
    message.resume().once('end', () => answer.writeHead(200, { 'content-type': 'application/json', 'connection': 'close' }).end('{"id":"ch_lab"}'))
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  interception = intercept({ port: (server.address() as net.AddressInfo).port, admit: (destination) => { asked.push(destination); return refusal ? Promise.reject(refusal) : Promise.resolve() } })
})
afterEach(async () => {
  interception.restore()
  await new Promise((resolve) => void server.close(resolve))
})

const get = (module: Pick<typeof http, 'get'>, url: string): Promise<number | undefined> => new Promise((resolve, reject) => {
  module.get(url, { headers: { 'idempotency-key': 'k1' } }, (answer) => { answer.resume().once('end', () => resolve(answer.statusCode)) }).once('error', reject)
})

describe('clients that reach the lab instead of the world', () => {
  it.each(['http', 'https'])('fetch over %s', async (scheme) => {
    const answer = await fetch(`${scheme}://api.example.com/v1/charges`, { method: 'POST', body: '{}' })
    expect(await answer.json()).toEqual({ id: 'ch_lab' })
    expect(seen).toEqual(['POST api.example.com/v1/charges'])
    expect(asked).toMatchObject([{ host: 'api.example.com', isTls: scheme === 'https' }])
  })

  it('undici: request, a pool, and an agent of its own', async () => {
    const pool = new Pool('https://api.example.com')
    const agent = new Agent()
    await (await request('https://api.example.com/a')).body.dump()
    await (await pool.request({ path: '/b', method: 'GET' })).body.dump()
    await (await request('http://api.example.com/c', { dispatcher: agent })).body.dump()
    await Promise.all([pool.close(), agent.close()])
    expect(seen).toEqual(['GET api.example.com/a', 'GET api.example.com/b', 'GET api.example.com/c'])
  })

  it('node:http and node:https', async () => {
    expect(await get(http, 'http://api.example.com/a')).toBe(200)
    expect(await get(https, 'https://api.example.com/b')).toBe(200)
    expect(seen).toEqual(['GET api.example.com/a', 'GET api.example.com/b'])
  })

  it('axios', async () => {
    expect((await axios.post('https://api.example.com/v1/charges', { a: 1 })).data).toEqual({ id: 'ch_lab' })
    expect(seen).toEqual(['POST api.example.com/v1/charges'])
  })

  it("Stripe's SDK", async () => {
    const charge = await new Stripe('sk_test_lab').charges.create({ amount: 100, currency: 'eur' }, { idempotencyKey: 'k1' })
    expect(charge.id).toBe('ch_lab')
    expect(seen).toEqual(['POST api.stripe.com/v1/charges'])
  })
})

describe('what breaks before the first byte', () => {
  const notFound = (): Error => Object.assign(new Error('getaddrinfo ENOTFOUND api.example.com'), { code: 'ENOTFOUND', syscall: 'getaddrinfo', hostname: 'api.example.com' })

  it.each(['http', 'https'])('reaches the client of %s as the error that Node gives, and nothing leaves', async (scheme) => {
    refusal = notFound()
    await expect(fetch(`${scheme}://api.example.com/a`)).rejects.toMatchObject({ cause: { code: 'ENOTFOUND', syscall: 'getaddrinfo' } })
    await expect(get(scheme === 'http' ? http : https, `${scheme}://api.example.com/a`)).rejects.toMatchObject({ code: 'ENOTFOUND' })
    expect(seen).toEqual([])
  })
})

it('lets pass what is named, and puts the network back', async () => {
  interception.restore()
  const other = http.createServer((_message, answer) => void answer.end('other'))
  await new Promise<void>((resolve) => void other.listen(0, '127.0.0.1', resolve))
  const { port } = other.address() as net.AddressInfo
  interception = intercept({ port: (server.address() as net.AddressInfo).port, admit: () => Promise.resolve(), passes: (destination) => destination.port === port })
  expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('other')
  await (await fetch('http://127.0.0.1:59999/')).text()
  expect(seen).toEqual(['GET 127.0.0.1:59999/'])
  interception.restore()
  expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('other')
  expect(() => interception.restore()).not.toThrow()
  await new Promise((resolve) => void other.close(resolve))
  interception = intercept({ port: 1, admit: () => Promise.resolve() })
  expect(() => intercept({ port: 1, admit: () => Promise.resolve() })).toThrow('already intercepted')
})
