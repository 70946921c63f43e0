import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Ledger, type LedgerEntry, readLedger } from './ledger.ts'
import { type Answer, PACES } from './numbers.ts'
import { curseOf, type Fault, isDeclined, planOf, windowsOf } from './provider-faults.ts'
import { KeyMemory } from './provider-keys.ts'
import { ProviderSite } from './provider-site.ts'

const SEED = 7
const numbers = PACES.short

/** A key whose first request meets this fault, and whose second one meets none. */
function keyFor(fault: Fault, answer: Answer): string {
  for (let n = 0; n < 10_000; n++) {
    const key = `t-${n}`
    if (curseOf(SEED, answer, key) === null && !isDeclined(SEED, answer, key) && planOf(SEED, numbers, key, 1).fault === fault && planOf(SEED, numbers, key, 2).fault === 'none') return key
  }
  throw new Error(`no key meets ${fault}`)
}

describe('the provider of the torture run', () => {
  let folder: string
  let ledger: Ledger
  let site: ProviderSite
  let url: string

  async function open(answer: Answer): Promise<void> {
    ledger = new Ledger(join(folder, 'ledger.ndjson'))
    site = new ProviderSite({ answer, seed: SEED, numbers, ledger })
    url = `http://127.0.0.1:${await site.listen()}/effects`
  }
  const send = async (key: string, attempt: number, method = 'POST'): Promise<Response> =>
    fetch(url, { method, headers: { 'x-key': key, 'x-attempt': String(attempt), 'idempotency-key': `i-${key}` }, body: '{}' })
  const entries = (what: LedgerEntry['what']): readonly LedgerEntry[] => {
    ledger.flush()
    return readLedger(join(folder, 'ledger.ndjson')).filter((entry) => entry.what === what)
  }

  beforeEach(() => { folder = mkdtempSync(join(tmpdir(), 'steward-provider-')) })
  afterEach(() => {
    site.close()
    ledger.flush()
    rmSync(folder, { recursive: true, force: true })
  })

  it('keeps an effect whose response it lost, and replays it under the same key', async () => {
    await open('providerKey')
    const key = keyFor('reset-after', 'providerKey')
    await expect(send(key, 1)).rejects.toThrow()
    const second = await send(key, 2)
    expect(second.headers.get('idempotent-replayed')).toBe('true')
    expect(entries('effect')).toHaveLength(1)
    expect(await second.json()).toEqual({ reference: (entries('effect')[0] as { reference: string }).reference })
    expect(entries('arrived')).toHaveLength(2)
  })

  it('makes a second effect of a second request where there are no keys', async () => {
    await open('none')
    const key = keyFor('reset-after', 'none')
    await expect(send(key, 1)).rejects.toThrow()
    expect((await send(key, 2)).status).toBe(200)
    expect(entries('effect')).toHaveLength(2)
  })

  it('counts a repeated PUT as one effect', async () => {
    await open('natural')
    const key = keyFor('500-after', 'natural')
    expect((await send(key, 1, 'PUT')).status).toBe(500)
    expect((await send(key, 2, 'PUT')).status).toBe(200)
    expect(entries('effect')).toHaveLength(1)
  })

  it('does nothing when it resets before the effect', async () => {
    await open('reconcile')
    await expect(send(keyFor('reset-before', 'reconcile'), 1)).rejects.toThrow()
    expect(entries('effect')).toEqual([])
    expect(entries('ended')).toHaveLength(1)
  })

  it('answers 409 while a request with the same key is running', async () => {
    await open('providerKey')
    const key = keyFor('late', 'providerKey')
    const first = send(key, 1)
    await expect.poll(() => entries('arrived').length).toBe(1)
    await expect.poll(async () => (await send(key, 2)).status).toBe(409)
    expect((await first).status).toBe(200)
    expect(entries('effect')).toHaveLength(1)
  })

  it('tells a lookup of an effect some time after it happened', async () => {
    await open('reconcile')
    const key = keyFor('none', 'reconcile')
    const ask = async (): Promise<unknown> => fetch(`${url}?key=${key}`).then(async (response) => (response.ok ? response.json() : null), () => null)
    await expect.poll(ask).toEqual({ reference: null })
    await send(key, 1)
    await expect.poll(ask).toMatchObject({ reference: 'e_1' })
  })
})

describe('the memory of keys', () => {
  it('replays until the retention is over, and has then never heard of the key', () => {
    const keys = new KeyMemory(100)
    keys.start('k', 1_000)
    expect(keys.look('k', 1_050)).toEqual({ seen: 'running' })
    keys.store('k', { status: 200, body: 'done' })
    expect(keys.look('k', 1_099)).toMatchObject({ seen: 'stored' })
    expect(keys.look('k', 1_100)).toEqual({ seen: 'new' })
    expect(keys.forgotten).toBe(1)
  })
})

describe('the faults', () => {
  it('are the same for the same seed', () => {
    const draw = (): unknown => [planOf(SEED, numbers, 'k-1', 1), curseOf(SEED, 'providerKey', 'k-1'), windowsOf(SEED, 60_000)]
    expect(draw()).toEqual(draw())
    expect(windowsOf(SEED + 1, 60_000)).not.toEqual(windowsOf(SEED, 60_000))
  })

  it('keep what the provider promises: effects within their time, a lookup that can be trusted after the settle time', () => {
    for (const each of Object.values(PACES)) {
      for (let n = 0; n < 5_000; n++) expect(planOf(SEED, each, `k-${n}`, 1).effectMs).toBeLessThanOrEqual(each.lateMs)
      expect(each.settleMs).toBeGreaterThan(each.lateMs + each.lagMs)
    }
  })

  it('each happen', () => {
    const seen = new Set(Array.from({ length: 2_000 }, (_, n) => planOf(SEED, numbers, `k-${n}`, 1).fault))
    expect(seen.size).toBe(10)
  })
})
