// The stacks of six configurations, synthesized from a placeholder in place of the built functions: what the checks of templates look at, and what mutants weaken.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { App } from 'aws-cdk-lib'
import { makeStacks } from '../../../infra/app.ts'
import type { InfraConfig } from '../../../infra/config.ts'
import type { LatchkeyStack } from '../../../infra/latchkey-stack.ts'
import { functionNames } from '../../../infra/names.ts'
import { configOf } from './subject.ts'
import type { Template, World } from './template.ts'

const root = join(import.meta.dirname, '../../..')

/** Where everything is deployed. */
export const world: World = { account: '123456789012', region: 'eu-central-1' }

const example = readFileSync(join(root, 'examples/aws.yaml'), 'utf8')
const here = `account: "${world.account}", region: ${world.region}`
const secrets = `
general_settings: { master_key: os.environ/LITELLM_MASTER_KEY, key_management_system: aws_secret_manager, key_management_settings: { access_mode: read_and_write, store_virtual_keys: true, prefix_for_stored_virtual_keys: litellm/, hosted_keys: [OPENAI_API_KEY, LITELLM_MASTER_KEY] } }`
const team = '{ team: payments, account: "444455556666", external_id: payments-0123456789, prefix: payments/ }'

/** What is deployed, by a word for it. `shipped` is the example that cdk.json names. */
export const variants = {
  shipped: example,
  isolated: `${secrets}
latchkey: { deployment: { ${here}, network: { mode: isolated }, functions: { tracing: true, provisioned_concurrency: 1 }, teams: [${team}] } }`,
  private: `${secrets}
latchkey: { deployment: { ${here}, network: { mode: isolated }, api: { kind: rest_private, waf_rate_limit: 2000 } } }`,
  urls: `${secrets}
latchkey: { deployment: { ${here}, api: { kind: function_url, invoker_principals: ["arn:aws:iam::444455556666:role/gateway"] }, observability: { alarm_email: ops@example.com } } }`,
  tokens: `${secrets}
latchkey: { stores: { corp: { system: hashicorp_vault, vault_addr: https://vault.example, vault_token: os.environ/VAULT_TOKEN } }, deployment: { ${here}, functions: { secret_variables: { VAULT_TOKEN: gateway/vault-token } }, api: { authorizer: jwt, jwt_issuer: https://issuer.example, jwt_audience: [latchkey] } } }`,
  federated: `${secrets}
latchkey: { deployment: { ${here}, federation: { azure_tenant_id: 11111111-2222-4333-8444-555555555555, azure_audience: "api://latchkey-aws", azure_principal_ids: [aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee], google_audience: latchkey-aws, google_service_account_ids: ["109876543210987654321"], outbound_audiences: ["api://AzureADTokenExchange"] } } }`,
} as const satisfies Readonly<Record<string, string>>

/** One of {@link variants}. */
export type Variant = keyof typeof variants

const scratch = mkdtempSync(join(tmpdir(), 'latchkey-stacks-'))
/** Takes away every folder that was made here; who uses them calls it at its end. */
export const removeScratch = (): void => rmSync(scratch, { recursive: true, force: true })

/** A folder of its own. */
export const scratchFolder = (name: string): string => mkdtempSync(join(scratch, `${name}-`))

/** Three folders in the place of the built functions. */
export const placeholders = (): string => {
  const folder = scratchFolder('bundles')
  for (const name of functionNames) {
    mkdirSync(join(folder, name))
    writeFileSync(join(folder, name, `${name}.mjs`), `export const handler = async () => '${name}'\n`)
  }
  return folder
}

/** The app of a configuration with the feature flags of cdk.json, before it is synthesized. */
export const appOf = async (yaml: string, codeRoot = placeholders()): Promise<{ readonly app: App; readonly stack: LatchkeyStack; readonly config: InfraConfig }> => {
  const { context } = JSON.parse(readFileSync(join(root, 'cdk.json'), 'utf8')) as { readonly context: Readonly<Record<string, unknown>> }
  const [app, config] = [new App({ context: { ...context }, outdir: scratchFolder('out'), analyticsReporting: false }), await configOf(yaml)]
  return { app, config, stack: makeStacks(app, config, codeRoot) }
}

/** Synthesizes without the validation of the CDK itself, which takes seconds and which `cdk synth` makes of every stack. */
export const templatesOf = (app: App): Readonly<Record<string, Template>> => {
  const before = process.env['CDK_VALIDATION']
  process.env['CDK_VALIDATION'] = 'false'
  try {
    return Object.fromEntries(app.synth().stacks.map(({ stackName, template }) => [stackName, template as Template]))
  } finally {
    if (before === undefined) delete process.env['CDK_VALIDATION']
    else process.env['CDK_VALIDATION'] = before
  }
}

/** All templates of all variants, and what each was made of. */
export interface Stacks {
  readonly templates: Readonly<Record<Variant, Readonly<Record<string, Template>>>>
  readonly configs: Readonly<Record<Variant, InfraConfig>>
}

/** Synthesizes every variant once. */
export const makeStacksOfAll = async (): Promise<Stacks> => {
  const codeRoot = placeholders()
  const made: (readonly [Variant, Readonly<Record<string, Template>>, InfraConfig])[] = []
  for (const [variant, yaml] of Object.entries(variants)) {
    const { app, config } = await appOf(yaml, codeRoot)
    made.push([variant as Variant, templatesOf(app), config])
  }
  return { templates: Object.fromEntries(made.map(([variant, templates]) => [variant, templates])) as unknown as Stacks['templates'], configs: Object.fromEntries(made.map(([variant, , config]) => [variant, config])) as unknown as Stacks['configs'] }
}
