import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Store } from '../ports/store.ts'
import { alert, changed, enlist, ended, inserting, put, START, World } from '../testing/conformance/world.ts'
import { sqlite, type SqliteOptions } from './index.ts'
import { openWorkers } from './open-workers.ts'

const FIXTURE = join(import.meta.dirname, 'child.fixture.ts')
const asRoot = process.getuid?.() === 0

let folder: string
let path: string
let now = START
const opened: Store[] = []
const children: ChildProcess[] = []
const world = new World({ make: () => sqlite(path), setClock: () => undefined, remove: () => Promise.resolve() })

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'steward-sqlite-'))
  path = join(folder, 'steward.db')
  now = START
})
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  for (const store of opened.splice(0)) await store.close()
  rmSync(folder, { recursive: true, force: true })
})

async function open(options: SqliteOptions = {}, at = path): Promise<Store> {
  const store = sqlite(at, { clock: () => now, ...options })
  await store.open({ namespace: 'default', notice: () => undefined })
  opened.push(store)
  return store
}

/** Another process; its lines arrive as values, and `ended` tells how it went. */
function child(what: string, more: string, env: Record<string, string> = {}) {
  const started = spawn(process.execPath, [FIXTURE, what, path, more], { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, ...env } })
  children.push(started)
  const lines: Record<string, unknown>[] = []
  const reader = createInterface({ input: started.stdout })
  // The child's clock is the machine's; that it is behind the store's is a notice, and no news here.
  const news = new EventEmitter()
  reader.on('line', (line) => {
    const said = JSON.parse(line) as Record<string, unknown>
    lines.push(said)
    if (!('notice' in said)) news.emit('said')
  })
  const over = Promise.all([once(started, 'exit'), once(reader, 'close')]).then(([[code, signal]]) => ({ code: code as number | null, signal: signal as string | null, lines }))
  return { process: started, firstLine: once(news, 'said'), over, lines }
}

