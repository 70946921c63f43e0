import { BY_WHOM, type Command } from './command.ts'
import { SCOPE_FLAGS, scopeOf } from './scope.ts'
import { byWhom } from './who.ts'

export const resume: Command = {
  name: 'resume',
  summary: 'lift a pause, or a hold that was set automatically',
  usage: '',
  positionals: [0, 0],
  flags: [...SCOPE_FLAGS, ...BY_WHOM],
  about: 'What waited is sent in its order of priority and due time, as fast as the limits allow.',
  examples: ['steward resume --provider stripe --why "their status page is green"'],
  async run(context) {
    const { scope, words } = scopeOf(resume, context)
    const who = byWhom(resume, context.args)
    await context.steward.resume(scope, who)
    context.print({ resumed: scope, ...who }, `Resumed ${words}.`)
    return 0
  },
}
