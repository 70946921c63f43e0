/** The bill of a run, for whatever strategy carried it: counted from the ledgers and from what the strategy believes. */
import { surplusEffects } from '../auditor/index.ts'
import type { Figures, LedgerEffect, World } from '../contract.ts'

export async function billOf(world: World): Promise<Figures> {
  const intents = new Map(world.intents.filter((intent) => intent.acknowledgedAt !== null).map((intent) => [idOf(intent.operation, intent.key), intent]))
  const naturals = new Set(world.operations.filter((operation) => operation.idempotency.kind === 'natural').map((operation) => operation.name))
  const effects = new Map<string, LedgerEffect[]>()
  let requests = 0
  for (const { ledger } of world.providers.values()) {
    requests += ledger.requests.filter((request) => !request.isLookup).length
    for (const effect of ledger.effects) {
      const id = idOf(effect.operation, effect.businessKey ?? '')
      effects.set(id, [...(effects.get(id) ?? []), effect])
    }
  }
  const bill = { doubled: 0, lost: 0, untrue: 0, undecided: 0 }
  for (const [id, { operation, key }] of intents) {
    const own = effects.get(id) ?? []
    const stands = own.some((effect) => effect.undoneAt === null)
    const belief = await world.belief(operation, key)
    if (!naturals.has(operation)) bill.doubled += surplusEffects(own).length
    if (belief === null) bill.lost += stands ? 0 : 1
    if (belief?.state === 'in_doubt') bill.undecided++
    const denies = belief !== null && belief.ended && belief.effect === 'did_not_happen'
    const claims = belief !== null && belief.ended && belief.effect === 'happened'
    // An effect that nobody remembers is as wrong as a record that denies it.
    if ((denies && stands) || (claims && own.length === 0) || (belief === null && stands)) bill.untrue++
  }
  return { intents: intents.size, ...bill, requests, peopleTold: new Set(world.alerts.map((told) => told.alert.id)).size, faultsInjected: world.faults.length, simulatedMs: world.now - (world.intents[0]?.askedAt ?? world.now) }
}

const idOf = (operation: string, key: string): string => JSON.stringify([operation, key])
