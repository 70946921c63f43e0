/**
 * The network between one process and the providers: connect → leave → arrive → work → answer.
 *
 * Until a request has left it belongs to its process: if that dies, nothing arrives; if it is frozen, it leaves (or is
 * stopped by the gate) at the thaw. From then on it goes its way alone. Mischief is asked at each stage.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { Client, ClientAnswer, ClientRequest, Connection } from '../contract.ts'
import type { AnswerAct, ArriveAct, ConnectAct, Mischief, ProcessAct, WireStep } from '../faults/steps.ts'
import type { Later, ProviderModel } from '../providers/model.ts'
import { abortedBy, wireErrors } from './errors.ts'
import { ObservedRequest } from './observed-request.ts'
import type { SimProcess } from './process.ts'
import { between, type Random } from './random.ts'
import type { Scheduler } from './scheduler.ts'

export type Network = {
  readonly scheduler: Scheduler
  readonly mischief: Mischief
  readonly random: Random
  readonly now: () => number
  provider(name: string): ProviderModel
  onLater(later: Later): void
  trace(line: string): void
  kill(process: SimProcess): void
  freeze(process: SimProcess, forMs: number, isAsleep?: boolean): void
}

export function clientOf(process: SimProcess, network: Network): Client {
  return {
    request: (request) => new Promise((resolve, reject) => { new Exchange(process, network, request, resolve, reject).start() }),
    connect: (provider, isLookup) => connect(process, network, provider, isLookup),
  }
}

/** The first stage alone, for a real client whose request is not known yet. */
function connect(process: SimProcess, network: Network, provider: string, isLookup: boolean): Promise<Connection> {
  const { mischief, random, scheduler } = network
  const act = mischief.connect({ at: 'connect', process: process.name, provider, isLookup, path: '' })
  return new Promise((resolve, reject) => {
    if (act?.do === 'kill' && act.when === 'before') {
      network.kill(process)
      return
    }
    if (act?.do === 'freeze' && act.when === 'before') network.freeze(process, act.forMs ?? 0, act.isAsleep)
    scheduler.after(between(random, 1, 40), process, () => {
      if (act?.do === 'dns') reject(wireErrors.dns(provider))
      else if (act?.do === 'refused' || act?.do === 'tls' || act?.do === 'connect_timeout') reject(wireErrors[act.do]())
      else resolve({ carry: (request) => new Promise((answered, failed) => { new Exchange(process, network, request, answered, failed, false).leave(act) }) })
    })
  })
}

class Exchange {
  readonly #process: SimProcess
  readonly #network: Network
  readonly #request: ClientRequest
  readonly #step: Omit<WireStep, 'at'>
  readonly #resolve: (answer: ClientAnswer) => void
  readonly #reject: (error: Error) => void
  /** `null` where a real client makes the request that the witness sees, and where the witness sees nothing. */
  readonly #observed: ObservedRequest | null
  /** The async context of the code that sends, which the witness goes by. */
  readonly #inContext = AsyncLocalStorage.snapshot()
  #over = false

  constructor(process: SimProcess, network: Network, request: ClientRequest, resolve: (answer: ClientAnswer) => void, reject: (error: Error) => void, isModelled = true) {
    this.#process = process
    this.#network = network
    this.#request = request
    this.#step = { process: process.name, provider: request.provider, isLookup: request.method === 'GET', path: request.path }
    this.#resolve = resolve
    this.#reject = reject
    this.#observed = isModelled && request.isUnseen !== true ? new ObservedRequest(request) : null
  }

