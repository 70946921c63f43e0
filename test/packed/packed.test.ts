/** What users install: the tarball is packed, unpacked into an empty project, and used there by plain Node. */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')
const PACKAGE = join(ROOT, 'packages/steward')
const SLOW_MS = 120_000

interface Manifest {
  readonly version: string
  readonly exports: Record<string, unknown>
  readonly dependencies?: Record<string, string>
}

const read = (path: string): Manifest => JSON.parse(readFileSync(path, 'utf8')) as Manifest
const sources = Object.entries(read(join(PACKAGE, 'package.json')).exports) as [string, string][]
const entries = sources.filter(([, file]) => file.endsWith('.ts'))
const specifiers = entries.map(([name]) => name.replace('.', 'steward'))

// Before the main entry point exists there is nothing to pack. Once it does, any other that is missing fails here.
const laidOut = existsSync(join(PACKAGE, 'src/index.ts'))

describe.runIf(laidOut)('the packed tarball', () => {
  let project = ''
  let installed = ''

  beforeAll(() => {
    project = mkdtempSync(join(tmpdir(), 'steward-packed-'))
    const answer = execFileSync(process.execPath, [join(PACKAGE, 'scripts/pack.ts'), project], { encoding: 'utf8' })
    const tarball = answer.trim().split('\n').at(-1) as string
    installed = join(project, 'node_modules/steward')
    mkdirSync(installed, { recursive: true })
    execFileSync('tar', ['-xzf', tarball, '-C', installed, '--strip-components=1'])
    writeFileSync(join(project, 'package.json'), '{"type":"module","private":true}')
  }, SLOW_MS)

  afterAll(() => rmSync(project, { recursive: true, force: true }))

  it.each(specifiers)('lets plain Node import %s, without a warning', (specifier) => {
    const script = `const all = await import('${specifier}'); console.log(Object.keys(all).length)`
    const run = spawnSync(process.execPath, ['--input-type=module', '--eval', script], { cwd: project, encoding: 'utf8' })
    expect(run.stderr.replace(/^\(node:\d+\) ExperimentalWarning: SQLite.*\n.*\n?/m, '')).toBe('')
    expect(Number(run.stdout)).toBeGreaterThan(0)
  })

  it('offers exactly the entry points of the workspace', () => {
    const manifest = read(join(installed, 'package.json'))
    expect(Object.keys(manifest.exports)).toEqual(sources.map(([name]) => name))
    expect(manifest.dependencies).toBeUndefined()
  })

  it('carries no source, test or fixture, and every import points at JavaScript', () => {
    const files = globSync('**/*', { cwd: installed })
    expect(files.filter((file) => /\.(test|fixture)\.|\.tsbuildinfo$/.test(file) || (/\.ts$/.test(file) && !file.endsWith('.d.ts')))).toEqual([])
    const dangling = files.filter((file) => file.endsWith('.js') && /(from|import\()\s*['"]\.[^'"]+\.ts['"]/.test(readFileSync(join(installed, file), 'utf8')))
    // bin/steward.js looks for the sources first: in a checkout it runs them.
    expect(dangling).toEqual([])
  })

  it('is licensed', () => {
    expect(readFileSync(join(installed, 'LICENSE'), 'utf8')).toContain('Apache License')
  })

  it('type-checks in a strict project of a user', () => {
    const lines = specifiers.map((specifier, index) => `import * as entry${index} from '${specifier}'\nexport const names${index} = Object.keys(entry${index})`)
    writeFileSync(join(project, 'consumer.ts'), `${lines.join('\n')}\n`)
    symlinkSync(join(ROOT, 'node_modules/@types'), join(project, 'node_modules/@types'))
    const compiler = join(dirname(createRequire(import.meta.url).resolve('@typescript/native/package.json')), 'bin/tsc')
    const options = ['--noEmit', '--strict', '--exactOptionalPropertyTypes', '--module', 'nodenext', '--target', 'es2023', '--lib', 'es2024', '--types', 'node']
    const run = spawnSync(process.execPath, [compiler, ...options, 'consumer.ts'], { cwd: project, encoding: 'utf8' })
    expect(run.stdout + run.stderr).toBe('')
  }, SLOW_MS)

  it.runIf(existsSync(join(PACKAGE, 'src/cli/main.ts')))('starts its command line', () => {
    const run = spawnSync(process.execPath, [join(installed, 'bin/steward.js'), '--help'], { cwd: project, encoding: 'utf8' })
    expect(run.stderr).toBe('')
    expect(run.stdout).toMatch(/steward/)
    expect(run.status).toBe(0)
  })
})