describe('opening', () => {
  it('refuses a store in memory, and says what to use instead', () => {
    for (const one of [':memory:', '', 'file::memory:?cache=shared']) expect(() => sqlite(one)).toThrow(/STEWARD_OPTION_INVALID.*memoryStore/)
  })

  it('says that the directory is missing, and creates nothing', async () => {
    const missing = join(folder, 'none', 'steward.db')
    await expect(open({}, missing)).rejects.toMatchObject({ code: 'STEWARD_STORE_LOCATION', message: expect.stringContaining(join(folder, 'none')) })
    expect(readdirSync(folder)).toEqual([])
  })

  it('says when nothing can be kept beside it that tells whether it was set back, and works all the same', async () => {
    mkdirSync(`${path}-mark`)
    const notices: string[] = []
    const store = sqlite(path, { clock: () => now })
    await store.open({ namespace: 'default', notice: (text) => notices.push(text) })
    opened.push(store)
    await put(store, world.call())
    expect(notices).toEqual([expect.stringMatching(/steward\.db-mark cannot be written .*EISDIR.*set back/)])
  })

  it('says that the path is a directory', async () => {
    await expect(open({}, folder)).rejects.toMatchObject({ code: 'STEWARD_STORE_LOCATION' })
  })

  it('refuses a file that is not a database, and leaves it as it is', async () => {
    writeFileSync(path, 'these are somebody\'s notes')
    await expect(open()).rejects.toMatchObject({ code: 'STEWARD_STORE_CORRUPT' })
    expect(readFileSync(path, 'utf8')).toBe('these are somebody\'s notes')
  })

  it('refuses a damaged database', async () => {
    await put(await open(), ...Array.from({ length: 50 }, () => world.call()))
    await opened.pop()?.close()
    const bytes = readFileSync(path)
    bytes.fill(0x5a, 100, 4096)
    writeFileSync(path, bytes)
    await expect(open()).rejects.toMatchObject({ code: 'STEWARD_STORE_CORRUPT' })
  })

  it('says that a damaged page was met later, and stores nothing', async () => {
    const call = world.call({ given: JSON.stringify('x'.repeat(40_000)) })
    await put(await open(), call)
    await opened.pop()?.close()
    const bytes = readFileSync(path)
    bytes.fill(0x5a, 4096)
    writeFileSync(path, bytes)
    await expect(open().then((store) => store.insert([inserting(world.call())]))).rejects.toMatchObject({ code: 'STEWARD_STORE_CORRUPT' })
  })

  it.skipIf(asRoot)('says that the file or its directory cannot be written (root may write anything)', async () => {
    await (await open()).close()
    chmodSync(path, 0o444)
    await expect(open()).rejects.toMatchObject({ code: 'STEWARD_STORE_READONLY' })
    chmodSync(path, 0o644)
    chmodSync(folder, 0o555)
    await expect(open()).rejects.toMatchObject({ code: 'STEWARD_STORE_READONLY' })
    chmodSync(folder, 0o755)
  })

  it('refuses a schema newer than it can work with, and works with a newer one that it can', async () => {
    await (await open()).close()
    const setMeta = (name: string, value: number): void => {
      const db = new DatabaseSync(path)
      db.prepare('UPDATE steward_meta SET value = ? WHERE name = ?').run(value, name)
      db.close()
    }
    setMeta('schema_version', 2)
    await put(await open(), world.call())
    await opened.pop()?.close()
    setMeta('schema_needs', 2)
    await expect(open()).rejects.toMatchObject({ code: 'STEWARD_STORE_NEWER', details: { version: 2, needs: 2, known: 1 } })
  })

  it.skipIf(process.platform !== 'linux')('keeps the locks of one opening when the same process opens the file again, or is refused it (only Linux lists locks)', async () => {
    const locks = (): number => readFileSync('/proc/locks', 'utf8').split('\n').filter((line) => line.includes(`:${statSync(path).ino} `)).length
    const first = await open()
    await put(first, world.call())
    expect(locks()).toBe(1)
    await put(await open(), world.call())
    expect(locks()).toBe(1)
    await expect(sqlite(path).open({ namespace: 'another', notice: () => undefined })).rejects.toThrow('STEWARD_NAMESPACE_CHANGED')
    await (opened.pop() as Store).close()
    expect(locks()).toBe(1)
    await first.close()
    expect(locks()).toBe(0)
  })

  it('keeps the log of one opening when the same process opens the file again: another program cannot take the log away', async () => {
    const look = "const db = new (require('node:sqlite').DatabaseSync)(process.argv[1]); console.log(db.prepare('SELECT count(*) AS n FROM steward_key').get().n); db.close()"
    const otherProgram = (): number => Number(execFileSync(process.execPath, ['-e', look, path]).toString())
    const [first, second] = [await open(), await open()]
    await put(first, world.call())
    expect([otherProgram(), existsSync(`${path}-wal`)]).toEqual([1, true])
    await put(second, world.call())
    await put(first, world.call())
    await expect(open({}, join(folder, 'none', 'steward.db'))).rejects.toThrow('STEWARD_STORE_LOCATION')
    await (opened.pop() as Store).close()
    expect([otherProgram(), existsSync(`${path}-wal`)]).toEqual([3, true])
    expect((await first.list({ limit: 10 })).length).toBe(3)
  })

  it('shares its file with tables of the application', async () => {
    const db = new DatabaseSync(path)
    db.exec('CREATE TABLE orders (id TEXT PRIMARY KEY, paid INTEGER)')
    db.close()
    await put(await open(), world.call())
  })
})

describe('where a file system can be mounted', () => {
  let disk: string | null = null
  const mount = (size: string): boolean => {
    disk = join(folder, 'disk')
    mkdirSync(disk)
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', disk], { stdio: 'ignore' })
      return true
    } catch {
      disk = null
      return false
    }
  }
  afterEach(async () => {
    for (const store of opened.splice(0)) await store.close()
    if (disk !== null) execFileSync('umount', [disk])
    disk = null
  })

  it('says that the file system is read-only', async ({ skip }) => {
    if (!mount('4m')) return skip('this process may not mount a file system')
    const at = join(disk as string, 'steward.db')
    await (await open({}, at)).close()
    execFileSync('mount', ['-o', 'remount,ro', disk as string])
    await expect(open({}, at)).rejects.toMatchObject({ code: 'STEWARD_STORE_READONLY' })
  })

  it('says that the disk is full, stores nothing of the batch, and goes on when there is room', async ({ skip }) => {
    if (!mount('2m')) return skip('this process may not mount a file system')
    const store = await open({}, join(disk as string, 'steward.db'))
    const ballast = join(disk as string, 'ballast')
    writeFileSync(ballast, Buffer.alloc(1_200_000))
    const batch = (): ReturnType<typeof world.call>[] => Array.from({ length: 100 }, () => world.call({ given: JSON.stringify('x'.repeat(1_000)) }))
    const [stored, lost] = await untilFull(store, batch)
    rmSync(ballast)
    expect((await store.list({ limit: 10_000 })).length).toBe(stored)
    await put(store, ...lost)
    expect((await store.list({ limit: 10_000 })).length).toBe(stored + 100)
  })
})

