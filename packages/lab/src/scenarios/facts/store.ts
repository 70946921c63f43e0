/** The database under the calls: slow, full, gone, or set back. Facts in our own words, each with its source. */
import type { ScenarioFacts } from '../facts.ts'
import { SOURCES as S } from './sources.ts'

export const store: readonly ScenarioFacts[] = [
  {
    id: 'database-slow-or-pool-drained', title: 'The database is slow, or the pool is empty', tier: 1, theme: 'store',
    question: 'If a claim takes 20 s, do we hold connections while waiting for the provider, and does a slow store look like a slow provider?',
    incidents: [
      { what: 'Requests waited up to 20 s for a connection because a needless transaction wrapped every form submit.', cost: 'Two weeks of intermittent timeouts.', source: S.iiopool },
      { what: 'Retries and queueing in front of a full database stopped it from recovering.', cost: 'Two cascades in nine days.', source: S.duo },
      { what: 'A migration waited for a lock behind one long read, and everyone queued behind it.', cost: '15 s of full API downtime.', source: S.gcmig },
    ],
    invariants: ['I02', 'I03', 'I18', 'I23'],
    naive: { outcome: 'effect without record', what: 'Not involved until it wants to store the result: then effect without record.' },
    queue: 'Lease renewals share the starved pool: leases lapse, jobs run twice: a slow database becomes double work.',
  },
  {
    id: 'failover-loses-commits', title: 'Failover: the last seconds of commits are gone', tier: 1, theme: 'store',
    question: 'If the store forgets the last 5 seconds, which calls has the world seen that we no longer know of?',
    incidents: [
      { what: 'Failover with a relaxed flush setting lost 5 s of commits at a payments company.', cost: '110 s down, 6 h to rebuild replicas, 8 h meeting to rebuild 5 s of data from binlogs and traces.', source: S.razor },
      { what: '43 s partition, automatic failover, writes on both sides.', cost: '24 h 11 min degraded; webhooks paused; manual reconciliation of seconds of writes.', source: S.gh18 },
      { what: 'In-memory store restarted with wrong config: balances zero and read-only.', cost: 'Repeated charges, 1.4 % of customers.', source: S.twilio },
    ],
    invariants: ['I01', 'I02', 'I03', 'I04', 'I13'],
    naive: { outcome: 'lost effect', what: 'No store, nothing to lose but everything.' },
    queue: 'Runs the forgotten step again: same key saves it only if the key survives or can be derived again from business data (not from a row number).',
  },
  {
    id: 'disk-full', title: 'The disk is full', tier: 2, theme: 'store',
    question: 'Which of our own writers (logs, evidence, dead tuples, outbox) can fill the disk the intents live on?',
    incidents: [
      { what: 'Maintenance filled the disk of the parts-order database; the standby shared the fate.', cost: '14 plants, 28 lines, about a day; about 13,000 cars.', source: S.toyota },
      { what: 'A job whose S3 retries all failed logged each failure without bound.', cost: '85 min outage of a backup service: caused by retry logging.', source: S.tarsnap },
      { what: 'Blocked jobs piled up on app-server disks during a database stop.', cost: 'About 40 h with part of the mail unsent.', source: S.mandrill },
    ],
    invariants: ['I02', 'I03', 'I18', 'I11'],
    naive: { outcome: 'lost effect', what: 'Logs fill first; then the process dies.' },
    queue: 'Queue accepts in memory and loses, or stops with effects unrecorded.',
  },
  {
    id: 'long-transaction-rots-the-queue', title: 'A forgotten transaction rots the queue table', tier: 2, theme: 'store',
    question: 'What happens to the claim query after one hour of someone\'s open transaction, and who would tell us?',
    incidents: [
      { what: 'Old snapshot keeps dead rows; every claim walks over them.', cost: '60k jobs behind after 1 h; hopeless after about 15 min.', source: S.brandurq },
      { what: 'Same lesson a decade later with SKIP LOCKED: the rot is in the indexes.', source: S.psq },
      { what: 'Adding workers made throughput fall, because of dead rows in the claim index.', cost: 'Phone and SMS alerts delayed during the big AWS outage.', source: S.iio25 },
    ],
    invariants: ['I11', 'I10', 'I12'],
    naive: { outcome: 'nothing', what: 'Not affected.' },
    queue: 'Throughput decays to zero with healthy workers and zero errors.',
  },
  {
    id: 'dual-write-split', title: 'The row is committed, the call never queued (or the reverse)', tier: 1, theme: 'store',
    question: 'Is there one commit that makes both the business fact and the intention true, or is there a gap between two?',
    incidents: [
      { what: 'Author\'s answer to \'why not enqueue after commit\': the process can die in between and nothing recovers it.', source: S.sorg239 },
      { what: 'A company\'s \'transactional\' queue was deprecated: a failed enqueue was not detected.', cost: 'No job, no error.', source: S.misk },
      { what: 'Enqueue inside the transaction: rollback leaves a job for a row that does not exist.', cost: 'Phantom work.', source: S.nebi },
    ],
    invariants: ['I02', 'I03', 'I13'],
    naive: { outcome: 'effect without business row', what: 'Calls inline: charge succeeded, order insert failed.' },
    queue: 'Any queue outside the business database has this gap, however durable it is.',
  },
  {
    id: 'restore-or-thaw-replays-old-calls', title: 'A backup, a thawed server or a copied database sends yesterday\'s calls', tier: 1, theme: 'store',
    question: 'If this database came back as it was 24 h ago, or a copy of it started in staging, what would it send in the first minute?',
    incidents: [
      { what: 'A server that failed on 14 Feb came back in November and sent its queue; the normal 24-72 h retention was bypassed.', cost: '168,149+ texts, some from people who had died since.', source: S.syn },
      { what: 'Balances restored as zero made the loop charge again.', cost: 'Refunds and credits.', source: S.twilio },
      { what: 'Restore was from a 6 h old snapshot: queues and flags go back too.', cost: '6 h of data lost, 18 h down.', source: S.gitlab },
    ],
    invariants: ['I01', 'I06', 'I17', 'I19', 'I21'],
    naive: { outcome: 'nothing', what: 'Nothing stored, nothing replayed.' },
    queue: 'Sends all 2,000; keys older than the window are new requests for the provider.',
  },
]
