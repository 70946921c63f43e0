/**
 * Encryption at rest: a store that keeps inputs and results under a key of the application's (contract 14).
 *
 * It wraps any store. What goes down is sealed (AES-256-GCM, a fresh nonce each, bound to the call's id and field, so
 * that texts cannot be swapped between rows); what comes up is opened. Each text names its key: rotate by adding a key
 * and naming it in `use`. Rows in plain text or under an older key are read as they are, and sealed with their next write.
 */
import { createCipheriv, createDecipheriv, randomFillSync } from 'node:crypto'
import type { Alert } from '../core/alert.ts'
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

/** No JSON text begins like this, so each text says by itself whether it is sealed: `sealed:1:<key id>:<base64>`. */
const PREFIX = 'sealed:1:'

/** Whether a call, as read, holds a text that this process has no key for. */
export function isSealed(call: Call): boolean {
  return sealedWith(call) !== null
}

function sealedWith(call: Call): string | null {
  for (const field of FIELDS) {
    const text = call[field]
    if (text?.startsWith(PREFIX)) return keyIdOf(text)
  }
  return null
}

function keyIdOf(sealed: string): string {
  return sealed.slice(PREFIX.length, Math.max(PREFIX.length, sealed.lastIndexOf(':')))
}

export function sealedReason(call: Call): string {
  return `it is sealed with encryption key "${sealedWith(call)}", which this process was not given (or not as it was)`
}

/** @throws StewardError STEWARD_ENCRYPTION_KEY_MISSING when this process has no key for what the call holds. */
export function refuseSealed(call: Call): void {
  if (!isSealed(call)) return
  throw new StewardError('STEWARD_ENCRYPTION_KEY_MISSING', `${call.operation} "${call.key}" cannot be read: ${sealedReason(call)}. Nothing was changed or sent. Pass that key in encryption.keys, too.`, { operation: call.operation, key: call.key, callId: call.id, encryptionKeyId: sealedWith(call) })
}

/** One a day per operation and key: work waits for a process that was given the key. */
export function unreadable(call: Call, at: number): Alert {
  const keyId = sealedWith(call)
  return {
    id: `unreadable:${call.operation}:${keyId}:${Math.floor(at / 86_400_000)}`, kind: 'unreadable', severity: 'page', at, operation: call.operation, callId: call.id, key: call.key, state: call.state,
    message: `A worker claimed ${call.operation} "${call.key}" and cannot read it: ${sealedReason(call)}. Nothing was sent; it waits for a worker that has the key.`,
    next: `Start every worker with key "${keyId}" among encryption.keys.`,
  }
}

/**
 * What a process cannot open comes up as it is stored, row by row (`isSealed`), so that one such row keeps no batch
 * from the others; whoever needs the text refuses it (`refuseSealed`).
 */
