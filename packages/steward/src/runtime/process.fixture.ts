/**
 * A worker in a process of its own, to be killed, frozen and blocked: node process.fixture.ts <db> <mode>; the provider's
 * address is in STEWARD_TEST_PROVIDER.
 * It says on stdout what happens, a line each; on stdin it is told what to do.
 */
import { createInterface } from 'node:readline'
import process from 'node:process'
import { natural, none, providerKey } from '../ports/definition.ts'
import type { StandardSchema } from '../ports/standard-schema.ts'
import { sqlite } from '../sqlite/index.ts'
import { defineOperation } from './operation.ts'
import { Steward } from './steward.ts'

const [path = '', mode = 'work'] = process.argv.slice(2)
const input: StandardSchema<{ readonly n?: number }> = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value: value as { n?: number } }) } }
const say = (line: string): void => void process.stdout.write(`${line}\n`)

async function post(fetch: typeof globalThis.fetch, idempotencyKey: string, key: string): Promise<unknown> {
  say(`sending ${key}`)
  const response = await fetch(process.env['STEWARD_TEST_PROVIDER'] ?? '', { method: 'POST', headers: { 'idempotency-key': idempotencyKey, 'x-call': key } })
  return await response.json()
}

export const operations = [
  defineOperation({ name: 'keyed', input, idempotency: providerKey({ retention: '1h' }), timeout: '20s', backoff: { base: '20ms' }, send: (_input, { fetch, idempotencyKey, call }) => post(fetch, idempotencyKey, call.key) }),
  defineOperation({ name: 'blind', input, idempotency: none('x'), timeout: '20s', send: (_input, { fetch, idempotencyKey, call }) => post(fetch, idempotencyKey, call.key) }),
  defineOperation({
    name: 'blocking', input, idempotency: none('x'), timeout: '20s',
    async send(_input, { fetch, idempotencyKey, call }) {
      say(`blocking ${call.key}`)
      for (const untilMs = performance.now() + 1_500; performance.now() < untilMs;);
      return await post(fetch, idempotencyKey, call.key)
    },
  }),
  defineOperation({
    name: 'order', input, idempotency: natural('x'), timeout: '20s', backoff: { base: '20ms' },
    send: () => Promise.resolve({ ok: true }),
    async onSettled(outcome, { tx }) {
      await tx?.run('INSERT INTO orders VALUES (?)', outcome.call.key)
      say(`settling ${outcome.call.key}`)
      if (mode === 'die-settling') process.kill(process.pid, 'SIGKILL')
    },
  }),
] as const

if (import.meta.main) {
  const steward = await Steward.open({ store: sqlite(path), operations, lease: mode === 'short-lease' ? '500ms' : '4s', onAlert: (alert) => say(`alert ${alert.kind}`), log: { info: () => undefined, warn: (message) => say(`warn ${message}`), error: (message) => say(`error ${message}`) } })
  steward.start()
  say('ready')
  createInterface({ input: process.stdin }).on('line', (line) => {
    const [order, name, key = ''] = line.split(' ')
    const operation = operations.find((one) => one.name === name)
    if (order === 'submit' && operation) steward.submit(operation, { key, input: {} }).then(() => say(`stored ${key}`), (error: unknown) => say(`refused ${String(error)}`))
    if (order === 'close') void steward.close().then(() => process.exit(0))
  })
}
