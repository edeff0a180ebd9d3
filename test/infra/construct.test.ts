// `Latchkey` as a construct in somebody else's app: what it takes from there, what it gives, and what it refuses before anything is deployed.
import { App, Stack } from 'aws-cdk-lib'
import { AccountPrincipal, Role } from 'aws-cdk-lib/aws-iam'
import { Key } from 'aws-cdk-lib/aws-kms'
import { Topic } from 'aws-cdk-lib/aws-sns'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Latchkey, type LatchkeyProps } from '../../infra/constructs/latchkey.ts'
import { parseRef } from '../../shared/core/configuration/references.ts'
import { decide, type PolicyDocument } from './support/iam.ts'
import { placeholders, removeScratch, scratchFolder, templatesOf, variants, world } from './support/stacks.ts'
import { configOf } from './support/subject.ts'
import { resourcesOf, type Template } from './support/template.ts'

afterAll(removeScratch)

const secrets = `
general_settings: { master_key: os.environ/LITELLM_MASTER_KEY, key_management_system: aws_secret_manager, key_management_settings: { access_mode: read_and_write, store_virtual_keys: true, prefix_for_stored_virtual_keys: litellm/ } }`
const codeRoot = placeholders()

const made = async (yaml: string, props: (stack: Stack) => Partial<LatchkeyProps> = () => ({}), then: (latchkey: Latchkey, stack: Stack) => void = () => undefined): Promise<Template> => {
  const app = new App({ outdir: scratchFolder('theirs'), analyticsReporting: false })
  const stack = new Stack(app, 'Theirs', { env: { account: world.account, region: world.region } })
  then(new Latchkey(stack, 'Latchkey', { config: await configOf(yaml), codeRoot, ...props(stack) }), stack)
  return templatesOf(app)['Theirs'] as Template
}

const policiesOf = (template: Template, type: string, marked: string): readonly PolicyDocument[] =>
  Object.entries(resourcesOf(template, type, world)).flatMap(([id, { PolicyDocument: document }]) => (id.includes(marked) ? [document as PolicyDocument] : []))

describe("in somebody else's stack", () => {
  it('uses their key and topic, and makes none', async () => {
    const template = await made(secrets, (stack) => ({ existingKey: Key.fromKeyArn(stack, 'Theirs', 'arn:aws:kms:eu-central-1:123456789012:key/theirs'), alarmTopic: Topic.fromTopicArn(stack, 'Pager', 'arn:aws:sns:eu-central-1:123456789012:pager') }))

    expect([resourcesOf(template, 'AWS::KMS::Key', world), resourcesOf(template, 'AWS::SNS::Topic', world)]).toEqual([{}, {}])
    expect(Object.values(resourcesOf(template, 'AWS::Lambda::Function', world)).map((one) => one['KmsKeyArn'])).toEqual(Array(3).fill('arn:aws:kms:eu-central-1:123456789012:key/theirs'))
    expect(Object.values(resourcesOf(template, 'AWS::CloudWatch::Alarm', world)).every((one) => JSON.stringify(one['AlarmActions']) === '["arn:aws:sns:eu-central-1:123456789012:pager"]')).toBe(true)
  })

  it('stands in their network, in their subnets and groups', async () => {
    const yaml = `${secrets}
latchkey: { deployment: { network: { mode: existing, vpc_id: vpc-1, subnet_ids: [subnet-1, subnet-2], availability_zones: [eu-central-1a, eu-central-1b], security_group_ids: [sg-1] } } }`

    const template = await made(yaml)

    expect(Object.values(resourcesOf(template, 'AWS::Lambda::Function', world)).map((one) => one['VpcConfig'])).toEqual(Array(3).fill({ SecurityGroupIds: ['sg-1'], SubnetIds: ['subnet-1', 'subnet-2'] }))
    expect(resourcesOf(template, 'AWS::EC2::VPC', world)).toEqual({})
  })

  it('lets a role of theirs call every route, and nothing else', async () => {
    const template = await made(secrets, undefined, (latchkey, stack) => latchkey.grantInvoke(new Role(stack, 'Gateway', { assumedBy: new AccountPrincipal(world.account) })))
    const identity = policiesOf(template, 'AWS::IAM::Policy', 'Gateway')
    const [api = ''] = Object.keys(resourcesOf(template, 'AWS::ApiGatewayV2::Api', world))
    const ask = (id: string): boolean => decide({ identity }, { action: 'execute-api:Invoke', resource: `arn:aws:execute-api:eu-central-1:123456789012:${id}/$default/POST/key/generate` }).allowed

    expect([ask(`<${api}>`), ask('another')]).toEqual([true, false])
  })

  it('assumes the role of a team that is added, never without its external id', async () => {
    const arn = 'arn:aws:iam::444455556666:role/latchkey-access'
    const template = await made(secrets, undefined, (latchkey) => latchkey.addTeam('Payments', { arn, external: true }))
    const identity = policiesOf(template, 'AWS::IAM::ManagedPolicy', 'Payments')
    const ask = (id?: string): boolean => decide({ identity }, { action: 'sts:AssumeRole', resource: arn, context: { 'sts:ExternalId': id } }).allowed

    expect([ask('payments-1'), ask()]).toEqual([true, false])
    expect(Object.values(resourcesOf(template, 'AWS::IAM::ManagedPolicy', world)).filter((one) => one['Description'] === 'Latchkey assumes the role of a team').map((one) => (one['Roles'] as unknown[]).length)).toEqual([3])
  })
})

