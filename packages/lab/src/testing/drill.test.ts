import { defineOperation, providerKey, type StandardSchema } from 'steward'
import { describe, expect, it } from 'vitest'
import { drill, DrillFailed, ownScenario, premortem } from './index.ts'

type Order = { readonly orderId: string; readonly amount: number }
const order: StandardSchema<Order, Order> = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value: value as Order }) } }

function charge(headers: (key: string) => Record<string, string>) {
  return defineOperation<Order, Order, { id: string }>({
    name: 'charge', input: order, timeout: '10s', giveUpAfter: '1h', idempotency: providerKey({ retention: '24h' }),
    async send(input, { idempotencyKey }) {
      const answer = await fetch('https://api.example.com/charges', { method: 'POST', headers: { 'content-type': 'application/json', ...headers(idempotencyKey) }, body: JSON.stringify(input) })
      if (!answer.ok) throw Object.assign(new Error(`answered ${answer.status}`), { status: answer.status, headers: answer.headers })
      return (await answer.json()) as { id: string }
    },
  })
}

const twice = ownScenario('the warehouse asks for the same charge from two places', async (lab) => {
  await lab.submit('o1', 'o1')
  await lab.rest()
  lab.expect(lab.effects('o1').length === 1, `charged ${lab.effects('o1').length} times`)
})
const of = (headers: (key: string) => Record<string, string>, entries = ['response-lost-after-effect', 'crash-between-send-and-record', twice]) =>
  premortem(charge(headers), { example: (key) => ({ orderId: key, amount: 4200 }), entries })

describe('a drill', () => {
  it('passes where everything is survived', async () => {
    const results = await drill(of((key) => ({ 'Idempotency-Key': key })))
    expect(results.map(({ entry, verdict }) => `${entry}: ${verdict}`)).toEqual(['response-lost-after-effect: survived', 'crash-between-send-and-record: survived', `${twice.title}: survived`])
  })

  it('fails with the account of what went wrong, and the command that shows it again', async () => {
    const failed = await drill(of(() => ({})), { seed: 3 }).then(() => null, (error: unknown) => error)
    expect(failed).toBeInstanceOf(DrillFailed)
    const { message } = failed as DrillFailed
    expect(message).toContain('charge did not survive 3 of 3:')
    expect(message).toContain('without the key that the operation declares')
    expect(message).toContain('What the provider saw')
    expect(message).toContain('steward lab charge --scenario "response-lost-after-effect" --seed 3 --trace')
  })

  it('fails on what a scenario of your own throws or expects, and on what is not known', async () => {
    const entries = [ownScenario('it throws', () => Promise.reject(new Error('the run broke'))), ownScenario('it expects', (lab) => { lab.expect(false, 'nothing holds'); return Promise.resolve() }), 'nowhere']
    const failed = await drill(of((key) => ({ 'Idempotency-Key': key })), { entries }).then(() => null, (error: unknown) => error as DrillFailed)
    expect(failed?.results.map(({ findings }) => findings)).toEqual([['the run broke'], ['nothing holds'], ['there is no scenario "nowhere"']])
  })

  it('waits its turn: two at once do not disturb each other, and the network is put back', async () => {
    const good = of((key) => ({ 'Idempotency-Key': key }))
    await expect(Promise.all([drill(good), drill(good)])).resolves.toHaveLength(2)
    await expect(fetch('http://127.0.0.1:9/')).rejects.toThrow()
  })
})
