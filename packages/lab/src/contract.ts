/**
 * What the two halves of the lab agree on: the world (simulator, faults, provider models, workload) on one side, those
 * who ask it (auditor, scenarios, premortem, report) on the other. Types, and the names of the injection points.
 *
 * All instants are milliseconds since the epoch of the world's true clock. A process's own clock may be wrong.
 */
export type { Json } from 'steward'
import type { Alert, ByWhom, Effect, Json, Log, Operation, ScopeName, State, StewardApi, SubmitOptions, System } from 'steward'

/** Who carries the calls: Steward, the in-memory retry loop (N0), or a durable queue with a stable key (N1). */
export type Strategy = 'steward' | 'naive-loop' | 'competent-queue'

/** Where faults enter; the same names as in the catalogue of failure modes. */
export const INJECTION_POINTS = [
  'caller.submit', 'db', 'db.tx', 'db.query', 'db.commit', 'pool', 'disk', 'queue.claim', 'worker.cpu', 'worker.process', 'worker.before_record',
  'clock.worker', 'clock.db', 'net.dns', 'net.connect', 'net.tls', 'net.send', 'provider.gate', 'provider.keys', 'provider.before_effect',
  'provider.effect', 'provider.after_effect', 'provider.webhook', 'deploy', 'operator',
] as const
export type InjectionPoint = (typeof INJECTION_POINTS)[number]

/** One thing that goes wrong. `kind` names it (`net.reset-after-effect`); `where` is a process, a provider or an operation. */
export type Fault = {
  readonly kind: string
  readonly point: InjectionPoint
  readonly where: string | null
  /** How long it lasts, in milliseconds of virtual time; `null`: once. */
  readonly forMs: number | null
  readonly parameters: Readonly<Record<string, Json>>
}

/** A fault that took place. `at` is the instant it was set; `hits` counts the steps that it struck. */
export type InjectedFault = Fault & { readonly at: number; readonly untilAt: number | null; readonly hits: number }

/** What one provider did, as its own books show it: never taken from Steward's record. */
export type Ledger = {
  readonly provider: string
  readonly effects: readonly LedgerEffect[]
  readonly requests: readonly LedgerRequest[]
}

export type LedgerEffect = {
  readonly at: number
  /** Kind of the effect: the name of the operation that the request served. */
  readonly operation: string
  /** The intent as the provider sees it (order id in the payload); `null` where the payload has none. */
  readonly businessKey: string | null
  /** The idempotency key that was sent; `null` where none was. */
  readonly providerKey: string | null
  /** The provider's own id of the effect. */
  readonly reference: string
  /** SHA-256 of the payload. */
  readonly fingerprint: string
  /** Minor units; `null` where the payload has none. */
  readonly amount: number | null
  /** Voided, refunded or failed later, by the provider's word. */
  readonly undoneAt: number | null
}

export type LedgerRequest = {
  readonly arrivedAt: number
  readonly method: string
  readonly path: string
  readonly operation: string
  readonly businessKey: string | null
  readonly providerKey: string | null
  readonly fingerprint: string
  /** True for what asks only: it can have no effect. */
  readonly isLookup: boolean
  /** Status of the answer; `lost`: answered, but it reached nobody; `none`: never answered (yet). */
  readonly answered: number | 'lost' | 'none'
  /** The answer was a stored one, given again. */
  readonly isReplay: boolean
  /** The effect that this request had; `null` for none. */
  readonly reference: string | null
  /** The answer said not to come back before then. */
  readonly toldToWaitUntil: number | null
}

/** What a provider promises; the auditor judges resends by it. */
export type ProviderFacts = {
  readonly name: string
  /** How long a key is surely remembered; `null`: it knows no keys. */
  readonly keyRetentionMs: number | null
  /** How long after an effect a lookup may still miss it; `null`: it cannot be asked. */
  readonly lookupLagMs: number | null
}

/** A provider model, as others see it. */
export interface ProviderView {
  readonly facts: ProviderFacts
  readonly ledger: Ledger
}

