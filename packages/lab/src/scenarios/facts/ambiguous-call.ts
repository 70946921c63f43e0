/** When an answer is missing: what happened, and what may be sent again. Facts in our own words, each with its source. */
import type { ScenarioFacts } from '../facts.ts'
import { SOURCES as S } from './sources.ts'

export const ambiguousCall: readonly ScenarioFacts[] = [
  {
    id: 'response-lost-after-effect', title: 'The effect happened, the answer did not arrive', tier: 1, theme: 'ambiguous call',
    question: 'If the provider does the work and the socket dies before the answer, what does our row say, and what will the next attempt do?',
    incidents: [
      { what: 'Customers retrying a slow but successful top-up fired a second independent charge; each charge\'s webhook credited the wallet again.', cost: 'Customers charged 2-3x for one purchase, in clusters over two days.', source: S.akash },
      { what: 'Balance store came back read-only; cards were charged, the balance write failed, so the recharge loop charged again.', cost: '1.4 % of customers hit by wrong charges or suspensions; about 24 h of refunds; 10 % credit to all affected.', source: S.twilio },
      { what: 'The best-known reference code turns any Stripe connection error into a stored final 503: the key is \'finished\' although the charge may exist (own reading, not executed).', cost: 'A lost response becomes a permanent wrong \'failed\'.', source: S.rocket },
    ],
    invariants: ['I01', 'I03', 'I04', 'I05'],
    naive: { outcome: 'double effect', what: 'Sees an exception, waits, sends again with a fresh or missing key: the customer pays twice and the loop reports success.' },
    queue: 'Safe only while the key window is open and the provider honours keys on this endpoint; a queue that marks the job \'failed\' after the last reset now holds a lie (effect exists).',
  },
  {
    id: 'timeout-below-provider-latency', title: 'Our timeout is shorter than their slowest honest answer', tier: 1, theme: 'ambiguous call',
    question: 'What is this endpoint\'s p99.9 latency, is our timeout above it, and what do we do with an answer that arrives late?',
    incidents: [
      { what: 'A flapping exchange line left orders \'open pending\' and \'modify pending\'; nobody could say which were live.', cost: 'About 1.5 % of that day\'s clients; hanging positions reconciled by hand.', source: S.zerodha },
      { what: 'A handshake timeout set too low under load made healthy nodes expel themselves and stay out.', cost: '2 h total API outage plus hours of errors; a person had to raise the timeout.', source: S.sdb },
      { what: 'Answers took longer than the allowed retrieval time, so every caller timed out and asked again.', cost: 'Up to about 55 % errors; more than 4 h.', source: S.aws15 },
    ],
    invariants: ['I01', 'I03', 'I05', 'I08'],
    naive: { outcome: 'n effects and reported failed', what: 'Five attempts, five effects, final verdict \'failed\': the worst cell of the table, because retries make it worse deterministically.' },
    queue: 'With a stable key the effects collapse to one, but if late answers are dropped the job still ends in the dead set while the money has moved.',
  },
  {
    id: 'crash-between-send-and-record', title: 'The process dies before send, after send, or after the answer but before the write', tier: 1, theme: 'ambiguous call',
    question: 'At each line between \'decide\' and \'recorded\', what does the next process believe if this one dies right here?',
    incidents: [
      { what: 'Mail state stayed \'Waiting\' until the whole batch was out, so each scheduler tick started the batch again.', cost: 'Many registrants received the same mail more than 20 times; a small test had finished too quickly to show it.', source: S.codejam },
      { what: 'Field report in the thread: the claim must be the first durable write; a crash between effect and record leaves a charge no one can find.', source: S.stripeai },
      { what: 'Even a durable-execution engine says the step may run again, and recommends idempotent activities.', source: S.temporal },
    ],
    invariants: ['I01', 'I02', 'I03', 'I05', 'I07'],
    naive: { outcome: 'lost or double', what: 'In-memory loop: (a) the call is lost for ever, (b) and (c) the user retries and pays twice. No trace in any of the three.' },
    queue: 'At-least-once queues re-run (b) and (c): right with a stable key inside the window, a second effect with providers that have no keys (most mail, SMS and webhooks).',
  },
  {
    id: 'hidden-retry-in-the-client', title: 'Something below us already retried', tier: 2, theme: 'ambiguous call',
    question: 'Which layers under this call (SDK, HTTP agent, proxy, mesh, browser) resend on their own, and do they reuse our key?',
    incidents: [
      { what: 'Current source: a closed connection is retried once even with retries set to 0, and the comment says the API may have processed it; hence a key is now generated for every POST.', cost: 'A setting of 0 does not mean 0.', source: S.stripeNode },
      { what: 'A generic retry helper resends POST on ECONNRESET by default; the maintainer confirms duplicates are possible.', source: S.nrr },
      { what: 'A kept-alive socket may already be closed when the next request is written; whether to resend is left to a guess.', cost: 'Open for years; errors only in production traffic.', source: S.undici },
    ],
    invariants: ['I01', 'I04', 'I08', 'I13'],
    naive: { outcome: 'double effect invisible', what: 'Believes it made one attempt; the provider saw two. Own counters and logs agree with the loop, not with the truth.' },
    queue: 'The queue counts 1 attempt; the wire shows 2 to 6 (SDK x agent). Budgets computed on attempts are wrong by that factor.',
  },
  {
    id: 'cancelled-while-in-flight', title: 'Cancelled while in flight', tier: 2, theme: 'ambiguous call',
    question: 'If someone cancels after the bytes left, who decides whether it happened, and what do we tell them meanwhile?',
    incidents: [
      { what: 'Maintainer answer: once sent, the server processes it; abort only means the client stops listening.', source: S.axios },
      { what: 'Review blocked a change that told customers \'nothing was charged\' on any 2xx to a cancel request that only said \'accepted\'.', cost: 'Caught in review; the promise about money would have been false.', source: S.comfy },
    ],
    invariants: ['I01', 'I03', 'I05', 'I20'],
    naive: { outcome: 'wrong record', what: 'AbortError goes down the same path as failure: retries, or reports \'cancelled\' while the charge stands.' },
    queue: 'Removing the job from the queue deletes the only memory that an attempt is out there.',
  },
]
