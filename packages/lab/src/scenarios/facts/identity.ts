/** Keys: which two requests are one effect, and for how long the provider remembers. Facts in our own words, each with its source. */
import type { ScenarioFacts } from '../facts.ts'
import { SOURCES as S } from './sources.ts'

export const identity: readonly ScenarioFacts[] = [
  {
    id: 'key-regenerated-per-attempt', title: 'A fresh idempotency key per attempt', tier: 1, theme: 'identity',
    question: 'Where is the key born, is it stored before the first byte leaves, and which volatile field could change it on a retry?',
    incidents: [
      { what: 'Key was a hash over a payload that contains SDK timestamps and re-encrypted card data: a retry looked like a new payment.', cost: 'Duplicate authorisations reported by a merchant.', source: S.adyenct },
      { what: 'Key contained the wall clock to the second, with a note to mend it in the code; the UNIQUE constraint could never fire.', cost: 'Security finding; no incident count given.', source: S.flexprice },
      { what: 'Key contained a short-lived token that is re-minted on every retry.', cost: 'Published as an advisory: buyer can be charged twice for one payment.', source: S.pympp },
    ],
    invariants: ['I01', 'I04'],
    naive: { outcome: 'double effect', what: 'The key protects nothing: two keys, two effects, both calls green.' },
    queue: 'A queue that re-creates the job (new id) on redrive or on a user retry falls into the same hole one level up.',
  },
  {
    id: 'key-reused-for-another-payload', title: 'An old key carries a new payload', tier: 1, theme: 'identity',
    question: 'What happens when the same business event legitimately changes (amount, card) and the key does not, or does?',
    incidents: [
      { what: 'Key was (row, expiry time); the payload held a moving timestamp, so a second try in 24 h was refused by the provider.', cost: 'Members could not pay: a hard 502 for up to 24 h.', source: S.revel },
      { what: 'Key of patient + date collided with the next try using another card.', cost: 'Patients locked out of paying for 24 h behind a generic message.', source: S.canvas },
      { what: 'An SDK release copied the key onto later, different requests.', cost: 'Payments failed until the release was fixed.', source: S.sruby },
    ],
    invariants: ['I03', 'I04', 'I22'],
    naive: { outcome: 'wrong effect recorded', what: 'Depends on the provider: endless 4xx, or a stored answer for the old amount recorded as success for the new one.' },
    queue: 'The queue retries the refusal to exhaustion, or worse, accepts the replay. Only a fingerprint taken at first send tells the cases apart.',
  },
  {
    id: 'key-window-expired-before-last-retry', title: 'The retry schedule outlives the provider\'s memory', tier: 1, theme: 'identity',
    question: 'For how long does this provider remember the key, and is our last automatic retry (plus weekends, plus redrives) inside it?',
    incidents: [
      { what: 'v1 keys may be pruned after 24 h and a reuse is then a new request; v2 keeps 30 days.', source: S.stripeIdem },
      { what: 'Keys live 30 minutes, then the same request creates a new resource.', source: S.qonto },
      { what: 'Default 25 retries span about 20 days: by the published formula retries 14 to 25 fall after the first 24 h (own arithmetic).', cost: '12 of 25 default retries are outside a 24 h memory.', source: S.sidekiq },
    ],
    invariants: ['I01', 'I05', 'I06', 'I12'],
    naive: { outcome: 'double effect late', what: 'Gives up long before; the user or a cron starts again later with the same effect.' },
    queue: 'This is where a durable queue with a stable key turns a correct system into a double payer: persistence makes it worse.',
  },
  {
    id: 'key-conflict-while-first-runs', title: '409 because the first attempt is still running', tier: 2, theme: 'identity',
    question: 'Does \'conflict\' mean \'already running\', \'already different\' or \'already exists\', and do we wait, give up or make a new key?',
    incidents: [
      { what: 'Draft: a repeat while the first is in progress should get 409, and it is the one error the client need not correct; a key used for another payload should get 422.', source: S.ietf },
      { what: 'Official client treats 409 as retryable and obeys a should-retry header from the server.', source: S.stripeNode },
      { what: 'One provider asks for a NEW key after its internal conflict: the opposite rule.', cost: 'A generic rule is wrong for somebody.', source: S.solid },
    ],
    invariants: ['I01', 'I03', 'I05', 'I08'],
    naive: { outcome: 'wrong record or double', what: 'Treats 409 as failure (4xx) and reports \'failed\' while the first attempt succeeds, or makes a new key to get past it: double effect.' },
    queue: 'Queue default \'do not retry 4xx\' parks a succeeding payment in the dead set.',
  },
  {
    id: 'cached-error-replayed', title: 'The key now stores a failure', tier: 2, theme: 'identity',
    question: 'If the provider stored an error under this key, how do we ever succeed, and is it certain that nothing happened?',
    incidents: [
      { what: 'v1 stores the first answer once execution began, including 500s; v2 instead re-runs failed work.', source: S.stripeIdem },
      { what: 'Checkout.com stores only 2xx: the same key after an error executes again.', cost: 'Same code, opposite effect, by provider.', source: S.checkout },
      { what: 'Plugin change explains that a reused key can only reveal or replay, never succeed where the first failed.', cost: 'Subscription renewals failed on every retry.', source: S.woo5899 },
    ],
    invariants: ['I01', 'I03', 'I05', 'I12'],
    naive: { outcome: 'stuck or double', what: 'Same-key loop fails N times for nothing; new-key loop pays twice whenever the effect had in fact happened.' },
    queue: 'Burns all attempts on an answer that cannot change; ends dead, truth unknown.',
  },
  {
    id: 'duplicate-user-submit', title: 'Double click, refresh, two tabs', tier: 2, theme: 'identity',
    question: 'Who mints the identity of this action, and does it survive a refresh, a second tab and the back button?',
    incidents: [
      { what: 'Key was generated on every page load and regenerated on retry: a refresh made a second subscription.', cost: 'Users billed twice, noticed on the bill.', source: S.fxa },
      { what: 'Their framework demands a client-generated key per request and classifies every error as retryable or not.', cost: 'Written after a services split made double payments a standing risk.', source: S.airbnb },
      { what: 'Ledger database advice: the user\'s own client creates and stores the id before submitting.', source: S.tbsess },
    ],
    invariants: ['I01', 'I04', 'I13'],
    naive: { outcome: 'double effect', what: 'Two function calls, two effects.' },
    queue: 'Two jobs with two ids: the queue faithfully does both. Dedup needs a business identity at intake.',
  },
]
