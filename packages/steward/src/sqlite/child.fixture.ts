/**
 * Another process that works on a store: `node child.fixture.ts <what> <path> [more]`. It says what happened in lines
 * of JSON on stdout, written at once, so that nothing acknowledged is lost with the process.
 */
import { writeSync } from 'node:fs'
import type { Call } from '../core/call.ts'
import { sqlite } from './index.ts'

const [what = '', path = '', more = ''] = process.argv.slice(2)
const say = (value: unknown): void => void writeSync(1, `${JSON.stringify(value)}\n`)
const store = sqlite(path)
await store.open({ namespace: 'default', notice: (text) => say({ notice: text }) })
const now = store.now()

function call(key: string): Call {
  return {
    id: `c_${key}_${process.pid}_${Math.round(now)}_${(made += 1)}`, namespace: 'default', operation: 'charge-order', version: 1, key, group: null, place: null, priority: 0,
    state: 'waiting', effect: 'did_not_happen', rev: 0, generation: 1, attempts: 0, tries: 0, lapses: 0, firstBegunAt: null, keySpent: false,
    createdAt: now, dueAt: now, expiresAt: null, giveUpAt: null, open: [], facts: [], stop: null, lookup: null, reason: '', lastVerdict: null,
    given: '{}', input: null, result: null, resultMissing: null, supersedes: null, supersededBy: null, endedAt: null, encryptionKeyId: null, story: [],
  }
}
let made = 0

/** Everybody inserts the same key at once. */
async function insertSame(): Promise<void> {
  const results = (await Promise.all(Array.from({ length: Number(more) }, () => store.insert([{ kind: 'insert', call: call('same'), factsSeen: 0 }])))).flat()
  say({ created: results.filter((result) => result.ok).length, ids: [...new Set(results.flatMap((result) => (!result.ok && result.why === 'joined' ? [result.call.id] : [])))] })
  await store.close()
}

/** Inserts batches until a failpoint ends the process; each acknowledged key is said. */
async function insertMany(): Promise<void> {
  for (let n = 0; n < 400; n += 1) {
    const keys = [0, 1, 2, 3].map((at) => `${more}-${n}-${at}`)
    await Promise.all(keys.map(async (key) => {
      await store.insert([{ kind: 'insert', call: call(key), factsSeen: 0 }])
      say({ stored: key })
    }))
  }
  await store.close()
}

/** Enlists a worker and lives until it is killed. */
async function enlist(): Promise<void> {
  await store.enlist({ worker: more, epoch: 1, host: 'here', pid: process.pid, startedAt: now, beatAt: now, leaseUntilAt: now + 3_600_000, lanes: [], release: null })
  say({ enlisted: more })
  process.stdin.resume()
}

if (what === 'insert-same') await insertSame()
if (what === 'insert-many') await insertMany()
if (what === 'enlist') await enlist()
