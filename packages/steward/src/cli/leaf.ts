/** Packages beside the library that a command needs only when it is asked for: found from the user's project. */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import { StewardError } from '../index.ts'
import type { AloneContext } from './command.ts'

/**
 * Loads an entry point of a package, as the project of the config (or, without one, the current folder) sees it.
 *
 * @throws StewardError STEWARD_PACKAGE_MISSING
 */
export async function leafPackage(context: Pick<AloneContext, 'configPath'>, name: string, entry: string): Promise<unknown> {
  const path = [projectOf(context), import.meta.filename].map((from) => resolved(from, `${name}/${entry}`)).find((found) => found !== null)
  if (path == null) throw new StewardError('STEWARD_PACKAGE_MISSING', `this command needs the package ${name}, which is not installed here. Nothing was run. Install it: npm i -D ${name}`, { package: name })
  return await import(pathToFileURL(path).href)
}

function projectOf(context: Pick<AloneContext, 'configPath'>): string {
  try {
    return context.configPath()
  } catch {
    return join(process.cwd(), 'package.json')
  }
}

function resolved(from: string, specifier: string): string | null {
  try {
    return createRequire(from).resolve(specifier)
  } catch {
    return null
  }
}
