/** Flags that pick calls, and their meaning. */
import type { ListFilter, State } from '../index.ts'
import { usage } from './arguments.ts'
import type { Arguments, Command, Flag } from './command.ts'
import { didYouMean } from './did-you-mean.ts'

export const STATES: readonly State[] = ['waiting', 'running', 'accepted', 'checking', 'in_doubt', 'succeeded', 'rejected', 'exhausted', 'expired', 'cancelled']

export const FILTER_FLAGS: readonly Flag[] = [
  { name: 'state', value: 'STATES', text: `only these, with commas between: ${STATES.join(', ')}` },
  { name: 'operation', value: 'NAME', text: 'only calls of this operation' },
  { name: 'group', value: 'NAME', text: 'only calls of this group' },
  { name: 'key-prefix', value: 'TEXT', text: 'only keys that begin with this' },
]

/** @throws StewardError STEWARD_USAGE for an unknown state. */
export function filterOf(command: Pick<Command, 'name'>, args: Arguments): ListFilter {
  const states = args.text('state')?.split(',').map((word) => stateOf(command, word.trim()))
  const [operation, group, keyPrefix] = [args.text('operation'), args.text('group'), args.text('key-prefix')]
  return {
    ...(states === undefined ? {} : { states }),
    ...(operation === undefined ? {} : { operation }),
    ...(group === undefined ? {} : { group }),
    ...(keyPrefix === undefined ? {} : { keyPrefix }),
  }
}

function stateOf(command: Pick<Command, 'name'>, word: string): State {
  const state = STATES.find((one) => one === word.replaceAll('-', '_'))
  if (state === undefined) throw usage(command, `"${word}" is not a state.${didYouMean(word, STATES)} There are: ${STATES.join(', ')}.`)
  return state
}
