// Latchkey in somebody else's app: the package is made, packed by npm, laid into a folder beside nothing but the CDK and what it depends on, and an app of a few lines is synthesized from it.
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { subpaths, writePackage } from '../../infra/package.ts'
import { removeScratch, scratchFolder } from './support/stacks.ts'
import { resourcesOf, type Template } from './support/template.ts'

afterAll(removeScratch)

const root = join(import.meta.dirname, '../..')
const theirs = scratchFolder('theirs')
const modules = join(theirs, 'node_modules')

const config = `
general_settings: { master_key: os.environ/LITELLM_MASTER_KEY, key_management_system: aws_secret_manager, key_management_settings: { access_mode: read_and_write, aws_region_name: eu-central-1 } }
latchkey: { deployment: { name: theirs, account: "123456789012" } }
`
const app = `
import { App } from 'aws-cdk-lib'
import { fromFile } from 'latchkey/infra/from-file'
import { LatchkeyStack } from 'latchkey/infra/latchkey-stack'

const app = new App({ outdir: 'cdk.out', analyticsReporting: false })
new LatchkeyStack(app, 'Latchkey', await fromFile('config.yaml'))
app.synth()
`

const node = (...given: readonly string[]): string => execFileSync(process.execPath, given, { cwd: theirs, encoding: 'utf8', env: { PATH: process.env['PATH'], CDK_VALIDATION: 'false' }, stdio: ['ignore', 'pipe', 'pipe'] })
/** What the compiler says of files of theirs, one line a mistake; declarations of the package are looked at as well. */
const mistakes = (...files: readonly string[]): readonly string[] => {
  try {
    return node(join(root, 'node_modules/typescript/bin/tsc'), '--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2022', '--types', 'node', '--typeRoots', join(root, 'node_modules/@types'), '--skipLibCheck', 'false', ...files).split('\n').filter((line) => line !== '')
  } catch (error) {
    return String((error as { readonly stdout?: unknown }).stdout).trim().split('\n').filter((line) => !line.startsWith(' '))
  }
}

beforeAll(() => {
  const made = scratchFolder('package')
  writePackage(made)
  const [archive] = JSON.parse(execFileSync('npm', ['pack', '--json', '--offline', '--pack-destination', theirs], { cwd: made, encoding: 'utf8' })) as readonly { readonly filename: string }[]
  mkdirSync(join(modules, 'latchkey'), { recursive: true })
  execFileSync('tar', ['-xzf', join(theirs, archive?.filename ?? ''), '-C', join(modules, 'latchkey'), '--strip-components=1'])
  const { dependencies, peerDependencies } = JSON.parse(readFileSync(join(modules, 'latchkey/package.json'), 'utf8')) as Readonly<Record<'dependencies' | 'peerDependencies', Readonly<Record<string, string>>>>
  for (const name of Object.keys({ ...dependencies, ...peerDependencies })) symlinkSync(join(root, 'node_modules', name), join(modules, name))
  writeFileSync(join(theirs, 'package.json'), '{ "type": "module" }')
  writeFileSync(join(theirs, 'config.yaml'), config)
  writeFileSync(join(theirs, 'app.js'), app)
}, 180_000)

describe('the package', () => {
  it('asks for the CDK of the app, and brings a parser of YAML', () => {
    expect(readdirSync(modules).toSorted()).toEqual(['aws-cdk-lib', 'constructs', 'latchkey', 'yaml'])
  })

  it('holds no TypeScript that node would have to strip, and no test', () => {
    const files = readdirSync(join(modules, 'latchkey'), { recursive: true, encoding: 'utf8' })

    expect(files.filter((file) => (file.endsWith('.ts') && !file.endsWith('.d.ts')) || file.startsWith('test'))).toEqual([])
    expect(files).toContain(join('lambda', 'read', 'read.mjs'))
  })

  it('gives every part by its own name', () => {
    const names = Object.keys(subpaths).map((name) => `latchkey/infra/${name}`)

    const said = node('--input-type=module', '--eval', `for (const name of ${JSON.stringify(names)}) console.log(Object.keys(await import(name)).length > 0)`)

    expect(said.trim().split('\n')).toEqual(names.map(() => 'true'))
  })

  it('gives nothing else', () => {
    expect(() => node('--input-type=module', '--eval', "await import('latchkey/infra/policies')")).toThrow(/ERR_PACKAGE_PATH_NOT_EXPORTED/)
  })
})

describe('an app of somebody else', () => {
  it('has a deployment of their file, and functions with that file in them', () => {
    node('app.js')

    const template = JSON.parse(readFileSync(join(theirs, 'cdk.out/Latchkey.template.json'), 'utf8')) as Template
    const functions = Object.values(resourcesOf(template, 'AWS::Lambda::Function', { account: '123456789012', region: 'eu-central-1' }))
    const assets = readdirSync(join(theirs, 'cdk.out'), { withFileTypes: true }).filter((entry) => entry.isDirectory()).map(({ name }) => join(theirs, 'cdk.out', name))
    expect(functions.map((one) => one['FunctionName']).toSorted()).toEqual(['theirs-keys', 'theirs-read', 'theirs-rotate'])
    expect(assets.map((folder) => (JSON.parse(readFileSync(join(folder, 'latchkey.json'), 'utf8')) as { readonly file: unknown }).file)).toEqual(Array(3).fill({ general_settings: { master_key: 'os.environ/LITELLM_MASTER_KEY', key_management_system: 'aws_secret_manager', key_management_settings: { access_mode: 'read_and_write', aws_region_name: 'eu-central-1' } }, latchkey: {} }))
  })

  it('is told of a mistake in the file as anybody is', () => {
    writeFileSync(join(theirs, 'config.yaml'), config.replace('name: theirs', 'nme: theirs'))

    expect(() => node('app.js')).toThrow(/config\.yaml: latchkey\.deployment\.nme is not a setting; did you mean name\?/)
  })

  it('is told by its compiler what a prop may be, and of nothing else', () => {
    writeFileSync(join(theirs, 'app.ts'), app)
    writeFileSync(join(theirs, 'wrong.ts'), app.replace("await fromFile('config.yaml')", "{ ...(await fromFile('config.yaml')), codeRoot: 1 }"))

    expect(mistakes('app.ts', 'wrong.ts')).toEqual([expect.stringMatching(/^wrong\.ts\(7,.*Type 'number' is not assignable to type 'string'/)])
  }, 60_000)
})
