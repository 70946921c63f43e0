/** Randomness from a seed and a name: each order meets the same faults under every strategy. */
export function seededBy(seed: number, ...names: readonly (string | number)[]): () => number {
  let state = 2166136261 ^ seed
  for (const char of names.join('/')) state = Math.imul(state ^ char.charCodeAt(0), 16777619)
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
