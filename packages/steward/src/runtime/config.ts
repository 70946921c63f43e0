/** What `steward.config.ts` exports: the options of `Steward.open`, so that the command line sees what the service sees. */
import type { StewardOptions } from './api.ts'

/** The options, or a function that returns them, for a config that reads secrets or opens connections first. */
export type StewardConfig = StewardOptions | (() => StewardOptions | Promise<StewardOptions>)

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
