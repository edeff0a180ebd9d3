// The rights that infra/gcp gives, asked of a Secret Manager that keeps to them: a key lives its whole life under those of keys and of rotate, and under those of read nothing changes.
import { describe, expect, it } from 'vitest'
import { createdName } from '../../../shared/core/names/created.ts'
import { hostedName } from '../../../shared/core/names.ts'
import { hexEscapeCodec } from '../../../shared/credentials/google/names.ts'
import { readSettings } from '../../../shared/core/settings.ts'
import { googleSecretManager } from '../../../shared/providers/google-secret-manager.ts'
import { SecretValue } from '../../../shared/core/secret.ts'
import { fakeProject } from '../../fakes/google/secret-manager.ts'
import { committed, plans, type Plans } from '../../infra/gcp/checks.ts'
import { account, may, project } from '../../infra/gcp/rights.ts'
import type { Made } from '../../infra/support/hcl.ts'
import { googleLife } from '../../lives/google-life.ts'
import { wholeLife } from '../../lives/whole-life.ts'
import { callOf } from '../../support/runtime.ts'

const all = plans(committed)

/** What the account of a function may, as the fake asks. Lists and creations are judged on the project. */
const rightsOf = (name: string, where: keyof Plans = 'usual') => (_who: string, permission: string, resource: string): boolean =>
  may(all[where], account(name), permission, /secrets\.(?:list|create)$/.test(permission) ? project : resource.replace(`projects/${fakeProject}`, project))

const codeOf = (promise: Promise<unknown>): Promise<string> => promise.then(() => 'ok', (error: { code?: string }) => error.code ?? String(error))

describe('the rights of the module of Google', () => {
  it.each(['keys', 'rotate'])('are enough for the whole life of a key: %s', async (name) => {
    const life = await googleLife(rightsOf(name))

    const sights = await wholeLife(life)

    expect(sights.rotated.value).toMatch(/^sk-/)
  })

  it.each(['keys', 'rotate'])('end where the prefix ends: %s', async (name) => {
    const { provider, runtime, fake } = await googleLife(rightsOf(name))
    fake.seed(hexEscapeCodec.encode(createdName('other/x')), 'theirs')
    const write = (text: string) => codeOf(Promise.resolve(provider.write?.({ name: createdName(text), value: SecretValue.of('x'), expect: 'any', operation: 'put-00000000000000000000000000000000', stage: 'current' }, callOf(runtime.clock))))

    const told = [await write('litellm/x'), await write('other/x'), await codeOf(provider.read(createdName('other/x'), {}, callOf(runtime.clock)))]

    expect(told).toEqual(['ok', 'provider_denied', 'provider_denied'])
  })

  it.each([
    ['read', 'read'],
    ['keys', 'write'],
    ['rotate', 'write'],
  ] as const)('are all that the check of %s looks for', async (name, depth) => {
    const { provider, runtime } = await googleLife(rightsOf(name))

    const findings = await provider.check(depth, callOf(runtime.clock), 'litellm')

    expect(findings.filter(({ ok }) => !ok)).toEqual([])
  })

  it('let read see what is below the prefix and what is hosted, and change neither', async () => {
    const { provider, runtime, fake } = await googleLife(rightsOf('read', 'full'))
    fake.seed('OPENAI_API_KEY', 'hosted')
    fake.seed('ANOTHER', 'not named')
    const call = () => callOf(runtime.clock)
    const write = { name: hostedName('OPENAI_API_KEY'), value: SecretValue.of('x'), expect: 'any', operation: 'put-00000000000000000000000000000000', stage: 'current' } as const

    const read = (await provider.read(hostedName('OPENAI_API_KEY'), {}, call())).value.reveal()
    const refused = [await codeOf(provider.read(hostedName('ANOTHER'), {}, call())), await codeOf(Promise.resolve(provider.write?.(write, call()))), await codeOf(Promise.resolve(provider.remove?.(hostedName('OPENAI_API_KEY'), { expect: 'any', final: true }, call())))]

    expect([read, refused]).toEqual(['hosted', ['provider_denied', 'provider_denied', 'provider_denied']])
  })
})

describe('the environment of the module of Google', () => {
  it('is all that the store must be told', () => {
    const { body } = all.usual.made.find(({ address }) => address === 'google_cloudfunctions2_function.rotate') as Made
    const [{ environment_variables: environment }] = body['service_config'] as readonly [{ readonly environment_variables: Readonly<Record<string, string>> }]

    const { settings, issues } = readSettings(googleSecretManager.settings, {}, { path: 'google_secret_manager', env: { get: (name) => environment[name], names: () => Object.keys(environment) } })

    expect([issues, settings.google_project_id, settings.google_service_account]).toEqual([[], 'fake', undefined])
  })
})
