/**
 * The machine on which the targets were set: two cores and a disk that syncs in 0.1 ms. Where a target is a number of its
 * own rather than a ratio, the report shows beside it what it is in units of the machine at hand, both measured in one run.
 */
export const REFERENCE = {
  /** A bare undici Pool at 50 concurrent, requests per second. */
  rawPerS: 32_799,
  /** A bare commit of one row by node:sqlite (WAL, synchronous=FULL), milliseconds: 8,369 a second. */
  commitMs: 0.119,
} as const
