/**
 * What must not reach rows, logs, stories or telemetry. `redact` takes declared fields out of a JSON value; `scrub`
 * takes what looks like a secret out of free text, as a last line: it errs on the side of taking too much.
 */
export const REDACTED = '[redacted]'

/** Nesting followed by `redact`; beyond it a value is replaced as a whole rather than let through unseen. */
const DEPTH_MAX = 64

/**
 * A copy of a JSON value with the values at `paths` replaced by `[redacted]`.
 *
 * A path is names joined by dots; `*` stands for every element or member: `card.number`, `items.*.name`, `*.token`.
 * Parts on no path are shared with the original, not copied. Paths that lead nowhere change nothing.
 */
export function redact(value: unknown, paths: readonly string[]): unknown {
  if (paths.length === 0) return value
  return redactAt(value, paths.map((path) => path.split('.')), 0)
}

function redactAt(value: unknown, paths: readonly (readonly string[])[], depth: number): unknown {
  if (paths.some((path) => path.length === depth)) return REDACTED
  if (typeof value !== 'object' || value === null) return value
  if (depth >= DEPTH_MAX) return REDACTED
  if (Array.isArray(value)) return value.map((item: unknown, at) => redactMember(item, String(at), paths, depth))
  const copy: [string, unknown][] = []
  for (const [name, member] of Object.entries(value)) copy.push([name, redactMember(member, name, paths, depth)])
  return Object.fromEntries(copy)
}

function redactMember(member: unknown, name: string, paths: readonly (readonly string[])[], depth: number): unknown {
  const onward = paths.filter((path) => path[depth] === name || path[depth] === '*')
  return onward.length === 0 ? member : redactAt(member, onward, depth + 1)
}

const HEADER_LINE = /\b((?:proxy-)?authorization|x-api-key|api-key|cookie|set-cookie)(["']?\s*[:=]\s*["']?)[^\r\n"']+/gi
const SCHEME = /\b(bearer|basic|token)\s+[A-Za-z0-9._~+/=-]{8,}/gi
const PREFIXED_KEY = /\b(?:(?:sk|rk|pk|whsec)_(?:(?:live|test)_)?[A-Za-z0-9]{8,}|xox[abeoprs]-[A-Za-z0-9-]{8,}|gh[opsur]_[A-Za-z0-9]{16,}|(?:AKIA|ASIA)[A-Z0-9]{16}|SG\.[\w-]{16,}\.[\w-]{16,}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)/g
const NAMED_SECRET = /\b(password|passwd|secret|client_secret|api_?key|access_token|refresh_token)(["']?\s*[:=]\s*["']?)[^\s"'&,;}]+/gi
const URL_USER = /(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/@]+@/gi
const DIGIT_RUN = /\d(?:[ -]?\d){12,}/g

/** Free text without likely secrets: authorization headers, API keys, tokens, passwords in URLs, card numbers. */
export function scrub(text: string): string {
  return text
    .replace(HEADER_LINE, `$1$2${REDACTED}`)
    .replace(SCHEME, `$1 ${REDACTED}`)
    .replace(PREFIXED_KEY, REDACTED)
    .replace(NAMED_SECRET, `$1$2${REDACTED}`)
    .replace(URL_USER, `$1${REDACTED}@`)
    .replace(DIGIT_RUN, (run) => withoutCards(run))
}

/** Takes a run of digits out when it is a card number, or is so long that one could stand in it. */
function withoutCards(run: string): string {
  const digits = run.replace(/[ -]/g, '')
  if (digits.length <= 19) return isCard(digits) ? REDACTED : run
  for (let length = 13; length <= 19; length += 1) {
    for (let at = 0; at + length <= digits.length; at += 1) {
      if (isCard(digits.slice(at, at + length))) return REDACTED
    }
  }
  return run
}

/** Card numbers begin with 2 to 6; instants in milliseconds begin with 1. */
function isCard(digits: string): boolean {
  return digits >= '2' && digits < '7' && passesLuhn(digits)
}

function passesLuhn(digits: string): boolean {
  let sum = 0
  for (let at = 0; at < digits.length; at += 1) {
    const digit = digits.charCodeAt(digits.length - 1 - at) - 48
    const doubled = at % 2 === 1 ? digit * 2 : digit
    sum += doubled > 9 ? doubled - 9 : doubled
  }
  return sum % 10 === 0
}
