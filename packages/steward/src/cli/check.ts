import type { AloneCommand } from './command.ts'
import { didYouMean } from './did-you-mean.ts'
import { leafPackage } from './leaf.ts'

/** The part of `@steward/lab/command-line` that is used here. */
type Lab = { readonly checkAll: (request: Readonly<Record<string, unknown>>) => Promise<Checked> }
type Problem = { readonly operation: string; readonly what: string; readonly given?: string; readonly known?: readonly string[] }
type Checked = { readonly exitCode: 0 | 1; readonly json: unknown; readonly problems: readonly Problem[]; readonly text: string; readonly suggestions: string }

export const check: AloneCommand = {
  name: 'check',
  summary: 'for CI: every operation has a premortem, and it is proven for the code as it is',
  usage: '',
  positionals: [0, 0],
  flags: [],
  about: 'Fails where an operation has fewer than three premortem entries, none in the team\'s own words with its own scenario, an unknown one, or one that was not proven since the operation or its premortem changed. Runs nothing: it compares the code with steward.proof.json, which steward lab writes. Suggests scenarios that were not asked yet.',
  examples: ['steward check', 'steward check --json'],
  async runAlone(context) {
    const { checkAll } = (await leafPackage(context, '@steward/lab', 'command-line')) as Lab
    const { exitCode, json, problems, text, suggestions } = await checkAll({ config: () => context.config(), configPath: () => context.configPath() })
    const lines = problems.map(({ operation, what, given, known }) => `${operation}: ${what}${given === undefined || known === undefined ? '' : didYouMean(given, known)}`)
    context.print(json, [...lines, text, suggestions].filter((line) => line !== '').join('\n'))
    return exitCode
  },
}
