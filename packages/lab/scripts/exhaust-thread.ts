/** One thread of `npm run exhaust`: explores the subjects it is given, one after another. */
import { parentPort } from 'node:worker_threads'
import { exhaust } from '../src/explore/exhaust.ts'
import type { Entry } from '../src/explore/steps.ts'
import { SUBJECTS } from '../src/explore/subjects.ts'

export type Task = { readonly subject: string; readonly entry: Entry }

parentPort?.on('message', (task: Task) => {
  const subject = SUBJECTS.find(({ name }) => name === task.subject)
  if (subject === undefined) throw new Error(`there is no subject "${task.subject}"`)
  exhaust(subject, task.entry, { pairs: subject.pairs.includes(task.entry) }).then((result) => parentPort?.postMessage(result), (error: unknown) => { throw error })
})
