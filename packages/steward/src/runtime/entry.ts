/**
 * How a new call enters the store: inserted or joined, with the facts that came before it, the call it replaces,
 * and, where this process works, already leased to it or begun.
 */
import type { Alert } from '../core/alert.ts'
import type { Call } from '../core/call.ts'
import { type Decision, decide, admitsSuccessor } from '../core/decide.ts'
import { invariant, StewardError } from '../core/errors.ts'
import { differingDigests, differingFields, digestSalt, fieldDigests } from '../core/input.ts'
import type { Json } from '../core/json.ts'
import { mayHaveMovedSince } from '../core/set-back.ts'
import type { CallerTx, EarlyFact, InsertResult, InsertWrite, Lease, Store } from '../ports/store.ts'
import type { Log, System } from '../ports/system.ts'
import type { ControlsCopy } from './controls.ts'
import { refuseSealed } from './encryption.ts'
import type { LeaseKeeper } from './lease.ts'
import type { Registered } from './operation.ts'
import type { Recorder } from './recorder.ts'
import type { Worker } from './worker.ts'

export type EntryOptions = {
  readonly store: Store
  readonly system: System
  readonly log: Log
  readonly controls: ControlsCopy
  readonly keeper: LeaseKeeper
  readonly recorder: Recorder
  readonly worker: Worker
  readonly release: string | null
  /** Id of the key that rows are sealed with; `null` without encryption. */
  readonly sealsWith: string | null
  onAlerts(): void
}

/** `begin`: send at once from here (perform). `offer`: from here when a slot is free and nothing older waits (submit). */
export type Mode = 'begin' | 'offer'

export type Entered = { readonly status: 'created' | 'joined'; readonly call: Call }

type Begun = { readonly decision: Decision; readonly n: number; readonly deadlineMs: number; readonly lease: Lease }

/** The call to be replaced as it is to be marked, or why it may not be: known only once the key itself turns out to be new. */
type Superseding = { readonly write: NonNullable<InsertWrite['supersedes']> | null; readonly refusal: StewardError | null }

const NOTHING_REPLACED: Superseding = { write: null, refusal: null }

/** An insert of which nobody has said whether it was stored; `lease` when it was made under ours. */
type Uncertain = { readonly lease: Lease | null; readonly begun: Begun | null }

/** What one insert is tried with. */
type Trying = { readonly write: InsertWrite; readonly lease: Lease | null; readonly begun: Begun | null; readonly refusal: StewardError | null; readonly alerts: readonly Alert[]; readonly claims: boolean }

type Tried = { readonly trying: Trying; readonly result: InsertResult }

/** Repeats of an insert whose commit has an unknown outcome, or whose guards moved on. */
const TRIES = 20
/** Waits between repeats that are not answered: about 14 s in all, enough for a database to be started again. */
const AGAIN_MS = { first: 10, longest: 1_000 } as const

export class Entrance {
  readonly #o: EntryOptions
  constructor(options: EntryOptions) {
    this.#o = options
  }

  /** @throws StewardError STEWARD_KEY_REUSED, STEWARD_SUPERSEDES_REFUSED, STEWARD_STORE_*. */
  async enter(given: Call, registered: Registered, mode: Mode): Promise<Entered> {
    const call = this.#sealed(given)
    const uncertain: Uncertain[] = []
    try {
      return await this.#enter(call, registered, mode, uncertain)
    } catch (error) {
      // The caller is told that nobody knows. If it was stored after all, nobody may wait for us to send it.
      for (const { lease, begun } of uncertain) if (lease) this.#o.worker.insertUncertain(call.id, registered, lease, begun?.decision.call.open.at(-1)?.deadlineAt ?? null)
      throw error
    }
  }

