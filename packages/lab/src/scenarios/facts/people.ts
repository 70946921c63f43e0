/** Who is told, who decides, and what they can see. Facts in our own words, each with its source. */
import type { ScenarioFacts } from '../facts.ts'
import { SOURCES as S } from './sources.ts'

export const people: readonly ScenarioFacts[] = [
  {
    id: 'exhausted-and-nobody-told', title: 'It gave up, or warned, and nobody was told (dead letters, alert fatigue)', tier: 1, theme: 'people',
    question: 'When this intent ends without success, which human learns of it, by which tested route, within how long?',
    incidents: [
      { what: 'Backups had failed for long; the failure mails were refused by mail authentication.', cost: 'No backup when it mattered.', source: S.gitlab },
      { what: '97 warning mails before the market opened; not designed as alerts, not read.', cost: '$460M+.', source: S.knight },
      { what: 'The failing service reported its last good numbers.', cost: 'Alert never fired.', source: S.travispw },
    ],
    invariants: ['I12', 'I11', 'I02'],
    naive: { outcome: 'blind', what: 'throw err; the log line is the whole story.' },
    queue: 'A dead-letter list that nobody owns.',
  },
  {
    id: 'redrive-duplicates-effects', title: 'A person presses \'retry all\'', tier: 1, theme: 'people',
    question: 'If someone redrives 500 dead intents at 2 a.m., which of them already happened, and what would stop the second payment?',
    incidents: [
      { what: 'One day\'s settlement file was sent twice and the next day\'s not at all.', cost: 'Cardholders debited twice, merchants over- and underpaid.', source: S.cardnet },
      { what: 'A scheduling fault ran business payments twice on Christmas Day.', cost: '75,000 payments, GBP 130M, from the bank\'s own funds; partly at rival banks.', source: S.santander },
      { what: 'Retry of a part-done batch.', cost: 'Duplicate mails.', source: S.launch },
    ],
    invariants: ['I01', 'I06', 'I21', 'I13'],
    naive: { outcome: 'double effect', what: 'No list to redrive: someone writes a script with new keys.' },
    queue: '\'Retry\' re-enqueues as is: safe for 300, double for what has left the window.',
  },
  {
    id: 'no-thread-to-pull', title: 'Cannot answer: what happened to order 4711?', tier: 1, theme: 'people',
    question: 'Given only a customer\'s complaint, how long until we can show each attempt, key, provider id, decision and person?',
    incidents: [
      { what: 'Five lost seconds had to be rebuilt from binlogs and trace logs.', cost: '8 h meeting.', source: S.razor },
      { what: 'Restart healed it and wiped the evidence; too few logs.', cost: 'Cause never found; 21.5 h.', source: S.yeller },
      { what: 'Platform dropped the long crash traces; error tracker never got them.', cost: 'Cause found by looking at unacknowledged messages.', source: S.iiopoison },
    ],
    invariants: ['I13', 'I03', 'I14'],
    naive: { outcome: 'blind', what: 'grep by timestamp and hope.' },
    queue: 'Job id in one place, provider id in another, key in none.',
  },
  {
    id: 'secrets-and-pii-in-logs', title: 'Secrets and personal data end up in logs and payloads', tier: 1, theme: 'people',
    question: 'If the logs, the error tracker and the dead-letter list leak tonight, what is in them?',
    incidents: [
      { what: 'Axios error logged with the full Authorization header; found only because the token had just been rotated.', cost: 'Luck.', source: S.paperless },
      { what: 'The stored error object carried the request headers with the token.', cost: 'Any logger of errors leaks it.', source: S.slackr },
      { what: 'Reset links and login tokens as job arguments were written at enqueue, at run and to the error tracker at each failure.', cost: 'Four separate leak paths closed.', source: S.demarche },
    ],
    invariants: ['I14', 'I13'],
    naive: { outcome: 'leak', what: 'console.error(err).' },
    queue: 'Payload stored in clear, shown in the queue\'s web UI to everyone.',
  },
]
