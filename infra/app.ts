// The CDK app: reads the one configuration file that `cdk.json` names, makes the stacks, and has every synth checked by cdk-nag, by CloudFormation's own rules and by ours.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { App, CloudFormationValidatePlugin, Validations, type Stage } from 'aws-cdk-lib'
import { AwsSolutionsChecks, NIST80053R5Checks } from 'cdk-nag'
import { LatchkeyError } from '../shared/core/errors.ts'
import { acknowledgeSecrets } from './deployment/acknowledgements.ts'
import { fromFile } from './deployment/from-file.ts'
import type { InfraConfig } from './config.ts'
import { EdgeStack } from './edge-stack.ts'
import { FederationStack, needsFederation } from './federation-stack.ts'
import { LatchkeyStack } from './latchkey-stack.ts'

/** Our own Guard rules, which other people's apps may use too. */
export const guardRules = { name: 'latchkey', content: readFileSync(join(import.meta.dirname, 'rules/latchkey.guard'), 'utf8') }

/** Has every synth of this app checked. */
export const checked = (app: App): App => {
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app), new NIST80053R5Checks(app), new CloudFormationValidatePlugin({ guardRules: [guardRules] }))
  return app
}

/** The stacks that a configuration asks for. The access stack is none of them: the account that owns the secrets deploys it from a template of its own. */
export const makeStacks = (scope: App | Stage, config: InfraConfig, codeRoot: string): LatchkeyStack => {
  const env = { account: config.account, region: config.region }
  const stack = new LatchkeyStack(scope, 'Latchkey', { config, codeRoot, env })
  const { placement, key } = stack.latchkey
  if (config.api.kind === 'rest_private' && placement !== undefined) new EdgeStack(scope, 'LatchkeyEdge', { config, placement, key, env }).addStackDependency(stack)
  if (needsFederation(config)) {
    const federation = new FederationStack(scope, 'LatchkeyFederation', { config, env })
    const { partition, region, account } = federation
    acknowledgeSecrets(federation, config, { partition, region, account })
  }
  return stack
}

const contextOf = (app: App, name: string, standard: string): string => {
  const given: unknown = app.node.tryGetContext(name)
  return typeof given === 'string' && given !== '' ? given : standard
}

const main = async (): Promise<void> => {
  const app = checked(new App())
  const [path, codeRoot] = [contextOf(app, 'configFile', 'config.yaml'), contextOf(app, 'codeRoot', 'dist/lambda')]
  const { config } = await fromFile(path, codeRoot)
  makeStacks(app, config, codeRoot)
  app.synth()
}

if (import.meta.main) {
  await main().catch((error: unknown) => {
    if (!(error instanceof LatchkeyError)) throw error
    process.stderr.write(`The stacks cannot be made: ${error.message}\n`)
    process.exitCode = 78
  })
}