  /**
   * Into the caller's own transaction. Neither leased nor begun, since it may never exist: a worker finds it after the commit.
   *
   * @throws StewardError STEWARD_TRANSACTION_REFUSED, STEWARD_KEY_REUSED, STEWARD_STORE_*.
   */
  async enterWithin(given: Call, registered: Registered, tx: CallerTx): Promise<Entered> {
    const { store } = this.#o
    const call = this.#sealed(given)
    const refuse = (why: string): StewardError => new StewardError('STEWARD_TRANSACTION_REFUSED', `${call.operation} "${call.key}" cannot be submitted inside this transaction: ${why}`, { operation: call.operation, key: call.key })
    if (store.insertWithin === undefined) throw refuse(`${store.name} takes no part in transactions of others. Nothing was stored. Leave tx out, or use the store of steward/postgres or steward/sqlite.`)
    if (call.supersedes !== null) throw refuse(`it takes the purpose of "${call.supersedes}", whose row would stay locked until your commit and hold workers up. Nothing was stored. Submit it without tx, after your commit.`)
    let early: readonly EarlyFact[] = []
    for (let tries = 1; tries <= TRIES; tries++) {
      const alerts: Alert[] = []
      const known = this.#withFacts(call, early, registered, alerts)
      const result = await store.insertWithin(tx, this.#write(known, null, null, early, null, registered, alerts))
      if (result.ok) return { status: 'created', call: known }
      if (result.why === 'joined') return this.#joined(call, result.call, registered, [], null)
      if (result.why === 'pruned') return this.#joinedPruned(call, result)
      invariant(result.why === 'facts', `an insert inside the caller's transaction was refused for its ${result.why}`)
      early = result.facts
    }
    throw refuse(`facts about it kept coming, ${TRIES} times. Nothing was stored. Roll back, and submit it again.`)
  }

  /** As a statement that somebody else runs. Facts that wait for the key are judged by `enterWithin` alone. */
  async plain(given: Call, registered: Registered): Promise<{ readonly text: string; readonly values: readonly (string | number | null)[]; readonly read: (row: Readonly<Record<string, unknown>> | undefined) => Entered }> {
    const { store } = this.#o
    const call = this.#sealed(given)
    const refuse = (why: string, text: string): StewardError => new StewardError('STEWARD_TRANSACTION_REFUSED', `${call.operation} "${call.key}" cannot be submitted by a plain statement: ${text}`, { operation: call.operation, key: call.key, why })
    if (store.insertStatement === undefined) throw refuse('no_statement', `${store.name} has none. Nothing was stored. Use submit, or the store of steward/postgres.`)
    if (call.supersedes !== null) throw refuse('supersedes', `it takes the purpose of "${call.supersedes}", whose row would stay locked until the caller's commit. Nothing was stored. Submit it, after that commit.`)
    const { text, values, read } = await store.insertStatement(this.#write(call, null, null, [], null, registered, []))
    return {
      text, values,
      read: (row) => {
        const result = read(row)
        if (result.ok) return { status: 'created', call }
        if (result.why === 'joined') return this.#joined(call, result.call, registered, [], null)
        if (result.why === 'pruned') return this.#joinedPruned(call, result)
        throw refuse('facts', 'evidence came before it, which decides whether it is sent at all. Nothing was stored. Submit it with { tx: fromQuery(…) } instead, which judges that evidence.')
      },
    }
  }

  #sealed(call: Call): Call {
    return this.#o.sealsWith === null ? call : { ...call, encryptionKeyId: this.#o.sealsWith }
  }

  async #enter(call: Call, registered: Registered, mode: Mode, uncertain: Uncertain[]): Promise<Entered> {
    let early: readonly EarlyFact[] = []
    for (let tries = 1; ; tries++) {
      let tried: Tried
      try {
        tried = await this.#try(call, early, registered, mode, uncertain)
      } catch (error) {
        await this.#again(call, error, tries, uncertain)
        continue
      }
      const { result, trying: { write, lease, begun, refusal, alerts } } = tried
      if (result.ok) {
        if (alerts.length > 0) this.#o.onAlerts()
        return this.#created(write, registered, begun, lease)
      }
      if (begun) this.#o.worker.unreserve(registered)
      if (result.why === 'joined') return this.#joined(call, result.call, registered, uncertain, refusal)
      if (result.why === 'pruned') return this.#joinedPruned(call, result)
      if (result.why === 'facts') early = result.facts
      else if (result.why === 'superseded-changed' && refusal) throw refusal
      else if (result.why === 'lease' && lease) this.#o.keeper.lost(lease)
      else if (result.why === 'controls') await this.#o.controls.refresh()
      else if (result.why === 'held' && tries < TRIES) await this.#pause(tries)
      if (tries >= TRIES) throw new StewardError('STEWARD_STORE_UNAVAILABLE', `${call.operation} "${call.key}" could not be stored: ${result.why === 'held' ? 'a transaction that is open elsewhere has had its key for too long' : `its guards changed ${TRIES} times (last: ${result.why})`}. Nothing was stored or sent. Submit it again.`)
    }
  }

