/** The house rules that a machine can judge, one function each. STYLE.md says why they are rules. */
import ts from 'typescript'
import { SYSTEM_ADAPTER } from './exemptions.ts'
import { at, isCode, isShipped, isTest, linesMatching, walk, type ProjectFile, type Violation } from './project.ts'

const TIMERS = new Set(['setTimeout', 'setInterval', 'setImmediate'])
const RANDOM = new Set(['randomUUID', 'randomBytes', 'randomInt', 'getRandomValues'])
const AMBIENT_PROPERTIES = new Set(['Date.now', 'Math.random', 'performance.now', 'process.hrtime', 'AbortSignal.timeout', 'Temporal.Now'])
const AMBIENT_MODULES = new Set(['node:timers', 'node:timers/promises', 'node:perf_hooks'])

/** Reads of the real clock, real timers and real randomness outside the one adapter. */
export function ambientReads(files: readonly ProjectFile[]): readonly Violation[] {
  return files.filter((file) => isShipped(file.path) && file.path !== SYSTEM_ADAPTER).flatMap((file) => {
    const found: Violation[] = []
    walk(file, (node) => {
      const name = ambientRead(node)
      if (name) found.push(at(file, node, `${name} (time and randomness are arguments; the real ones live in ${SYSTEM_ADAPTER})`))
    })
    return found
  })
}

function ambientRead(node: ts.Node): string | undefined {
  if (ts.isPropertyAccessExpression(node)) {
    const dotted = `${node.expression.getText()}.${node.name.text}`.replace(/^globalThis\./, '')
    if (AMBIENT_PROPERTIES.has(dotted)) return dotted
    if (node.expression.getText() === 'globalThis' && TIMERS.has(node.name.text)) return node.name.text
    if (/^(globalThis\.)?crypto$/.test(node.expression.getText()) && RANDOM.has(node.name.text)) return node.name.text
  }
  if (ts.isNewExpression(node) && isDate(node.expression) && !node.arguments?.length) return 'new Date()'
  if (ts.isCallExpression(node) && isDate(node.expression)) return 'Date()'
  if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier) && AMBIENT_MODULES.has(node.moduleSpecifier.text)) {
    return node.moduleSpecifier.text
  }
  return ts.isIdentifier(node) && (TIMERS.has(node.text) || RANDOM.has(node.text)) && isReference(node) ? node.text : undefined
}

const isDate = (node: ts.Expression): boolean => ts.isIdentifier(node) && node.text === 'Date'

/** Whether the identifier stands for the thing itself, rather than naming a property or a member of a type. */
function isReference(node: ts.Identifier): boolean {
  const { parent } = node
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === node
  if (ts.isTypeQueryNode(parent)) return false
  const named = ts.isPropertyAssignment(parent) || ts.isPropertySignature(parent) || ts.isMethodSignature(parent) ||
    ts.isMethodDeclaration(parent) || ts.isPropertyDeclaration(parent)
  return !(named && parent.name === node)
}

const SLEEPS = new Set(['sleep', 'delay', 'pause', 'wait'])

/** Tests that wait for time to pass. A sleep of a manual clock (`clock.sleep(50)`) moves nothing but itself. */
export function sleepsInTests(files: readonly ProjectFile[]): readonly Violation[] {
  return files.filter((file) => isTest(file.path) && isCode(file.path)).flatMap((file) => {
    const found: Violation[] = []
    walk(file, (node) => {
      if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier) && AMBIENT_MODULES.has(node.moduleSpecifier.text) && node.moduleSpecifier.text !== 'node:perf_hooks') {
        found.push(at(file, node, `imports ${node.moduleSpecifier.text}: wait on an event, or move the clock`))
      }
      if (ts.isCallExpression(node) && isSleep(node)) found.push(at(file, node, `${node.expression.getText()}(…): wait on an event, or move the clock`))
    })
    return found
  })
}

function isSleep(call: ts.CallExpression): boolean {
  const callee = call.expression
  const name = ts.isPropertyAccessExpression(callee) ? callee.name.text : callee.getText()
  const owner = ts.isPropertyAccessExpression(callee) ? callee.expression.getText() : ''
  if (name === 'setTimeout' || name === 'setInterval') return owner === '' || owner === 'globalThis'
  if (owner === 'Atomics' && name === 'wait') return true
  return SLEEPS.has(name) && !/clock$/i.test(owner) && call.arguments.some((argument) => ts.isNumericLiteral(argument))
}

const EMPTY_NAMES = new Set(['util', 'utils', 'helper', 'helpers', 'common', 'manager', 'managers', 'misc', 'shared'])

/** Files and folders named after nothing. */
export function emptyNames(files: readonly ProjectFile[]): readonly Violation[] {
  return files.flatMap((file) => file.path.split('/').flatMap((part) => {
    const words = part.replace(/([a-z])([A-Z])/g, '$1-$2').toLowerCase().split(/[-_.]/)
    const empty = words.find((word) => EMPTY_NAMES.has(word))
    return empty ? [{ path: file.path, line: 1, what: `the name ${part} says "${empty}": name it after what it knows or decides` }] : []
  }))
}

