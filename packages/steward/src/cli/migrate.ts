import type { MigrationReport } from '../index.ts'
import type { AloneCommand } from './command.ts'

export const migrate: AloneCommand = {
  name: 'migrate',
  summary: 'bring the database of the store to this version, before the processes that need it',
  usage: '',
  positionals: [0, 0],
  flags: [{ name: 'dry-run', text: 'only print what would be done' }],
  about: 'Creates the schema of a PostgreSQL store, or brings it to this version, in one transaction; of several at once one migrates and the others wait. Run it as a role that may, where the service opens its store with migrate: false. Processes of the version before go on meanwhile. A store on SQLite does all of this by itself whenever it is opened.',
  examples: ['steward migrate --dry-run', 'steward migrate'],
  async runAlone(context) {
    const { store, namespace = 'default' } = await context.config()
    const dryRun = context.args.has('dry-run')
    if (store.migrate === undefined) {
      context.print({ store: store.name, migrates: 'when opened' }, `${store.name} is brought to this version whenever it is opened. There is nothing to do.`)
      return 0
    }
    const report = await store.migrate({ namespace, notice: (message) => console.error(`steward: ${message}`) }, { dryRun })
    context.print({ store: store.name, dryRun, ...report }, told(store.name, report, dryRun))
    return 0
  },
}

function told(name: string, { from, to, statements }: MigrationReport, dryRun: boolean): string {
  const before = from === null ? 'no schema' : `schema ${from}`
  if (statements.length === 0) return `${name} has ${before}; this version needs ${to}. There is nothing to do.`
  if (!dryRun) return `${name} had ${before}, and has schema ${to} now.`
  return `${[...statements, ''].join(';\n')}-- ${name} has ${before}; this, in one transaction, would bring it to schema ${to}. Nothing was changed.`
}
