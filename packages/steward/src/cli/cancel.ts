import { BY_WHOM, type Command } from './command.ts'
import { onCall } from './one-call.ts'
import { byWhom } from './who.ts'

export const cancel: Command = {
  name: 'cancel',
  summary: 'send nothing more of a call',
  usage: '<operation> <key>',
  positionals: [2, 2],
  flags: BY_WHOM,
  about: 'Stops further sends at once. What was sent already cannot be called back: with an attempt in doubt the call ends only when it is known what became of that.',
  examples: ['steward cancel charge-order o_17 --why "customer withdrew the order"'],
  async run(context) {
    const who = byWhom(cancel, context.args)
    return await onCall(context, 'Nothing more of it is sent.', (operation, key) => context.steward.cancel(operation, key, who))
  },
}
