/** Code that README.md and the docs show as runnable (```ts run) is run: each block alone, by Node, as a reader would. */
import { spawnSync } from 'node:child_process'
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')
/** Inside the repository, so that a bare `steward` is found in its node_modules. */
const CACHE = join(ROOT, '.cache')
const PAGES = ['README.md', ...globSync('docs/**/*.md', { cwd: ROOT }).sort()]

function runnable(page: string): readonly { readonly line: number; readonly code: string }[] {
  const text = readFileSync(join(ROOT, page), 'utf8')
  return [...text.matchAll(/^```ts run[^\n]*\n([\s\S]*?)^```\s*$/gm)].map((match) => ({ line: text.slice(0, match.index).split('\n').length, code: match[1] as string }))
}

function run(code: string): { readonly status: number | null; readonly output: string; readonly errors: string } {
  mkdirSync(CACHE, { recursive: true })
  const folder = mkdtempSync(join(CACHE, 'readme-'))
  try {
    const file = join(folder, 'block.ts')
    writeFileSync(file, code)
    const { status, stdout, stderr } = spawnSync(process.execPath, [file], { cwd: folder, encoding: 'utf8', timeout: 60_000 })
    return { status, output: stdout, errors: stderr }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

describe.each(PAGES.filter((page) => runnable(page).length > 0))('%s', (page) => {
  it.each(runnable(page).map((block) => [block.line, block] as const))('runs the block at line %i', (_line, { code }) => {
    const { status, output, errors } = run(code)
    expect(`${status}\n${errors.replace(/^\(node:\d+\) ExperimentalWarning: SQLite.*\n.*\n?/m, '')}`).toBe('0\n')
    if (page === 'README.md') expect(output).toContain('happened 2 1')
  }, 90_000)
})

it('finds the block of the README that fails once on purpose', () => {
  expect(runnable('README.md')).toHaveLength(1)
})
