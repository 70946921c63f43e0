/** When an answer is missing. */
import { ANY_ANSWER, MINUTE, type Plays, SECOND } from '../scenario.ts'

export const ambiguousCall: Plays = {
  'response-lost-after-effect': {
    does: 'The effect happens and the connection is reset before the answer arrives, once; then three times in a row for a second call.',
    fits: ANY_ANSWER,
    async run(stage) {
      stage.fault('net.answer-lost', { parameters: { times: 1 } })
      await stage.submit('o1')
      await stage.rest()
      stage.fault('net.answer-lost', { parameters: { times: 3 } })
      await stage.submit('o2')
      await stage.rest()
      for (const key of ['o1', 'o2']) stage.expect(stage.effects(key).length > 0 || stage.refusedLater(key), `${key} never happened, although every request arrived`)
    },
  },
  'timeout-below-provider-latency': {
    does: 'The provider needs longer than the attempt may take, twice, and succeeds; its answers come when nobody listens.',
    fits: ANY_ANSWER,
    async run(stage) {
      stage.fault('keys.in-flight', { parameters: { ms: stage.policy.timeoutMs + 5 * SECOND, times: 2 } })
      await stage.submit('o1')
      await stage.rest()
    },
  },
  'crash-between-send-and-record': {
    does: 'The process is killed between its begin and the first byte, while the provider works, as the answer arrives, and with the answer in hand.',
    fits: ANY_ANSWER,
    async run(stage) {
      const deaths = ['worker.dies-after-begin', 'worker.dies-before-leaving', 'worker.dies-while-provider-works', 'worker.dies-on-answer', 'worker.dies-before-record']
      for (const [index, death] of deaths.entries()) {
        stage.fault(death)
        await stage.submit(`o${index + 1}`)
        await stage.rest()
      }
      stage.expect(stage.world.faults.filter((fault) => fault.kind.startsWith('worker.dies')).every((fault) => fault.hits > 0), 'not every death was met: the run did not show what it should')
    },
  },
  'hidden-retry-in-the-client': {
    does: 'What is below the operation sends each request a second time by itself.',
    // Where the provider knows no key, two requests below us are two effects: the wire gate refuses those that a client makes in this process (its own tests), and nobody those of a proxy.
    fits: ['providerKey', 'natural'],
    async run(stage) {
      stage.excuse(['begun-before-sent'], 'a layer below sends on its own')
      stage.fault('net.sent-twice', { parameters: { times: 3 } })
      await stage.submit('o1', 'o2', 'o3')
      await stage.rest()
    },
  },
  'cancelled-while-in-flight': {
    does: 'Somebody cancels while the request is at the provider: once with an answer to come, once with the answer lost.',
    fits: ANY_ANSWER,
    async run(stage) {
      const cancel = async (key: string): Promise<void> => {
        await stage.reaches(key, 'running')
        await stage.world.until(() => stage.requests(key).length > 0, MINUTE)
        const refused = await stage.world.operate({ do: 'cancel', operation: stage.operation, key, by: 'ana@example.com', why: 'the customer changed their mind' })
        stage.expect(refused === null, `the cancel was refused: ${refused}`)
      }
      stage.fault('provider.slow', { parameters: { ms: 3 * SECOND, times: 1 } })
      await stage.submit('o1')
      await cancel('o1')
      await stage.rest()
      stage.fault('provider.slow', { parameters: { ms: 3 * SECOND, times: 1 } })
      stage.fault('net.answer-lost', { parameters: { times: 1 } })
      await stage.submit('o2')
      await cancel('o2')
      await stage.rest()
      for (const key of ['o1', 'o2']) {
        const call = await stage.call(key)
        stage.expect(call?.state !== 'cancelled' || stage.effects(key).length === 0, `${key} says "cancelled", and the provider did it`)
        stage.expect((call?.attempts ?? 0) <= 1, `${key} was sent again after the cancel`)
      }
    },
  },
}
