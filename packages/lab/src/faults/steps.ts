/**
 * The steps of a call at which something can go wrong, and what can go wrong there: the vocabulary between faults and
 * the simulated store, network and providers.
 */
import type { ClientAnswer, InjectionPoint } from '../contract.ts'

/** What a process asks of its store. `round` is everything an idle worker asks again and again. */
export type StoreMove = 'submit' | 'claim' | 'begin' | 'finish' | 'look' | 'change' | 'settle' | 'give_back' | 'enlist' | 'beat' | 'alert' | 'control' | 'read' | 'round'

/** Stages of a request: `connect` until it may leave, `arrive` at the provider's gate, `work` inside, `answer` on the way back. */
export type WireStage = 'connect' | 'arrive' | 'work' | 'answer'

export type StoreStep = { readonly at: 'store'; readonly process: string; readonly move: StoreMove }
export type WireStep = { readonly at: WireStage; readonly process: string; readonly provider: string; readonly isLookup: boolean; readonly path: string }
export type Step = StoreStep | WireStep

/** What a process suffers at a step: it dies or stands still, before the step takes place or after. */
export type ProcessAct = { readonly do: 'kill' | 'freeze'; readonly when: 'before' | 'after'; readonly forMs?: number; /** The machine sleeps: the monotonic clock stands still, too. */ readonly isAsleep?: boolean }

export type StoreAct =
  | ProcessAct
  /** Nothing was stored, and the process is told so; `afterMs`: when a limit was over. */
  | { readonly do: 'refuse'; readonly afterMs?: number }
  /** The process is told that nobody knows; it was stored, or not, or is `lateMs` after it was given up for lost. */
  | { readonly do: 'lose_answer'; readonly stored: boolean; readonly afterMs?: number; readonly lateMs?: number }
  /** The first half of a batch is stored, the other is not, and the process is told that nobody knows. Of a single write the answer is lost. */
  | { readonly do: 'split' }
  /** Of an insert: a transaction that is open elsewhere has its key. Nothing was stored. */
  | { readonly do: 'held' }
  | { readonly do: 'slow'; readonly ms: number }

export type ConnectAct =
  | ProcessAct
  | { readonly do: 'dns' | 'refused' | 'tls' | 'connect_timeout' }
  /** The connection breaks as the request leaves: nothing arrives, and nobody can know. */
  | { readonly do: 'reset' }
  /** The bytes are handed over, and arrive this much later. */
  | { readonly do: 'late'; readonly ms: number }
  /** The connection breaks after the request left, and the client sends it again by itself, inside the attempt. */
  | { readonly do: 'twice' }

export type ArriveAct =
  | ProcessAct
  /** Answered by what stands in front of the provider: nothing was looked at. */
  | { readonly do: 'answer'; readonly answer: ClientAnswer }
  | { readonly do: 'reset' }
  /** The provider has forgotten the key, or remembers it for another payload. */
  | { readonly do: 'forget_key' }

export type WorkAct =
  | ProcessAct
  /** An internal error before or after the effect; kept under the key by providers that keep errors. */
  | { readonly do: 'error'; readonly effect: boolean; readonly status: number }
  /** The gateway in front gives up while the work goes on: the effect happens, and is kept as a success. */
  | { readonly do: 'gateway'; readonly status: number }
  /** The provider works this much longer. */
  | { readonly do: 'slow'; readonly ms: number }
  /** Refuses the request after looking at it (a declined card). */
  | { readonly do: 'decline' }

export type AnswerAct =
  | ProcessAct
  | { readonly do: 'reset' }
  | { readonly do: 'slow'; readonly ms: number }
  /** Never comes: the client waits until its own limit. */
  | { readonly do: 'stall' }
  /** A success whose body is cut off, or is a page of HTML. */
  | { readonly do: 'garbled' }

export type Act = StoreAct | ConnectAct | ArriveAct | WorkAct | AnswerAct

/** Asked at every step. The one who answers counts, draws, or knows the plan. */
export interface Mischief {
  store(step: StoreStep): StoreAct | null
  connect(step: WireStep): ConnectAct | null
  arrive(step: WireStep): ArriveAct | null
  work(step: WireStep): WorkAct | null
  answer(step: WireStep): AnswerAct | null
}

/** Which injection point of the catalogue a step belongs to. */
export function pointOf(step: Step): InjectionPoint {
  switch (step.at) {
    case 'store': return STORE_POINT[step.move]
    case 'connect': return 'net.connect'
    case 'arrive': return 'provider.gate'
    case 'work': return 'provider.effect'
    case 'answer': return 'net.send'
  }
}

const STORE_POINT: Readonly<Record<StoreMove, InjectionPoint>> = {
  submit: 'caller.submit', claim: 'queue.claim', begin: 'db.commit', finish: 'worker.before_record', look: 'worker.before_record', change: 'db.commit', settle: 'db.tx',
  give_back: 'db.query', enlist: 'db.query', beat: 'db.query', alert: 'db.query', control: 'db.query', read: 'db.query', round: 'db.query',
}
