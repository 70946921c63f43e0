/** What an answer means. */
import { ANY_ANSWER, HOUR, keys, MINUTE, type Plays, SECOND } from '../scenario.ts'

/** Providers that take a request and do the work later. */
const LATER = ['later-payouts'] as const

export const meaning: Plays = {
  'ok-status-error-body': {
    does: 'A success whose body is cut off, after the effect; and a refusal in the provider\'s own words.',
    fits: ANY_ANSWER,
    async run(stage) {
      stage.fault('net.answer-garbled', { parameters: { times: 1 } })
      await stage.submit('o1')
      await stage.rest()
      stage.fault('provider.declines', { parameters: { times: 1 } })
      await stage.submit('o2')
      await stage.rest()
      stage.expect((await stage.call('o2'))?.state === 'rejected', `a declined payment was recorded as ${(await stage.call('o2'))?.state ?? 'nothing'}`)
    },
  },
  'accepted-then-failed-later': {
    does: 'Thirty payouts are accepted; some fail later, and the provider says so by webhook, or only when asked.',
    fits: ['providerKey'],
    providers: LATER,
    async run(stage) {
      await stage.submit(...keys(30))
      await stage.rest()
      const states = await Promise.all(keys(30).map(async (key) => (await stage.call(key))?.state))
      stage.expect(states.includes('rejected'), 'no payout failed later: the run did not show what it should')
    },
  },
  'partial-batch-success': {
    does: 'Ten items, a call each: three are refused, and one answer is lost.',
    fits: ANY_ANSWER,
    async run(stage) {
      stage.fault('provider.declines', { parameters: { times: 3 } })
      stage.fault('net.answer-lost', { parameters: { times: 1 } })
      await stage.submit(...keys(10))
      await stage.rest()
      const done = keys(10).filter((key) => stage.happenedOnce(key)).length
      stage.expect(done >= 7 && done <= 10, `${done} of ten items happened once; three were refused`)
    },
  },
  'retrying-what-cannot-succeed': {
    does: 'The provider refuses for good.',
    fits: ANY_ANSWER,
    async run(stage) {
      stage.fault('provider.declines', { parameters: { times: 50 } })
      await stage.submit('o1')
      await stage.rest()
      const call = await stage.call('o1')
      stage.expect(call?.state === 'rejected', `it is ${call?.state ?? 'gone'}, not rejected`)
      stage.expect(stage.requests('o1').length === 1, `a final refusal was asked for ${stage.requests('o1').length} times`)
    },
  },
  'amount-or-currency-drift': {
    does: 'Amounts at the edges go from the caller to the provider\'s books.',
    fits: ANY_ANSWER,
    async run(stage) {
      const { amount: usual } = (stage.input('o0') ?? {}) as { readonly amount?: unknown }
      if (typeof usual !== 'number') {
        await stage.submit('o1')
        await stage.rest()
        return
      }
      const amounts = [1, 99, 100, 101, 2 ** 31 - 1, 2 ** 31, 10 ** 12]
      for (const [index, amount] of amounts.entries()) {
        const key = `o${index + 1}`
        await stage.world.submit(stage.operation, { key, input: { ...(stage.input(key) as object), amount } })
      }
      await stage.rest()
      const made = stage.world.intents.filter((intent) => intent.refused === null)
      for (const { key, input } of made) {
        const asked = (input as { readonly amount: number }).amount
        stage.expect(stage.effects(key).every((effect) => effect.amount === null || effect.amount === asked), `${key}: the provider's books say ${stage.effects(key)[0]?.amount ?? 'nothing'}, ${asked} was asked`)
      }
    },
  },
  'webhook-early-twice-or-reordered': {
    does: 'The webhook comes three times before the answer does, then an older "not yet"; for a second call the answer is lost and only the webhook tells.',
    fits: ANY_ANSWER,
    async run(stage) {
      const tell = async (key: string, repeat: number): Promise<void> => {
        await stage.world.until(() => stage.effects(key).length > 0, 10 * MINUTE)
        const [effect] = stage.effects(key)
        if (effect === undefined) return stage.expect(stage.refusedLater(key), `${key} never reached the provider: the run did not show what it should`)
        stage.world.webhook({ operation: stage.operation, key, says: 'applied', reference: effect.reference, eventAt: effect.at, repeat, afterMs: 100 })
        stage.world.webhook({ operation: stage.operation, key, says: 'refuted', eventAt: effect.at - 5_000, afterMs: 2_000 })
        await stage.world.advance(5 * SECOND)
      }
      stage.fault('net.answer-slow', { parameters: { ms: 2 * SECOND, times: 1 } })
      await stage.submit('o1')
      await tell('o1', 3)
      stage.fault('net.answer-lost', { parameters: { times: 1 } })
      await stage.submit('o2')
      await tell('o2', 1)
      await stage.rest()
      for (const key of ['o1', 'o2']) stage.expect((await stage.call(key))?.state === 'succeeded' || stage.refusedLater(key), `${key} is ${(await stage.call(key))?.state ?? 'gone'}, although the provider said that it happened`)
      stage.expect(!stage.world.alerts.some((told) => told.alert.kind === 'effect_twice'), 'one effect, told several times, was taken for two')
    },
  },
  'effects-out-of-order': {
    does: 'Two calls about the same thing: the first is slow, the second is submitted while it hangs.',
    fits: ANY_ANSWER,
    waitsFor: { what: 'strict order within a group' },
    async run(stage) {
      stage.fault('provider.slow', { parameters: { ms: Math.round(stage.policy.timeoutMs * 0.8), times: 1 } })
      await stage.world.submit(stage.operation, { key: 'charge-1', input: stage.input('charge-1'), group: 'order-1' })
      await stage.world.until(() => stage.requests('charge-1').length > 0, MINUTE)
      await stage.world.submit(stage.operation, { key: 'refund-1', input: stage.input('refund-1'), group: 'order-1' })
      await stage.rest(HOUR)
      const [charge, refund] = [stage.effects('charge-1')[0]?.at, stage.effects('refund-1')[0]?.at]
      stage.expect(charge !== undefined && refund !== undefined && charge <= refund, 'the second effect overtook the first')
    },
  },
}
