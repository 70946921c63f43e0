/**
 * Faults in force: rules that are asked at each step, in the order in which they were set. A rule may be struck a
 * number of times, for a while, with a chance; it counts what it struck.
 */
import type { Fault, InjectedFault } from '../contract.ts'
import type { Random } from '../sim/random.ts'
import type { Act, AnswerAct, ArriveAct, ConnectAct, Mischief, Step, StoreAct, StoreStep, WireStep, WorkAct } from './steps.ts'

export type Rule = {
  readonly fault: Injected
  readonly at: Step['at']
  matches(step: Step): boolean
  act(step: Step, random: Random): Act | null
  readonly chance: number
  left: number
}

export type Injected = { -readonly [K in keyof InjectedFault]: InjectedFault[K] }

export class FaultBoard implements Mischief {
  readonly injected: Injected[] = []
  readonly #random: Random
  readonly #now: () => number
  #rules: Rule[] = []

  constructor(random: Random, now: () => number) {
    this.#random = random
    this.#now = now
  }

  /** Notes that a fault is in force from now on. */
  note(fault: Fault): Injected {
    const now = this.#now()
    const injected: Injected = { ...fault, at: now, untilAt: fault.forMs === null ? null : now + fault.forMs, hits: 0 }
    this.injected.push(injected)
    return injected
  }

  set(rule: Rule): void {
    this.#rules.push(rule)
  }

  /** Ends all that lasts. */
  clear(): void {
    this.#rules = []
  }

  /** Ends one fault. */
  lift(fault: Injected): void {
    this.#rules = this.#rules.filter((rule) => rule.fault !== fault)
  }

  store(step: StoreStep): StoreAct | null { return this.#ask(step) as StoreAct | null }
  connect(step: WireStep): ConnectAct | null { return this.#ask(step) as ConnectAct | null }
  arrive(step: WireStep): ArriveAct | null { return this.#ask(step) as ArriveAct | null }
  work(step: WireStep): WorkAct | null { return this.#ask(step) as WorkAct | null }
  answer(step: WireStep): AnswerAct | null { return this.#ask(step) as AnswerAct | null }

  #ask(step: Step): Act | null {
    if (this.#rules.length === 0) return null
    const now = this.#now()
    if (this.#rules.some((rule) => isOver(rule, now))) this.#rules = this.#rules.filter((rule) => !isOver(rule, now))
    for (const rule of this.#rules) {
      if (rule.at !== step.at || !rule.matches(step)) continue
      if (rule.chance < 1 && this.#random() >= rule.chance) continue
      const act = rule.act(step, this.#random)
      if (act === null) continue
      rule.left--
      rule.fault.hits++
      return act
    }
    return null
  }
}

const isOver = (rule: Rule, now: number): boolean => rule.left <= 0 || (rule.fault.untilAt !== null && now >= rule.fault.untilAt)
