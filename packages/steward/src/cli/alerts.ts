import type { AlertView } from '../index.ts'
import { countOf } from './arguments.ts'
import type { Command } from './command.ts'
import { every } from './every.ts'
import { stopAsked } from './signals.ts'

const FOLLOW_MS = 1_000

export const alerts: Command = {
  name: 'alerts',
  summary: 'what Steward raised its voice about, and the next safe action for each',
  usage: '',
  positionals: [0, 0],
  flags: [
    { name: 'undelivered', text: 'only those that no process has delivered yet' },
    { name: 'limit', value: 'N', text: 'at most this many (default 100)' },
    { name: 'follow', text: 'go on and print new ones until stopped (Ctrl-C)' },
  ],
  about: 'Alerts are recorded with the change that caused them, exactly once. Delivering them is the business of the processes that run (onAlert); reading them here delivers nothing.',
  examples: ['steward alerts', 'steward alerts --follow', 'steward alerts --undelivered --json'],
  async run(context) {
    const query = { undeliveredOnly: context.args.has('undelivered'), limit: countOf(alerts, context.args, 'limit') ?? 100 }
    const first = await context.steward.alerts(query)
    if (!context.args.has('follow')) {
      context.print(first, first.length === 0 ? 'No alerts.' : first.map(shown).join('\n'))
      return 0
    }
    const seen = new Set<string>()
    await every(FOLLOW_MS, stopAsked(), async () => {
      for (const alert of await context.steward.alerts(query)) {
        if (!seen.has(alert.id)) context.print(alert, shown(alert))
        seen.add(alert.id)
      }
    })
    return 0
  },
}

function shown(alert: AlertView): string {
  const delivered = alert.deliveredAt === null ? ' (not delivered yet)' : ''
  return `${new Date(alert.at).toISOString()}  ${alert.severity.toUpperCase()}  ${alert.kind}${delivered}\n  ${alert.message}\n  Next: ${alert.next}`
}
