import { countOf, usage } from './arguments.ts'
import type { AloneCommand } from './command.ts'
import { didYouMean } from './did-you-mean.ts'
import { leafPackage } from './leaf.ts'

/** The part of `@steward/lab/command-line` that is used here. */
type Lab = { readonly lab: (request: Readonly<Record<string, unknown>>) => Promise<Reply> }
type Reply = { readonly exitCode: 0 | 1; readonly json: unknown; readonly text: string } | { readonly unknown: { readonly what: string; readonly given: string; readonly known: readonly string[] } }

export const lab: AloneCommand = {
  name: 'lab',
  summary: 'run what could go wrong against your operations, with simulated time and provider',
  usage: '[operation]',
  positionals: [0, 1],
  flags: [
    { name: 'list', text: 'the scenarios of the catalogue, with the question each asks' },
    { name: 'faults', text: 'what can be made to go wrong in a scenario of your own' },
    { name: 'about', value: 'ID', text: 'all that is known of one scenario: incidents, sources, what a loop does' },
    { name: 'scenario', value: 'ID', text: 'only this scenario; without an operation, on a modelled operation of each provider' },
    { name: 'seed', value: 'N', text: 'the seed of the run (default 1): the same seed gives the same faults' },
    { name: 'trace', text: 'show the run step by step' },
    { name: 'store', value: 'NAME', text: 'for modelled operations: memory or sqlite (default memory)' },
    { name: 'compare', text: 'the bill of Steward, of a retry loop in memory, and of a queue with a stable key' },
    { name: 'keep', value: 'TITLE', text: 'write the run as a scenario of its own, for the premortem' },
    { name: 'junit', value: 'FILE', text: 'write the results as JUnit XML, too' },
  ],
  about: 'Runs the entries of each premortem in the config against the operation\'s real send and lookup. Whatever client they use, their connections land at a model of the provider in this process; nothing leaves the machine, and the store of the config is not opened. What survived is written to steward.proof.json beside the config.',
  examples: ['steward lab', 'steward lab charge-order --junit lab.xml', 'steward lab charge-order --scenario response-lost-after-effect --seed 7 --trace', 'steward lab --list', 'steward lab --compare --scenario duplicate-user-submit'],
  async runAlone(context) {
    const { args, isJson } = context
    const { lab: run } = (await leafPackage(context, '@steward/lab', 'command-line')) as Lab
    const reply = await run({
      config: () => context.config(), configPath: () => context.configPath(), say: (text: string) => { if (!isJson) console.log(text) },
      operation: args.positionals[0], list: args.has('list'), faults: args.has('faults'), about: args.text('about'), scenario: args.text('scenario'), seed: countOf(lab, args, 'seed'),
      store: args.text('store'), trace: args.has('trace'), compare: args.has('compare'), junit: args.text('junit'), keep: args.text('keep'),
    })
    if ('unknown' in reply) throw usage(lab, `there is no ${reply.unknown.what} "${reply.unknown.given}".${didYouMean(reply.unknown.given, reply.unknown.known)}`)
    context.print(reply.json, reply.text)
    return reply.exitCode
  },
}
