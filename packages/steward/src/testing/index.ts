/** What users test with: a store in memory, a system whose time they move, and the suite that defines a store. */
export { storeConformance, type StorePlace, type TestRunner } from './conformance/index.ts'
export { type ManualSystem, manualSystem, type ManualSystemOptions } from './manual-system.ts'
export { backupOf, type MemoryData, memoryData } from './memory-data.ts'
export { type MemoryStore, memoryStore, type MemoryStoreOptions } from './memory-store.ts'
