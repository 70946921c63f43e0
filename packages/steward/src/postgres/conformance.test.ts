import type pg from 'pg'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { storeConformance } from '../testing/index.ts'
import { backupOf } from './backup.fixture.ts'
import { postgres } from './index.ts'
import { type PostgresServer, postgresServer, VERSIONS } from './server.fixture.ts'

for (const version of VERSIONS) {
  describe(`PostgreSQL ${version}`, () => {
    let server: PostgresServer
    let pool: pg.Pool
    let places = 0
    beforeAll(async () => {
      server = await postgresServer(version)
      pool = server.pool(20)
    }, 60_000)
    afterAll(() => server.remove())

    storeConformance({ describe, it }, `postgres on ${version}`, () => {
      places += 1
      const schema = `place ${places}`
      let now = 0
      return Promise.resolve({
        make: () => postgres({ pool, schema, clock: () => now }),
        setClock: (at) => { now = at },
        backup: () => backupOf(pool, schema),
        remove: async () => void (await pool.query(`DROP SCHEMA "${schema}" CASCADE`)),
      })
    })
  })
}
