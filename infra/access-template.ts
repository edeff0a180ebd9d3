// `npm run template:access`: writes the template that owners of secrets deploy, as it is released and as it stands in the repository.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { App, type Stack } from 'aws-cdk-lib'
import { AccessStack } from './access-stack.ts'

const root = join(import.meta.dirname, '..')

/** Where it stands. */
export const accessTemplatePath = join(root, 'infra/access.template.json')

/** Joins of text and references as one text with names in it: whoever is to deploy this reads it first. */
const readable = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(readable)
  if (value === null || typeof value !== 'object') return value
  const [separator, parts] = ('Fn::Join' in value ? value['Fn::Join'] : []) as [string?, (string | { readonly Ref?: string })[]?]
  if (separator === '' && Array.isArray(parts) && parts.every((part) => typeof part === 'string' || typeof part.Ref === 'string')) {
    return { 'Fn::Sub': parts.map((part) => (typeof part === 'string' ? part.replaceAll('${', '${!') : `\${${part.Ref ?? ''}}`)).join('') }
  }
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, readable(item)]))
}

/** A stack's template as text, synthesized alone with the feature flags of cdk.json. What validates templates is `cdk synth`. */
const templateText = async (make: (app: App) => Stack): Promise<string> => {
  const { context } = JSON.parse(await readFile(join(root, 'cdk.json'), 'utf8')) as { readonly context: Readonly<Record<string, unknown>> }
  const app = new App({ context, analyticsReporting: false, builtinCloudFormationValidation: false })
  const stack = make(app)
  return `${JSON.stringify(readable(app.synth().getStackByName(stack.stackName).template), null, 1)}\n`
}

/** The template as it is made now. */
export const accessTemplate = (): Promise<string> => templateText((app) => new AccessStack(app, 'LatchkeyAccess'))

if (import.meta.main) await writeFile(accessTemplatePath, await accessTemplate())
