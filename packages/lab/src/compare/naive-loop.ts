/**
 * Baseline N0: the loop in memory. Five tries, a client limit of 10 s, waits of 1, 2, 4, 8 s without jitter, another try
 * on any throw, a key made inside the try, nothing stored. What it gives up is a line in a log.
 */
import type { Json, SubmitOptions } from 'steward'
import type { Belief, Carrier, ProcessParts } from '../contract.ts'
import { operationOf, sendOnce } from './sending.ts'

const TRIES = 5
const FIRST_WAIT_MS = 1_000

export function naiveLoop(parts: ProcessParts): Carrier {
  const beliefs = new Map<string, Belief>()
  const idOf = (operation: string, key: string): string => JSON.stringify([operation, key])

  const run = async (name: string, { key, input }: SubmitOptions<Json>): Promise<void> => {
    const operation = operationOf(parts, name)
    const believe = (belief: Omit<Belief, 'result'>, result: Json = null): void => void beliefs.set(idOf(name, key), { ...belief, result })
    for (let attempt = 1; attempt <= TRIES; attempt++) {
      believe({ effect: 'unknown', ended: false, state: 'running', attempts: attempt })
      const sent = await sendOnce(parts, operation, input, key, parts.system.identity(), attempt)
      if (sent.ok) return believe({ effect: 'happened', ended: true, state: 'succeeded', attempts: attempt }, sent.result)
      if (attempt < TRIES) await new Promise<void>((resolve) => void parts.system.after(FIRST_WAIT_MS * 2 ** (attempt - 1), resolve))
      else parts.log.error(`${name} ${key} gave up: ${sent.why}`)
    }
    believe({ effect: 'did_not_happen', ended: true, state: 'exhausted', attempts: TRIES })
  }

  return {
    submit(operation, options) {
      run(operation, options).catch((error: unknown) => parts.log.error(String(error)))
      return Promise.resolve()
    },
    belief: (operation, key) => Promise.resolve(beliefs.get(idOf(operation, key)) ?? null),
    /** Nothing is handed over: what waits for its next try is gone with the process. */
    close: () => Promise.resolve(),
  }
}
