/** Randomness from a seed: the same seed gives the same numbers on every machine. */

/** Uniform in [0, 1). */
export type Random = () => number

/** Counts up by an odd constant and mixes the bits twice (xorshift-multiply): 32 bits of state, full period. */
export function seeded(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x9e3779b9) >>> 0
    let bits = Math.imul(state ^ (state >>> 16), 0x21f0aaad)
    bits = Math.imul(bits ^ (bits >>> 15), 0x735a2d97)
    return ((bits ^ (bits >>> 15)) >>> 0) / 0x1_0000_0000
  }
}

/** A seed of its own for each part of a world, so that one part's draws do not move another's. FNV-1a over the text. */
export function seedOf(...parts: readonly (string | number)[]): number {
  let hash = 0x811c9dc5
  for (const char of parts.join('/')) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193) >>> 0
  return hash
}

const ALPHABET = '0123456789abcdefghijklmnopqrstuvwxyz'

export const identityFrom = (random: Random): string => {
  let text = ''
  for (let at = 0; at < 16; at++) text += ALPHABET[Math.floor(random() * 36)] ?? ''
  return text
}

/** A whole number in [from, to]. */
export const between = (random: Random, from: number, to: number): number => from + Math.floor(random() * (to - from + 1))

export function pick<T>(random: Random, all: readonly T[]): T {
  const one = all[Math.floor(random() * all.length)]
  if (one === undefined) throw new Error('there is nothing to pick from')
  return one
}
