/** Alerts: each stored once by its id, whoever raises it and however often. */
import type { Alert } from '../core/alert.ts'
import type { StoredAlert } from '../ports/store.ts'
import type { Around } from './around.ts'
import { jsonArray, jsonColumn, numberColumn, textColumn } from './columns.ts'
import { type Session, type Statement, statement, type Value } from './pool.ts'

const add = (s: string): Statement => statement(`INSERT INTO ${s}steward_alert (id, at, body) SELECT * FROM unnest($1::text[], $2::bigint[], ${jsonArray('$3')}) ON CONFLICT (id) DO NOTHING`)

function values(alerts: readonly Alert[]): readonly Value[] {
  return [textColumn(alerts.map((one) => one.id)), numberColumn(alerts.map((one) => one.at)), jsonColumn(alerts.map((one) => JSON.stringify(one)))]
}

/** In the transaction of the transition that causes them. */
export async function raise(session: Session, s: string, alerts: readonly Alert[]): Promise<void> {
  if (alerts.length > 0) await session.change(add(s), values(alerts))
}

export function alertRows({ connections, s }: Around) {
  const undelivered = statement(`SELECT body, delivered_at FROM ${s}steward_alert WHERE delivered_at IS NULL ORDER BY seq LIMIT $1`)
  const newest = statement(`SELECT body, delivered_at FROM ${s}steward_alert ORDER BY seq DESC LIMIT $1`)
  const delivered = statement(`UPDATE ${s}steward_alert SET delivered_at = $2 WHERE id = ANY($1::text[]) AND delivered_at IS NULL`)
  return {
    async raise(alerts: readonly Alert[]): Promise<void> {
      if (alerts.length > 0) await connections.run(add(s), values(alerts))
    },
    async alerts(undeliveredOnly: boolean, limit: number): Promise<readonly StoredAlert[]> {
      const rows = await connections.run(undeliveredOnly ? undelivered : newest, [limit])
      return rows.map((row) => ({ ...(JSON.parse(row['body'] as string) as Alert), deliveredAt: row['delivered_at'] === null ? null : Number(row['delivered_at']) }))
    },
    async delivered(ids: readonly string[], at: number): Promise<void> {
      if (ids.length > 0) await connections.run(delivered, [textColumn(ids), at])
    },
  }
}
