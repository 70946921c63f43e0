/** The closest known word to one that was mistyped. */

/** ` Did you mean "story"?`, or nothing where no known word is near. */
export function didYouMean(given: string, known: readonly string[]): string {
  const near = known
    .map((word) => ({ word, distance: distance(given.toLowerCase(), word.toLowerCase()) }))
    .filter(({ word, distance: far }) => far <= Math.max(1, Math.floor(Math.min(word.length, given.length) / 3)))
    .sort((a, b) => a.distance - b.distance)[0]
  return near === undefined ? '' : ` Did you mean "${near.word}"?`
}

/** Edits between two words: insert, remove, replace, swap neighbours. */
function distance(a: string, b: string): number {
  const width = b.length + 1
  const cost = new Array<number>((a.length + 1) * width).fill(0)
  const at = (i: number, j: number): number => cost[i * width + j] as number
  for (let i = 0; i <= a.length; i++) {
    for (let j = 0; j <= b.length; j++) {
      if (i === 0 || j === 0) {
        cost[i * width + j] = i + j
        continue
      }
      let best = Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, at(i - 2, j - 2) + 1)
      cost[i * width + j] = best
    }
  }
  return at(a.length, b.length)
}
