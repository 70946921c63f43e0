/** The command line's one timer: looking again while a person watches, and staying until told to end. */

/** Runs `look` now and then every `everyMs` until `stopped` settles; keeps the process alive meanwhile. */
export async function every(everyMs: number, stopped: Promise<unknown>, look: () => Promise<void>): Promise<void> {
  // One record instead of a race with `stopped` per round: a worker that runs for months must not gather reactions.
  const round = { isLast: false, wake: (): void => undefined }
  const timer = setInterval(() => round.wake(), everyMs)
  const end = (): void => {
    round.isLast = true
    round.wake()
  }
  stopped.then(end, end)
  try {
    while (!round.isLast) {
      await look()
      if (!round.isLast) await new Promise<void>((resolve) => { round.wake = resolve })
    }
  } finally {
    clearInterval(timer)
  }
}
