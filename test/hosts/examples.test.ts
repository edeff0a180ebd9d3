// Every example is a configuration that loads as it is, without a warning.
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseConfigText } from '../../functions/local/config-file.ts'
import { parseConfiguration, type Configuration } from '../../shared/core/configuration.ts'
import { readGateway } from '../../shared/core/configuration/gateway-section.ts'
import { envOf } from '../support/runtime.ts'

const folder = join(import.meta.dirname, '../../examples')
const hash = (digit: string): string => digit.repeat(64)
const env = envOf({ LITELLM_MASTER_KEY: 'sk-0123456789abcdef0123456789abcdef', GATEWAY_TOKEN_SHA256: hash('a'), PIPELINE_TOKEN_SHA256: hash('b'), LITELLM_GATEWAY_URL: 'https://litellm.internal' })

const load = async (name: string): Promise<Configuration> =>
  parseConfiguration(await parseConfigText(readFileSync(join(folder, name)), name), { env, loopback: false, gateway: readGateway }).configuration

describe('the examples', () => {
  it.each(readdirSync(folder).filter((name) => name.endsWith('.yaml')))('%s loads without a warning', async (name) => {
    const { warnings } = await load(name)

    expect(warnings).toEqual([])
  })

  it('aws.yaml keeps virtual keys in AWS Secrets Manager, with tags', async () => {
    const { stores } = await load('aws.yaml')

    expect(stores.get('default')).toMatchObject({ system: 'aws_secret_manager', accessMode: 'read_and_write', storeVirtualKeys: true, prefix: 'litellm', tags: { team: 'platform' } })
  })

  it('embedded.yaml means what no file means', async () => {
    const { configuration: builtIn } = parseConfiguration(undefined, { env, loopback: false })

    const { stores, readOrder } = await load('embedded.yaml')

    const { path: _path, ...store } = stores.get('default') ?? { path: '' }
    expect(builtIn.stores.get('default')).toMatchObject(store)
    expect(readOrder).toEqual(builtIn.readOrder)
  })

  it('gateway.yaml tells a LiteLLM of the keys, with the master key of the file', async () => {
    const { gateway, masterKey } = await load('gateway.yaml')

    expect(gateway).toEqual({ url: 'https://litellm.internal', masterKey, licensed: false, timeoutSeconds: 5 })
  })

  it('gateway-access.yaml gives a gateway and a pipeline what they need and nothing else', async () => {
    const { access } = await load('gateway-access.yaml')

    expect(access.map(({ name, tokenSha256, grants }) => [name, tokenSha256, grants.map(({ action }) => action)])).toEqual([
      ['gateway', hash('a'), ['secrets:read', 'keys:verify']],
      ['pipeline', hash('b'), ['keys:*', 'secrets:list']],
    ])
  })
})