async function untilFull(store: Store, batch: () => ReturnType<typeof world.call>[]): Promise<[number, ReturnType<typeof world.call>[]]> {
  for (let stored = 0; stored < 10_000; stored += 100) {
    const calls = batch()
    try {
      await put(store, ...calls)
    } catch (error) {
      expect(error).toMatchObject({ code: 'STEWARD_STORE_FULL', message: expect.stringContaining('Nothing of the batch was stored') })
      return [stored, calls]
    }
  }
  throw new Error('the disk never filled')
}

describe('a full store', () => {
  it('refuses the batch as a whole and keeps what was stored', async () => {
    const store = await open({ maxPages: 120 })
    const [stored, lost] = await untilFull(store, () => Array.from({ length: 100 }, () => world.call({ given: JSON.stringify('x'.repeat(1_000)) })))
    expect((await store.list({ limit: 10_000 })).length).toBe(stored)
    await store.close()
    const roomy = await open()
    await put(roomy, ...lost)
    expect((await roomy.list({ limit: 10_000 })).length).toBe(stored + 100)
  })
})

describe('group commit', () => {
  it('answers each batch of one turn for itself', async () => {
    const store = await open()
    const [first, second] = [world.call(), world.call()]
    const announced = store.insert([inserting(first)], true)
    const followed = store.insert([inserting(second), inserting({ ...first, id: 'c_other' })])
    expect(await announced).toEqual([{ ok: true }])
    expect(await followed).toEqual([{ ok: true }, { ok: false, why: 'joined', call: first }])
  })

  it('commits an announced batch also when nothing follows', async () => {
    const store = await open()
    const call = world.call()
    expect(await store.insert([inserting(call)], true)).toEqual([{ ok: true }])
    expect(await store.get(call.id)).toEqual(call)
  })

  it('does not let one caller\'s unusable row harm the others of the batch', async () => {
    const store = await open()
    const good = [world.call(), world.call()]
    const bad = { ...world.call(), priority: 'high' as unknown as number }
    const results = await Promise.allSettled([store.insert([inserting(good[0]!)]), store.insert([inserting(bad)]), store.insert([inserting(good[1]!)])])
    expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(await store.get(bad.id)).toBeNull()
    expect(await store.getMany(good.map((call) => call.id))).toEqual(good)
  })

  it('waits for another process\'s transaction, and gives up with a coded error after its limit', async () => {
    const store = await open({ busyMs: 30 })
    const other = new DatabaseSync(path)
    other.exec('BEGIN IMMEDIATE')
    await expect(store.insert([inserting(world.call())])).rejects.toMatchObject({ code: 'STEWARD_STORE_UNAVAILABLE', details: { outcome: 'not_stored' } })
    other.exec('COMMIT')
    other.close()
    await put(store, world.call())
  })

  it('lets go of a fenced worker\'s file when the same opening enlists a new one', async () => {
    const store = await open()
    const elsewhere = await open()
    await enlist(store, 'w1')
    await enlist(store, 'w2', 1, START + 1e9)
    expect([existsSync(`${path}-worker-w1`), existsSync(`${path}-worker-w2`)]).toEqual([true, true])
    await elsewhere.fenceDead(START + 60_000, null)
    expect(existsSync(`${path}-worker-w1`)).toBe(true)
    await enlist(store, 'w3')
    expect([existsSync(`${path}-worker-w1`), existsSync(`${path}-worker-w2`), existsSync(`${path}-worker-w3`)]).toEqual([false, true, true])
    expect(openWorkers.of(path).slice().sort()).toEqual(['w2', 'w3'])
  })

  it('leaves nothing behind that keeps a process alive or a directory dirty', async () => {
    const store = await open()
    await enlist(store, 'w1')
    expect(existsSync(`${path}-worker-w1`)).toBe(true)
    await store.leave({ worker: 'w1', epoch: 1 })
    await store.close()
    expect(readdirSync(folder).sort()).toEqual(['steward.db', 'steward.db-bell', 'steward.db-mark'])
  })
})

