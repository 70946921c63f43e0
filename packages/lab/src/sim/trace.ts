/** What happened, line by line, and one hash over all of it: two runs are the same when their hashes are. */
import { createHash } from 'node:crypto'

const PIECE_CHARS = 16_384

export class Trace {
  readonly lines: string[] = []
  readonly #keep: boolean
  readonly #hash = createHash('sha256')
  #piece = ''
  #count = 0

  constructor(keep: boolean) {
    this.#keep = keep
  }

  get count(): number {
    return this.#count
  }

  add(line: string): void {
    this.#count++
    this.#piece += `${line}\n`
    if (this.#piece.length > PIECE_CHARS) this.#flush()
    if (this.#keep) this.lines.push(line)
  }

  hash(): string {
    this.#flush()
    return this.#hash.copy().digest('hex')
  }

  #flush(): void {
    this.#hash.update(this.#piece)
    this.#piece = ''
  }
}
