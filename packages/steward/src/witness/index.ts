/** Sees and gates what attempts send; takes secrets out of what is kept. */
export { createWitness, type AttemptScope, type AttemptWatch, type Witness, type WitnessClock } from './witness.ts'
export { WireGateError } from './gate.ts'
export { REDACTED, redact, scrub } from './redact.ts'
