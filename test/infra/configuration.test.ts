// One file drives functions and stacks. What could not work, or would be wider than was meant, stops the synth with file, path and fix; what is right becomes what the stacks need.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { readInfraConfig, type InfraConfig } from '../../infra/config.ts'
import { assumeStatements } from '../../infra/policies.ts'
import { deploymentTables } from '../../infra/settings.ts'
import { LatchkeyError } from '../../shared/core/errors.ts'
import { configOf, ownKey, place, teamAccount } from './support/subject.ts'

const aws = 'general_settings: { key_management_system: aws_secret_manager, key_management_settings: { aws_region_name: eu-central-1 } }'
const vault = 'general_settings: { key_management_system: hashicorp_vault, key_management_settings: {} }\nlatchkey: { default_store: { vault_addr: "https://vault.example:8200" } }'
const deployment = (yaml: string, general = aws): string => `${general}\nlatchkey: { deployment: ${yaml} }`

/** What stops the synth, as a person reads it. */
const refusal = async (yaml: string): Promise<string> => {
  try {
    await configOf(yaml, 'prod.yaml')
  } catch (error) {
    if (error instanceof LatchkeyError && error.code === 'misconfigured') return error.message
    throw error
  }
  return 'nothing is refused'
}

describe('a deployment without settings', () => {
  it('has the defaults of the tables', async () => {
    const config = await configOf(aws)

    expect(config).toMatchObject({ name: 'latchkey', region: 'eu-central-1', prefix: 'litellm/', network: { mode: 'none' }, api: { kind: 'http', authorizer: 'iam' }, schedule: { sweep_every_minutes: 15 }, teams: [], roles: [], services: ['secretsmanager'] })
  })

  it('takes nothing from the environment of whoever deploys it', async () => {
    const asked: string[] = []
    const env = { get: (name: string) => void asked.push(name), names: () => [] }
    const { region } = await readInfraConfig({ path: 'config.yaml', input: parse('general_settings: { key_management_system: aws_secret_manager }') }, env)

    expect(region).toBeUndefined()
    expect(asked.filter((name) => name.startsWith('AWS'))).toEqual([])
  })
})

