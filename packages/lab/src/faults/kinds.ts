/**
 * Everything that can be made to go wrong: named kinds, each at one of the catalogue's injection points.
 *
 * Most are rules at a step (steps.ts): a request of a store, of the network or of a provider is struck. The others
 * act on the world at once: processes, clocks, the database, deploys, callers, webhooks, people.
 */
import type { Fault, InjectionPoint, Json } from '../contract.ts'
import type { Random } from '../sim/random.ts'
import type { Injected, Rule } from './board.ts'
import type { Act, Step, StoreMove } from './steps.ts'

/** What a fault may do to the world. */
export interface Hands {
  readonly random: Random
  /** The primary dies, and a standby takes over after a while; `losesMs`: which was so far behind. */
  failOver(afterMs: number, losesMs: number): void
  set(rule: Rule): void
  /** Runs at that many milliseconds from now. */
  later(afterMs: number, run: () => void): void
  /** A process by name, or any living one. */
  someProcess(where: string | null): string | null
  kill(process: string): void
  freeze(process: string, forMs: number): void
  /** Starts it again as it was, after a while. */
  restart(process: string, afterMs: number): void
  /** Closes it in good order, and starts it with another release. */
  redeploy(process: string, release: 'next' | 'previous' | 'same', graceMs: number): void
  skew(process: string, byMs: number): void
  skewDatabase(byMs: number): void
  databaseDown(forMs: number): void
  /** What is committed from now on is lost when that time is over. */
  loseCommits(afterMs: number): void
  forgetKeys(provider: string | null): void
  handlersThrow(forMs: number): void
  alertsFail(forMs: number): void
  /** A caller asks for an intent it has asked for already; `otherAmount`: with another input. */
  resubmit(otherAmount: boolean): void
  /** A caller submits a new key for the purpose of an intent, which is to replace it. */
  supersede(): void
  /** What the provider knows of some open or ended intent, told by webhook. */
  webhook(options: { readonly repeat: number; readonly spreadMs: number; readonly stale: boolean }): void
  operate(what: 'redrive_all_twice' | 'pause_and_resume' | 'cancel' | 'retry_now' | 'settle_doubts' | 'settle_wrongly', forMs: number): void
}

export type FaultKind = {
  readonly kind: string
  readonly point: InjectionPoint
  /** One sentence: what happens. */
  readonly what: string
  /** How long it lasts unless the fault says otherwise; `null`: it strikes `times` steps. */
  readonly forMs: number | null
  /** It breaks what the provider or the database promises: nothing can keep one effect one. Not in the standard workload. */
  readonly beyondContract?: boolean
  inject(hands: Hands, fault: Injected): void
}

const SECOND = 1_000
const MINUTE = 60 * SECOND

type StepOptions = { readonly moves?: readonly StoreMove[]; readonly times?: number; readonly chance?: number; readonly forMs?: number; readonly lookups?: boolean; /** Providers that it does not strike. */ readonly not?: readonly string[] }

/** A kind that strikes steps. `where` names a process (store steps), or a process or a provider (steps of the wire). */
function striking(kind: string, point: InjectionPoint, what: string, at: Step['at'], act: (parameters: Injected['parameters'], random: Random) => Act, options: StepOptions = {}): FaultKind {
  return {
    kind, point, what, forMs: options.forMs ?? null,
    inject(hands, fault) {
      const times = numberOf(fault.parameters['times']) ?? options.times ?? (fault.forMs === null ? 1 : Number.POSITIVE_INFINITY)
      hands.set({
        fault, at, left: times, chance: numberOf(fault.parameters['chance']) ?? options.chance ?? 1,
        matches: (step) => (step.at === 'store' ? (options.moves ?? [step.move]).includes(step.move) && (fault.where === null || fault.where === step.process) : (fault.where === null || fault.where === step.process || fault.where === step.provider) && (options.lookups === true || !step.isLookup) && options.not?.includes(step.provider) !== true),
        act: (_step, random) => act(fault.parameters, random),
      })
    },
  }
}

