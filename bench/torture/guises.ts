/**
 * In what guise the processes of a fleet run: one worker with a clock that is an hour off, one on an older version of the
 * library and on this one by turns, as a deployment goes forward and back. The others are as they should be.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import type { Role } from './fleet.ts'

export type Guise = {
  readonly env: Readonly<Record<string, string>>
  readonly falseClock: boolean
  readonly older: boolean
  /** The file of a role that is run. */
  path(file: string): string
}

/** libfaketime, as Debian's package `faketime` brings it; `null` where it is not installed. */
export function fakeTimeLibrary(): string | null {
  const folders = ['x86_64-linux-gnu', 'aarch64-linux-gnu'].map((machine) => `/usr/lib/${machine}/faketime`)
  return folders.map((folder) => join(folder, 'libfaketimeMT.so.1')).find((path) => existsSync(path)) ?? null
}

export type GuisesOptions = {
  readonly leaseMs: number
  /** Workers with a false clock; 0 where there is no libfaketime. */
  readonly clocks: number
  /** Folder with this torture on the older library; `null`: all run this version. */
  readonly olderFolder: string | null
}

export class Guises {
  readonly leaseMs: number
  readonly #o: GuisesOptions
  readonly #library: string | null = fakeTimeLibrary()

  constructor(options: GuisesOptions) {
    this.#o = options
    this.leaseMs = options.leaseMs
  }

  /** Whether anybody will run so. */
  get plans(): { readonly falseClock: boolean; readonly older: boolean } {
    return { falseClock: this.#o.clocks > 0 && this.#library !== null, older: this.#o.olderFolder !== null }
  }

  /** @param turn how many processes of this slot were at work before: guises go by turns. */
  of(role: Role, nth: number, turn: number): Guise {
    const { olderFolder, clocks } = this.#o
    const folder = role === 'worker' && nth === 0 && turn % 2 === 0 ? olderFolder : null
    const falseClock = role === 'worker' && nth > 0 && nth <= clocks && this.#library !== null
    return {
      env: falseClock ? this.#clock(turn) : {},
      falseClock,
      older: folder !== null,
      path: (file) => join(folder ?? import.meta.dirname, file),
    }
  }

  /** Only what the machine says the time is: what passes meanwhile passes as ever. */
  #clock(turn: number): Readonly<Record<string, string>> {
    return { LD_PRELOAD: [this.#library, process.env['LD_PRELOAD']].filter(Boolean).join(':'), FAKETIME: turn % 2 === 0 ? '+1h' : '-1h', FAKETIME_DONT_FAKE_MONOTONIC: '1' }
  }
}
