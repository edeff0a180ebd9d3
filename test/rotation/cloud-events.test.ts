// Events that name a secret as its cloud does, over the fakes of Key Vault, Secret Manager and Secrets Manager: whose secret it is, the service says, and never the event.
import { randomUUID } from 'node:crypto'
import { afterEach, describe, expect, it } from 'vitest'
import { queueEvents } from '../../functions/azure/events.ts'
import { pubsubEvents } from '../../functions/gcp/events.ts'
import { LatchkeyError } from '../../shared/core/errors.ts'
import { hostedName } from '../../shared/core/names.ts'
import { createdName } from '../../shared/core/names/created.ts'
import type { SecretName } from '../../shared/core/secret.ts'
import { openAzure, seedVault, startVault } from '../conformance/harnesses/azure-key-vault.ts'
import { openGoogleSecrets } from '../conformance/harnesses/google-secret-manager.ts'
import { fakeProject, startGoogleFake } from '../fakes/google/secret-manager.ts'
import { projectNumber } from '../fakes/google/secrets.ts'
import { testRuntime } from '../support/runtime.ts'
import { openAccount } from './aws-account.ts'
import { day, eventOf, rotationHouse, type Opening } from './rotation-house.ts'
import { nameIn } from '../../shared/core/stores/naming.ts'

const ends: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end()
})

/** A cloud as a host sees it: how it tells of a secret, and what it calls one that is somebody else's. */
interface Cloud {
  readonly house: Awaited<ReturnType<typeof rotationHouse>>
  /** The service's own name for what we call so. */
  nativeOf(name: string): string
  readonly foreign: (native: string) => readonly string[]
  /** One event of the cloud's own about that name, as its host reads it. */
  tell(native: string, kind: 'rotate' | 'changed', id?: string): ReturnType<typeof queueEvents>
  calls(): number
}

const clouds: Readonly<Record<string, (opening?: Opening) => Promise<Cloud>>> = {
  azure: async (opening) => {
    const { vault, fake, runtime, io, settings } = await startVault()
    const house = await rotationHouse(runtime, () => openAzure(io, settings), opening)
    ends.push(() => fake.close(), async () => house.provider.close?.())
    seedVault(vault, { text: 'HOSTED', place: 'hosted' }, 'hosted')
    const uri = new URL(String(settings['azure_key_vault_uri'])).origin
    return {
      house,
      nativeOf: (name) => `${uri}/secrets/${name === 'HOSTED' ? name : house.provider.traits.names.encode(createdName(name))}`,
      foreign: (native) => [native.replace(uri, 'https://other-vault.vault.azure.net'), `${native}-not`],
      tell: (native, kind, id = randomUUID()) =>
        queueEvents({ id, eventType: `Microsoft.KeyVault.${kind === 'rotate' ? 'SecretNearExpiry' : 'SecretNewVersionCreated'}`, eventTime: new Date(runtime.clock.now()).toISOString(), data: { Id: `${native}/0123456789abcdef0123456789abcdef`, ObjectType: 'Secret' } }, 'm'),
      calls: () => fake.requests.length,
    }
  },
  google: async (opening) => {
    const runtime = testRuntime({ hurries: true })
    const fake = await startGoogleFake({ now: () => runtime.clock.now() })
    const house = await rotationHouse(runtime, () => openGoogleSecrets(runtime, { google_endpoint: fake.url }), opening)
    ends.push(() => fake.close(), async () => house.provider.close?.())
    fake.seed('HOSTED', 'hosted')
    return {
      house,
      nativeOf: (name) => `projects/${projectNumber}/secrets/${name === 'HOSTED' ? name : house.provider.traits.names.encode(createdName(name))}`,
      foreign: (native) => [native.replace(projectNumber, '999999999999'), native.replace('/secrets/', '/locations/europe-west3/secrets/'), `${native}-2d`, native.replace(projectNumber, 'other-project')],
      tell: (native, kind, messageId = randomUUID()) =>
        pubsubEvents({ message: { messageId, data: Buffer.from(JSON.stringify({ name: native })).toString('base64'), attributes: { eventType: kind === 'rotate' ? 'SECRET_ROTATE' : 'SECRET_VERSION_ADD', dataFormat: 'JSON_API_V1', secretId: native, timestamp: new Date(runtime.clock.now()).toISOString() } }, subscription: 'projects/p/subscriptions/s' }, 'd'),
      calls: () => fake.requests.length,
    }
  },
  aws: async (opening) => {
    const account = await openAccount(opening)
    ends.push(account.close)
    account.fake.seed('HOSTED', 'hosted')
    return {
      house: account,
      nativeOf: (name) => account.fake.secrets.get(name)?.arn ?? 'arn:aws:secretsmanager:us-east-1:123456789012:secret:absent-abcdef',
      foreign: (native) => [native.replace('123456789012', '999999999999'), native.replace('us-east-1', 'eu-west-1'), `${native.slice(0, -6)}zzzzzz`, native.replace('arn:aws:', 'arn:elsewhere:')],
      tell: (native, kind, id = randomUUID()) => [eventOf({ source: 'event_bridge', kind: kind === 'rotate' ? 'rotate' : 'invalidate', native, id, at: new Date(account.clock.now()) })],
      calls: () => account.fake.requests.length,
    }
  },
}

