import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineOperation, none, type Operation, providerKey, type StandardSchema, type StewardOptions } from 'steward'
import { manualSystem, memoryStore } from 'steward/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { checkAll, lab, type LabRequest, type Reply } from './command-line.ts'
import { ownScenario, premortem, type Premortem } from './definition.ts'
import { PROOF_FILE } from './proof.ts'

type Order = { readonly orderId: string; readonly amount: number }
const order: StandardSchema<Order, Order> = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value: value as Order }) } }

const charge = (passesKey = true): Operation => defineOperation<Order, Order, { id: string }>({
  name: 'charge', input: order, timeout: '10s', giveUpAfter: '1h', idempotency: providerKey({ retention: '24h' }),
  async send(input, { idempotencyKey, fetch }) {
    const answer = await fetch('https://api.example.com/charges', { method: 'POST', headers: passesKey ? { 'idempotency-key': idempotencyKey } : {}, body: JSON.stringify(input) })
    if (!answer.ok) throw Object.assign(new Error(`answered ${answer.status}`), { status: answer.status })
    return (await answer.json()) as { id: string }
  },
})
const own = ownScenario('the warehouse asks twice & "at once" <now>', async (stage) => {
  await stage.submit('o1', 'o1')
  await stage.rest()
  stage.expect(stage.effects('o1').length === 1, 'charged more than once')
})
const of = (operation: Operation, entries: Premortem['entries'] = ['response-lost-after-effect', 'duplicate-user-submit', own]): Premortem => premortem(operation, { example: (key) => ({ orderId: key, amount: 4200 }), entries })

let folder: string
let said: string[]
let opened: number
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'steward-lab-'))
  said = []
  opened = 0
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function request(premortems: readonly Premortem[], more: Partial<LabRequest> = {}): LabRequest {
  const store = memoryStore({ system: manualSystem() })
  const watched = new Proxy(store, { get: (target, name) => { if (name === 'open') opened++; return Reflect.get(target, name) as unknown } })
  const options = { store: watched, operations: premortems.map((one) => one.operation), premortems } as StewardOptions
  return { config: () => Promise.resolve(options), configPath: () => join(folder, 'steward.config.ts'), say: (text) => void said.push(text), ...more }
}
const answered = (reply: Reply): Exclude<Reply, { unknown: unknown }> => {
  if ('unknown' in reply) throw new Error(`not understood: ${reply.unknown.given}`)
  return reply
}