export function encrypted(store: Store, encryption: Encryption): Store {
  const box = new Box(encryption)
  const openWrite = (result: WriteResult): WriteResult => (!result.ok && result.call ? { ...result, call: box.open(result.call) } : result)
  const insertWithin = store.insertWithin?.bind(store)
  const insertStatement = store.insertStatement?.bind(store)
  const overrides: Partial<Store> = {
    write: async (batch) => (await store.write(batch.map((write) => sealWrite(box, write)))).map(openWrite),
    insert: async (batch, more) => (await store.insert(batch.map((write) => sealInsert(box, write)), more)).map((result, i) => openInsert(box, result, (batch[i] as InsertWrite).call)),
    // A store that has no part in other transactions gets none by being wrapped.
    ...(insertWithin === undefined ? {} : { insertWithin: async (tx, write) => openInsert(box, await insertWithin(tx, sealInsert(box, write)), write.call) }),
    ...(insertStatement === undefined ? {} : {
      insertStatement: async (write) => {
        const { text, values, read } = await insertStatement(sealInsert(box, write))
        return { text, values, read: (row) => openInsert(box, read(row), write.call) }
      },
    }),
    writeSettling: async (write, inTx) => {
      const settled = await store.writeSettling(sealWrite(box, write), inTx)
      return { ...settled, result: openWrite(settled.result) }
    },
    claim: async (query) => box.openAll(await store.claim(query)),
    leasedTo: async (lease, limit) => box.openAll(await store.leasedTo(lease, limit)),
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
    prune: (endedBefore, limit, digestsOf) => store.prune(endedBefore, limit, (call) => {
      const opened = box.open(call)
      refuseSealed(opened)
      return digestsOf(opened)
    }),
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

/** What stood there in plain text, or under another key, is sealed anew with the first write that follows. */
function sealWrite(box: Box, write: CallWrite): CallWrite {
  const reseals = write.call.encryptionKeyId !== box.use && !isSealed(write.call)
  const inputChanged = reseals || write.inputChanged === true
  return { ...write, call: box.seal(write.call, inputChanged), ...(inputChanged ? { inputChanged } : {}) }
}

function sealInsert(box: Box, write: InsertWrite): InsertWrite {
  // Of the call that is replaced a store may keep the input as it is, and the id of its key with it.
  return { ...write, call: box.seal(write.call, true), ...(write.supersedes ? { supersedes: { ...write.supersedes, call: box.seal(write.supersedes.call, false) } } : {}) }
}

function openInsert(box: Box, result: InsertResult, given: Call): InsertResult {
  if (result.ok) return result
  if (result.why === 'joined') return { ...result, call: box.open(result.call) }
  if (result.why === 'superseded-changed') return { ...result, call: box.openMaybe(result.call) }
  if (result.why !== 'facts') return result
  return { ...result, facts: result.facts.map((early): EarlyFact => ({ ...early, result: box.openText(early.result, earlyContext(given.operation, given.key)) })) }
}

class Box {
  /** Id of the key that is sealed with. */
  readonly use: string
  readonly #keys: Readonly<Record<string, Uint8Array>>

  constructor({ use, keys }: Encryption) {
    for (const [id, key] of Object.entries(keys)) {
      if (key.length !== 32) throw new StewardError('STEWARD_OPTION_INVALID', `encryption key "${id}" has ${key.length} bytes; it must have 32. Nothing was started.`)
    }
    if (!keys[use]) throw new StewardError('STEWARD_OPTION_INVALID', `encryption.use names key "${use}", which is not among encryption.keys. Nothing was started.`)
    this.use = use
    this.#keys = keys
  }

  /** @param inputToo the store writes the input with it, so that all of the row is under the one key now. */
  seal(call: Call, inputToo: boolean): Call {
    const sealed: Partial<Record<(typeof FIELDS)[number], string | null>> = {}
    for (const field of FIELDS) sealed[field] = this.sealText(call[field], `${call.id} ${field}`)
    const keyId = inputToo && !isSealed(call) ? this.use : call.encryptionKeyId
    return { ...call, ...(sealed as Pick<Call, 'given' | 'input' | 'result'>), encryptionKeyId: keyId }
  }

  /** `encryptionKeyId` then names the key that all of its input was under; `null` where some of it was plain, or under another. */
  open(call: Call): Call {
    const opened: Partial<Record<(typeof FIELDS)[number], string | null>> = {}
    for (const field of FIELDS) opened[field] = this.openText(call[field], `${call.id} ${field}`)
    const ids = new Set([call.given, call.input].filter((text) => text !== null).map((text) => (text.startsWith(PREFIX) ? keyIdOf(text) : null)))
    const [keyId = null] = ids.size === 1 ? ids : []
    return { ...call, ...(opened as Pick<Call, 'given' | 'input' | 'result'>), encryptionKeyId: keyId }
  }

  openMaybe(call: Call | null): Call | null {
    return call && this.open(call)
  }

  openAll(calls: readonly Call[]): readonly Call[] {
    return calls.map((call) => this.open(call))
  }

  /** A text that could not be opened, and is sealed still, goes down as it came up. */
  sealText(text: string | null, context: string): string | null {
    if (text === null || text.startsWith(PREFIX)) return text
    const nonce = randomFillSync(new Uint8Array(12))
    const cipher = createCipheriv('aes-256-gcm', this.#keys[this.use] as Uint8Array, nonce)
    cipher.setAAD(Buffer.from(context))
    const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
    return `${PREFIX}${this.use}:${Buffer.concat([nonce, cipher.getAuthTag(), body]).toString('base64')}`
  }

  /** What is not sealed, or under a key that is not known here, or was tampered with, stays as it is. */
  openText(text: string | null, context: string): string | null {
    if (text === null || !text.startsWith(PREFIX)) return text
    const key = this.#keys[keyIdOf(text)]
    if (!key) return text
    const data = Buffer.from(text.slice(text.lastIndexOf(':') + 1), 'base64')
    try {
      const decipher = createDecipheriv('aes-256-gcm', key, data.subarray(0, 12))
      decipher.setAAD(Buffer.from(context))
      decipher.setAuthTag(data.subarray(12, 28))
      return Buffer.concat([decipher.update(data.subarray(28)), decipher.final()]).toString('utf8')
    } catch {
      return text
    }
  }
}
