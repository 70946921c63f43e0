/**
 * What the auditor looks at: the providers' own books, what callers were promised, and what the public API says. It is
 * plain data, so that a test can doctor it, and so that no check can ask the engine for its opinion.
 */
import type { AlertView, CallView, Operation } from 'steward'
import { type AnswerKind, providerFacingKey, realSystem, register } from 'steward/internal'
import type { Intent, LedgerEffect, LedgerRequest, ProviderFacts, ProviderView, Told, ToldAlert, World } from '../contract.ts'

/** What an operation's definition promises; durations in milliseconds. */
export type OperationFacts = {
  readonly name: string
  readonly answer: AnswerKind
  readonly provider: string
  readonly settleMs: number
  readonly hasLookup: boolean
}

/** Text that leaves Steward: a log, an alert, an exported story, the rows of the store. */
export type Sink = { readonly name: string; readonly text: string }

export type Evidence = {
  readonly now: number
  readonly operations: ReadonlyMap<string, OperationFacts>
  readonly providers: ReadonlyMap<string, ProviderView>
  readonly intents: readonly Intent[]
  readonly calls: readonly CallView[]
  /** Alerts on record. */
  readonly alerts: readonly AlertView[]
  readonly alertsTold: readonly ToldAlert[]
  /** What `onSettled` told the application; `null` where nothing listens. */
  readonly told: readonly Told[] | null
  readonly namespace: string
  /** False where the clock that the record is written by was set during the run: its instants then say nothing about the ledger's. */
  readonly clockIsTrue: boolean
  /** Where secrets must not be, beside calls and alerts. */
  readonly sinks: readonly Sink[]
  /** Canaries: texts that were planted as secrets. */
  readonly secrets: readonly string[]
}

/** All that is known of one intent, from all sides. */
export type Case = {
  readonly operation: OperationFacts
  readonly key: string
  readonly intent: Intent | null
  readonly call: CallView | null
  readonly provider: ProviderFacts | null
  /** In the order in which they happened. */
  readonly effects: readonly LedgerEffect[]
  /** In the order of arrival, questions left out. */
  readonly requests: readonly LedgerRequest[]
}

export function operationFacts(operation: Operation): OperationFacts {
  const { policy, provider } = register(operation)
  return { name: operation.name, answer: policy.answer, provider, settleMs: policy.settleMs, hasLookup: policy.hasLookup }
}

const PAGE = 1_000

export type GatherOptions = {
  /** Default `default`. */
  readonly namespace?: string
  readonly sinks?: readonly Sink[]
  readonly secrets?: readonly string[]
  /** False where the operations have no `onSettled` that the world listens to. Default true. */
  readonly settles?: boolean
}

/** Reads a world through its observer and its ledgers. */
export async function gather(world: World, options: GatherOptions = {}): Promise<Evidence> {
  const calls: CallView[] = []
  for (let afterId: string | undefined; ;) {
    const page = await world.observer.list({ limit: PAGE, ...(afterId === undefined ? {} : { afterId }) })
    calls.push(...page)
    if (page.length < PAGE) break
    afterId = page.at(-1)?.id
  }
  return {
    now: world.now,
    operations: new Map(world.operations.map((operation) => [operation.name, operationFacts(operation)])),
    providers: world.providers,
    intents: world.intents,
    calls,
    alerts: await world.observer.alerts({ limit: 100_000 }),
    alertsTold: world.alerts,
    told: options.settles === false ? null : world.told,
    namespace: options.namespace ?? 'default',
    // On SQLite the record's clock is that of the processes.
    clockIsTrue: !world.faults.some(({ point }) => point === 'clock.db' || (point === 'clock.worker' && world.store === 'sqlite')),
    sinks: options.sinks ?? [],
    secrets: options.secrets ?? [],
  }
}

/** Sorts the evidence by intent: what a ledger shows belongs to an intent by its business key, else by the key that was derived for it. */
export function casesOf(evidence: Evidence): readonly Case[] {
  const found = new Map<string, { -readonly [K in keyof Case]: Case[K] } & { effects: LedgerEffect[]; requests: LedgerRequest[] }>()
  const byProviderKey = new Map<string, string>()
  const caseOf = (name: string, key: string) => {
    const operation = evidence.operations.get(name)
    if (operation === undefined) return null
    const id = JSON.stringify([name, key])
    const provider = evidence.providers.get(operation.provider)?.facts ?? null
    const known = found.get(id) ?? { operation, key, intent: null, call: null, provider, effects: [], requests: [] }
    found.set(id, known)
    return known
  }
  for (const intent of evidence.intents) {
    const one = caseOf(intent.operation, intent.key)
    if (one && (one.intent === null || one.intent.acknowledgedAt === null)) one.intent = intent
  }
  for (const call of evidence.calls) {
    const one = caseOf(call.operation, call.key)
    if (one) one.call = call
    for (const derived of derivedKeys(evidence, call)) byProviderKey.set(derived, call.key)
  }
  const keyOf = (entry: LedgerEffect | LedgerRequest): string | null => entry.businessKey ?? (entry.providerKey === null ? null : (byProviderKey.get(entry.providerKey) ?? null))
  for (const { ledger } of evidence.providers.values()) {
    for (const effect of ledger.effects) caseOf(effect.operation, keyOf(effect) ?? `(unknown) ${effect.reference}`)?.effects.push(effect)
    for (const request of ledger.requests) {
      const key = request.isLookup ? null : keyOf(request)
      if (key !== null) caseOf(request.operation, key)?.requests.push(request)
    }
  }
  for (const one of found.values()) {
    one.effects.sort((a, b) => a.at - b.at)
    one.requests.sort((a, b) => a.arrivedAt - b.arrivedAt)
  }
  return [...found.values()]
}

/** The keys under which a call may have been sent: one for each of its generations. */
export function derivedKeys(evidence: Pick<Evidence, 'namespace'>, call: Pick<CallView, 'operation' | 'key' | 'generation'>): readonly string[] {
  return Array.from({ length: call.generation }, (_, index) => providerFacingKey(evidence.namespace, call.operation, call.key, index + 1, (text) => realSystem.digest(text)))
}
