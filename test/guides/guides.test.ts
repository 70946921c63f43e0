/**
 * Guides that are followed step by step: the files they show (```ts file=…) are written, the commands they show
 * (```sh run exit=…) are run in that order, and what they say is printed (```text right after) is compared.
 */
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')
/** `tests`: what the reader's own test runner is to pass at the end. */
const GUIDES: readonly { readonly page: string; readonly tests: string | null; readonly needsDatabase: boolean }[] = [
  { page: 'docs/guides/three-things-that-could-go-wrong.md', tests: 'charge-order.test.ts', needsDatabase: false },
  { page: 'docs/guides/from-one-machine-to-a-fleet.md', tests: null, needsDatabase: true },
]
const BIN = join(ROOT, 'packages/steward/bin/steward.js')

type Step = { readonly kind: 'file'; readonly name: string; readonly text: string } | { readonly kind: 'command'; readonly words: readonly string[]; readonly exit: number } | { readonly kind: 'says'; readonly lines: readonly string[] }

function stepsOf(page: string): readonly Step[] {
  const blocks = [...readFileSync(join(ROOT, page), 'utf8').matchAll(/^```(\w+)([^\n]*)\n([\s\S]*?)^```\s*$/gm)]
  return blocks.flatMap(([, language, info = '', text = '']): readonly Step[] => {
    const file = / file=(\S+)/.exec(info)?.[1]
    const exit = / run exit=(\d)/.exec(info)?.[1]
    if (file !== undefined) return [{ kind: 'file', name: file, text }]
    if (exit !== undefined) return [{ kind: 'command', words: text.trim().split(/\s+/), exit: Number(exit) }]
    return language === 'text' ? [{ kind: 'says', lines: text.split('\n').map((line) => line.trim()).filter((line) => line !== '') }] : []
  })
}

/** A database until it is told to end: the one that the guide names. */
async function database(): Promise<{ readonly url: string; end(): Promise<void> }> {
  const child = spawn(process.execPath, [join(ROOT, 'examples/postgres-server.ts')], { stdio: ['pipe', 'pipe', 'inherit'] })
  const over = new Promise<void>((resolve) => void child.once('close', () => resolve()))
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout.setEncoding('utf8').once('data', (line: string) => resolve(line.trim()))
    child.once('close', (code) => reject(new Error(`the database ended with ${code}`)))
  })
  return { url, end: async () => { child.stdin.end(); await over } }
}

describe.each(GUIDES)('$page', ({ page, tests, needsDatabase }) => {
  it('can be followed to the letter', async () => {
    const served = needsDatabase ? await database() : null
    const env = served === null ? process.env : { ...process.env, DATABASE_URL: served.url }
    mkdirSync(join(ROOT, '.cache'), { recursive: true })
    const folder = mkdtempSync(join(ROOT, '.cache/guide-'))
    const node = (args: readonly string[]): { readonly status: number | null; readonly output: string } => {
      const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8', timeout: 120_000, env })
      return { status, output: stdout + stderr }
    }
    try {
      let output = ''
      for (const step of stepsOf(page)) {
        if (step.kind === 'file') writeFileSync(join(folder, step.name), step.text)
        if (step.kind === 'says') for (const line of step.lines) expect(output).toContain(line)
        if (step.kind !== 'command') continue
        const [program, ...rest] = step.words
        const ran = node(program === 'steward' ? [BIN, ...rest] : rest)
        output = ran.output
        expect(`${step.words.join(' ')} exits ${ran.status}\n${ran.status === step.exit ? '' : output}`).toBe(`${step.words.join(' ')} exits ${step.exit}\n`)
      }
      if (tests === null) return
      const tested = node(['--test', join(folder, tests)])
      expect(`${tested.status}\n${tested.status === 0 ? '' : tested.output}`).toBe('0\n')
    } finally {
      await served?.end()
      rmSync(folder, { recursive: true, force: true })
    }
  }, 300_000)

  it('has steps of every kind', () => {
    expect(new Set(stepsOf(page).map((step) => step.kind))).toEqual(new Set(['file', 'command', 'says']))
  })
})