describe.each(Object.keys(clouds))('an event of %s', (name) => {
  const opened = (opening?: Opening): Promise<Cloud> => (clouds[name] as (typeof clouds)['aws'])(opening)
  const handled = async ({ house, tell }: Cloud, ...given: Parameters<Cloud['tell']>) => {
    const outcomes = []
    for (const event of tell(...given)) outcomes.push(await house.handle(event))
    return outcomes.map(({ decision, reason }) => `${decision} ${reason}`)
  }

  it('rotates the key that it means, once, however often it comes', async () => {
    const cloud = await opened()
    const { house } = cloud
    const made = await house.oldKey('team-a/key.1')
    const native = cloud.nativeOf('litellm/team-a/key.1')

    const first = await handled(cloud, native, 'rotate', 'event-1')
    const again = [...(await handled(cloud, native, 'rotate', 'event-1')), ...(await handled(cloud, native, 'rotate', 'event-2'))]

    expect([first, again]).toEqual([['done rotated'], ['ignored already_done', 'ignored already_done']])
    expect([await house.epochOf('team-a/key.1'), await house.accepts(made.key), await house.accepts(await house.tokenOf('team-a/key.1'))]).toEqual([2, true, true])
    expect(house.lines()).toHaveLength(3)
  })

  it('about what is in another place, or nowhere, is refused with no write, whatever else it says', async () => {
    const cloud = await opened()
    const { house } = cloud
    await house.oldKey('a')
    const native = cloud.nativeOf('litellm/a')

    for (const foreign of cloud.foreign(native)) expect(await handled(cloud, foreign, 'rotate')).toEqual(['refused not_ours'])

    expect(await house.epochOf('a')).toBe(1)
    expect(house.lines().every(({ decision, code }) => decision === 'denied' && code === 'not_ours')).toBe(true)
  })

  it('about a secret that an operator hosts is acknowledged where no generator is configured', async () => {
    const cloud = await opened()
    cloud.house.clock.advance(86_400_000)

    expect(await handled(cloud, cloud.nativeOf('HOSTED'), 'rotate')).toEqual(['ignored no_generator'])
  })

  it('that tells of a change empties the cache of whoever gets it', async () => {
    const cloud = await opened()
    const { house } = cloud
    const read = async () => (await house.store.read({ name: 'HOSTED' }, house.call())).cache
    // A vault's second has to pass before anybody knows which of its versions counts.
    house.clock.advance(3_000)
    const before = [await read(), await read()]

    const told = await handled(cloud, cloud.nativeOf('HOSTED'), 'changed')

    expect([before, told, await read()]).toEqual([['MISS', 'HIT'], ['done invalidated'], 'MISS'])
  })

  it('is answered by a failure when the service does not answer, and by a rotation when it comes again', async () => {
    const cloud = await opened()
    const { house } = cloud
    await house.oldKey('a')
    const native = cloud.nativeOf('litellm/a')
    const silent = await house.instance((inner) => ({ write: async (...all) => { await inner.write?.(...all); throw new Error('a bug that says too much') } }))
    ends.push(async () => silent.provider.close?.())

    const [event] = cloud.tell(native, 'rotate', 'event-1')
    const failed = await silent.handle(event as never)

    expect([failed.decision, failed.reason, failed.error?.code]).toEqual(['retry', 'failed', 'internal'])
    expect(JSON.stringify(house.runtime.audited)).not.toContain('too much')
    expect([await handled(cloud, native, 'rotate', 'event-1'), await house.epochOf('a')]).toEqual([['done rotated'], 2])
  })
})

