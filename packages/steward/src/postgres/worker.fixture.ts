/** A worker of a fleet in a process of its own, with default settings, to be killed: node worker.fixture.ts <database> <schema> <provider>. */
import process from 'node:process'
import { Steward } from '../runtime/steward.ts'
import { postgres } from './index.ts'
import { charging } from './outages.fixture.ts'

const [connectionString = '', schema = '', provider = ''] = process.argv.slice(2)
const steward = await Steward.open({ store: postgres({ connectionString, schema }), operations: [charging(provider)], onAlert: null })
steward.start()
