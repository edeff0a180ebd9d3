// `npm run fake -- hashicorp_vault`: the fake of one system on loopback, and the variables that send `npm start -- --config examples/….yaml` to it. For a try
// without an account: the same service that the tests use, empty but for one secret, and gone when it ends.
import { setDefaultAutoSelectFamily } from 'node:net'
import { fakeVault, fakeApplication } from '../conformance/harnesses/azure-key-vault.ts'
import { startKmsFake } from './aws-kms.ts'
import { startSecretsManagerFake } from './aws-secrets-manager.ts'
import { fakeKeys } from './aws-signature.ts'
import { startConjurFake } from './conjur/server.ts'
import { knownAccount } from './google-bearer.ts'
import { startGoogleKmsFake } from './google-kms.ts'
import { fakeProject, startGoogleFake } from './google/secret-manager.ts'

import { fakeIdentity, fakeProject as infisicalProject, startInfisicalFake } from './infisical/service.ts'
import { startVaultFake } from './vault/vault.ts'
import { startFake } from './wire.ts'

/** A fake that runs, what leads there, and the example that needs nothing else. */
export interface RunningSystem {
  readonly url: string
  readonly example: string
  /** Without the master key, which is the caller's own; under KMS it is ciphertext, and stands here. */
  readonly env: Readonly<Record<string, string>>
  close(): Promise<void>
}

const aws = { AWS_REGION_NAME: 'us-east-1', AWS_ACCESS_KEY_ID: fakeKeys.accessKeyId, AWS_SECRET_ACCESS_KEY: fakeKeys.secretAccessKey }
const value = 'sk-from-the-fake'

/** Every system that has a fake: how it is started. `masterKey` is what a KMS encrypts; `now` is the service's clock. */
export const fakeSystems: Readonly<Record<string, (masterKey: string, now?: () => number) => Promise<RunningSystem>>> = {
  aws_secret_manager: async (_, now = Date.now) => {
    const fake = await startSecretsManagerFake({ now })
    fake.seed('OPENAI_API_KEY', value)
    return { ...fake, example: 'examples/aws.yaml', env: { ...aws, AWS_ENDPOINT_URL_SECRETS_MANAGER: fake.url } }
  },
  aws_kms: async (masterKey, now = Date.now) => {
    const fake = await startKmsFake({ now })
    const key = fake.createKey()
    return { ...fake, example: 'examples/aws-kms.yaml', env: { ...aws, AWS_ENDPOINT_URL_KMS: fake.url, LITELLM_MASTER_KEY: fake.encrypt(key, masterKey), OPENAI_API_KEY: fake.encrypt(key, value) } }
  },
  azure_key_vault: async (_, now = Date.now) => {
    const vault = fakeVault({ now })
    const fake = await startFake(vault)
    vault.seed('OPENAI-API-KEY', value)
    return { ...fake, example: 'examples/azure-key-vault.yaml', env: { AZURE_KEY_VAULT_URI: fake.url, AZURE_AUTHORITY_HOST: fake.url, AZURE_TENANT_ID: fakeApplication.tenantId, AZURE_CLIENT_ID: fakeApplication.clientId, AZURE_CLIENT_SECRET: fakeApplication.secret } }
  },
  google_secret_manager: async (_, now = Date.now) => {
    const fake = await startGoogleFake({ now })
    fake.seed('OPENAI_API_KEY', value)
    return { ...fake, example: 'examples/google-secret-manager.yaml', env: { GOOGLE_SECRET_MANAGER_PROJECT_ID: fakeProject, GOOGLE_APPLICATION_CREDENTIALS: knownAccount().file, CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER: fake.url } }
  },
  google_kms: async (masterKey, now = Date.now) => {
    const fake = await startGoogleKmsFake({ now })
    const key = fake.createKey()
    const encrypt = (text: string): string => fake.encrypt(key, text).toString('base64')
    return { ...fake, example: 'examples/google-kms.yaml', env: { GOOGLE_KMS_RESOURCE_NAME: key, GOOGLE_APPLICATION_CREDENTIALS: knownAccount().file, CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS: fake.url, LITELLM_MASTER_KEY: encrypt(masterKey), OPENAI_API_KEY: encrypt(value) } }
  },
  hashicorp_vault: async (_, now = Date.now) => {
    const fake = await startVaultFake({ now })
    const written = await fetch(`${fake.url}/v1/secret/data/OPENAI_API_KEY`, { method: 'POST', headers: { 'x-vault-token': fake.rootToken, 'content-type': 'application/json' }, body: JSON.stringify({ data: { key: value } }) })
    if (!written.ok) throw new Error(`the fake answered ${written.status}`)
    return { ...fake, example: 'examples/hashicorp-vault.yaml', env: { HCP_VAULT_ADDR: fake.url, HCP_VAULT_TOKEN: fake.rootToken } }
  },
  cyberark: async (_, now = Date.now) => {
    const fake = await startConjurFake({ now })
    fake.service.seed('OPENAI_API_KEY', value)
    return { ...fake, example: 'examples/cyberark.yaml', env: { CYBERARK_API_BASE: fake.url, CYBERARK_ACCOUNT: 'acct', CYBERARK_USERNAME: 'admin', CYBERARK_API_KEY: fake.service.keyOf('admin') } }
  },
  infisical: async (_, now = Date.now) => {
    const fake = await startInfisicalFake({ now })
    fake.service.project.create('dev', '/', 'OPENAI_API_KEY', { secretValue: value })
    return { ...fake, example: 'examples/infisical.yaml', env: { INFISICAL_SITE_URL: fake.url, INFISICAL_PROJECT_ID: infisicalProject.id, INFISICAL_CLIENT_ID: fakeIdentity.clientId, INFISICAL_CLIENT_SECRET: fakeIdentity.clientSecret } }
  },
}

const quoted = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`

const main = async (system: string | undefined): Promise<void> => {
  const start = system === undefined || !Object.hasOwn(fakeSystems, system) ? undefined : fakeSystems[system]
  if (start === undefined) {
    process.stderr.write(`npm run fake -- <system>, one of ${Object.keys(fakeSystems).join(', ')}\n`)
    process.exitCode = 2
    return
  }
  setDefaultAutoSelectFamily(false)
  const masterKey = `sk-${Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('hex')}`
  const running = await start(masterKey)
  const held = running.env['LITELLM_MASTER_KEY'] !== undefined
  const lines = Object.entries({ ...(held ? {} : { LITELLM_MASTER_KEY: masterKey }), ...running.env }).map(([name, text]) => `export ${name}=${quoted(text)}`)
  process.stdout.write([
    `The fake of ${system} runs on ${running.url} until you end it here (Ctrl-C); it holds one secret, OPENAI_API_KEY, and forgets everything.`,
    'Paste this in another shell:', '', ...lines, `npm start -- --config ${running.example}`, '',
    ...(held ? [`The variables hold ciphertext. The master key that callers send is: ${masterKey}`, ''] : []),
  ].join('\n'))
}

if (import.meta.main) await main(process.argv[2])
