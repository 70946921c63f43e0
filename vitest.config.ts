import { defineConfig } from 'vitest/config'

/** Where the checking machine wants the machine-readable result, if anywhere. */
const report = process.env['STEWARD_TEST_REPORT']

export default defineConfig({
  test: {
    include: ['{packages,test,bench,examples}/**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/dist/**', '**/.cache/**'],
    // Forks, not threads: tests open databases, subscribe to diagnostics channels and kill child processes.
    pool: 'forks',
    // The smallest machine that checks the project has two cores.
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 20_000,
    // Some tests kill and freeze real processes; on a loaded machine one may miss its time. A second failure counts, and vitest names what was retried.
    retry: 1,
    restoreMocks: true,
    reporters: report ? ['default', ['json', { outputFile: report }]] : ['default'],
  },
})