function acting(kind: string, point: InjectionPoint, what: string, forMs: number | null, inject: (hands: Hands, fault: Injected) => void): FaultKind {
  return {
    kind, point, what, forMs,
    inject(hands, fault) {
      fault.hits++
      inject(hands, fault)
    },
  }
}

const numberOf = (value: Json | undefined): number | undefined => (typeof value === 'number' ? value : undefined)
const msOf = (parameters: Injected['parameters'], fallback: number): number => numberOf(parameters['ms']) ?? fallback
const answer = (status: number, headers: Readonly<Record<string, string>> = {}, body: Json = {}): Act => ({ do: 'answer', answer: { status, headers, body } })

const CALLERS: readonly FaultKind[] = [
  acting('caller.submits-twice', 'caller.submit', 'A caller submits the same intent again, through another process.', null, (hands) => hands.resubmit(false)),
  acting('caller.reuses-key', 'caller.submit', 'A caller submits another amount under a key that is taken.', null, (hands) => hands.resubmit(true)),
  acting('caller.supersedes', 'caller.submit', 'A caller gives up on an intent, rightly or not, and submits a new key in its place.', null, (hands) => hands.supersede()),
  striking('caller.dies-after-submit', 'caller.submit', 'The process dies once the call is stored, before the caller is told.', 'store', () => ({ do: 'kill', when: 'after' }), { moves: ['submit'] }),
  striking('caller.submit-answer-lost', 'caller.submit', 'The answer to an insert that was stored is lost.', 'store', () => ({ do: 'lose_answer', stored: true }), { moves: ['submit'], times: 2 }),
  striking('caller.submit-unstored', 'caller.submit', 'The answer to an insert that was not stored is lost.', 'store', () => ({ do: 'lose_answer', stored: false }), { moves: ['submit'], times: 2 }),
  striking('caller.submit-late', 'caller.submit', 'An insert is given up for lost, and is stored seconds later.', 'store', (parameters) => ({ do: 'lose_answer', stored: true, lateMs: msOf(parameters, 3 * SECOND) }), { moves: ['submit'] }),
]

const ALL_WRITES: readonly StoreMove[] = ['submit', 'begin', 'finish', 'look', 'change', 'settle', 'control', 'alert']

