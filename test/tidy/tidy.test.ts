import { describe, expect, it } from 'vitest'
import { EXEMPTIONS, EXEMPTIONS_LEFT, staleExemptions, withoutExempt } from './exemptions.ts'
import { importRings, importViolations, type ImportContext } from './imports.ts'
import { isCode, readProject, show, type ProjectFile, type Violation } from './project.ts'
import * as rules from './rules.ts'

const files = readProject()

function contextOf(project: readonly ProjectFile[]): ImportContext {
  const manifests = project.filter((file) => /^(packages\/[^/]+\/)?package\.json$/.test(file.path))
    .map((file) => JSON.parse(file.text) as { name: string; devDependencies?: Record<string, string> })
  return {
    leaves: manifests.map((manifest) => manifest.name).filter((name) => name !== 'steward' && name !== 'steward-repository'),
    declared: manifests.flatMap((manifest) => Object.keys(manifest.devDependencies ?? {})),
  }
}

interface Check {
  readonly find: (project: readonly ProjectFile[]) => readonly Violation[]
  /** Files that each break the rule, by path. */
  readonly planted: readonly (readonly [path: string, text: string])[]
  /** Files that look alike and are in order. */
  readonly allowed?: readonly (readonly [path: string, text: string])[]
  /** Files the others need in order to be judged. */
  readonly around?: readonly (readonly [path: string, text: string])[]
}

const SRC = 'packages/steward/src'
const NOTE = 'TO' + 'DO'
const context: ImportContext = { leaves: ['steward-console'], declared: ['vitest', 'zod', '@aws-sdk/client-sqs'] }