describe('a variable that holds a secret', () => {
  const gateway = `${secrets.replace('master_key: os.environ/LITELLM_MASTER_KEY, ', 'master_key: os.environ/CALLERS_KEY, ').replace('read_and_write', 'write_only')}
latchkey:
  stores: { corp: { system: hashicorp_vault, vault_addr: "https://vault.example", vault_token: os.environ/VAULT_TOKEN } }
  gateway: { url: "https://litellm.internal", master_key: os.environ/GATEWAY_KEY }
  deployment: { functions: { secret_variables: { VAULT_TOKEN: gateway/vault-token, CALLERS_KEY: "arn:aws:secretsmanager:eu-central-1:444455556666:secret:callers-AbCdEf", GATEWAY_KEY: gateway/master, LATCHKEY_AUDIT_KEY: audit } } }`
  const variablesIn = (template: Template): Readonly<Record<string, Readonly<Record<string, unknown>>>> =>
    Object.fromEntries(Object.values(resourcesOf(template, 'AWS::Lambda::Function', world)).map((one) => [String(one['FunctionName']).replace('latchkey-', ''), (one['Environment'] as { readonly Variables: Readonly<Record<string, unknown>> }).Variables]))

  it('is a reference for the function to read, and only where the function uses it', async () => {
    const variables = variablesIn(await made(gateway))

    const all = { VAULT_TOKEN: 'secret://aws_secret_manager/gateway/vault-token', LATCHKEY_AUDIT_KEY: 'secret://aws_secret_manager/audit' }
    const callers = { CALLERS_KEY: 'secret://aws_secret_manager/arn:aws:secretsmanager:eu-central-1:444455556666:secret:callers-AbCdEf' }
    const gateways = { GATEWAY_KEY: 'secret://aws_secret_manager/gateway/master' }
    expect(variables).toMatchObject({ read: { ...all, ...callers }, keys: { ...all, ...callers, ...gateways }, rotate: { ...all, ...gateways } })
    expect([variables['read']?.['GATEWAY_KEY'], variables['rotate']?.['CALLERS_KEY']]).toEqual([undefined, undefined])
  })

  it('is a reference as the function reads it', async () => {
    const { read = {} } = variablesIn(await made(gateway))

    expect(parseRef(String(read['VAULT_TOKEN']))).toEqual({ store: 'aws_secret_manager', name: 'gateway/vault-token' })
    expect(parseRef(String(read['CALLERS_KEY'])).name).toBe('arn:aws:secretsmanager:eu-central-1:444455556666:secret:callers-AbCdEf')
  })

  it('is for every function where anything else refers to it as well', async () => {
    const shared = gateway.replace('os.environ/VAULT_TOKEN', 'os.environ/GATEWAY_KEY')

    const variables = variablesIn(await made(shared))

    expect(Object.values(variables).map((one) => one['GATEWAY_KEY'])).toEqual(Array(3).fill('secret://aws_secret_manager/gateway/master'))
  })

  it("is for rotate too where it is the gateway's master key and the callers'", async () => {
    const shared = gateway.replace('GATEWAY_KEY', 'CALLERS_KEY').replace(', GATEWAY_KEY: gateway/master', '')

    const variables = variablesIn(await made(shared))

    expect(Object.values(variables).filter((one) => one['CALLERS_KEY'] !== undefined)).toHaveLength(3)
  })
})

