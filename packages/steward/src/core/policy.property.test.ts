import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { after, type Dated, ev, newCall, play, policyOf, T0 } from './call.fixture.ts'
import { type Call, isEnd } from './call.ts'
import { type CallEvent, decide } from './decide.ts'
import { durationMs, durationText } from './duration.ts'
import { StewardError } from './errors.ts'
import { backoffMs, lastBeginAt, type Policy, windowOpen } from './policy.ts'
import { unrefuted } from './facts.ts'

const RUNS = { numRuns: 500, seed: 20_260_603 }
/** Uniform in [0, 1). */
const entropy = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const tries = fc.oneof(fc.integer({ min: 0, max: 60 }), fc.constantFrom(1_000, 1e9, Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY))
const pace = fc.record({ backoffBaseMs: fc.integer({ min: 1, max: 86_400_000 }), backoffCapMs: fc.integer({ min: 1, max: 30 * 86_400_000 }) })

describe('backoff', () => {
  it('is a whole number of milliseconds, at least 1 and never above its cap, for any number of tries', () => {
    fc.assert(
      fc.property(pace, tries, entropy, (policy, n, chance) => {
        const wait = backoffMs(policy, n, chance)
        expect(Number.isSafeInteger(wait)).toBe(true)
        expect(wait).toBeGreaterThanOrEqual(1)
        expect(wait).toBeLessThanOrEqual(policy.backoffCapMs)
      }),
      RUNS,
    )
  })

  it('spreads over the whole of [0, min(cap, base × 2^(tries − 1))): full jitter', () => {
    fc.assert(
      fc.property(pace, fc.integer({ min: 1, max: 60 }), entropy, (policy, n, chance) => {
        const ceiling = Math.min(policy.backoffCapMs, policy.backoffBaseMs * 2 ** (n - 1))
        expect(backoffMs(policy, n, chance)).toBe(Math.max(1, Math.floor(ceiling * chance)))
        expect(backoffMs(policy, n, 0)).toBe(1)
        expect(backoffMs(policy, n, 1 - Number.EPSILON)).toBeGreaterThanOrEqual(Math.max(1, ceiling - 1 - ceiling * Number.EPSILON))
      }),
      RUNS,
    )
  })

  it('never shrinks from one try to the next, at the same chance', () => {
    fc.assert(
      fc.property(pace, fc.integer({ min: 0, max: 100 }), entropy, (policy, n, chance) => {
        expect(backoffMs(policy, n + 1, chance)).toBeGreaterThanOrEqual(backoffMs(policy, n, chance))
      }),
      RUNS,
    )
  })

  it('reaches its cap and stays there', () => {
    expect(backoffMs({ backoffBaseMs: 500, backoffCapMs: 60_000 }, 1, 0.5)).toBe(250)
    expect(backoffMs({ backoffBaseMs: 500, backoffCapMs: 60_000 }, 2, 0.5)).toBe(500)
    expect(backoffMs({ backoffBaseMs: 500, backoffCapMs: 60_000 }, 8, 0.5)).toBe(30_000)
    expect(backoffMs({ backoffBaseMs: 500, backoffCapMs: 60_000 }, 800, 0.5)).toBe(30_000)
  })
})

describe('the memory of the provider', () => {
  const remembered = fc
    .record({ timeoutMs: fc.integer({ min: 1, max: 100_000 }), marginMs: fc.integer({ min: 0, max: 100_000 }), spareMs: fc.integer({ min: 0, max: 90 * 86_400_000 }), firstBegunAt: fc.integer({ min: 0, max: 4e12 }) })
    .map(({ spareMs, ...times }) => ({ ...times, retentionMs: times.timeoutMs + times.marginMs + spareMs }))

  it('outlasts an attempt begun at the last allowed instant, and not one begun a millisecond later', () => {
    fc.assert(
      fc.property(remembered, ({ firstBegunAt, ...times }) => {
        const policy = policyOf('providerKey', times)
        const lastAt = lastBeginAt(policy, firstBegunAt)
        expect(lastAt).toBeGreaterThanOrEqual(firstBegunAt)
        expect(lastAt + policy.timeoutMs).toBe(firstBegunAt + policy.retentionMs - policy.marginMs)
        expect(windowOpen(policy, firstBegunAt, lastAt)).toBe(true)
        expect(windowOpen(policy, firstBegunAt, lastAt + 1)).toBe(false)
      }),
      RUNS,
    )
  })

  it('lets decide resend an attempt in doubt exactly until then', () => {
    fc.assert(
      fc.property(remembered, fc.integer({ min: -5, max: 5 }), ({ retentionMs, marginMs, timeoutMs }, offMs) => {
        const policy = policyOf('providerKey', { retentionMs, marginMs, timeoutMs })
        const waiting = after(policy, [[0, ev.begin], [0, ev.unknown(1)]], newCall({ giveUpAt: null }))
        const at = Math.max(T0, lastBeginAt(policy, T0) + offMs)
        const { begun, call } = decide(waiting, ev.begin, policy, at, 0.5)
        expect(begun).toBe(at <= lastBeginAt(policy, T0) ? 2 : null)
        expect(call.state).toBe(begun === null ? 'in_doubt' : 'running')
        expect(call.generation).toBe(1)
      }),
      RUNS,
    )
  })

  it('is asked of providerKey alone, and not before the first begin', () => {
    for (const answer of ['natural', 'reconcile', 'none'] as const) expect(windowOpen(policyOf(answer), T0, T0 + 1e12)).toBe(true)
    expect(windowOpen(policyOf('providerKey'), null, T0 + 1e12)).toBe(true)
  })
})