describe('time', () => {
  const DAY = 86_400_000

  it('goes on by the monotonic clock after one reading far ahead, and says so once', async () => {
    let ticks = 500
    const notices: string[] = []
    const store = sqlite(path, { clock: () => now, ticks: () => ticks })
    await store.open({ namespace: 'default', notice: (text) => notices.push(text) })
    opened.push(store)
    now = START + DAY
    expect(store.now()).toBe(START + DAY)
    now = START + 10
    expect(store.now()).toBe(START + DAY)
    ticks += 1_500.7
    now += 1_500
    expect(store.now()).toBe(START + DAY + 1_500)
    await put(store, world.call())
    ticks += 1
    expect(store.now()).toBe(START + DAY + 1_501)
    expect(notices).toEqual([expect.stringContaining('is 86400 s behind')])
    now = START + 2 * DAY
    expect(store.now()).toBe(START + 2 * DAY)
    now -= 999
    ticks += 999
    expect(store.now()).toBe(START + 2 * DAY)
  })

  it('goes on from a mark that another opening wrote, without counting the same time twice', async () => {
    let ticks = 0
    const ahead = await open({ clock: () => START + DAY })
    await put(ahead, world.call())
    const store = await open({ ticks: () => ticks })
    expect(store.now()).toBe(START + DAY)
    ticks = 5_000
    const further = await open({ clock: () => START + DAY + 5_000 })
    await put(further, world.call())
    await put(store, world.call())
    expect(store.now()).toBe(START + DAY + 5_000)
    ticks = 5_001
    expect(store.now()).toBe(START + DAY + 5_001)
  })
})