  start(): void {
    const { signal } = this.#request
    if (this.#observed?.stoppedBy) return this.#fail(this.#observed.stoppedBy)
    if (signal?.aborted) return this.#fail(abortedBy(signal))
    signal?.addEventListener('abort', () => this.#fail(abortedBy(signal)), { once: true })
    const asked = this.#network.mischief.connect({ at: 'connect', ...this.#step })
    // What nobody sees, nobody can stop: such a client must not send by itself, and here it does not.
    const act = asked?.do === 'twice' && this.#request.isUnseen === true ? null : asked
    if (act) this.#say(`suffers ${act.do}`)
    if (this.#strikes(act, 'before')) return
    const { random, scheduler } = this.#network
    scheduler.after(between(random, 1, 40), this.#process, () => this.#connected(act))
  }

  #connected(act: ConnectAct | null): void {
    if (this.#over) return
    if (act?.do === 'dns') return this.#fail(wireErrors.dns(this.#request.provider))
    if (act?.do === 'refused' || act?.do === 'tls' || act?.do === 'connect_timeout') return this.#fail(wireErrors[act.do]())
    // The gate stands here: what it stops never leaves.
    this.#observed?.connected()
    if (this.#observed?.stoppedBy) {
      this.#say('is stopped by the gate')
      return this.#fail(this.#observed.stoppedBy)
    }
    this.leave(act)
  }

  /** The connection stands, and nothing stops the request. */
  leave(act: ConnectAct | null): void {
    const { scheduler, random } = this.#network
    if (act?.do === 'reset') return void scheduler.after(between(random, 1, 20), this.#process, () => this.#fail(wireErrors.reset()))
    const travelMs = between(random, 1, 30) + (act?.do === 'late' ? act.ms : 0)
    scheduler.after(travelMs, null, () => this.#arrive(act?.do !== 'twice'))
    if (act?.do === 'twice') return this.#observed === null ? void scheduler.after(travelMs, null, () => this.#arrive(true)) : this.#again(travelMs)
    this.#strikes(act, 'after')
  }

  /** The connection broke, and the client sends once more by itself, in the same attempt: what comes of that is what the code sees. */
  #again(afterMs: number): void {
    const { random, scheduler } = this.#network
    this.#observed?.failed(wireErrors.reset())
    this.#over = true
    scheduler.after(afterMs + between(random, 0, 2_000), this.#process, () => this.#inContext(() => new Exchange(this.#process, this.#network, this.#request, this.#resolve, this.#reject).start()))
  }

  /** @param heard somebody waits for this answer. */
  #arrive(heard: boolean): void {
    const { mischief, scheduler, now } = this.#network
    const provider = this.#network.provider(this.#request.provider)
    const act = mischief.arrive({ at: 'arrive', ...this.#step })
    if (act) this.#say(`at the gate of ${this.#request.provider}: ${act.do}`)
    if (this.#strikes(act, 'before')) { /* the process suffers; the request goes on */ }
    if (act?.do === 'reset') return this.#later(() => this.#fail(wireErrors.socket()))
    const work = act === null || (act.do !== 'answer') ? mischief.work({ at: 'work', ...this.#step }) : null
    if (work) this.#say(`inside ${this.#request.provider}: ${work.do}`)
    if (work?.do === 'kill' || work?.do === 'freeze') this.#strikes(work, work.when)
    const arrival = provider.arrive(this.#request, now(), gateAct(act), work)
    if (arrival.early !== null && heard) {
      arrival.request.answered = arrival.early.status
      this.#respond(arrival.early, arrival.request)
    }
    scheduler.after(arrival.afterMs, null, () => {
      const { answer, later } = arrival.finish(now())
      this.#say(`answered ${answer.status} by ${this.#request.provider}`)
      if (later) this.#network.onLater(later)
      if (heard && arrival.early === null) this.#respond(answer, arrival.request)
    })
    this.#strikes(act, 'after')
  }

  #respond(answer: ClientAnswer, request: { answered: number | 'lost' | 'none' }): void {
    const act: AnswerAct | null = this.#network.mischief.answer({ at: 'answer', ...this.#step })
    if (act) this.#say(`the answer of ${this.#request.provider} suffers ${act.do}`)
    request.answered = act?.do === 'reset' || act?.do === 'stall' || act?.do === 'garbled' || this.#over || this.#process.state === 'dead' ? 'lost' : answer.status
    if (this.#strikes(act, 'before')) {
      request.answered = 'lost'
      return
    }
    if (act?.do === 'stall') return
    const { scheduler, random } = this.#network
    scheduler.after(between(random, 1, 30) + (act?.do === 'slow' ? act.ms : 0), this.#process, () => {
      if (this.#over) {
        request.answered = 'lost'
        return
      }
      if (act?.do === 'reset') return this.#fail(wireErrors.reset())
      if (act?.do === 'garbled') {
        this.#observed?.answered(answer.status)
        return this.#end(() => this.#reject(wireErrors.garbled()))
      }
      this.#observed?.answered(answer.status)
      this.#end(() => this.#resolve(answer))
      this.#strikes(act, 'after')
    })
  }

  /** What the process itself suffers; true when it is gone. */
  #strikes(act: { readonly do: string } | null, when: ProcessAct['when']): boolean {
    if (act === null || (act.do !== 'kill' && act.do !== 'freeze')) return false
    const suffers = act as ProcessAct
    if (suffers.when !== when) return false
    if (suffers.do === 'kill') this.#network.kill(this.#process)
    else this.#network.freeze(this.#process, suffers.forMs ?? 0, suffers.isAsleep)
    return suffers.do === 'kill'
  }

  #later(run: () => void): void {
    this.#network.scheduler.after(between(this.#network.random, 1, 30), this.#process, run)
  }

  #fail(error: Error): void {
    if (this.#over) return
    this.#observed?.failed(error)
    this.#end(() => this.#reject(error))
  }

  #end(tell: () => void): void {
    this.#over = true
    tell()
  }

  #say(what: string): void {
    const { method, path } = this.#request
    this.#network.trace(`${this.#process.name} ${method} ${path} ${what}`)
  }
}

/** What the provider itself is told of what happens at its gate. */
function gateAct(act: ArriveAct | null): ArriveAct | null {
  return act !== null && (act.do === 'answer' || act.do === 'forget_key') ? act : null
}
