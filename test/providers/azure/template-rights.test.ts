// The rights that infra/azure gives, asked of a vault that keeps to them: a key lives its whole life under those of keys and of rotate, also where they are confined to the prefix.
import { describe, expect, it } from 'vitest'
import { createdName } from '../../../shared/core/names/created.ts'
import { hostedName } from '../../../shared/core/names.ts'
import { SecretValue } from '../../../shared/core/secret.ts'
import { deployments, parsed, type Deployments } from '../../infra/azure/checks.ts'
import { may } from '../../infra/azure/rights.ts'
import { azureLife } from '../../lives/azure-life.ts'
import { wholeLife } from '../../lives/whole-life.ts'
import { callOf } from '../../support/runtime.ts'

const all = deployments(parsed())
const vault = '/subscriptions/sub/resourceGroups/group/providers/Microsoft.KeyVault/vaults/latchkey-unique1234567'

/** What the identity of an app may, as the fake asks. */
const rightsOf = (app: string, which: keyof Deployments) => (action: string, name: string): boolean => may(all[which], `latchkey-${app}`, `Microsoft.KeyVault/vaults/secrets/${action}`, `${vault}/secrets/${name}`)

const codeOf = (promise: Promise<unknown>): Promise<string> => promise.then(() => 'ok', (error: { code?: string }) => error.code ?? String(error))

describe('the rights of the template of Azure', () => {
  it.each([
    ['keys', 'usual'],
    ['keys', 'full'],
    ['rotate', 'full'],
  ] as const)('are enough for the whole life of a key: %s, %s', async (app, which) => {
    const life = await azureLife(rightsOf(app, which))

    const sights = await wholeLife(life)

    expect(sights.rotated.value).toMatch(/^sk-/)
  })

  it.each([
    ['read', 'read', 'usual'],
    ['keys', 'write', 'full'],
    ['rotate', 'write', 'full'],
  ] as const)('are all that the check of %s looks for', async (app, depth, which) => {
    const { provider, runtime } = await azureLife(rightsOf(app, which))

    const findings = await provider.check(depth, callOf(runtime.clock), 'litellm')

    expect(findings.filter(({ ok }) => !ok)).toEqual([])
  })

  it.each([
    ['read', 'usual', ['provider_denied', 'provider_denied']],
    ['keys', 'usual', ['ok', 'ok']],
    ['keys', 'full', ['ok', 'provider_denied']],
  ] as const)('let %s (%s) write below the prefix and beside it only as they say', async (app, which, told) => {
    const { provider, runtime } = await azureLife(rightsOf(app, which))
    const write = (name: ReturnType<typeof createdName>) => codeOf(Promise.resolve(provider.write?.({ name, value: SecretValue.of('x'), expect: 'any', operation: 'put-00000000000000000000000000000000', stage: 'current' }, callOf(runtime.clock))))

    const answers = [await write(createdName('litellm/x')), await write(hostedName('DB-PASSWORD'))]

    expect(answers).toEqual(told)
  })
})