describe('settling in the recording transaction', () => {
  async function stored(store: Store) {
    const call = world.call()
    await put(store, call)
    return call
  }
  async function waiting(options: SqliteOptions = {}) {
    const store = await open(options)
    const call = world.call()
    await put(store, call)
    const db = new DatabaseSync(path)
    db.exec('CREATE TABLE orders (id TEXT PRIMARY KEY, paid INTEGER)')
    const orders = (): unknown[] => db.prepare('SELECT * FROM orders').all().map((row) => ({ ...row }))
    return { store, call, end: ended(call, 'succeeded', { settleDueAt: START }), orders, done: () => db.close() }
  }

  it('commits the handler\'s statements together with the end', async () => {
    const { store, call, end, orders, done } = await waiting()
    const settled = await store.writeSettling(end, async (tx) => {
      expect(await tx.run('INSERT INTO orders VALUES (?, ?)', 'o_1', 1)).toEqual({ changes: 1 })
      expect(await tx.all('SELECT id, paid FROM orders')).toEqual([{ id: 'o_1', paid: 1 }])
      expect(orders()).toEqual([])
    })
    expect(settled).toEqual({ result: { ok: true } })
    expect([orders(), (await store.get(call.id))?.state, await store.settlesDue(START, 1)]).toEqual([[{ id: 'o_1', paid: 1 }], 'succeeded', []])
    done()
  })

  it('undoes only the handler\'s statements when it throws', async () => {
    const { store, call, end, orders, done } = await waiting()
    const settled = await store.writeSettling(end, async (tx) => {
      await tx.run('INSERT INTO orders VALUES (?, ?)', 'o_1', 1)
      await tx.run('INSERT INTO nowhere VALUES (1)')
    })
    expect(settled.handler).toMatchObject({ message: expect.stringContaining('no such table: nowhere') })
    expect([orders(), (await store.get(call.id))?.state, (await store.settlesDue(START, 1)).length]).toEqual([[], 'succeeded', 1])
    done()
  })

  it('refuses transaction control, however it is dressed', async () => {
    const { store, call, end, orders, done } = await waiting()
    const settled = await store.writeSettling(end, async (tx) => {
      await tx.run('INSERT INTO orders VALUES (?, ?)', 'o_1', 1)
      await tx.run(' ; /* now */ -- really\n COMMIT')
    })
    expect(settled.handler).toMatchObject({ message: expect.stringContaining('belongs to the store') })
    expect([orders(), (await store.get(call.id))?.state]).toEqual([[], 'succeeded'])
    done()
  })

  it('runs nothing more when a statement ended the transaction, and records the end without the handler', async () => {
    const { store, call, end, orders, done } = await waiting()
    await store.writeSettling(ended(await stored(store), 'succeeded'), async (tx) => void (await tx.run("INSERT INTO orders VALUES ('o_1', 1)")))
    const refused: string[] = []
    const settled = await store.writeSettling({ ...end, alerts: [alert('a1')] }, async (tx) => {
      await tx.run("INSERT INTO orders VALUES ('o_2', 1)")
      await tx.run("INSERT OR ROLLBACK INTO orders VALUES ('o_1', 2)").catch(() => undefined)
      await tx.run("INSERT INTO orders VALUES ('o_3', 1)").catch((error: Error) => refused.push(error.message))
    })
    expect(refused).toEqual([expect.stringContaining('an earlier statement ended the transaction')])
    expect(settled).toEqual({ result: { ok: true }, handler: expect.objectContaining({ message: expect.stringContaining('ended the transaction with a statement of its own') }) })
    expect(orders()).toEqual([{ id: 'o_1', paid: 1 }])
    expect([await store.get(call.id), await store.settlesDue(START, 2), (await store.alerts({ undeliveredOnly: true, limit: 9 })).length]).toEqual([end.call, [{ call: end.call, dueAt: START, tries: 0 }], 1])
    await put(store, world.call())
    done()
  })

  it('answers with the handler\'s own error when a trigger rolled everything back', async () => {
    const { store, call, end, orders, done } = await waiting()
    await store.writeSettling(ended(await stored(store), 'succeeded'), async (tx) => void (await tx.run("CREATE TRIGGER no BEFORE INSERT ON orders BEGIN SELECT RAISE(ROLLBACK, 'not today'); END")))
    const settled = await store.writeSettling(end, async (tx) => void (await tx.run("INSERT INTO orders VALUES ('o_1', 1)")))
    expect(settled).toEqual({ result: { ok: true }, handler: expect.objectContaining({ message: 'not today' }) })
    expect([orders(), await store.get(call.id)]).toEqual([[], end.call])
    done()
  })

  it('records the end without the handler when its statements forbid the commit', async () => {
    const { store, call, end, orders, done } = await waiting()
    await store.writeSettling(ended(await stored(store), 'succeeded'), async (tx) => void (await tx.run('CREATE TABLE lines (id TEXT REFERENCES orders (id) DEFERRABLE INITIALLY DEFERRED)')))
    const settled = await store.writeSettling(end, async (tx) => void (await tx.run("INSERT INTO lines VALUES ('o_9')")))
    expect(settled).toEqual({ result: { ok: true }, handler: expect.objectContaining({ message: expect.stringContaining('a deferred constraint') }) })
    expect([orders(), await store.get(call.id), (await store.settlesDue(START, 2)).length]).toEqual([[], end.call, 1])
    done()
  })

  it('stores nothing of a write that is only true when handled, however the handler fails', async () => {
    const { store, call, orders, done } = await waiting({ settleMs: 40 })
    const end = ended(call, 'succeeded', { settleDueAt: START })
    await store.write([end])
    const told = changed(end.call, { reason: 'told' }, { settleDueAt: START + 9, onlyIfHandled: true })
    for (const sql of ['INSERT INTO nowhere VALUES (1)', "INSERT OR ROLLBACK INTO orders VALUES ('o_1', 1), ('o_1', 2)"]) {
      expect(await store.writeSettling(told, async (tx) => void (await tx.run(sql)))).toEqual({ result: { ok: true }, handler: expect.any(Error) })
      expect(await store.settlesDue(START, 2)).toEqual([{ call: end.call, dueAt: START, tries: 0 }])
    }
    expect((await store.writeSettling(told, () => Promise.race<void>([]))).handler).toMatchObject({ message: expect.stringContaining('longer than 40 ms') })
    expect([orders(), await store.get(call.id)]).toEqual([[], end.call])
    done()
  })

  it('undoes a handler that takes too long, keeps the end, and refuses its late statements', async () => {
    const { store, call, end, orders, done } = await waiting({ settleMs: 40 })
    let late: Promise<unknown> = Promise.resolve()
    let resume: () => void = () => undefined
    const settled = await store.writeSettling(end, async (tx) => {
      await tx.run('INSERT INTO orders VALUES (?, ?)', 'o_1', 1)
      await new Promise<void>((resolve) => { resume = resolve })
      late = tx.run('INSERT INTO orders VALUES (?, ?)', 'o_2', 1)
      await late
    })
    expect(settled).toMatchObject({ result: { ok: true }, handler: { message: expect.stringContaining('longer than 40 ms') } })
    resume()
    await Promise.resolve()
    await expect(late).rejects.toThrow('is over')
    expect([orders(), (await store.get(call.id))?.state]).toEqual([[], 'succeeded'])
    await put(store, world.call())
    done()
  })

  it('waits no longer for a handler that ended the transaction and does not end itself', async () => {
    const { store, call, end, orders, done } = await waiting({ settleMs: 40 })
    const settled = await store.writeSettling(end, async (tx) => {
      await tx.run("INSERT OR ROLLBACK INTO orders VALUES ('o_1', 1), ('o_1', 2)").catch(() => undefined)
      await Promise.race<void>([])
    })
    expect(settled).toEqual({ result: { ok: true }, handler: expect.objectContaining({ message: expect.stringContaining('ended the transaction with a statement of its own') }) })
    expect([orders(), (await store.get(call.id))?.state]).toEqual([[], 'succeeded'])
    done()
  })

  it('lets other work of the process wait, and keeps it out of the transaction', async () => {
    const { store, end, orders, done } = await waiting()
    const other = world.call()
    let inserted: Promise<unknown> = Promise.resolve()
    await store.writeSettling(end, async (tx) => {
      inserted = store.insert([inserting(other)])
      await tx.run('INSERT INTO orders VALUES (?, ?)', 'o_1', 1)
      throw new Error('undo me')
    })
    expect(await inserted).toEqual([{ ok: true }])
    expect([orders(), await store.get(other.id)]).toEqual([[], other])
    done()
  })
})