const DATABASE: readonly FaultKind[] = [
  acting('db.down', 'db', 'The database answers nobody for a while.', 20 * SECOND, (hands, fault) => hands.databaseDown(fault.forMs ?? 20 * SECOND)),
  striking('db.restart', 'db', 'Every answer on its way is lost, stored or not.', 'store', (_parameters, random) => ({ do: 'lose_answer', stored: random() < 0.5 }), { forMs: 500 }),
  { ...acting('db.loses-commits', 'db', 'A failover brings back the database without its last commits. A minute later somebody says so.', null, (hands, fault) => hands.loseCommits(msOf(fault.parameters, 2 * SECOND))), beyondContract: true },
  { ...acting('db.old-backup', 'db', 'A backup is restored: everything since then is gone. A minute later somebody says so.', null, (hands, fault) => hands.loseCommits(msOf(fault.parameters, 10 * MINUTE))), beyondContract: true },
  acting('db.handler-throws', 'db.tx', 'The handler that records ends in the application throws.', 10 * SECOND, (hands, fault) => hands.handlersThrow(fault.forMs ?? 10 * SECOND)),
  striking('db.settle-refused', 'db.tx', 'The transaction that tells the application is refused.', 'store', () => ({ do: 'refuse' }), { moves: ['settle', 'finish'], times: 2 }),
  striking('db.slow', 'db.query', 'Each request of the database takes a second longer.', 'store', (parameters) => ({ do: 'slow', ms: msOf(parameters, SECOND) }), { forMs: 15 * SECOND }),
  striking('db.heartbeats-lost', 'db.query', 'Heartbeats are refused while everything else works.', 'store', () => ({ do: 'refuse' }), { moves: ['beat'], forMs: 12 * SECOND }),
  striking('db.rounds-refused', 'db.query', 'Idle rounds are refused: nothing dead, due or overdue is found.', 'store', () => ({ do: 'refuse' }), { moves: ['round'], forMs: 20 * SECOND }),
  striking('db.begin-refused', 'db.commit', 'A begin is refused by the database.', 'store', () => ({ do: 'refuse' }), { moves: ['begin'], times: 2 }),
  striking('db.begin-answer-lost', 'db.commit', 'A begin is stored, and its answer is lost.', 'store', () => ({ do: 'lose_answer', stored: true }), { moves: ['begin'] }),
  striking('db.begin-unstored', 'db.commit', 'A begin is not stored, and nobody knows.', 'store', () => ({ do: 'lose_answer', stored: false }), { moves: ['begin'] }),
  striking('db.finish-refused', 'db.commit', 'The record of an answer is refused.', 'store', () => ({ do: 'refuse' }), { moves: ['finish'], times: 3 }),
  striking('db.finish-answer-lost', 'db.commit', 'The record of an answer is stored, and its answer is lost.', 'store', () => ({ do: 'lose_answer', stored: true }), { moves: ['finish'] }),
  striking('db.change-answer-lost', 'db.commit', 'A change by somebody without a lease is stored, and its answer is lost.', 'store', () => ({ do: 'lose_answer', stored: true }), { moves: ['change'] }),
  striking('db.begin-late', 'db.commit', 'A begin is given up for lost, and is stored seconds later.', 'store', (parameters) => ({ do: 'lose_answer', stored: true, lateMs: msOf(parameters, 3 * SECOND) }), { moves: ['begin'] }),
  striking('db.finish-late', 'db.commit', 'The record of an answer is given up for lost, and is stored seconds later.', 'store', (parameters) => ({ do: 'lose_answer', stored: true, lateMs: msOf(parameters, 3 * SECOND) }), { moves: ['finish'] }),
  striking('db.batch-split', 'db.commit', 'A part of a batch is stored, and nobody knows what became of it.', 'store', () => ({ do: 'split' }), { moves: ['submit', 'begin', 'finish', 'change'], times: 2 }),
  striking('pool.drained', 'pool', 'Connections are used up: everything waits for five seconds.', 'store', (parameters) => ({ do: 'slow', ms: msOf(parameters, 5 * SECOND) }), { forMs: 10 * SECOND }),
  striking('disk.full', 'disk', 'Nothing can be written; what is there can be read.', 'store', () => ({ do: 'refuse' }), { moves: ALL_WRITES, forMs: 30 * SECOND }),
  // What PostgreSQL adds: limits that end a statement, and transactions undone for the sake of others (the store runs those again).
  striking('db.cut', 'db', 'A connection breaks in the middle of a statement, or just after its commit.', 'store', (_parameters, random) => ({ do: 'lose_answer', stored: random() < 0.5 }), { times: 3, chance: 0.3 }),
  striking('db.finish-unstored', 'db.commit', 'The record of an answer is not stored, and nobody knows.', 'store', () => ({ do: 'lose_answer', stored: false }), { moves: ['finish'] }),
  striking('db.change-unstored', 'db.commit', 'A change by somebody without a lease is not stored, and nobody knows.', 'store', () => ({ do: 'lose_answer', stored: false }), { moves: ['change'] }),
  striking('db.control-answer-lost', 'db.commit', 'A pause or hold is stored, and its answer is lost.', 'store', () => ({ do: 'lose_answer', stored: true }), { moves: ['control'] }),
  striking('db.lease-answer-lost', 'db.commit', 'What a worker asks of its own row is stored, and the answer is lost.', 'store', () => ({ do: 'lose_answer', stored: true }), { moves: ['enlist', 'beat', 'give_back'], times: 2 }),
  striking('db.deadlock', 'db.tx', 'Two transactions wait for each other: after a second one is undone and runs again.', 'store', () => ({ do: 'slow', ms: SECOND }), { moves: ALL_WRITES, times: 3 }),
  striking('db.serialization', 'db.tx', 'A transaction is undone for the sake of others each time it is tried.', 'store', () => ({ do: 'refuse' }), { moves: ['begin', 'finish', 'change', 'settle'], times: 2 }),
  striking('db.statement-timeout', 'db.query', 'A statement is cancelled by the server when its time is over.', 'store', (parameters) => ({ do: 'refuse', afterMs: msOf(parameters, 30 * SECOND) }), { moves: [...ALL_WRITES, 'claim'], times: 2 }),
  striking('db.no-answer', 'db.query', 'A statement has no answer for thirty seconds, and is given up; it was committed, or not.', 'store', (parameters, random) => ({ do: 'lose_answer', stored: random() < 0.5, afterMs: msOf(parameters, 30 * SECOND) }), { moves: [...ALL_WRITES, 'claim'], times: 2 }),
  striking('db.key-held', 'caller.submit', 'A transaction that is open elsewhere has the key of an insert, for a few tries.', 'store', () => ({ do: 'held' }), { moves: ['submit'], times: 5 }),
  striking('pool.exhausted', 'pool', 'No connection is to be had: whoever asks is refused after ten seconds.', 'store', () => ({ do: 'refuse', afterMs: 10 * SECOND }), { forMs: 20 * SECOND }),
  { ...acting('db.failover', 'db', 'The primary dies; ten seconds later a standby answers that was two seconds behind. A minute later somebody says so.', 10 * SECOND, (hands, fault) => hands.failOver(fault.forMs ?? 10 * SECOND, msOf(fault.parameters, 2 * SECOND))), beyondContract: true },
  striking('claim.answer-lost', 'queue.claim', 'Calls are leased to a worker that does not hear of it.', 'store', () => ({ do: 'lose_answer', stored: true }), { moves: ['claim'] }),
  striking('claim.slow', 'queue.claim', 'A claim is answered after three seconds.', 'store', () => ({ do: 'slow', ms: 3 * SECOND }), { moves: ['claim'], times: 3 }),
]

