// Our Guard rules, run by the engine that `cdk synth` runs them with: a stack that breaks every one of them is told each by name, and ours are told none.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { App, CfnResource, Stack, Stage } from 'aws-cdk-lib'
import { afterAll, describe, expect, it } from 'vitest'
import { checked, guardRules, makeStacks } from '../../infra/app.ts'
import { placeholders, removeScratch, scratchFolder, variants } from './support/stacks.ts'
import { configOf } from './support/subject.ts'

afterAll(removeScratch)

interface Violation {
  readonly ruleName: string
  readonly severity?: string
  readonly violatingConstructs: readonly { readonly constructPath?: string }[]
}

/** What a synth reports, and whether it stopped for it. */
const synthesized = (app: App): { readonly violations: readonly Violation[]; readonly stopped: boolean } => {
  let stopped = false
  try {
    app.synth()
  } catch (error) {
    if (!/validation-report\.json/.test(String(error))) throw error
    stopped = true
  }
  const report = JSON.parse(readFileSync(join(app.outdir, 'validation-report.json'), 'utf8')) as { readonly pluginReports: readonly { readonly violations: readonly Violation[] }[] }
  return { violations: report.pluginReports.flatMap(({ violations }) => violations), stopped }
}

const role = 'arn:aws:iam::123456789012:role/x'
const document = (...Statement: readonly object[]): object => ({ Version: '2012-10-17', Statement })

/** One resource for each rule, wrong in what the rule asks. */
const wrong: readonly (readonly [type: string, properties: object])[] = [
  ['AWS::Lambda::Function', { Runtime: 'nodejs22.x', Architectures: ['x86_64'], Handler: 'index.handler', Role: role, Code: { ZipFile: 'x' } }],
  ['AWS::Logs::LogGroup', {}],
  ['AWS::Lambda::Permission', { Action: 'lambda:InvokeFunction', FunctionName: 'x', Principal: 'secretsmanager.amazonaws.com' }],
  ['AWS::Lambda::Permission', { Action: 'lambda:InvokeFunction', FunctionName: 'x', Principal: '*' }],
  ['AWS::ApiGatewayV2::Route', { ApiId: 'x', RouteKey: 'GET /', AuthorizationType: 'NONE' }],
  ['AWS::ApiGateway::Method', { RestApiId: 'x', ResourceId: 'x', HttpMethod: 'GET', AuthorizationType: 'NONE' }],
  ['AWS::Lambda::Url', { AuthType: 'NONE', TargetFunctionArn: 'arn:aws:lambda:eu-central-1:123456789012:function:x' }],
  ['AWS::KMS::Key', { EnableKeyRotation: false, KeyPolicy: document({ Effect: 'Allow', Principal: { Service: 'sns.amazonaws.com' }, Action: 'kms:Decrypt', Resource: '*' }) }],
  ['AWS::SecretsManager::Secret', { SecretString: 'x' }],
  ['AWS::EC2::VPCEndpoint', { VpcId: 'vpc-12345678', ServiceName: 'com.amazonaws.eu-central-1.sts', VpcEndpointType: 'Interface' }],
  ['AWS::EC2::InternetGateway', {}],
  ['AWS::EC2::SecurityGroup', { GroupDescription: 'x', VpcId: 'vpc-12345678', SecurityGroupEgress: [{ CidrIp: '0.0.0.0/0', IpProtocol: '-1' }] }],
  ['AWS::IAM::ManagedPolicy', { PolicyDocument: document({ Effect: 'Allow', Action: ['secretsmanager:GetSecretValue', 'iam:PassRole'], Resource: '*' }) }],
]

describe('our Guard rules', () => {
  it("each find what they are for and stop the synth; in our own stacks they, cdk-nag's and CloudFormation's find nothing", async () => {
    const { context } = JSON.parse(readFileSync(join(import.meta.dirname, '../../cdk.json'), 'utf8')) as { readonly context: Readonly<Record<string, unknown>> }
    const app = checked(new App({ context: { ...context }, outdir: scratchFolder('guard'), analyticsReporting: false }))
    const stack = new Stack(app, 'Wrong')
    wrong.forEach(([type, properties], index) => new CfnResource(stack, `Wrong${index}`, { type, properties: { ...properties } }))
    for (const [variant, yaml] of Object.entries(variants)) makeStacks(new Stage(app, variant), await configOf(yaml), placeholders())

    const { violations, stopped } = synthesized(app)

    const rules = [...guardRules.content.matchAll(/^rule (\w+)/gm)].map(([, name = '']) => name)
    const found = violations.filter(({ ruleName }) => rules.includes(ruleName))
    expect(rules.length).toBeGreaterThan(15)
    expect(rules.filter((rule) => !found.some(({ ruleName }) => ruleName === rule))).toEqual([])
    expect(stopped).toBe(true)
    expect(violations.flatMap(({ ruleName, violatingConstructs }) => violatingConstructs.filter(({ constructPath = '' }) => !constructPath.startsWith('Wrong/')).map(({ constructPath }) => `${ruleName}: ${constructPath}`))).toEqual([])
  }, 60_000)
})