const CHECKS: Record<string, Check> = {
  'imports follow the table': {
    find: (project) => importViolations(project, project === files ? contextOf(files) : context),
    around: [
      [`${SRC}/core/x.ts`, ''], [`${SRC}/ports/x.ts`, ''], [`${SRC}/runtime/x.ts`, ''], [`${SRC}/sqlite/index.ts`, ''],
      [`${SRC}/sqlite/x.ts`, ''], [`${SRC}/index.ts`, ''], [`${SRC}/internal.ts`, ''], [`${SRC}/core/x.test.ts`, ''],
    ],
    planted: [
      [`${SRC}/core/a.ts`, `import { x } from '../ports/x.ts'`],
      [`${SRC}/core/b.ts`, `import type { x } from '../ports/x.ts'`],
      [`${SRC}/core/c.ts`, `import { readFileSync } from 'node:fs'`],
      [`${SRC}/core/d.ts`, `import { x } from './nowhere.ts'`],
      [`${SRC}/core/e.ts`, `import { x } from './x.test.ts'`],
      [`${SRC}/core/f.ts`, `export * from '../runtime/x.ts'`],
      [`${SRC}/core/g.ts`, `type A = import('../runtime/x.ts').A`],
      [`${SRC}/core/h.ts`, `import { z } from 'zod'`],
      [`${SRC}/ports/a.ts`, `import { x } from '../core/x.ts'`],
      [`${SRC}/runtime/a.ts`, `import { x } from '../sqlite/x.ts'`],
      [`${SRC}/runtime/b.ts`, `const x = await import('../sqlite/index.ts')`],
      [`${SRC}/runtime/c.ts`, `import { DatabaseSync } from 'node:sqlite'`],
      [`${SRC}/runtime/d.ts`, `import { x } from 'steward'`],
      [`${SRC}/postgres/a.ts`, `import { Pool } from 'pg'`],
      [`${SRC}/sqlite/a.ts`, `const pg = await import('pg')`],
      [`${SRC}/testing/a.ts`, `import { x } from '../runtime/x.ts'`],
      [`${SRC}/cli/a.ts`, `import { x } from '../runtime/x.ts'`],
      [`${SRC}/cli/b.ts`, `import { x } from '../internal.ts'`],
      [`${SRC}/cli/c.ts`, `import { x } from 'steward-console'`],
      ['bench/a.ts', `import { x } from 'steward/internal'`],
      ['bench/b.ts', `import { x } from '../packages/steward/src/index.ts'`],
      ['examples/a.ts', `import { x } from 'steward/runtime'`],
      ['examples/b.ts', `import x from 'left-pad'`],
      ['test/a.test.ts', `import { x } from '../${SRC}/core/x.ts'`],
    ],
    allowed: [
      [`${SRC}/ports/ok.ts`, `import type { x } from '../core/x.ts'; import { type y } from '../core/x.ts'`],
      [`${SRC}/runtime/ok.ts`, `import { x } from '../core/x.ts'; import { createHash } from 'node:crypto'`],
      [`${SRC}/runtime/ok.test.ts`, `import { x } from '../sqlite/index.ts'; import { it } from 'vitest'; import 'node:sqlite'`],
      [`${SRC}/sqlite/ok.ts`, `import { DatabaseSync } from 'node:sqlite'`],
      [`${SRC}/postgres/ok.ts`, `const pg = await import('pg')`],
      [`${SRC}/cli/ok.ts`, `import { x } from '../index.ts'; import '../sqlite/index.ts'; const c = await import('steward-console')`],
      ['bench/ok.ts', `import { x } from 'steward/sqlite'; import { SQSClient } from '@aws-sdk/client-sqs'`],
      ['test/ok.test.ts', `import { x } from 'steward/internal'`],
    ],
  },
  'no import rings': {
    find: importRings,
    planted: [[`${SRC}/core/a.ts`, `import { b } from './b.ts'`]],
    around: [
      [`${SRC}/core/b.ts`, `import { a } from './a.ts'`],
      [`${SRC}/core/c.ts`, `import type { d } from './d.ts'`],
      [`${SRC}/core/d.ts`, `import { c } from './c.ts'`],
    ],
  },
  'time and randomness are arguments': {
    find: rules.ambientReads,
    planted: [
      'Date.now()', 'new Date()', 'new Date', 'Date()', 'Math.random()', 'performance.now()', 'setTimeout(f, 1)', 'setInterval(f, 1)',
      'setImmediate(f)', 'const later = setTimeout', 'globalThis.setTimeout(f)', 'globalThis.Date.now()', 'crypto.randomUUID()',
      'const c = { setTimeout }', `import { randomBytes } from 'node:crypto'`, `import { setTimeout as s } from 'node:timers/promises'`,
      'AbortSignal.timeout(5)', 'process.hrtime.bigint()', 'const now = Date.now',
    ].map((text, index) => [`${SRC}/runtime/planted${index}.ts`, text] as const),
    allowed: [
      ['packages/steward/src/runtime/system.ts', 'Date.now(); setTimeout(f, 1); Math.random()'],
      [`${SRC}/core/ok.ts`, `new Date(5); clock.setTimeout(f, 1); const t = 'Date.now()' // Date.now()\ninterface C { setTimeout(f: F): void }`],
      ['bench/ok.ts', 'Date.now()'],
    ],
  },
  'tests never sleep': {
    find: rules.sleepsInTests,
    planted: [
      'await sleep(50)', 'await delay(1_000)', 'setTimeout(done, 50)', 'await new Promise((r) => setTimeout(r, wait))', 'setInterval(f, 1)',
      `import { setTimeout as s } from 'node:timers/promises'`, 'Atomics.wait(a, 0, 0, 50)', 'globalThis.setTimeout(f, 1)',
    ].map((text, index) => [`${SRC}/core/planted${index}.test.ts`, text] as const),
    allowed: [[`${SRC}/core/ok.test.ts`, `clock.sleep(50); manualClock.sleep(50); vi.setTimeout; expect('sleep(50)') // sleep(50)`]],
  },
  'names say something': {
    find: rules.emptyNames,
    planted: [
      [`${SRC}/core/utils.ts`, ''], [`${SRC}/helpers/x.ts`, ''], [`${SRC}/core/time-utils.ts`, ''], [`${SRC}/core/LeaseManager.ts`, ''], ['docs/common/x.md', ''],
    ],
    allowed: [[`${SRC}/core/commonality.ts`, '']],
  },
  'messages say what happened': {
    find: rules.failedToMessages,
    planted: [
      [`${SRC}/core/a.ts`, `throw new Error('Failed to store')`],
      [`${SRC}/core/b.ts`, 'throw new Error(`call ${id} failed to start`)'],
      ['bench/a.ts', 'console.log("failed to run")'],
    ],
    allowed: [[`${SRC}/core/ok.ts`, `// failed to\nconst failed = 'failed'`]],
  },
  'the library installs nothing': {
    find: rules.runtimeDependencies,
    planted: [['packages/steward/package.json', '{"dependencies":{"left-pad":"1.0.0"}}']],
  },
  'the lock file names no download address': {
    find: rules.lockAddresses,
    planted: [['package-lock.json', '      "resolved": "https://example.invalid/x.tgz",']],
    allowed: [['packages/other/package-lock.json', '      "resolved": "packages/steward", "link": true']],
  },
  'no path of one machine': {
    find: rules.machinePaths,
    planted: ['work/main', 'tmp/jobs', 'home/ann/x', 'Users/ann', 'root/x'].map((path, index) => [`docs/planted${index}.md`, `see /${path} for more`] as const),
    allowed: [['docs/ok.md', 'GET https://example.com/home/x, ./tmp/x, ${folder}/tmp/x, /var/lib/x, and 1/work/2']],
  },
  'notes to self carry a reason': {
    find: rules.bareNotes,
    planted: [[`${SRC}/core/a.ts`, `// ${NOTE}`], [`${SRC}/core/b.ts`, `// ${NOTE}: later`], [`${SRC}/core/c.ts`, `// ${NOTE} make this faster some day soon`]],
    allowed: [[`${SRC}/core/ok.ts`, `// ${NOTE}: drop the copy once Node 26 is the oldest`]],
  },
  'switched-off lint rules carry a reason': {
    find: rules.unexplainedDisables,
    planted: [[`${SRC}/core/a.ts`, `// ${'eslint'}-disable-next-line no-console`], [`${SRC}/core/b.ts`, `/* ${'eslint'}-disable max-lines -- big */`]],
    allowed: [[`${SRC}/core/ok.ts`, `// ${'eslint'}-disable-next-line no-console -- the terminal is the output`]],
  },
  'all packages carry one version': {
    find: rules.versionDrift,
    planted: [['packages/steward/package.json', '{"version":"0.2.0"}']],
    around: [['package.json', '{"version":"0.1.0"}']],
  },
  'each error code has its section, and each section its code': {
    find: rules.errorParity,
    planted: [[rules.ERROR_PAGE, '# Errors\n\n## `STEWARD_B`\n\n## STEWARD_C\n']],
    around: [[rules.ERROR_TABLE, `export const ERROR_CODES = { STEWARD_A: 'a', STEWARD_B: 'b' } as const`]],
  },
}