describe('what stops the synth', () => {
  const team = (more: string): string => `{ teams: [{ team: a, account: "${teamAccount}", external_id: id-a-0123, prefix: litellm/a/ }, ${more}] }`

  it.each<[what: string, yaml: string, path: string, fix: string]>([
    ['check 31: an isolated network and a provider on the internet', `${vault.replace('latchkey: {', 'latchkey: { deployment: { network: { mode: isolated } },')}`, 'latchkey.deployment.network.mode', 'write none, or existing'],
    ['check 31: an isolated network and secrets in another region', deployment('{ region: us-east-1, network: { mode: isolated } }'), 'latchkey.deployment.network.mode', 'the secrets are in eu-central-1; deploy there'],
    ['check 31: an isolated network and a gateway', `${aws}\nlatchkey: { gateway: { url: "https://litellm.internal" }, deployment: { network: { mode: isolated } } }`, 'latchkey.deployment.network.mode', 'write existing'],
    ['check 31: an isolated network and tokens for another cloud', deployment('{ network: { mode: isolated }, federation: { outbound_audiences: ["api://a"] } }'), 'latchkey.deployment.federation.outbound_audiences', 'take them out'],
    ['a team role without an external id', deployment(`{ account: "${place.account}", teams: [{ team: a, account: "${teamAccount}", prefix: litellm/a/ }] }`), 'latchkey.deployment.teams[0].external_id', 'is required for a role of another account'],
    ['a team role without an external id, our own account unknown', deployment(`{ teams: [{ team: a, account: "${teamAccount}", prefix: litellm/a/ }] }`), 'latchkey.deployment.teams[0].external_id', 'or write latchkey.deployment.account'],
    ["a prefix that swallows another team's", deployment(team(`{ team: b, account: "${teamAccount}", external_id: id-b-0123, prefix: litellm/a/b/ }`)), 'latchkey.deployment.teams[1].prefix', 'give each team a prefix that holds no other'],
    ["a prefix that is swallowed by another team's", deployment(team(`{ team: b, account: "${teamAccount}", external_id: id-b-0123, prefix: litellm/ }`)), 'latchkey.deployment.teams[1].prefix', 'swallows'],
    ["the prefix of another team", deployment(team(`{ team: b, account: "${teamAccount}", external_id: id-b-0123, prefix: litellm/a }`)), 'latchkey.deployment.teams[1].prefix', 'litellm/a/'],
    ['a team below our own prefix, in our account', deployment(`{ account: "${place.account}", teams: [{ team: a, account: "${place.account}", prefix: litellm/a/ }] }`), 'latchkey.deployment.teams[0].prefix', 'give the team a prefix beside it'],
    ['one external id for two teams', deployment(team(`{ team: b, account: "${teamAccount}", external_id: id-a-0123, prefix: litellm/b/ }`)), 'latchkey.deployment.teams[1].external_id', 'each team needs its own'],
    ['one team twice', deployment(team(`{ team: a, account: "${teamAccount}", external_id: id-b-0123, prefix: litellm/b/ }`)), 'latchkey.deployment.teams[1].team', 'one entry'],
    ['a team of every secret', deployment(`{ teams: [{ team: a, account: "${teamAccount}", external_id: id-a-0123, prefix: "" }] }`), 'latchkey.deployment.teams[0].prefix', 'must not be empty'],
    ['a sweep that is faster than the service', deployment('{ schedule: { sweep_every_minutes: 0 } }'), 'latchkey.deployment.schedule.sweep_every_minutes', 'at most once a minute'],
    ['a rotation that is slower than the service', deployment('{ schedule: { rotation_every_days: 1001 } }'), 'latchkey.deployment.schedule.rotation_every_days', 'at most 1000'],
    ['a role of another account in the store, without an external id', `${aws.replace('aws_region_name', `aws_role_name: "arn:aws:iam::${teamAccount}:role/x", aws_region_name`)}\nlatchkey: { deployment: { account: "${place.account}" } }`, 'general_settings.key_management_settings.aws_external_id', 'never assumed without an external id'],
    ['a wildcard for a role', aws.replace('aws_region_name', 'aws_role_name: "arn:aws:iam::111122223333:role/*", aws_region_name'), 'general_settings.key_management_settings.aws_role_name', 'one role'],
    ['an empty prefix', aws.replace('aws_region_name', 'store_virtual_keys: true, prefix_for_stored_virtual_keys: "", aws_region_name'), 'prefix_for_stored_virtual_keys', 'write for example litellm/'],
    ['an alias where a key belongs', aws.replace('aws_region_name', 'kms_key_id: alias/secrets, aws_region_name'), 'general_settings.key_management_settings.kms_key_id', 'the ARN of a key'],
    ['every key for KMS ciphertext', 'general_settings: { key_management_system: aws_kms, key_management_settings: { aws_region_name: eu-central-1, hosted_keys: [A] } }', 'general_settings.key_management_settings.aws_kms_key_id', 'the ARN of a key'],
    ['a profile of a machine', aws.replace('aws_region_name', 'aws_profile_name: prod, aws_region_name'), 'general_settings.key_management_settings.aws_profile_name', 'write aws_role_name'],
    ['JWT without an audience', deployment('{ api: { authorizer: jwt, jwt_issuer: "https://oidc.example" } }'), 'latchkey.deployment.api.jwt_audience', 'is required'],
    ['JWT at a function URL', deployment('{ api: { kind: function_url, authorizer: jwt, jwt_issuer: "https://oidc.example", jwt_audience: [a] } }'), 'latchkey.deployment.api.authorizer', 'kind: http'],
    ['a private API without a VPC', deployment('{ api: { kind: rest_private } }'), 'latchkey.deployment.api.kind', 'network.mode: isolated or existing'],
    ['a web ACL before an HTTP API', deployment('{ api: { waf_rate_limit: 100 } }'), 'latchkey.deployment.api.waf_rate_limit', 'needs kind: rest_private'],
    ['callers with a wildcard', deployment('{ api: { invoker_principals: ["arn:aws:iam::111122223333:role/*"] } }'), 'latchkey.deployment.api.invoker_principals', 'without wildcards'],
    ['an existing VPC that is not named', deployment('{ network: { mode: existing } }'), 'latchkey.deployment.network.vpc_id', 'is required'],
    ['subnets of yours without a group', deployment('{ network: { mode: existing, vpc_id: vpc-1, subnet_ids: [subnet-1], availability_zones: [eu-central-1a] } }'), 'latchkey.deployment.network.security_group_ids', 'name groups that let the functions out'],
    ['subnets without their VPC', deployment('{ network: { subnet_ids: [subnet-1] } }'), 'latchkey.deployment.network.subnet_ids', 'write mode: existing'],
    ['logs kept for a time that there is not', deployment('{ observability: { log_retention_days: 31 } }'), 'latchkey.deployment.observability.log_retention_days', 'must be one of'],
    ['more warm instances than there may be', deployment('{ functions: { read_concurrency: 5, provisioned_concurrency: 6 } }'), 'latchkey.deployment.functions.provisioned_concurrency', 'more than read_concurrency'],
    ['a token of AWS for an audience that nobody may ask for', `general_settings: { key_management_system: azure_key_vault, key_management_settings: { prefix_for_stored_virtual_keys: litellm/ } }\nlatchkey: { default_store: { azure_key_vault_uri: "https://v.vault.azure.net", azure_client_assertion: "oidc/aws/api://a" }, deployment: { federation: { outbound_audiences: ["api://b"] } } }`, 'latchkey.deployment.federation.outbound_audiences', 'must have api://a, for which latchkey.default_store.azure_client_assertion asks AWS for tokens'],
    ['Entra without an audience', deployment('{ federation: { azure_tenant_id: 11111111-2222-4333-8444-555555555555, azure_principal_ids: [11111111-2222-4333-8444-555555555555] } }'), 'latchkey.deployment.federation.azure_audience', 'is required beside azure_tenant_id'],
    ['a service account by its e-mail address', deployment('{ federation: { google_audience: a, google_service_account_ids: [latchkey@example.iam.gserviceaccount.com] } }'), 'latchkey.deployment.federation.google_service_account_ids', 'unique ids'],
    ['callers of another cloud who could do nothing', `${vault.replace('latchkey: {', 'latchkey: { deployment: { federation: { google_audience: a, google_service_account_ids: ["100000000000000000001"] } },')}`, 'latchkey.deployment.federation', 'no store of this file is on AWS'],
    ['every secret as readable', deployment('{ functions: { readable_names: ["*"] } }'), 'latchkey.deployment.functions.readable_names', 'two characters'],
    ['a rotation of everything', `${aws}\nlatchkey: { rotation: { secrets: [{ names: ["**"] }] } }`, 'latchkey.rotation.secrets[0].names', 'no wildcard'],
    ['a setting that is not known', deployment('{ networks: {} }'), 'latchkey.deployment.networks', 'did you mean network?'],
    ['a setting of a section that is not known', deployment('{ api: { kinds: http } }'), 'latchkey.deployment.api.kinds', 'did you mean kind?'],
    ['an account that YAML reads as a number', deployment('{ account: 012345678901 }'), 'latchkey.deployment.account', 'put it in quotes'],
  ])('%s', async (_what, yaml, path, fix) => {
    const message = await refusal(yaml)

    expect(message).toContain(`prod.yaml: ${path}`.replace('prod.yaml: prefix', 'prod.yaml: general_settings.key_management_settings.prefix'))
    expect(message).toContain(fix)
  })

  it.each([
    ['hosted names', aws.replace('aws_region_name', `hosted_keys: [LITELLM_MASTER_KEY, ${Array.from({ length: 60 }, (_, index) => `PROVIDER_API_KEY_${index}`).join(', ')}], aws_region_name`), 'hosted_keys', 'primary_secret_name'],
    ['teams', deployment(`{ teams: [${Array.from({ length: 60 }, (_, index) => `{ team: t${index}, account: "4444555566${10 + index}", external_id: id-${index}-0123, prefix: t/ }`).join(', ')}] }`), 'latchkey.deployment.teams', 'a deployment each'],
  ])('is a policy that IAM would not take: too many %s', async (_what, yaml, path, fix) => {
    const message = await refusal(yaml)

    expect(message).toMatch(new RegExp(`${path} .* characters long, and IAM takes 6144; .*${fix}`))
  })

  it('is no policy of many hosted names that one pattern holds', async () => {
    const names = Array.from({ length: 60 }, (_, index) => `PROVIDER_API_KEY_${index}`)

    expect(await refusal(deployment('{ functions: { readable_names: ["PROVIDER_API_KEY_*"] } }', aws.replace('aws_region_name', `hosted_keys: [LITELLM_MASTER_KEY, ${names.join(', ')}], aws_region_name`)))).toBe('nothing is refused')
  })

  it('is no policy of ten teams and twenty hosted names', async () => {
    const teams = Array.from({ length: 10 }, (_, index) => `{ team: t${index}, account: "4444555566${10 + index}", external_id: id-${index}-0123, prefix: t/ }`)
    const names = ['LITELLM_MASTER_KEY', ...Array.from({ length: 19 }, (_, index) => `PROVIDER_API_KEY_${index}`)]

    expect(await refusal(deployment(`{ teams: [${teams.join(', ')}] }`, aws.replace('aws_region_name', `hosted_keys: [${names.join(', ')}], aws_region_name`)))).toBe('nothing is refused')
  })

  it('is told all at once', async () => {
    const message = await refusal(deployment('{ name: UPPER, network: { mode: existing }, schedule: { sweep_every_minutes: 0 } }'))

    expect(message.split('\n')).toHaveLength(6)
  })

  it.each([
    ['a list that is none', '{ secrets: MASTER_KEY }', 'latchkey.rotation.secrets must be a list'],
    ['a setting of an entry that is not known', '{ secrets: [{ names: [MASTER_KEY], lenght: 20 }] }', 'latchkey.rotation.secrets[0].lenght is not a setting; did you mean length?'],
  ])('is a rotation that the functions would not start with: %s', async (_what, rotation, said) => {
    expect(await refusal(`${aws}\nlatchkey: { rotation: ${rotation} }`)).toBe(`prod.yaml: ${said}`)
  })

  it('is what the functions would refuse as well, with the file before it', async () => {
    expect(await refusal(`${aws}\nlatchkey: { cach: {} }`)).toBe('prod.yaml: latchkey.cach is not a setting; did you mean cache?')
  })
})

