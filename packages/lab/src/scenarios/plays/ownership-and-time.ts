/** Who may act, until when, and by which clock. */
import { ANY_ANSWER, keys, MINUTE, type Plays, SECOND } from '../scenario.ts'

export const ownershipAndTime: Plays = {
  'zombie-worker-after-lease': {
    does: 'Workers stand still for longer than their lease: before their bytes leave, as the answer comes, and with the answer in hand. Others take over; then the first ones wake.',
    fits: ANY_ANSWER,
    async run(stage) {
      const freezes = ['worker.freezes-before-leaving', 'worker.freezes-on-answer', 'worker.freezes-before-record', 'worker.freezes-after-begin']
      for (const [index, kind] of freezes.entries()) {
        stage.fault(kind, { parameters: { ms: stage.policy.timeoutMs + 30 * SECOND } })
        await stage.submit(`o${index + 1}`)
        await stage.world.advance(2 * MINUTE)
        await stage.rest()
      }
    },
  },
  'clock-skew-or-jump': {
    does: 'One worker\'s clock is an hour ahead, another\'s an hour behind, and the database\'s jumps while calls are lost and repeated.',
    fits: ANY_ANSWER,
    async run(stage) {
      stage.fault('clock.worker-ahead', { where: 'a', forMs: 10 * MINUTE })
      stage.fault('clock.worker-behind', { where: 'b', forMs: 10 * MINUTE })
      stage.fault('net.answer-lost', { parameters: { times: 3 } })
      await stage.submit(...keys(6))
      stage.fault('clock.db-ahead')
      await stage.world.advance(5 * MINUTE)
      stage.fault('clock.db-behind')
      await stage.submit('o7')
      await stage.world.advance(10 * MINUTE)
      await stage.rest()
    },
  },
  'shutdown-kills-in-flight': {
    does: 'A rolling deploy with calls in flight: one process is given ten seconds, the other one second before it is killed.',
    fits: ANY_ANSWER,
    async run(stage) {
      stage.fault('provider.slow', { parameters: { ms: 5 * SECOND, times: 10 } })
      await stage.submit(...keys(10))
      await stage.world.deploy('a', { graceMs: 10 * SECOND })
      stage.fault('provider.slow', { parameters: { ms: 5 * SECOND, times: 10 } })
      await stage.submit(...keys(10, 'p'))
      await stage.world.deploy('b', { graceMs: SECOND })
      await stage.world.deploy('a', { graceMs: SECOND })
      await stage.rest()
    },
  },
}
