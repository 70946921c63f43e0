/** The catalogue: every failure mode that is known, with what is known of it and the run that asks it. */
import { ambiguousCall } from './facts/ambiguous-call.ts'
import { change } from './facts/change.ts'
import type { ScenarioFacts } from './facts.ts'
import { identity } from './facts/identity.ts'
import { load } from './facts/load.ts'
import { meaning } from './facts/meaning.ts'
import { ownershipAndTime } from './facts/ownership-and-time.ts'
import { people } from './facts/people.ts'
import { store } from './facts/store.ts'
import { ambiguousCall as playsAmbiguousCall } from './plays/ambiguous-call.ts'
import { change as playsChange } from './plays/change.ts'
import { identity as playsIdentity } from './plays/identity.ts'
import { load as playsLoad } from './plays/load.ts'
import { meaning as playsMeaning } from './plays/meaning.ts'
import { ownershipAndTime as playsOwnershipAndTime } from './plays/ownership-and-time.ts'
import { people as playsPeople } from './plays/people.ts'
import { store as playsStore } from './plays/store.ts'
import type { Plays, Scenario } from './scenario.ts'

const THEMES: readonly (readonly [readonly ScenarioFacts[], Plays])[] = [
  [ambiguousCall, playsAmbiguousCall], [identity, playsIdentity], [meaning, playsMeaning], [load, playsLoad],
  [ownershipAndTime, playsOwnershipAndTime], [store, playsStore], [change, playsChange], [people, playsPeople],
]

export const CATALOGUE: readonly Scenario[] = THEMES.flatMap(([facts, plays]) => facts.map((known) => {
  const play = plays[known.id]
  if (play === undefined) throw new Error(`the scenario "${known.id}" has facts and no run`)
  return { ...known, ...play }
}))

export const scenarioOf = (id: string): Scenario | undefined => CATALOGUE.find((scenario) => scenario.id === id)
