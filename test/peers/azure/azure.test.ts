// The fakes of Key Vault and Entra ID, examined by Microsoft's Python clients over TLS: a second program by other people, on another stack, for the same contract.
import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, inject, it } from 'vitest'
import { createdName } from '../../../shared/core/names/created.ts'
import { slugHashCodec } from '../../../shared/core/names/slug-hash.ts'
import { SecretValue } from '../../../shared/core/secret.ts'
import { fakeApplication, fakeVault, openAzure, applicationSettings } from '../../conformance/harnesses/azure-key-vault.ts'
import { startFake } from '../../fakes/wire.ts'
import { callOf, testRuntime } from '../../support/runtime.ts'
import { knownCertificate, scene, strangeCertificate } from '../../providers/azure/azure-scene.ts'
import { clientEnv, run } from '../python-peers.ts'

const { tenantId, clientId, secret } = fakeApplication
const python = inject('peers').python_clients
const keys = generateKeyPairSync('rsa', { modulusLength: 2048 })
const federated = { issuer: 'https://issuer.example', subject: 'latchkey', audience: 'api://AzureADTokenExchange', publicKey: createPublicKey(keys.privateKey) }
const assertion = (sub: string): string => {
  const body = [{ alg: 'RS256', typ: 'JWT' }, { iss: federated.issuer, sub, aud: federated.audience, exp: Math.floor(Date.now() / 1000) + 600 }].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  return `${body}.${sign('sha256', Buffer.from(body), keys.privateKey).toString('base64url')}`
}
const applications = [{ clientId, secrets: [secret], expiredSecrets: ['an-expired-secret'], certificates: [knownCertificate], federated: [federated] }]

/** Everything that the Python clients find, in one run of the program. */
const examine = async (program: string): Promise<Record<string, unknown>> => {
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-azure-'))
  const main = await scene({ applications })
  const throttled = await scene({ applications, quota: { sets: 2, others: 100 } })
  const plain = await startFake(main.vault)
  const { directory } = main.vault
  const runtime = testRuntime({ hurries: true, now: Date.now() })
  // Both clocks go on together: the provider's, and that of the fake.
  const clock = { now: () => runtime.clock.now(), until: (at: number, signal?: AbortSignal) => runtime.clock.until(at, signal), sleep: async (ms: number) => (runtime.clock.advance(ms), main.pass(ms)) }
  const provider = await openAzure({ ...runtime, clock }, { azure_key_vault_uri: plain.url, azure_authority_host: plain.url, ...applicationSettings })
  const name = createdName('litellm/from-latchkey')
  try {
    writeFileSync(join(folder, 'ca.pem'), `${main.ca}${throttled.ca}`)
    await provider.write?.({ name, value: SecretValue.of('sk-ours'), expect: 'any', operation: `put-${'a'.repeat(32)}`, stage: 'current', labels: { Owner: 'AI Platform team' }, expires: new Date('2030-01-01T00:00:00Z') }, callOf(runtime.clock))
    const given = {
      url: main.fake.url,
      throttled: throttled.fake.url,
      plain: plain.url,
      tenant: tenantId,
      client: clientId,
      secret,
      certificate: knownCertificate,
      stranger: strangeCertificate,
      assertion: assertion(federated.subject),
      foreignAssertion: assertion('somebody else'),
      tokens: { right: directory.token(), expired: directory.token({ exp: 1 }), audience: directory.token({ aud: 'https://management.azure.com' }), directory: directory.token({ tid: 'another' }), foreign: fakeVault({ now: () => Date.now() }).directory.token(), none: 'opaque' },
      ours: slugHashCodec.encode(name),
    }
    const env = { ...clientEnv(main.fake.url), REQUESTS_CA_BUNDLE: join(folder, 'ca.pem') }
    return JSON.parse(await run(program, [join(import.meta.dirname, 'clients.py'), JSON.stringify(given)], env)) as Record<string, unknown>
  } finally {
    await provider.close?.()
    await Promise.all([main.close(), throttled.close(), plain.close()])
    rmSync(folder, { recursive: true, force: true })
  }
}

describe.each('url' in python ? [['azure-keyvault-secrets and azure-identity', python.url] as const] : [])("Microsoft's Python clients, %s", (_names, program) => {
  it('find in the fakes what the service promises, and are refused what it refuses', async () => {
    const found = await examine(program)

    expect(found).toEqual({
      versions: ['second', 'first', { Owner: 'AI Platform team' }, 'text/plain', '2030-01-01T00:00:00+00:00', 2],
      updated: [{ Owner: 'other' }, false, [403, 'SecretDisabled']],
      listed: 32,
      deleted: [[404, 'SecretNotFound'], [409, 'ObjectIsDeletedButRecoverable'], true],
      recovered: 'v',
      purged: 1,
      refused: { absent: [404, 'SecretNotFound'], name: [400, 'BadParameter'], tags: [400, 'BadParameter'], large: [413, 'RequestEntityTooLarge'], empty: [400, 'BadParameter'], throttled: [429, 'Throttled'] },
      tokens: { right: 'allowed', expired: [401, 'Unauthorized'], audience: [401, 'Unauthorized'], directory: [401, 'Unauthorized'], foreign: [401, 'Unauthorized'], none: [401, 'Unauthorized'] },
      signIns: { 'wrong secret': 'AADSTS7000215', 'expired secret': 'AADSTS7000222', 'unknown application': 'AADSTS700016', certificate: 'allowed', 'foreign certificate': 'AADSTS700027', federated: 'allowed', 'foreign federated': 'AADSTS700213' },
      managed: 'allowed',
      strangeManaged: 'CredentialUnavailableError',
      ours: ['sk-ours', 'litellm/from-latchkey', 'AI Platform team', '2030-01-01T00:00:00+00:00'],
    })
  })
})
