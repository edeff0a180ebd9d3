// Bench P9 as a gate, by count and not by time: a thousand readers of one secret are one call upstream, whether it is there, absent or cannot be read.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { parseConfiguration } from '../../shared/core/configuration.ts'
import { SecretValue } from '../../shared/core/secret.ts'
import type { ApiResponse } from '../../shared/http/api.ts'
import { readRoutes } from '../../shared/http/secrets.ts'
import { openLatchkey, type Latchkey } from '../../shared/latchkey.ts'
import { systemClock, systemRandom } from '../../shared/telemetry/node-runtime.ts'
import { fakeKeys, startSecretsManagerFake, type SecretsManagerFake } from '../fakes/aws-secrets-manager.ts'
import { testRuntime } from '../support/runtime.ts'

const masterKey = 'sk-bench-0123456789-0123456789-0123456789'
const readers = 1_000

let aws: SecretsManagerFake
let latchkey: Latchkey

beforeAll(async () => {
  aws = await startSecretsManagerFake()
})
afterAll(() => aws.close())

beforeEach(async () => {
  aws.heal()
  aws.requests.length = 0
  const env = { LITELLM_MASTER_KEY: masterKey, AWS_REGION: 'us-east-1', AWS_ACCESS_KEY_ID: fakeKeys.accessKeyId, AWS_SECRET_ACCESS_KEY: fakeKeys.secretAccessKey, AWS_ENDPOINT_URL: aws.url }
  const runtime = { ...testRuntime({ env }), clock: systemClock, random: systemRandom }
  const { configuration } = parseConfiguration({ general_settings: { master_key: masterKey, key_management_system: 'aws_secret_manager', key_management_settings: { access_mode: 'read_and_write' } } }, { env: runtime.env, loopback: true })
  latchkey = await openLatchkey(configuration, runtime, { routes: readRoutes })
  await latchkey.stores.get('default')?.put({ name: 'present', value: SecretValue.of('there') }, call())
  aws.requests.length = 0
})

const call = (): { signal: AbortSignal; deadline: number } => ({ signal: new AbortController().signal, deadline: Date.now() + 20_000 })

const ask = (name: string): Promise<ApiResponse> => latchkey.app({ method: 'GET', path: `/secrets/${name}`, query: '', headers: { authorization: `Bearer ${masterKey}` }, body: new Uint8Array(), ...call() })

const askAll = async (name: string): Promise<readonly number[]> => [...new Set((await Promise.all(Array.from({ length: readers }, () => ask(name)))).map(({ status }) => status))]

describe('bench P9: a thousand concurrent cold reads', () => {
  it('of one secret are one call', async () => {
    expect(await askAll('present')).toEqual([200])
    expect(aws.count('GetSecretValue')).toBe(1)
  })

  it('of an absent secret are one call', async () => {
    expect(await askAll('absent')).toEqual([404])
    expect(aws.count('GetSecretValue')).toBe(1)
  })

  it('of a secret that is denied are one call, and the next reader asks again', async () => {
    aws.fault({ kind: 'denied' })

    expect(await askAll('present')).toEqual([502])
    expect(aws.count('GetSecretValue')).toBe(1)
    aws.heal()
    expect(await askAll('present')).toEqual([200])
    expect(aws.count('GetSecretValue')).toBe(2)
  })
})
