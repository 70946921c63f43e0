import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import { storeConformance } from '../testing/index.ts'
import { backupOf } from './backup.fixture.ts'
import { sqlite } from './index.ts'

storeConformance({ describe, it }, 'sqlite', () => {
  const folder = mkdtempSync(join(tmpdir(), 'steward-conformance-'))
  let now = 0
  return Promise.resolve({
    make: () => sqlite(join(folder, 'steward.db'), { clock: () => now }),
    setClock: (at) => { now = at },
    backup: () => {
      const restore = backupOf(join(folder, 'steward.db'))
      return Promise.resolve(() => Promise.resolve(restore()))
    },
    remove: () => Promise.resolve(rmSync(folder, { recursive: true })),
  })
})
