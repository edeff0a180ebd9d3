// Writes one cloud assembly with a deployment for each configuration that is named, each in a stage of its own: several front doors stand side by side. A process of its own, because the stacks are typed
// apart from the rest. The validation of the CDK itself is left out: `guard.test.ts` has it look at every kind of deployment.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { App, Stage } from 'aws-cdk-lib'
import { makeStacks } from '../../../infra/app.ts'
import { removeScratch } from './stacks.ts'
import { configOf } from './subject.ts'

const [outdir = '', codeRoot = '', qualifier = '', ...files] = process.argv.slice(2)
process.env['CDK_VALIDATION'] = 'false'
const { context } = JSON.parse(readFileSync(join(import.meta.dirname, '../../../cdk.json'), 'utf8')) as { readonly context: Readonly<Record<string, unknown>> }
const app = new App({ context: { ...context, '@aws-cdk/core:bootstrapQualifier': qualifier }, outdir, analyticsReporting: false })
for (const file of files) {
  const [stage = '', path = ''] = file.split('=')
  makeStacks(new Stage(app, stage), await configOf(readFileSync(path, 'utf8')), codeRoot)
}
app.synth()
removeScratch()
