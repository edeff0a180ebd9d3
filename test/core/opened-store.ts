// A store over the reference provider that notes which of its methods are called.
import { SecretCache } from '../../shared/core/cache.ts'
import { LatchkeyError } from '../../shared/core/errors.ts'
import { hostedName } from '../../shared/core/names.ts'
import type { AccessPolicy } from '../../shared/core/policy.ts'
import type { SecretProvider } from '../../shared/core/provider.ts'
import { SecretValue } from '../../shared/core/secret.ts'
import { SecretStore } from '../../shared/core/store.ts'
import { memory } from '../../shared/providers/memory.ts'
import { callOf, testRuntime } from '../support/runtime.ts'

export const open = async (given: { policy?: Partial<AccessPolicy>; name?: string; without?: readonly (keyof SecretProvider)[] } = {}) => {
  const runtime = testRuntime()
  const opened = await memory.open({ recovery_window_seconds: 3_600 }, runtime, { kind: 'operator' })
  const calls: string[] = []
  const provider = new Proxy(opened, {
    get: (target, property: keyof SecretProvider) => {
      const member = target[property]
      if (given.without?.includes(property) === true) return undefined
      if (typeof member !== 'function') return member
      return (...args: never[]) => {
        calls.push(property)
        return (member as (...rest: never[]) => unknown)(...args)
      }
    },
  })
  const policy: AccessPolicy = { accessMode: 'read_and_write', prefix: 'litellm', storeVirtualKeys: true, ...given.policy }
  const name = given.name ?? 'default'
  const store = new SecretStore({ name, system: 'memory', provider, policy, cache: new SecretCache(runtime.clock), clock: runtime.clock, random: runtime.random })
  const seed = (text: string, value: string, labels?: Record<string, string>) =>
    opened.write?.({ name: hostedName(text), value: SecretValue.of(value), expect: 'any', operation: `seed-${text}-`.padEnd(40, '0') + calls.length, stage: 'current', ...(labels === undefined ? {} : { labels }) }, callOf(runtime.clock))
  return { store, provider: opened, calls, seed, clock: runtime.clock, call: () => callOf(runtime.clock) }
}

export const codeOf = (promise: Promise<unknown>): Promise<string> => promise.then(() => 'answered', (error: unknown) => (error instanceof LatchkeyError ? error.code : String(error)))
