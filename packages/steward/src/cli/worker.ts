import process from 'node:process'
import { StewardError } from '../index.ts'
import { countOf, usage } from './arguments.ts'
import type { Command, Context } from './command.ts'
import { every } from './every.ts'
import { providerOf } from './scope.ts'
import { stopAsked } from './signals.ts'
import { ageText } from './table.ts'

const PROGRESS_MS = 5_000

export const worker: Command = {
  name: 'worker',
  summary: 'work the calls of the operations in the config, until stopped',
  usage: '',
  positionals: [0, 0],
  flags: [
    { name: 'concurrency', value: 'N', text: 'sends at once (default: the config\'s, else 64)' },
    { name: 'grace', value: 'DURATION', text: 'on SIGTERM or SIGINT: how long begun attempts may run on (default 10s)' },
  ],
  about: 'Calls of operations and versions that the config does not know wait, unharmed, for a worker that does. On SIGTERM it claims nothing more, lets begun attempts finish, and gives the rest back. A second signal ends it at once; what was begun is then found in doubt, and decided by the operation\'s answer.',
  examples: ['steward worker', 'steward worker --concurrency 16 --grace 25s', 'steward worker --config services/billing/steward.config.ts'],
  works: true,
  async run(context) {
    const { steward, options, args } = context
    const operations = options.operations ?? []
    if (operations.length === 0) throw new StewardError('STEWARD_CONFIG_INVALID', 'the config has no operations, so a worker would do nothing. Nothing was started. Export them: operations: [chargeOrder].')
    const concurrency = countOf(worker, args, 'concurrency')
    const grace = args.text('grace') ?? '10s'
    if (!/^\d+(\.\d+)?(ms|s|m|h)$/.test(grace)) throw usage(worker, `--grace is "${grace}"; write a duration such as 500ms, 10s or 2m.`)
    const stopping = stopAsked()
    steward.start(concurrency === undefined ? {} : { concurrency })
    const works = operations.map((operation) => ({ operation: operation.name, version: operation.version, provider: providerOf(operation) }))
    context.print({ event: 'started', works, store: options.store.name, pid: process.pid },
      [`Working on ${options.store.name} (pid ${process.pid}), until SIGTERM or Ctrl-C:`, ...works.map((one) => `  ${one.operation} version ${one.version}, provider ${one.provider}`)].join('\n'))
    // Also what keeps the process alive: the library's own timers let a process end.
    await every(PROGRESS_MS, stopping, process.stdout.isTTY && !context.isJson ? progress(context) : () => Promise.resolve())
    const signal = await stopping
    context.print({ event: 'stopping', signal }, `${signal}: claiming nothing more; begun attempts get ${grace}.`)
    await steward.close({ grace })
    context.print({ event: 'stopped' }, 'Stopped. What was not begun waits for another worker.')
    return 0
  },
}

/** One line when something changed: open calls and how late the oldest due one is. */
function progress({ options, steward }: Context): () => Promise<void> {
  let last = ''
  return async () => {
    const backlog = (await steward.backlog()).filter((one) => one.open > 0)
    const now = options.store.now()
    const text = backlog.map((one) => `${one.operation} v${one.version}: ${one.open} open${one.oldestDueAt !== null && one.oldestDueAt < now ? `, due for ${ageText(now - one.oldestDueAt)}` : ''}`).join(' · ') || 'nothing open'
    if (text !== last) console.log(text)
    last = text
  }
}
