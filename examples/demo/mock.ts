/** stripe-stateful-mock (a Stripe server that others wrote) in a process of its own, which is never killed. */
import { createServer, type RequestListener } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import process from 'node:process'

const stripeMock = createRequire(import.meta.url)('stripe-stateful-mock') as { readonly createExpressApp: () => RequestListener }
const server = createServer(stripeMock.createExpressApp())
process.on('disconnect', () => process.exit(0))
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }))
