/**
 * Builds the publishable tarballs: of `steward`, and of `@steward/lab`.
 *
 * The workspace runs its sources; users get JavaScript with types beside it. The tarball is staged in a temporary
 * folder and never in the workspace, so that a half-finished pack leaves nothing behind that a test could import.
 *
 *     node packages/steward/scripts/pack.ts [folder for the tarball, default .cache/pack]
 *
 * Prints the path of each tarball on a line of its own, in that order.
 */
import { execFileSync } from 'node:child_process'
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'

const REPOSITORY = resolve(import.meta.dirname, '../../..')
/** The lab is compiled against what `tsc -b` has left of the library. */
const PACKAGES = ['packages/steward', 'packages/lab']
const FROM_REPOSITORY = ['LICENSE', 'README.md', 'CHANGELOG.md']

interface Manifest {
  readonly exports: Readonly<Record<string, string>>
  readonly [field: string]: unknown
}

function main(destination: string): void {
  mkdirSync(destination, { recursive: true })
  compiler('-b', join(REPOSITORY, 'packages/steward'))
  for (const path of PACKAGES) console.log(join(destination, packed(join(REPOSITORY, path), destination)))
}

/** @returns the name of the tarball. */
function packed(source: string, destination: string): string {
  const stage = mkdtempSync(join(tmpdir(), 'steward-pack-'))
  try {
    compiler('-p', join(source, 'tsconfig.pack.json'), '--outDir', join(stage, 'dist'))
    if (existsSync(join(source, 'bin'))) cpSync(join(source, 'bin'), join(stage, 'bin'), { recursive: true })
    for (const name of FROM_REPOSITORY) {
      if (existsSync(join(REPOSITORY, name))) copyFileSync(join(REPOSITORY, name), join(stage, name))
    }
    const manifest = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8')) as Manifest
    writeFileSync(join(stage, 'package.json'), `${JSON.stringify(published(manifest, stage), undefined, 2)}\n`)
    return pack(stage, destination)
  } finally {
    rmSync(stage, { recursive: true, force: true })
  }
}

function compiler(...options: readonly string[]): void {
  const tsc = join(dirname(createRequire(import.meta.url).resolve('@typescript/native/package.json')), 'bin/tsc')
  execFileSync(process.execPath, [tsc, ...options], { stdio: 'inherit' })
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