/** A call that a caller asked for. */
export type Intent = {
  readonly operation: string
  readonly key: string
  readonly input: Json
  readonly provider: string
  /** The process it was submitted in. */
  readonly process: string
  readonly askedAt: number
  /** When `submit` resolved; `null` while it has not, or when it was refused. Only acknowledged intents may not be lost. */
  readonly acknowledgedAt: number | null
  /** The message the caller was refused with. */
  readonly refused: string | null
  readonly group: string | null
  /** The key whose purpose it takes. */
  readonly supersedes?: string | null
}

/** What the strategy itself believes about an intent: the end that its users act on. */
export type Belief = {
  readonly effect: Effect
  /** Nothing further happens by itself, and nobody is needed. */
  readonly ended: boolean
  /** The state's name; of the baselines their nearest equivalent. */
  readonly state: State
  readonly result: Json
  readonly attempts: number
}

/** An alert as somebody was told it; the same id may be told more than once. */
export type ToldAlert = { readonly at: number; readonly process: string; readonly alert: Alert }

/** The outcome that `onSettled` told the application. */
export type Told = { readonly at: number; readonly process: string; readonly operation: string; readonly key: string; readonly state: State; readonly effect: Effect }

/** A request of modelled code: it goes over the simulated network to the provider model named `provider`. */
export type ClientRequest = {
  readonly provider: string
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Json
  readonly signal?: AbortSignal
  /** Sent by a client that the wire witness cannot see: own sockets, gRPC, native code. */
  readonly isUnseen?: boolean
}
export type ClientAnswer = { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: Json }

/** How modelled code of one process reaches providers. Rejects with the errors that real clients throw; never on a status. */
export interface Client {
  request(request: ClientRequest): Promise<ClientAnswer>
  /** A connection for a real client's socket. Rejects with what breaks before the first byte. */
  connect(provider: string, isLookup: boolean): Promise<Connection>
}

/** Carries what a real client has sent. Unlike `Client.request` it is not shown to the wire witness, which sees the real request. */
export interface Connection {
  carry(request: ClientRequest): Promise<ClientAnswer>
}

/** A modelled operation, made once per process around its client. */
export type OperationSource = (client: Client) => Operation

/** What one process has, whoever carries its calls. A killed process's timers never fire, and its client never answers. */
export type ProcessParts = {
  readonly name: string
  readonly system: System
  readonly log: Log
  readonly client: Client
  readonly operations: readonly Operation[]
  /** Survives the process, as a database does: each write is kept at once. For the competent queue. */
  readonly disk: Map<string, Json>
  /** Tells somebody. */
  alert(alert: Alert): void
}

/** What carries the calls of one process in the place of Steward: how the baselines enter the world. */
export interface Carrier {
  submit(operation: string, options: SubmitOptions<Json>): Promise<void>
  belief(operation: string, key: string): Promise<Belief | null>
  /** SIGTERM: what can be finished within the time is finished. */
  close(graceMs: number): Promise<void>
}
export type CarrierMaker = (parts: ProcessParts) => Carrier

export type WorldOptions = {
  readonly seed: number
  readonly store?: 'memory' | 'sqlite'
  /** Default: Steward. */
  readonly carrier?: { readonly strategy: Strategy; readonly make: CarrierMaker }
  /** Default: the operations of the standard workload, one per provider contract. */
  readonly operations?: readonly OperationSource[]
  /** Keep the trace's lines, not only their hash. */
  readonly keepTrace?: boolean
  /** Workers alive at the start: `a`, `b`, …. Default 2. */
  readonly workers?: number
}

export type SpawnOptions = {
  /** Operations it knows. Default: those of the world. */
  readonly operations?: readonly OperationSource[]
  readonly release?: string
  /** Works calls. Default true; false: only submits and asks. */
  readonly works?: boolean
}

/** What a webhook says. It is `repeat`ed, and comes `afterMs`. */
export type Webhook = {
  readonly operation: string
  readonly key: string
  readonly says: 'applied' | 'refuted'
  readonly reference?: string
  /** The instant the event speaks of. Default: now. */
  readonly eventAt?: number
  readonly afterMs?: number
  readonly repeat?: number
}

