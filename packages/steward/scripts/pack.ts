/**
 * Builds the publishable tarball of steward.
 *
 * The workspace runs its sources; users get JavaScript with types beside it. The tarball is staged in a temporary
 * folder and never in the workspace, so that a half-finished pack leaves nothing behind that a test could import.
 *
 *     node packages/steward/scripts/pack.ts [folder for the tarball, default .cache/pack]
 *
 * Prints the path of the tarball as its last line.
 */
import { execFileSync } from 'node:child_process'
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'

const PACKAGE = resolve(import.meta.dirname, '..')
const REPOSITORY = resolve(PACKAGE, '../..')
const FROM_REPOSITORY = ['LICENSE', 'README.md', 'CHANGELOG.md']

interface Manifest {
  readonly exports: Readonly<Record<string, string>>
  readonly [field: string]: unknown
}

function main(destination: string): void {
  const stage = mkdtempSync(join(tmpdir(), 'steward-pack-'))
  try {
    compile(join(stage, 'dist'))
    cpSync(join(PACKAGE, 'bin'), join(stage, 'bin'), { recursive: true })
    for (const name of FROM_REPOSITORY) {
      if (existsSync(join(REPOSITORY, name))) copyFileSync(join(REPOSITORY, name), join(stage, name))
    }
    const manifest = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8')) as Manifest
    writeFileSync(join(stage, 'package.json'), `${JSON.stringify(published(manifest, stage), undefined, 2)}\n`)
    mkdirSync(destination, { recursive: true })
    console.log(join(destination, pack(stage, destination)))
  } finally {
    rmSync(stage, { recursive: true, force: true })
  }
}

function compile(outDir: string): void {
  const compiler = join(dirname(createRequire(import.meta.url).resolve('@typescript/native/package.json')), 'bin/tsc')
  execFileSync(process.execPath, [compiler, '-p', join(PACKAGE, 'tsconfig.pack.json'), '--outDir', outDir], { stdio: 'inherit' })
}

/** The manifest that users install: entry points moved from sources to what was compiled from them. */
function published(manifest: Manifest, stage: string): Manifest {
  const entries = Object.entries(manifest.exports).map(([name, source]) => {
    if (!source.startsWith('./src/')) return [name, source] as const
    const built = source.replace('./src/', './dist/').replace(/\.ts$/, '')
    for (const file of [`${built}.js`, `${built}.d.ts`]) {
      if (!existsSync(join(stage, file))) throw new Error(`exports "${name}" names ${source}, but compiling gave no ${file}. No tarball was written.`)
    }
    return [name, { types: `${built}.d.ts`, default: `${built}.js` }] as const
  })
  return { ...manifest, exports: Object.fromEntries(entries) as Manifest['exports'] }
}

/** Runs `npm pack`; its answer is the name of the file. */
function pack(stage: string, destination: string): string {
  const answer = execFileSync('npm', ['pack', '--json', '--pack-destination', destination], { cwd: stage, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
  const [tarball] = JSON.parse(answer) as readonly { filename: string }[]
  if (!tarball) throw new Error('npm pack named no tarball. Nothing can be said about the destination folder; look there.')
  return tarball.filename
}

main(resolve(process.argv[2] ?? join(REPOSITORY, '.cache/pack')))
