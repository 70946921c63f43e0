/** The worker of the Steward strategy: killed at will; it keeps nothing that the store does not have. */
import { join } from 'node:path'
import { Steward } from 'steward'
import { sqlite } from 'steward/sqlite'
import { chargeOrder } from './operation.ts'
import { settingOfThisProcess } from './orders.ts'

const setting = settingOfThisProcess()
const quiet = { info: () => undefined, warn: () => undefined, error: (message: string) => console.error(message) }
const steward = await Steward.open({ store: sqlite(join(setting.folder, 'steward.db')), operations: [chargeOrder(setting)], concurrency: 16, onAlert: null, log: quiet })
steward.start()
process.send?.('ready')
