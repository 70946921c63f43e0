import { type RestoredReport, StewardError } from '../index.ts'
import { usage } from './arguments.ts'
import { BY_WHOM, type Command } from './command.ts'
import { byWhom, whoIs } from './who.ts'

/** Calls in doubt named one by one for people. */
const NAMED = 20

export const restored: Command = {
  name: 'restored',
  summary: 'say that the database was set back, and since when commits are lost',
  usage: '--lost-since TIME',
  positionals: [0, 0],
  flags: [
    { name: 'lost-since', value: 'TIME', text: 'the instant of the backup, or the last one the standby surely had (required): 2026-03-01T09:30:00Z' },
    { name: 'look-first-for', value: 'DURATION', text: 'calls submitted within this time are looked up before they are first sent, where the provider can be asked (default 7d)' },
    { name: 'dry-run', text: 'only say what would become of the open calls' },
    ...BY_WHOM,
  ],
  about: 'After a restored backup, or a failover that lost commits, nothing is sent until somebody says so: the database may have forgotten what was sent. Each open call that may have been is presumed sent then: sent again where that is safe, asked about where the provider can be asked, else in doubt. Before you say so, confirm what the provider lists for that time (steward.confirm): what is confirmed is not sent again. Where the database does not tell that it was set back, say so all the same: everything is held first.',
  examples: [
    'steward restored --lost-since 2026-03-01T09:30:00Z --dry-run',
    'steward restored --lost-since 2026-03-01T09:30:00Z --why "the standby was promoted, 40 s behind"',
  ],
  async run(context) {
    const { args, steward } = context
    const given = args.text('lost-since')
    if (given === undefined) throw usage(restored, 'say since when commits are lost: --lost-since 2026-03-01T09:30:00Z.')
    const lostSince = new Date(given)
    // Without a zone it would be the time of this machine, and hours too late.
    if (Number.isNaN(lostSince.getTime()) || !/(?:Z|[+-]\d\d:?\d\d)$/.test(given)) throw usage(restored, `--lost-since is "${given}"; it must be an instant with its zone, such as 2026-03-01T09:30:00Z.`)
    const dryRun = args.has('dry-run')
    const lookFirstFor = args.text('look-first-for')
    const who = dryRun ? { by: whoIs(args), why: args.text('why') ?? 'dry run' } : byWhom(restored, args)
    const report = await steward.restored({ ...who, lostSince, dryRun, ...(lookFirstFor === undefined ? {} : { lookFirstFor }) }).catch(advised)
    context.print(report, told(report))
    return 0
  },
}

function advised(error: unknown): never {
  if (!(error instanceof StewardError) || error.code !== 'STEWARD_OPERATION_UNKNOWN') throw error
  throw new StewardError(error.code, `${error.message.slice(error.code.length + 2)} Add them to the operations of the config, or name another with --config.`, error.details, { cause: error })
}

function told({ presumed, inDoubt, untouched, lookFirstUntilAt, lostSinceAt, dryRun }: RestoredReport): string {
  const all = presumed.sentAgain + presumed.lookedUp + presumed.inDoubt + presumed.running
  const named = inDoubt.slice(0, NAMED).map(({ operation, key }) => `    steward settle ${operation} ${key} --happened | --send-again | --stop`)
  return [
    `${all} open calls ${dryRun ? 'would be' : 'are'} presumed sent since ${iso(lostSinceAt)}; of ${untouched} others nothing can have been sent in that time.`,
    `  ${presumed.sentAgain} are sent again: that is safe.`,
    `  ${presumed.lookedUp} are asked about first.`,
    `  ${presumed.running} run, and are judged by their answer.`,
    `  ${presumed.inDoubt} are in doubt: a person looks at the provider.`,
    ...named, ...(presumed.inDoubt > named.length ? [`    … and ${presumed.inDoubt - named.length} more: steward list --state in_doubt`] : []),
    `Calls that are submitted again, or new, until ${iso(lookFirstUntilAt)} are looked up before they are first sent, where the provider can be asked.`,
    dryRun ? 'Nothing was changed. To do it, leave out --dry-run and add --why "…"' : 'Nothing is held any more.',
  ].join('\n')
}

const iso = (at: number): string => new Date(at).toISOString()