  async #try(call: Call, early: readonly EarlyFact[], registered: Registered, mode: Mode, uncertain: Uncertain[]): Promise<Tried> {
    // No await where none is needed: of a burst of submits the first is then on its way to the store while the next are still checked.
    const superseding = call.supersedes === null ? NOTHING_REPLACED : await this.#superseded(call, registered.policy.timeoutMs)
    const ours = this.#o.keeper.current ?? (mode === 'begin' ? await this.#o.keeper.ensure() : null)
    const trying = this.#trying(call, early, registered, mode, superseding, ours, uncertain.length > 0)
    const { write, begun, claims } = trying
    try {
      return { trying, result: await this.#o.recorder.insert(write) }
    } catch (error) {
      if (begun) this.#o.worker.unreserve(registered)
      // Every worker is fenced then, this one included: what it may have begun is not sent.
      if (ours && error instanceof StewardError && error.code === 'STEWARD_STORE_SET_BACK') this.#o.keeper.lost(ours)
      if (error instanceof StewardError && error.details['outcome'] === 'unknown') uncertain.push({ lease: write.lease ?? null, begun })
      throw error
    } finally {
      if (claims) this.#o.worker.arriving(-1)
    }
  }

  /** Waits for the next try, or throws: once an insert was not answered, only an answer to a later one says what became of it. */
  async #again(call: Call, error: unknown, tries: number, uncertain: readonly Uncertain[]): Promise<void> {
    if (uncertain.length === 0) throw error
    const known = error instanceof StewardError ? error : null
    if (tries >= TRIES || !known?.code.startsWith('STEWARD_STORE_')) {
      if (known?.details['outcome'] === 'unknown') throw error
      throw new StewardError('STEWARD_STORE_UNAVAILABLE', `whether ${call.operation} "${call.key}" was stored is not known: the answer to a first insert got lost, and the store has not answered since (${error instanceof Error ? error.message : String(error)}). Submit it again with the same key; it joins what is there.`, { ...known?.details, outcome: 'unknown' }, { cause: error })
    }
    await this.#pause(tries)
  }

  #pause(tries: number): Promise<void> {
    const waitMs = Math.min(AGAIN_MS.longest, AGAIN_MS.first * 2 ** (tries - 1))
    return new Promise<void>((resolve) => void this.#o.system.after(waitMs, resolve))
  }

  #trying(call: Call, early: readonly EarlyFact[], registered: Registered, mode: Mode, { write: supersedes, refusal }: Superseding, ours: Lease | null, again: boolean): Trying {
    const alerts: Alert[] = []
    const known = this.#withFacts(call, early, registered, alerts)
    const lease = known.state === 'waiting' && refusal === null && (mode === 'begin' || this.#o.worker.mayTakeDirectly) ? ours : null
    // What may be stored already may be in our own worker's hands by now, and its attempt would pass for the one begun here.
    const begun = lease && !(again && this.#o.worker.started) ? this.#begin(known, registered, lease, mode) : null
    const write = this.#write(begun?.decision.call ?? known, begun, lease, early, supersedes, registered, alerts)
    const claims = write.lease !== undefined && begun === null
    // Counted in the same step as it was allowed: of a burst of submits, each must see those before it.
    if (claims) this.#o.worker.arriving(1)
    return { write, lease, begun, refusal, alerts, claims }
  }

  #withFacts(call: Call, early: readonly EarlyFact[], registered: Registered, alerts: Alert[]): Call {
    return early.reduce((known, { fact, result }) => {
      const decision = decide(known, { type: 'fact', fact, result }, registered.policy, this.#o.store.now(), 0)
      if (decision.refused !== null) {
        // A refutation can only speak of attempts that were begun, and none was. That it happened is never refused: the call would be sent.
        invariant(fact.kind === 'refuted', `that ${call.operation} "${call.key}" happened was refused: ${decision.refused}`)
        this.#o.log.warn('a fact that came before its call says nothing about it and is not kept', { operation: call.operation, key: call.key, kind: fact.kind, by: fact.by, why: decision.refused })
      }
      alerts.push(...decision.alerts)
      return decision.call
    }, call)
  }

  #begin(call: Call, registered: Registered, lease: Lease, mode: Mode): Begun | null {
    const { store, system, controls, worker, release } = this.#o
    const deadlineMs = system.monotonicMs() + registered.policy.timeoutMs
    const now = store.now()
    if (call.dueAt === null || call.dueAt > now || controls.holding(registered, call.group, now) || controls.presumedSent(call, registered, now)) return null
    if (mode === 'offer' && !worker.hasFreeSlot) return null
    const decision = decide(call, { type: 'begin', worker: lease.worker, version: call.version, ...(release === null ? {} : { release }) }, registered.policy, now, 0)
    if (decision.begun === null || !worker.reserve(registered)) return null
    return { decision, n: decision.begun, deadlineMs, lease }
  }

  #write(call: Call, begun: Begun | null, lease: Lease | null, early: readonly EarlyFact[], supersedes: InsertWrite['supersedes'] | null, registered: Registered, alerts: readonly Alert[]): InsertWrite {
    const claims = lease !== null && (begun !== null || this.#claimable(call, registered))
    return {
      kind: 'insert',
      call,
      factsSeen: early.length,
      ...(claims ? { lease } : {}),
      // Also where a call is replaced: of a database that was set back nobody knows what did not happen.
      ...(begun || supersedes ? { controlsRev: this.#o.controls.rev } : {}),
      ...(supersedes ? { supersedes } : {}),
      ...(alerts.length > 0 ? { alerts } : {}),
      ...(call.endedAt !== null && registered.operation.onSettled ? { settleDueAt: this.#o.store.now() } : {}),
    }
  }

  /** A submitted call that is due may be inserted as claimed by a working process, to be sent as soon as a slot is free. */
  #claimable(call: Call, registered: Registered): boolean {
    const now = this.#o.store.now()
    return this.#o.worker.mayTakeDirectly && call.state === 'waiting' && call.dueAt !== null && call.dueAt <= now && this.#o.controls.holding(registered, call.group, now) === null
  }

  #created(write: InsertWrite, registered: Registered, begun: Begun | null, lease: Lease | null): Entered {
    const { worker } = this.#o
    if (begun) worker.insertedBegun(write.call, registered, begun.lease, begun.n, begun.deadlineMs)
    else if (write.lease && lease) worker.insertedClaimed(write.call, write.lease)
    else if (write.call.dueAt !== null) worker.dueAt(write.call.dueAt)
    return { status: 'created', call: write.call }
  }

  #joined(call: Call, stored: Call, registered: Registered, uncertain: readonly Uncertain[], refusal: StewardError | null): Entered {
    if (stored.id === call.id) {
      this.#resume(stored, registered, uncertain)
      return { status: 'created', call: stored }
    }
    refuseSealed(stored)
    const differs = stored.given === call.given ? [] : differingFields(JSON.parse(stored.given) as Json, JSON.parse(call.given) as Json)
    if (differs.length > 0) throw this.#reused(call, stored.id, stored.given, differs)
    // A resubmission of what took the purpose already asks nothing new, whatever became of the old call.
    if (refusal !== null && stored.supersedes !== call.supersedes) throw refusal
    return { status: 'joined', call: stored }
  }

  /** An insert of ours had been stored although its answer got lost: goes on as if it had been heard. */
  #resume(stored: Call, registered: Registered, uncertain: readonly Uncertain[]): void {
    const { worker, keeper } = this.#o
    if (worker.has(stored.id)) return
    if (stored.state === 'waiting' && stored.dueAt !== null) worker.dueAt(stored.dueAt)
    for (const { lease, begun } of uncertain) {
      // Where the lease is gone, whoever found that out lapses it or has taken it.
      if (lease === null || keeper.current !== lease) continue
      if (begun === null) {
        if (stored.state === 'waiting') return worker.insertedClaimed(stored, lease)
        continue
      }
      const mine = stored.open.find((attempt) => attempt.n === begun.n && attempt.closedAt === null && attempt.worker === lease.worker)
      if (stored.state !== 'running' || !mine || mine.deadlineAt !== begun.decision.call.open.at(-1)?.deadlineAt) continue
      if (worker.reserve(registered)) return worker.insertedBegun(stored, registered, lease, begun.n, begun.deadlineMs)
      return worker.takeOver(stored, registered, lease, begun.n)
    }
  }

  #joinedPruned(call: Call, pruned: { readonly id: string; readonly state: Call['state']; readonly digests: Readonly<Record<string, string>> }): Entered {
    const given = fieldDigests(JSON.parse(call.given) as Json, digestSalt(call), (text) => this.#o.system.digest(text))
    const differs = differingDigests(pruned.digests, given)
    if (differs.length > 0) throw this.#reused(call, pruned.id, null, differs)
    const happened = pruned.state === 'succeeded'
    return {
      status: 'joined',
      call: { ...call, id: pruned.id, state: pruned.state, effect: happened ? 'happened' : 'did_not_happen', resultMissing: happened ? 'the record was pruned' : null, reason: 'the record was pruned; its end is kept', story: [], dueAt: null, endedAt: call.createdAt },
    }
  }

  #reused(call: Call, id: string, storedGiven: string | null, fields: readonly string[]): StewardError {
    const names = fields.join(', ')
    return new StewardError(
      'STEWARD_KEY_REUSED',
      `key "${call.key}" of ${call.operation} already belongs to call ${id} with a different input (differs in: ${names}). Nothing was stored or sent. Use a new key for a new effect, or submit the original input to get its outcome.`,
      { operation: call.operation, key: call.key, callId: id, fields, compared: storedGiven === null ? 'digests' : 'input' },
    )
  }

  /**
   * The call to be replaced, judged and marked in the transaction of the insert. Where it may not be replaced, the
   * insert goes out under a guard that never holds: it joins the call of this key if there is one, and stores nothing else.
   */
  async #superseded(call: Call, timeoutMs: number): Promise<Superseding> {
    const refuse = (why: string): StewardError => new StewardError('STEWARD_SUPERSEDES_REFUSED', `${call.operation} "${call.key}" cannot take the purpose of "${call.supersedes}": ${why}. Nothing was stored or sent. A new key is safe only once the old call certainly did not happen.`, { operation: call.operation, key: call.key, supersedes: call.supersedes })
    if (call.supersedes === call.key) throw refuse('it is the same key')
    const never = (why: string): Superseding => ({ write: { call: { ...call, id: `none ${call.id}` }, expectRev: -1 }, refusal: refuse(why) })
    const old = await this.#o.store.find(call.operation, call.supersedes as string)
    if (!old) return never('there is no such call')
    if (old.supersededBy === call.key) return { write: null, refusal: null }
    const { setBack, restored } = this.#o.controls
    if (setBack !== null) return never(`the database was set back (${setBack.why}), and whether it happened since is not on record until somebody has said what was lost`)
    if (!admitsSuccessor(old)) return never(old.supersededBy !== null ? `"${old.supersededBy}" already does` : `it is ${old.state} (effect: ${old.effect})`)
    if (restored !== null && mayHaveMovedSince(old, restored, timeoutMs)) return never(`it ended ${old.state} before the database lost commits (since ${new Date(restored.lostSinceAt).toISOString()}), and may have been sent again or replaced in that time. Look at the provider; when it did not happen, say so: refute it with an instant after ${new Date(restored.noticedAt + timeoutMs).toISOString()}`)
    const decision = decide(old, { type: 'superseded', byKey: call.key }, SUPERSEDED_POLICY, this.#o.store.now(), 0)
    return { write: { call: decision.call, expectRev: old.rev }, refusal: null }
  }
}

/** Superseding asks nothing of a policy: only ended calls are superseded. */
const SUPERSEDED_POLICY = { answer: 'none', retentionMs: 0, marginMs: 0, hasLookup: false, settleMs: 0, absences: 1, lookupEveryMs: 1, lookupForMs: 1, timeoutMs: 1, giveUpAfterMs: 1, maxAttempts: null, backoffBaseMs: 1, backoffCapMs: 1, pollEveryMs: null, acceptedOverdueMs: 1 } as const
