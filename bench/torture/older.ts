/**
 * An older version of the library, packed from the repository's own history as it would have been published, and a copy
 * of this torture that runs on it: two versions share the store, as they do while a deployment is under way.
 */
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import process from 'node:process'

const REPOSITORY = resolve(import.meta.dirname, '../..')
const LIBRARY = 'packages/steward/src'
/** What packing needs of the repository. */
const NEEDED = ['packages', 'tsconfig.base.json', 'tsconfig.json', 'package.json', 'LICENSE', 'README.md', 'CHANGELOG.md']
/** The library's own among the tarballs that packing names, a line each. */
const TARBALL = /\/steward-\d[^/]*\.tgz$/

const git = (...args: readonly string[]): string => execFileSync('git', args, { cwd: REPOSITORY, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()

/** The newest release; before there is one, the library as it was before its last change. `null` where the history is not at hand. */
export function olderCommit(ref: string | null): string | null {
  try {
    if (ref !== null) return git('rev-parse', '--verify', `${ref}^{commit}`)
    const [tag = ''] = git('tag', '--sort=-v:refname', '--merged', 'HEAD').split('\n')
    if (tag !== '') return git('rev-parse', '--verify', `${tag}^{commit}`)
    return git('log', '-2', '--format=%H', '--', LIBRARY).split('\n')[1] ?? null
  } catch {
    return null
  }
}

/** Packs the library of a commit, once: what is packed is kept for the next run. @returns the folder of the package. */
function packed(commit: string): string {
  const kept = join(REPOSITORY, '.cache/older', commit)
  if (existsSync(kept)) return kept
  const stage = mkdtempSync(join(tmpdir(), 'steward-older-'))
  try {
    execFileSync('sh', ['-c', `git archive ${commit} ${NEEDED.join(' ')} | tar -x -C "$0"`, stage], { cwd: REPOSITORY, stdio: ['ignore', 'ignore', 'pipe'] })
    symlinkSync(join(REPOSITORY, 'node_modules'), join(stage, 'node_modules'))
    const path = join(REPOSITORY, 'node_modules/.bin')
    const said = execFileSync(process.execPath, ['packages/steward/scripts/pack.ts', join(stage, 'out')], { cwd: stage, encoding: 'utf8', env: { ...process.env, PATH: `${path}:${process.env['PATH'] ?? ''}` } })
    const tarball = said.split('\n').find((line) => TARBALL.test(line))
    if (tarball === undefined) throw new Error(`Packing the library of ${commit} named no tarball of it; it said:\n${said}`)
    execFileSync('tar', ['-xzf', tarball, '-C', stage])
    mkdirSync(join(REPOSITORY, '.cache/older'), { recursive: true })
    // Copied beside its place and moved there: another run that looks meanwhile finds all of it or nothing.
    const beside = `${kept}-${process.pid}`
    cpSync(join(stage, 'package'), beside, { recursive: true })
    if (existsSync(kept)) rmSync(beside, { recursive: true })
    else renameSync(beside, kept)
    return kept
  } finally {
    rmSync(stage, { recursive: true, force: true })
  }
}

/** This torture on the library of `commit`, in `folder`. @returns where its files are. */
export function tortureOnOlder(commit: string, folder: string): string {
  const modules = join(folder, 'node_modules')
  mkdirSync(modules, { recursive: true })
  for (const name of readdirSync(join(REPOSITORY, 'node_modules'))) {
    if (name !== 'steward' && !name.startsWith('.')) symlinkSync(join(REPOSITORY, 'node_modules', name), join(modules, name))
  }
  symlinkSync(packed(commit), join(modules, 'steward'))
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n')
  cpSync(resolve(import.meta.dirname, '..'), join(folder, 'bench'), { recursive: true })
  return join(folder, 'bench/torture')
}