describe('steward lab', () => {
  it('runs the premortems, says what was survived, writes the proof that check demands, and opens no store', async () => {
    const of1 = of(charge())
    expect((await checkAll(request([of1]))).exitCode).toBe(1)
    const { exitCode, text } = answered(await lab(request([of1])))
    expect({ exitCode, text }).toEqual({ exitCode: 0, text: `charge: 3 of 3 survived (seed 1).\nWritten: ${PROOF_FILE}. Commit it; steward check compares it with the code.` })
    expect(said.join('\n')).toContain('✓ survived       response-lost-after-effect')
    expect((await checkAll(request([of1]))).problems).toEqual([])
    expect(opened).toBe(0)
  })

  it('names the operation that does not pass its key, shows what the provider saw, and check goes on failing', async () => {
    const careless = of(charge(false))
    const { exitCode } = answered(await lab(request([careless])))
    expect(exitCode).toBe(1)
    expect(said.join('\n')).toMatch(/✗ not handled +response-lost-after-effect/)
    expect(said.join('\n')).toContain('without the key that the operation declares: does its send pass idempotencyKey?')
    expect(said.join('\n')).toContain('POST /charges: its answer was lost, effect charge_1')
    expect((await checkAll(request([careless]))).problems.map((problem) => problem.what)).toContain('"response-lost-after-effect" is not proven: the operation did not survive it. Run: steward lab charge')
  })

  it('writes JUnit that a parser reads, whatever the entries are called', async () => {
    const file = join(folder, 'lab.xml')
    await lab(request([of(charge(false))], { junit: file }))
    const xml = readFileSync(file, 'utf8')
    expect(xml).toContain('<testsuites name="steward lab" tests="3" failures="3">')
    expect(xml).toContain('name="the warehouse asks twice &amp; &quot;at once&quot; &lt;now&gt;"')
    const tags = [...xml.matchAll(/<(\/?)([a-z]+)[^>]*?(\/?)>/g)].filter((tag) => tag[3] !== '/')
    expect(tags.filter((tag) => tag[1] === '').length).toBe(tags.filter((tag) => tag[1] === '/').length)
  })

  it('plays one scenario of the catalogue against an operation, step by step, and keeps the run under a name', async () => {
    const careless = request([of(charge(false))], { operation: 'charge', scenario: 'timeout-below-provider-latency', seed: 7, trace: true })
    expect(answered(await lab(careless)).exitCode).toBe(1)
    expect(said.join('\n')).toContain('Step by step')
    expect(said.join('\n')).toMatch(/\d+ a submit charge\/o1/)
    const { text } = answered(await lab({ ...careless, trace: false, keep: 'The slow Monday' }))
    expect(text).toContain('the-slow-monday.scenario.ts')
    const kept = readFileSync(join(folder, 'the-slow-monday.scenario.ts'), 'utf8')
    expect(kept).toContain('export const theSlowMonday = kept("The slow Monday", { scenario: "timeout-below-provider-latency", seed: 7 })')
    await expect(lab({ ...careless, keep: 'The slow Monday' })).rejects.toThrow('EEXIST')
  })

  it('says what does not apply to an operation, and does not call it proven', async () => {
    const blind = defineOperation<Order, Order, null>({ name: 'blind', input: order, idempotency: none('a fax'), send: () => Promise.resolve(null) })
    const { exitCode, json } = answered(await lab(request([of(blind, ['key-conflict-while-first-runs'])])))
    expect(exitCode).toBe(1)
    expect(json).toMatchObject({ survived: false, results: [{ entries: [{ verdict: 'does not apply' }] }] })
  })

  it('lists the catalogue, tells all about a scenario, and plays it on modelled operations without any config', async () => {
    const alone: LabRequest = { config: () => Promise.reject(new Error('there is none')), configPath: () => { throw new Error('there is none') }, say: (text) => void said.push(text) }
    expect(answered(await lab({ ...alone, list: true })).text).toContain('response-lost-after-effect')
    expect(answered(await lab({ ...alone, faults: true })).text).toContain('net.answer-lost')
    expect(answered(await lab({ ...alone, about: 'duplicate-user-submit' })).text).toContain('github.com/mozilla/fxa')
    const { exitCode, text } = answered(await lab({ ...alone, scenario: 'response-lost-after-effect' }))
    expect({ exitCode, text }).toEqual({ exitCode: 0, text: 'response-lost-after-effect: 10 of 10 modelled operations survived (seed 1, memory store).' })
  })

  it('bills the strategies under the same faults: only the others pay', async () => {
    const { json, text } = answered(await lab(request([], { compare: true, scenario: 'duplicate-user-submit' })))
    expect(json).toMatchObject({ bills: [{ strategy: 'steward', figures: { doubled: 0 } }, { strategy: 'naive-loop', figures: { doubled: 2 } }, { strategy: 'competent-queue', figures: { doubled: 2 } }] })
    expect(text).toContain('effects twice')
  })

  it.each([
    [{ about: 'respons-lost-after-effect' }, 'scenario'], [{ scenario: 'nowhere' }, 'scenario'], [{ compare: true, scenario: 'nowhere' }, 'scenario'],
    [{ operation: 'chrage' }, 'premortem of an operation'], [{ operation: 'charge', scenario: 'nowhere' }, 'scenario'], [{ scenario: 'response-lost-after-effect', store: 'mysql' }, 'store'],
  ] as const)('asks back about %j', async (more, what) => {
    expect(await lab(request([of(charge())], more))).toMatchObject({ unknown: { what } })
  })

  it('refuses a config without premortems, or with something else under that name', async () => {
    await expect(lab(request([]))).rejects.toMatchObject({ code: 'STEWARD_CONFIG_INVALID' })
    await expect(lab(request(['charge'] as never))).rejects.toMatchObject({ code: 'STEWARD_CONFIG_INVALID' })
  })
})

it('check suggests questions that were not asked, of those that can be asked of this operation', async () => {
  const { suggestions } = await checkAll(request([of(charge())]))
  expect(suggestions).toContain('charge: key-regenerated-per-attempt')
  expect(suggestions).not.toContain('accepted-then-failed-later')
})