/** Messages that say that something failed instead of what happened. */
export function failedToMessages(files: readonly ProjectFile[]): readonly Violation[] {
  const speaks = (path: string): boolean => isCode(path) && !isTest(path)
  return files.filter((file) => speaks(file.path)).flatMap((file) => {
    const found: Violation[] = []
    walk(file, (node) => {
      const text = ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddle(node) || ts.isTemplateTail(node) ? node.text : ''
      if (/\bfailed to\b/i.test(text)) found.push(at(file, node, `a message says "failed to": say what happened, and what that leaves`))
    })
    return found
  })
}

/** The library installs nothing: a payments service reviews every package that comes with it. */
export function runtimeDependencies(files: readonly ProjectFile[]): readonly Violation[] {
  const file = files.find((one) => one.path === 'packages/steward/package.json')
  if (!file) return []
  const manifest = JSON.parse(file.text) as Record<string, Record<string, unknown> | undefined>
  return ['dependencies', 'optionalDependencies', 'bundleDependencies', 'bundledDependencies'].flatMap((kind) =>
    Object.keys(manifest[kind] ?? {}).map((name) => ({ path: file.path, line: 1, what: `${kind} names ${name}; the library has none` })))
}

/** Addresses from which packages were downloaded: they tie the lock file to one machine's registry. */
export function lockAddresses(files: readonly ProjectFile[]): readonly Violation[] {
  return files.filter((file) => file.path.endsWith('package-lock.json'))
    .flatMap((file) => linesMatching(file, /"resolved":\s*"[a-z+]+:/, () => 'the lock file names a download address (see .npmrc)'))
}

/** Paths that exist on one machine. Tests ask the operating system for a temporary folder instead. */
export function machinePaths(files: readonly ProjectFile[]): readonly Violation[] {
  const absolute = /(?<![\w.:/\\$}~)-])\/(?:work|home|Users|root|tmp)\/\w/
  return files.filter((file) => !file.path.endsWith('package-lock.json'))
    .flatMap((file) => linesMatching(file, absolute, () => 'names an absolute path of one machine'))
}

/** Notes to self (the words below, a colon, then four words or more) must say enough for somebody else to act. */
export function bareNotes(files: readonly ProjectFile[]): readonly Violation[] {
  const note = /\b(TO[D]O|FIXM[E]|XX[X]|HAC[K])\b(?!(\([^)]+\))?: (\S+\s+){3,}\S)/
  return files.filter((file) => isCode(file.path))
    .flatMap((file) => linesMatching(file, note, (match) => `${match[1]} without a reason (say after a colon what, and why not now)`))
}

/** Switched-off lint rules without `-- reason`. */
export function unexplainedDisables(files: readonly ProjectFile[]): readonly Violation[] {
  const disable = /(?:\/\/|\/\*)\s*eslint-disable(?!.* -- \w\S* \w)/
  return files.filter((file) => isCode(file.path) && file.path !== 'eslint.config.js')
    .flatMap((file) => linesMatching(file, disable, () => 'switches a lint rule off without a reason (-- because …)'))
}

/** Packages that do not carry the repository's version: all move together. */
export function versionDrift(files: readonly ProjectFile[]): readonly Violation[] {
  const manifests = files.filter((file) => /^(packages\/[^/]+\/)?package\.json$/.test(file.path))
  const versionOf = (file: ProjectFile): unknown => (JSON.parse(file.text) as { version?: unknown }).version
  const root = manifests.find((file) => file.path === 'package.json')
  return manifests.filter((file) => root && versionOf(file) !== versionOf(root))
    .map((file) => ({ path: file.path, line: 1, what: `has version ${String(versionOf(file))}, the repository ${String(root && versionOf(root))}` }))
}

export const ERROR_TABLE = 'packages/steward/src/core/errors.ts'
export const ERROR_PAGE = 'docs/reference/errors.md'

/** Codes without a section, and sections without a code. Silent until the page exists. */
export function errorParity(files: readonly ProjectFile[]): readonly Violation[] {
  const [table, page] = [ERROR_TABLE, ERROR_PAGE].map((path) => files.find((file) => file.path === path))
  if (!table || !page) return []
  const codes = errorCodes(table)
  const sections = [...page.text.matchAll(/^#{2,4} .*?`?(STEWARD_[A-Z0-9_]+)/gm)].map((match) => match[1] as string)
  const twice = sections.filter((code, index) => sections.indexOf(code) !== index)
  return [
    ...(codes.length === 0 ? [{ path: table.path, line: 1, what: 'has no ERROR_CODES with STEWARD_* entries' }] : []),
    ...codes.filter((code) => !sections.includes(code)).map((code) => ({ path: page.path, line: 1, what: `has no section for ${code}` })),
    ...sections.filter((code) => !codes.includes(code)).map((code) => ({ path: page.path, line: 1, what: `describes ${code}, which is not in ERROR_CODES` })),
    ...twice.map((code) => ({ path: page.path, line: 1, what: `describes ${code} twice` })),
  ]
}

function errorCodes(table: ProjectFile): readonly string[] {
  const codes: string[] = []
  walk(table, (node) => {
    if (!ts.isVariableDeclaration(node) || node.name.getText() !== 'ERROR_CODES' || !node.initializer) return
    const value = ts.isAsExpression(node.initializer) || ts.isSatisfiesExpression(node.initializer) ? node.initializer.expression : node.initializer
    const object = ts.isAsExpression(value) ? value.expression : value
    if (!ts.isObjectLiteralExpression(object)) return
    for (const entry of object.properties) if (entry.name) codes.push(entry.name.getText().replace(/['"]/g, ''))
  })
  return codes.filter((code) => code.startsWith('STEWARD_'))
}
