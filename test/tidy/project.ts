/**
 * The files of the repository as the tidy checks see them. A check is a pure function from files to violations, so
 * that its self-test can plant a violation in a file that exists nowhere.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, resolve, sep } from 'node:path'
import ts from 'typescript'

/** One file; `path` is relative to the root of the repository, with forward slashes. */
export interface ProjectFile {
  readonly path: string
  readonly text: string
}

/** One thing that is wrong. `what` is stable across edits elsewhere in the file; `line` is for the reader. */
export interface Violation {
  readonly path: string
  readonly line: number
  readonly what: string
}

export const ROOT = resolve(import.meta.dirname, '../..')

const FOREIGN_FOLDERS = new Set(['node_modules', '.git', '.cache', 'dist', 'coverage'])
const TEXT = /(\.(ts|js|json|md|yml|yaml|sql|sh|html|css|txt)|\/(run|LICENSE|\.npmrc|\.gitignore|\.editorconfig))$/

export function readProject(root: string = ROOT): readonly ProjectFile[] {
  const files: ProjectFile[] = []
  const visit = (folder: string): void => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const full = join(folder, entry.name)
      if (entry.isDirectory() && !FOREIGN_FOLDERS.has(entry.name)) visit(full)
      if (!entry.isFile() || !TEXT.test(full.split(sep).join('/'))) continue
      files.push({ path: relative(root, full).split(sep).join('/'), text: readFileSync(full, 'utf8') })
    }
  }
  visit(root)
  return files.sort((a, b) => (a.path < b.path ? -1 : 1))
}

export const isCode = (path: string): boolean => /\.(ts|js)$/.test(path)
export const isTest = (path: string): boolean => /\.(test|fixture)\.ts$/.test(path) || /^(test|packages\/[^/]+\/test)\//.test(path)
/** What ships to users: sources of packages, tests and fixtures left out. */
export const isShipped = (path: string): boolean => /^packages\/[^/]+\/(src|bin)\//.test(path) && isCode(path) && !isTest(path)

const parsed = new WeakMap<ProjectFile, ts.SourceFile>()

export function syntaxOf(file: ProjectFile): ts.SourceFile {
  const known = parsed.get(file)
  if (known) return known
  const tree = ts.createSourceFile(file.path, file.text, ts.ScriptTarget.ESNext, true, file.path.endsWith('.js') ? ts.ScriptKind.JS : ts.ScriptKind.TS)
  parsed.set(file, tree)
  return tree
}

/** Calls `see` for every node of the file, parents first. */
export function walk(file: ProjectFile, see: (node: ts.Node) => void): void {
  const visit = (node: ts.Node): void => {
    see(node)
    ts.forEachChild(node, visit)
  }
  visit(syntaxOf(file))
}

export function at(file: ProjectFile, node: ts.Node, what: string): Violation {
  const tree = syntaxOf(file)
  return { path: file.path, line: tree.getLineAndCharacterOfPosition(node.getStart(tree)).line + 1, what }
}

/** Violations of a pattern, line by line; `what` may quote what was matched. */
export function linesMatching(file: ProjectFile, pattern: RegExp, what: (match: RegExpExecArray) => string): readonly Violation[] {
  return file.text.split('\n').flatMap((text, index) => {
    const match = pattern.exec(text)
    return match ? [{ path: file.path, line: index + 1, what: what(match) }] : []
  })
}

export const show = (violation: Violation): string => `${violation.path}:${violation.line}  ${violation.what}`
