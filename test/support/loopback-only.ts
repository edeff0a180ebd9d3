// Stands in every test file: a connection to anything but this machine fails the test during which it was tried, by name.
import { afterAll, afterEach } from 'vitest'
import { guardLoopback } from './loopback-guard.ts'

const targets: string[] = []
guardLoopback((target) => void targets.push(target))

const failIfTried = (): void => {
  const tried = targets.splice(0)
  if (tried.length > 0) throw new Error(`Only loopback is allowed in tests; this one tried to reach ${[...new Set(tried)].join(', ')}.`)
}

afterEach(failIfTried)
afterAll(failIfTried)
