/** Where the store of a phase is: a folder with a file for SQLite, a database of its own for PostgreSQL. */
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Store } from 'steward'
import { postgres } from 'steward/postgres'
import { sqlite } from 'steward/sqlite'
import { Server } from './server.ts'

export type StoreName = 'sqlite' | 'postgres'

const isUrl = (place: string): boolean => place.startsWith('postgres:')

/** The store at a place, as an application would write it down. */
export function storeAt(place: string, commitDelayMs = 0): Store {
  return isUrl(place) ? postgres({ connectionString: place }) : sqlite(place, { commitDelayMs })
}

export function isPostgres(place: string): boolean {
  return isUrl(place)
}

export interface Places {
  readonly store: StoreName
  /** Runs `phase` on a new place, which is removed afterwards. */
  with<Result>(phase: (place: string) => Promise<Result>): Promise<Result>
  stop(): Promise<void>
}

export async function placesOf(store: StoreName, folder: string): Promise<Places> {
  return store === 'sqlite' ? filesIn(folder) : databasesOf(await Server.start(join(folder, 'server')))
}

function filesIn(folder: string): Places {
  let stores = 0
  return {
    store: 'sqlite',
    async with(phase) {
      const place = join(folder, `store-${++stores}`)
      mkdirSync(place)
      try {
        return await phase(join(place, 'steward.db'))
      } finally {
        rmSync(place, { recursive: true, force: true })
      }
    },
    stop: () => Promise.resolve(),
  }
}

function databasesOf(server: Server): Places {
  return { store: 'postgres', with: (phase) => server.onDatabase(phase), stop: () => server.stop() }
}
