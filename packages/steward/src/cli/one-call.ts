/** What the commands about one call share: finding it, and saying where it stands. */
import { type CallView, StewardError } from '../index.ts'
import type { Context } from './command.ts'
import { didYouMean } from './did-you-mean.ts'

/** Runs an action on `<operation> <key>` and prints where that leaves the call. */
export async function onCall(context: Context, done: string, act: (operation: string, key: string) => Promise<CallView>): Promise<0> {
  const [operation, key] = context.args.positionals as readonly [string, string]
  const call = await withAdvice(context, operation, () => act(operation, key))
  context.print(withoutStory(call), `${done} ${standing(call)}`)
  return 0
}

/** Adds the closest known operation to "no such call" and "no such operation". */
export async function withAdvice<T>(context: Context, operation: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    const code = error instanceof StewardError ? error.code : null
    const known = (context.options.operations ?? []).map((one) => one.name)
    const advice = known.includes(operation) ? '' : didYouMean(operation, known)
    if (code === null || advice === '' || (code !== 'STEWARD_CALL_NOT_FOUND' && code !== 'STEWARD_OPERATION_UNKNOWN')) throw error
    throw new StewardError(code, `${(error as StewardError).message.slice(code.length + 2)}${advice}`, (error as StewardError).details, { cause: error })
  }
}

function standing(call: CallView): string {
  const due = call.dueAt === null ? '' : `, next due ${new Date(call.dueAt).toISOString()}`
  return `${call.operation} "${call.key}" is ${call.state} (effect: ${call.effect.replaceAll('_', ' ')})${due}. Read: steward story ${call.operation} ${call.key}`
}

export function withoutStory(call: CallView): Omit<CallView, 'story'> {
  const { story: _story, ...rest } = call
  return rest
}