const dies = (hands: Hands, process: string): void => {
  hands.kill(process)
  hands.restart(process, 500 + Math.floor(hands.random() * 10_000))
}

const WORKERS: readonly FaultKind[] = [
  acting('worker.freezes', 'worker.cpu', 'A worker stands still for longer than its lease, and goes on.', 20 * SECOND, (hands, fault) => {
    const process = hands.someProcess(fault.where)
    if (process !== null) hands.freeze(process, fault.forMs ?? 20 * SECOND)
  }),
  striking('worker.freezes-before-leaving', 'worker.cpu', 'A worker is frozen after its begin, before its bytes leave.', 'connect', (parameters) => ({ do: 'freeze', when: 'before', forMs: msOf(parameters, 25 * SECOND) })),
  striking('worker.sleeps-before-leaving', 'clock.worker', 'The machine sleeps before the bytes leave: its monotonic clock has not noticed.', 'connect', (parameters) => ({ do: 'freeze', when: 'before', forMs: msOf(parameters, 25 * SECOND), isAsleep: true })),
  striking('worker.freezes-on-answer', 'worker.cpu', 'A worker is frozen just as the answer comes.', 'answer', (parameters) => ({ do: 'freeze', when: 'before', forMs: msOf(parameters, 25 * SECOND) })),
  striking('worker.freezes-before-begin', 'worker.cpu', 'A worker is frozen as it asks for its begin, and asks after the thaw.', 'store', (parameters) => ({ do: 'freeze', when: 'before', forMs: msOf(parameters, 25 * SECOND) }), { moves: ['begin'] }),
  striking('worker.freezes-after-begin', 'worker.cpu', 'A worker is frozen once its begin is stored, and hears of it after the thaw.', 'store', (parameters) => ({ do: 'freeze', when: 'after', forMs: msOf(parameters, 25 * SECOND) }), { moves: ['begin'] }),
  acting('worker.dies', 'worker.process', 'A worker is killed, and started again later.', null, (hands, fault) => {
    const process = hands.someProcess(fault.where)
    if (process !== null) dies(hands, process)
  }),
  striking('worker.dies-after-begin', 'worker.process', 'A worker dies once its begin is stored: nothing was sent.', 'store', () => ({ do: 'kill', when: 'after' }), { moves: ['begin'] }),
  striking('worker.dies-before-leaving', 'worker.process', 'A worker dies between its begin and the first byte.', 'connect', () => ({ do: 'kill', when: 'before' })),
  striking('worker.dies-after-leaving', 'worker.process', 'A worker dies while its request is on the way.', 'connect', () => ({ do: 'kill', when: 'after' })),
  striking('worker.dies-while-provider-works', 'worker.process', 'A worker dies while the provider works.', 'work', () => ({ do: 'kill', when: 'before' })),
  striking('worker.dies-on-answer', 'worker.process', 'A worker dies as the answer arrives.', 'answer', () => ({ do: 'kill', when: 'after' })),
  striking('worker.dies-before-record', 'worker.before_record', 'A worker dies with the answer in hand, before it is recorded.', 'store', () => ({ do: 'kill', when: 'before' }), { moves: ['finish'] }),
  striking('worker.dies-after-record', 'worker.before_record', 'A worker dies once the answer is recorded, before anybody hears of it.', 'store', () => ({ do: 'kill', when: 'after' }), { moves: ['finish'] }),
  striking('worker.freezes-before-record', 'worker.before_record', 'A worker is frozen with the answer in hand, and records it after the thaw.', 'store', (parameters) => ({ do: 'freeze', when: 'before', forMs: msOf(parameters, 25 * SECOND) }), { moves: ['finish'] }),
]