describe('a plain secret in the file', () => {
  const canary = 'hvs.plain-text-that-must-not-travel'

  it.each([
    ["another manager's token", vault.replace('vault_addr', `vault_token: ${canary}, vault_addr`), 'latchkey.default_store.vault_token'],
    ['a token in the place of LiteLLM\'s settings', vault.replace('key_management_settings: {}', `key_management_settings: { vault_token: ${canary} }`), 'general_settings.key_management_settings.vault_token'],
    ['a static key of AWS', aws.replace(' } }', ` } }\nlatchkey: { default_store: { aws_access_key_id: a, aws_secret_access_key: ${canary} } }`), 'latchkey.default_store.aws_secret_access_key'],
    ['the master key', `${aws.replace('general_settings: {', `general_settings: { master_key: ${canary}${canary},`)}`, 'general_settings.master_key'],
    ["the gateway's master key", `${aws}\nlatchkey: { gateway: { url: "https://litellm.internal", master_key: ${canary}${canary} } }`, 'latchkey.gateway.master_key'],
    ['a key of a model', `${aws}\nmodel_list: [{ model_name: m, litellm_params: { model: openai/m, api_key: ${canary} } }]`, 'model_list[0].litellm_params.api_key'],
    ['a database address', aws.replace('general_settings: {', `general_settings: { database_url: "postgresql://u:${canary}@db/x",`), 'general_settings.database_url'],
    ['a value in the place of a name', deployment(`{ functions: { secret_variables: { VAULT_TOKEN: ${canary} } } }`), 'latchkey.deployment.functions.secret_variables.VAULT_TOKEN'],
  ])('stops the synth: %s', async (_what, yaml, path) => {
    const message = await refusal(yaml)

    expect(message).toContain(`prod.yaml: ${path} `)
    expect(message).not.toContain(canary)
  })

  it.each([
    ['a reference whose secret is named', vault.replace('vault_addr', 'vault_token: os.environ/VAULT, vault_addr').replace('latchkey: {', 'latchkey: { deployment: { functions: { secret_variables: { VAULT: vault-token } } },')],
    ['a projected token', vault.replace('vault_addr', 'vault_jwt: /var/run/secrets/token, vault_jwt_role: a, vault_addr')],
    ['a reference of a model', `${aws}\nmodel_list: [{ model_name: m, litellm_params: { model: openai/m, api_key: os.environ/OPENAI_API_KEY } }]`],
    ['a master key in a store', aws.replace('general_settings: {', 'general_settings: { master_key: "secret://default/master",')],
  ])('is none: %s', async (_what, yaml) => {
    expect(await refusal(yaml)).not.toContain('plain text')
  })

  it('is not needed for a reference: its variable must have a secret', async () => {
    const message = await refusal(vault.replace('vault_addr', 'vault_token: os.environ/VAULT, vault_addr'))

    expect(message).toContain('secret_variables: { VAULT: <name> }')
  })
})

describe('what the stacks need', () => {
  const sample = (): Promise<InfraConfig> =>
    configOf(`
general_settings:
  master_key: os.environ/LITELLM_MASTER_KEY
  key_management_system: aws_secret_manager
  key_management_settings: { access_mode: read_and_write, hosted_keys: [OPENAI_API_KEY, LITELLM_MASTER_KEY], aws_region_name: eu-central-1, kms_key_id: "${ownKey}" }
latchkey:
  rotation: { secrets: [{ names: [DATABASE_URL, "db/*"] }] }
  deployment:
    region: eu-west-1
    account: "${place.account}"
    functions: { readable_names: [shared/*] }
    teams: [{ team: "pay ments", account: "${teamAccount}", external_id: id-a-0123, prefix: team, role_name: path/role }]
`)

  it('are the secrets that the file names, and no others', async () => {
    const { secrets, secretsRegion, keyArns } = await sample()

    expect(secrets).toEqual({ prefix: 'litellm/', accessMode: 'read_and_write', storeVirtualKeys: false, readable: ['OPENAI_API_KEY', 'LITELLM_MASTER_KEY', 'shared/*'], writable: ['OPENAI_API_KEY', 'LITELLM_MASTER_KEY'], needed: ['LITELLM_MASTER_KEY'], rotated: ['DATABASE_URL', 'db/*'], replicaRegions: [] })
    expect([secretsRegion, keyArns]).toEqual(['eu-central-1', [ownKey]])
  })

  it('are the teams, their ids encoded and their prefixes with one slash', async () => {
    const { teams, roles, services } = await sample()

    expect(teams).toMatchObject([{ segment: 'pay=20ments', prefix: 'team/', roleName: 'path/role', externalId: 'id-a-0123' }])
    expect(roles).toEqual([{ arn: `arn:aws:iam::${teamAccount}:role/path/role`, external: true }])
    expect(services).toEqual(['sts', 'secretsmanager'])
  })

  it('are the session tags that the file adds: our own policy lets no others through', async () => {
    const { roles } = await configOf(`${aws}\nlatchkey: { stores: { corp: { system: aws_secret_manager, aws_region_name: eu-central-1, aws_role_name: "arn:aws:iam::${teamAccount}:role/x", aws_external_id: id-x-0123, aws_session_tags: { project: llm } } } }`)

    const tagging = assumeStatements(roles, place).find(({ Action }) => Action.includes('sts:TagSession'))

    expect(tagging?.Condition).toEqual({ 'ForAllValues:StringEquals': { 'aws:TagKeys': ['latchkey-team', 'latchkey-request', 'project'] } })
  })

  it('are the variables that settings refer to, as they are set here: no secret, and none of the rest of the file', async () => {
    const values: Readonly<Record<string, string>> = { LITELLM_URL: 'https://litellm.internal', CI_HASH: 'a'.repeat(64), ROLE: `arn:aws:iam::${teamAccount}:role/x`, ACCOUNT: place.account, OPENAI_API_KEY: 'not for the template', VAULT: 'not for the template' }
    const yaml = `
model_list: [{ model_name: m, litellm_params: { model: openai/m, api_key: os.environ/OPENAI_API_KEY } }]
general_settings: { key_management_system: aws_secret_manager, key_management_settings: { aws_region_name: eu-central-1, aws_role_name: os.environ/ROLE, aws_external_id: id-x-0123 } }
latchkey:
  stores: { corp: { system: hashicorp_vault, vault_addr: "https://vault.example:8200", vault_token: os.environ/VAULT } }
  gateway: { url: os.environ/LITELLM_URL }
  access: [{ name: ci, token_sha256: os.environ/CI_HASH, grants: [{ action: "secrets:read" }] }]
  deployment: { account: os.environ/ACCOUNT, functions: { secret_variables: { VAULT: vault-token } } }
`
    const { environment, account } = await readInfraConfig({ path: 'config.yaml', input: parse(yaml) }, { get: (name) => values[name], names: () => Object.keys(values) })

    expect(environment).toEqual({ ROLE: values['ROLE'], LITELLM_URL: values['LITELLM_URL'], CI_HASH: values['CI_HASH'] })
    expect(account).toBe(place.account)
  })

  it('are no secrets of our own where a role is assumed for all of them', async () => {
    const { secrets, roles } = await configOf(aws.replace('aws_region_name', `aws_role_name: "arn:aws:iam::${teamAccount}:role/x", aws_external_id: id-x-0123, aws_region_name`))

    expect([secrets, roles]).toEqual([undefined, [{ arn: `arn:aws:iam::${teamAccount}:role/x`, external: true }]])
  })
})

it('every setting of the deployment says what it is in one sentence or more', () => {
  const texts = Object.entries(deploymentTables).flatMap(([table, settings]) => Object.entries(settings).map(([name, { text }]) => [`${table}.${name}`, text] as const))

  expect(texts.filter(([, text]) => !/^[A-Z`'"].*[.]$/.test(text)).map(([name]) => name)).toEqual([])
})

it('every setting of the deployment is read by something that is deployed', () => {
  const code = readdirSync('infra', { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts') && file !== 'settings.ts').map((file) => readFileSync(join('infra', file), 'utf8')).join('\n')

  const unread = Object.entries(deploymentTables).flatMap(([table, settings]) => Object.keys(settings).filter((name) => !new RegExp(`\\b${name}\\b`).test(code)).map((name) => `${table}.${name}`))

  expect(unread).toEqual([])
})
