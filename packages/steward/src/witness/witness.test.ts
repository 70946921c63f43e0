import { EventEmitter, once } from 'node:events'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import http from 'node:http'
import http2 from 'node:http2'
import type { AddressInfo } from 'node:net'
import axios from 'axios'
import { Agent, Pool, request, RetryAgent } from 'undici'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { verdictOf } from '../core/verdict-of.ts'
import { Peer } from './peer.fixture.ts'
import { SETTLED_MAX } from './registry.ts'
import { LATE_CONTEXT_MS, TOKEN_HEADER } from './watch.ts'
import { createWitness, type AttemptScope, type Witness } from './witness.ts'

let peer: Peer
let witness: Witness
let monotonic = 0
const clock = { now: () => 1_700_000_000_000, monotonicMs: () => monotonic }

beforeEach(async () => {
  peer = await new Peer().open()
  witness = createWitness(clock)
  witness.listen()
})
afterEach(async () => {
  witness.dispose()
  await peer.close()
})

let keys = 0
function scopeOf(overrides: Partial<AttemptScope> = {}): AttemptScope {
  keys += 1
  return { id: `c_${keys}#1`, idempotencyKey: `stw_unit_key_${keys}`, expectKey: false, single: false, mayLeave: () => 'open', ...overrides }
}

const post = (pool: Pool, path: string, key?: string) =>
  pool.request({ method: 'POST', path, headers: { 'content-type': 'text/plain', ...(key === undefined ? {} : { 'idempotency-key': key }) }, body: 'x' }).then(async ({ statusCode, body }) => {
    await body.dump()
    return statusCode
  })

async function caught(promise: Promise<unknown>): Promise<Error & { code?: string; cause?: { code?: string } }> {
  try {
    await promise
  } catch (error) {
    return error as Error & { code?: string; cause?: { code?: string } }
  }
  throw new Error('nothing was thrown')
}

const gateCode = (error: { code?: string; cause?: { code?: string } }): string | undefined => (error.code === 'STEWARD_GATE' ? error.code : error.cause?.code)

