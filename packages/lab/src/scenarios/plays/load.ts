/** Many calls at once. */
import { ANY_ANSWER, HOUR, keys, MINUTE, type Plays, SECOND, type Stage } from '../scenario.ts'

const LIMITS = { what: 'limits and a retry budget for each provider' } as const
/** What a provider of these scenarios takes in a second. */
const ALLOWED_PER_SECOND = 10

/** The most requests that reached the provider within one second, from an instant on. */
function peak(stage: Stage, fromAt = 0): number {
  const all = stage.world.providers.get(stage.provider)?.ledger.requests ?? []
  const perSecond = new Map<number, number>()
  for (const { arrivedAt, isLookup } of all) {
    if (isLookup || arrivedAt < fromAt) continue
    const second = Math.floor(arrivedAt / SECOND)
    perSecond.set(second, (perSecond.get(second) ?? 0) + 1)
  }
  return Math.max(0, ...perSecond.values())
}

/** Submits many at once, as a burst of callers does. */
async function flood(stage: Stage, names: readonly string[], group?: string): Promise<void> {
  await Promise.all(names.map((key) => stage.world.submit(stage.operation, { key, input: stage.input(key), ...(group === undefined ? {} : { group }) })))
}

export const load: Plays = {
  'rate-limit-fought': {
    does: `A tenant floods a provider that takes ${ALLOWED_PER_SECOND} requests a second and answers 429 with Retry-After 120.`,
    fits: ANY_ANSWER,
    waitsFor: LIMITS,
    async run(stage) {
      stage.fault('gate.rate-limited', { parameters: { seconds: 120, times: 5 } })
      await flood(stage, keys(150, 'a'), 'tenant-a')
      await flood(stage, keys(10, 'b'), 'tenant-b')
      await stage.rest(HOUR)
      const states = await Promise.all([...keys(150, 'a'), ...keys(10, 'b')].map(async (key) => (await stage.call(key))?.state))
      stage.expect(!states.includes('exhausted'), 'waiting used up the attempts of healthy calls')
      stage.expect(peak(stage) <= 2 * ALLOWED_PER_SECOND, `${peak(stage)} requests reached the provider within a second; it takes ${ALLOWED_PER_SECOND}`)
    },
  },
  'retry-storm-metastable': {
    does: 'Two hundred calls are under way when the provider answers nothing but 502 for half an hour.',
    fits: ANY_ANSWER,
    waitsFor: LIMITS,
    async run(stage) {
      stage.excuse(['decided', 'loud'], 'what the gate answers may have happened')
      stage.fault('gate.500', { forMs: 30 * MINUTE, parameters: { times: 1_000_000 } })
      const startAt = stage.world.now
      await flood(stage, keys(200))
      await stage.world.advance(30 * MINUTE)
      const during = (stage.world.providers.get(stage.provider)?.ledger.requests ?? []).filter((request) => !request.isLookup && request.arrivedAt >= startAt).length
      stage.expect(during <= 200 * 1.2, `${during} requests for 200 calls while nothing could succeed: ${(during / 200).toFixed(1)} for each`)
      await stage.rest()
    },
  },
  'herd-after-the-outage': {
    does: 'The provider cannot be reached for an hour while a hundred calls gather; then it is back.',
    fits: ANY_ANSWER,
    waitsFor: LIMITS,
    async run(stage) {
      stage.fault('connect.refused', { forMs: HOUR })
      await flood(stage, keys(100))
      await stage.world.advance(HOUR)
      const backAt = stage.world.now
      await stage.rest()
      stage.expect(peak(stage, backAt) <= 2 * ALLOWED_PER_SECOND, `${peak(stage, backAt)} requests reached the provider within one second of its return`)
    },
  },
  'poison-message': {
    does: 'One call kills every process that sends it; another one\'s input is larger than the limit.',
    fits: ['providerKey', 'natural', 'none'],
    async run(stage) {
      const { world } = stage
      let deaths = 0
      await stage.submit('poison', 'o1')
      const runs = async (): Promise<boolean> => {
        const call = await stage.call('poison')
        return call?.state === 'running' && call.attempts > deaths
      }
      while (deaths < 6 && await world.until(runs, 10 * MINUTE)) {
        // Nobody is told which process it is in: all that work at that moment die.
        for (const name of [...world.processes]) world.kill(name)
        deaths++
        for (const name of ['a', 'b']) await world.spawn(name)
        await stage.submit(`after-${deaths}`)
      }
      const huge = world.submit(stage.operation, { key: 'huge', input: { ...(stage.input('huge') as object), padding: 'x'.repeat(300_000) } })
      stage.expect((await huge).refused?.includes('STEWARD_INPUT') === true, 'an input beyond the limit was not refused to the caller\'s face')
      await stage.rest()
      const neighbours = await Promise.all(keys(deaths, 'after-').map(async (key) => (await stage.call(key))?.state))
      stage.expect(neighbours.every((state) => state === 'succeeded' || state === 'in_doubt' || state === 'rejected'), `its neighbours ended ${neighbours.join(', ')}`)
      if (stage.answer !== 'none') stage.expect(deaths < 6 || world.alerts.some((told) => told.alert.kind === 'worker_lost_repeatedly'), `${deaths} workers were lost in a row while sending it, and nobody was told`)
    },
  },
  'slow-tenant-blocks-the-line': {
    does: 'One tenant has four hundred calls that take nearly the whole time limit; another submits ten healthy ones.',
    fits: ANY_ANSWER,
    waitsFor: LIMITS,
    async run(stage) {
      const slowMs = Math.round(stage.policy.timeoutMs * 0.8)
      stage.fault('provider.slow', { parameters: { ms: slowMs, times: 400 } })
      await flood(stage, keys(400, 'slow'), 'tenant-a')
      await stage.world.advance(SECOND)
      const submittedAt = stage.world.now
      await flood(stage, keys(10, 'well'), 'tenant-b')
      await stage.rest()
      const waits = keys(10, 'well').map((key) => (stage.requests(key)[0]?.arrivedAt ?? Number.POSITIVE_INFINITY) - submittedAt)
      stage.expect(Math.max(...waits) <= 2 * SECOND, `a healthy tenant's call waited ${Math.round(Math.max(...waits) / SECOND)} s behind another tenant's slow ones`)
    },
  },
  'backlog-ages-in-silence': {
    does: 'No process works any more, and then one works that does not know the operation: no error, only older and older calls.',
    fits: ANY_ANSWER,
    async run(stage) {
      const { world } = stage
      for (const name of [...world.processes]) world.kill(name)
      await world.spawn('web', { works: false })
      await world.submit(stage.operation, { key: 'o1', input: stage.input('o1') }, 'web')
      await world.advance(20 * MINUTE)
      const kinds = world.alerts.map((told) => told.alert.kind)
      stage.expect(kinds.includes('no_worker') || kinds.includes('not_understood'), `a call waited 20 minutes with no worker, and nobody was told (alerts: ${kinds.join(', ') || 'none'})`)
      const backlog = await world.observer.backlog()
      stage.expect(backlog.some((lane) => lane.open > 0 && lane.oldestDueAt !== null && lane.oldestDueAt <= world.now - 15 * MINUTE), 'the age of the oldest call is not to be seen')
      await world.spawn('a')
      await stage.rest()
    },
  },
}
