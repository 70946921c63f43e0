/** The wish of a person, or of whoever runs us, that we end. */
import process from 'node:process'

const STOPS = ['SIGINT', 'SIGTERM'] as const

/** Resolves with the first such signal. A second one ends the process as it would have without us. */
export function stopAsked(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const onSignal = (signal: NodeJS.Signals): void => {
      for (const name of STOPS) process.off(name, onSignal)
      resolve(signal)
    }
    for (const name of STOPS) process.on(name, onSignal)
  })
}
