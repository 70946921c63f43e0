/** The lab: what breaks this, and does it cope? */
export * from './contract.ts'
