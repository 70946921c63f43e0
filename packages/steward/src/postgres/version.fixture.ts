/**
 * A process of some version of the library: node version.fixture.ts <folder of its sources> <connection string>.
 * It says on stdout what happens, a line each; on stdin it is told what to do.
 */
import { join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import type * as Library from '../index.ts'
import type * as Postgres from './index.ts'

const [sources = '', connectionString = ''] = process.argv.slice(2)
const load = async <Module>(file: string): Promise<Module> => (await import(pathToFileURL(join(sources, file)).href)) as Module
const { defineOperation, natural, Steward } = await load<typeof Library>('index.ts')
const { postgres } = await load<typeof Postgres>('postgres/index.ts')

const say = (line: string): void => void process.stdout.write(`${line}\n`)
const charge = defineOperation({
  name: 'charge', input: { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } }, idempotency: natural('x'), backoff: { base: '20ms' },
  send: (_input, { call }) => Promise.resolve(say(`sent ${call.key}`)),
})

const silent = { info: () => undefined, warn: () => undefined, error: () => undefined }
const steward = await Steward.open({ store: postgres({ connectionString, listen: false }), operations: [charge], onAlert: null, log: silent }).catch((error: unknown) => {
  say(`refused ${error instanceof Error ? error.message : String(error)}`)
  process.exit(1)
})
say('open')
createInterface({ input: process.stdin }).on('line', (line) => {
  const [order, ...keys] = line.split(' ')
  if (order === 'submit') void Promise.all(keys.map((key) => steward.submit(charge, { key, input: {} }))).then(() => say(`stored ${keys.join(' ')}`))
  if (order === 'start') {
    steward.start()
    say('started')
  }
  if (order === 'await') void Promise.all(keys.map((key) => steward.outcome(charge, key))).then((outcomes) => say(`ended ${outcomes.map(({ state }) => state).join(' ')}`))
}).once('close', () => void steward.close().then(() => process.exit(0)))
