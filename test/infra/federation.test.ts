// Who comes in without a key: what the federation stack makes, and the three ways in which a gateway proves who it is.
import { App, Stack } from 'aws-cdk-lib'
import { Role, AccountPrincipal } from 'aws-cdk-lib/aws-iam'
import { describe, expect, it } from 'vitest'
import { needsFederation } from '../../infra/federation-stack.ts'
import { GatewayIdentity, type GatewayIdentityProps } from '../../infra/constructs/gateway-identity.ts'
import { InboundFederation } from '../../infra/constructs/inbound-federation.ts'
import { grantOutboundIdentity } from '../../infra/constructs/outbound-federation.ts'
import { decide, decideAssume, type Context, type PolicyDocument } from './support/iam.ts'
import { callers, configOf, federationTemplate, place, sampleConfig } from './support/subject.ts'
import { resourcesOf, type Template } from './support/template.ts'

const templateOf = (build: (stack: Stack) => void): Template => {
  const app = new App({ analyticsReporting: false, builtinCloudFormationValidation: false })
  build(new Stack(app, 'Gateway'))
  return app.synth().getStackByName('Gateway').template as Template
}
const onlyRole = (template: Template): Readonly<Record<string, unknown>> => Object.values(resourcesOf(template, 'AWS::IAM::Role', place))[0] ?? {}
const trustOf = (template: Template): readonly PolicyDocument[] => [onlyRole(template)['AssumeRolePolicyDocument'] as PolicyDocument]
const policiesOf = (template: Template): readonly PolicyDocument[] => Object.values(resourcesOf(template, 'AWS::IAM::ManagedPolicy', place)).map((policy) => policy['PolicyDocument'] as PolicyDocument)

describe('the federation stack', () => {
  it("names Entra's issuer with its slash, and the audience", async () => {
    const template = federationTemplate(await sampleConfig('both'))

    expect(Object.values(resourcesOf(template, 'AWS::IAM::OIDCProvider', place))).toEqual([{ Url: `https://sts.windows.net/${callers.tenant}/`, ClientIdList: ['api://latchkey-aws'] }])
    expect(Object.keys(template.Outputs ?? {})).toEqual(['AzureRoleArn', 'GoogleRoleArn'])
  })

  it('lets the other clouds do what the mode allows, and no more', async () => {
    const reading = policiesOf(federationTemplate(await sampleConfig('reads')))
    const writing = policiesOf(federationTemplate(await sampleConfig('both')))
    const resource = 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:litellm/x-AbCdEf'
    const ask = (document: PolicyDocument | undefined, action: string): boolean => decide({ identity: document === undefined ? [] : [document] }, { action: `secretsmanager:${action}`, resource }).allowed

    expect(reading.map((document) => [ask(document, 'GetSecretValue'), ask(document, 'PutSecretValue')])).toEqual([[true, false], [true, false]])
    expect(writing.map((document) => [ask(document, 'GetSecretValue'), ask(document, 'PutSecretValue')])).toEqual([[true, true], [true, true]])
  })

  it('pins each service account in a statement of its own, so that no two can be mixed', () => {
    const ids = ['100000000000000000001', '100000000000000000002']
    const template = templateOf((stack) => void new InboundFederation(stack, 'In', { deployment: 'latchkey', statements: [], google: { audience: 'aws', serviceAccountIds: ids } }))
    const ask = (sub: string, aud: string): boolean =>
      decideAssume({ trust: trustOf(template) }, { action: 'sts:AssumeRoleWithWebIdentity', resource: 'arn:aws:iam::111122223333:role/latchkey-google', caller: { kind: 'Federated', id: 'accounts.google.com' }, context: { 'accounts.google.com:oaud': 'aws', 'accounts.google.com:sub': sub, 'accounts.google.com:aud': aud } }).allowed

    expect([ask(ids[0] ?? '', ids[0] ?? ''), ask(ids[1] ?? '', ids[1] ?? ''), ask(ids[0] ?? '', ids[1] ?? '')]).toEqual([true, true, false])
  })

  it('uses the identity provider that an account has already', () => {
    const providerArn = `arn:aws:iam::111122223333:oidc-provider/sts.windows.net/${callers.tenant}/`
    const template = templateOf((stack) => void new InboundFederation(stack, 'In', { deployment: 'latchkey', statements: [], azure: { tenantId: callers.tenant, audience: 'api://a', principalIds: [callers.principal], providerArn } }))

    expect(resourcesOf(template, 'AWS::IAM::OIDCProvider', place)).toEqual({})
    expect(JSON.stringify(trustOf(template))).toContain(providerArn)
  })

  it('is needed only where somebody comes from another cloud', async () => {
    const plain = await configOf('general_settings: { key_management_system: aws_secret_manager }')

    expect([needsFederation(plain), needsFederation(await sampleConfig('both'))]).toEqual([false, true])
  })
})

