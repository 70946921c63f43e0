/** `npm run exhaust`: every single fault and every pair of faults at every step of one call, for every idempotency answer. */
import { availableParallelism } from 'node:os'
import process from 'node:process'
import { Worker } from 'node:worker_threads'
import { realSystem } from 'steward/internal'
import type { Exhausted } from '../src/explore/exhaust.ts'
import { ENTRIES } from '../src/explore/steps.ts'
import { SUBJECTS } from '../src/explore/subjects.ts'
import { readOptions, tellResult } from './arguments.ts'
import type { Task } from './exhaust-thread.ts'

const options = readOptions('exhaust', 'Enumerates all single faults and all pairs of faults at every step of one call, for every idempotency answer.', {
  threads: { what: 'threads to use', default: Math.min(4, availableParallelism()) },
  json: { what: 'file to write the result to' },
})

const startMs = realSystem.monotonicMs()
// The longest first, so that no thread is left with one at the end.
const all = SUBJECTS.flatMap((subject) => ENTRIES.map((entry) => ({ subject: subject.name, entry, isLong: subject.pairs.includes(entry) })))
const tasks: Task[] = [...all.filter(({ isLong }) => isLong), ...all.filter(({ isLong }) => !isLong)]

const results: Exhausted[] = []
await Promise.all(Array.from({ length: Math.max(1, options.number('threads')) }, () => work()))

/** One thread takes tasks until none is left. */
async function work(): Promise<void> {
  const thread = new Worker(new URL('./exhaust-thread.ts', import.meta.url))
  try {
    for (let task = tasks.shift(); task !== undefined; task = tasks.shift()) {
      const result = await new Promise<Exhausted>((resolve, reject) => {
        thread.removeAllListeners()
        thread.once('message', resolve)
        thread.once('error', reject)
        thread.postMessage(task)
      })
      results.push(result)
      console.error(`${result.subject}, ${result.entry}: ${result.singles} single faults, ${result.pairs} pairs, ${result.failures.length} with violations`)
    }
  } finally {
    await thread.terminate()
  }
}

const failures = results.flatMap((result) => result.failures)
for (const { subject, entry, faults, violations } of failures.slice(0, 20)) console.error(`${subject}, ${entry}: ${faults.join(' + ')}: ${violations.map(({ rule, what }) => `${rule}: ${what}`).join('; ')}`)
const sum = (count: (one: Exhausted) => number): number => results.reduce((all, one) => all + count(one), 0)
tellResult(options.json, {
  singles: sum((one) => one.singles), pairs: sum((one) => one.pairs), violations: failures.length, durationMs: Math.round(realSystem.monotonicMs() - startMs),
  subjects: results.map(({ subject, entry, singles, pairs }) => ({ subject, entry, singles, pairs })), failures: failures.slice(0, 20),
})
if (failures.length > 0) process.exitCode = 1
