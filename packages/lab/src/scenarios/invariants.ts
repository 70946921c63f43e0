/** The invariants that scenarios name: what the auditor holds a run against. */
export const INVARIANTS = {
  I01: { name: 'at-most-one-effect', statement: 'For one intent the provider\'s ledger shows at most one effect.' },
  I02: { name: 'no-lost-intent', statement: 'Every intent whose commit was acknowledged reaches exactly one terminal state (done, refused, needs-human) within its deadline, or is visibly waiting.' },
  I03: { name: 'record-tells-the-truth', statement: 'Once settled, our recorded outcome equals the provider ledger: never \'failed\' with an effect, never \'done\' without one.' },
  I04: { name: 'stable-identity', statement: 'All attempts of one intent carry a byte-identical key and a byte-identical payload fingerprint.' },
  I05: { name: 'unknown-is-a-state', statement: 'An attempt that may have reached the provider and has no definite answer moves the intent to \'unknown\', never to \'failed\'.' },
  I06: { name: 'inside-the-key-window', statement: 'No resend of an ambiguous attempt after (provider key retention minus margin); from then on only look-up, evidence or a person.' },
  I07: { name: 'fenced-writes', statement: 'A result written under an older claim number cannot change the state; it is kept as evidence.' },
  I08: { name: 'bounded-amplification', statement: 'During a total outage the attempts per provider stay within (1 + retry budget) x first attempts; on recovery load returns to normal by itself.' },
  I09: { name: 'obeys-pacing', statement: 'No request to a (provider, account) scope before the time it was told to wait for, across all workers.' },
  I10: { name: 'tenant-isolation', statement: 'A fault in one tenant or provider does not raise another tenant\'s queue age beyond a stated bound.' },
  I11: { name: 'age-is-visible', statement: 'Oldest-waiting age per provider and tenant is exported, and a breach alerts within a stated time.' },
  I12: { name: 'ends-are-loud', statement: 'Every move to exhausted, unknown-past-window or needs-human raises exactly one routed alert, and an end-to-end probe proves the route works.' },
  I13: { name: 'one-thread', statement: 'From one business id a single query returns every attempt, key, provider request id, decision and actor.' },
  I14: { name: 'no-secrets-at-rest', statement: 'Credentials and card or person data never appear in rows, logs, traces, errors or exported evidence.' },
  I15: { name: 'claims-only-what-it-understands', statement: 'A worker claims only intents whose schema version it knows; others stay unclaimed, unpunished and counted.' },
  I16: { name: 'declared-order', statement: 'For one ordering key, effects become visible at the provider in the declared order.' },
  I17: { name: 'stop-switch', statement: 'Pausing a provider, tenant or kind stops new sends within a stated time and loses nothing.' },
  I18: { name: 'refuses-rather-than-forgets', statement: 'When it cannot store an intent durably, the engine refuses it to the caller\'s face.' },
  I19: { name: 'expires', statement: 'Past its \'not useful after\' time an intent is not sent, it ends as expired and says so.' },
  I20: { name: 'monotone-state', statement: 'Late, repeated or reordered evidence never moves an intent backwards.' },
  I21: { name: 'redrive-keeps-identity', statement: 'A manual redrive re-uses the intent and key, or first proves the old effect absent and records who decided and why.' },
  I22: { name: 'money-is-exact', statement: 'Amounts are integer minor units with the currency\'s own exponent; what the provider echoes equals what the caller asked.' },
  I23: { name: 'no-network-inside-transaction', statement: 'No database transaction or pool connection is held while waiting for the provider.' },
  I24: { name: 'bounded-blast-of-one', statement: 'One message can stop only itself: a crash or rejection by it never blocks or kills the others.' },
} as const

export type InvariantId = keyof typeof INVARIANTS
