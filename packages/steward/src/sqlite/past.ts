/**
 * How far the database has come, kept beside it: a file that was put back to an earlier state shows by standing behind.
 *
 * The store writes the time down with its commits, about once a second (the high-water mark). A side file says the same,
 * written after each such commit, and each opening remembers what it has seen. Whoever begins a transaction and finds the
 * database's mark below either of them knows that commits are gone: a backup was copied over the file or restored into it.
 * What was lost within the second of the last mark does not show, nor does a folder that was restored as a whole: of
 * those a person tells (`steward restored`).
 */
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs'
import { setBackAlert, setBackHold } from '../ports/set-back.ts'
import { applyControl } from './control-rows.ts'
import type { Transaction } from './transaction.ts'

/** Of a whole number of milliseconds: always as long, so that one write replaces the other. */
const DIGITS = 16

export class Past {
  readonly #path: string
  readonly #file: number | null
  readonly #bytes = Buffer.alloc(DIGITS)
  /** The mark of the last commit that this opening has seen. */
  #seen = 0
  #written = 0

  /** @param notice told when there is no side file: a store that was set back while nobody had it open is not noticed then. */
  constructor(path: string, notice: (text: string) => void) {
    this.#path = path
    this.#file = opened(`${path}-mark`, notice)
  }

  /** First of all in a transaction: holds everything when the database is behind what it has been. */
  judge(tx: Transaction): void {
    const been = Math.max(this.#seen, this.#beside())
    if (tx.mark >= been) return
    const why = `its file stands at ${iso(tx.mark)} and had come to ${iso(been)}, so that a backup was put in its place`
    const hold = setBackHold('the store', why, tx.now)
    applyControl(tx, { set: hold })
    tx.raise([setBackAlert(this.#path, hold, tx.mark)])
  }

  /** After the commit. */
  committed(tx: Transaction): void {
    this.#seen = tx.mark
    if (tx.mark === this.#written || this.#file === null) return
    try {
      writeSync(this.#file, String(tx.mark).padStart(DIGITS, '0'), 0)
      this.#written = tx.mark
    } catch { /* a full disk: the database itself says so, and this opening remembers */ }
  }

  #beside(): number {
    if (this.#file === null) return 0
    try {
      const length = readSync(this.#file, this.#bytes, 0, DIGITS, 0)
      const mark = Number(this.#bytes.toString('latin1', 0, length))
      return length === DIGITS && Number.isSafeInteger(mark) ? mark : 0
    } catch {
      return 0
    }
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file)
  }
}

/** Without the file, openings still remember for themselves. */
function opened(file: string, notice: (text: string) => void): number | null {
  try {
    return openSync(file, constants.O_RDWR | constants.O_CREAT, 0o666)
  } catch (error) {
    notice(`${file} cannot be written (${error instanceof Error ? error.message : String(error)}): that the store was set back is noticed only by processes that lived through it. Give this process the right to write that file.`)
    return null
  }
}

const iso = (at: number): string => new Date(at).toISOString()
