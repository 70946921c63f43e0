import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { describe, expect, it } from 'vitest'

const SAYS: Readonly<Record<string, readonly string[]>> = {
  '01-first-call.ts': [
    'effect: happened, attempts: 2, charges at the provider: 1',
    'submitted again: joined, charges at the provider: 1',
  ],
  '02-look-before-resend.ts': [
    'invoice-1: effect happened, requests sent: 1, payouts at the provider: 1',
    'invoice-2: effect happened, requests sent: 2, payouts at the provider: 1',
  ],
  '03-a-person-settles.ts': [
    'effect: unknown, state: in_doubt, letters ordered: 1',
    'told: page: in_doubt letter-5',
    'settled: succeeded, letters ordered: 1',
    'is it safe to press retry? No. It happened; a new effect needs a new key.',
  ],
  '04-outbox-in-drizzle.ts': [
    'o_18: sold out, rolled back',
    'calls: o_17; charges at the provider: 0',
    '[{"id":"o_17","amount":4200,"state":"paid","charge":"ch_1"}]',
    'charges at the provider: 1',
  ],
}

/** A database for the examples that need one, until it is told to end. */
async function database(): Promise<{ readonly url: string; end(): Promise<void> }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'postgres-server.ts')], { stdio: ['pipe', 'pipe', 'inherit'] })
  const over = new Promise<void>((resolve) => void child.once('close', () => resolve()))
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout.setEncoding('utf8').once('data', (line: string) => resolve(line.trim()))
    child.once('close', (code) => reject(new Error(`the database ended with ${code}`)))
  })
  return { url, end: async () => { child.stdin.end(); await over } }
}

async function run(file: string, env: Readonly<Record<string, string>> = {}): Promise<{ readonly code: number | null; readonly out: string; readonly err: string }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, file)], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } })
  const [out, err] = [child.stdout, child.stderr].map((stream) => stream.setEncoding('utf8').toArray() as Promise<string[]>)
  const code = await new Promise<number | null>((resolve, reject) => void child.once('error', reject).once('close', resolve))
  return { code, out: (await out)?.join('') ?? '', err: (await err)?.join('') ?? '' }
}

describe('each example', () => {
  const files = readdirSync(import.meta.dirname).filter((name) => /^\d\d-.*\.ts$/.test(name))

  it('is known here', () => {
    expect(files).toEqual(Object.keys(SAYS))
  })

  it.for(files)('%s runs and says what it promises', { timeout: 60_000 }, async (file) => {
    const needs = readFileSync(join(import.meta.dirname, file), 'utf8').includes('DATABASE_URL') ? await database() : null
    const { code, out, err } = await run(file, needs === null ? {} : { DATABASE_URL: needs.url })
    await needs?.end()
    expect(err).toBe('')
    expect(out.trim().split('\n')).toEqual(SAYS[file])
    expect(code).toBe(0)
  })
})
