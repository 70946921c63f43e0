import { describe, it } from 'vitest'
import { storeConformance } from './conformance/index.ts'
import { manualSystem } from './manual-system.ts'
import { backupOf, memoryData } from './memory-data.ts'
import { memoryStore } from './memory-store.ts'

storeConformance({ describe, it }, 'memoryStore', () => {
  const system = manualSystem()
  const data = memoryData()
  // Hints come at the end of the batch; here the batch ends with the microtask.
  const soon = (fn: () => void): void => queueMicrotask(fn)
  const backup = (): Promise<() => Promise<void>> => {
    const restore = backupOf(data)
    return Promise.resolve(() => Promise.resolve(restore()))
  }
  return Promise.resolve({ make: () => memoryStore({ system: { now: system.now, soon }, data }), setClock: system.setClock, backup, remove: () => Promise.resolve() })
})
