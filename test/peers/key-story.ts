// The life of one virtual key on a real provider, told by Latchkey and seen by somebody else: a client that knows nothing of Latchkey.
import { expect } from 'vitest'
import { KeyLifecycle } from '../../shared/core/key-lifecycle.ts'
import type { SecretProvider } from '../../shared/core/provider.ts'
import { SecretValue } from '../../shared/core/secret.ts'
import { watch } from '../support/canary.ts'
import { callOf, type TestRuntime } from '../support/runtime.ts'

/** What an independent client sees of a secret. */
export interface SeenSecret {
  readonly value: string
  readonly previous: string | null
  readonly tags: Readonly<Record<string, string>>
}

/** Creates, verifies, rotates and deletes a key, and compares every step with what `see` finds under the key's name. */
export const keyStory = async (provider: SecretProvider, runtime: TestRuntime, alias: string, see: (name: string) => Promise<SeenSecret>): Promise<void> => {
  const store = { name: 'default', provider, policy: { prefix: 'litellm', storeVirtualKeys: true, accessMode: 'read_and_write' as const }, invalidate: () => undefined }
  const keys = new KeyLifecycle(store, { clock: runtime.clock, random: runtime.random })
  const call = () => callOf(runtime.clock)
  const context = (route: string) => ({ call: call(), caller: 'tester', route, body: '{}' })
  const tokenOf = (key: SecretValue | undefined): string => watch(`token of ${alias}`, key?.reveal() ?? '')
  const accepts = async (token: string): Promise<boolean> => (await keys.verify(SecretValue.of(token), call())).valid

  const created = await keys.create({ alias, teamId: 'payments', data: { models: ['m'] } }, context('/key/generate'))
  const first = tokenOf(created.key)
  expect(created.stored.name).toBe(`litellm/${alias}`)
  expect(await see(created.stored.name)).toMatchObject({ value: first, previous: null, tags: { 'managed-by': 'latchkey', 'latchkey-key-id': created.keyId, 'latchkey-team': 'payments' } })
  expect([await accepts(first), await accepts(`${first}x`)]).toEqual([true, false])
  expect(await keys.info({ keyId: created.keyId }, call())).toMatchObject({ alias, epoch: 1, state: 'active', data: { models: ['m'] } })
  await expect(keys.create({ alias }, context('/key/generate'))).rejects.toMatchObject({ code: 'already_exists' })

  const rotated = await keys.rotate({ keyId: created.keyId }, { graceMs: 60_000 }, context('/key/regenerate'))
  const second = tokenOf(rotated.key)
  expect(await see(created.stored.name)).toMatchObject({ value: second, previous: first, tags: { 'latchkey-key-id': created.keyId, 'latchkey-epoch': '2' } })
  expect([await accepts(first), await accepts(second)]).toEqual([true, true])
  // A grace counts from the birth of the claim by the clock of the service, which went on while this one stood.
  runtime.clock.set(Math.max(runtime.clock.now(), Date.now()) + 61_001)
  expect([await accepts(first), await accepts(second)]).toEqual([false, true])

  const removed = await keys.remove({ alias }, context('/key/delete'))
  expect(removed).toMatchObject({ keyId: created.keyId, state: 'revoked', epoch: 3 })
  const after = await see(created.stored.name)
  expect([after.value === first, after.value === second, after.tags['latchkey-state']]).toEqual([false, false, 'revoked'])
  expect([await accepts(first), await accepts(second)]).toEqual([false, false])

  const again = await keys.create({ alias }, context('/key/generate'))
  const third = tokenOf(again.key)
  expect([again.keyId === created.keyId, again.epoch, (await see(again.stored.name)).value === third]).toEqual([false, 4, true])
  expect([await accepts(second), await accepts(third)]).toEqual([false, true])
}
