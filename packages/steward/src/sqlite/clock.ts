/** The machine's clock, for the store's own `now` and for bounds inside its thread. The one place here that reads it. */
export function machineClock(): number {
  return Date.now()
}

/** Milliseconds that have passed since some start, whatever is done to the machine's clock. */
export function machineTicks(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

const still = new Int32Array(new SharedArrayBuffer(4))

/** Blocks the calling thread: only the store's thread does, while it waits for another process's lock. */
export function blockFor(delayMs: number): void {
  Atomics.wait(still, 0, 0, delayMs)
}
