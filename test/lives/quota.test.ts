// A quota of versions that is used up: what needs a version is refused before it starts, and the vendor's own client sees that nothing changed, at the service and at the gateway.
import { describe, expect, it } from 'vitest'
import { KeyLifecycle } from '../../shared/core/key-lifecycle.ts'
import { callOf } from '../support/runtime.ts'
import { awsLife } from './aws-life.ts'
import { besideLitellm } from './gateway.ts'
import { googleLife } from './google-life.ts'
import type { LifeGateway, LifeScene } from './whole-life.ts'

interface Full extends LifeScene {
  /** Uses the quota up; gives back how there is room again. */
  fill(name: string): () => void
}

const dayMs = 86_400_000

const fulls: Readonly<Record<string, () => Promise<Full>>> = {
  // About a hundred versions; those without a label go after a day, and nobody can delete one.
  aws_secret_manager: async () => {
    const life = await awsLife()
    return {
      ...life,
      fill: (name) => {
        const { versions } = life.fake.secrets.get(name) ?? { versions: new Map() }
        for (let count = 0; count < 200; count += 1) versions.set(`made-today-${String(count).padStart(32, '0')}`, { id: `made-today-${String(count).padStart(32, '0')}`, value: { SecretString: 'x' }, labels: new Set(), created: life.runtime.clock.now(), kmsKeyId: 'DefaultEncryptionKey' })
        return () => life.runtime.clock.advance(dayMs + 1)
      },
    }
  },
  google_secret_manager: async () => {
    const life = await googleLife()
    return {
      ...life,
      fill: () => {
        const body = { error: { code: 429, status: 'RESOURCE_EXHAUSTED', message: 'Quota exceeded.', details: [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: 'RESOURCE_QUOTA_EXCEEDED' }] } }
        life.fake.fault({ kind: 'says', only: ({ path }) => path.endsWith(':addVersion'), answer: { status: 429, headers: { 'content-type': 'application/json' }, body } })
        return () => life.fake.heal()
      },
    }
  },
}

const changes = {
  rotate: (keys: KeyLifecycle, context: Parameters<KeyLifecycle['rotate']>[2]) => keys.rotate({ alias: 'a' }, { graceMs: 60_000 }, context),
  update: (keys: KeyLifecycle, context: Parameters<KeyLifecycle['rotate']>[2]) => keys.update({ alias: 'a' }, { data: { note: 'new' } }, context),
  block: (keys: KeyLifecycle, context: Parameters<KeyLifecycle['rotate']>[2]) => keys.setBlocked({ alias: 'a' }, true, context),
  rename: (keys: KeyLifecycle, context: Parameters<KeyLifecycle['rotate']>[2]) => keys.update({ alias: 'a' }, { alias: 'b' }, context),
  delete: (keys: KeyLifecycle, context: Parameters<KeyLifecycle['rotate']>[2]) => keys.remove({ alias: 'a' }, context),
} as const

const keysOf = ({ provider, runtime }: LifeScene, more: { gateway?: LifeGateway['port'] } = {}): KeyLifecycle =>
  new KeyLifecycle({ name: 'default', provider, policy: { prefix: 'litellm', storeVirtualKeys: true, accessMode: 'read_and_write' }, invalidate: () => undefined }, { clock: runtime.clock, random: runtime.random, ...more })
const contextOf = ({ runtime }: LifeScene) => ({ call: callOf(runtime.clock), caller: 'tester', route: '/key', body: '{}' })

/** What the reader sees; a claim that was taken back stays named in Google's record, as one that is over. */
const seen = async ({ reader }: LifeScene): Promise<unknown> => {
  const { marks, ...rest } = await reader.see('litellm/a')
  const record = marks['latchkey-versions']
  return { ...rest, marks: record === undefined ? marks : { ...marks, 'latchkey-versions': (JSON.parse(record) as readonly (readonly unknown[])[]).filter(([stage]) => stage !== 'g') } }
}

describe.each(Object.entries(fulls))('a key in %s whose versions are used up', (_system, open) => {
  it.each(Object.entries(changes))('is left as it is by a %s, which is refused before it starts and passes once there is room', async (_what, change) => {
    const life = await open()
    const { runtime, fill } = life
    const gateway = await besideLitellm(runtime)
    const keys = keysOf(life, { gateway: gateway.port })
    const made = await keys.create({ alias: 'a' }, contextOf(life))
    const room = fill('litellm/a')
    const before = [await seen(life), await keys.info({ alias: 'a' }, callOf(runtime.clock)), gateway.rows()]

    const refused = await change(keys, contextOf(life)).catch((error: unknown) => error)
    const after = [await seen(life), await keys.info({ alias: 'a' }, callOf(runtime.clock)), gateway.rows()]

    expect(refused).toMatchObject({ code: 'provider_quota', details: { applied: 'no' } })
    expect(after).toEqual(before)
    expect(gateway.accepts(made.key?.reveal() ?? '')).toBe(true)
    room()
    await expect(change(keys, contextOf(life))).resolves.toMatchObject({ keyId: made.keyId })
  })
})

describe('a key in aws_secret_manager', () => {
  it('is not made where the account may have no secret more, and not said to be', async () => {
    const life = await awsLife()
    const keys = keysOf(life)
    life.fake.fault({ kind: 'quota', operations: ['CreateSecret'] })

    const refused = await keys.create({ alias: 'a' }, contextOf(life)).catch((error: unknown) => error)

    expect(refused).toMatchObject({ code: 'provider_quota', details: { applied: 'no' } })
    await expect(keys.info({ alias: 'a' }, callOf(life.runtime.clock))).rejects.toMatchObject({ code: 'not_found' })
  })

  it('is not renamed there either, and can be changed at once all the same', async () => {
    const life = await awsLife()
    const keys = keysOf(life)
    const made = await keys.create({ alias: 'a' }, contextOf(life))
    life.fake.fault({ kind: 'quota', operations: ['CreateSecret'] })

    const refused = await keys.update({ alias: 'a' }, { alias: 'b' }, contextOf(life)).catch((error: unknown) => error)

    expect(refused).toMatchObject({ code: 'provider_quota', details: { applied: 'no' } })
    // The renaming's epoch is used up.
    expect(await keys.rotate({ alias: 'a' }, {}, contextOf(life))).toMatchObject({ keyId: made.keyId, epoch: 3 })
  })

  it('is not rotated where its labels are used up, and no label of the attempt stays', async () => {
    const life = await awsLife()
    const keys = keysOf(life)
    const made = await keys.create({ alias: 'a' }, contextOf(life))
    life.fake.put('litellm/a', 'somebody-elses-version-0000000001', Array.from({ length: 18 }, (_, index) => `theirs-${index}`))

    const refused = await keys.rotate({ alias: 'a' }, {}, contextOf(life)).catch((error: unknown) => error)
    const { value, versions } = await life.reader.see('litellm/a')

    expect(refused).toMatchObject({ code: 'provider_quota', details: { applied: 'no' } })
    expect(value).toBe(made.key?.reveal())
    expect(versions.filter(({ says }) => says.includes('latchkey'))).toEqual([])
  })
})
