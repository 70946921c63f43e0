/**
 * Guides that are followed step by step: the files they show (```ts file=…) are written, the commands they show
 * (```sh run exit=…) are run in that order, and what they say is printed (```text right after) is compared.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')
const GUIDES = ['docs/guides/three-things-that-could-go-wrong.md']
const BIN = join(ROOT, 'packages/steward/bin/steward.js')

type Step = { readonly kind: 'file'; readonly name: string; readonly text: string } | { readonly kind: 'command'; readonly words: readonly string[]; readonly exit: number } | { readonly kind: 'says'; readonly lines: readonly string[] }

function stepsOf(page: string): readonly Step[] {
  const blocks = [...readFileSync(join(ROOT, page), 'utf8').matchAll(/^```(\w+)([^\n]*)\n([\s\S]*?)^```\s*$/gm)]
  return blocks.flatMap(([, language, info = '', text = '']): readonly Step[] => {
    const file = / file=(\S+)/.exec(info)?.[1]
    const exit = / run exit=(\d)/.exec(info)?.[1]
    if (file !== undefined) return [{ kind: 'file', name: file, text }]
    if (exit !== undefined) return [{ kind: 'command', words: text.trim().split(/\s+/).slice(1), exit: Number(exit) }]
    return language === 'text' ? [{ kind: 'says', lines: text.split('\n').map((line) => line.trim()).filter((line) => line !== '') }] : []
  })
}

describe.each(GUIDES)('%s', (page) => {
  it('can be followed to the letter', () => {
    mkdirSync(join(ROOT, '.cache'), { recursive: true })
    const folder = mkdtempSync(join(ROOT, '.cache/guide-'))
    const node = (args: readonly string[]): { readonly status: number | null; readonly output: string } => {
      const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8', timeout: 120_000 })
      return { status, output: stdout + stderr }
    }
    try {
      let output = ''
      for (const step of stepsOf(page)) {
        if (step.kind === 'file') writeFileSync(join(folder, step.name), step.text)
        if (step.kind === 'says') for (const line of step.lines) expect(output).toContain(line)
        if (step.kind !== 'command') continue
        const ran = node([BIN, ...step.words])
        output = ran.output
        expect(`${step.words.join(' ')} exits ${ran.status}\n${ran.status === step.exit ? '' : output}`).toBe(`${step.words.join(' ')} exits ${step.exit}\n`)
      }
      const tested = node(['--test', join(folder, 'charge-order.test.ts')])
      expect(`${tested.status}\n${tested.status === 0 ? '' : tested.output}`).toBe('0\n')
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }, 300_000)

  it('has steps of every kind', () => {
    expect(new Set(stepsOf(page).map((step) => step.kind))).toEqual(new Set(['file', 'command', 'says']))
  })
})
