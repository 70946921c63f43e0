/** Deploys, rollbacks, credentials and certificates: the world changes between two attempts. */
import type { Operation } from 'steward'
import type { OperationSource } from '../../contract.ts'
import { ANY_ANSWER, keys, MINUTE, type Plays, type Stage, within } from '../scenario.ts'

/** The release after this one: the next version of the operation, which understands the one before. */
function next(stage: Stage): OperationSource {
  return (client) => {
    const operation = stage.source(client)
    return { ...operation, version: operation.version + 1, upgrade: { ...operation.upgrade, [operation.version]: (input: unknown) => input } } as Operation
  }
}

export const change: Plays = {
  'version-skew-in-flight': {
    does: 'Two releases run side by side in both orders, with calls of both formats waiting, one of them planned for much later.',
    fits: ANY_ANSWER,
    async run(stage) {
      const { world } = stage
      const later = { operations: [next(stage)], release: 'next' }
      await world.submit(stage.operation, { key: 'planned', input: stage.input('planned'), runAt: world.now + 2 * stage.policy.giveUpAfterMs })
      stage.fault('net.answer-lost', { parameters: { times: 1 } })
      await stage.submit(...keys(3))
      // The worker goes first; the web process still writes the old format.
      await world.deploy('a', later)
      await world.submit(stage.operation, { key: 'old-1', input: stage.input('old-1') }, 'b')
      await world.submit(stage.operation, { key: 'new-1', input: stage.input('new-1') }, 'a')
      await world.advance(10 * MINUTE)
      await world.deploy('b', later)
      await stage.rest()
      for (const key of ['old-1', 'new-1', 'planned']) stage.expect(stage.happenedOnce(key), `${key} happened ${stage.effects(key).length} times`)
    },
  },
  'rollback-meets-new-rows': {
    does: 'The next release writes new-format calls, half of them are sent; it is rolled back, then forward again.',
    fits: ANY_ANSWER,
    async run(stage) {
      const { world } = stage
      const later = { operations: [next(stage)], release: 'next' }
      for (const name of ['a', 'b']) await world.deploy(name, later)
      await stage.submit(...keys(3))
      await stage.rest()
      stage.fault('connect.refused', { forMs: MINUTE })
      await stage.submit(...keys(3, 'p'))
      for (const name of ['a', 'b']) await world.deploy(name, { operations: [stage.source], release: 'back' })
      const waitMs = within(stage, 20 * MINUTE)
      await world.advance(waitMs)
      const waiting = await Promise.all(keys(3, 'p').map((key) => stage.call(key)))
      stage.expect(waiting.every((call) => call !== null && call.endedAt === null), `calls that the old release cannot read ended ${waiting.map((call) => call?.state).join(', ')}`)
      stage.expect(waitMs < 5 * MINUTE || world.alerts.some((told) => told.alert.kind === 'not_understood'), 'calls that no running worker understands waited for minutes, and nobody was told')
      for (const name of ['a', 'b']) await world.deploy(name, later)
      await stage.rest()
      for (const key of [...keys(3), ...keys(3, 'p')]) stage.expect(stage.effects(key).length <= 1, `${key} happened ${stage.effects(key).length} times`)
    },
  },
  'flag-reuse-wakes-dead-code': {
    does: 'One forgotten process still runs code that would send for ever; the others have moved on to a version it does not know.',
    fits: ANY_ANSWER,
    async run(stage) {
      const { world } = stage
      let woken = 0
      const dead: OperationSource = (client) => ({ ...stage.source(client), send: () => { woken++; throw new Error('old code was woken') } }) as Operation
      await world.deploy('b', { operations: [dead], release: 'forgotten' })
      await world.deploy('a', { operations: [next(stage)], release: 'next' })
      for (const key of keys(5)) await world.submit(stage.operation, { key, input: stage.input(key) }, 'a')
      await stage.rest()
      stage.expect(woken === 0, `the forgotten process ran its old code ${woken} times for calls of a version it does not know`)
    },
  },
  'credential-rotated-mid-retry': {
    does: 'The credential is refused for ten minutes (or a third of the time that a call has), in the middle of everything.',
    fits: ANY_ANSWER,
    async run(stage) {
      const refusedMs = within(stage, 10 * MINUTE)
      stage.fault('gate.credential-rotated', { forMs: refusedMs })
      await stage.submit(...keys(10))
      await stage.world.advance(refusedMs / 2)
      const states = await Promise.all(keys(10).map(async (key) => (await stage.call(key))?.state))
      stage.expect(states.every((state) => state === 'waiting' || state === 'running'), `calls ended ${[...new Set(states)].join(', ')} because of a credential`)
      stage.expect(stage.world.alerts.some((told) => told.alert.kind === 'operation_held'), 'every call was refused for its credential, and nobody was told')
      const during = stage.world.providers.get(stage.provider)?.ledger.requests.length ?? 0
      stage.expect(during < 60, `${during} requests with a refused credential`)
      await stage.rest()
      for (const key of keys(10)) stage.expect(stage.happenedOnce(key), `${key} happened ${stage.effects(key).length} times`)
    },
  },
  'tls-or-dns-breaks': {
    does: 'The certificate expires, the name resolves to nothing, connections are refused: in turn, then all is well.',
    fits: ANY_ANSWER,
    async run(stage) {
      for (const [index, kind] of ['tls.expired', 'dns.no-name', 'connect.refused', 'connect.times-out'].entries()) {
        stage.fault(kind, { forMs: within(stage, 3 * MINUTE) })
        await stage.submit(`o${index + 1}`)
        await stage.rest()
      }
      await stage.rest()
      for (const key of keys(4)) {
        const call = await stage.call(key)
        stage.expect(call?.state === 'succeeded' || stage.refusedLater(key), `${key} is ${call?.state ?? 'gone'}, although it is certain that nothing had been sent`)
        stage.expect(call?.story.every((entry) => entry.what !== 'closed' || entry.verdict !== 'unknown') === true, `${key}: an attempt that never left was taken for doubt`)
      }
    },
  },
}