const toFile = ([path, text]: readonly [string, string]): ProjectFile => ({ path, text })

describe.each(Object.entries(CHECKS))('%s', (name, check) => {
  const found = check.find(files)

  it('holds in this repository', () => {
    expect(withoutExempt(name, found).map(show)).toEqual([])
  })

  it('is exempted nowhere without need', () => {
    expect(staleExemptions(name, found)).toEqual([])
  })

  it.each(check.planted.map((planted) => [planted[0], planted] as const))('sees what is planted in %s', (path, planted) => {
    const around = (check.around ?? []).map(toFile)
    const seen = check.find([...around, toFile(planted)])
    expect(seen.filter((violation) => violation.path === path || violation.what.includes(path)).map(show)).not.toEqual([])
  })

  it('lets pass what only looks alike', () => {
    const innocent = [...(check.around ?? []), ...(check.allowed ?? [])].map(toFile)
    const allowed = new Set((check.allowed ?? []).map(([path]) => path))
    expect(check.find(innocent).filter((violation) => allowed.has(violation.path)).map(show)).toEqual([])
  })
})

describe('error parity', () => {
  const table = { path: rules.ERROR_TABLE, text: `export const ERROR_CODES = { STEWARD_A: 'a', STEWARD_B: 'b' } as const satisfies object` }
  const page = (text: string): ProjectFile => ({ path: rules.ERROR_PAGE, text })

  it('names the missing section, the unknown one and the double one', () => {
    const seen = rules.errorParity([table, page('## STEWARD_B\n## STEWARD_B\n## STEWARD_C\n')]).map((violation) => violation.what)
    expect(seen).toEqual(['has no section for STEWARD_A', 'describes STEWARD_C, which is not in ERROR_CODES', 'describes STEWARD_B twice'])
  })

  it('is content when both agree, and silent while there is no page', () => {
    expect(rules.errorParity([table, page('## `STEWARD_A`\n### STEWARD_B: more\n')])).toEqual([])
    expect(rules.errorParity([table])).toEqual([])
  })

  it('refuses a table it cannot read', () => {
    expect(rules.errorParity([{ ...table, text: '' }, page('')])).toHaveLength(1)
  })
})

describe('exemptions', () => {
  it('only shrink: the list is exactly as long as agreed, and each entry has a reason and a check', () => {
    expect(EXEMPTIONS).toHaveLength(EXEMPTIONS_LEFT)
    for (const exemption of EXEMPTIONS) {
      expect(exemption.reason.split(' ').length, exemption.what).toBeGreaterThan(3)
      expect(Object.keys(CHECKS)).toContain(exemption.check)
    }
  })

  it('cover exactly what they name, and are reported once nothing needs them', () => {
    const one = { check: 'c', path: 'a.ts', what: 'w', reason: 'because it is only an example' }
    const hit = { path: 'a.ts', line: 3, what: 'w' }
    expect(withoutExempt('c', [hit, { ...hit, path: 'b.ts' }], [one])).toEqual([{ ...hit, path: 'b.ts' }])
    expect(withoutExempt('other', [hit], [one])).toEqual([hit])
    expect(staleExemptions('c', [], [one])).toEqual([one])
    expect(staleExemptions('c', [hit], [one])).toEqual([])
  })
})

it('reads the whole repository', () => {
  expect(files.filter((file) => isCode(file.path)).length).toBeGreaterThan(5)
  expect(files.map((file) => file.path)).toContain('package-lock.json')
})
