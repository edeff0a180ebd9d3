// The template that the owner of the secrets deploys: what its parameters make of it, whom it lets in, and that the file in the repository is the one the code makes.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { App, Stack, Validations } from 'aws-cdk-lib'
import { AwsSolutionsChecks, NIST80053R5Checks, type IApplyRule } from 'cdk-nag'
import { beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { AccessStack } from '../../infra/access-stack.ts'
import { accessTemplate, accessTemplatePath } from '../../infra/access-template.ts'
import { readInfraConfig } from '../../infra/config.ts'
import { SecretAccessRole } from '../../infra/constructs/secret-access-role.ts'
import { assumeStatements } from '../../infra/policies.ts'
import { tenantOf, tryTrust, type Attempt } from './support/checks.ts'
import { decide, type Context } from './support/iam.ts'
import { emptyEnv, place, teamAccount, teamWorld } from './support/subject.ts'
import { resolve, type Template, type World } from './support/template.ts'

let template: Template

beforeAll(async () => {
  template = JSON.parse(await readFile(accessTemplatePath, 'utf8')) as Template
})

const secret = (name: string): string => `arn:aws:secretsmanager:eu-central-1:${teamAccount}:secret:${name}`
const may = (parameters: Readonly<Record<string, string>>, action: string, resource: string, context: Context = {}): boolean => {
  const { identity, boundary } = tenantOf(template, teamWorld(parameters))
  return decide({ identity, boundary }, { action, resource, context }).allowed
}

describe('the access template', () => {
  it('is the one that the code makes; npm run template:access writes it anew', async () => {
    expect(await readFile(accessTemplatePath, 'utf8')).toBe(await accessTemplate())
  })

  it('can be deployed from a file: CloudFormation takes 51,200 bytes that way', async () => {
    expect((await readFile(accessTemplatePath)).byteLength).toBeLessThan(51_200)
  })

  it('makes a role, its policy and its boundary, and nothing else', () => {
    expect(Object.values(template.Resources).map(({ Type }) => Type).toSorted()).toEqual(['AWS::IAM::ManagedPolicy', 'AWS::IAM::ManagedPolicy', 'AWS::IAM::Role'])
  })

  it('tells the role, and what was chosen', () => {
    expect(Object.keys(template.Outputs ?? {})).toEqual(['TenantRoleArn', 'AccessMode', 'StoreVirtualKeys'])
  })

  it.each([
    ['an account that is none', { LatchkeyAccount: '1234' }],
    ['a third external id', { ExternalId: 'a1,b2,c3' }],
    ['an empty external id beside another', { ExternalId: 'payments-0123456789,' }],
    ['a prefix without its slash', { Prefix: 'litellm' }],
    ['a prefix of every secret', { Prefix: '' }],
    ['a prefix with a wildcard', { Prefix: 'lite*/' }],
    ['a team with a wildcard', { Team: '*' }],
    ['an access mode that there is not', { AccessMode: 'all' }],
    ['session names of any kind', { SessionNamePattern: '*' }],
    ['an alias for a key', { KeyArn: 'arn:aws:kms:eu-central-1:444455556666:alias/secrets' }],
    ['every secret as a hosted one', { HostedSecretArns: 'arn:aws:secretsmanager:eu-central-1:444455556666:secret:*' }],
  ])('refuses %s', (_what, parameters) => {
    const name = Object.keys(parameters)[0] ?? ''

    expect(() => resolve({ Ref: name }, template, teamWorld(parameters))).toThrow(`Parameter ${name}`)
  })
})

describe('its role', () => {
  const value = secret('litellm/payments/x-AbCdEf')
  const created: Context = { 'secretsmanager:Name': 'litellm/payments/x' }
  const recoverable: Context = { 'secretsmanager:RecoveryWindowInDays': '7' }
  const readOnly = { AccessMode: 'read_only', StoreVirtualKeys: 'false' }
  const writeOnly = { AccessMode: 'write_only', StoreVirtualKeys: 'true' }

  it.each<[what: string, allowed: boolean, parameters: Readonly<Record<string, string>>, action: string, resource: string, context?: Context]>([
    ['reads below its prefix', true, readOnly, 'secretsmanager:GetSecretValue', value],
    ["never reads another team's prefix", false, readOnly, 'secretsmanager:GetSecretValue', secret('litellm/search/x-AbCdEf')],
    ['never reads a hosted secret that was not named', false, readOnly, 'secretsmanager:GetSecretValue', secret('OPENAI_API_KEY-AbCdEf')],
    ['reads a hosted secret that was named', true, { ...readOnly, HostedSecretArns: secret('OPENAI_API_KEY-??????') }, 'secretsmanager:GetSecretValue', secret('OPENAI_API_KEY-AbCdEf')],
    ['never writes a hosted secret', false, { HostedSecretArns: secret('OPENAI_API_KEY-??????') }, 'secretsmanager:PutSecretValue', secret('OPENAI_API_KEY-AbCdEf')],
    ['never reads a hosted secret in write_only', false, { ...writeOnly, HostedSecretArns: secret('OPENAI_API_KEY-??????') }, 'secretsmanager:GetSecretValue', secret('OPENAI_API_KEY-AbCdEf')],
    ['writes nothing without StoreVirtualKeys', false, { AccessMode: 'read_and_write', StoreVirtualKeys: 'false' }, 'secretsmanager:PutSecretValue', value],
    ['creates below its prefix', true, {}, 'secretsmanager:CreateSecret', value, created],
    ['creates with its own tag', true, {}, 'secretsmanager:CreateSecret', value, { ...created, 'aws:RequestTag/latchkey-team': 'payments' }],
    ["never creates with another team's tag", false, {}, 'secretsmanager:CreateSecret', value, { ...created, 'aws:RequestTag/latchkey-team': 'search' }],
    ["never tags as another team's", false, {}, 'secretsmanager:TagResource', value, { 'aws:RequestTag/latchkey-team': 'search' }],
    ["never takes the team's tag off", false, {}, 'secretsmanager:UntagResource', value, { 'aws:TagKeys': ['latchkey-team'] }],
    ['takes another tag off', true, {}, 'secretsmanager:UntagResource', value, { 'aws:TagKeys': ['latchkey-state'] }],
    ['deletes what can be recovered', true, {}, 'secretsmanager:DeleteSecret', value, recoverable],
    ['never deletes for good', false, {}, 'secretsmanager:DeleteSecret', value, { 'secretsmanager:ForceDeleteWithoutRecovery': 'true' }],
    ['reads no value in write_only', false, writeOnly, 'secretsmanager:GetSecretValue', value],
    ['reads our own records in write_only', true, writeOnly, 'secretsmanager:GetSecretValue', secret('litellm/payments/__latchkey/pending/x-AbCdEf')],
    ['writes in write_only', true, writeOnly, 'secretsmanager:PutSecretValue', value],
    ['uses no key that was not named', false, {}, 'kms:Decrypt', 'arn:aws:kms:eu-central-1:444455556666:key/a', { 'kms:ViaService': 'secretsmanager.eu-central-1.amazonaws.com' }],
    ['uses its key through Secrets Manager', true, { KeyArn: 'arn:aws:kms:eu-central-1:444455556666:key/a' }, 'kms:GenerateDataKey', 'arn:aws:kms:eu-central-1:444455556666:key/a', { 'kms:ViaService': 'secretsmanager.eu-central-1.amazonaws.com' }],
    ['never uses its key otherwise', false, { KeyArn: 'arn:aws:kms:eu-central-1:444455556666:key/a' }, 'kms:Decrypt', 'arn:aws:kms:eu-central-1:444455556666:key/a'],
    ['encrypts nothing where it only reads', false, { ...readOnly, KeyArn: 'arn:aws:kms:eu-central-1:444455556666:key/a' }, 'kms:GenerateDataKey', 'arn:aws:kms:eu-central-1:444455556666:key/a', { 'kms:ViaService': 'secretsmanager.eu-central-1.amazonaws.com' }],
    ['never changes who may read a secret', false, {}, 'secretsmanager:PutResourcePolicy', value],
  ])('%s', (_what, allowed, parameters, action, resource, context) => {
    expect(may(parameters, action, resource, context)).toBe(allowed)
  })

  it('takes either of two external ids while one is being changed, and no third', () => {
    const world = teamWorld({ ExternalId: 'old-0123456789,new-0123456789', Team: '' })
    const ask = (externalId: string): boolean => tryTrust(template, { externalId }, world).allowed

    expect([ask('old-0123456789'), ask('new-0123456789'), ask('old-0123456789,new-0123456789'), ask('third')]).toEqual([true, true, false, false])
  })

  it('asks for no tag where no team was given, and still takes no other key', () => {
    const world = teamWorld({ Team: '' })
    const ask = (tags?: Readonly<Record<string, string>>): boolean => tryTrust(template, { externalId: 'payments-0123456789', ...(tags !== undefined && { tags }) }, world).allowed

    expect([ask(), ask({ 'latchkey-team': 'any' }), ask({ admin: 'yes' })]).toEqual([true, true, false])
  })

  it('without an external id is for the account of Latchkey itself; in another one nobody comes in', () => {
    const open = { ExternalId: '', Team: '', RoleName: 'own-secrets' }
    const ask = (account: string, attempt: Attempt = {}): boolean => tryTrust(template, attempt, teamWorld(open, account)).allowed

    expect([ask(place.account), ask(teamAccount), ask(teamAccount, { externalId: '' })]).toEqual([true, false, false])
  })
})

describe("LiteLLM's documented roles", () => {
  const fixture = (name: string): Promise<string> => readFile(join(import.meta.dirname, '../fixtures/litellm', name), 'utf8')

  it.each<[what: string, sample: string, edit: (text: string) => string, parameters: Readonly<Record<string, string>>, attempt: Attempt, allowed: boolean]>([
    ['a role of the own account, without an external id', 'aws-role.yaml', (text) => text, { SessionNamePattern: 'sample-gateway-session' }, { session: 'sample-gateway-session' }, true],
    ['the session name litellm-session', 'aws-role.yaml', (text) => text.replace('sample-gateway-session', 'litellm-session'), { SessionNamePattern: 'litellm-session' }, { session: 'litellm-session' }, true],
    ['a role of another account, with a literal external id', 'aws-cross-account.yaml', (text) => text, { ExternalId: 'sample-external-id' }, { externalId: 'sample-external-id', session: 'latchkey-0a1b2c3d4e5f6071' }, true],
    ['that role, the external id forgotten', 'aws-cross-account.yaml', (text) => text, { ExternalId: 'sample-external-id' }, { session: 'latchkey-0a1b2c3d4e5f6071' }, false],
    ['that role in a file that forgets the external id', 'aws-cross-account.yaml', (text) => text.replace(/^.*aws_external_id.*$/m, ''), { ExternalId: 'sample-external-id' }, { externalId: 'sample-external-id', session: 'latchkey-0a1b2c3d4e5f6071' }, false],
  ])('%s', async (_what, sample, edit, parameters, attempt, allowed) => {
    const home = { partition: 'aws', account: '100000000001' }
    const { roles } = await readInfraConfig({ path: sample, input: parse(edit(await fixture(sample))) }, emptyEnv)
    const [, account = '', RoleName = ''] = /::(\d{12}):role\/(.*)$/.exec(roles[0]?.arn ?? '') ?? []
    const world: World = { account, region: 'us-east-1', parameters: { LatchkeyAccount: home.account, Prefix: 'litellm/', RoleName, ...parameters } }
    const identity = [{ Version: '2012-10-17', Statement: assumeStatements(roles, home) }]

    const { allowed: answer } = tryTrust(template, { caller: `arn:aws:iam::${home.account}:role/latchkey-read`, ...attempt }, world, identity)

    expect(answer).toBe(allowed)
  })
})

describe('the construct', () => {
  it('makes the same role of props as the template makes of parameters', () => {
    const app = new App({ analyticsReporting: false, builtinCloudFormationValidation: false })
    const stack = new Stack(app, 'Tenant')
    new SecretAccessRole(stack, 'Access', { latchkeyAccount: place.account, externalIds: ['payments-0123456789'], team: 'payments', prefix: 'litellm/payments/', accessMode: 'read_and_write', storeVirtualKeys: true, keyArn: 'arn:aws:kms:eu-central-1:444455556666:key/a' })

    const made = tenantOf(app.synth().getStackByName('Tenant').template as Template, teamWorld())

    const listed = (documents: readonly unknown[]): unknown => JSON.parse(JSON.stringify(documents))
    const world = teamWorld({ KeyArn: 'arn:aws:kms:eu-central-1:444455556666:key/a' })
    expect([made.identity, made.boundary].map(listed)).toEqual([tenantOf(template, world).identity, tenantOf(template, world).boundary].map(listed))
    expect(tryTrust(app.synth().getStackByName('Tenant').template as Template, { externalId: 'payments-0123456789', tags: { 'latchkey-team': 'payments' } }).allowed).toBe(true)
  })
})

describe('cdk-nag over the access template', () => {
  const app = new App({ analyticsReporting: false, builtinCloudFormationValidation: false })
  const stack = new AccessStack(app, 'LatchkeyAccess')
  const acknowledged = stack.node.metadata.filter(({ type }) => type === Validations.ACKNOWLEDGED_RULES_METADATA_KEY).flatMap(({ data }) => Object.keys(data as Readonly<Record<string, string>>))

  /** Writes down what the rule about wildcards finds, acknowledged or not. */
  class EveryWildcard extends AwsSolutionsChecks {
    readonly found = new Set<string>()
    protected override applyRule({ ruleSuffixOverride, rule, node }: IApplyRule): void {
      const result: unknown = ruleSuffixOverride === 'IAM5' ? rule(node) : undefined
      if (Array.isArray(result)) for (const one of result as readonly string[]) this.found.add(`AwsSolutions-IAM5[${one}]`)
    }
  }

  it.each([new AwsSolutionsChecks(app), new NIST80053R5Checks(app)])('finds nothing that is not acknowledged: $name', (pack) => {
    expect(pack.validateScope(app).violations).toEqual([])
  })

  it('finds what is acknowledged, and nothing else: two wildcards that cannot be narrower', () => {
    const every = new EveryWildcard()
    every.validateScope(app)

    expect(acknowledged.map((id) => id.replace(/^annotation::/i, '')).toSorted()).toEqual([...every.found].toSorted())
    expect(acknowledged).toHaveLength(2)
  })
})