describe('is refused, with what to write instead', () => {
  it.each([
    ['a variable that Lambda sets itself', `${secrets}\nlatchkey: { deployment: { functions: { secret_variables: { AWS_SESSION_TOKEN: token } } } }`, /^config\.yaml: latchkey\.deployment\.functions\.secret_variables\.AWS_SESSION_TOKEN cannot be set on Lambda/],
    ['a variable that Node reads before any code runs', `${secrets}\nlatchkey: { deployment: { functions: { secret_variables: { NODE_OPTIONS: options } } } }`, /secret_variables\.NODE_OPTIONS cannot be set on Lambda/],
    ['a managed master key that nothing rotates', `${secrets}\nlatchkey: { deployment: { schedule: { managed_master_key: true } } }`, /add it to latchkey\.rotation\.secrets: - \{ names: \["LITELLM_MASTER_KEY"\] \}$/],
    ['a managed master key in a segment that no pattern of the rotation reaches', `${secrets.replaceAll('LITELLM_MASTER_KEY', 'gateway/prod/MASTER_KEY')}\nlatchkey: { rotation: { secrets: [{ names: ["gateway/*"] }] }, deployment: { schedule: { managed_master_key: true } } }`, /add it to latchkey\.rotation\.secrets: - \{ names: \["gateway\/prod\/MASTER_KEY"\] \}$/],
    ['a managed master key that is looked for in another manager', `general_settings: { master_key: os.environ/MASTER_KEY, key_management_system: hashicorp_vault, key_management_settings: { access_mode: read_and_write } }\nlatchkey: { default_store: { vault_addr: "https://vault.example:8200" }, stores: { own: { system: aws_secret_manager, access_mode: read_and_write } }, rotation: { secrets: [{ names: ["MASTER_KEY"] }] }, deployment: { schedule: { managed_master_key: true } } }`, /managed_master_key makes a secret that the functions would not read/],
    ['a managed master key that no function reads', `${secrets.replace('read_and_write', 'write_only')}\nlatchkey: { deployment: { functions: { secret_variables: { LITELLM_MASTER_KEY: master } }, schedule: { managed_master_key: true } } }`, /managed_master_key makes a secret that the functions would not read/],
  ])('%s', async (_what, yaml, said) => {
    await expect(made(yaml)).rejects.toThrow(said)
  })
})

describe('an alarm', () => {
  let template: Template
  let alarms: readonly Readonly<Record<string, unknown>>[]
  beforeAll(async () => {
    template = await made(variants.shipped)
    alarms = Object.values(resourcesOf(template, 'AWS::CloudWatch::Alarm', world))
  })

  it('is there for every function, the dead letters, the API, refusals by AWS, a rotation that is overdue and a sweep that does not come', () => {
    expect(alarms.map((one) => one['AlarmName']).toSorted()).toEqual(['latchkey-access-denied', 'latchkey-api-errors', 'latchkey-dead-letters', 'latchkey-keys-errors', 'latchkey-keys-throttles', 'latchkey-read-errors', 'latchkey-read-throttles', 'latchkey-rotate-errors', 'latchkey-rotate-throttles', 'latchkey-rotation-overdue', 'latchkey-sweep-missing'])
  })

  it('tells of a rotation that is overdue by three days, from the line in which the sweep says for how long', () => {
    const filters = Object.values(resourcesOf(template, 'AWS::Logs::MetricFilter', world)).flatMap((one) => (one['MetricTransformations'] as { readonly MetricName: string }[]).map((made) => ({ pattern: one['FilterPattern'], log: one['LogGroupName'], ...made })))

    expect(filters.filter(({ MetricName }) => MetricName === 'RotationOverdue')).toEqual([{ pattern: '{ $.code = "rotation_overdue" }', log: expect.stringContaining('rotateLog') as string, MetricName: 'RotationOverdue', MetricNamespace: 'Latchkey/latchkey', MetricValue: '$.overdue_seconds' }])
    expect(alarms.find((one) => one['AlarmName'] === 'latchkey-rotation-overdue')).toMatchObject({ MetricName: 'RotationOverdue', Statistic: 'Maximum', ComparisonOperator: 'GreaterThanOrEqualToThreshold', Threshold: 259_200, TreatMissingData: 'notBreaching' })
  })

  it('tells of a sweep that is missed twice, also when nothing is counted at all', () => {
    expect(alarms.find((one) => one['AlarmName'] === 'latchkey-sweep-missing')).toMatchObject({ Period: 1800, ComparisonOperator: 'LessThanThreshold', Threshold: 1, TreatMissingData: 'breaching' })
  })
})
