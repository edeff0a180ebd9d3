// One configuration for `npm test`. The guards of test/support stand in every worker: only loopback, and no canary in any output.
import { defineConfig } from 'vitest/config'
import { Tally } from './test/support/tally.ts'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/peers/**', '**/node_modules/**'],
    globalSetup: ['test/support/require-node.ts'],
    setupFiles: ['test/support/loopback-only.ts', 'test/support/canary-watch.ts'],
    reporters: ['default', new Tally()],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 20_000,
    coverage: { provider: 'v8', include: ['shared/**/*.ts'], reporter: ['text-summary', 'text'] },
  },
})