describe('a response that was lost', () => {
  const NEVER = ['rejected', 'exhausted', 'expired', 'cancelled']
  /** What the provider, the network and the fleet do after it: refused callers, refused connections, told to wait, lost workers. */
  const trouble = fc.constantFrom<(n: number) => CallEvent>(
    (n) => ({ type: 'answered', attempt: n, worker: 'w1', verdict: { kind: 'not_applied', reason: 'HTTP 401', status: 401, refused: 'caller' } }),
    (n) => ({ type: 'answered', attempt: n, worker: 'w1', verdict: { kind: 'not_applied', reason: 'ECONNREFUSED', refused: 'unsent' } }),
    (n) => ({ type: 'answered', attempt: n, worker: 'w1', verdict: { kind: 'not_applied', reason: 'HTTP 429', status: 429, refused: 'load', retryAfterMs: 12 } }),
    (n) => ev.unknown(n),
    (n) => ev.rejected(n),
    () => ev.lapsed,
  )
  const situation = fc.record({
    answer: fc.constantFrom('providerKey', 'natural', 'reconcile', 'none'),
    hasLookup: fc.boolean(),
    maxAttempts: fc.constantFrom(null, 1, 2, 5),
    expiresAt: fc.constantFrom(null, T0 + 40, T0 + 90),
    cancelAfter: fc.constantFrom(null, 0, 3),
    lost: fc.constantFrom<CallEvent>(ev.unknown(1), ev.lapsed),
    troubles: fc.array(trouble, { minLength: 1, maxLength: 40 }),
    chances: fc.array(entropy, { minLength: 1, maxLength: 10 }),
  } as const)

  /** Plays worker: takes the call whenever it is due, until nothing is due any more or a year has passed. */
  function live(policy: Policy, start: Call, troubles: readonly ((n: number) => CallEvent)[], chances: readonly number[], cancelAfter: number | null, visit: (call: Call, now: number) => void): { readonly call: Call; readonly begins: number } {
    let call = start
    let now = T0 + 1
    let begins = 0
    for (let turn = 0; turn < 400; turn++) {
      const chance = chances[turn % chances.length] ?? 0
      if (turn === cancelAfter && !isEnd(call.state)) call = decide(call, ev.cancel, policy, now, chance).call
      visit(call, now)
      if (isEnd(call.state) || call.state === 'in_doubt') break
      if (call.state === 'running') call = decide(call, troubles[begins % troubles.length]?.(call.attempts) ?? ev.lapsed, policy, (now += 3), chance).call
      else {
        now = Math.max(now, call.dueAt ?? now)
        const { call: next, begun } = decide(call, call.state === 'waiting' ? ev.begin : ev.cannotTell(now - T0), policy, now, chance)
        if (begun !== null) begins++
        call = next
      }
    }
    return { call, begins }
  }

  it('never ends as "did not happen" by 401s, refused connections and lost workers until time is up', () => {
    fc.assert(
      fc.property(situation, ({ answer, hasLookup, maxAttempts, expiresAt, cancelAfter, lost, troubles, chances }) => {
        const policy = policyOf(answer, { hasLookup: hasLookup || answer === 'reconcile', maxAttempts })
        const doubtful = after(policy, [[0, ev.begin], [1, lost]], newCall({ expiresAt }))
        const { call, begins } = live(policy, doubtful, troubles, chances, cancelAfter, (now) => {
          expect(NEVER).not.toContain(now.state)
          expect(now.effect).toBe('unknown')
          expect(unrefuted(now).map((attempt) => attempt.n)).toContain(1)
        })
        expect(call.state, 'it stays visibly open, for a person to decide').toBe('in_doubt')
        if (answer === 'reconcile' || answer === 'none') expect(begins, 'and it was not sent again').toBe(0)
      }),
      RUNS,
    )
  })

  it('is repeated under a key or where that is safe, until it is answered', () => {
    for (const answer of ['providerKey', 'natural'] as const) {
      const policy = policyOf(answer)
      const lost = after(policy, [[0, ev.begin], [1, ev.unknown(1)]])
      const { call } = live(policy, lost, [(n) => (n < 4 ? ev.notApplied(n) : ev.applied(n, 'ch_1'))], [0.5], null, () => undefined)
      expect(call.state).toBe('succeeded')
      expect(call.generation).toBe(1)
    }
  })

  it('ends as cancelled when it was cancelled while running and its absence is proven', () => {
    const policy = policyOf('reconcile')
    const call = after(policy, [[0, ev.begin], [1, ev.cancel], [4, ev.unknown(1)], [16, ev.absent(16)]])
    expect([call.state, call.effect, call.stop?.by]).toEqual(['cancelled', 'did_not_happen', 'ana'])
  })
})

