/** The stage of a run in the simulated world. */
import type { CallView, Json, Operation, State } from 'steward'
import { isEnd, register } from 'steward/internal'
import type { Rule } from '../auditor/index.ts'
import type { LedgerEffect, LedgerRequest, OperationSource, World } from '../contract.ts'
import { fault } from '../faults/kinds.ts'
import { DAY, HOUR, MINUTE, SECOND, type Stage } from './scenario.ts'

export type Excuse = { readonly rules: readonly Rule[]; readonly why: string; readonly keys: readonly string[] | null }

/** Between two looks at whether all has come to rest: from here, doubled up to there. */
const LOOK_MS = { from: SECOND, to: 10 * MINUTE }

export class SceneStage implements Stage {
  readonly world: World
  readonly operation: string
  readonly answer: Stage['answer']
  readonly policy: Stage['policy']
  readonly provider: string
  readonly source: OperationSource
  readonly findings: string[] = []
  readonly excuses: Excuse[] = []
  readonly #example: (key: string) => Json

  constructor(world: World, source: OperationSource, example: (key: string) => Json) {
    const [operation] = world.operations as readonly [Operation]
    const { policy, provider } = register(operation)
    this.world = world
    this.source = source
    this.operation = operation.name
    this.answer = policy.answer
    this.policy = policy
    this.provider = provider
    this.#example = example
  }

  input(key: string): Json {
    return this.#example(key)
  }

  async submit(...keys: readonly string[]): Promise<void> {
    for (const key of keys) await this.world.submit(this.operation, { key, input: this.input(key) })
  }

  fault(kind: string, options: Parameters<Stage['fault']>[1] = {}): void {
    this.world.inject(fault(kind, options))
  }

  async reaches(key: string, ...states: readonly State[]): Promise<boolean> {
    return await this.world.until(async () => {
      const belief = await this.world.belief(this.operation, key)
      return belief !== null && states.includes(belief.state)
    }, HOUR)
  }

  async rest(limitMs = 6 * DAY): Promise<boolean> {
    const endAt = this.world.now + limitMs
    for (let lookMs = LOOK_MS.from; !(await this.#isAtRest()); lookMs = Math.min(2 * lookMs, LOOK_MS.to)) {
      if (this.world.now >= endAt) return false
      await this.world.advance(lookMs)
    }
    return true
  }

  async #isAtRest(): Promise<boolean> {
    if (this.world.strategy !== 'steward') {
      for (const { operation, key } of this.world.intents) {
        const belief = await this.world.belief(operation, key)
        if (belief !== null && !belief.ended) return false
      }
      return true
    }
    const open = await this.world.observer.list({ states: ['waiting', 'running', 'accepted', 'checking'], limit: 1_000 })
    return open.length === 0
  }

  async call(key: string): Promise<CallView | null> {
    return this.world.strategy === 'steward' ? await this.world.observer.find(this.operation, key) : null
  }

  effects(key: string): readonly LedgerEffect[] {
    return (this.world.providers.get(this.provider)?.ledger.effects ?? []).filter((effect) => effect.businessKey === key)
  }

  requests(key: string): readonly LedgerRequest[] {
    return (this.world.providers.get(this.provider)?.ledger.requests ?? []).filter((request) => request.businessKey === key && !request.isLookup)
  }

  happenedOnce(key: string): boolean {
    return this.effects(key).length === 1 || this.refusedLater(key)
  }

  refusedLater(key: string): boolean {
    return this.effects(key).length === 0 && this.requests(key).some((request) => request.answered === 202)
  }

  expect(holds: boolean, otherwise: string): void {
    if (!holds && !this.findings.includes(otherwise)) this.findings.push(otherwise)
  }

  excuse(rules: readonly Rule[], why: string, keys: readonly string[] | null = null): void {
    this.excuses.push({ rules, why, keys })
  }
}

export const isOver = (state: State): boolean => isEnd(state) || state === 'in_doubt'
