/** What a call's row holds beside its two texts, and conditions that several statements state. */
import type { State } from '../core/call.ts'

/** Everything but the states that nearly every call passes through: those are in no index, so that a begin touches none. */
export function rareState(state: State): State | null {
  return state === 'waiting' || state === 'running' ? null : state
}


export const numberOr = (value: unknown): number | null => (value === null || value === undefined ? null : Number(value))

/** Whether a worker's row is there under its epoch, unfenced. */
export function alive(s: string, worker: string, epoch: string): string {
  return `EXISTS (SELECT 1 FROM ${s}steward_worker AS a WHERE a.worker = ${worker} AND a.epoch = ${epoch} AND a.fenced = 0)`
}

/** The same for a batch: those of the workers named in the parameter that are. Looked up once, however many writes name them. */
export function living(s: string, workers: string): string {
  return `living AS MATERIALIZED (SELECT a.worker, a.epoch FROM ${s}steward_worker AS a WHERE a.worker = ANY (${workers}::text[]) AND a.fenced = 0)`
}
export const lives = (worker: string, epoch: string): string => `(${worker}, ${epoch}) IN (SELECT worker, epoch FROM living)`

/** The revision of the controls, as of this statement. */
export const controlsRev = (s: string): string => `(SELECT rev FROM ${s}steward_control_rev)`

/**
 * Names the table of the controls' revision in a statement so that its lock is held until the statement's commit, without
 * locking a row. Who changes a control waits for every such statement, and those that come later wait for the change and
 * read it: a begin can never be committed after a pause that it has not seen.
 */
export const controlsLatch = (s: string): string => `latch AS (SELECT FROM ${s}steward_control_rev WHERE false FOR KEY SHARE)`
