// `npm run test:peers`: the exam against servers that nobody here wrote. Apart from `npm test`, because it needs Python and, once, a package registry.
import { defineConfig } from 'vitest/config'
import { Tally } from '../support/tally.ts'

export default defineConfig({
  test: {
    root: `${import.meta.dirname}/../..`,
    include: ['test/peers/**/*.test.ts'],
    globalSetup: ['test/support/require-node.ts', 'test/peers/start-peers.ts'],
    setupFiles: ['test/support/loopback-only.ts', 'test/support/canary-watch.ts'],
    reporters: ['default', new Tally()],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
