/**
 * A copy of a store's schema, and the way back to it. The server's own identity does not change by that, as it would by
 * real recovery (incarnation.test.ts does the real thing): the copy's record of it is made to differ instead.
 */
import type pg from 'pg'

export async function backupOf(pool: pg.Pool, schema: string): Promise<() => Promise<void>> {
  const copy = `${schema} copy`
  const { rows } = await pool.query<{ name: string }>('SELECT tablename AS name FROM pg_tables WHERE schemaname = $1', [schema])
  await pool.query(`CREATE SCHEMA "${copy}"; ${rows.map(({ name }) => `CREATE TABLE "${copy}".${name} AS TABLE "${schema}".${name}`).join('; ')}`)
  return async () => {
    const back = rows.map(({ name }) => `DELETE FROM "${schema}".${name}; INSERT INTO "${schema}".${name} SELECT * FROM "${copy}".${name}`)
    await pool.query(`BEGIN; ${back.join('; ')}; UPDATE "${schema}".steward_meta SET value = '1/1' WHERE name = 'incarnation'; COMMIT; DROP SCHEMA "${copy}" CASCADE`)
  }
}
