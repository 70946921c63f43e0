import type { Json, SettleOptions } from '../index.ts'
import { oneOf, usage } from './arguments.ts'
import { type Arguments, BY_WHOM, type Command } from './command.ts'
import { onCall } from './one-call.ts'
import { byWhom } from './who.ts'

const OUTCOMES = { happened: 'happened', 'send-again': 'send_again', stop: 'stop' } as const

export const settle: Command = {
  name: 'settle',
  summary: 'decide a call in doubt: it happened, or it did not',
  usage: '<operation> <key>',
  positionals: [2, 2],
  flags: [
    { name: 'happened', text: 'the provider did it: the call ends succeeded' },
    { name: 'send-again', text: 'it did not happen: send it again under a fresh key' },
    { name: 'stop', text: 'it did not happen, and is not wanted any more: the call ends cancelled' },
    { name: 'reference', value: 'ID', text: "with --happened: the provider's id of the effect" },
    { name: 'result', value: 'JSON', text: 'with --happened: the result that the application waits for' },
    ...BY_WHOM,
  ],
  about: 'Look at the provider first. "It did not happen" is refused while bytes of an attempt may still leave. A later contradicting fact corrects the record, loudly.',
  examples: [
    'steward settle charge-order o_17 --happened --reference ch_1 --result \'{"chargeId":"ch_1"}\' --why "seen in the dashboard"',
    'steward settle charge-order o_17 --send-again --why "no charge for this order in the dashboard, asked support"',
  ],
  async run(context) {
    const { args, steward } = context
    const flag = oneOf(settle, args, Object.keys(OUTCOMES)) as keyof typeof OUTCOMES
    const outcome = OUTCOMES[flag]
    const reference = args.text('reference')
    if (outcome !== 'happened' && (reference !== undefined || args.has('result'))) throw usage(settle, `--reference and --result belong to --happened; what did not happen has neither.`)
    const options: SettleOptions = { outcome, ...byWhom(settle, args), ...(reference === undefined ? {} : { reference }), ...resultOf(args) }
    return await onCall(context, 'Settled.', (operation, key) => steward.settle(operation, key, options))
  },
}

function resultOf(args: Arguments): { readonly result?: Json } {
  const text = args.text('result')
  if (text === undefined) return {}
  try {
    return { result: JSON.parse(text) as Json }
  } catch {
    throw usage(settle, `--result is not JSON: ${text}. Text needs its quotes: --result '"ch_1"'.`)
  }
}