/**
 * A world under virtual time. Time stands still between its methods: each that returns a promise moves time only as
 * far as it must. Ask processes through `ask(() => world.process('a').find(…))`, since their answers take virtual time;
 * `observer` answers at once, is struck by no fault and changes nothing by being there.
 */
export interface World {
  readonly seed: number
  readonly strategy: Strategy
  readonly store: 'memory' | 'sqlite'
  readonly now: number
  /** Uniform in [0, 1), from the seed. */
  random(): number

  readonly operations: readonly Operation[]
  readonly providers: ReadonlyMap<string, ProviderView>
  readonly intents: readonly Intent[]
  readonly alerts: readonly ToldAlert[]
  readonly told: readonly Told[]
  readonly faults: readonly InjectedFault[]
  readonly trace: readonly string[]
  /** SHA-256 over all trace lines so far. */
  readonly traceHash: string

  /** The public API without faults, delays or work of its own; throws under a baseline, use `belief`. */
  readonly observer: StewardApi
  /** The public API of one process; throws when it is not alive. */
  process(name: string): StewardApi
  readonly processes: readonly string[]
  /** What the strategy's own record says; `null`: it knows no such intent. */
  belief(operation: string, key: string): Promise<Belief | null>

  spawn(name: string, options?: SpawnOptions): Promise<void>
  /** As SIGKILL: no timer fires, no promise answers, nothing leaves any more. */
  kill(name: string): void
  /** As SIGSTOP: timers and answers wait; what the kernel was handed still leaves. */
  freeze(name: string): void
  /** As SIGCONT: all that waited happens now, by the clock of now. */
  thaw(name: string): void
  /** Closes in good order (SIGTERM, then after `graceMs` SIGKILL) and starts with the new options. */
  deploy(name: string, options: SpawnOptions & { readonly graceMs?: number }): Promise<void>

  /** A caller submits through a process (default: the first alive one). Never rejects: a refusal is in `intents`. */
  submit(operation: string, options: SubmitOptions<Json>, process?: string): Promise<Intent>
  inject(fault: Fault): void
  /** Ends all faults that last. */
  heal(): void
  webhook(webhook: Webhook): void
  /** An operator's action through any alive process; resolves with the refusal's message, or `null`. */
  operate(action: OperatorAction): Promise<string | null>

  advance(ms: number): Promise<void>
  /** Moves time until the claim holds; resolves with false after `limitMs`. */
  until(claim: () => boolean | Promise<boolean>, limitMs: number): Promise<boolean>
  /** Moves time until the promise answers. */
  ask<T>(question: () => Promise<T>): Promise<T>
  close(): Promise<void>
}

export type OperatorAction = ByWhom & (
  | { readonly do: 'settle'; readonly operation: string; readonly key: string; readonly outcome: 'happened' | 'send_again' | 'stop' }
  | { readonly do: 'cancel' | 'retry_now' | 'redrive'; readonly operation: string; readonly key: string }
  | { readonly do: 'redrive_many'; readonly operation: string }
  | { readonly do: 'pause' | 'resume'; readonly scope: ScopeName }
  /** The database was set back, and lost what was committed since then. */
  | { readonly do: 'restored'; readonly lostSince: number }
)

/** Something that must not be. `rule` is the contract's number or the invariant's name. */
export type Violation = { readonly rule: string; readonly operation: string; readonly key: string; readonly what: string }

/** The bill of a run. */
export type Figures = {
  readonly intents: number
  /** Effects beyond the first, of all intents. */
  readonly doubled: number
  /** Acknowledged intents that neither ended nor are visibly open. */
  readonly lost: number
  /** Ended records that contradict the ledger. */
  readonly untrue: number
  /** Intents left `in_doubt`. */
  readonly undecided: number
  readonly requests: number
  readonly peopleTold: number
  readonly faultsInjected: number
  readonly simulatedMs: number
}

export type RunResult = {
  readonly seed: number
  readonly strategy: Strategy
  /** Broken at some moment of the run. */
  readonly safety: readonly Violation[]
  /** Not reached after the faults stopped. */
  readonly liveness: readonly Violation[]
  readonly figures: Figures
  readonly traceHash: string
}
