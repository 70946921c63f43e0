/** Who is told, who decides, and what they can see. */
import type { Operation } from 'steward'
import type { OperationSource } from '../../contract.ts'
import { ANY_ANSWER, keys, MINUTE, type Plays } from '../scenario.ts'

const ANA = { by: 'ana@example.com', why: 'the lab asked for it' }

export const people: Plays = {
  'exhausted-and-nobody-told': {
    does: 'The provider cannot be reached until calls are given up, while the route of the alerts is broken, too.',
    fits: ANY_ANSWER,
    async run(stage) {
      stage.fault('connect.refused', { forMs: stage.policy.giveUpAfterMs + 5 * MINUTE })
      await stage.submit(...keys(5))
      await stage.world.advance(stage.policy.giveUpAfterMs - MINUTE)
      stage.fault('operator.alert-route-down', { forMs: 10 * MINUTE })
      await stage.world.advance(20 * MINUTE)
      await stage.rest()
      for (const key of keys(5)) {
        const call = await stage.call(key)
        stage.expect(call?.state === 'exhausted', `${key} is ${call?.state ?? 'gone'} after its time was spent`)
        const told = new Set(stage.world.alerts.filter(({ alert }) => alert.key === key && alert.kind === 'exhausted').map(({ alert }) => alert.id))
        stage.expect(told.size === 1, `${told.size} people's alerts for ${key}`)
      }
    },
  },
  'redrive-duplicates-effects': {
    does: 'Some calls were given up, some happened, some are in doubt; somebody redrives everything, twice.',
    fits: ANY_ANSWER,
    async run(stage) {
      await stage.submit(...keys(3, 'done'))
      stage.fault('net.answer-lost', { parameters: { times: 2 } })
      await stage.submit(...keys(2, 'doubt'))
      await stage.rest()
      stage.fault('connect.refused', { forMs: stage.policy.giveUpAfterMs + 5 * MINUTE })
      await stage.submit(...keys(3, 'spent'))
      await stage.world.advance(stage.policy.giveUpAfterMs + 10 * MINUTE)
      for (let press = 0; press < 2; press++) await stage.world.operate({ do: 'redrive_many', operation: stage.operation, ...ANA })
      await stage.rest()
      for (const key of keys(3, 'spent')) stage.expect(stage.happenedOnce(key), `${key} happened ${stage.effects(key).length} times after it was redriven twice`)
    },
  },
  'no-thread-to-pull': {
    does: 'After a night of lost answers, deaths and refusals, every call is asked: what happened to you?',
    fits: ANY_ANSWER,
    async run(stage) {
      stage.fault('net.answer-lost', { parameters: { times: 4 } })
      stage.fault('provider.declines', { parameters: { times: 2 } })
      stage.fault('connect.refused', { forMs: MINUTE })
      stage.fault('worker.dies-on-answer')
      await stage.submit(...keys(12))
      await stage.rest()
      for (const key of keys(12)) {
        const { title, lines, answers } = await stage.world.observer.tell(stage.operation, key)
        stage.expect(lines.length > 0 && title.includes(key), `the story of ${key} tells nothing`)
        stage.expect(Object.values(answers).every((answer) => answer.trim() !== ''), `one of the four questions about ${key} has no answer`)
        const [effect] = stage.effects(key)
        stage.expect(effect === undefined || answers.happened.startsWith('Yes') || answers.happened.startsWith('Possibly'), `it happened to ${key}, and the story answers "${answers.happened}"`)
      }
    },
  },
  'secrets-and-pii-in-logs': {
    does: 'Secrets are planted in a redacted field, in the message, headers and configuration of an error, and in its cause.',
    fits: ANY_ANSWER,
    async run(stage) {
      const { world } = stage
      const secret = 'sk_live_4711canary'
      let thrown = 0
      const leaky: OperationSource = (client) => {
        const operation = stage.source(client)
        return {
          ...operation,
          redact: [...(operation.redact ?? []), 'card'],
          send: (input: unknown, context: Parameters<Operation['send']>[1]) => {
            thrown++
            if (thrown > 2) return operation.send(input, context)
            const about = { headers: { authorization: `Bearer ${secret}` }, url: `https://api.example.com/?key=${secret}` }
            throw Object.assign(new Error(`connect ECONNREFUSED with ${secret}`, { cause: Object.assign(new Error(secret), { code: 'ECONNREFUSED', syscall: 'connect', port: 443 }) }), { config: about, request: about, code: 'ECONNREFUSED', syscall: 'connect', port: 443 })
          },
        } as Operation
      }
      for (const name of ['a', 'b']) await world.deploy(name, { operations: [leaky], release: 'leaky' })
      const input = stage.input('o1')
      const carded = typeof input === 'object' && input !== null && !Array.isArray(input) ? { ...input, card: secret } : input
      await world.submit(stage.operation, { key: 'o1', input: carded })
      await stage.rest()
      const call = await world.ask(() => world.process('a').find(stage.operation, 'o1'))
      const telling = await world.ask(() => world.process('a').tell(stage.operation, 'o1'))
      const alerts = await world.ask(() => world.process('a').alerts({ limit: 100 }))
      const sinks = { 'the call as the API shows it': call, 'its story': telling, 'the alerts': alerts, 'the logs and the trace': world.trace, 'what people were told': world.alerts }
      for (const [name, text] of Object.entries(sinks)) stage.expect(!JSON.stringify(text).includes(secret), `a secret stands in ${name}`)
      stage.expect(thrown > 2, 'the leaky release was not met: the run did not show what it should')
    },
  },
}
