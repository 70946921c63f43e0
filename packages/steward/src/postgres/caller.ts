/**
 * Transactions of the application's own, wrapped for `submit(operation, { key, input, tx })`. Each wrapper does one thing:
 * run one statement, its text and its values, inside the transaction it was given, and bring the rows.
 *
 * Nothing is imported from the drivers, and nothing but what they document is used of them.
 */
import type { CallerTx } from '../ports/store.ts'
import type { Row, Value } from './pool.ts'

/** Runs one statement ($1, $2 … stand for the values, texts, numbers and nulls) inside the transaction. @returns its rows. */
export type RunInTx = (text: string, values: readonly (string | number | null)[]) => Promise<readonly Readonly<Record<string, unknown>>[]>

export class PostgresCallerTx implements CallerTx {
  readonly driver: string
  readonly #run: RunInTx

  constructor(driver: string, run: RunInTx) {
    this.driver = driver
    this.#run = run
  }

  query(text: string, values: readonly Value[]): Promise<readonly Row[]> {
    return this.#run(text, values as readonly (string | number | null)[])
  }
}

/** Any other driver: a function that runs a text with its values inside the open transaction. */
export function fromQuery(run: RunInTx, driver = 'a query function'): CallerTx {
  return new PostgresCallerTx(driver, run)
}

/** `pg`: a client on which BEGIN was run; not the pool, whose statements go to any connection. */
export function fromPg(client: { query(config: { text: string; values: unknown[] }): Promise<{ readonly rows: readonly object[] }> }): CallerTx {
  return fromQuery(async (text, values) => (await client.query({ text, values: [...values] })).rows as readonly Row[], 'pg')
}

/** postgres.js: the `sql` that `sql.begin(async (sql) => …)` hands out. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- its parameters are typed by what the application registered
export function fromPostgresJs(sql: { unsafe(text: string, values: any[]): PromiseLike<readonly object[]> }): CallerTx {
  return fromQuery(async (text, values) => (await sql.unsafe(text, [...values])) as readonly Row[], 'postgres.js')
}

/** Kysely: the `trx` of `db.transaction().execute(async (trx) => …)`. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a compiled query is a plain object whose type is Kysely's own
export function fromKysely(trx: { executeQuery(compiled: any): Promise<{ readonly rows: readonly unknown[] }> }): CallerTx {
  return fromQuery(async (text, values) => {
    const query = { kind: 'RawNode', sqlFragments: [text], parameters: [] }
    return (await trx.executeQuery({ sql: text, parameters: values, query, queryId: { queryId: 'steward' } })).rows as readonly Row[]
  }, 'Kysely')
}

/** Knex on PostgreSQL: the `trx` of `knex.transaction(async (trx) => …)`. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- bindings and answers of a raw query are typed `any` by Knex
export function fromKnex(trx: { raw(text: string, bindings: any): PromiseLike<any> }): CallerTx {
  return fromQuery(async (text, values) => {
    const bindings: unknown[] = []
    const numbered = text.replace(/\$(\d+)/g, (_, n: string) => {
      bindings.push(values[Number(n) - 1])
      return '?'
    })
    return rowsOf(await trx.raw(numbered, bindings))
  }, 'Knex')
}

/** Drizzle on pg or postgres.js: the `tx` of `db.transaction(async (tx) => …)`, and Drizzle's own `sql` tag. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the type of the answer depends on the driver below
export function fromDrizzle<Sql>(tx: { execute(query: Sql): PromiseLike<any> }, sql: (strings: TemplateStringsArray, ...params: any[]) => Sql): CallerTx {
  return fromQuery(async (text, values) => {
    const params: unknown[] = []
    const strings: string[] = []
    let from = 0
    for (const found of text.matchAll(/\$(\d+)/g)) {
      strings.push(text.slice(from, found.index))
      params.push(values[Number(found[1]) - 1])
      from = found.index + found[0].length
    }
    strings.push(text.slice(from))
    return rowsOf(await tx.execute(sql(Object.assign(strings, { raw: strings }), ...params)))
  }, 'Drizzle')
}

/** pg answers with an object that holds the rows, postgres.js with the rows themselves. */
function rowsOf(answer: unknown): readonly Row[] {
  return Array.isArray(answer) ? (answer as Row[]) : (answer as { readonly rows: readonly Row[] }).rows
}
