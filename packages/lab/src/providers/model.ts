/**
 * One provider, as a state machine under virtual time, with books of its own.
 *
 * A request arrives, is looked at (`arrive`), works for a while, and is finished (`finish`). Effects enter the ledger
 * when the work is done; the key is locked in between. Nothing here knows of Steward: the auditor trusts these books.
 */
import { createHash } from 'node:crypto'
import type { ClientAnswer, ClientRequest, Json, Ledger, LedgerEffect, LedgerRequest, ProviderFacts, ProviderView } from '../contract.ts'
import type { ArriveAct, WorkAct } from '../faults/steps.ts'
import { between, type Random } from '../sim/random.ts'
import type { ProviderContract } from './contract.ts'

type Effect = { -readonly [K in keyof LedgerEffect]: LedgerEffect[K] } & { readonly visibleAt: number }
type Request = { -readonly [K in keyof LedgerRequest]: LedgerRequest[K] }

/** What is kept under a key. */
type Kept = { readonly since: number; readonly fingerprint: string; running: boolean; answer: ClientAnswer | null; effect: Effect | null }

/** Something the provider does by itself, later: pays out, and says so. */
export type Later = { readonly afterMs: number; happen(now: number): LaterNews }
export type LaterNews = { readonly operation: string; readonly businessKey: string; readonly reference: string; readonly says: 'applied' | 'refuted' }

export type Arrival = {
  /** The request's line in the ledger; whoever carries the answer says what became of it. */
  readonly request: { answered: LedgerRequest['answered'] }
  readonly afterMs: number
  /** Given before the work is done, by a gateway that gave up. */
  readonly early: ClientAnswer | null
  finish(now: number): { readonly answer: ClientAnswer; readonly later: Later | null }
}

export class ProviderModel implements ProviderView {
  readonly contract: ProviderContract
  readonly #random: Random
  readonly #effects: Effect[] = []
  readonly #requests: Request[] = []
  readonly #byBusinessKey = new Map<string, Effect[]>()
  readonly #keys = new Map<string, Kept>()
  /** Intents whose work was taken, and until when the list says that it is pending: until it shows the effect. */
  readonly #pending = new Map<string, number>()

  constructor(contract: ProviderContract, random: Random) {
    this.contract = contract
    this.#random = random
  }

  get facts(): ProviderFacts {
    const { name, keys, lookup } = this.contract
    return { name, keyRetentionMs: keys?.retentionMs ?? null, lookupLagMs: lookup?.lagMs ?? null }
  }

  get ledger(): Ledger {
    return { provider: this.contract.name, effects: this.#effects, requests: this.#requests }
  }

  /** Effects of one intent that stand. */
  effectsOf(businessKey: string): readonly LedgerEffect[] {
    return (this.#byBusinessKey.get(businessKey) ?? []).filter((effect) => effect.undoneAt === null)
  }

  /** Effects beyond the first, over all intents. */
  doubled(surplus: (effects: readonly LedgerEffect[]) => readonly LedgerEffect[]): number {
    let count = 0
    for (const effects of this.#byBusinessKey.values()) count += surplus(effects).length
    return count
  }

  /** Forgets every key: a failover without its memory. */
  forgetKeys(): void {
    this.#keys.clear()
  }

  arrive(given: ClientRequest, now: number, act: ArriveAct | null, work: WorkAct | null): Arrival {
    const request = this.#book(given, now)
    if (act?.do === 'answer') return this.#at(request, 0, () => this.#told(request, act.answer, now))
    if (request.isLookup) return this.#at(request, between(this.#random, 5, 60), (at) => this.#looked(given, at))
    const key = request.providerKey
    const kept = key === null ? null : this.#known(key, now, act?.do === 'forget_key')
    if (kept !== null) {
      const again = this.#again(request, kept)
      if (again !== null) return this.#at(request, between(this.#random, 5, 60), () => again)
    }
    return this.#work(given, request, this.#lock(key, request.fingerprint, now, kept), work)
  }

  #book(given: ClientRequest, now: number): Request {
    const { keys, isNatural } = this.contract
    const request: Request = {
      arrivedAt: now, method: given.method, path: given.path, operation: textOf(given.body, 'operation') ?? '', businessKey: textOf(given.body, 'orderId'),
      providerKey: keys === null || isNatural === true ? null : (given.headers[keys.header] ?? null), fingerprint: fingerprintOf(given.body),
      isLookup: given.method === 'GET', answered: 'none', isReplay: false, reference: null, toldToWaitUntil: null,
    }
    this.#requests.push(request)
    return request
  }

  #at(request: Request, afterMs: number, answer: (now: number) => ClientAnswer): Arrival {
    return { request, afterMs, early: null, finish: (now) => ({ answer: answer(now), later: null }) }
  }

  #told(request: Request, answer: ClientAnswer, now: number): ClientAnswer {
    const seconds = answer.headers['retry-after']
    if (seconds !== undefined) request.toldToWaitUntil = now + Number(seconds) * 1_000
    return answer
  }