describe('questions to the provider', () => {
  it('have their whole time, however late the first could be put', () => {
    const policy = policyOf('reconcile', { lookupForMs: 40 })
    const call = after(policy, [[0, ev.begin], [1, ev.unknown(1)], [150, ev.cannotTell(150)], [189, ev.cannotTell(189)]])
    expect(call.state).toBe('checking')
    expect(after(policy, [[190, ev.cannotTell(190)]], call).state).toBe('in_doubt')
  })

  it('are not given up while absences that count add up to a proof', () => {
    const policy = policyOf('reconcile', { lookupForMs: 10, absences: 3 })
    const call = after(policy, [[0, ev.begin], [1, ev.unknown(1)], [16, ev.absent(16)], [30, ev.absent(30)]])
    expect(call.state).toBe('checking')
    expect(after(policy, [[50, ev.absent(50)]], call).state).toBe('waiting')
  })

  it('put before an acceptance do not count towards the absence of what was accepted', () => {
    const policy = policyOf('reconcile', { absences: 2, pollEveryMs: 6 })
    const call = after(policy, [[0, ev.begin], [1, ev.unknown(1)], [16, ev.absent(16)], [20, ev.accepted(1)], [30, ev.absent(30)]])
    expect(call.state).toBe('accepted')
    expect(after(policy, [[40, ev.absent(40)]], call).state).toBe('rejected')
  })

  it('put before a second acceptance do not count towards the absence of that one', () => {
    const policy = policyOf('reconcile', { absences: 2, pollEveryMs: 6 })
    const call = after(policy, [[0, ev.begin], [1, ev.unknown(1)], [16, ev.refute(16)], [20, ev.begin], [21, ev.accepted(2)], [30, ev.absent(30)], [31, ev.accepted(1)], [40, ev.absent(40)]])
    expect(call.state).toBe('accepted')
    expect(after(policy, [[50, ev.absent(50)]], call).state).toBe('rejected')
  })

  it('about accepted work go on when it is overdue, and people are told once', () => {
    const policy = policyOf('providerKey', { hasLookup: true, pollEveryMs: 6, acceptedOverdueMs: 30 })
    let call = after(policy, [[0, ev.begin], [1, ev.accepted(1)]])
    const alerts: string[] = []
    for (let ms = 7; ms < 150; ms += 6) {
      const decision = decide(call, ev.cannotTell(ms), policy, T0 + ms, 0.5)
      alerts.push(...decision.alerts.map((alert) => `${alert.kind} at +${ms}`))
      call = decision.call
    }
    expect(call.state).toBe('accepted')
    expect(alerts).toEqual(['accepted_overdue at +37'])
  })
})

