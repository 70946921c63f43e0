import { readFileSync } from 'node:fs'
import os from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type CallView, type Operation, Steward, type StewardOptions } from '../index.ts'
import { home } from './cli.fixture.ts'

const place = home()
const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined }

/** A Steward of this process on the store of the folder. */
async function opened(): Promise<{ readonly steward: Steward; readonly charge: Operation }> {
  const config = (await import(pathToFileURL(join(place.path, 'steward.config.ts')).href)) as { default: () => StewardOptions }
  const options = config.default()
  return { steward: await Steward.open({ ...options, log: quiet }), charge: options.operations![0]! }
}

const ENDS = { ok: 'applied', lost: 'lost', lost2: 'lost', lost3: 'lost', lost4: 'lost', declined: 'refused', down: 'unsent', down2: 'unsent', down3: 'unsent' }

beforeAll(async () => {
  const { steward, charge } = await opened()
  steward.start()
  for (const [key, become] of Object.entries(ENDS)) await steward.perform(charge, { key, input: { become }, group: key === 'down3' ? 'acme' : 'other' })
  await steward.submit(charge, { key: 'later', input: { become: 'applied' }, runAt: Date.UTC(2100, 0, 1) })
  await steward.close()
})
afterAll(() => place.remove())

const view = async (key: string): Promise<CallView> => (JSON.parse((await place.steward('story', 'charge-order', key, '--json')).out) as { call: CallView }).call