  #known(key: string, now: number, forget: boolean): Kept | null {
    const kept = this.#keys.get(key)
    if (kept === undefined) return null
    if (!forget && now < kept.since + (this.contract.keys?.retentionMs ?? 0)) return kept
    this.#keys.delete(key)
    return null
  }

  /** What a known key is told; `null` when the work is to be done (again). */
  #again(request: Request, kept: Kept): ClientAnswer | null {
    const keys = this.contract.keys
    if (keys === null) return null
    if (kept.fingerprint !== request.fingerprint && keys.otherPayload !== null) return keys.otherPayload
    if (kept.running) return keys.whileRunning
    if (kept.answer === null) return null
    request.isReplay = true
    request.reference = kept.effect?.reference ?? null
    return { ...kept.answer, headers: { ...kept.answer.headers, ...keys.replayed } }
  }

  #lock(key: string | null, fingerprint: string, now: number, kept: Kept | null): Kept {
    const locked = kept ?? { since: now, fingerprint, running: true, answer: null, effect: null }
    locked.running = true
    if (key !== null) this.#keys.set(key, locked)
    return locked
  }

  #work(given: ClientRequest, request: Request, kept: Kept, act: WorkAct | null): Arrival {
    const { from, to } = this.contract.workMs
    const workMs = between(this.#random, from, to) + (act?.do === 'slow' ? act.ms : 0)
    return {
      request,
      afterMs: workMs,
      early: act?.do === 'gateway' ? { status: act.status, headers: {}, body: {} } : null,
      finish: (now) => {
        kept.running = false
        const { answer, later } = this.#outcome(given, request, kept, act, now)
        this.#keep(kept, answer)
        const headers = request.providerKey === null ? {} : (this.contract.keys?.keyed?.(request.providerKey) ?? {})
        return { answer: { ...answer, headers: { ...answer.headers, ...headers } }, later }
      },
    }
  }

  #outcome(given: ClientRequest, request: Request, kept: Kept, act: WorkAct | null, now: number): { answer: ClientAnswer; later: Later | null } {
    const { contract } = this
    if (act?.do === 'decline' && kept.effect === null) return { answer: contract.decline(), later: null }
    if (act?.do === 'error' && !act.effect) return { answer: contract.error(act.status, false), later: null }
    if (contract.later) return this.#promise(given, request, kept, act)
    const effect = this.#effect(given, request, kept, now)
    request.reference = effect.reference
    return { answer: act?.do === 'error' ? contract.error(act.status, true) : contract.success(effect), later: null }
  }

  /** An error that leaves no trace behind is not kept by those who mark it as passing. */
  #keep(kept: Kept, answer: ClientAnswer): void {
    const keeps = this.contract.keys?.keeps
    const isTransient = answer.headers['transient-error'] === 'true'
    if (keeps === 'answers' && !isTransient) kept.answer = answer
    if (keeps !== 'answers' && answer.status < 300) kept.answer = answer
  }

  #effect(given: ClientRequest, request: Request, kept: Kept, now: number): Effect {
    const before = this.contract.isNatural === true ? this.#byBusinessKey.get(request.businessKey ?? '')?.[0] : this.contract.keys?.keeps === 'effects' ? kept.effect : null
    if (before) return before
    const lagMs = this.contract.lookup?.lagMs ?? 0
    const amount = memberOf(given.body, 'amount')
    const effect: Effect = {
      at: now, operation: request.operation, businessKey: request.businessKey, providerKey: request.providerKey, reference: `${this.contract.name}_${this.#effects.length + 1}`,
      fingerprint: request.fingerprint, amount: typeof amount === 'number' ? amount : null, undoneAt: null, visibleAt: now + between(this.#random, 0, lagMs),
    }
    kept.effect = effect
    this.#effects.push(effect)
    const known = this.#byBusinessKey.get(effect.businessKey ?? '')
    if (known) known.push(effect)
    else this.#byBusinessKey.set(effect.businessKey ?? '', [effect])
    return effect
  }

  /** Takes the request now, does it later. */
  #promise(given: ClientRequest, request: Request, kept: Kept, act: WorkAct | null): { answer: ClientAnswer; later: Later | null } {
    const reference = `${this.contract.name}_p${this.#requests.length}`
    this.#pending.set(request.businessKey ?? '', Number.POSITIVE_INFINITY)
    const fails = this.#random() < 0.1
    const { fromMs, toMs } = this.contract.later ?? { fromMs: 0, toMs: 0 }
    const later: Later = {
      afterMs: between(this.#random, fromMs, toMs),
      happen: (now) => {
        const effect = fails ? null : this.#effect(given, request, kept, now)
        this.#pending.set(request.businessKey ?? '', effect?.visibleAt ?? now)
        if (effect !== null) request.reference = effect.reference
        return { operation: request.operation, businessKey: request.businessKey ?? '', reference: request.reference ?? reference, says: fails ? 'refuted' : 'applied' }
      },
    }
    return { answer: act?.do === 'error' ? this.contract.error(act.status, true) : { status: 202, headers: {}, body: { id: reference, status: 'pending' } }, later }
  }

  /** `GET …?orderId=…`: what is there for this intent, as far as it shows already; without an intent, all there is. */
  #looked(given: ClientRequest, now: number): ClientAnswer {
    const businessKey = new URL(given.path, 'http://provider').searchParams.get('orderId')
    const data = (businessKey === null ? this.#effects : (this.#byBusinessKey.get(businessKey) ?? [])).filter((effect) => effect.visibleAt <= now && effect.undoneAt === null)
    return { status: 200, headers: {}, body: { data: data.map(({ reference, amount, providerKey, businessKey: orderId }) => ({ id: reference, amount, key: providerKey, orderId })), pending: businessKey !== null && (this.#pending.get(businessKey) ?? now) > now } }
  }
}

function fingerprintOf(body: Json): string {
  return createHash('sha256').update(JSON.stringify(body)).digest('hex').slice(0, 16)
}

function textOf(body: Json, name: string): string | null {
  const value = memberOf(body, name)
  return typeof value === 'string' ? value : null
}

function memberOf(body: Json, name: string): unknown {
  return typeof body === 'object' && body !== null ? (body as Readonly<Record<string, unknown>>)[name] : undefined
}
