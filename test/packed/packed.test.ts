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
const labSources = Object.keys(read(join(ROOT, 'packages/lab/package.json')).exports)
const specifiers = [...entries.map(([name]) => name.replace('.', 'steward')), ...labSources.filter((name) => !name.endsWith('.json')).map((name) => name.replace('.', '@steward/lab'))]

// Before the main entry point exists there is nothing to pack. Once it does, any other that is missing fails here.
const laidOut = existsSync(join(PACKAGE, 'src/index.ts'))

describe.runIf(laidOut)('the packed tarball', () => {
  let project = ''
  let installed = ''
  let installedLab = ''

  function unpacked(tarball: string, into: string): string {
    mkdirSync(into, { recursive: true })
    execFileSync('tar', ['-xzf', tarball, '-C', into, '--strip-components=1'])
    return into
  }

  beforeAll(() => {
    project = mkdtempSync(join(tmpdir(), 'steward-packed-'))
    const answer = execFileSync(process.execPath, [join(PACKAGE, 'scripts/pack.ts'), project], { encoding: 'utf8' })
    const [tarball, lab] = answer.trim().split('\n').slice(-2) as [string, string]
    installed = unpacked(tarball, join(project, 'node_modules/steward'))
    installedLab = unpacked(lab, join(project, 'node_modules/@steward/lab'))
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
    for (const folder of [installed, installedLab]) {
      const files = globSync('**/*', { cwd: folder })
      expect(files.filter((file) => /\.(test|fixture)\.|\.tsbuildinfo$/.test(file) || (/\.ts$/.test(file) && !file.endsWith('.d.ts')))).toEqual([])
      const dangling = files.filter((file) => file.endsWith('.js') && /(from|import\()\s*['"]\.[^'"]+\.ts['"]/.test(readFileSync(join(folder, file), 'utf8')))
      // bin/steward.js looks for the sources first: in a checkout it runs them.
      expect(dangling).toEqual([])
    }
  })

  it('is licensed', () => {
    for (const folder of [installed, installedLab]) expect(readFileSync(join(folder, 'LICENSE'), 'utf8')).toContain('Apache License')
  })

  it('drills an operation with the lab that is installed beside it', () => {
    const drill = `
      import { natural, defineOperation } from 'steward'
      import { ownScenario, premortem } from '@steward/lab'
      import { drill } from '@steward/lab/testing'
      const input = { '~standard': { version: 1, vendor: 'none', validate: (value) => ({ value }) } }
      const put = defineOperation({ name: 'put', input, idempotency: natural('a PUT of the whole document'), async send(given, { signal }) {
        const response = await fetch('https://api.example.com/documents/' + given.id, { method: 'PUT', body: JSON.stringify(given), signal })
        if (!response.ok) throw Object.assign(new Error('refused'), { status: response.status })
        return null
      } })
      const results = await drill(premortem(put, { example: (id) => ({ id }), entries: ['response-lost-after-effect', 'disk-full', ownScenario('the network is gone', async (lab) => { lab.fault('connect.refused', { forMs: 60_000 }); await lab.submit('d1'); await lab.rest(); lab.expect(lab.effects('d1').length === 1, 'it never happened') })] }))
      console.log(results.map((result) => result.verdict).join())`
    const run = spawnSync(process.execPath, ['--input-type=module', '--eval', drill], { cwd: project, encoding: 'utf8' })
    expect({ stderr: run.stderr, stdout: run.stdout.trim() }).toEqual({ stderr: '', stdout: 'survived,survived,survived' })
  }, SLOW_MS)

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
