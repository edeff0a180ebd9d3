// What the checks look at: the policies of one sample configuration in every mode, and the templates of the access and federation stacks. Mutants are this, weakened.
import { App } from 'aws-cdk-lib'
import { parse } from 'yaml'
import { AccessStack } from '../../../infra/access-stack.ts'
import { readInfraConfig, type EndpointService, type InfraConfig } from '../../../infra/config.ts'
import { functionStatements } from '../../../infra/deployment/function-statements.ts'
import { endpointPolicies } from '../../../infra/endpoint-policies.ts'
import { FederationStack } from '../../../infra/federation-stack.ts'
import type { FunctionName, Place } from '../../../infra/names.ts'
import type { PolicyDocument } from './iam.ts'
import type { Template, World } from './template.ts'

/** Where the sample is deployed. */
export const place: Place = { partition: 'aws', region: 'eu-central-1', account: '111122223333' }
/** The account of its team, and of the store that another account owns. */
export const teamAccount = '444455556666'
/** The key of its own secrets. */
export const ownKey = 'arn:aws:kms:eu-central-1:111122223333:key/0a1b2c3d-0000-4000-8000-000000000001'
/** What its Entra and Google callers are. */
export const callers = { tenant: '11111111-2222-4333-8444-555555555555', principal: 'aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee', google: '109876543210987654321' }

/** Modes that a check is made in; each has one line of the sample changed. */
export const modes = { reads: ['read_only', false], writes: ['write_only', true], both: ['read_and_write', true], 'writes hosted': ['write_only', false] } as const

/** One of {@link modes}. */
export type Mode = keyof typeof modes

const sample = (mode: Mode): string => `
general_settings:
  master_key: os.environ/LITELLM_MASTER_KEY
  key_management_system: aws_secret_manager
  key_management_settings:
    access_mode: ${modes[mode][0]}
    store_virtual_keys: ${modes[mode][1]}
    prefix_for_stored_virtual_keys: litellm/
    hosted_keys: [OPENAI_API_KEY, LITELLM_MASTER_KEY]
    aws_region_name: eu-central-1
latchkey:
  default_store: { kms_key_id: "${ownKey}" }
  stores:
    corp: { system: aws_secret_manager, aws_role_name: "arn:aws:iam::${teamAccount}:role/corp-secrets", aws_external_id: corp-0123456789, aws_region_name: eu-central-1 }
    own: { system: aws_secret_manager, aws_role_name: "arn:aws:iam::${place.account}:role/own-secrets", aws_region_name: eu-central-1 }
  deployment:
    account: "${place.account}"
    functions: { secret_variables: { LITELLM_MASTER_KEY: master, VAULT_TOKEN: vault/token } }
    teams:
      - { team: payments, account: "${teamAccount}", external_id: payments-0123456789, prefix: litellm/payments/, access_mode: read_and_write, store_virtual_keys: true }
    federation:
      azure_tenant_id: ${callers.tenant}
      azure_audience: api://latchkey-aws
      azure_principal_ids: [${callers.principal}]
      google_audience: latchkey-aws
      google_service_account_ids: ["${callers.google}"]
      outbound_audiences: [api://AzureADTokenExchange]
`

/** No variable is set: what is deployed must not depend on who deploys it. */
export const emptyEnv = { get: (): undefined => undefined, names: (): readonly string[] => [] }

/** A configuration from YAML, as infra/config.ts reads it. */
export const configOf = (yaml: string, path = 'config.yaml'): Promise<InfraConfig> => readInfraConfig({ path, input: parse(yaml) }, emptyEnv)

/** The sample in one mode. */
export const sampleConfig = (mode: Mode): Promise<InfraConfig> => configOf(sample(mode))

/** All that one function of a configuration may do, as its role has it. */
export const roleDocument = (config: InfraConfig, name: FunctionName): PolicyDocument => ({ Version: '2012-10-17', Statement: functionStatements(config, place)[name] })

/** Everything that is checked. */
export interface Subject {
  readonly roles: Readonly<Record<Mode, Readonly<Record<FunctionName, PolicyDocument>>>>
  readonly endpoints: { readonly sts: PolicyDocument; readonly secrets: PolicyDocument }
  readonly access: Template
  readonly federation: Template
}

/** A stack's template, without the CDK's own validation: it takes seconds, and `cdk synth` makes it of every stack. */
const templateOf = (make: (app: App) => { readonly stackName: string }): Template => {
  const app = new App({ analyticsReporting: false, builtinCloudFormationValidation: false })
  const { stackName } = make(app)
  return app.synth().getStackByName(stackName).template as Template
}

/** The federation stack of the sample. */
export const federationTemplate = (config: InfraConfig): Template => templateOf((app) => new FederationStack(app, 'LatchkeyFederation', { config }))

/** Makes the whole subject; each template once. */
export const makeSubject = async (): Promise<Subject> => {
  const configs = await Promise.all((Object.keys(modes) as Mode[]).map(async (mode) => [mode, await sampleConfig(mode)] as const))
  const both = configs.find(([mode]) => mode === 'both')?.[1] as InfraConfig
  const roles = Object.fromEntries(configs.map(([mode, config]) => [mode, { read: roleDocument(config, 'read'), keys: roleDocument(config, 'keys'), rotate: roleDocument(config, 'rotate') }])) as unknown as Subject['roles']
  const endpoints = Object.fromEntries(endpointPolicies(both, place).map(([service, Statement]) => [service, { Version: '2012-10-17', Statement }])) as Readonly<Record<EndpointService, PolicyDocument>>
  return {
    roles,
    endpoints: { sts: endpoints.sts, secrets: endpoints.secretsmanager },
    access: templateOf((app) => new AccessStack(app, 'LatchkeyAccess')),
    federation: federationTemplate(both),
  }
}

/** The access template as a team's account deploys it. */
export const teamWorld = (parameters: Readonly<Record<string, string>> = {}, account = teamAccount): World => ({
  account, region: 'eu-central-1',
  parameters: { LatchkeyAccount: place.account, ExternalId: 'payments-0123456789', Team: 'payments', Prefix: 'litellm/payments/', AccessMode: 'read_and_write', StoreVirtualKeys: 'true', ...parameters },
})