describe('attribution', () => {
  test('a pool that queues never credits one call with the request of another', async () => {
    const pool = new Pool(peer.origin, { connections: 1 })
    peer.script.push('hold')
    const contexts: string[] = []
    const spy = (): void => void contexts.push('created')
    const a = witness.watch(scopeOf())
    const b = witness.watch(scopeOf())
    subscribe('undici:request:create', spy)
    const first = a.run(() => post(pool, '/a'))
    await peer.arrived(1)
    const second = b.run(() => post(pool, '/b'))
    expect(contexts).toHaveLength(1)
    peer.release()
    await Promise.all([first, second])
    unsubscribe('undici:request:create', spy)
    await pool.close()
    expect(contexts).toHaveLength(2)
    expect([a.exchanges(), b.exchanges()]).toEqual([[], []])
    expect(witness.unattributed()).toBe(2)
    expect(a.warnings().join()).toMatch(/could not be tied to it for certain/)
  })

  test('with the key on the wire, each call gets its own, whatever the context', async () => {
    const pool = new Pool(peer.origin, { connections: 1 })
    peer.script.push('hold')
    const scopes = [scopeOf({ expectKey: true }), scopeOf({ expectKey: true }), scopeOf({ expectKey: true })]
    const watches = scopes.map((scope) => witness.watch(scope))
    const sent = watches.map((watch, at) => watch.run(() => post(pool, `/${at}`, scopes[at]!.idempotencyKey)))
    await peer.arrived(1)
    peer.release()
    await Promise.all(sent)
    await pool.close()
    for (const [at, watch] of watches.entries()) {
      expect(watch.exchanges()).toEqual([expect.objectContaining({ method: 'POST', origin: peer.origin, path: `/${at}`, reached: 'answered', status: 200, keyOnWire: true, startedAt: 1_700_000_000_000 })])
      expect(watch.warnings()).toEqual([])
    }
    expect(witness.unattributed()).toBe(0)
  })

  test('a key in quotes, and in a list of values, is the key', async () => {
    const scope = scopeOf()
    const watch = witness.watch(scope)
    await request(`${peer.origin}/q`, { method: 'POST', headers: { 'idempotency-key': `"${scope.idempotencyKey}"` } }).then(({ body }) => body.dump())
    await request(`${peer.origin}/l`, { method: 'POST', headers: { 'x-ids': ['other', scope.idempotencyKey] } }).then(({ body }) => body.dump())
    expect(watch.exchanges().map((each) => [each.path, each.keyOnWire])).toEqual([['/q', true], ['/l', true]])
  })

  test('the bound fetch ties its requests to the attempt, redirects included, and its mark never reaches the wire', async () => {
    const scope = scopeOf()
    const watch = witness.watch(scope)
    const redirecting = http.createServer((_, response) => void response.writeHead(307, { location: `${peer.origin}/there` }).end())
    redirecting.listen(0, '127.0.0.1')
    await once(redirecting, 'listening')
    const from = `http://127.0.0.1:${(redirecting.address() as AddressInfo).port}/here`
    const headersThere: string[] = []
    redirecting.on('request', (incoming: http.IncomingMessage) => headersThere.push(...Object.keys(incoming.headers)))
    await (await watch.fetch(new Request(from, { method: 'POST', headers: { 'x-own': 'kept' }, body: 'x' }))).text()
    redirecting.close()
    expect(watch.exchanges().map((each) => [each.path, each.status])).toEqual([['/here', 307], ['/there', 200]])
    expect(peer.seen[0]!.headers['x-own']).toBe('kept')
    expect(headersThere).toContain('x-own')
    expect([...headersThere, ...Object.keys(peer.seen[0]!.headers)]).not.toContain(TOKEN_HEADER)
  })

  test('a fetch that somebody built on node:http does not carry the mark out either', async () => {
    const watch = witness.watch(scopeOf())
    const real = globalThis.fetch
    globalThis.fetch = (async (url: string, init: RequestInit) => axios.request({ url, method: init.method ?? 'GET', headers: Object.fromEntries(init.headers as Headers) })) as unknown as typeof fetch
    try {
      await watch.fetch(`${peer.origin}/poly`, { method: 'POST' })
    } finally {
      globalThis.fetch = real
    }
    expect(peer.seen[0]!.headers).not.toHaveProperty(TOKEN_HEADER)
    expect(watch.exchanges()).toHaveLength(1)
  })

  test('requests outside of any attempt are nobody’s', async () => {
    const watch = witness.watch(scopeOf())
    await axios.post(`${peer.origin}/x`)
    await fetch(`${peer.origin}/y`, { method: 'POST' })
    await watch.run(() => witness.outside(() => axios.post(`${peer.origin}/z`)))
    expect(watch.exchanges()).toEqual([])
    expect(witness.unattributed()).toBe(0)
  })

  test('two witnesses share the channels; the last one turns them off', async () => {
    const other = createWitness(clock)
    other.listen()
    const scope = scopeOf()
    const watch = other.watch(scope)
    witness.dispose()
    await request(`${peer.origin}/x`, { method: 'POST', headers: { key: scope.idempotencyKey } }).then(({ body }) => body.dump())
    expect(watch.exchanges()).toHaveLength(1)
    other.dispose()
    await (await watch.fetch(`${peer.origin}/y`, { method: 'POST' })).text()
    expect(watch.exchanges()).toHaveLength(1)
    expect(peer.seen[1]!.headers).not.toHaveProperty(TOKEN_HEADER)
  })

  test('says that the declared key was not on the wire', async () => {
    const watch = witness.watch(scopeOf({ expectKey: true }))
    await watch.run(() => axios.post(`${peer.origin}/charges?pan=42`))
    expect(watch.warnings()).toEqual([`The operation declares a provider key, but POST ${peer.origin}/charges left without it: the provider cannot recognise a repeat.`])
  })

  test('keeps 64 requests of an attempt, those that may have acted before others', async () => {
    const watch = witness.watch(scopeOf())
    peer.script.push(...Array.from({ length: 40 }, () => 200), ...Array.from({ length: 40 }, () => 429))
    for (let at = 0; at < 80; at += 1) await watch.run(() => axios.post(`${peer.origin}/${at}`, undefined, { validateStatus: () => true }))
    expect(watch.exchanges()).toHaveLength(64)
    expect(watch.exchanges().filter((each) => each.status === 200)).toHaveLength(40)
    expect(watch.warnings().join()).toContain('16 more requests of this attempt were not recorded')
  })
})

