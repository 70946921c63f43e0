/** The database under the calls. */
import { ANY_ANSWER, HOUR, keys, MINUTE, type Plays, SECOND, type Stage } from '../scenario.ts'

/** Nobody sends, and somebody is told, until a person has said what was lost. */
async function expectHeld(stage: Stage, sent: number): Promise<void> {
  const { world } = stage
  if (world.strategy !== 'steward') return
  stage.expect((await world.observer.controls()).some((control) => control.kind === 'store'), 'the database was set back, and nothing is held')
  stage.expect(world.alerts.some(({ alert }) => alert.kind === 'database_set_back'), 'the database was set back, and nobody was told')
  stage.expect(requestsOf(stage) === sent, 'requests left before anybody had said what the database lost')
}

const requestsOf = (stage: Stage): number => stage.world.providers.get(stage.provider)?.ledger.requests.length ?? 0

/** Where nothing can be asked by the engine, a person reads the provider's own list before anything is sent again. */
function confirmListed(stage: Stage, ...forKeys: readonly string[]): void {
  if (stage.answer !== 'none') return
  for (const key of forKeys) for (const effect of stage.effects(key)) stage.world.webhook({ operation: stage.operation, key, says: 'applied', reference: effect.reference, eventAt: effect.at })
}

export const store: Plays = {
  'database-slow-or-pool-drained': {
    does: 'Each request of the database takes two seconds, then its connections are used up, while the provider is slow, too.',
    fits: ANY_ANSWER,
    async run(stage) {
      stage.fault('db.slow', { forMs: MINUTE, parameters: { ms: 2 * SECOND } })
      stage.fault('provider.slow', { parameters: { ms: 5 * SECOND, times: 5 } })
      await stage.submit('o1', 'o2')
      await stage.world.advance(MINUTE)
      stage.fault('pool.drained', { forMs: MINUTE })
      await stage.submit('o3', 'o4')
      await stage.world.advance(2 * MINUTE)
      const open = stage.world.intents.filter((intent) => intent.acknowledgedAt === null && intent.refused === null)
      stage.expect(open.length === 0, `${open.length} callers were neither acknowledged nor refused`)
      await stage.rest()
    },
  },
  'failover-loses-commits': {
    does: 'The database comes back without its last five seconds, in which calls were acknowledged, sent and done; callers submit again before anybody has said so.',
    fits: ANY_ANSWER,
    async run(stage) {
      stage.excuse(['kept', 'settled', 'wanted', 'begun-before-sent', 'loud', 'replays'], 'the contract holds for what the database kept')
      await stage.submit('o1')
      await stage.world.advance(2 * SECOND)
      stage.fault('db.loses-commits', { parameters: { ms: 5 * SECOND } })
      await stage.submit('o2', 'o3')
      await stage.world.advance(4_500)
      const sent = requestsOf(stage)
      await stage.world.advance(6 * SECOND)
      await stage.submit('o2', 'o3')
      await stage.world.advance(10 * SECOND)
      await expectHeld(stage, sent)
      confirmListed(stage, 'o2', 'o3')
      await stage.world.advance(2 * MINUTE)
      await stage.rest()
      for (const key of ['o1', 'o2', 'o3']) stage.expect(stage.happenedOnce(key), `${key} happened ${stage.effects(key).length} times`)
    },
  },
  'disk-full': {
    does: 'Nothing can be written for half a minute: at intake, and between the effect and its record.',
    fits: ANY_ANSWER,
    async run(stage) {
      stage.fault('net.answer-slow', { parameters: { ms: 2 * SECOND, times: 1 } })
      await stage.submit('o1')
      await stage.world.until(() => stage.effects('o1').length > 0, MINUTE)
      stage.fault('disk.full', { forMs: 30 * SECOND })
      const refused = await stage.world.submit(stage.operation, { key: 'o2', input: stage.input('o2') })
      stage.expect(refused.acknowledgedAt === null || (await stage.call('o2')) !== null, 'a call was acknowledged that was not stored')
      await stage.world.advance(MINUTE)
      await stage.rest()
      stage.expect(stage.happenedOnce('o1'), `o1 happened ${stage.effects('o1').length} times`)
    },
  },
  'long-transaction-rots-the-queue': {
    does: 'Every claim takes three seconds for an hour, as over a table full of dead rows.',
    fits: ANY_ANSWER,
    async run(stage) {
      stage.fault('claim.slow', { forMs: HOUR, parameters: { times: 1_000_000 } })
      for (const key of keys(30)) {
        await stage.submit(key)
        await stage.world.advance(5 * SECOND)
      }
      await stage.world.advance(10 * MINUTE)
      await stage.rest()
      stage.expect(stage.world.alerts.length > 0, 'claims took three seconds for an hour, and nobody was told what holds them up')
    },
  },
  'dual-write-split': {
    does: 'The process dies once the call is stored and before the caller is told; the answer to an insert is lost, stored or not. The caller asks again.',
    fits: ANY_ANSWER,
    async run(stage) {
      for (const [index, kind] of ['caller.dies-after-submit', 'caller.submit-answer-lost', 'caller.submit-unstored'].entries()) {
        const key = `o${index + 1}`
        stage.fault(kind)
        await stage.world.submit(stage.operation, { key, input: stage.input(key) })
        await stage.world.advance(MINUTE)
        await stage.world.submit(stage.operation, { key, input: stage.input(key) })
        await stage.rest()
        stage.expect(stage.happenedOnce(key), `${key} happened ${stage.effects(key).length} times`)
      }
    },
  },
  'restore-or-thaw-replays-old-calls': {
    does: 'The database is restored as it was ten minutes ago, with calls waiting that have been done since.',
    fits: ANY_ANSWER,
    async run(stage) {
      stage.excuse(['kept', 'settled', 'wanted', 'begun-before-sent', 'loud', 'replays'], 'the contract holds for what the database kept')
      stage.fault('connect.refused', { forMs: MINUTE })
      await stage.submit(...keys(5))
      stage.fault('db.old-backup', { parameters: { ms: 10 * MINUTE } })
      await stage.world.advance(9 * MINUTE)
      const sent = requestsOf(stage)
      await stage.world.advance(90 * SECOND)
      await expectHeld(stage, sent)
      confirmListed(stage, 'o1', 'o2')
      await stage.world.advance(MINUTE)
      await stage.rest(HOUR)
      for (const key of keys(5)) stage.expect(stage.happenedOnce(key), `${key} happened ${stage.effects(key).length} times`)
      // What nobody has looked up and nothing can be asked about is not sent again by hope.
      if (stage.answer === 'none' && stage.world.strategy === 'steward') for (const key of ['o3', 'o4', 'o5']) stage.expect((await stage.call(key))?.state === 'in_doubt', `${key} is not in doubt`)
    },
  },
}
