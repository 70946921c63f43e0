/** The lab: what breaks this, and does it cope? */
export * from './contract.ts'
export { createWorld, type SimOptions, SimWorld } from './sim/world.ts'
export { fault, FAULT_KINDS, type FaultKind } from './faults/kinds.ts'
export { ALL_CONTRACTS, CONTRACTS, type ProviderContract } from './providers/contract.ts'
export { modelled, type ModelledOptions, type Order, STANDARD, STANDARD_NAMES, type StandardName, standardOperations } from './workload/operations.ts'
