/** Who may act, until when, and by which clock. Facts in our own words, each with its source. */
import type { ScenarioFacts } from '../facts.ts'
import { SOURCES as S } from './sources.ts'

export const ownershipAndTime: readonly ScenarioFacts[] = [
  {
    id: 'zombie-worker-after-lease', title: 'The worker we declared dead wakes up (and: two workers claim one job)', tier: 1, theme: 'ownership and time',
    question: 'When a paused worker wakes after its lease ran out, what stops its next write and its next send?',
    incidents: [
      { what: 'A delayed enactor overwrote newer state with an old plan after its check had gone stale.', cost: 'About 14.5 h of impact across a whole region and its dependants.', source: S.aws25 },
      { what: 'Users measured a Node event loop silent for 2 to 10 minutes; the same job ran on two workers.', cost: 'Duplicate completions.', source: S.bull },
      { what: 'Docs: CPU-heavy work misses lock renewal, the job is run again.', cost: 'Most common issue thread of its kind.', source: S.bullmq },
    ],
    invariants: ['I01', 'I07', 'I03', 'I13'],
    naive: { outcome: 'double if scaled', what: 'Single process, no lease: immune, but dies with its memory. Two copies of the cron: doubles.' },
    queue: 'Fencing protects our row, not the provider: the zombie\'s HTTP call still goes out. Needs the same key on both and a re-check of the claim just before the first byte.',
  },
  {
    id: 'clock-skew-or-jump', title: 'A clock is wrong, jumps, or it is 29 February', tier: 2, theme: 'ownership and time',
    question: 'Which clock judges leases, deadlines and key windows, and what if it is 3 minutes fast or runs backwards?',
    incidents: [
      { what: 'A replica ahead by three minutes sees live claims as expired.', cost: 'Duplicated execution (analysis).', source: S.clk1 },
      { what: 'Due time stamped by the app, compared by the database.', cost: 'Delayed messages delivered too early.', source: S.clk2 },
      { what: 'Time went backwards by a leap second; a negative duration reached a random function and crashed.', cost: '0.2 % of DNS queries at peak; worldwide fix took 6 h 45 min.', source: S.cfleap },
    ],
    invariants: ['I01', 'I06', 'I07', 'I19'],
    naive: { outcome: 'early or never', what: 'Sleeps by wall clock; a jump skips or floods retries.' },
    queue: 'Lease by worker clock: double claims; schedule by worker clock: nothing due for an hour.',
  },
  {
    id: 'shutdown-kills-in-flight', title: 'Deploy, scale-down or eviction kills calls in flight', tier: 1, theme: 'ownership and time',
    question: 'From SIGTERM, how long do we have, what do we stop first, and what does a SIGKILL at the worst moment leave behind?',
    incidents: [
      { what: 'Container stop grace 10 s, drain timeout 25 s: killed in mid-drain.', cost: 'Held jobs were gone, not retried (queue removes on fetch).', source: S.chat158 },
      { what: 'Platform killed after 5 s by default; jobs ran 30 s on average.', cost: 'Silently dropped on every deploy until someone looked.', source: S.fpc },
      { what: 'Worker force-killed by a release; part-done job not put back.', cost: 'Incident; timeout then set below the platform\'s.', source: S.govuk },
    ],
    invariants: ['I01', 'I02', 'I05'],
    naive: { outcome: 'lost effect', what: 'All in-memory retries vanish on each deploy.' },
    queue: 'Graceful path is fine; the ungraceful one is the crash mode, on every deploy, several times a day.',
  },
]
