// The CDK as this project uses it: its flags are a decision that is seen when the library changes, and its command line is one that reads what the library writes.
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '../..')
const json = async (path: string): Promise<Readonly<Record<string, unknown>>> => JSON.parse(await readFile(path, 'utf8')) as Readonly<Record<string, unknown>>
const installed = createRequire(import.meta.url)

describe('cdk.json', () => {
  it("has every flag that the installed library recommends, and two decided otherwise", async () => {
    const { context } = (await json(join(root, 'cdk.json'))) as { readonly context: Readonly<Record<string, unknown>> }
    const recommended = await json(installed.resolve('aws-cdk-lib/recommended-feature-flags.json'))

    const { configFile, ...flags } = context

    expect(flags).toEqual({ ...recommended, '@aws-cdk/core:defaultCrossStackReferences': 'strong', '@aws-cdk/customresources:installLatestAwsSdkDefault': false })
    expect(typeof configFile).toBe('string')
  })

  it('runs the app as it is, and reports nothing to anybody', async () => {
    expect(await json(join(root, 'cdk.json'))).toMatchObject({ app: 'node infra/app.ts', versionReporting: false })
  })
})

it('the command line is of the second major: what is called 3.0.0 cannot read what the library writes', async () => {
  const { version } = await json(installed.resolve('aws-cdk/package.json'))

  expect(version).toMatch(/^2\./)
})