describe('a redrive', () => {
  it('gives time and attempts anew, also where the call is in doubt', () => {
    const policy = policyOf('reconcile', { maxAttempts: 1 })
    const doubtful = after(policy, [[0, ev.begin], [1, ev.unknown(1)], [16, ev.cannotTell(16)], [60, ev.cannotTell(60)]], newCall({ expiresAt: T0 + 90 }))
    expect(doubtful.state).toBe('in_doubt')
    const again = after(policy, [[100, ev.redrive], [100, ev.absent(100)], [102, ev.begin]], doubtful)
    expect([again.state, again.attempts, again.expiresAt]).toEqual(['running', 2, null])
  })
})

describe('workers that are lost', () => {
  it('five in a row while sending one call page somebody, and every five after that', () => {
    const policy = policyOf('natural', { giveUpAfterMs: 1e9 })
    const dates = Array.from({ length: 11 }, (_, i): readonly Dated[] => [[100 * i, ev.begin], [100 * i + 5, ev.lapsed]]).flat()
    const alerts = play(policy, dates, newCall({ giveUpAt: null })).flatMap((decision) => decision.alerts)
    expect(alerts.map((alert) => [alert.kind, alert.severity, alert.at - T0])).toEqual([['worker_lost_repeatedly', 'page', 405], ['worker_lost_repeatedly', 'page', 905]])
  })

  it('are counted in a row: an answer begins the count anew', () => {
    const call = after(policyOf('natural'), [[0, ev.begin], [5, ev.lapsed], [20, ev.begin], [25, ev.notApplied(2)]])
    expect(call.lapses).toBe(0)
  })
})

describe('told to wait', () => {
  it('nothing is sent before then, and a wait that is no length of time is none', () => {
    const told = (retryAfterMs: number) => decide(after(policyOf('none'), [[0, ev.begin]]), ev.notApplied(1, retryAfterMs), policyOf('none'), T0 + 1, 0.5)
    expect([told(50).call.dueAt, told(50).holdProviderUntilAt]).toEqual([T0 + 51, T0 + 51])
    for (const none of [0, -5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect([told(none).call.dueAt, told(none).holdProviderUntilAt]).toEqual([T0 + 3, null])
    }
  })
})

describe('durations', () => {
  const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const
  const LONGEST_MS = 10 * 365 * 86_400_000

  it('are whole numbers between 1 ms and 10 years, or a coded error that names the option; never 0, never NaN', () => {
    const anything = fc.oneof(fc.string(), fc.double(), fc.integer(), fc.constantFrom('', '0', '0s', '0.0004s', '-5s', '5', '5 years', '1e3s', 'Infinityms', 'NaNms', '1..5s', '5s5s', ' 7 d ', 'P1D', '٣s', '9'.repeat(400) + 'd', 0, -0, 0.4, Number.NaN, Number.POSITIVE_INFINITY, -1), fc.constantFrom(null, undefined, true, {}, [], 5n))
    fc.assert(
      fc.property(anything, (value) => {
        try {
          const ms = durationMs(value as string, 'giveUpAfter of charge-order')
          expect(Number.isInteger(ms) && ms >= 1 && ms <= LONGEST_MS).toBe(true)
        } catch (error) {
          expect(error).toBeInstanceOf(StewardError)
          expect((error as StewardError).code).toBe('STEWARD_DURATION_INVALID')
          expect((error as StewardError).message).toContain('giveUpAfter of charge-order is')
        }
      }),
      { ...RUNS, numRuns: 3_000 },
    )
  })

  it('mean the same as text and as number, in every unit', () => {
    fc.assert(
      fc.property(fc.constantFrom(...Object.entries(units)), fc.integer({ min: 1, max: 520 }), ([unit, size], count) => {
        expect(durationMs(`${count}${unit}`, 'x')).toBe(count * size)
        expect(durationMs(count * size, 'x')).toBe(count * size)
        expect(durationMs(` ${count}.5 ${unit} `, 'x')).toBe(Math.round(count * size + size / 2))
      }),
      RUNS,
    )
  })

  it('read back what people are shown, within a twentieth', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: LONGEST_MS - 86_400_000 }), (ms) => {
        expect(Math.abs(durationMs(durationText(ms), 'x') - ms) / ms).toBeLessThanOrEqual(0.05)
      }),
      RUNS,
    )
  })

  it('are shown as people say them', () => {
    expect([999, 1_000, 1_234, 59_999, 60_000, 5_400_000, 43_200_000, 172_800_000, 604_800_000].map(durationText)).toEqual(['999ms', '1s', '1.2s', '60s', '1m', '1.5h', '12h', '2d', '7d'])
  })
})
