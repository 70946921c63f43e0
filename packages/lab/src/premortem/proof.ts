/**
 * The proof of a premortem: a small file to be committed, which says what was run and of which code it speaks.
 *
 * The code is known by a digest of what the operation is made of: its version, its answer and policy, the text of its
 * functions, the premortem's entries and the text of their runs, and the files that the premortem names. What `send`
 * calls in other files counts only where the premortem names them.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { realSystem, register } from 'steward/internal'
import { type Premortem, titleOf } from './definition.ts'

export const PROOF_FILE = 'steward.proof.json'

/** What became of an entry when it was last run. */
export type Outcome = 'survived' | 'not handled' | 'waits' | 'does not apply' | 'unknown scenario'

export type Proven = {
  readonly version: number
  readonly digest: string
  /** Seed of the run. */
  readonly seed: number
  readonly entries: Readonly<Record<string, Outcome>>
}
export type Proof = { readonly format: 'steward-proof/1'; readonly operations: Readonly<Record<string, Proven>> }

const EMPTY: Proof = { format: 'steward-proof/1', operations: {} }

export function readProof(path: string): Proof {
  if (!existsSync(path)) return EMPTY
  const parsed = JSON.parse(readFileSync(path, 'utf8')) as Partial<Proof>
  if (parsed.format !== EMPTY.format || typeof parsed.operations !== 'object') throw new Error(`${path} is not a proof of this version of the lab (format ${String(parsed.format)}). Nothing was changed. Remove it and run: steward lab`)
  return parsed as Proof
}

/** Adds what was proven; other operations stay as they are. Keys are sorted, so that a change is a change of one place. */
export function writeProof(path: string, proven: Readonly<Record<string, Proven>>): void {
  const all = { ...readProof(path).operations, ...proven }
  const operations = Object.fromEntries(Object.keys(all).sort().map((name) => [name, all[name] as Proven]))
  writeFileSync(path, `${JSON.stringify({ format: EMPTY.format, operations }, undefined, 2)}\n`)
}

export function digestOf(premortem: Premortem): string {
  const { operation, entries, example, answers, files = [] } = premortem
  const { policy, provider } = register(operation)
  const code = [operation, operation.idempotency, { example, answers }, operation.upgrade ?? {}].flatMap((part) => Object.entries(part)).filter(([, member]) => typeof member === 'function')
  return realSystem.digest(JSON.stringify({
    version: operation.version, policy, provider,
    code: code.map(([name, member]) => [name, textOf(member)]),
    entries: entries.map((entry) => (typeof entry === 'string' ? entry : [entry.title, entry.seed ?? null, textOf(entry.run)])),
    files: files.map((file) => lean(readFileSync(file, 'utf8'))),
  })).slice(0, 32)
}

/** What changes only the layout changes no digest. */
const lean = (text: string): string => text.replace(/\s+/g, ' ').trim()
/** The text of a function. */
const textOf = (code: unknown): string => lean(String(code))

const WHY: Readonly<Record<Outcome, string | null>> = {
  'survived': null,
  'not handled': 'the operation did not survive it',
  'waits': 'Steward does not have yet what it takes to survive it',
  'does not apply': 'it asks nothing of an operation with this answer; choose another',
  'unknown scenario': 'there was no such scenario',
}

/** Why this entry of the premortem is not proven now; `null` when it is. */
export function unproven(premortem: Premortem, entry: string, proof: Proof): string | null {
  const { operation } = premortem
  const proven = proof.operations[operation.name]
  if (proven === undefined) return 'it was never run'
  if (proven.version !== operation.version) return `it was proven for version ${proven.version}, and the operation is at version ${operation.version}`
  if (proven.digest !== digestOf(premortem)) return 'the operation or its premortem changed since it was proven'
  const result = proven.entries[entry]
  if (result === undefined) return 'it was never run'
  return WHY[result]
}

export function provenBy(premortem: Premortem, seed: number, results: ReadonlyMap<string, Outcome>): Proven {
  return { version: premortem.operation.version, digest: digestOf(premortem), seed, entries: Object.fromEntries(premortem.entries.map((entry) => [titleOf(entry), results.get(titleOf(entry)) ?? 'not handled'])) }
}
