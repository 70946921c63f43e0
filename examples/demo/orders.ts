/** The orders of the shop, and what its processes are told. */
import process from 'node:process'

export type Order = { readonly id: string; readonly amount: number }

export const ORDERS: readonly Order[] = Array.from({ length: 300 }, (_, n) => ({ id: `order_${String(n + 1).padStart(3, '0')}`, amount: 1_000 + ((n * 7_919) % 9_000) }))

/** The orders come in over this time. */
export const ARRIVE_WITHIN_MS = 14_000
export const arrivesAt = (n: number, startedAt: number): number => startedAt + (n / ORDERS.length) * ARRIVE_WITHIN_MS

export type Setting = {
  /** Name of the strategy; each charge carries it in its metadata. */
  readonly strategy: string
  readonly proxyPort: number
  readonly folder: string
  readonly startedAt: number
}

export const SETTING = 'STEWARD_DEMO_SETTING'

/** The setting of this process, which ends with its parent. */
export function settingOfThisProcess(): Setting {
  process.on('disconnect', () => process.exit(0))
  return JSON.parse(process.env[SETTING] ?? '{}') as Setting
}