const CLOCKS: readonly FaultKind[] = [
  acting('clock.worker-ahead', 'clock.worker', "A worker's clock jumps an hour ahead.", 5 * MINUTE, (hands, fault) => skewForAWhile(hands, fault, msOf(fault.parameters, 60 * MINUTE))),
  acting('clock.worker-behind', 'clock.worker', "A worker's clock jumps an hour back.", 5 * MINUTE, (hands, fault) => skewForAWhile(hands, fault, -msOf(fault.parameters, 60 * MINUTE))),
  acting('clock.db-ahead', 'clock.db', "The database's clock jumps half a minute ahead, for good.", null, (hands, fault) => hands.skewDatabase(msOf(fault.parameters, 30 * SECOND))),
  acting('clock.db-behind', 'clock.db', "The database's clock is set back half a minute: its time stands still until it is reached again.", null, (hands, fault) => hands.skewDatabase(-msOf(fault.parameters, 30 * SECOND))),
]

function skewForAWhile(hands: Hands, fault: Injected, byMs: number): void {
  const process = hands.someProcess(fault.where)
  if (process === null) return
  hands.skew(process, byMs)
  hands.later(fault.forMs ?? 5 * MINUTE, () => hands.skew(process, 0))
}

const NETWORK: readonly FaultKind[] = [
  striking('dns.no-name', 'net.dns', 'The name resolves to nothing.', 'connect', () => ({ do: 'dns' }), { forMs: MINUTE, lookups: true }),
  striking('connect.refused', 'net.connect', 'Connections are refused.', 'connect', () => ({ do: 'refused' }), { forMs: 2 * MINUTE, lookups: true }),
  striking('connect.times-out', 'net.connect', 'Connections are not established in time.', 'connect', () => ({ do: 'connect_timeout' }), { forMs: MINUTE, lookups: true }),
  striking('tls.expired', 'net.tls', "The provider's certificate has expired.", 'connect', () => ({ do: 'tls' }), { forMs: 3 * MINUTE, lookups: true }),
  striking('net.reset-on-the-way', 'net.send', 'The connection breaks before the request arrives.', 'connect', () => ({ do: 'reset' }), { times: 2 }),
  striking('net.late-bytes', 'net.send', 'The request is handed over, and arrives long after.', 'connect', (parameters) => ({ do: 'late', ms: msOf(parameters, 20 * SECOND) })),
  striking('net.sent-twice', 'net.send', 'The client sends the request again by itself.', 'connect', () => ({ do: 'twice' })),
  striking('net.answer-lost', 'net.send', 'The answer is lost after the effect.', 'answer', () => ({ do: 'reset' }), { times: 2 }),
  striking('net.answer-slow', 'net.send', 'The answer comes after the deadline.', 'answer', (parameters) => ({ do: 'slow', ms: msOf(parameters, 15 * SECOND) }), { lookups: true }),
  striking('net.answer-stalls', 'net.send', 'The answer never comes.', 'answer', () => ({ do: 'stall' }), { lookups: true, times: 2 }),
  striking('net.answer-garbled', 'net.send', 'The answer is cut off.', 'answer', () => ({ do: 'garbled' }), { lookups: true }),
]

