/**
 * An API that follows the IETF draft "The Idempotency-Key HTTP Header Field".
 *
 *  - The server publishes how long it remembers a key: there is no default, so say it. [draft-ietf-httpapi-idempotency-key-header]
 *  - A repeat gets the result of the completed request, success or error. [draft]
 *  - Still running under the same key: 409, and nothing to correct. [draft]
 *  - Same key, other payload: 422. The status alone does not tell it from a failed validation; the draft's example has a
 *    problem document that names the key, and only that is read as doubt. [draft; the reading is ours]
 *  - A missing key: 400. [draft]
 *  - The draft marks no replays. Where the server does (`idempotent-replayed: true`), name the header.
 */
import type { Duration } from '../core/duration.ts'
import type { FailureVerdict } from '../core/verdict.ts'
import type { Tried } from '../core/verdict-of.ts'
import type { IdempotencyAnswer } from '../ports/definition.ts'
import { type ProviderAnswer, textAt } from './error-shape.ts'
import { preset, type PresetOptions, type Refine, spent } from './preset.ts'

export type IetfDraftOptions<Input, Result> = PresetOptions<Input, Result> & {
  /** How long the server's policy says that keys are remembered. */
  readonly retention: Duration
  /** Name of the provider: the scope of pauses and Retry-After. Default: the operation's name. */
  readonly provider?: string
  /** Header that is `true` on replays, if the server sends one: `idempotent-replayed`. */
  readonly replayedHeader?: string
}

function refineBy(replayedHeader: string | undefined): Refine {
  return (answer: ProviderAnswer, general: FailureVerdict & Tried): FailureVerdict | undefined => {
    if (answer.status === 422 && namesTheKey(answer)) return spent(answer, 'the key belongs to a request with another payload, which may have happened')
    const isReplay = replayedHeader !== undefined && answer.header(replayedHeader.toLowerCase()) === 'true'
    if (!isReplay) return undefined
    if (general.kind === 'unknown') return spent(answer, 'a replay of the stored answer, which never changes')
    return general.kind === 'rejected' ? { ...general, conclusive: true } : undefined
  }
}

function namesTheKey(answer: ProviderAnswer): boolean {
  return ['type', 'title', 'detail'].some((member) => /idempotency[\s_-]?key|\/idempotency\b/i.test(textAt(answer.body, member) ?? ''))
}

/** Answer for an API after the IETF draft. Pass `context.idempotencyKey` as the header `Idempotency-Key`. */
export function ietfDraft<Input = unknown, Result = unknown>(options: IetfDraftOptions<Input, Result>): IdempotencyAnswer<Input, Result> {
  const { replayedHeader, provider, ...rest } = options
  return preset(
    {
      ...(provider === undefined ? {} : { provider }),
      reason: 'the provider follows the IETF draft: a repeated key gets the first result',
      retention: options.retention, settle: '2m', absences: 1, refine: refineBy(replayedHeader),
    },
    rest,
  )
}