describe('Key Vault’s near-expiry', () => {
  it('rotates a key with an expiry that an operator set, once, and gives the new token as long a time', async () => {
    const { fake, runtime, io, settings } = await startVault()
    const house = await rotationHouse(runtime, () => openAzure(io, settings), { rotation: { secrets: [{ names: ['DB'] }] } })
    ends.push(() => fake.close(), async () => house.provider.close?.())
    const [key] = [await house.oldKey('a'), await house.oldKey('ending', { durationMs: 20 * day })]
    await house.oldSecret('DB', 'first')
    const soon = new Date(runtime.clock.now() + 20 * day)
    for (const name of [createdName('litellm/a'), nameIn(house.store, 'DB')]) await house.provider.annotate?.(name, { expires: soon }, house.call())
    const expiring = (name: ReturnType<typeof createdName>): string => `${new URL(String(settings['azure_key_vault_uri'])).origin}/secrets/${house.provider.traits.names.encode(name)}`
    const told = async (name: ReturnType<typeof createdName>) => {
      const [event] = queueEvents({ id: randomUUID(), eventType: 'Microsoft.KeyVault.SecretNearExpiry', eventTime: new Date(runtime.clock.now()).toISOString(), data: { Id: expiring(name), ObjectType: 'Secret' } }, 'm')
      return (await house.handle(event as never)).reason
    }

    const reasons = [await told(createdName('litellm/a')), await told(createdName('litellm/ending')), await told(nameIn(house.store, 'DB')), await told(createdName('litellm/a'))]

    expect(reasons).toEqual(['rotated', 'ends_by_itself', 'rotated', 'already_done'])
    expect([await house.accepts(key.key), await house.epochOf('a'), await house.epochOf('ending')]).toEqual([true, 2, 1])
    for (const name of [createdName('litellm/a'), nameIn(house.store, 'DB')]) {
      const { expires } = await house.store.describe(name, house.call())
      expect(expires?.getTime()).toBeGreaterThan(runtime.clock.now() + 59 * day)
    }
  })
})

describe('an ordinary secret of a vault', () => {
  it('is one, and its rotation one, however the configuration, the vault and an event spell it', async () => {
    const { fake, runtime, io, settings } = await startVault()
    const house = await rotationHouse(runtime, () => openAzure(io, settings), { rotation: { secrets: [{ names: ['db_PASSWORD'] }] } })
    const leaving = await house.instance(() => ({ promote: () => Promise.reject(new LatchkeyError('provider_unavailable', 'The process is gone.')) }))
    ends.push(() => fake.close(), async () => house.provider.close?.(), async () => leaving.provider.close?.())
    await house.oldSecret('DB-Password', 'first')
    const [event] = queueEvents({ id: randomUUID(), eventType: 'Microsoft.KeyVault.SecretExpired', eventTime: new Date(runtime.clock.now()).toISOString(), data: { Id: `${new URL(String(settings['azure_key_vault_uri'])).origin}/secrets/DB-Password`, ObjectType: 'Secret' } }, 'm')
    const written = (): number => fake.requests.filter(({ method }) => method === 'PUT').length

    const begun = await leaving.handle(event as never)
    const before = written()
    const ended = await house.handle(eventOf({ name: 'DB_password' }))

    expect([begun.reason, ended.reason, written() - before]).toEqual(['failed', 'rotated', 1])
    expect((await house.valueOf('DB-Password')).reveal()).toMatch(/^[A-Za-z0-9]{40}$/)
    expect((await house.handle(eventOf({ name: 'db-password' }))).reason).toBe('too_soon')
  })
})