/** The model of a provider that keeps only successes under a key. */
const KEEPS_NO_ERRORS = 'checkout'

const PROVIDERS: readonly FaultKind[] = [
  striking('gate.500', 'provider.gate', 'What stands in front answers 502: nothing was looked at.', 'arrive', () => answer(502), { times: 5, lookups: true }),
  striking('gate.outage', 'provider.gate', 'Everything is answered 503 for hours.', 'arrive', () => answer(503), { forMs: 60 * MINUTE, lookups: true }),
  striking('gate.rate-limited', 'provider.gate', 'Too many requests: come back in 30 seconds.', 'arrive', (parameters) => answer(429, { 'retry-after': String(numberOf(parameters['seconds']) ?? 30) }), { times: 3, lookups: true }),
  striking('gate.maintenance', 'provider.gate', 'Unavailable: come back in two minutes.', 'arrive', () => answer(503, { 'retry-after': '120' }), { times: 2, lookups: true }),
  striking('gate.credential-rotated', 'provider.gate', 'The credential is not valid any more.', 'arrive', () => answer(401, {}, { error: { type: 'invalid_request_error' } }), { forMs: 4 * MINUTE, lookups: true }),
  striking('gate.not-deployed', 'provider.gate', 'The endpoint is not there yet.', 'arrive', () => answer(404), { forMs: MINUTE }),
  striking('gate.refuses', 'provider.gate', 'A filter in front refuses the request as malformed: nothing was looked at, keys included.', 'arrive', () => answer(422)),
  striking('gate.reset', 'provider.gate', 'The connection is cut at the gate: nothing was looked at, and nobody can know.', 'arrive', () => ({ do: 'reset' }), { times: 2 }),
  { ...striking('keys.forgotten', 'provider.keys', 'The provider has forgotten a key it promised to remember.', 'arrive', () => ({ do: 'forget_key' })), beyondContract: true },
  { ...acting('keys.store-lost', 'provider.keys', 'A failover at the provider forgets every key.', null, (hands, fault) => hands.forgetKeys(fault.where)), beyondContract: true },
  striking('keys.in-flight', 'provider.keys', 'The first request is still running when the second comes.', 'work', (parameters) => ({ do: 'slow', ms: msOf(parameters, 25 * SECOND) }), { times: 2 }),
  striking('provider.error-before', 'provider.before_effect', 'An internal error before anything happened.', 'work', () => ({ do: 'error', effect: false, status: 500 }), { times: 2 }),
  striking('provider.declines', 'provider.before_effect', 'The card is declined.', 'work', () => ({ do: 'decline' })),
  striking('provider.slow', 'provider.effect', 'The provider takes eight seconds.', 'work', (parameters) => ({ do: 'slow', ms: msOf(parameters, 8 * SECOND) }), { times: 4 }),
  striking('provider.gateway-timeout', 'provider.effect', 'The gateway answers 504 while the work goes on.', 'work', () => ({ do: 'gateway', status: 504 }), { times: 2 }),
  striking('provider.error-after', 'provider.after_effect', 'It happened, and the answer is an internal error.', 'work', () => ({ do: 'error', effect: true, status: 500 }), { not: [KEEPS_NO_ERRORS] }),
  // Sending again is what such a provider asks for after an error; where the error itself is lost, nothing tells that it must not be done.
  { ...striking('provider.error-after-unkept', 'provider.after_effect', 'It happened, the answer is an internal error, and the provider keeps no trace of it under the key.', 'work', () => ({ do: 'error', effect: true, status: 500 })), beyondContract: true },
  acting('webhook.early', 'provider.webhook', 'A webhook tells of an effect, perhaps before its call is on record.', null, (hands) => hands.webhook({ repeat: 1, spreadMs: 0, stale: false })),
  acting('webhook.repeated', 'provider.webhook', 'A webhook comes five times over two days.', null, (hands) => hands.webhook({ repeat: 5, spreadMs: 2 * 86_400_000, stale: false })),
  acting('webhook.reordered', 'provider.webhook', 'A webhook that says "not yet" comes after the one that says "done".', null, (hands) => hands.webhook({ repeat: 1, spreadMs: 0, stale: true })),
]

