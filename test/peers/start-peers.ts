// Brings the peers up before the tests and takes them down after. A peer that is missing is named and left out; REQUIRE_PEERS=moto,ministack makes it a failure.
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { pythonEnvironment, startServer, type Peer, type Running } from './python-peers.ts'

/** The peers of AWS Secrets Manager. */
export const awsPeers = ['moto', 'ministack'] as const
/** One of them. */
export type AwsPeer = (typeof awsPeers)[number]

declare module 'vitest' {
  /** What the tests are told. */
  export interface ProvidedContext {
    peers: Record<AwsPeer, Peer>
    python: string
  }
}

const commands = {
  moto: (bin: string, port: number) => ({ file: join(bin, 'moto_server'), args: ['-H', '127.0.0.1', '-p', String(port)] }),
  // It binds every interface unless it is told otherwise.
  ministack: (bin: string, port: number) => ({ file: join(bin, 'ministack'), args: [], env: { GATEWAY_PORT: String(port), BIND_HOST: '127.0.0.1', MINISTACK_ACCOUNT_ID: '123456789012' } }),
} satisfies Record<AwsPeer, unknown>

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : 'it did not start')

/** Vitest's hook. Returns how everything that was started is stopped. */
export default async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  const required = (process.env['REQUIRE_PEERS'] ?? '').split(',').filter((name) => name !== '')
  const strangers = required.filter((name) => !(awsPeers as readonly string[]).includes(name))
  if (strangers.length > 0) throw new Error(`REQUIRE_PEERS names ${strangers.join(', ')}; there are ${awsPeers.join(', ')}.`)
  const running: Running[] = []
  const peers: Record<AwsPeer, Peer> = { moto: { missing: '' }, ministack: { missing: '' } }
  const folder = await pythonEnvironment().catch(reasonOf)
  const ready = folder.startsWith('/')
  for (const name of awsPeers) {
    try {
      if (!ready) throw new Error(folder)
      const server = await startServer(name, (port) => commands[name](join(folder, 'bin'), port))
      running.push(server)
      peers[name] = { url: server.url }
    } catch (error) {
      peers[name] = { missing: reasonOf(error) }
      console.log(`peer ${name} is missing: ${reasonOf(error)}; its exam is left out`)
    }
  }
  const stop = async (): Promise<void> => {
    for (const server of running) await server.stop()
  }
  const lacking = required.filter((name) => 'missing' in peers[name as AwsPeer])
  if (lacking.length > 0) {
    await stop()
    throw new Error(`REQUIRE_PEERS asks for ${lacking.join(', ')}, which did not start.`)
  }
  provide('peers', peers)
  provide('python', ready ? join(folder, 'bin', 'python') : '')
  return stop
}