describe('several processes', () => {
  it('open a new file at once, insert one key 200 times, and create one call', async () => {
    const all = await Promise.all([1, 2, 3, 4].map(() => child('insert-same', '50').over))
    expect(all.map((one) => one.code)).toEqual([0, 0, 0, 0])
    const said = all.flatMap((one) => one.lines) as { created: number; ids: string[] }[]
    expect(said.reduce((sum, one) => sum + one.created, 0)).toBe(1)
    expect(new Set(said.flatMap((one) => one.ids)).size).toBe(1)
    expect((await (await open()).list({ limit: 10 })).length).toBe(1)
  })

  for (const point of ['submit.before-commit', 'submit.after-commit']) {
    it(`keep everything acknowledged when one is killed at ${point}`, async () => {
      const { signal, lines } = await child('insert-many', 'k', { STEWARD_FAILPOINTS: `${point}:kill@23` }).over
      expect(signal).toBe('SIGKILL')
      const stored = lines.map((line) => line['stored'] as string)
      expect(stored.length).toBeGreaterThan(10)
      const store = await open()
      const found = new Set((await store.list({ limit: 10_000 })).map((call) => call.key))
      expect(stored.filter((key) => !found.has(key))).toEqual([])
      // What was not acknowledged may be there or not; it is never half there.
      for (const key of found) expect((await store.find('charge-order', key))?.state).toBe('waiting')
      await put(store, world.call())
    })
  }

  it('prove the death of a killed worker at once, and no sooner', async () => {
    const store = await open()
    await enlist(store, 'mine', 1, START * 2)
    const other = child('enlist', 'other')
    await other.firstLine
    expect(await store.fenceDead(now, 'mine')).toEqual([])
    other.process.kill('SIGKILL')
    await other.over
    expect((await store.fenceDead(now, 'mine')).map((row) => [row.worker, row.fenced])).toEqual([['other', true]])
    expect(await store.fenceDead(now, 'mine')).toEqual([])
    await store.controls()
    expect(existsSync(`${path}-worker-other`)).toBe(false)
  })

  it('do not take a stopped process for dead before its lease ends', async () => {
    const store = await open()
    const other = child('enlist', 'other')
    await other.firstLine
    other.process.kill('SIGSTOP')
    expect(await store.fenceDead(now, null)).toEqual([])
    expect((await store.fenceDead(Number.MAX_SAFE_INTEGER, null)).map((row) => row.worker)).toEqual(['other'])
  })

  it('never take a worker of the own process for dead by its file', async () => {
    const [one, two] = [await open(), await open()]
    await enlist(one, 'w1', 1, START * 2)
    await enlist(two, 'w2', 1, START * 2)
    expect([await one.fenceDead(now, 'w1'), await two.fenceDead(now, 'w2')]).toEqual([[], []])
    await two.close()
    opened.splice(opened.indexOf(two), 1)
    expect((await one.fenceDead(now, 'w1')).map((row) => row.worker)).toEqual(['w2'])
  })

  it.each(['missing', 'damaged', 'empty', 'a directory'])('judge a dead worker by its lease when its side file is %s', async (how) => {
    const store = await open()
    const other = child('enlist', 'other')
    await other.firstLine
    other.process.kill('SIGKILL')
    await other.over
    const side = `${path}-worker-other`
    if (how === 'damaged') writeFileSync(side, 'x'.repeat(5_000))
    if (how === 'empty') writeFileSync(side, '')
    if (how === 'missing' || how === 'a directory') rmSync(side)
    if (how === 'a directory') mkdirSync(side)
    expect(await store.fenceDead(now, null)).toEqual([])
    expect((await store.fenceDead(Number.MAX_SAFE_INTEGER, null)).map((row) => row.worker)).toEqual(['other'])
  })

  it('see each other\'s time', async () => {
    const one = await open()
    const two = await open({ clock: () => START - 50_000 })
    now = START + 90_000
    expect(one.now()).toBe(now)
    await put(one, world.call())
    await put(two, world.call())
    expect(two.now()).toBeGreaterThanOrEqual(START + 90_000)
  })
})

