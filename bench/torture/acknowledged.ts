/** What a submitter was promised: written and synced before anything else happens, so that a kill takes nothing back. */
import { closeSync, existsSync, fdatasyncSync, openSync, readFileSync, writeSync } from 'node:fs'

export type Acknowledged =
  | { readonly key: string; readonly id: string; readonly how: 'submit' | 'perform' | 'transaction' }
  /** It was submitted inside a transaction that was rolled back: it must never have been. */
  | { readonly key: string; readonly undone: true }
  /** Something that must not be, seen by the submitter itself. */
  | { readonly key: string; readonly wrong: string }

export class AcknowledgedLog {
  readonly #file: number
  #lines: string[] = []

  constructor(path: string) {
    this.#file = openSync(path, 'a')
  }

  /** Lines of one turn of the event loop share a sync. */
  add(line: Acknowledged): void {
    if (this.#lines.length === 0) setImmediate(() => this.#sync())
    this.#lines.push(JSON.stringify(line))
  }

  #sync(): void {
    if (this.#lines.length === 0) return
    writeSync(this.#file, `${this.#lines.join('\n')}\n`)
    this.#lines = []
    fdatasyncSync(this.#file)
  }

  close(): void {
    this.#sync()
    closeSync(this.#file)
  }
}

/** A line that a kill cut short is no acknowledgement. */
export function readAcknowledged(path: string): readonly Acknowledged[] {
  if (!existsSync(path)) return []
  return readFileSync(path, 'utf8').split('\n').flatMap((line) => {
    try {
      return line === '' ? [] : [JSON.parse(line) as Acknowledged]
    } catch {
      return []
    }
  })
}
