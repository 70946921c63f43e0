/**
 * Entry of the store's thread: the only place where a connection to the database lives.
 *
 * It opens the file, says so (or why not), then serves messages until told to close. Waiting for a lock or the disk
 * blocks this thread and nothing else. When it dies, the main thread refuses what was under way as "outcome unknown".
 */
import { existsSync, openSync, watch, writeSync, closeSync } from 'node:fs'
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { failpointsOf, parseFailpoints } from '../ports/failpoints.ts'
import { CallRows } from './call-rows.ts'
import { openDatabase } from './database.ts'
import { type Open, openerOf } from './driver.ts'
import { engine } from './engine.ts'
import { laneRows } from './lanes.ts'
import { Past } from './past.ts'
import { type Message, type Remark, SIGNAL, type ThreadData } from './protocol.ts'
import { questions } from './questions.ts'
import { refusalOf } from './refusals.ts'
import type { Parts } from './requests.ts'
import { settleInThread, type SettleRequest } from './settling-thread.ts'
import { sideFilesOf } from './side-files.ts'
import { prepareShared } from './transaction.ts'
import { workerRows } from './worker-rows.ts'

type Told = Message | { readonly settle: SettleRequest; readonly n: number } | { readonly letGo: string } | { readonly remove: readonly string[] } | { readonly close: true }
type Given = ThreadData & { readonly settlePort: MessagePort }

/** A commit waits this long for what the main thread is about to say. */
const MORE_MS = 2

/** @returns the high-water mark as stored. */
function start(port: MessagePort, data: Given, open: Open): number {
  const tell = (remark: Remark): void => port.postMessage(remark)
  const db = openDatabase(data, open)
  const shared = prepareShared(db, data.namespace)
  const calls = new CallRows(db)
  const lanes = laneRows(db, data.namespace)
  const sideFiles = sideFilesOf(data.path, open)
  const parts: Parts = { shared, calls, lanes, sideFiles, workers: workerRows(db, sideFiles), questions: questions(db, data.namespace, lanes) }
  const failpoints = failpointsOf(parseFailpoints(data.failpoints), () => process.kill(process.pid, 'SIGKILL'))
  const past = new Past(data.path, (text) => tell({ remark: 'notice', text }))
  const work = engine(parts, past, { path: data.path, busyMs: data.busyMs, commitDelayMs: data.commitDelayMs, failpoints })
  work.judge(data.now)
  const bell = openBell(data.path, () => db.prepare('PRAGMA data_version').get()?.['data_version'] as number, tell)
  const talk = { port: data.settlePort, signal: new Int32Array(data.signal), remark: tell }

  const obey = (told: Told): void => {
    if ('settle' in told) {
      port.postMessage({ n: told.n, settled: settleInThread(work, shared, calls, talk, told.settle) })
      bell.ring()
    } else if ('letGo' in told) sideFiles.letGo(told.letGo)
    else if ('remove' in told) told.remove.forEach((worker) => sideFiles.remove(worker))
    else if ('close' in told) {
      sideFiles.letAllGo()
      bell.close()
      past.close()
      db.close()
      port.postMessage({ closed: true })
      port.close()
    }
  }

  const signal = new Int32Array(data.signal)
  /** Taken from the port while a transaction was open, and of another kind: its turn comes next. */
  let ahead: Told | undefined

  port.on('message', (first: Told) => {
    for (let told: Told | undefined = first; told !== undefined; told = next(0)) {
      if ('inserts' in told) serve(told)
      else obey(told)
    }
  })

  function next(waitMs: number): Told | undefined {
    const told = ahead ?? awaited(port, signal, waitMs)
    ahead = undefined
    return told
  }

  /** Another message of work, if one has come or is about to; whatever else has come keeps its place. */
  function arrived(announced: boolean): Message | undefined {
    const told = next(announced ? MORE_MS : 0)
    if (told === undefined || 'inserts' in told) return told
    ahead = told
    return undefined
  }

  function serve(message: Message): void {
    const replies = work.work([message], arrived)
    port.postMessage(replies)
    if (replies.some((reply) => reply.changed)) bell.ring()
  }

  return work.mark
}

/** The next message, if it has come or comes within the wait. */
function awaited(port: MessagePort, signal: Int32Array, waitMs: number): Told | undefined {
  for (let waited = false; ; waited = true) {
    const said = Atomics.load(signal, SIGNAL.said)
    const told = receiveMessageOnPort(port)?.message as Told | undefined
    if (told !== undefined || waitMs === 0 || waited) return told
    Atomics.wait(signal, SIGNAL.said, said, waitMs)
  }
}

/**
 * Wakes other processes: a byte is written to the bell file after each commit, and each process watches it. Written
 * after the commit is visible, unlike the log, which changes before. A bell that cannot be watched is done without.
 */
function openBell(path: string, version: () => number, tell: (remark: Remark) => void): { ring(): void; close(): void } {
  const file = `${path}-bell`
  const byte = new Uint8Array([1])
  let seen = version()
  try {
    const bell = openSync(file, existsSync(file) ? 'r+' : 'w')
    const watcher = watch(file, { persistent: false }, () => {
      const current = version()
      // Only other connections' commits change the version that this one sees.
      if (current !== seen) tell({ remark: 'hint' })
      seen = current
    })
    watcher.on('error', () => watcher.close())
    return {
      // A hint: a disk that takes no byte for it must not take the store down with it.
      ring: () => {
        try {
          writeSync(bell, byte, 0, 1, 0)
        } catch { /* others find the work by their sweeps */ }
      },
      close: () => {
        watcher.close()
        closeSync(bell)
      },
    }
  } catch (error) {
    tell({ remark: 'notice', text: `${file} cannot be watched (${error instanceof Error ? error.message : String(error)}). Work submitted by other processes is found by the sweeps, up to a second later.` })
    return { ring: () => undefined, close: () => undefined }
  }
}

if (parentPort === null) throw new Error('This file is the entry of the store\'s thread. Open a store with sqlite(path) instead.')
const given = workerData as Given
try {
  parentPort.postMessage({ opened: true, mark: start(parentPort, given, await openerOf(given.driver)) })
} catch (error) {
  parentPort.postMessage({ opened: false, refusal: refusalOf(error, given.path, 'opening') })
  parentPort.close()
}
