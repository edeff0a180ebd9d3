// The synth as a whole: it is the same every time, keeps the names of what holds data, and refuses bundles that were built from something else.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { afterAll, describe, expect, it } from 'vitest'
import { refuseOtherBundles } from '../../infra/deployment/bundles.ts'
import { withoutDeployment } from '../../shared/core/configuration/compile.ts'
import { appOf, placeholders, removeScratch, scratchFolder, templatesOf, variants } from './support/stacks.ts'

afterAll(removeScratch)

/** What holds data, or names that others know. A logical id that changes makes CloudFormation replace the resource. */
const stateful = ['AWS::KMS::Key', 'AWS::SecretsManager::Secret', 'AWS::Logs::LogGroup', 'AWS::SQS::Queue', 'AWS::SNS::Topic', 'AWS::ApiGatewayV2::Api', 'AWS::IAM::Role', 'AWS::Lambda::Function']

describe('the synth', () => {
  it('keeps the logical ids of what holds data or is known by name', async () => {
    const { Latchkey: template } = templatesOf((await appOf(variants.shipped)).app)

    const ids = Object.entries(template?.Resources ?? {}).flatMap(([id, { Type }]) => (stateful.includes(Type) ? [id] : []))

    expect(ids.toSorted()).toEqual([
      'LatchkeyAlertsTopicC6869C34',
      'LatchkeyApiAccessLogC3832A75',
      'LatchkeyApiHttp6805BEC5',
      'LatchkeyDeadLettersQueue14C317D7',
      'LatchkeyInvokerRole730434F8',
      'LatchkeyKey7228B3E4',
      'LatchkeyMasterKeySecretBE4D3BF8',
      'LatchkeyRotationSchedulerRole1EC12224',
      'LatchkeykeysFunctionF6177A75',
      'LatchkeykeysLog892903BC',
      'LatchkeykeysRole4ABDE2EA',
      'LatchkeyreadFunction7A4055FB',
      'LatchkeyreadLog02082AE6',
      'LatchkeyreadRoleD552EDF0',
      'LatchkeyrotateFunction88018658',
      'LatchkeyrotateLog4E4F45D8',
      'LatchkeyrotateRoleED0505C6',
    ])
  })

  it('makes the same bytes of the same file', async () => {
    const codeRoot = placeholders()
    const bytes = async (): Promise<string> => {
      const { app } = await appOf(variants.private, codeRoot)
      templatesOf(app)
      return readdirSync(app.outdir).filter((name) => /\.(?:template|assets)\.json$/.test(name)).toSorted().map((name) => `${name}\n${readFileSync(join(app.outdir, name), 'utf8')}`).join('\n')
    }

    const [first, second] = [await bytes(), await bytes()]

    expect(first).toContain('LatchkeyEdge.template.json')
    expect(second === first).toBe(true)
  })

  it.each(['isolated', 'shipped'] as const)('looks nothing up in an account: it needs no credentials (%s)', async (variant) => {
    const { app } = await appOf(variants[variant])
    templatesOf(app)

    expect((JSON.parse(readFileSync(join(app.outdir, 'manifest.json'), 'utf8')) as { readonly missing?: unknown }).missing).toBeUndefined()
  })

  it('has the outputs that scripts and gateways go by', async () => {
    const { Latchkey: template } = templatesOf((await appOf(variants.isolated)).app)

    expect(Object.keys(template?.Outputs ?? {}).filter((name) => !name.startsWith('Export')).toSorted()).toEqual(['AlertsTopicArn', 'ApiUrl', 'DashboardUrl', 'DlqUrl', 'GatewayConfig', 'InvokerRoleArn', 'KeyArn', 'KeysRoleArn', 'ReadRoleArn', 'Region', 'RotateRoleArn', 'SecretPrefix', 'StsEndpointDns', 'TeamParameters1', 'VpcId'])
  })
})

describe('a bundle', () => {
  const input = parse(variants.shipped) as unknown
  const built = (content: unknown): string => {
    const folder = placeholders()
    for (const name of ['read', 'keys', 'rotate']) writeFileSync(join(folder, name, 'latchkey.json'), JSON.stringify(content))
    return folder
  }

  it('is taken when it was built from the file, deployment aside', () => {
    expect(() => refuseOtherBundles(built(withoutDeployment(input)), 'config.yaml', input)).not.toThrow()
  })

  it.each([
    ['is not there', () => scratchFolder('none'), 'holds no built function'],
    ['has no configuration', placeholders, 'was built without a configuration'],
    ['has another configuration', () => built({ general_settings: {} }), 'was built from another configuration than config.yaml'],
  ])('that %s stops the synth with the command that mends it', (_what, folder, said) => {
    const codeRoot = folder()

    expect(() => refuseOtherBundles(codeRoot, 'config.yaml', input)).toThrow(new RegExp(`${said}; run npm run build -- --host lambda --config config\\.yaml$`))
    rmSync(codeRoot, { recursive: true })
  })
})
