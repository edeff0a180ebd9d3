// LiteLLM's own files for both KMS, from the file to the caller: the master key is decrypted and never answered, ciphertext authenticates nobody, and over HTTP only
// what the configuration hosts or refers to can be read.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { parseConfiguration } from '../../../shared/core/configuration.ts'
import type { LatchkeyError } from '../../../shared/core/errors.ts'
import { commonRoutes } from '../../../shared/http/health.ts'
import { readRoutes } from '../../../shared/http/secrets.ts'
import { openLatchkey, type Latchkey } from '../../../shared/latchkey.ts'
import { startKmsFake, type KmsFake } from '../../fakes/aws-kms.ts'
import { fakeKeys } from '../../fakes/aws-signature.ts'
import { knownAccount } from '../../fakes/google-bearer.ts'
import { startGoogleKmsFake, type GoogleKmsFake } from '../../fakes/google-kms.ts'
import { canaryToken } from '../../support/canary.ts'
import { callOf, testRuntime } from '../../support/runtime.ts'

const fixture = (file: string): Record<string, Record<string, unknown>> => parse(readFileSync(join(import.meta.dirname, '../../fixtures/litellm', file), 'utf8')) as Record<string, Record<string, unknown>>

let aws: KmsFake
let google: GoogleKmsFake
let opened: Latchkey[]

beforeEach(async () => {
  aws = await startKmsFake({ now: () => Date.UTC(2026, 10, 21, 12) })
  google = await startGoogleKmsFake({ now: () => Date.UTC(2026, 10, 21, 12) })
  opened = []
})
afterEach(async () => {
  for (const latchkey of opened) await latchkey.close()
  await aws.close()
  await google.close()
})

const open = async (file: object, env: Record<string, string>) => {
  const runtime = testRuntime({ env, hurries: true })
  const { configuration } = parseConfiguration(file, { env: runtime.env, loopback: true })
  const latchkey = await openLatchkey(configuration, runtime, { routes: [...readRoutes, ...commonRoutes] })
  opened.push(latchkey)
  const call = () => callOf(runtime.clock)
  const statusOf = async (name: string, token: string): Promise<number> => (await latchkey.app({ method: 'GET', path: `/secrets/${name}`, query: '', headers: { authorization: `Bearer ${token}` }, body: Buffer.from(''), ...call() })).status
  const codeOf = (promise: Promise<unknown>): Promise<string> => promise.then(() => 'it succeeded', (error: LatchkeyError) => error.code)
  return { latchkey, call, statusOf, codeOf }
}
const awsEnv = (more: Record<string, string>): Record<string, string> => ({ AWS_REGION_NAME: 'us-east-1', AWS_ENDPOINT_URL_KMS: aws.url, AWS_ACCESS_KEY_ID: fakeKeys.accessKeyId, AWS_SECRET_ACCESS_KEY: fakeKeys.secretAccessKey, AWS_MAX_ATTEMPTS: '1', ...more })

describe("LiteLLM's file for AWS KMS", () => {
  it('decrypts the master key for itself, and answers it to nobody', async () => {
    const master = canaryToken('master')
    const { latchkey, call, statusOf } = await open(fixture('aws-kms.yaml'), awsEnv({ LITELLM_MASTER_KEY: aws.encrypt(aws.createKey(), `${master}\n`) }))

    expect((await latchkey.masterKey(call()))?.reveal()).toBe(master)
    expect([await statusOf('LITELLM_MASTER_KEY', master), await statusOf('AWS_SECRET_ACCESS_KEY', master)]).toEqual([403, 403])
  })

  it('fails closed where KMS refuses: the ciphertext is no key, for nobody', async () => {
    const ciphertext = aws.encrypt(aws.createKey(), canaryToken('master'))
    const { latchkey, call, statusOf, codeOf } = await open(fixture('aws-kms.yaml'), awsEnv({ LITELLM_MASTER_KEY: ciphertext }))
    aws.fault({ kind: 'denied' })

    expect(await codeOf(latchkey.masterKey(call()))).toBe('provider_denied')
    expect(await codeOf(latchkey.read('os.environ/LITELLM_MASTER_KEY'))).toBe('provider_denied')
    expect(await statusOf('LITELLM_MASTER_KEY', ciphertext)).toBe(502)
  })

  it('opens over HTTP what is hosted, and nothing else that the environment holds', async () => {
    const [master, key] = [canaryToken('master'), aws.createKey()]
    const file = fixture('aws-kms.yaml')
    Object.assign(file['general_settings']?.['key_management_settings'] ?? {}, { hosted_keys: ['LITELLM_MASTER_KEY', 'OPENAI_API_KEY', 'NOT_SET'] })
    const { statusOf } = await open(file, awsEnv({ LITELLM_MASTER_KEY: aws.encrypt(key, master), OPENAI_API_KEY: aws.encrypt(key, 'x'), OTHER: aws.encrypt(key, 'y') }))
    const statuses: number[] = []
    for (const name of ['OPENAI_API_KEY', 'NOT_SET', 'OTHER', 'HOME']) statuses.push(await statusOf(name, master))

    expect(statuses).toEqual([200, 404, 403, 403])
  })
})

describe("LiteLLM's file for Google KMS", () => {
  it.each([
    ['base64', (bytes: Buffer) => bytes.toString('base64'), 'manager'],
    ['the documented literal', (bytes: Buffer) => `b'${bytes.reduce((text, byte) => `${text}\\x${byte.toString(16).padStart(2, '0')}`, '')}'`, 'manager'],
    ['a literal that was cut', () => String.raw`b'\n$\x00\xc...'`, 'failed'],
  ])('says where its reference is held: %s', async (_title, written, source) => {
    const key = google.createKey()
    const env = { GOOGLE_APPLICATION_CREDENTIALS: knownAccount().file, GOOGLE_KMS_RESOURCE_NAME: key, CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS: `${google.url}/` }
    const { latchkey, call } = await open(fixture('google-kms.yaml'), { ...env, PROXY_DATABASE_URL_ENCRYPTED: written(google.encrypt(key, 'postgres://db')) })

    expect((await latchkey.references(call())).map(({ reference, source: held }) => [reference, held])).toEqual([['os.environ/PROXY_DATABASE_URL_ENCRYPTED', source]])
  })

  it('takes our own settings beside it, in a part of the file that LiteLLM passes over', async () => {
    const [key, master] = [google.createKey(), canaryToken('master')]
    const general = { key_management_system: 'google_kms', key_management_settings: { hosted_keys: ['LITELLM_MASTER_KEY', 'DATABASE_URL'] } }
    const { statusOf } = await open(
      { general_settings: general, latchkey: { default_store: { google_kms_endpoint: google.url, google_kms_resource_name: key, google_kms_aad: '{name}' } } },
      { GOOGLE_APPLICATION_CREDENTIALS: knownAccount().file, LITELLM_MASTER_KEY: google.encrypt(key, master, 'LITELLM_MASTER_KEY').toString('base64'), DATABASE_URL: google.encrypt(key, 'x', 'DATABASE_URL').toString('base64') },
    )

    expect([await statusOf('DATABASE_URL', master), await statusOf('LITELLM_MASTER_KEY', master)]).toEqual([200, 403])
  })
})
