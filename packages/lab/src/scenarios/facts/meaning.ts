/** What an answer means: done, refused, taken for later, or something else than it says. Facts in our own words, each with its source. */
import type { ScenarioFacts } from '../facts.ts'
import { SOURCES as S } from './sources.ts'

export const meaning: readonly ScenarioFacts[] = [
  {
    id: 'ok-status-error-body', title: '200 OK, with an error inside', tier: 2, theme: 'meaning',
    question: 'For this provider, what in the answer proves success: status, a field, or the echoed object?',
    incidents: [
      { what: 'Copy and multipart-complete can answer 200 and then carry an error or a cut connection in the body; the JS SDK had to add throwing.', cost: 'Uploads reported as done that were not.', source: S.s3a },
      { what: 'The Ruby SDK did not retry such errors for two of three operations.', cost: 'Silent gaps until v1.66.0.', source: S.s3b },
      { what: 'A shop marked refunds as done whatever the API said.', cost: 'Customers told \'refunded\', no refund made.', source: S.adyenps },
    ],
    invariants: ['I03', 'I22'],
    naive: { outcome: 'lost effect', what: '2xx means success: records done, nothing happened.' },
    queue: 'Same: the job is acknowledged and gone.',
  },
  {
    id: 'accepted-then-failed-later', title: 'Accepted now, failed later', tier: 1, theme: 'meaning',
    question: 'What does \'accepted\' promise, how long until it is final, and who is listening for the bad news?',
    incidents: [
      { what: 'Refund shown as successful, then fails days later (card expired); the order notes contradict each other.', cost: 'Merchants told customers money was returned.', source: S.wcrefund },
      { what: 'Mail accepted by the API, later dropped as bounced with no visible reason.', cost: 'Marked sent, never delivered.', source: S.sgbounce },
    ],
    invariants: ['I02', 'I03', 'I11', 'I12', 'I20'],
    naive: { outcome: 'lost effect', what: 'Returns success at 202 and forgets.' },
    queue: 'Job done at 202; no row remains that could receive the later failure.',
  },
  {
    id: 'partial-batch-success', title: 'Half of the batch worked', tier: 2, theme: 'meaning',
    question: 'If 7 of 10 items succeed, which rows do we mark, and does the retry resend only the 3?',
    incidents: [
      { what: 'A log shipper looked only at whole-request errors; throttled items inside a 200 were dropped.', cost: 'Data loss risk first reported 2019, reported again 2023.', source: S.vec },
      { what: 'Same gap in a database sink.', cost: 'Potential loss in two releases.', source: S.rw },
      { what: 'A job hit an edge case part-way and its retry mailed the whole batch again.', cost: 'Duplicate mails to all recipients.', source: S.launch },
    ],
    invariants: ['I01', 'I02', 'I03'],
    naive: { outcome: 'lost or double', what: 'Either drops 3 items (2xx) or resends all 10 (7 duplicates).' },
    queue: 'One job = one batch has the same two choices; one intent per item is the way out.',
  },
  {
    id: 'retrying-what-cannot-succeed', title: 'Retrying what can never succeed', tier: 2, theme: 'meaning',
    question: 'Which answers from this provider are final, and what does each further try cost us?',
    incidents: [
      { what: 'Card networks put declines in categories; some may never be retried.', cost: 'A fee per excessive retry.', source: S.visa },
      { what: 'A processor blocks further tries after a \'never\' decline or too many tries in 30 days, to save clients the fees.', cost: 'It states savings of hundreds of thousands of dollars in fees for its clients.', source: S.taba },
      { what: 'Lists per-network fees and limits; some irreversible codes are charged on any retry.', cost: 'e.g. R$2.00 per excess attempt in the table read.', source: S.payzu },
    ],
    invariants: ['I08', 'I12', 'I03'],
    naive: { outcome: 'wasted and fined', what: 'Five useless tries, fees or a ban, then a generic error.' },
    queue: '25 tries over weeks; the person who could fix the data hears about it at the end.',
  },
  {
    id: 'amount-or-currency-drift', title: '100 yen became 10,000', tier: 1, theme: 'meaning',
    question: 'Where do units change (cents, yen, dinar, float, string), and would our own books notice a factor of 100?',
    incidents: [
      { what: 'Gateway multiplied every amount by 100.', cost: 'Customers charged 100x in JPY and KRW.', source: S.jpy1 },
      { what: 'Same bug, and the callback divided by 100 again, so the books looked right.', cost: '100x overcharge invisible in the merchant\'s own records.', source: S.jpy2 },
      { what: 'Only the wallet-button path was wrong.', cost: '100x price in Apple and Google Pay.', source: S.jpy3 },
    ],
    invariants: ['I22', 'I03'],
    naive: { outcome: 'wrong effect', what: 'Sends what it was given; success.' },
    queue: 'Same. The engine can only help by forcing the type and comparing the echo.',
  },
  {
    id: 'webhook-early-twice-or-reordered', title: 'The webhook comes before the response, twice, or out of order', tier: 1, theme: 'meaning',
    question: 'If the event arrives before our own write, do we lose it, and do duplicates or stale events move us backwards?',
    incidents: [
      { what: 'Event arrived before the order row existed; handler answered 200, so it was never sent again.', cost: 'Orders stuck until staff fixed each one.', source: S.cargo },
      { what: 'Long thread of integrators who cannot order events.', source: S.scli },
      { what: 'Event for an abandoned payment raced a refund.', cost: 'Order created and refunded at once; captured amount doubled.', source: S.saleor },
    ],
    invariants: ['I03', 'I05', 'I13', 'I20'],
    naive: { outcome: 'lost evidence', what: 'Has no inbox: the event is acknowledged into the void.' },
    queue: 'Queue state and webhook handler write the same row without a rule: last write wins.',
  },
  {
    id: 'effects-out-of-order', title: 'Refund before charge', tier: 2, theme: 'meaning',
    question: 'Which calls about the same thing must not overtake each other, and what holds the line when one is stuck?',
    incidents: [
      { what: 'Refunds ran on a higher-priority queue than the step that links the order.', cost: 'Refunds with no order; metrics wrong.', source: S.polar },
      { what: 'Refund before capture is refused by the provider.', cost: 'Shop shows it as done.', source: S.adyenps },
      { what: 'A delayed actor applied an older plan over a newer one; clean-up then removed it.', cost: 'Empty DNS record; about 14.5 h of impact.', source: S.aws25 },
    ],
    invariants: ['I16', 'I10', 'I12'],
    naive: { outcome: 'wrong order', what: 'Whoever is faster wins.' },
    queue: 'Parallel consumers plus backoff reorder by design: the failed one goes to the back.',
  },
]
