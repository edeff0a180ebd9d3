// Brings the peers up before the tests and takes them down after. A peer that is missing is named and left out; REQUIRE_PEERS=moto,ministack makes it a failure.
// Servers are one entry each; `python_clients`, `litellm_client` and the Go programs are no servers but clients by other people, which examine our fakes; `lambda_ric` runs our archive; `network_namespace` is where
// Google's framework may listen on every interface; `checkov`, `azure_models`, `terraform_schema` and `hcl_format` read our templates, `iam_simulate` our policies.
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { startAzurite } from './azurite/server.ts'
import { startDeploymentServer } from './cdk/server.ts'
import { startPubsub } from './pubsub/server.ts'
import { runtimeClient } from './lambda-ric/runtime-client.ts'
import { startOpenBao } from './openbao/server.ts'
import { goProgram } from './go-programs.ts'
import { tryNamespace } from './network-namespace.ts'
import { npmPackages, pythonEnvironment, startServer, type Peer, type Running } from './python-peers.ts'

const python = (program: string, command: (port: number) => { readonly args: readonly string[]; readonly env?: Record<string, string> }) => async (name: string): Promise<Running> => {
  const bin = join(await pythonEnvironment('aws'), 'bin')
  return startServer(name, (port) => ({ file: join(bin, program), ...command(port) }))
}

// ministack binds every interface unless it is told otherwise.
const ministack = (more: Record<string, string>) => python('ministack', (port) => ({ args: [], env: { GATEWAY_PORT: String(port), BIND_HOST: '127.0.0.1', MINISTACK_ACCOUNT_ID: '123456789012', ...more } }))

/** How each peer is brought up. */
const starters = {
  moto: python('moto_server', (port) => ({ args: ['-H', '127.0.0.1', '-p', String(port)] })),
  ministack: ministack({}),
  ministack_iam: ministack({ AUTH: 'true', AWS_SECRET_ACCESS_KEY: 'test' }),
  ministack_cdk: startDeploymentServer,
  python_clients: async (): Promise<Running> => ({ url: join(await pythonEnvironment('clients'), 'bin', 'python'), stop: async () => undefined }),
  litellm_client: async (): Promise<Running> => ({ url: join(await pythonEnvironment('litellm'), 'bin', 'python'), stop: async () => undefined }),
  openbao: startOpenBao,
  azurite: startAzurite,
  pubsub: startPubsub,
  infisical_client: async (): Promise<Running> => ({ url: await goProgram('infisical-client'), stop: async () => undefined }),
  conjur_client: async (): Promise<Running> => ({ url: await goProgram('conjur-client'), stop: async () => undefined }),
  network_namespace: tryNamespace,
  checkov: async (): Promise<Running> => ({ url: join(await pythonEnvironment('checkov'), 'bin', 'checkov'), stop: async () => undefined }),
  azure_models: async (): Promise<Running> => ({ url: join(await pythonEnvironment('azure_models'), 'bin', 'python'), stop: async () => undefined }),
  terraform_schema: async (): Promise<Running> => ({ url: join(await npmPackages('terraform-schema', join(import.meta.dirname, 'terraform-schema'), { alone: true }), 'node_modules/@cdktf/provider-google/.jsii'), stop: async () => undefined }),
  iam_simulate: async (): Promise<Running> => ({ url: join(await npmPackages('iam-simulate', join(import.meta.dirname, 'iam-simulate')), 'node_modules/@cloud-copilot/iam-simulate/dist/esm/index.js'), stop: async () => undefined }),
  hcl_format: async (): Promise<Running> => ({ url: await goProgram('hcl-format'), stop: async () => undefined }),
  lambda_ric: async (): Promise<Running> => ({ url: await runtimeClient(), stop: async () => undefined }),
} satisfies Record<string, (name: string) => Promise<Running>>

/** One of them. */
export type PeerName = keyof typeof starters
/** The peers of AWS Secrets Manager. */
export const awsPeers = ['moto', 'ministack'] as const satisfies readonly PeerName[]
/** One of those. */
export type AwsPeer = (typeof awsPeers)[number]

declare module 'vitest' {
  /** What the tests are told. */
  export interface ProvidedContext {
    peers: Record<PeerName, Peer>
    python: string
  }
}

const names = Object.keys(starters) as PeerName[]
const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : 'it did not start')

/** Vitest's hook. Returns how everything that was started is stopped. */
export default async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  const required = (process.env['REQUIRE_PEERS'] ?? '').split(',').filter((name) => name !== '')
  const strangers = required.filter((name) => !(names as string[]).includes(name))
  if (strangers.length > 0) throw new Error(`REQUIRE_PEERS names ${strangers.join(', ')}; there are ${names.join(', ')}.`)
  const running: Running[] = []
  const peers = Object.fromEntries(names.map((name) => [name, { missing: '' }])) as Record<PeerName, Peer>
  for (const name of names) {
    try {
      const server = await starters[name](name)
      running.push(server)
      peers[name] = { url: server.url, facts: server.facts ?? {} }
    } catch (error) {
      peers[name] = { missing: reasonOf(error) }
      console.log(`peer ${name} is missing: ${reasonOf(error)}; its exam is left out`)
    }
  }
  const stop = async (): Promise<void> => {
    for (const server of running) await server.stop()
  }
  const lacking = required.filter((name) => 'missing' in peers[name as PeerName])
  if (lacking.length > 0) {
    await stop()
    throw new Error(`REQUIRE_PEERS asks for ${lacking.join(', ')}, which did not start.`)
  }
  provide('peers', peers)
  provide('python', await pythonEnvironment('aws').then((folder) => join(folder, 'bin', 'python'), () => ''))
  return stop
}
