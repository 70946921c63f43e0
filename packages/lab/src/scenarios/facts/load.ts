/** Many calls at once: retries, limits, neighbours, age. Facts in our own words, each with its source. */
import type { ScenarioFacts } from '../facts.ts'
import { SOURCES as S } from './sources.ts'

export const load: readonly ScenarioFacts[] = [
  {
    id: 'rate-limit-fought', title: '429 and Retry-After ignored; one tenant spends everyone\'s quota', tier: 1, theme: 'load',
    question: 'Whose budget is this limit on (us, tenant, card, IP), who keeps the count across workers, and what if the wait is 2 hours?',
    incidents: [
      { what: 'One internal client overran a global limit, so every customer\'s calls got 429.', cost: 'About 3 h, worldwide.', source: S.filestore },
      { what: 'Docs: wait for retry-after or the reset; going on while limited may get the integration banned.', cost: 'Ban.', source: S.ghrate },
    ],
    invariants: ['I08', 'I09', 'I10', 'I11', 'I19'],
    naive: { outcome: 'ban or starvation', what: 'Each loop backs off alone: 8 workers x 5 tries keep the limit red; may be banned.' },
    queue: 'Attempts are consumed by waiting: healthy intents end \'exhausted\' because of a neighbour.',
  },
  {
    id: 'retry-storm-metastable', title: 'Retries keep the outage alive', tier: 1, theme: 'load',
    question: 'At 100 % failure, how many requests does one intent become across all layers, and does the system come back when the cause is gone?',
    incidents: [
      { what: 'A code path retried a contended Redis transaction up to 500 times with no backoff; rollback and restarts did not help, only fewer retries did.', cost: 'Payments down for all merchants 10:02-11:55; SMS codes until 13:12.', source: S.square },
      { what: 'Connection surge met a latent fault in client back-off.', cost: 'About 7 h; monitoring was hit too, so diagnosis was blind.', source: S.aws21 },
      { what: 'After the cause was fixed, a lease manager stayed in congestive collapse until it was throttled and restarted.', cost: 'Hours beyond the root cause.', source: S.aws25 },
    ],
    invariants: ['I08', 'I17', 'I19', 'I11'],
    naive: { outcome: 'collapse', what: '5 tries x SDK 3 x agent 2 = up to 30 requests per intent; never recovers without a person.' },
    queue: 'Backoff alone only delays the same number of tries; the backlog returns as one wave.',
  },
  {
    id: 'herd-after-the-outage', title: 'Everybody comes back in the same second', tier: 1, theme: 'load',
    question: 'When the provider returns, in what order and at what speed does the backlog go out, and what is not worth sending any more?',
    incidents: [
      { what: 'Restarting tasks hit the shared store together; no randomised backoff.', cost: 'Small regions 40 min, the largest 2 h 40 min.', source: S.goog25 },
      { what: 'Sessions reconnected at once to a flapping service until memory ran out.', cost: 'About a third of users stalled; 2 h 18 min, then again about 2 h.', source: S.discord },
      { what: 'Code host returned and pushed everything at once; the build queue\'s database locked.', cost: 'Down to one build a minute; about a day.', source: S.cci07 },
    ],
    invariants: ['I08', 'I09', 'I10', 'I19', 'I11'],
    naive: { outcome: 'lost or spike', what: 'All loops ended long ago; users come back instead. With cron: one spike.' },
    queue: 'All delayed jobs become due together; provider falls again.',
  },
  {
    id: 'poison-message', title: 'One message that kills its worker (incl. oversized payload)', tier: 1, theme: 'load',
    question: 'If one intent crashes the process that touches it, how many times, how fast and how many neighbours does it take down?',
    incidents: [
      { what: 'An event made a child routine panic outside the recover block; redelivery crashed the app again and again.', cost: '13 min down within 32 min; platform restart back-off made it worse.', source: S.iiopoison },
      { what: 'A generated file exceeded a hard limit in its consumer.', cost: 'Network-wide outage.', source: S.cfnov },
      { what: 'Workflow engine warns at 256 KB and errors at 2 MB.', source: S.tblob },
    ],
    invariants: ['I24', 'I02', 'I12', 'I08'],
    naive: { outcome: 'lost neighbours', what: 'Process dies with every intent it held in memory.' },
    queue: 'Redelivered for ever if the attempt is counted only after the run; whole worker pool in a crash loop.',
  },
  {
    id: 'slow-tenant-blocks-the-line', title: 'One slow customer or provider blocks the rest', tier: 1, theme: 'load',
    question: 'If one destination takes 30 s per call, how many workers does it hold, and who waits behind it?',
    incidents: [
      { what: 'At any time dozens of destinations are failing, with 10x latencies and limits on single big customers; ordinary queues did not hold.', cost: 'Built their own scheduler.', source: S.segment },
      { what: 'One full downstream queue stopped publishing to all consumers, alerting included.', cost: 'Alerts about 1 h late, charts empty for hours.', source: S.stackdriver },
      { what: 'Unlimited request queue waiting on the database.', cost: 'Two outages in nine days; fix was a queue limit.', source: S.duo },
    ],
    invariants: ['I10', 'I11', 'I23'],
    naive: { outcome: 'outage spread', what: 'Per-request loops: web threads fill up, the whole site is slow.' },
    queue: 'Shared pool: all 20 workers sit in A within seconds; B\'s age grows without any error.',
  },
  {
    id: 'backlog-ages-in-silence', title: 'No errors, only older and older', tier: 1, theme: 'load',
    question: 'Which number tells us the oldest intent is 4 hours old while success rate is 100 %?',
    incidents: [
      { what: 'Worker processes looked healthy while the queue went to 60k jobs in an hour.', cost: 'Close to an hour of looking before the cause (a long transaction) was found.', source: S.brandurq },
      { what: 'Throttles meant for failure misfired in normal operation.', cost: '17 h backlog, worked off by hand-written tools.', source: S.cci10 },
      { what: 'Webhook queue backed up under a spike.', cost: 'Up to 4.5 h delay.', source: S.gh23 },
    ],
    invariants: ['I11', 'I12', 'I19'],
    naive: { outcome: 'blind', what: 'No queue, no age: users see a spinner.' },
    queue: 'Dashboards show throughput and depth; both look normal.',
  },
]
