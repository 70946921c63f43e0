/** What is known of a failure mode, apart from the scenario that plays it. */
import type { InvariantId } from './invariants.ts'

/** Where a fact comes from, and how it was checked. */
export type Source = { readonly title: string; readonly url: string; readonly checked: 'read' | 'summary' | 'known' }

export type Incident = { readonly what: string; readonly cost?: string; readonly source: Source }

export type Theme = 'ambiguous call' | 'identity' | 'meaning' | 'load' | 'ownership and time' | 'store' | 'change' | 'people'

export type ScenarioFacts = {
  readonly id: string
  readonly title: string
  /** 1: loses or doubles effects, or hides it. 2: next. */
  readonly tier: 1 | 2
  readonly theme: Theme
  /** To be asked of an operation before it is built. */
  readonly question: string
  readonly incidents: readonly Incident[]
  readonly invariants: readonly InvariantId[]
  /** What becomes of it in an in-memory retry loop. */
  readonly naive: { readonly outcome: string; readonly what: string }
  /** What still breaks in a competent durable queue with a stable key. */
  readonly queue: string
}
