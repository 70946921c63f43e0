/**
 * Which folder may import which. The compiler's project references refuse most upward imports already; this table is
 * the whole of it, also for tests, benchmarks and examples, and says it in one place.
 */
import { posix } from 'node:path'
import ts from 'typescript'
import { at, isCode, isTest, walk, type ProjectFile, type Violation } from './project.ts'

/** `public` and `internal` are the entry points of packages/steward, by name from outside, by path from its own cli. */
type Target = string

interface Area {
  readonly name: string
  readonly at: string
  readonly may: readonly Target[]
  /** Areas of which only types may be taken. */
  readonly typesOf?: readonly Target[]
  /** Node's own modules: all, none, or all but node:sqlite. */
  readonly node: 'all' | 'none' | 'not-sqlite'
  /** Packages from the registry: the sources of the library take none. */
  readonly packages: 'none' | 'declared'
  /** May load the other packages of this repository, only when needed: `await import(…)`. */
  readonly leavesLazily?: boolean
  /** Optional peers of the package, which a user may not have: likewise only when needed. */
  readonly peersLazily?: readonly string[]
}

const SRC = 'packages/steward/src/'
const quiet = { node: 'none', packages: 'none' } as const
const plain = { node: 'not-sqlite', packages: 'none' } as const
const user = { node: 'all', packages: 'declared' } as const

export const AREAS: readonly Area[] = [
  { name: 'core', at: `${SRC}core/`, may: [], ...quiet },
  { name: 'ports', at: `${SRC}ports/`, may: [], typesOf: ['core'], ...quiet },
  { name: 'store-sql', at: `${SRC}store-sql/`, may: ['core', 'ports'], ...plain },
  { name: 'witness', at: `${SRC}witness/`, may: ['core', 'ports'], ...plain },
  { name: 'providers', at: `${SRC}providers/`, may: ['core', 'ports'], ...plain },
  { name: 'sqlite', at: `${SRC}sqlite/`, may: ['core', 'ports', 'store-sql'], node: 'all', packages: 'none' },
  { name: 'postgres', at: `${SRC}postgres/`, may: ['core', 'ports', 'store-sql'], peersLazily: ['pg'], ...plain },
  { name: 'runtime', at: `${SRC}runtime/`, may: ['core', 'ports', 'witness'], ...plain },
  { name: 'testing', at: `${SRC}testing/`, may: ['core', 'ports'], ...plain },
  { name: 'cli', at: `${SRC}cli/`, may: ['public'], leavesLazily: true, ...plain },
  { name: 'entry', at: `${SRC}index.ts`, may: ['core', 'ports', 'witness', 'runtime'], ...quiet },
  { name: 'entry-internal', at: `${SRC}internal.ts`, may: ['core', 'ports', 'store-sql', 'witness', 'providers', 'runtime'], ...quiet },
  { name: 'bin', at: 'packages/steward/bin/', may: [], ...plain },
  { name: 'scripts', at: 'packages/steward/scripts/', may: [], ...plain },
  { name: 'lab', at: 'packages/lab/', may: ['public', 'internal'], ...user },
  { name: 'console-web', at: 'packages/console/src/web/', may: ['console-contract'], node: 'none', packages: 'declared' },
  { name: 'console-contract', at: 'packages/console/src/contract/', may: [], ...quiet },
  { name: 'console-server', at: 'packages/console/src/server/', may: ['public', 'internal', 'console-contract'], ...user },
  { name: 'eslint-plugin', at: 'packages/eslint-plugin/', may: ['public'], ...user },
  { name: 'bench', at: 'bench/', may: ['public'], ...user },
  { name: 'examples', at: 'examples/', may: ['public'], ...user },
  { name: 'test', at: 'test/', may: ['public', 'internal'], ...user },
  { name: 'root', at: '', may: [], ...user },
]

const PUBLIC_FILES = ['index.ts', 'sqlite/index.ts', 'postgres/index.ts', 'providers/index.ts', 'testing/index.ts'].map((file) => SRC + file)
const PUBLIC_NAMES = ['steward', 'steward/sqlite', 'steward/postgres', 'steward/providers', 'steward/testing']

export interface Import {
  readonly specifier: string
  readonly typeOnly: boolean
  readonly lazy: boolean
  readonly node: ts.Node
}

/** Every import, re-export and `import(…)` of a file whose target is written out. */
export function importsOf(file: ProjectFile): readonly Import[] {
  const found: Import[] = []
  walk(file, (node) => {
    if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
      found.push({ specifier: node.moduleSpecifier.text, typeOnly: takesOnlyTypes(node.importClause), lazy: false, node })
    } else if (ts.isExportDeclaration(node) && node.moduleSpecifier && ts.isStringLiteral(node.moduleSpecifier)) {
      found.push({ specifier: node.moduleSpecifier.text, typeOnly: node.isTypeOnly, lazy: false, node })
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const [target] = node.arguments
      if (target && ts.isStringLiteral(target)) found.push({ specifier: target.text, typeOnly: false, lazy: true, node })
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument) && ts.isStringLiteral(node.argument.literal)) {
      found.push({ specifier: node.argument.literal.text, typeOnly: true, lazy: false, node })
    }
  })
  return found
}

