/** Facts about providers, ready to be an operation's idempotency answer. One file and one line each. */
export { adyen } from './adyen.ts'
export { checkout } from './checkout.ts'
export { ietfDraft } from './ietf-draft.ts'
export { paypal } from './paypal.ts'
export { sqsFifo } from './sqs-fifo.ts'
export { stripe } from './stripe.ts'
