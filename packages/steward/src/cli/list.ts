import process from 'node:process'
import type { CallView, ListFilter } from '../index.ts'
import { countOf, usage } from './arguments.ts'
import type { Command, Context } from './command.ts'
import { FILTER_FLAGS, filterOf } from './filter.ts'
import { withoutStory } from './one-call.ts'
import { providerOf } from './scope.ts'
import { ageText, table } from './table.ts'

const PAGE = 1_000
/** Calls looked at for --retrying and --held, which the store cannot ask for by itself. */
const LOOKED_AT = 100_000

export const list: Command = {
  name: 'list',
  summary: 'calls, newest first, or those that a filter picks',
  usage: '',
  positionals: [0, 0],
  flags: [
    ...FILTER_FLAGS,
    { name: 'retrying', text: 'only calls that wait for a further attempt, longest-lived first' },
    { name: 'held', text: 'only open calls held by a pause, a hold or a told wait, longest-lived first' },
    { name: 'limit', value: 'N', text: 'at most this many (default 50, at most 1000)' },
  ],
  about: 'AGE is counted from submission. DUE says when something happens by itself; "-" means that only a fact or a person moves it.',
  examples: ['steward list --state in_doubt', 'steward list --state in_doubt,waiting --operation charge-order', 'steward list --retrying', 'steward list --held --json'],
  async run(context) {
    const limit = countOf(list, context.args, 'limit') ?? 50
    if (limit > PAGE) throw usage(list, `--limit is ${limit}; it may be at most ${PAGE}.`)
    const filter = filterOf(list, context.args)
    const picks = [context.args.has('retrying') ? isRetrying : null, context.args.has('held') ? await heldBy(context) : null].filter((pick) => pick !== null)
    const calls = picks.length === 0
      ? await context.steward.list({ ...filter, newestFirst: true, limit })
      : await picked(context, filter, limit, (call) => picks.every((pick) => pick(call)))
    context.print(calls.map(withoutStory), calls.length === 0 ? 'No calls.' : shown(calls, context.options.store.now(), limit))
    return 0
  },
}

async function picked(context: Context, filter: ListFilter, limit: number, pick: (call: CallView) => boolean): Promise<readonly CallView[]> {
  const calls: CallView[] = []
  let afterId: string | undefined
  for (let looked = 0; looked < LOOKED_AT && calls.length < limit; looked += PAGE) {
    const page = await context.steward.list({ states: ['waiting', 'accepted', 'checking'], ...filter, limit: PAGE, ...(afterId === undefined ? {} : { afterId }) })
    calls.push(...page.filter(pick))
    afterId = page.at(-1)?.id
    if (page.length < PAGE) break
  }
  return calls.slice(0, limit)
}

function isRetrying(call: CallView): boolean {
  return call.state === 'waiting' && call.attempts > 0
}

async function heldBy({ options, steward }: Context): Promise<(call: CallView) => boolean> {
  const now = options.store.now()
  const controls = await steward.controls()
  const providers = new Map((options.operations ?? []).map((operation) => [operation.name, providerOf(operation)]))
  return (call) => {
    if (call.endedAt !== null || call.state === 'running') return false
    if (call.story.at(-1)?.what === 'held' && (call.dueAt === null || call.dueAt > now)) return true
    const names = { operation: call.operation, provider: providers.get(call.operation) ?? call.operation, group: call.group }
    return controls.some((control) => control.kind === 'store' || names[control.kind] === control.name)
  }
}

function shown(calls: readonly CallView[], now: number, limit: number): string {
  const rows = calls.map((call) => [
    call.state, call.operation, call.key, call.group ?? '-', String(call.attempts), ageText(now - call.createdAt),
    call.dueAt === null ? '-' : call.dueAt <= now ? 'now' : `in ${ageText(call.dueAt - now)}`, call.reason,
  ])
  const more = calls.length === limit ? `\n${limit} shown; there may be more (--limit).` : ''
  return `${table(['STATE', 'OPERATION', 'KEY', 'GROUP', 'ATTEMPTS', 'AGE', 'DUE', 'WHY'], rows, process.stdout.columns ?? 160)}${more}`
}