const inSomeProcess = (hands: Hands, fault: Injected, run: (process: string) => void): void => {
  const process = hands.someProcess(fault.where)
  if (process !== null) run(process)
}

const PEOPLE: readonly FaultKind[] = [
  acting('deploy.restart', 'deploy', 'A worker is closed in good order and started again.', null, (hands, fault) => inSomeProcess(hands, fault, (process) => hands.redeploy(process, 'same', 10 * SECOND))),
  acting('deploy.impatient', 'deploy', 'A worker is given one second to close, then killed.', null, (hands, fault) => inSomeProcess(hands, fault, (process) => hands.redeploy(process, 'same', SECOND))),
  acting('deploy.next-version', 'deploy', 'One worker gets the next version of the operations; the others have the old one.', null, (hands, fault) => inSomeProcess(hands, fault, (process) => hands.redeploy(process, 'next', 5 * SECOND))),
  acting('deploy.rollback', 'deploy', 'One worker goes back to the previous version and meets calls of the new one.', null, (hands, fault) => inSomeProcess(hands, fault, (process) => hands.redeploy(process, 'previous', 5 * SECOND))),
  acting('operator.redrives-twice', 'operator', 'Somebody redrives everything that ended without an effect, twice.', null, (hands) => hands.operate('redrive_all_twice', 0)),
  acting('operator.pauses', 'operator', 'Somebody pauses a provider, and resumes it.', 2 * MINUTE, (hands, fault) => hands.operate('pause_and_resume', fault.forMs ?? 2 * MINUTE)),
  acting('operator.cancels', 'operator', 'Somebody cancels a call that may be in flight.', null, (hands) => hands.operate('cancel', 0)),
  acting('operator.retries-now', 'operator', 'Somebody presses retry.', null, (hands) => hands.operate('retry_now', 0)),
  acting('operator.settles', 'operator', "Somebody looks at the provider and settles what has been in doubt for a while.", null, (hands) => hands.operate('settle_doubts', 0)),
  { ...acting('operator.settles-wrongly', 'operator', 'Somebody settles what is in doubt, and is wrong each time.', null, (hands) => hands.operate('settle_wrongly', 0)), beyondContract: true },
  acting('operator.alert-route-down', 'operator', 'Alerts cannot be delivered for a while.', 5 * MINUTE, (hands, fault) => hands.alertsFail(fault.forMs ?? 5 * MINUTE)),
]

export const FAULT_KINDS: readonly FaultKind[] = [...CALLERS, ...DATABASE, ...WORKERS, ...CLOCKS, ...NETWORK, ...PROVIDERS, ...PEOPLE]

/** A fault of this kind, with its defaults. Throws where no kind has that name. */
export function fault(kind: string, options: Partial<Omit<Fault, 'kind' | 'point'>> = {}): Fault {
  const { point, forMs } = kindOf(kind)
  return { kind, point, where: options.where ?? null, forMs: options.forMs === undefined ? forMs : options.forMs, parameters: options.parameters ?? {} }
}

export function kindOf(kind: string): FaultKind {
  const known = FAULT_KINDS.find((one) => one.kind === kind)
  if (known === undefined) throw new Error(`there is no fault of kind "${kind}". Nothing was injected. Known are: ${FAULT_KINDS.map((one) => one.kind).join(', ')}`)
  return known
}
