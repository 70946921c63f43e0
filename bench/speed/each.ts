/** Runs `one` for every number, so many at a time. */
export async function each(count: number, atOnce: number, one: (n: number) => Promise<unknown>): Promise<void> {
  let next = 0
  const caller = async (): Promise<void> => {
    while (next < count) await one(next++)
  }
  await Promise.all(Array.from({ length: atOnce }, caller))
}
