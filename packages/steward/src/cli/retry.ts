import { BY_WHOM, type Command } from './command.ts'
import { onCall } from './one-call.ts'
import { byWhom } from './who.ts'

export const retry: Command = {
  name: 'retry',
  summary: 'do now what a call waits to do later',
  usage: '<operation> <key>',
  positionals: [2, 2],
  flags: BY_WHOM,
  about: 'Only moves the next step to now: the next attempt where sending is safe, the next question to the provider where it is not. Never sends what is in doubt. An ended call needs redrive.',
  examples: ['steward retry charge-order o_17 --why "the provider is back"'],
  async run(context) {
    const who = byWhom(retry, context.args)
    return await onCall(context, 'Moved to now.', (operation, key) => context.steward.retryNow(operation, key, who))
  },
}
