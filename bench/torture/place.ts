/** Where the run's calls are kept, and how a process of it opens the store. */
import type { Failpoints, Store } from 'steward'
import { postgres } from 'steward/postgres'
import { sqlite } from 'steward/sqlite'

export type Place =
  | { readonly kind: 'sqlite'; readonly path: string }
  /** `url` goes through the proxy, `directUrl` to the server itself. */
  | { readonly kind: 'postgres'; readonly url: string; readonly directUrl: string; readonly socketPath: string }

export type StoreName = Place['kind']
export const STORES: readonly StoreName[] = ['sqlite', 'postgres']

/** An answer that does not come within this time is given up: connections fall silent, and the run is short. */
const STATEMENT_MS = 5_000

/** For those whose processes are killed and cut off. On SQLite, points are those of STEWARD_FAILPOINTS: the store lives in a thread. */
export function storeAt(place: Place, failpoints: Failpoints | null): Store {
  if (place.kind === 'sqlite') return sqlite(place.path)
  return postgres({ connectionString: place.url, statementMs: STATEMENT_MS, ...(failpoints ? { failpoints } : {}) })
}

/** For those who only look on. */
export function storeOfOnlooker(place: Place): Store {
  return place.kind === 'sqlite' ? sqlite(place.path) : postgres({ connectionString: place.directUrl, connections: 2, listen: false })
}
