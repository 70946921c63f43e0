/** Every limit of Steward, with its unit and its reason. */
export const LIMITS = {
  /** Characters of a business key. Longer ones are documents, not names; PostgreSQL's index rows end near 2,700 bytes. */
  keyChars: 512,
  /** Characters of operation, provider and group names. */
  nameChars: 200,
  /** Bytes of an input as JSON text. Inputs are read at each claim; larger things belong in a blob store, by reference. */
  inputBytes: 256 * 1024,
  /** Bytes of a result as JSON text. A larger one is recorded as applied, result missing. */
  resultBytes: 256 * 1024,
  /** Longest wait that a provider is obeyed for. More is a broken header; 30 days. */
  retryAfterMs: 30 * 24 * 60 * 60 * 1_000,
  /** Characters of any one sentence in a story: reasons, people's words. */
  reasonChars: 500,
  /** Wire exchanges kept per attempt; the rest is counted. An SDK that sends more is in a loop. */
  exchangesPerAttempt: 20,
  /** Facts kept per call. A webhook repeated for ever must not grow the row; what would be the 101st is refused. */
  factsPerCall: 100,
  /** Story entries kept per call before the middle is folded into a count. The row is rewritten with each entry; this is about 400 KB, reached after some 700 attempts. */
  storyEntries: 2_000,
  /** Calls of one submitMany. One transaction; larger ones would hold the write lock too long. */
  submitMany: 10_000,
  /** Submits of one process that wait for their commit. Beyond it, STEWARD_OVERLOADED: pressure shows instead of memory growing. */
  pendingSubmits: 100_000,
  /** Calls one process claims ahead of sending. Claimed calls are certainly unsent and go back at close. */
  prefetch: 512,
  /** Calls ended by one redrive or cancel by filter, per transaction. */
  redrivePage: 200,
  /** Rows of one page of list. */
  listPage: 1_000,
  /** Failpoints, alerts and holds keep names below this. */
  scopeChars: 300,
} as const
