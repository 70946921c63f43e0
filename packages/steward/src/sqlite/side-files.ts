/**
 * Proof of death: one small file per worker process, beside the store, on which its process keeps an exclusive SQLite
 * lock as long as it lives. The operating system drops the lock with the process, also on SIGKILL; whoever then gets a
 * read lock on it has proof. A frozen process keeps its lock and is judged by its lease alone.
 *
 * Only an acquired lock proves anything. A file that is missing, damaged or cannot be opened proves nothing, and the
 * lease decides by time: a late replacement is safe, a false proof is not. Files of the own process are never opened
 * (closing one could drop the process's other locks on it); the registry in `open-workers.ts` knows those.
 */
import { rmSync } from 'node:fs'
import type { Database, Open } from './driver.ts'

export type SideFiles = ReturnType<typeof sideFilesOf>

export function sideFilesOf(path: string, open: Open) {
  const held = new Map<string, Database>()
  const fileOf = (worker: string): string => `${path}-worker-${worker}`
  const remove = (worker: string): void => {
    for (const end of ['', '-journal']) rmSync(fileOf(worker) + end, { force: true })
  }
  return {
    fileOf,
    hold(worker: string): void {
      if (held.has(worker)) return
      const lock = open(fileOf(worker))
      // One page, so that the file is a valid database; the journal stays in memory: no second file to leave behind.
      lock.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA user_version = 1; BEGIN EXCLUSIVE')
      held.set(worker, lock)
    },
    letGo(worker: string): void {
      const lock = held.get(worker)
      if (!lock) return
      held.delete(worker)
      lock.close()
      remove(worker)
    },
    /** When the store closes: files of workers that did not leave stay, unlocked, as proof for others. */
    letAllGo(): void {
      for (const lock of held.values()) lock.close()
      held.clear()
    },
    remove,
    held: (): readonly string[] => [...held.keys()],
    provesDeath(worker: string): boolean {
      if (held.has(worker)) return false
      let probe: Database | null = null
      try {
        probe = open(fileOf(worker), { readOnly: true })
        probe.exec('BEGIN')
        return probe.prepare('PRAGMA user_version').get()?.['user_version'] === 1
      } catch {
        return false
      } finally {
        probe?.close()
      }
    },
  }
}
