/** Who decides, and why: every action of a person carries both into the story. */
import os from 'node:os'
import { type ByWhom, StewardError } from '../index.ts'
import type { Arguments, Command } from './command.ts'

/** @throws StewardError STEWARD_REASON_MISSING */
export function byWhom(command: Pick<Command, 'name'>, args: Arguments): ByWhom {
  const why = args.text('why')?.trim() ?? ''
  if (why === '') {
    throw new StewardError('STEWARD_REASON_MISSING', `${command.name} needs --why "…": the reason stays in the story, for whoever reads it after you. Nothing was changed. Example: --why "seen as paid in the provider's dashboard"`)
  }
  return { by: whoIs(args), why }
}

export function whoIs(args: Arguments): string {
  const given = args.text('by')?.trim() ?? ''
  if (given !== '') return given
  try {
    return os.userInfo().username
  } catch {
    throw new StewardError('STEWARD_REASON_MISSING', 'the operating system does not say who you are. Nothing was changed. Pass --by NAME.')
  }
}
