/** Deploys, rollbacks, credentials and certificates: the world changes between two attempts. Facts in our own words, each with its source. */
import type { ScenarioFacts } from '../facts.ts'
import { SOURCES as S } from './sources.ts'

export const change: readonly ScenarioFacts[] = [
  {
    id: 'version-skew-in-flight', title: 'Old worker meets new payload, new code meets old schema, code before config', tier: 1, theme: 'change',
    question: 'During the 20 minutes when both versions run, which one writes what the other cannot read?',
    incidents: [
      { what: 'Web servers deployed first; old workers took jobs of an unknown class, failed them for good; the new workers never saw them.', cost: 'Jobs had to be rescheduled by hand.', source: S.gj },
      { what: 'Framework changed so that adapters can tell this case from a bug.', source: S.rails },
      { what: 'A team ships the reader one release before the writer on purpose.', cost: 'Cost: one extra small release.', source: S.chat152 },
    ],
    invariants: ['I02', 'I15', 'I04', 'I12'],
    naive: { outcome: 'lost effect', what: 'In-process: no skew, but all state lost at deploy.' },
    queue: 'Version error is counted as a failed attempt: valid intents die of deploy.',
  },
  {
    id: 'rollback-meets-new-rows', title: 'Roll back, and the old code meets the new rows', tier: 1, theme: 'change',
    question: 'If we roll back in an hour, what can the old version not read, and what has the new one already sent?',
    incidents: [
      { what: 'An enum value was renamed while old values sat in stored JSON.', cost: 'Workspaces with such a row crashed; staging had none.', source: S.airbyte },
      { what: 'Reviewer: an enum change cannot be rolled back once rows use it.', source: S.opik },
      { what: 'Rollback failed because the old image was not in the new registry; pull errors had no alert.', cost: 'Three days of wrong build results and delays.', source: S.travisrb },
    ],
    invariants: ['I01', 'I04', 'I15', 'I20'],
    naive: { outcome: 'nothing', what: 'Nothing stored.' },
    queue: 'Old workers crash on new rows or, worse, read them as something else; changed key derivation pays twice.',
  },
  {
    id: 'flag-reuse-wakes-dead-code', title: 'A reused flag wakes dead code on one forgotten server', tier: 2, theme: 'change',
    question: 'Does this flag, kind or enum value have a past life, and is every node on the version we think it is?',
    incidents: [
      { what: 'Old flag re-used; one of eight servers kept the 2003 code; no limit, no kill switch, warning mails unread.', cost: '212 orders became 4 million executions in 45 min; $460M loss; SEC fine $12M; firm taken over soon after.', source: S.knight },
      { what: 'A control flag silently applied only to the ten busiest customers.', cost: 'Emergency brake did not brake.', source: S.iio25 },
    ],
    invariants: ['I08', 'I12', 'I15', 'I17'],
    naive: { outcome: 'runaway', what: 'Does what it is told, as fast as it can.' },
    queue: 'Queue feeds it at full speed.',
  },
  {
    id: 'credential-rotated-mid-retry', title: 'The key was rotated, expired or revoked between attempts', tier: 1, theme: 'change',
    question: 'Does an attempt use the credential of now or of then, and does a 401 burn attempts or pause the line?',
    incidents: [
      { what: 'New credential went to the wrong environment, old one was deleted.', cost: '100 % of writes failed for 67 min; no view of which credential was in use.', source: S.r2 },
      { what: 'One service missed in a rotation; its metrics went stale, so no alert.', cost: '6,000+ machines leaked, days of queueing.', source: S.travispw },
      { what: '401s from a missing variable.', cost: 'Deploys failed.', source: S.heroku },
    ],
    invariants: ['I02', 'I03', 'I08', 'I12', 'I14', 'I17'],
    naive: { outcome: 'lost effect', what: '401: five tries, then failure, for every call until someone notices.' },
    queue: 'Thousands of good intents die as \'permanent 4xx\'.',
  },
  {
    id: 'tls-or-dns-breaks', title: 'The certificate chain expired, or the name resolves to nothing', tier: 2, theme: 'change',
    question: 'If no connection can be made at all, do we know for certain that nothing happened, and do we still burn attempts?',
    incidents: [
      { what: 'An expired old root still sent in the chain broke outgoing clients.', cost: 'Near-global outage avoided by fast reaction.', source: S.shopify },
      { what: 'A payment company\'s callbacks failed because its clients kept the dead root.', cost: 'Shops did not learn of payments.', source: S.octo },
      { what: 'Signing certificate expired; nobody had tested \'tomorrow\'.', cost: 'All add-ons off; hours to days to heal.', source: S.mozilla },
    ],
    invariants: ['I02', 'I08', 'I11', 'I12'],
    naive: { outcome: 'lost effect', what: 'Generic \'fetch failed\': retries at once, gives up in 15 s.' },
    queue: 'Attempts exhausted in minutes or hours on errors that prove nothing was sent.',
  },
]
