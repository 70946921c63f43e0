/** One measurement in a process of its own, so that none profits from what another has warmed up. */
import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'
import process from 'node:process'

/** What a measurement is given. */
export type Task = {
  readonly task: string
  readonly port: number
  /** Of the store: a file, or the address of a database. */
  readonly place: string
  readonly calls: number
  readonly compileCache: string
  readonly from?: number
  readonly commitDelayMs?: number
  /** Without the attempt's signal, which costs undici a listener per request. */
  readonly noSignal?: boolean
}

export const TASK = 'STEWARD_BENCH_TASK'

export function taskOfThisProcess(): Task {
  process.on('disconnect', () => process.exit(0))
  return JSON.parse(process.env[TASK] ?? '{}') as Task
}

export type Running = { readonly child: ChildProcess; /** The next message. */ next<Answer>(): Promise<Answer>; readonly gone: Promise<void> }

/**
 * @param task.compileCache where the processes of a run keep their sources as JavaScript: users run JavaScript, and the
 * stripper of types would count for some 35 MB.
 */
export function begin(file: string, task: Task, execArgv: readonly string[] = []): Running {
  const child = fork(join(import.meta.dirname, file), { env: { ...process.env, NODE_COMPILE_CACHE: task.compileCache, [TASK]: JSON.stringify(task) }, execArgv: [...execArgv], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const inbox: unknown[] = []
  const waiting: { resolve: (value: unknown) => void; reject: (error: Error) => void }[] = []
  child.on('message', (message) => {
    const first = waiting.shift()
    if (first) first.resolve(message)
    else inbox.push(message)
  })
  const gone = new Promise<void>((resolve) => {
    child.once('exit', (code, signal) => {
      for (const { reject } of waiting.splice(0)) reject(new Error(`${file} ${task.task} ended (code ${code}, signal ${signal}) before it answered`))
      resolve()
    })
  })
  return {
    child, gone,
    next: <Answer>() => new Promise<Answer>((resolve, reject) => {
      if (inbox.length > 0) resolve(inbox.shift() as Answer)
      else if (child.exitCode !== null || child.signalCode !== null) reject(new Error(`${file} ${task.task} is gone`))
      else waiting.push({ resolve: resolve as (value: unknown) => void, reject })
    }),
  }
}

/** Begins a measurement, takes its one answer, and waits until it has left. */
export async function measured<Answer>(file: string, task: Task, execArgv: readonly string[] = []): Promise<Answer> {
  const running = begin(file, task, execArgv)
  const answer = await running.next<Answer>()
  await running.gone
  return answer
}
