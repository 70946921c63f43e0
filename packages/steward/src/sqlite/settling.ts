/** The application's handler inside the recording transaction, as the main thread sees it: statements go to the thread, answers come back one by one. */
import type { SettleInTx, SettleTx, SqlValue } from '../ports/store.ts'
import type { Remark, SettleSay } from './protocol.ts'
import type { Settled, ThreadLink } from './thread-link.ts'

type Asked = { readonly resolve: (value: unknown) => void; readonly reject: (error: Error) => void }

/** @param what the transaction is about, for messages. */
export function conversation(link: ThreadLink, inTx: SettleInTx, what: string, settleMs: number): { over(settled: Settled): unknown } {
  const asked: Asked[] = []
  let isOver = false
  /** What the handler threw; `null` while it runs. */
  let outcome: { readonly threw: unknown } | null = { threw: undefined }

  const overError = (): Error => new Error(`the transaction that records ${what} is over; this statement was not run. Await every statement inside onSettled, and keep it under ${settleMs} ms`)
  const ask = (said: SettleSay): Promise<unknown> => {
    if (isOver) return Promise.reject(overError())
    return new Promise((resolve, reject) => {
      asked.push({ resolve, reject })
      link.settleSay(said)
    })
  }
  const tx: SettleTx = {
    run: (sql: string, ...params: readonly SqlValue[]) => ask({ say: 'run', sql, params }) as Promise<{ changes: number }>,
    all: (sql: string, ...params: readonly SqlValue[]) => ask({ say: 'all', sql, params }) as Promise<readonly Readonly<Record<string, SqlValue>>[]>,
  }

  const runHandler = async (): Promise<void> => {
    outcome = null
    try {
      await inTx(tx)
      outcome = { threw: undefined }
      if (!isOver) link.settleSay({ say: 'done' })
    } catch (error) {
      outcome = { threw: error ?? new Error('onSettled threw nothing at all') }
      if (!isOver) link.settleSay({ say: 'undo' })
    }
  }

  link.onSettleRemark = (remark: Remark) => {
    if (remark.remark === 'settle-ready') void runHandler()
    if (remark.remark !== 'settle-answer') return
    const one = asked.shift()
    if (remark.error === undefined) one?.resolve(remark.value)
    else one?.reject(new Error(remark.error))
  }

  return {
    over(settled) {
      isOver = true
      link.onSettleRemark = null
      for (const one of asked.splice(0)) one.reject(overError())
      if (settled.ended === 'late') return new Error(`onSettled of ${what} took longer than ${settleMs} ms. Its own statements were undone; the call's end is recorded, and onSettled runs again later`)
      // One that still runs is not waited for: nothing that it does belongs to the transaction any more.
      const threw = outcome?.threw
      if (settled.ended === 'lost') return threw ?? new Error(`onSettled of ${what} ended the transaction with a statement of its own (OR ROLLBACK, RAISE(ROLLBACK), a deferred constraint or a full disk). Its statements were undone; onSettled runs again later`)
      return threw
    },
  }
}
