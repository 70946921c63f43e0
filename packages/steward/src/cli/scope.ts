/** Providers, operations and groups, as named on the command line. */
import { type Operation, type ScopeName, StewardError } from '../index.ts'
import { oneOf } from './arguments.ts'
import type { Command, Context, Flag } from './command.ts'
import { didYouMean } from './did-you-mean.ts'

export const SCOPE_FLAGS: readonly Flag[] = [
  { name: 'provider', value: 'NAME', text: 'all operations on this provider' },
  { name: 'operation', value: 'NAME', text: 'this operation' },
  { name: 'group', value: 'NAME', text: 'all calls of this group' },
]

export function providerOf(operation: Operation): string {
  return operation.provider ?? operation.idempotency.provider ?? operation.name
}

/** A name that nothing carries is refused: at 2am a pause of a mistyped provider looks like a pause. */
export function scopeOf(command: Pick<Command, 'name'>, context: Context): { readonly scope: ScopeName; readonly words: string; readonly flag: string } {
  const kind = oneOf(command, context.args, ['provider', 'operation', 'group']) as 'provider' | 'operation' | 'group'
  const name = context.args.text(kind) as string
  const operations = context.options.operations ?? []
  const known = kind === 'provider' ? [...new Set(operations.map(providerOf))] : operations.map((one) => one.name)
  if (kind !== 'group' && !known.includes(name)) {
    const code = kind === 'operation' ? 'STEWARD_OPERATION_UNKNOWN' : 'STEWARD_OPTION_INVALID'
    throw new StewardError(code, `no operation of the config ${kind === 'provider' ? `is on a provider "${name}"` : `is called "${name}"`} (known: ${known.join(', ') || 'none'}). Nothing was changed.${didYouMean(name, known)}`)
  }
  return { scope: { [kind]: name } as ScopeName, words: `${kind} "${name}"`, flag: `--${kind} ${name}` }
}
