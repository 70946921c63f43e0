/**
 * The proxy's process: told by its parent what to do to connections, and says when it has happened. When the parent is gone,
 * it ends the server, which would go on by itself.
 */
import process from 'node:process'
import { seededBy } from '../seeded.ts'
import { ordersOfThisProcess } from './orders.ts'
import { serverPid } from './postgres-server.ts'
import { type WireFault, WireFaults } from './wire-faults.ts'

export type ToProxy = 'cut' | { readonly delayMs: number }
export type FromProxy = { readonly port: number } | { readonly happened: WireFault }

process.on('disconnect', () => {
  try {
    if (place.kind === 'postgres') process.kill(serverPid(place.socketPath), 'SIGQUIT')
  } catch {
    // It is gone as well.
  }
})
const { place, seed } = ordersOfThisProcess()
if (place.kind !== 'postgres') throw new Error('there is a proxy only in front of PostgreSQL')
const say = (message: FromProxy): void => void process.send?.(message)
const faults = new WireFaults(place.socketPath, seededBy(seed, 'wire'), (happened) => say({ happened }))
process.on('message', (message: ToProxy) => {
  if (message === 'cut') faults.cut()
  else faults.delay(message.delayMs)
})
say({ port: await faults.listen() })
