// `npm run package`: makes dist/package, from which `npm pack` makes what an app of somebody else installs. Node runs no TypeScript below node_modules, so constructs and stacks are
// JavaScript with declarations there; the built functions are in it as well. Nothing of it is published from here.
import { execFileSync } from 'node:child_process'
import { cpSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const root = join(import.meta.dirname, '..')

/** What an app may import of it, as `latchkey/infra/<name>`: each name is a file below `infra`. */
export const subpaths: Readonly<Record<string, string>> = {
  latchkey: 'constructs/latchkey',
  'latchkey-stack': 'latchkey-stack',
  'from-file': 'deployment/from-file',
  'edge-stack': 'edge-stack',
  'access-stack': 'access-stack',
  'secret-access-role': 'constructs/secret-access-role',
  'federation-stack': 'federation-stack',
  'inbound-federation': 'constructs/inbound-federation',
  'outbound-federation': 'constructs/outbound-federation',
  'gateway-identity': 'constructs/gateway-identity',
}

/** What is deployed without an app, and checked in one: the template for owners of secrets, and our Guard rules. */
const files: Readonly<Record<string, string>> = { 'access.template.json': 'infra/access.template.json', 'latchkey.guard': 'infra/rules/latchkey.guard' }

interface Manifest {
  readonly name: string
  readonly version: string
  readonly description: string
  readonly license: string
  readonly engines: Readonly<Record<string, string>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
}

/** The package's own package.json. The CDK is the app's, in no version that is older than the one that is tested here. */
const manifestOf = ({ name, version, description, license, engines, dependencies, devDependencies }: Manifest): object => ({
  name, version, description, license, type: 'module', engines,
  exports: {
    ...Object.fromEntries(Object.entries(subpaths).map(([subpath, file]) => [`./infra/${subpath}`, { types: `./infra/${file}.d.ts`, default: `./infra/${file}.js` }])),
    ...Object.fromEntries(Object.entries(files).map(([subpath, file]) => [`./infra/${subpath}`, `./${file}`])),
  },
  dependencies: { yaml: dependencies['yaml'] },
  peerDependencies: Object.fromEntries(['aws-cdk-lib', 'constructs'].map((peer) => [peer, `^${devDependencies[peer] ?? ''}`])),
})

/** Makes the folder anew. */
export const writePackage = (folder: string): void => {
  rmSync(folder, { recursive: true, force: true })
  const run = (script: string, ...given: readonly string[]): void => void execFileSync(process.execPath, [script, ...given], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] })
  run(join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc'), '-p', 'infra/tsconfig.package.json', '--outDir', folder)
  run('functions/build.ts', '--host', 'lambda', '--out', join(folder, 'built'))
  renameSync(join(folder, 'built/lambda'), join(folder, 'lambda'))
  rmSync(join(folder, 'built'), { recursive: true })
  for (const file of [...Object.values(files), 'LICENSE', 'CHANGELOG.md']) cpSync(join(root, file), join(folder, file))
  cpSync(join(root, 'infra/README.md'), join(folder, 'README.md'))
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifestOf(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest), null, 2)}\n`)
}

if (import.meta.main) writePackage(join(root, 'dist/package'))
