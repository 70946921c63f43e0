/** Finds and loads steward.config.ts. */
import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import { StewardError, type StewardOptions } from '../index.ts'

const NAMES = ['steward.config.ts', 'steward.config.js', 'steward.config.mjs'] as const
const EXAMPLE = "export default defineConfig({ store: sqlite('steward.db'), operations: [chargeOrder] })"

/** @throws StewardError STEWARD_CONFIG_INVALID where there is none. */
export function configPath(given: string | undefined): string {
  const path = given === undefined ? found(process.cwd()) : resolve(given)
  if (!existsSync(path)) throw invalid(`there is no file ${path}`)
  return path
}

/** @throws StewardError STEWARD_CONFIG_INVALID; nothing was opened. */
export async function loadConfig(given: string | undefined): Promise<StewardOptions> {
  const path = configPath(given)
  let loaded: { readonly default?: unknown }
  try {
    loaded = (await import(pathToFileURL(path).href)) as { readonly default?: unknown }
  } catch (error) {
    throw invalid(`${path} could not be loaded: ${error instanceof Error ? error.message : String(error)}`, error)
  }
  const exported = loaded.default
  const options: unknown = typeof exported === 'function' ? await called(path, exported as () => unknown) : exported
  return checked(path, options)
}

function found(from: string): string {
  for (let folder = from; ; folder = dirname(folder)) {
    const name = NAMES.find((one) => existsSync(join(folder, one)))
    if (name !== undefined) return join(folder, name)
    if (dirname(folder) === folder) throw invalid('no steward.config.ts (or .js, .mjs) was found in this folder or above it')
  }
}

async function called(path: string, make: () => unknown): Promise<unknown> {
  try {
    return await make()
  } catch (error) {
    throw invalid(`the function that ${path} exports threw: ${error instanceof Error ? error.message : String(error)}`, error)
  }
}

function checked(path: string, options: unknown): StewardOptions {
  if (typeof options !== 'object' || options === null) throw invalid(`${path} does not default-export options (it exports ${options === null ? 'null' : typeof options})`)
  const { store, operations } = options as { readonly store?: { readonly open?: unknown }; readonly operations?: unknown }
  if (typeof store?.open !== 'function') throw invalid(`${path} exports options without a store`)
  if (operations !== undefined && !Array.isArray(operations)) throw invalid(`${path} exports operations that are not a list`)
  return options as StewardOptions
}

function invalid(why: string, cause?: unknown): StewardError {
  return new StewardError('STEWARD_CONFIG_INVALID', `${why}. Nothing was opened or changed. Pass --config PATH, or write steward.config.ts: ${EXAMPLE}`, {}, { cause })
}
