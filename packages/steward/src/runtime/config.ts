/** What `steward.config.ts` exports: the options of `Steward.open`, so that the command line sees what the service sees. */
import type { Operation, StewardOptions } from './api.ts'

/** What could go wrong with one operation: made by `premortem` of `@steward/lab`, run by `steward lab`, demanded by `steward check`. */
export type PremortemLike = { readonly operation: Operation; readonly entries: readonly unknown[] }

/** The options of `Steward.open`, and what the command line needs beside them. */
export type ConfigOptions = StewardOptions & { readonly premortems?: readonly PremortemLike[] }

/** The options, or a function that returns them, for a config that reads secrets or opens connections first. */
export type StewardConfig = ConfigOptions | (() => ConfigOptions | Promise<ConfigOptions>)

/**
 * Returns its argument; it is there for the types.
 *
 * ```ts
 * // steward.config.ts
 * export default defineConfig({ store: sqlite('steward.db'), operations: [chargeOrder] })
 * ```
 */
export function defineConfig<Config extends StewardConfig>(config: Config): Config {
  return config
}
