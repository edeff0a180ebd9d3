import { describe, expect, it } from 'vitest'
import { KeyLifecycle } from '../../shared/core/key-lifecycle.ts'
import type { SecretProvider } from '../../shared/core/provider.ts'
import type { SecretValue } from '../../shared/core/secret.ts'
import type { KeyAnswer } from '../../shared/core/virtual-key.ts'
import { openAws } from '../conformance/harnesses/aws-secrets-manager.ts'
import { startSecretsManagerFake } from '../fakes/aws-secrets-manager.ts'
import { callOf, testRuntime } from '../support/runtime.ts'

describe('a virtual key in AWS Secrets Manager', () => {
  const verbs = ['create', 'rotate', 'remove'] as const
  const faults = ['reset', 'unavailable_after'] as const
  it.each(verbs.flatMap((verb) => faults.map((kind) => [verb, kind] as const)))('is the same after a %s that breaks at any call (%s) and is sent again', async (verb, kind) => {
    const outcomes = new Set<string>()
    let breaks = 0

    for (let nth = 1; nth <= 40; nth += 1) {
      const { broke, outcome } = await brokenOnce(verb, kind, nth)
      outcomes.add(outcome)
      breaks += broke ? 1 : 0
      if (!broke) break
    }

    expect([...outcomes]).toEqual([{ create: 'epoch 1, accepts the answered token', rotate: 'epoch 2, accepts the answered token, not the old one', remove: 'gone, accepts nothing' }[verb]])
    expect(breaks).toBeGreaterThanOrEqual(2)
  })
})

describe('a virtual key on a server that gives created versions ids of its own', () => {
  it('is answered with its token all the same', async () => {
    const runtime = testRuntime()
    const fake = await startSecretsManagerFake({ now: () => runtime.clock.now() })
    const provider = await openAws(runtime, { aws_secretsmanager_endpoint: fake.url })
    const keys = new KeyLifecycle({ name: 'default', provider, policy: { prefix: 'litellm', storeVirtualKeys: true, accessMode: 'read_and_write' }, invalidate: () => undefined }, { clock: runtime.clock, random: runtime.random })
    fake.fault({ kind: 'says', operations: ['CreateSecret'], answer: { Name: 'litellm/a', VersionId: '5a1c0b1e-0000-4000-8000-000000000001' } })

    const made = await keys.create({ alias: 'a' }, { call: callOf(runtime.clock), caller: 'tester', route: '/key', body: '{}' })

    expect([made.epoch, made.superseded, made.key?.isText]).toEqual([1, undefined, true])
    await provider.close?.()
    await fake.close()
  })
})

/** One key, one change whose calls fail from the `nth` on, the same change again on a service that is well. */
const brokenOnce = async (verb: 'create' | 'rotate' | 'remove', kind: 'reset' | 'unavailable_after', nth: number): Promise<{ broke: boolean; outcome: string }> => {
  const runtime = testRuntime({ seed: `${verb} ${kind} ${nth}` })
  const fake = await startSecretsManagerFake({ now: () => runtime.clock.now() })
  const provider: SecretProvider = await openAws(runtime, { aws_secretsmanager_endpoint: fake.url, aws_max_attempts: 1 })
  const keys = new KeyLifecycle({ name: 'default', provider, policy: { prefix: 'litellm', storeVirtualKeys: true, accessMode: 'read_and_write' }, invalidate: () => undefined }, { clock: runtime.clock, random: runtime.random })
  const context = (key: string) => ({ call: callOf(runtime.clock), caller: 'tester', route: '/key', body: '{}', idempotencyKey: key.padEnd(16, '-') })
  const accepts = async (key: SecretValue | undefined): Promise<boolean> => key !== undefined && (await keys.verify(key, callOf(runtime.clock))).valid
  const first = verb === 'create' ? undefined : await keys.create({ alias: 'a' }, context('first'))
  const act = (): Promise<KeyAnswer> => (verb === 'create' ? keys.create({ alias: 'a' }, context('change')) : verb === 'rotate' ? keys.rotate({ alias: 'a' }, {}, context('change')) : keys.remove({ alias: 'a' }, context('change')))

  fake.fault({ kind, nth })
  const broke = await act().then(() => false, () => true)
  fake.heal()
  runtime.clock.advance(61_000)
  const answer = await act()
  const info = await keys.info({ alias: 'a' }, callOf(runtime.clock)).then(({ epoch }) => `epoch ${epoch}`, () => 'gone')
  const [now, before] = [await accepts(answer.key), await accepts(first?.key)]
  await provider.close?.()
  await fake.close()
  return { broke, outcome: `${info}, accepts ${now ? 'the answered token' : 'nothing'}${verb === 'rotate' ? `, ${before ? 'and' : 'not'} the old one` : before ? ' but the old one' : ''}` }
}