describe('help', () => {
  const commands = ['worker', 'list', 'story', 'settle', 'retry', 'cancel', 'redrive', 'pause', 'resume', 'alerts', 'migrate', 'restored', 'lab', 'check']

  it('names every command and the exit codes', async () => {
    const { code, out } = await place.steward('--help')
    expect(code).toBe(0)
    for (const command of commands) expect(out).toMatch(new RegExp(`^  ${command} +\\S`, 'm'))
    expect(out).toContain('Exit codes:')
  })

  it.each(commands)('of %s has options and examples that start with it', async (command) => {
    const { code, out } = await place.steward(command, '--help')
    expect(code).toBe(0)
    expect(out).toContain('--config PATH')
    expect(out).toContain('--json')
    expect(out.split('Examples:')[1]).toMatch(new RegExp(`^  steward ${command}`, 'm'))
  })

  it('and the reference page name the same commands and options', async () => {
    const page = readFileSync(join(import.meta.dirname, '../../../../docs/reference/cli.md'), 'utf8')
    for (const command of commands) {
      const section = page.split(new RegExp(`^## steward ${command}\\b`, 'm'))[1]?.split(/^## /m)[0]
      expect(section, command).toBeDefined()
      const { out } = await place.steward(command, '--help')
      const options = [...(out.split('Options:')[1]?.split('Examples:')[0] ?? '').matchAll(/^ {2}(--[\w-]+)/gm)].map((match) => match[1]!)
      const everywhere = ['--config', '--json', '--help']
      expect([...new Set([...section!.matchAll(/^\| `(--[\w-]+)/gm)].map((match) => match[1]!))].sort(), command).toEqual(options.filter((option) => !everywhere.includes(option)).sort())
    }
  })

  it('is printed, as a mistake, where no command is given', async () => {
    expect(await place.steward()).toMatchObject({ code: 2, out: expect.stringContaining('Usage:') })
  })
})

describe('a command line that is not understood', () => {
  it.each([
    [['stroy', 'charge-order', 'ok'], 'STEWARD_USAGE: there is no command "stroy". Did you mean "story"?'],
    [['list', '--sate', 'waiting'], 'Did you mean "--state"?'],
    [['list', '--state', 'in_dout'], '"in_dout" is not a state. Did you mean "in_doubt"?'],
    [['list', '--limit', '0'], '--limit is "0"'],
    [['story', 'charge-order'], 'needs <operation> <key>, and was given "charge-order"'],
    [['story', 'charge-order', 'a', 'b'], 'one argument too many'],
    [['settle', 'charge-order', 'lost', '--why', 'x'], 'say which: one of --happened, --send-again, --stop.'],
    [['settle', 'charge-order', 'lost', '--stop', '--happened', '--why', 'x'], '--happened and --stop contradict each other'],
    [['settle', 'charge-order', 'lost', '--happened', '--result', '{ch_1}', '--why', 'x'], '--result is not JSON'],
    [['settle', 'charge-order', 'lost', '--stop', '--reference', 'ch_1', '--why', 'x'], 'belong to --happened'],
    [['settle', 'charge-order', 'lost', '--happened', '--why', '--by'], '--why needs a value (TEXT). If it is "--by", write --why=--by.'],
    [['retry', 'charge-order', 'later', '--why'], '--why needs a value'],
    [['list', '--retrying=yes'], 'takes no value'],
    [['redrive'], 'say what'],
    [['redrive', 'charge-order'], 'alone'],
    [['redrive', 'charge-order', 'down', '--state', 'exhausted', '--why', 'x'], 'one call was named'],
    [['pause', '--why', 'x'], 'say which: one of --provider, --operation, --group.'],
    [['worker', '--grace', 'soon'], '--grace is "soon"'],
    [['retry', 'charge-order', 'later'], 'STEWARD_REASON_MISSING: retry needs --why'],
  ])('%j is refused with advice, and nothing is changed', async (words, advice) => {
    const { code, out, err } = await place.steward(...words)
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toContain(advice)
    expect(err).toContain('Nothing was changed')
  })
})

describe('the config', () => {
  it.each([
    ['there is no file', ['--config', 'nowhere.ts'], null],
    ['does not default-export options', ['--config', 'bad.ts'], 'export const store = 1'],
    ['without a store', ['--config', 'bad.ts'], 'export default { operations: [] }'],
    ['could not be loaded', ['--config', 'bad.ts'], 'throw new Error("boom")'],
    ['threw: no secret', ['--config', 'bad.ts'], 'export default () => { throw new Error("no secret") }'],
  ])('%s: is refused with an example', async (why, flags, text) => {
    if (text !== null) place.write('bad.ts', text)
    const { code, err } = await place.steward('list', ...flags)
    expect(code).toBe(2)
    expect(err).toContain('STEWARD_CONFIG_INVALID')
    expect(err).toContain(why)
    expect(err).toContain('export default defineConfig(')
  })
})

describe('list', () => {
  it('shows a table with age, newest first', async () => {
    const { code, out } = await place.steward('list')
    expect(code).toBe(0)
    const lines = out.trimEnd().split('\n')
    expect(lines[0]).toMatch(/^STATE +OPERATION +KEY +GROUP +ATTEMPTS +AGE +DUE +WHY$/)
    expect(lines[1]).toMatch(/^waiting +charge-order +later +- +0 +\d+[sm] +in \d+d +not due yet$/)
    expect(lines).toHaveLength(Object.keys(ENDS).length + 2)
  })

  it('filters by several states, and speaks JSON', async () => {
    const { out } = await place.steward('list', '--state', 'in-doubt,rejected', '--json')
    const calls = JSON.parse(out) as CallView[]
    expect(calls.map((call) => call.key).sort()).toEqual(['declined', 'lost', 'lost2', 'lost3', 'lost4'])
    expect(calls[0]).not.toHaveProperty('story')
  })

  it('says when there are none, and when there may be more', async () => {
    expect((await place.steward('list', '--retrying')).out).toBe('No calls.\n')
    expect((await place.steward('list', '--limit', '1')).out).toContain('1 shown; there may be more (--limit).')
  })
})

describe('story', () => {
  it('tells what happened and answers the four questions', async () => {
    const { code, out } = await place.steward('story', 'charge-order', 'lost4')
    expect(code).toBe(0)
    expect(out).toContain('charge-order "lost4" is in doubt: it may have happened')
    expect(out).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z {2}Attempt 1 ended without a definite answer/m)
    for (const question of ['Did the provider do it?', 'What do we know, and how?', 'What happens next, and when?', 'Is it safe to press retry?']) expect(out).toContain(question)
    expect(out).toContain('Owner: payments. Runbook: https://wiki.example/charge')
  })

  it('does not find what is not there, and knows a mistyped operation', async () => {
    const { code, err } = await place.steward('story', 'charge-ordre', 'lost')
    expect(code).toBe(1)
    expect(err).toContain('STEWARD_CALL_NOT_FOUND')
    expect(err).toContain('Did you mean "charge-order"?')
    const json = await place.steward('story', 'charge-order', 'nobody', '--json')
    expect(JSON.parse(json.err)).toMatchObject({ error: { code: 'STEWARD_CALL_NOT_FOUND' } })
  })
})

describe('decisions', () => {
  it('settle as happened keeps who, why, reference and result', async () => {
    const { code, out } = await place.steward('settle', 'charge-order', 'lost', '--happened', '--reference', 'ch_7', '--result', '{"chargeId":"ch_7"}', '--why', 'seen in the dashboard', '--by', 'ana')
    expect({ code, out }).toMatchObject({ code: 0, out: expect.stringContaining('charge-order "lost" is succeeded (effect: happened)') })
    const call = await view('lost')
    expect(call.result).toEqual({ chargeId: 'ch_7' })
    expect(call.story.at(-1)).toMatchObject({ what: 'action', by: 'ana', why: 'seen in the dashboard', to: 'succeeded' })
  })

  it('settle refuses while bytes may still leave, and changes nothing', async () => {
    const { code, err } = await place.steward('settle', 'charge-order', 'lost2', '--stop', '--why', 'not there')
    expect(code).toBe(1)
    expect(err).toContain('STEWARD_ACTION_REFUSED')
    expect(err).toContain('bytes of its last attempt may leave until')
    expect((await view('lost2')).state).toBe('in_doubt')
  })

  it('cancel ends what was never sent, by the user of the operating system', async () => {
    expect(await place.steward('cancel', 'charge-order', 'later', '--why', 'withdrawn')).toMatchObject({ code: 0, out: expect.stringContaining('is cancelled') })
    expect((await view('later')).story.at(-1)).toMatchObject({ by: os.userInfo().username })
    expect(await place.steward('cancel', 'charge-order', 'later', '--why', 'again')).toMatchObject({ code: 1, err: expect.stringContaining('it already ended cancelled') })
  })

  it('retry refuses what cannot be retried, and says what can be done', async () => {
    expect(await place.steward('retry', 'charge-order', 'lost3', '--why', 'x')).toMatchObject({ code: 1, err: expect.stringContaining('settle it') })
  })

  it('of an unknown operation names the closest one', async () => {
    expect(await place.steward('cancel', 'charge-oder', 'later', '--why', 'x')).toMatchObject({ code: 1, err: expect.stringContaining('Did you mean "charge-order"?') })
  })
})

describe('redrive', () => {
  it('of one call does it, of what happened never', async () => {
    expect(await place.steward('redrive', 'charge-order', 'down2', '--why', 'they are back')).toMatchObject({ code: 0, out: expect.stringContaining('"down2" is waiting') })
    expect(await place.steward('redrive', 'charge-order', 'ok', '--why', 'x')).toMatchObject({ code: 1, err: expect.stringContaining('it happened') })
  })

  it('by filter only says what it would do, until --yes', async () => {
    const dry = await place.steward('redrive', '--group', 'acme')
    expect(dry).toMatchObject({ code: 0, out: expect.stringContaining('Would redrive 1 of 1 calls.') })
    expect(dry.out).toContain('charge-order down3')
    expect(dry.out).toContain('Nothing was changed.')
    expect((await view('down3')).state).toBe('exhausted')
    expect(await place.steward('redrive', '--group', 'acme', '--yes')).toMatchObject({ code: 2, err: expect.stringContaining('STEWARD_REASON_MISSING') })
    expect((await view('down3')).state).toBe('exhausted')
    const done = await place.steward('redrive', '--group', 'acme', '--yes', '--why', 'they are back', '--json')
    expect(JSON.parse(done.out)).toMatchObject({ matched: 1, dryRun: false, redriven: [{ key: 'down3' }] })
    expect(await view('down3')).toMatchObject({ state: 'waiting', generation: 2, priority: 10 })
  })
})

describe('pause and resume', () => {
  it('refuse a provider that nothing is on', async () => {
    expect(await place.steward('pause', '--provider', 'acme-pya', '--why', 'x')).toMatchObject({ code: 1, err: expect.stringContaining('Did you mean "acme-pay"?') })
    expect(await place.steward('pause', '--operation', 'charge-ordr', '--why', 'x')).toMatchObject({ code: 1, err: expect.stringContaining('Did you mean "charge-order"?') })
  })

  it('hold and release, which list and story tell', async () => {
    const { steward, charge } = await opened()
    await steward.submit(charge, { key: 'paused', input: { become: 'applied' } })
    await steward.close()
    expect((await place.steward('list', '--held')).out).not.toContain('paused')
    expect(await place.steward('pause', '--provider', 'acme-pay', '--why', 'outage', '--by', 'ana')).toMatchObject({ code: 0, out: expect.stringContaining('steward resume --provider acme-pay') })
    expect((await place.steward('list', '--held')).out).toContain('paused')
    expect((await place.steward('story', 'charge-order', 'paused')).out).toContain('It is held while provider acme-pay is paused by ana: outage')
    expect(await place.steward('resume', '--provider', 'acme-pay', '--why', 'green')).toMatchObject({ code: 0 })
    expect((await place.steward('list', '--held')).out).not.toContain('paused')
  })
})

describe('restored', () => {
  it('says what would become of open calls, does it, and needs an instant with its zone', async () => {
    expect(await place.steward('restored', '--why', 'x')).toMatchObject({ code: 2, err: expect.stringContaining('--lost-since 2026-03-01T09:30:00Z') })
    expect(await place.steward('restored', '--lost-since', '2026-03-01 09:30', '--why', 'x')).toMatchObject({ code: 2, err: expect.stringContaining('with its zone') })
    expect(await place.steward('restored', '--lost-since', '2026-03-01T09:30:00Z')).toMatchObject({ code: 2, err: expect.stringContaining('STEWARD_REASON_MISSING') })
    const { steward, charge } = await opened()
    await steward.submit(charge, { key: 'restored', input: { become: 'applied' } })
    await steward.close()
    const dry = await place.steward('restored', '--lost-since', '2026-03-01T09:30:00Z', '--dry-run')
    expect(dry).toMatchObject({ code: 0, out: expect.stringContaining('steward settle charge-order restored --happened') })
    expect(dry.out).toContain('Nothing was changed.')
    expect((await view('restored')).state).toBe('waiting')
    const done = await place.steward('restored', '--lost-since', '2026-03-01T09:30:00Z', '--why', 'the disk was lost', '--json')
    expect(done.code).toBe(0)
    expect((JSON.parse(done.out) as { inDoubt: { key: string }[] }).inDoubt.map(({ key }) => key)).toContain('restored')
    expect((await view('restored')).state).toBe('in_doubt')
    expect((await place.steward('story', 'charge-order', 'restored')).out).toContain('The database came back without what was committed since 2026-03-01T09:30:00.000Z')
  })
})

describe('alerts', () => {
  it('are listed with the next safe action', async () => {
    const { code, out } = await place.steward('alerts')
    expect(code).toBe(0)
    expect(out).toMatch(/^\S+Z {2}PAGE {2}in_doubt/m)
    expect(out).toContain('Next: Look at the provider, then: steward settle charge-order lost4')
  })

  it('are followed until told to stop', async () => {
    const following = place.start('alerts', '--follow', '--json')
    await following.saw(/"kind":"in_doubt"/)
    const { steward, charge } = await opened()
    steward.start()
    await steward.perform(charge, { key: 'lost-later', input: { become: 'lost' } })
    await following.saw(/"key":"lost-later"/)
    await steward.close()
    following.signal('SIGINT')
    const { code, out } = await following.ended
    expect(code).toBe(0)
    const ids = out.trimEnd().split('\n').map((line) => (JSON.parse(line) as { id: string }).id)
    expect(new Set(ids).size).toBe(ids.length)
  })
})

describe('worker', () => {
  it('works what others submit, and goes in peace at SIGTERM', async () => {
    const working = place.start('worker', '--concurrency', '4', '--grace', '5s')
    const said = await working.saw(/charge-order version 1, provider acme-pay/)
    expect(said).toContain(`pid ${working.pid}`)
    const { steward, charge } = await opened()
    const submitted = await steward.submit(charge, { key: 'by-worker', input: { become: 'applied' } })
    expect(await submitted.outcome({ wait: '15s' })).toMatchObject({ effect: 'happened', result: { chargeId: 'ch_1' } })
    await steward.close()
    working.signal('SIGTERM')
    const { code, out, err } = await working.ended
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toContain('SIGTERM: claiming nothing more; begun attempts get 5s.')
    expect(out).toContain('Stopped.')
  })

  it('refuses a config without operations', async () => {
    place.write('empty.config.ts', readFileSync(join(place.path, 'steward.config.ts'), 'utf8').replace('[chargeOrder]', '[]'))
    expect(await place.steward('worker', '--config', 'empty.config.ts')).toMatchObject({ code: 2, err: expect.stringContaining('would do nothing') })
  })
})