describe('the gate', () => {
  const clients: Record<string, (scope: AttemptScope, watch: { fetch: typeof fetch }) => Promise<unknown>> = {
    'bound fetch': async (_, watch) => watch.fetch(`${peer.origin}/x`, { method: 'POST', body: 'x' }),
    'fetch with key': async (scope) => fetch(`${peer.origin}/x`, { method: 'POST', headers: { key: scope.idempotencyKey }, body: 'x' }),
    'undici request with key': async (scope) => request(`${peer.origin}/x`, { method: 'POST', headers: { key: scope.idempotencyKey }, body: 'x' }),
    'axios without key': async () => axios.post(`${peer.origin}/x`, { a: 1 }),
    'axios on fetch with key': async (scope) => axios.post(`${peer.origin}/x`, { a: 1 }, { adapter: 'fetch', headers: { key: scope.idempotencyKey } }),
  }

  for (const refusal of ['deadline', 'lease'] as const) {
    test.each(Object.keys(clients))(`${refusal}: %s sends nothing and fails with STEWARD_GATE`, async (name) => {
      const scope = scopeOf({ mayLeave: () => refusal })
      const watch = witness.watch(scope)
      const error = await caught(watch.run(() => clients[name]!(scope, watch)))
      expect(gateCode(error)).toBe('STEWARD_GATE')
      expect(verdictOf(error)).toMatchObject({ kind: 'unknown' })
      expect(watch.gatedCount).toBe(1)
      for (const each of watch.exchanges()) expect(each).toMatchObject({ reached: 'created', gated: refusal })
      // A request let through after it is the first the peer sees: nothing came before it.
      await axios.post(`${peer.origin}/after`)
      expect(peer.seen.map((each) => each.path)).toEqual(['/after'])
    })
  }

  test('a request that waits in a pool is stopped when its turn comes after the lease was lost; the pool lives on', async () => {
    const pool = new Pool(peer.origin, { connections: 1 })
    peer.script.push('hold')
    const a = scopeOf()
    let lease: 'open' | 'lease' = 'open'
    const b = scopeOf({ mayLeave: () => lease })
    const [watchA, watchB] = [witness.watch(a), witness.watch(b)]
    const first = watchA.run(() => post(pool, '/a', a.idempotencyKey))
    await peer.arrived(1)
    const second = caught(watchB.run(() => post(pool, '/b', b.idempotencyKey)))
    lease = 'lease'
    peer.release()
    expect(await first).toBe(200)
    expect((await second).code).toBe('STEWARD_GATE')
    expect(await post(pool, '/c')).toBe(200)
    expect(peer.seen.map((each) => each.path)).toEqual(['/a', '/c'])
    await pool.close()
  })

  test('a request that waits for an agent’s socket is stopped when it gets one too late', async () => {
    const httpAgent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    peer.script.push('hold')
    const first = axios.post(`${peer.origin}/first`, 'x', { httpAgent })
    await peer.arrived(1)
    let over = false
    const watch = witness.watch(scopeOf({ mayLeave: () => (over ? 'deadline' : 'open') }))
    const queued = caught(watch.run(() => axios.post(`${peer.origin}/queued`, 'x', { httpAgent })))
    await Promise.resolve()
    over = watch.exchanges().length === 1
    peer.release()
    await first
    expect(gateCode(await queued)).toBe('STEWARD_GATE')
    await axios.post(`${peer.origin}/after`, 'x', { httpAgent })
    expect(peer.seen.map((each) => each.path)).toEqual(['/first', '/after'])
    httpAgent.destroy()
  })

  test('the deadline that passes while the connection is made stops the request', async () => {
    let over = false
    const watch = witness.watch(scopeOf({ mayLeave: () => (over ? 'deadline' : 'open') }))
    const sending = watch.run(() => {
      const outgoing = http.request(`${peer.origin}/x`, { method: 'POST', agent: false })
      outgoing.on('socket', () => (over = true))
      outgoing.end('x')
      return caught(once(outgoing, 'response'))
    })
    expect((await sending).code).toBe('STEWARD_GATE')
    await axios.post(`${peer.origin}/after`)
    expect(peer.seen.map((each) => each.path)).toEqual(['/after'])
    expect(watch.exchanges()).toMatchObject([{ reached: 'created', gated: 'deadline' }])
  })

  test('the second line holds when undici does not call the first', async () => {
    const disarm = (message: unknown): void => {
      delete (message as { request: { onRequestStart?: unknown; onConnect?: unknown } }).request.onRequestStart
      delete (message as { request: { onRequestStart?: unknown; onConnect?: unknown } }).request.onConnect
    }
    subscribe('undici:request:create', disarm)
    const scope = scopeOf({ mayLeave: () => 'lease' })
    const watch = witness.watch(scope)
    const own = await caught(request(`${peer.origin}/x`, { method: 'POST', headers: { key: scope.idempotencyKey }, body: 'x' }))
    const bundled = await caught(fetch(`${peer.origin}/x`, { method: 'POST', headers: { key: scope.idempotencyKey }, body: 'x' }))
    unsubscribe('undici:request:create', disarm)
    expect([gateCode(own), gateCode(bundled)]).toEqual(['STEWARD_GATE', 'STEWARD_GATE'])
    await axios.post(`${peer.origin}/after`)
    expect(peer.seen.map((each) => each.path)).toEqual(['/after'])
    expect(watch.gatedCount).toBe(2)
  })

  test('on HTTP/2 one request is stopped and the others of the session are not', async () => {
    const paths: string[] = []
    const held = new EventEmitter()
    const server = http2.createServer((incoming, response) => {
      paths.push(incoming.url)
      if (incoming.url === '/long') held.once('go', () => void response.end('done')).emit('arrived')
      else response.end('ok')
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const pool = new Pool(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, { connections: 1, useH2c: true, pipelining: 10 } as Pool.Options)
    const arrived = once(held, 'arrived')
    const long = post(pool, '/long')
    await arrived
    const scope = scopeOf({ mayLeave: () => 'lease' })
    const watch = witness.watch(scope)
    expect((await caught(post(pool, '/gated', scope.idempotencyKey))).code).toBe('STEWARD_GATE')
    held.emit('go')
    expect(await long).toBe(200)
    expect(await post(pool, '/after')).toBe(200)
    expect(paths).toEqual(['/long', '/after'])
    expect(watch.exchanges()).toMatchObject([{ gated: 'lease' }])
    await pool.destroy()
    server.close()
  })

  test('under single the second request that could act again is refused, also when both start at once', async () => {
    const watch = witness.watch(scopeOf({ single: true }))
    const results = await watch.run(() => Promise.allSettled([axios.post(`${peer.origin}/1`), axios.post(`${peer.origin}/2`)]))
    expect(results.map((each) => each.status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(peer.seen).toHaveLength(1)
    expect(watch.exchanges().filter((each) => each.gated === 'second-request')).toHaveLength(1)
  })

  test('under single, undici’s own retry agent is stopped, too', async () => {
    peer.fallback = 'reset-after'
    const scope = scopeOf({ single: true })
    const watch = witness.watch(scope)
    const agent = new RetryAgent(new Agent(), { methods: ['POST'], minTimeout: 0, maxRetries: 3 })
    const error = await caught(request(`${peer.origin}/charge`, { dispatcher: agent, method: 'POST', headers: { key: scope.idempotencyKey }, body: 'x' }))
    expect(gateCode(error)).toBe('STEWARD_GATE')
    expect(peer.effects).toHaveLength(1)
    expect(watch.exchanges()).toMatchObject([{ reached: 'sent', error: 'ECONNRESET' }, { reached: 'created', gated: 'second-request' }])
    await agent.close()
  })

  test('a request stopped at its creation gives the agent’s connection back unharmed', async () => {
    let connections = 0
    peer.server.on('connection', () => (connections += 1))
    const watch = witness.watch(scopeOf({ mayLeave: () => 'lease' }))
    const httpAgent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    await axios.post(`${peer.origin}/before`, 'x', { httpAgent })
    expect(gateCode(await caught(watch.run(() => axios.post(`${peer.origin}/x`, 'x', { httpAgent }))))).toBe('STEWARD_GATE')
    await axios.post(`${peer.origin}/after`, 'x', { httpAgent })
    expect(peer.seen.map((each) => each.path)).toEqual(['/before', '/after'])
    expect(connections).toBe(1)
    httpAgent.destroy()
  })

  test('under single, asking, logging in and repeating what was certainly refused are allowed', async () => {
    const watch = witness.watch(scopeOf({ single: true }))
    peer.script.push(200, 200, 429, 401, 200)
    const any = { validateStatus: () => true }
    await watch.run(async () => {
      await axios.get(`${peer.origin}/look`, any)
      await axios.post(`${peer.origin}/oauth2/token`, 'x', any)
      for (let at = 0; at < 3; at += 1) await axios.post(`${peer.origin}/charge`, 'x', any)
      expect(gateCode(await caught(axios.post(`${peer.origin}/charge`, 'x', any)))).toBe('STEWARD_GATE')
      await axios.get(`${peer.origin}/look`, any)
      await axios.post(`${peer.origin}/oauth2/token`, 'x', any)
    })
    expect(peer.seen.map((each) => each.path)).toEqual(['/look', '/oauth2/token', '/charge', '/charge', '/charge', '/look', '/oauth2/token'])
  })

  test('code that outlives its attempt sends nothing that could act, by context, key or bound fetch', async () => {
    const scope = scopeOf()
    const watch = witness.watch(scope)
    const wake = new EventEmitter()
    const zombie = watch.run(async () => {
      await once(wake, 'wake')
      return Promise.all([
        caught(axios.post(`${peer.origin}/context`)),
        caught(request(`${peer.origin}/key`, { method: 'POST', headers: { key: scope.idempotencyKey } })),
        caught(watch.fetch(`${peer.origin}/bound`, { method: 'POST' })),
      ])
    })
    watch.close()
    wake.emit('wake')
    expect((await zombie).map(gateCode)).toEqual(['STEWARD_GATE', 'STEWARD_GATE', 'STEWARD_GATE'])
    await axios.post(`${peer.origin}/after`)
    expect(peer.seen.map((each) => each.path)).toEqual(['/after'])
  })

  test('remembers attempts that ran out of time longer than those that ended well', async () => {
    const late = scopeOf({ mayLeave: () => 'deadline' })
    const well = scopeOf()
    for (const scope of [late, well]) witness.watch(scope).close()
    const send = (scope: AttemptScope) => request(`${peer.origin}/x`, { method: 'POST', headers: { key: scope.idempotencyKey } }).then(({ body }) => body.dump())
    expect((await caught(send(well))).code).toBe('STEWARD_GATE')
    for (let at = 0; at < SETTLED_MAX; at += 1) witness.watch(scopeOf()).close()
    expect((await caught(send(late))).code).toBe('STEWARD_GATE')
    expect(peer.seen).toEqual([])
    await send(well)
    expect(peer.seen).toHaveLength(1)
  })

  test('a timer that was started inside send is let go a quarter of an hour after the attempt', async () => {
    const watch = witness.watch(scopeOf())
    const tick = watch.run(() => {
      const timer = new EventEmitter()
      return async () => {
        await Promise.resolve(timer)
        return watch.run(() => axios.post(`${peer.origin}/metrics`))
      }
    })
    watch.close()
    expect(gateCode(await caught(tick()))).toBe('STEWARD_GATE')
    monotonic += LATE_CONTEXT_MS + 1
    await tick()
    expect(peer.seen.map((each) => each.path)).toEqual(['/metrics'])
  })

  test('a scope that throws keeps the gate shut and the process alive', async () => {
    const watch = witness.watch(
      scopeOf({
        mayLeave: () => {
          throw new Error('clock is gone')
        },
      }),
    )
    expect(gateCode(await caught(watch.run(() => axios.post(`${peer.origin}/x`))))).toBe('STEWARD_GATE')
    expect(peer.seen).toEqual([])
  })
})