function takesOnlyTypes(clause: ts.ImportClause | undefined): boolean {
  if (!clause) return false
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true
  const names = clause.namedBindings
  if (clause.name || !names || !ts.isNamedImports(names)) return false
  return names.elements.length > 0 && names.elements.every((element) => element.isTypeOnly)
}

export const areaOf = (path: string): Area => AREAS.find((area) => path.startsWith(area.at)) as Area

export interface ImportContext {
  /** Packages of this repository other than steward. */
  readonly leaves: readonly string[]
  /** Packages declared in the root's package.json. */
  readonly declared: readonly string[]
}

/** Everything that an import does against the table. */
export function importViolations(files: readonly ProjectFile[], context: ImportContext): readonly Violation[] {
  const paths = new Set(files.map((file) => file.path))
  return files
    .filter((file) => isCode(file.path))
    .flatMap((file) => importsOf(file).flatMap((one) => {
      const problem = one.specifier.startsWith('.') ? relativeProblem(file.path, one, paths) : namedProblem(file.path, one, context)
      return problem ? [at(file, one.node, problem)] : []
    }))
}

function relativeProblem(from: string, one: Import, paths: ReadonlySet<string>): string | undefined {
  const target = posix.join(posix.dirname(from), one.specifier)
  if (!paths.has(target)) return `imports ${one.specifier}, where no file is`
  const [home, other] = [areaOf(from), areaOf(target)]
  if (isTest(target) && !isTest(from)) return `imports the test file ${target}`
  if (home === other) return undefined
  if (packageOf(from) !== packageOf(target)) return `reaches into ${packageOf(target)} by path; import it by name`
  // The tests of a package may look at all of it.
  if (isTest(from)) return undefined
  const names = [other.name, ...(PUBLIC_FILES.includes(target) ? ['public'] : []), ...(target === `${SRC}internal.ts` ? ['internal'] : [])]
  if (names.some((name) => home.may.includes(name))) return undefined
  if (home.typesOf?.includes(other.name)) return one.typeOnly ? undefined : `${home.name} may take only types from ${other.name}`
  return `${home.name} may not import ${other.name} (${target})`
}

function namedProblem(from: string, one: Import, context: ImportContext): string | undefined {
  const home = areaOf(from)
  const { specifier } = one
  if (specifier.startsWith('node:')) {
    if (isTest(from) || home.node === 'all') return undefined
    if (home.node === 'none') return `${home.name} may not import ${specifier}`
    return specifier === 'node:sqlite' ? `only sqlite may import node:sqlite, not ${home.name}` : undefined
  }
  if (specifier === 'steward/internal') return home.may.includes('internal') ? undefined : `${home.name} may not import steward/internal`
  if (PUBLIC_NAMES.includes(specifier)) {
    // Inside the library its own name would be a ring; its tests may use it as users do.
    return home.may.includes('public') && (home.name !== 'cli' || isTest(from)) ? undefined : selfOrForbidden(from, home, specifier)
  }
  if (specifier === 'steward' || specifier.startsWith('steward/')) return `${specifier} is not an entry point`
  const name = specifier.split('/').slice(0, specifier.startsWith('@') ? 2 : 1).join('/')
  if (context.leaves.includes(name)) return one.lazy && home.leavesLazily ? undefined : `${home.name} may not import ${name}`
  if (one.lazy && home.peersLazily?.includes(name)) return undefined
  if (!isTest(from) && home.packages === 'none') return `${home.name} may not depend on ${name}`
  return context.declared.includes(name) ? undefined : `${name} is not declared in package.json`
}

function selfOrForbidden(from: string, home: Area, specifier: string): string | undefined {
  if (isTest(from)) return undefined
  return home.name === 'cli' ? `cli imports ${specifier} by path, from the entry point's file` : `${home.name} may not import ${specifier}`
}

const packageOf = (path: string): string => /^packages\/[^/]+/.exec(path)?.[0] ?? path.split('/')[0] ?? path

/** Rings of value imports within what ships, each named once by its files. */
export function importRings(files: readonly ProjectFile[]): readonly Violation[] {
  const shipped = files.filter((file) => isCode(file.path) && !isTest(file.path))
  const edges = new Map(shipped.map((file) => [file.path, importsOf(file)
    .filter((one) => one.specifier.startsWith('.') && !one.typeOnly && !one.lazy)
    .map((one) => posix.join(posix.dirname(file.path), one.specifier))]))
  const rings = new Map<string, Violation>()
  const done = new Set<string>()
  const follow = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path)
    if (start >= 0) {
      const ring = trail.slice(start)
      rings.set([...ring].sort().join(' '), { path, line: 1, what: `is part of an import ring: ${[...ring, path].join(' → ')}` })
      return
    }
    if (done.has(path)) return
    for (const next of edges.get(path) ?? []) follow(next, [...trail, path])
    done.add(path)
  }
  for (const path of edges.keys()) follow(path, [])
  return [...rings.values()]
}
