/** The parts of one process that its worker is made of; wired together in `steward.ts`. */
import type { Store } from '../ports/store.ts'
import type { Failpoints, Log, System } from '../ports/system.ts'
import type { Witness } from '../witness/index.ts'
import type { ControlsCopy } from './controls.ts'
import type { LeaseKeeper } from './lease.ts'
import type { Recorder } from './recorder.ts'
import type { Registry } from './registry.ts'

export type Parts = {
  readonly store: Store
  readonly system: System
  readonly log: Log
  readonly registry: Registry
  readonly controls: ControlsCopy
  readonly keeper: LeaseKeeper
  readonly recorder: Recorder
  readonly witness: Witness
  /** Names the deploy in stories. */
  readonly release: string | null
  readonly failpoints: Failpoints | null
}
