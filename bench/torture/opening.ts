/** Opens Steward in a process of the fleet, also while the database is away: nobody else starts it again. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Steward, StewardError, type StewardOptions } from 'steward'

const QUIET = { info: () => undefined, warn: () => undefined, error: () => undefined }

export async function opened(options: () => StewardOptions): Promise<Steward> {
  for (;;) {
    try {
      return await Steward.open({ log: QUIET, onAlert: null, ...options() })
    } catch (error) {
      if (!(error instanceof StewardError) || error.code !== 'STEWARD_STORE_UNAVAILABLE') throw error
      await sleep(200)
    }
  }
}
