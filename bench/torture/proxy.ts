/** The proxy's process: told by its parent what to do to connections, and says when it has happened. */
import process from 'node:process'
import { seededBy } from '../seeded.ts'
import { ordersOfThisProcess } from './orders.ts'
import { type WireFault, WireFaults } from './wire-faults.ts'

export type ToProxy = 'cut' | { readonly delayMs: number }
export type FromProxy = { readonly port: number } | { readonly happened: WireFault }

const { place, seed } = ordersOfThisProcess()
if (place.kind !== 'postgres') throw new Error('there is a proxy only in front of PostgreSQL')
const say = (message: FromProxy): void => void process.send?.(message)
const faults = new WireFaults(place.socketPath, seededBy(seed, 'wire'), (happened) => say({ happened }))
process.on('message', (message: ToProxy) => (message === 'cut' ? faults.cut() : faults.delay(message.delayMs)))
say({ port: await faults.listen() })