describe('Google’s own schedule of a rotation', () => {
  const opened = async () => {
    const runtime = testRuntime({ hurries: true })
    const fake = await startGoogleFake({ now: () => runtime.clock.now() })
    const house = await rotationHouse(runtime, () => openGoogleSecrets(runtime, { google_endpoint: fake.url }), { rotation: { secrets: [{ names: ['DB'] }] } })
    ends.push(() => fake.close(), async () => house.provider.close?.())
    const idOf = (name: SecretName): string => house.provider.traits.names.encode(name)
    const pathOf = (name: SecretName): string => `projects/${fakeProject}/secrets/${idOf(name)}`
    const scheduleOf = (name: SecretName): unknown[] => [fake.service.secrets.get(pathOf(name))['rotation'], fake.service.secrets.get(pathOf(name))['topics']]
    /** Puts a secret under a schedule, as an operator does. */
    const schedule = (name: SecretName): unknown[] => {
      const rotation = { nextRotationTime: new Date(runtime.clock.now() + 30 * day).toISOString(), rotationPeriod: '2592000s' }
      fake.service.secrets.update(pathOf(name), { rotation, topics }, 'rotation,topics')
      return [rotation, topics]
    }
    /** What the service does when its time has come: it moves the next one on, and publishes. */
    const come = (name: SecretName) => {
      const next = schedule(name)
      const native = `projects/${projectNumber}/secrets/${idOf(name)}`
      const [event] = pubsubEvents({ message: { messageId: randomUUID(), data: Buffer.from(JSON.stringify({ name: native })).toString('base64'), attributes: { eventType: 'SECRET_ROTATE', dataFormat: 'JSON_API_V1', secretId: native, timestamp: new Date(runtime.clock.now()).toISOString() } } }, 'd')
      return { next, event: event as never }
    }
    return { ...house, schedule, scheduleOf, come }
  }
  const topics = [{ name: 'projects/p/topics/rotation' }]

  it.each<[string, SecretName]>([['a key', createdName('litellm/a')], ['an ordinary secret', hostedName('DB')]])('stays as the service moved it when its message rotates %s', async (_title, name) => {
    const { oldKey, oldSecret, handle, come, scheduleOf, provider, call } = await opened()
    await oldKey('a')
    await oldSecret('DB', 'first')
    const { next, event } = come(name)

    expect((await handle(event)).reason).toBe('rotated')
    expect(scheduleOf(name)).toEqual(next)
    expect((await provider.describe?.(name, call()))?.nextRotation?.toISOString()).toBe((next[0] as { nextRotationTime: string }).nextRotationTime)
  })

  it('stays as it is when the sweep or a request rotates, so that the next message comes at its time and rotates again', async () => {
    const { oldKey, handle, keys, context, schedule, scheduleOf, come, epochOf, clock } = await opened()
    const name = createdName('litellm/a')
    const { keyId } = await oldKey('a', { data: { auto_rotate: true, rotation_interval: '20d' } })
    const before = schedule(name)
    clock.advance(20 * day)

    const swept = (await handle(eventOf({ kind: 'due' }))).reason
    const kept = [scheduleOf(name)]
    await keys.rotate({ keyId }, {}, context())
    kept.push(scheduleOf(name))
    clock.advance(10 * day)
    const { next, event } = come(name)

    expect([swept, kept]).toEqual(['swept', [before, before]])
    expect([(await handle(event)).reason, await epochOf('a'), scheduleOf(name)]).toEqual(['rotated', 4, next])
  })

  it('of a deleted key is kept with it, and its message does nothing', async () => {
    const { oldKey, handle, keys, context, schedule, scheduleOf, come } = await opened()
    const name = createdName('litellm/a')
    const { keyId } = await oldKey('a')
    const before = schedule(name)
    await keys.remove({ keyId }, context())

    expect(scheduleOf(name)).toEqual(before)
    expect((await handle(come(name).event)).reason).toBe('key_ended')
  })
})
