/** Keys: which two requests are one effect, and for how long the provider remembers. */
import { ANY_ANSWER, MINUTE, type Plays, SECOND } from '../scenario.ts'

export const identity: Plays = {
  'key-regenerated-per-attempt': {
    does: 'The first answer is lost, the worker dies, and another process sends again: the key must be the same one.',
    fits: ['providerKey'],
    async run(stage) {
      stage.fault('net.answer-lost', { parameters: { times: 1 } })
      stage.fault('worker.dies-on-answer')
      await stage.submit('o1', 'o2')
      await stage.rest()
      for (const key of ['o1', 'o2']) stage.expect(new Set(stage.requests(key).map((request) => request.providerKey)).size <= 1, `${key} was sent under more than one key`)
    },
  },
  'key-reused-for-another-payload': {
    does: 'The business event changes, and is submitted again under the key it had.',
    fits: ANY_ANSWER,
    async run(stage) {
      await stage.submit('o1')
      const other = await stage.world.submit(stage.operation, { key: 'o1', input: stage.input('another') })
      stage.expect(other.refused?.includes('STEWARD_KEY_REUSED') === true, 'another input under the same key was not refused to the caller\'s face')
      await stage.rest()
      stage.expect(stage.requests('o1').length <= 1, 'the changed input was sent')
    },
  },
  'key-window-expired-before-last-retry': {
    does: 'The effect happens, the answer is lost, and the provider is away until it has forgotten the key.',
    fits: ['providerKey'],
    async run(stage) {
      const { retentionMs } = stage.policy
      stage.fault('net.answer-lost', { parameters: { times: 1 } })
      await stage.submit('o1')
      await stage.world.until(() => stage.effects('o1').length > 0, MINUTE)
      stage.fault('gate.outage', { forMs: retentionMs + 10 * MINUTE })
      await stage.world.advance(retentionMs + 15 * MINUTE)
      if (stage.policy.lookupForMs < retentionMs + 10 * MINUTE) stage.excuse(['decided'], 'the provider could not be asked for as long as the operation asks')
      await stage.rest()
      const first = stage.requests('o1')[0]?.arrivedAt ?? 0
      stage.expect(stage.requests('o1').every((request) => request.arrivedAt - first <= retentionMs), 'it was sent again after the key may have been forgotten')
    },
  },
  'key-conflict-while-first-runs': {
    does: 'The first request runs on at the provider after we stopped listening; the second is told that it is still running.',
    fits: ['providerKey'],
    async run(stage) {
      stage.fault('keys.in-flight', { parameters: { ms: stage.policy.timeoutMs + 30 * SECOND, times: 1 } })
      await stage.submit('o1')
      await stage.rest()
      stage.expect((await stage.call('o1'))?.state === 'succeeded' || stage.refusedLater('o1'), 'a conflict with our own first request was taken for a failure')
    },
  },
  'cached-error-replayed': {
    does: 'The provider answers 500, once after the effect and once before it, and keeps that answer under the key where it does so.',
    fits: ['providerKey'],
    async run(stage) {
      stage.fault('provider.error-after', { parameters: { times: 1 } })
      await stage.submit('o1')
      await stage.rest()
      stage.fault('provider.error-before', { parameters: { times: 1 } })
      await stage.submit('o2')
      await stage.rest()
      for (const key of ['o1', 'o2']) stage.expect(stage.requests(key).length < 20, `${key} was sent ${stage.requests(key).length} times for an answer that never changes`)
    },
  },
  'duplicate-user-submit': {
    does: 'The same order is submitted through two processes at once, and again later; another order of the same amount is not the same.',
    fits: ANY_ANSWER,
    async run(stage) {
      const { world } = stage
      const input = stage.input('o1')
      const [one = 'a', other = 'b'] = world.processes
      const both = [world.submit(stage.operation, { key: 'o1', input }, one), world.submit(stage.operation, { key: 'o1', input }, other)]
      await Promise.all(both)
      await world.advance(3 * SECOND)
      await world.submit(stage.operation, { key: 'o1', input }, other)
      await stage.submit('o2')
      await stage.rest()
      for (const key of ['o1', 'o2']) stage.expect(stage.happenedOnce(key), `${key} happened ${stage.effects(key).length} times`)
    },
  },
}
