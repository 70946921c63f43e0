import { type ByWhom, type CallRef, StewardError } from '../index.ts'
import { countOf, usage } from './arguments.ts'
import { BY_WHOM, type Command, type Context, type ExitCode } from './command.ts'
import { FILTER_FLAGS, filterOf } from './filter.ts'
import { onCall } from './one-call.ts'
import { byWhom, whoIs } from './who.ts'

/** Calls named one by one in the report for people. */
const NAMED = 20

export const redrive: Command = {
  name: 'redrive',
  summary: 'send ended calls that did not happen once more',
  usage: '[<operation> <key>]',
  positionals: [0, 2],
  flags: [
    ...FILTER_FLAGS,
    { name: 'limit', value: 'N', text: 'at most this many calls (default 1000)' },
    { name: 'yes', text: 'with a filter: do it. Without, only say what would be done' },
    ...BY_WHOM,
  ],
  about: 'Of one call: at once. By filter (default --state exhausted): a dry run, unless --yes; then behind all other work. What may have happened is looked up first, or left alone; what happened is never sent again.',
  examples: [
    'steward redrive charge-order o_17 --why "card was replaced"',
    'steward redrive --operation charge-order --state exhausted',
    'steward redrive --operation charge-order --state exhausted --yes --why "the provider is back"',
  ],
  async run(context) {
    const { positionals } = context.args
    const filters = FILTER_FLAGS.filter((flag) => context.args.has(flag.name))
    if (positionals.length === 1) throw usage(redrive, `"redrive" needs <operation> <key>, or a filter; it was given "${positionals[0] ?? ''}" alone.`)
    if (positionals.length === 2) {
      if (filters.length > 0) throw usage(redrive, `one call was named, and --${filters[0]?.name ?? ''} picks others; give one of them.`)
      const who = byWhom(redrive, context.args)
      return await onCall(context, 'Redriven.', (operation, key) => context.steward.redrive(operation, key, who))
    }
    if (filters.length === 0) throw usage(redrive, 'say what: <operation> <key>, or a filter such as --operation NAME or --state exhausted.')
    return await byFilter(context)
  },
}

async function byFilter(context: Context): Promise<ExitCode> {
  const { args, steward } = context
  const filter = filterOf(redrive, args)
  const known = (context.options.operations ?? []).map((one) => one.name)
  if (filter.operation !== undefined && !known.includes(filter.operation)) {
    throw new StewardError('STEWARD_OPERATION_UNKNOWN', `the config has no operation "${filter.operation}" (it has: ${known.join(', ') || 'none'}). Nothing was changed.`)
  }
  const dryRun = !args.has('yes')
  const who: ByWhom = dryRun ? { by: whoIs(args), why: args.text('why') ?? 'dry run' } : byWhom(redrive, args)
  const limit = countOf(redrive, args, 'limit')
  const report = await steward.redriveMany(filter, { ...who, dryRun, ...(limit === undefined ? {} : { limit }) })
  const lines = [
    `${dryRun ? 'Would redrive' : 'Redrove'} ${report.redriven.length} of ${report.matched} calls.`,
    ...named(report.redriven, () => ''),
    ...(report.refused.length === 0 ? [] : [`Left alone: ${report.refused.length}.`, ...named(report.refused, (one) => `: ${one.why}`)]),
    ...(dryRun ? ['Nothing was changed. To do it, add: --yes --why "…"'] : []),
  ]
  context.print(report, lines.join('\n'))
  return 0
}

function named<Ref extends CallRef>(refs: readonly Ref[], tail: (ref: Ref) => string): readonly string[] {
  const lines = refs.slice(0, NAMED).map((ref) => `  ${ref.operation} ${ref.key}${tail(ref)}`)
  return refs.length > NAMED ? [...lines, `  … and ${refs.length - NAMED} more (--json names all)`] : lines
}
