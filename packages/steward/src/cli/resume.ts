import { BY_WHOM, type Command } from './command.ts'
import { SCOPE_FLAGS, scopeOf } from './scope.ts'
import { byWhom } from './who.ts'

export const resume: Command = {
  name: 'resume',
  summary: 'lift a pause, or a hold that was set automatically',
  usage: '',
  positionals: [0, 0],
  flags: [...SCOPE_FLAGS, ...BY_WHOM],
  about: 'What waited is sent in its order of priority and due time, as fast as the limits allow. Of a pause and a hold behind it the pause is lifted, and the hold goes on.',
  examples: ['steward resume --provider stripe --why "their status page is green"'],
  async run(context) {
    const { scope, words } = scopeOf(resume, context)
    const who = byWhom(resume, context.args)
    await context.steward.resume(scope, who)
    const [[kind, name]] = Object.entries(scope) as [[string, string]]
    const left = (await context.steward.controls()).find((control) => control.kind === kind && control.name === name)
    context.print({ resumed: scope, ...who, held: left ?? null }, `Resumed ${words}.${left === undefined ? '' : ` A hold stands behind the pause${left.untilAt === null ? '' : `, until ${new Date(left.untilAt).toISOString()}`} (${left.why}): resume once more to lift that, too.`}`)
    return 0
  },
}