describe('the plan of the hot questions', () => {
  it('is an index range, never a scan', async () => {
    await (await open()).close()
    const db = new DatabaseSync(path)
    const plan = (sql: string): string => db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all().map((row) => String(row['detail'])).join('; ')
    const lane = "namespace = 'd' AND operation = 'o' AND version = 1 AND worker IS NULL AND due_at IS NOT NULL"
    expect(plan(`SELECT seq, body FROM steward_open WHERE ${lane} AND priority = 0 AND due_at <= 5 ORDER BY due_at, seq LIMIT 5`)).toBe('SEARCH steward_open USING INDEX steward_open_due (namespace=? AND operation=? AND version=? AND priority=? AND due_at>? AND due_at<?)')
    expect(plan(`SELECT min(priority) FROM steward_open WHERE ${lane} AND priority > 3`)).toContain('SEARCH steward_open USING INDEX steward_open_due (namespace=? AND operation=? AND version=? AND priority>?)')
    expect(plan('SELECT body FROM steward_open WHERE worker IS NULL AND limit_at IS NOT NULL AND limit_at <= 5 ORDER BY limit_at LIMIT 5')).toBe('SEARCH steward_open USING INDEX steward_open_limit (limit_at>? AND limit_at<?)')
    db.close()
  })
})

it('keeps a copy of a closed store usable elsewhere', async () => {
  const call = world.call()
  await put(await open(), call)
  await opened.pop()?.close()
  const copy = join(folder, 'copy.db')
  copyFileSync(path, copy)
  expect(await (await open({}, copy)).get(call.id)).toEqual(call)
})

it('writes by rev from outside a lease while a worker holds the call', async () => {
  const store = await open()
  const call = world.call()
  const lease = await enlist(store, 'w1')
  await store.insert([inserting(call, { lease })])
  expect(await store.write([changed(call, { reason: 'noted' })])).toEqual([{ ok: true }])
})
