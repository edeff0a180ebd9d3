// A key that is rotated for years: what its service charges for, limits or forgets does not pile up, as the vendor's own client sees it, and the token in grace is accepted whatever
// the service itself has kept.
import { describe, expect, it } from 'vitest'
import { KeyLifecycle } from '../../shared/core/key-lifecycle.ts'
import { callOf } from '../support/runtime.ts'
import { infisicalLife } from './infisical-life.ts'
import { lives } from './lives.ts'
import { vaultLife } from './vault-life.ts'
import type { LifeScene, SeenSecret } from './whole-life.ts'

const rotations = 24

const opened = ({ provider, runtime }: LifeScene) => {
  const keys = new KeyLifecycle({ name: 'default', provider, policy: { prefix: 'litellm', storeVirtualKeys: true, accessMode: 'read_and_write' }, invalidate: () => undefined }, { clock: runtime.clock, random: runtime.random })
  return { keys, context: () => ({ call: callOf(runtime.clock), caller: 'tester', route: '/key', body: '{}' }) }
}

/** What is left of many rotations, each an hour after the one before and with a minute of grace. */
const bounds: Readonly<Record<string, (seen: SeenSecret) => unknown>> = {
  // Versions without a label are AWS's to prune; of its twenty labels two are used.
  aws_secret_manager: ({ versions }) => versions.map(({ says }) => says).filter((says) => says !== ''),
  azure_key_vault: ({ versions }) => versions.map(({ says }) => says).filter((says) => says === 'enabled'),
  google_secret_manager: ({ versions }) => versions.map(({ says }) => says).filter((says) => says !== 'destroyed'),
  hashicorp_vault: ({ versions }) => versions.length <= 10,
  cyberark: ({ versions }) => versions.length <= 20,
  infisical: ({ versions }) => versions.length > 0,
}
const expected: Readonly<Record<string, unknown>> = {
  aws_secret_manager: ['AWSPREVIOUS', 'AWSCURRENT'],
  azure_key_vault: ['enabled', 'enabled'],
  google_secret_manager: ['enabled', 'enabled, current'],
  hashicorp_vault: true,
  cyberark: true,
  infisical: true,
}

describe.each(Object.entries(lives))('a key in %s that was rotated many times', (system, open) => {
  it('leaves the versions that are accepted, and what only the service itself can take away', async () => {
    const life = await open()
    const { keys, context } = opened(life)
    await keys.create({ alias: 'a' }, context())
    const tokens: string[] = []
    for (let count = 0; count < rotations; count += 1) {
      life.runtime.clock.advance(3_600_000)
      tokens.push((await keys.rotate({ alias: 'a' }, { graceMs: 60_000 }, context())).key?.reveal() ?? '')
    }

    const seen = await life.reader.see('litellm/a')

    expect([seen.value, bounds[system]?.(seen)]).toEqual([tokens.at(-1), expected[system]])
    expect(seen.versions.filter(({ value }) => life.forgets && tokens.slice(0, -2).includes(value ?? ''))).toEqual([])
  })
})

describe('a token in grace', () => {
  it('is accepted in Vault although the engine keeps one version only', async () => {
    const life = await vaultLife()
    const { keys, context } = opened(life)
    life.keep(1)
    const first = await keys.create({ alias: 'a' }, context())

    const second = await keys.rotate({ alias: 'a' }, { graceMs: 60_000 }, context())
    await keys.update({ alias: 'a' }, { data: { note: 'n' } }, context())

    expect((await life.reader.see('litellm/a')).versions).toHaveLength(1)
    for (const { key } of [first, second]) expect(key === undefined ? false : (await keys.verify(key, callOf(life.runtime.clock))).valid).toBe(true)
  })

  it("is accepted in Infisical after the service's own clean-up", async () => {
    const life = await infisicalLife()
    const { keys, context } = opened(life)
    const first = await keys.create({ alias: 'a' }, context())
    const second = await keys.rotate({ alias: 'a' }, { graceMs: 60_000 }, context())

    life.prune()

    for (const { key } of [first, second]) expect(key === undefined ? false : (await keys.verify(key, callOf(life.runtime.clock))).valid).toBe(true)
  })
})
