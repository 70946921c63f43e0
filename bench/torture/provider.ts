/** The provider's process: never killed, never frozen. Told by its parent when to begin its windows and when to stop. */
import { ordersOfThisProcess } from './orders.ts'
import { Ledger } from './ledger.ts'
import { ProviderSite } from './provider-site.ts'
import { windowsOf } from './provider-faults.ts'

const { answer, seed, numbers, ledgerPath, lengthMs } = ordersOfThisProcess()
const ledger = new Ledger(ledgerPath)
const site = new ProviderSite({ answer, seed, numbers, ledger })

process.on('message', (message) => {
  if (message === 'windows') site.schedule(windowsOf(seed, lengthMs))
  if (message === 'stop') {
    site.close()
    ledger.flush()
    process.exit(0)
  }
})
const port = await site.listen()
process.send?.({ port })
