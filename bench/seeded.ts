/** Randomness from a seed: the same seed gives the same numbers, on every machine. */

/** Uniform in [0, 1) (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A stream of its own for each name, so that processes which race each other still draw the same numbers for the same thing. */
export function seededBy(seed: number, ...names: readonly (string | number)[]): () => number {
  let hash = 2166136261 ^ seed
  for (const char of names.join('/')) hash = Math.imul(hash ^ char.charCodeAt(0), 16777619)
  return seeded(hash)
}

export function pick<Item>(random: () => number, items: readonly [Item, ...Item[]]): Item {
  return items[Math.floor(random() * items.length)] ?? items[0]
}

/** Picks by weight; the weights need not add up to anything. */
export function weighted<Name extends string>(random: () => number, weights: Readonly<Record<Name, number>>): Name {
  const entries = Object.entries(weights) as [Name, number][]
  let left = random() * entries.reduce((sum, [, weight]) => sum + weight, 0)
  for (const [name, weight] of entries) {
    left -= weight
    if (left < 0) return name
  }
  return (entries.at(-1) as [Name, number])[0]
}

/** Log-normal-ish: mostly near the median, now and then far above it, within bounds. */
export function latencyMs(random: () => number, medianMs: number, leastMs: number, mostMs: number): number {
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  return Math.min(mostMs, Math.max(leastMs, Math.round(medianMs * Math.exp(0.9 * normal))))
}
