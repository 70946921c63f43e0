/** One strategy on its way: its proxy, its worker process, and how often that was killed. */
import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'
import { KILLS_MS } from './faults.ts'
import { SETTING, type Setting } from './orders.ts'
import { Proxy } from './proxy.ts'

const RESTART_MS = 150

export class Strategy {
  readonly name: string
  readonly label: string
  readonly proxy: Proxy
  readonly #file: string
  readonly #args: readonly string[]
  #setting: Setting | null = null
  #child: ChildProcess | null = null
  #over = false
  #timers: NodeJS.Timeout[] = []
  kills = 0
  /** Orders the strategy believes it is through with. */
  settled = 0
  finished = false

  constructor(name: string, label: string, file: string, args: readonly string[], seed: number, mockPort: number) {
    this.name = name
    this.label = label
    this.#file = file
    this.#args = args
    this.proxy = new Proxy(seed, mockPort)
  }

  async begin(folder: string, startedAt: number): Promise<Setting> {
    await this.proxy.listen()
    this.proxy.begin()
    const setting: Setting = { strategy: this.name, proxyPort: this.proxy.port, folder, startedAt }
    this.#setting = setting
    this.#start()
    this.#timers = KILLS_MS.map((afterMs) => setTimeout(() => this.#kill(), afterMs))
    return setting
  }

  #start(): void {
    if (this.#over || this.finished) return
    const child = fork(join(import.meta.dirname, this.#file), this.#args, { env: { ...process.env, [SETTING]: JSON.stringify(this.#setting) }, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    this.#child = child
    child.on('message', (message) => {
      if (typeof message === 'object' && 'settled' in message) this.settled = Number(message.settled)
    })
    child.once('exit', (code) => {
      if (code === 0) this.finished = true
      else this.#timers.push(setTimeout(() => this.#start(), RESTART_MS))
    })
  }

  #kill(): void {
    if (this.#child?.kill('SIGKILL') === true) this.kills++
  }

  end(): void {
    this.#over = true
    for (const timer of this.#timers) clearTimeout(timer)
    this.#child?.kill('SIGKILL')
    this.proxy.close()
  }
}
