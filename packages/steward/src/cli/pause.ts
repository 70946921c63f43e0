import { BY_WHOM, type Command } from './command.ts'
import { SCOPE_FLAGS, scopeOf } from './scope.ts'
import { byWhom } from './who.ts'

export const pause: Command = {
  name: 'pause',
  summary: 'send nothing more to a provider, of an operation, or for a group',
  usage: '',
  positionals: [0, 0],
  flags: [...SCOPE_FLAGS, ...BY_WHOM],
  about: 'Holds in every process at once, until resumed. Calls are still accepted, and wait. Attempts that have begun run to their end.',
  examples: ['steward pause --provider stripe --why "their status page says outage"', 'steward pause --group acme --why "their account is under review"'],
  async run(context) {
    const { scope, words, flag } = scopeOf(pause, context)
    const who = byWhom(pause, context.args)
    await context.steward.pause(scope, who)
    context.print({ paused: scope, ...who }, `Paused ${words}. Nothing new of it is sent; begun attempts run to their end. To go on: steward resume ${flag} --why "…"`)
    return 0
  },
}
