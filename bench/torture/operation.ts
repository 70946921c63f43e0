/** The operations under torture, with each of the four answers. */
import { defineOperation, type IdempotencyAnswer, type LookupContext, type LookupResult, natural, none, type Operation, type OperationDefinition, providerKey, reconcile, referenced } from 'steward'
import * as z from 'zod'
import { SETTLE } from './application.ts'
import type { Answer, Numbers } from './numbers.ts'
import { CARRIERS } from './wire.ts'

export type Input = { readonly key: string; readonly amount: number }
export type Result = { readonly reference: string }

export type TortureOperation = Operation<Input, Input, Result>

export type TortureOperations = {
  /** Tells the application nothing: its ends are recorded many at a time. */
  readonly effect: TortureOperation
  /** Of the application's orders: each is told of its end in the transaction that records it. */
  readonly order: TortureOperation
}

export type OperationOptions = {
  readonly answer: Answer
  readonly port: number
  readonly numbers: Numbers
  /** Told when an answer was heard, before anybody else knows of it. */
  readonly answered?: (key: string, attempt: number) => void
}

export function tortureOperations(options: OperationOptions): TortureOperations {
  const definition = definitionOf(options)
  return {
    effect: defineOperation<Input, Input, Result>(definition),
    order: defineOperation<Input, Input, Result>({
      ...definition,
      name: 'torture-order',
      onSettled: async (outcome, { tx, call }) => void (await tx?.run(SETTLE, call.key, outcome.state)),
    }),
  }
}

function definitionOf({ answer, port, numbers, answered }: OperationOptions): OperationDefinition<Input, Input, Result> {
  const url = `http://127.0.0.1:${port}/effects`
  return {
    name: 'torture-effect',
    provider: 'torturer',
    input: z.object({ key: z.string(), amount: z.int() }),
    idempotency: answerOf(answer, url, numbers),
    timeout: numbers.timeoutMs,
    giveUpAfter: '1h',
    backoff: { base: numbers.backoffBaseMs, cap: numbers.backoffCapMs },
    holdAfter: { refusals: 10, doubts: 200 },
    async send(input, { idempotencyKey, signal, fetch, call }) {
      const carry = CARRIERS[(call.attempt + input.amount) % CARRIERS.length] ?? CARRIERS[0]
      const headers = { 'content-type': 'application/json', 'idempotency-key': idempotencyKey, 'x-key': call.key, 'x-attempt': String(call.attempt) }
      const reply = await carry({ method: answer === 'natural' ? 'PUT' : 'POST', url, headers, body: JSON.stringify(input), signal }, fetch)
      if (reply.status !== 200) throw Object.assign(new Error(`the provider answered ${reply.status}`), { status: reply.status, headers: reply.headers })
      const { reference } = JSON.parse(reply.text) as Result
      answered?.(call.key, call.attempt)
      return referenced({ reference }, reference)
    },
  }
}

function answerOf(answer: Answer, url: string, numbers: Numbers): IdempotencyAnswer<Input, Result> {
  const lookup = (input: Input, context: LookupContext): Promise<LookupResult<Result>> => lookUp(url, input, context)
  const asking = { settle: numbers.settleMs, lookupEvery: numbers.lookupEveryMs, lookupFor: '1h' }
  switch (answer) {
    case 'providerKey': return providerKey<Input, Result>({ retention: numbers.retentionMs, lookup, ...asking, verdict: declinedIsFinal })
    case 'reconcile': return reconcile<Input, Result>(lookup, asking)
    case 'natural': return natural('PUT of the whole document')
    case 'none': return none('the provider has neither keys nor a lookup')
  }
}

/** This provider looks up the key first: what it declines now, it never did before under that key. */
function declinedIsFinal(error: unknown): { readonly kind: 'rejected'; readonly reason: string; readonly status: number; readonly conclusive: true } | undefined {
  const status = typeof error === 'object' && error !== null && 'status' in error ? error.status : undefined
  return status === 402 ? { kind: 'rejected', reason: 'declined', status, conclusive: true } : undefined
}

async function lookUp(url: string, input: Input, { fetch, signal }: LookupContext): Promise<LookupResult<Result>> {
  const response = await fetch(`${url}?key=${encodeURIComponent(input.key)}`, { signal })
  if (response.status !== 200) return { cannotTell: `answered ${response.status}` }
  const { reference } = (await response.json()) as { reference: string | null }
  return reference === null ? { absent: true } : { found: { reference }, reference }
}
