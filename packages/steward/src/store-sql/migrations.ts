/**
 * The schema, as steps from version to version. Both SQL stores apply this list, each in its own dialect, inside one
 * transaction that holds the store's write lock: of two processes that open a new store at once, one migrates and
 * the other finds it done.
 *
 * A step may only add (columns with defaults, tables, indices) as long as the previous version of the library is
 * still to work with the result; `needs` is the lowest schema version a library must know to work with it.
 *
 * Tables:
 *  - steward_meta      names and values of the store itself
 *  - steward_key       every (namespace, operation, key) ever used, for ever, with what never changes of its call (`input`); once
 *                      pruned, `state` and `digests` instead
 *  - steward_open      calls that are not at an end: the hot table, leases included
 *  - steward_ended     calls at an end, until pruned
 *  - steward_count     open calls per operation and version, kept by the transactions that change them
 *  - steward_settle    ends the application has not been told of
 *  - steward_early_fact, steward_worker, steward_control, steward_alert
 *  - steward_group     order counter of strictly ordered groups
 */
export type Dialect = {
  /** Type of a 64-bit whole number. */
  readonly whole: string
  /** Column that numbers rows in the order of their insertion. */
  readonly serial: string
  /** What follows the closing parenthesis of CREATE TABLE. */
  readonly tableEnd: string
  /** The same, for tables whose primary key is their only order. */
  readonly keyedTableEnd: string
}

export type Migration = { readonly version: number; readonly needs: number; readonly statements: (dialect: Dialect) => readonly string[] }

/** Names in steward_meta. */
export const META = { schema: 'schema_version', needs: 'schema_needs', namespace: 'namespace', time: 'time_high_water', controlsRev: 'controls_rev', incarnation: 'incarnation', opening: 'opening', restored: 'restored' } as const

export const MIGRATIONS: readonly Migration[] = [{ version: 1, needs: 1, statements: first }]

/** The newest schema this library knows. */
export const SCHEMA_VERSION = MIGRATIONS.reduce((newest, step) => Math.max(newest, step.version), 0)

function first(dialect: Dialect): readonly string[] {
  return [...callTables(dialect), ...sideTables(dialect)]
}

/** Where SQLite keeps calls. PostgreSQL lays them out in its own way (src/postgres/schema.ts): there an update writes a new row. */
function callTables({ whole, serial, tableEnd, keyedTableEnd }: Dialect): readonly string[] {
  return [
    `CREATE TABLE steward_key (seq ${serial}, namespace TEXT NOT NULL, operation TEXT NOT NULL, key TEXT NOT NULL, id TEXT NOT NULL, input TEXT, state TEXT, digests TEXT)${tableEnd}`,
    'CREATE UNIQUE INDEX steward_key_once ON steward_key (namespace, operation, key)',
    'CREATE UNIQUE INDEX steward_key_id ON steward_key (id)',
    `CREATE TABLE steward_open (seq ${whole} PRIMARY KEY, namespace TEXT NOT NULL, operation TEXT NOT NULL, version ${whole} NOT NULL,
      priority ${whole} NOT NULL, due_at ${whole}, limit_at ${whole}, expires_at ${whole}, give_up_at ${whole}, grp TEXT, place ${whole},
      state TEXT NOT NULL, rev ${whole} NOT NULL, generation ${whole} NOT NULL, encryption_key_id TEXT, worker TEXT, epoch ${whole}, body TEXT NOT NULL)${tableEnd}`,
    'CREATE INDEX steward_open_due ON steward_open (namespace, operation, version, priority, due_at) WHERE worker IS NULL AND due_at IS NOT NULL',
    'CREATE INDEX steward_open_limit ON steward_open (limit_at) WHERE worker IS NULL AND limit_at IS NOT NULL',
    'CREATE INDEX steward_open_lease ON steward_open (worker, epoch) WHERE worker IS NOT NULL',
    "CREATE INDEX steward_open_state ON steward_open (state) WHERE state NOT IN ('waiting', 'running')",
    'CREATE INDEX steward_open_group ON steward_open (grp, place) WHERE grp IS NOT NULL',
    'CREATE INDEX steward_open_generation ON steward_open (generation) WHERE generation > 1',
    'CREATE INDEX steward_open_encryption ON steward_open (encryption_key_id) WHERE encryption_key_id IS NOT NULL',
    `CREATE TABLE steward_ended (seq ${whole} PRIMARY KEY, operation TEXT NOT NULL, grp TEXT, state TEXT NOT NULL, rev ${whole} NOT NULL,
      ended_at ${whole} NOT NULL, encryption_key_id TEXT, body TEXT NOT NULL)${tableEnd}`,
    'CREATE INDEX steward_ended_at ON steward_ended (ended_at)',
    "CREATE INDEX steward_ended_state ON steward_ended (state) WHERE state <> 'succeeded'",
    'CREATE INDEX steward_ended_group ON steward_ended (grp) WHERE grp IS NOT NULL',
    'CREATE INDEX steward_ended_encryption ON steward_ended (encryption_key_id) WHERE encryption_key_id IS NOT NULL',
    `CREATE TABLE steward_count (namespace TEXT NOT NULL, operation TEXT NOT NULL, version ${whole} NOT NULL, open ${whole} NOT NULL, PRIMARY KEY (namespace, operation, version))${keyedTableEnd}`,
    `CREATE TABLE steward_settle (seq ${whole} PRIMARY KEY, due_at ${whole} NOT NULL, tries ${whole} NOT NULL)${tableEnd}`,
    'CREATE INDEX steward_settle_due ON steward_settle (due_at)',
  ]
}

/** Everything else, the same in every SQL store. */
export function sideTables({ whole, serial, tableEnd, keyedTableEnd }: Dialect): readonly string[] {
  return [
    `CREATE TABLE steward_early_fact (seq ${serial}, namespace TEXT NOT NULL, operation TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL)${tableEnd}`,
    'CREATE INDEX steward_early_fact_key ON steward_early_fact (namespace, operation, key)',
    `CREATE TABLE steward_worker (worker TEXT PRIMARY KEY, epoch ${whole} NOT NULL, host TEXT NOT NULL, pid ${whole} NOT NULL, started_at ${whole} NOT NULL,
      beat_at ${whole} NOT NULL, lease_until_at ${whole} NOT NULL, lanes TEXT NOT NULL, release TEXT, fenced ${whole} NOT NULL)${keyedTableEnd}`,
    `CREATE TABLE steward_control (kind TEXT NOT NULL, name TEXT NOT NULL, mode TEXT NOT NULL, until_at ${whole}, by TEXT NOT NULL, why TEXT NOT NULL, at ${whole} NOT NULL, PRIMARY KEY (kind, name))${keyedTableEnd}`,
    `CREATE TABLE steward_alert (seq ${serial}, id TEXT NOT NULL, at ${whole} NOT NULL, delivered_at ${whole}, body TEXT NOT NULL)${tableEnd}`,
    'CREATE UNIQUE INDEX steward_alert_id ON steward_alert (id)',
    'CREATE INDEX steward_alert_undelivered ON steward_alert (seq) WHERE delivered_at IS NULL',
    `CREATE TABLE steward_group (namespace TEXT NOT NULL, name TEXT NOT NULL, last_place ${whole} NOT NULL, PRIMARY KEY (namespace, name))${keyedTableEnd}`,
  ]
}