describe('a token for another cloud', () => {
  it('is granted by a policy of its own, for its audience and five minutes', () => {
    const template = templateOf((stack) => void grantOutboundIdentity(stack, 'Outbound', new Role(stack, 'Role', { assumedBy: new AccountPrincipal(place.account) }), ['api://AzureADTokenExchange']))
    const ask = (context: Context): boolean => decide({ identity: policiesOf(template) }, { action: 'sts:GetWebIdentityToken', resource: '*', context: { 'sts:IdentityTokenAudience': ['api://AzureADTokenExchange'], 'sts:SigningAlgorithm': 'RS256', ...context } }).allowed

    expect([ask({ 'sts:DurationSeconds': '300' }), ask({ 'sts:DurationSeconds': '600' })]).toEqual([true, false])
  })
})

describe("the gateway's identity", () => {
  const issuer = 'oidc.eks.eu-central-1.amazonaws.com/id/ABCDEF'
  const providerArn = `arn:aws:iam::111122223333:oidc-provider/${issuer}`
  const pod = { namespace: 'llm', serviceAccount: 'litellm', roleName: 'litellm-gateway', statements: [{ Sid: 'CallTheApi', Effect: 'Allow' as const, Action: ['execute-api:Invoke'], Resource: ['arn:aws:execute-api:eu-central-1:111122223333:abc/$default/*'] }] }
  const make = (props: GatewayIdentityProps): { readonly template: Template; readonly identity: GatewayIdentity } => {
    let identity: GatewayIdentity | undefined
    const template = templateOf((stack) => void (identity = new GatewayIdentity(stack, 'Identity', props)))
    return { template, identity: identity as GatewayIdentity }
  }

  it.each<[what: string, context: Context, allowed: boolean]>([
    ['this service account', { [`${issuer}:sub`]: 'system:serviceaccount:llm:litellm', [`${issuer}:aud`]: 'sts.amazonaws.com' }, true],
    ['another one of the namespace', { [`${issuer}:sub`]: 'system:serviceaccount:llm:default', [`${issuer}:aud`]: 'sts.amazonaws.com' }, false],
    ['a token for somebody else', { [`${issuer}:sub`]: 'system:serviceaccount:llm:litellm', [`${issuer}:aud`]: 'vault' }, false],
  ])('as a pod by its token: %s', (_what, context, allowed) => {
    const { template } = make({ kind: 'irsa', issuer, providerArn, ...pod })

    const decision = decideAssume({ trust: trustOf(template) }, { action: 'sts:AssumeRoleWithWebIdentity', resource: 'arn:aws:iam::111122223333:role/litellm-gateway', caller: { kind: 'Federated', id: providerArn }, context })

    expect(decision.allowed).toBe(allowed)
  })

  it.each<[what: string, change: Context, allowed: boolean]>([
    ['this service account of this cluster', {}, true],
    ['another cluster', { 'aws:SourceArn': 'arn:aws:eks:eu-central-1:111122223333:cluster/other' }, false],
    ['another account', { 'aws:SourceAccount': '999999999999' }, false],
    ['another namespace', { 'aws:RequestTag/kubernetes-namespace': 'default' }, false],
  ])('as a pod by EKS: %s', (_what, change, allowed) => {
    const { template } = make({ kind: 'podIdentity', clusterName: 'main', ...pod })
    const context = { 'aws:SourceAccount': place.account, 'aws:SourceArn': 'arn:aws:eks:eu-central-1:111122223333:cluster/main', 'aws:RequestTag/kubernetes-namespace': 'llm', 'aws:RequestTag/kubernetes-service-account': 'litellm', ...change }

    const decision = decideAssume({ trust: trustOf(template) }, { action: 'sts:AssumeRole', resource: 'arn:aws:iam::111122223333:role/litellm-gateway', caller: { kind: 'Service', id: 'pods.eks.amazonaws.com' }, context })

    expect(decision.allowed).toBe(allowed)
  })

  it('as a pod by EKS that goes on to a role of another account: that one only', () => {
    const targetRoleArn = 'arn:aws:iam::444455556666:role/gateway'
    const { template } = make({ kind: 'podIdentity', clusterName: 'main', targetRoleArn, ...pod })
    const ask = (resource: string): boolean => decide({ identity: policiesOf(template) }, { action: 'sts:AssumeRole', resource }).allowed

    expect([ask(targetRoleArn), ask('arn:aws:iam::444455556666:role/admin')]).toEqual([true, false])
    expect(Object.values(resourcesOf(template, 'AWS::EKS::PodIdentityAssociation', place))).toMatchObject([{ ClusterName: 'main', Namespace: 'llm', ServiceAccount: 'litellm', TargetRoleArn: targetRoleArn }])
  })

  it('by a token that the API checks: no role at all, and the settings that the API needs', () => {
    const { template, identity } = make({ kind: 'jwt', issuer, audience: 'latchkey' })

    expect(template.Resources).toBeUndefined()
    expect(identity.settings).toEqual({ authorizer: 'jwt', jwt_issuer: `https://${issuer}`, jwt_audience: ['latchkey'] })
  })
})
