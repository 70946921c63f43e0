/** Those who ask for calls, and what became of what they asked for. */
import type { Json, Operation, Steward, SubmitOptions } from 'steward'
import type { Intent } from '../contract.ts'
import type { Running, SimWorld } from './world.ts'

export type OpenIntent = { -readonly [K in keyof Intent]: Intent[K] }

export class Callers {
  readonly intents: OpenIntent[] = []
  /** Intents under whose key another input was taken: there must be none. */
  readonly keysReused: Intent[] = []
  /** Outcomes that were told to a caller and were not true then: there must be none. */
  readonly untrueOutcomes: { readonly operation: string; readonly key: string; readonly what: string }[] = []
  readonly #world: SimWorld

  constructor(world: SimWorld) {
    this.#world = world
  }

  submit(name: string, options: SubmitOptions<Json>, process: string | undefined, how: 'submit' | 'perform'): OpenIntent {
    const world = this.#world
    const where = process ?? world.processes.find((one) => world.running.get(one)?.sim.state === 'alive') ?? ''
    const running = world.running.get(where)
    const operation = running?.operations.find((one) => one.name === name) ?? world.operations.find((one) => one.name === name)
    if (!operation) throw new Error(`no operation is called "${name}". Known are: ${world.operations.map((one) => one.name).join(', ')}`)
    const intent: OpenIntent = {
      operation: name, key: options.key, input: options.input, provider: operation.provider ?? operation.idempotency.provider ?? name, process: where,
      askedAt: world.now, acknowledgedAt: null, refused: null, group: options.group ?? null, supersedes: options.supersedes ?? null,
    }
    this.intents.push(intent)
    world.say(`${where} ${how} ${name}/${options.key}`)
    if (!running || running.sim.state !== 'alive' || (running.steward === null && running.carrier === null)) {
      intent.refused = 'no process is there to take it'
      return intent
    }
    const submitted: Promise<unknown> = running.carrier ? running.carrier.submit(name, options) : how === 'perform' ? this.#perform(running, operation, options) : (running.steward as Steward).submit(operation, options)
    submitted.then(
      () => { if (running.sim.state === 'alive') intent.acknowledgedAt ??= world.now },
      (error: unknown) => { intent.refused = error instanceof Error ? error.message : String(error) },
    )
    return intent
  }

  /** A direct call. What it is told must be true at that moment, as far as it says anything. */
  async #perform({ steward, sim }: Running, operation: Operation, options: SubmitOptions<Json>): Promise<void> {
    const { runAt: _later, ...now } = options
    const outcome = await (steward as Steward).perform(operation, { ...now, wait: '3s' })
    const effects = this.#world.models.get(operation.provider ?? '')?.effectsOf(options.key).length ?? 0
    const isTrue = outcome.effect === 'happened' ? effects > 0 : outcome.effect !== 'did_not_happen' || !outcome.ended || effects === 0
    if (!isTrue && sim.state === 'alive') this.untrueOutcomes.push({ operation: operation.name, key: options.key, what: `perform was told ${outcome.state} (${outcome.effect}); the ledger has ${effects} effects` })
  }

  /** The same intent again, or another input under its key, which must be refused. */
  submitAgain(intent: OpenIntent, input: Json, process: string, isOther: boolean): void {
    const running = this.#world.running.get(process)
    const operation = running?.operations.find((one) => one.name === intent.operation)
    if (!running?.steward || running.sim.state !== 'alive' || !operation) return
    this.#world.say(`${process} submit again ${intent.operation}/${intent.key}${isOther ? ' with another input' : ''}`)
    running.steward.submit(operation, { key: intent.key, input }).then(
      () => { if (isOther && intent.acknowledgedAt !== null) this.keysReused.push(intent) },
      () => undefined,
    )
  }
}
