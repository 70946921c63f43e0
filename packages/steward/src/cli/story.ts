import type { Command } from './command.ts'
import { withAdvice } from './one-call.ts'

export const story: Command = {
  name: 'story',
  summary: 'what happened to one call, and what to do now',
  usage: '<operation> <key>',
  positionals: [2, 2],
  flags: [],
  about: 'Tells each change, attempt, HTTP request, lookup, fact and decision in order, and answers: did the provider do it? what do we know, and how? what happens next? is it safe to press retry?',
  examples: ['steward story charge-order o_17', 'steward story charge-order o_17 --json'],
  async run(context) {
    const [operation, key] = context.args.positionals as readonly [string, string]
    const telling = await withAdvice(context, operation, () => context.steward.tell(operation, key))
    const call = await context.steward.find(operation, key)
    const lines = telling.lines.flatMap((line) => [`${new Date(line.at).toISOString()}  ${line.text}`, ...line.wire.map((wire) => `${' '.repeat(26)}${wire}`)])
    const { happened, known, next, retry } = telling.answers
    context.print({ call, telling }, [
      telling.title, '', ...lines, '',
      'Did the provider do it?', `  ${happened}`,
      'What do we know, and how?', `  ${known}`,
      'What happens next, and when?', `  ${next}`,
      'Is it safe to press retry?', `  ${retry}`,
    ].join('\n'))
    return 0
  },
}
