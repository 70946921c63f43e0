/**
 * Encryption at rest: a store that keeps inputs and results under a key of the application's (contract 14).
 *
 * It wraps any store. What goes down is sealed (AES-256-GCM, a fresh nonce each, bound to the call's id and field, so
 * that texts cannot be swapped between rows); what comes up is opened. The key id stands in the row: rotate by
 * adding a key and naming it in `use`; old rows are read with the key they name for as long as it is passed.
 */
import { createCipheriv, createDecipheriv, randomFillSync } from 'node:crypto'
import type { Call } from '../core/call.ts'
import { StewardError } from '../core/errors.ts'
import type { CallWrite, EarlyFact, InsertResult, InsertWrite, SettleDue, Store, WriteResult } from '../ports/store.ts'

export type Encryption = {
  /** Id of the key that new rows are sealed with. */
  readonly use: string
  /** Keys of 32 bytes by id. */
  readonly keys: Readonly<Record<string, Uint8Array>>
}

const FIELDS = ['given', 'input', 'result'] as const

export function encrypted(store: Store, encryption: Encryption): Store {
  const box = new Box(encryption)
  const openWrite = (result: WriteResult): WriteResult => (!result.ok && result.call ? { ...result, call: box.open(result.call) } : result)
  const overrides: Partial<Store> = {
    write: async (batch) => (await store.write(batch.map((write) => sealWrite(box, write)))).map(openWrite),
    insert: async (batch) => (await store.insert(batch.map((write) => sealInsert(box, write)))).map((result) => openInsert(box, result)),
    writeSettling: async (write, inTx) => {
      const settled = await store.writeSettling(sealWrite(box, write), inTx)
      return { ...settled, result: openWrite(settled.result) }
    },
    claim: async (query) => box.openAll(await store.claim(query)),
    orphans: async (limit, operations) => box.openAll(await store.orphans(limit, operations)),
    get: async (id) => box.openMaybe(await store.get(id)),
    find: async (operation, key) => box.openMaybe(await store.find(operation, key)),
    getMany: async (ids) => box.openAll(await store.getMany(ids)),
    list: async (query) => box.openAll(await store.list(query)),
    overdue: async (now, limit, operations) => box.openAll(await store.overdue(now, limit, operations)),
    settlesDue: async (now, limit, operations) => (await store.settlesDue(now, limit, operations)).map((due): SettleDue => ({ ...due, call: box.open(due.call) })),
    keepEarlyFact: async (operation, key, early) => {
      const kept = await store.keepEarlyFact(operation, key, { ...early, result: box.sealText(early.result, earlyContext(operation, key)) })
      return kept.kept ? kept : { kept: false, call: box.open(kept.call) }
    },
    prune: (endedBefore, limit, digestsOf) => store.prune(endedBefore, limit, (call) => digestsOf(box.open(call))),
  }
  return new Proxy(store, {
    get: (target, name) => {
      const own = overrides[name as keyof Store] as unknown
      if (own !== undefined) return own
      const member: unknown = Reflect.get(target, name)
      return typeof member === 'function' ? (member.bind(target) as unknown) : member
    },
  })
}

function earlyContext(operation: string, key: string): string {
  return `early ${operation} ${key}`
}

function sealWrite(box: Box, write: CallWrite): CallWrite {
  return { ...write, call: box.seal(write.call) }
}

function sealInsert(box: Box, write: InsertWrite): InsertWrite {
  return { ...write, call: box.seal(write.call), ...(write.supersedes ? { supersedes: { ...write.supersedes, call: box.seal(write.supersedes.call) } } : {}) }
}

function openInsert(box: Box, result: InsertResult): InsertResult {
  if (result.ok) return result
  if (result.why === 'joined') return { ...result, call: box.open(result.call) }
  if (result.why === 'superseded-changed') return { ...result, call: box.openMaybe(result.call) }
  if (result.why !== 'facts') return result
  return { ...result, facts: result.facts.map((early): EarlyFact => ({ ...early, result: box.openEarly(early.result) })) }
}

class Box {
  readonly #use: string
  readonly #keys: Readonly<Record<string, Uint8Array>>

  constructor({ use, keys }: Encryption) {
    for (const [id, key] of Object.entries(keys)) {
      if (key.length !== 32) throw new StewardError('STEWARD_OPTION_INVALID', `encryption key "${id}" has ${key.length} bytes; it must have 32. Nothing was started.`)
    }
    if (!keys[use]) throw new StewardError('STEWARD_OPTION_INVALID', `encryption.use names key "${use}", which is not among encryption.keys. Nothing was started.`)
    this.#use = use
    this.#keys = keys
  }

  seal(call: Call): Call {
    const sealed: Partial<Record<(typeof FIELDS)[number], string | null>> = {}
    for (const field of FIELDS) sealed[field] = this.sealText(call[field], `${call.id} ${field}`)
    return { ...call, ...(sealed as Pick<Call, 'given' | 'input' | 'result'>), encryptionKeyId: this.#use }
  }

  /** Rows written before encryption was configured are read as they are, and sealed with their next write. */
  open(call: Call): Call {
    if (call.encryptionKeyId === null) return call
    const opened: Partial<Record<(typeof FIELDS)[number], string | null>> = {}
    for (const field of FIELDS) opened[field] = this.#openText(call[field], `${call.id} ${field}`)
    return { ...call, ...(opened as Pick<Call, 'given' | 'input' | 'result'>), encryptionKeyId: null }
  }

  openMaybe(call: Call | null): Call | null {
    return call && this.open(call)
  }

  openAll(calls: readonly Call[]): readonly Call[] {
    return calls.map((call) => this.open(call))
  }

  /** Early facts carry their context inside, since the answer of an insert does not name it. */
  openEarly(text: string | null): string | null {
    return this.#openText(text, null)
  }

  sealText(text: string | null, context: string): string | null {
    if (text === null) return null
    const nonce = randomFillSync(new Uint8Array(12))
    const cipher = createCipheriv('aes-256-gcm', this.#keys[this.#use] as Uint8Array, nonce)
    cipher.setAAD(Buffer.from(context))
    const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
    return JSON.stringify({ sealed: this.#use, context, data: Buffer.concat([nonce, cipher.getAuthTag(), body]).toString('base64') })
  }

  #openText(text: string | null, context: string | null): string | null {
    if (text === null) return null
    const box = JSON.parse(text) as { sealed: string; context: string; data: string }
    const key = this.#keys[box.sealed]
    if (!key) throw new StewardError('STEWARD_OPTION_INVALID', `a row is sealed with key "${box.sealed}", which is not among encryption.keys. Nothing was changed; pass that key, too.`)
    if (context !== null && context !== box.context) throw new StewardError('STEWARD_STORE_CORRUPT', `a sealed text of "${box.context}" was found at "${context}". Nothing was changed; restore the row.`)
    const data = Buffer.from(box.data, 'base64')
    const decipher = createDecipheriv('aes-256-gcm', key, data.subarray(0, 12))
    decipher.setAAD(Buffer.from(box.context))
    decipher.setAuthTag(data.subarray(12, 28))
    return Buffer.concat([decipher.update(data.subarray(28)), decipher.final()]).toString('utf8')
  }
}
