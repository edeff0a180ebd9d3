// Azurite, Microsoft's emulator of storage queues, and the client beside it: installed once, from a lockfile of their own, into the cache folder, and started on loopback.
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cacheFolder, run, startServer, type Running } from '../python-peers.ts'

const manifests = ['package.json', 'package-lock.json']

const installed = async (): Promise<string> => {
  const folder = cacheFolder('azurite', manifests.map((file) => readFileSync(join(import.meta.dirname, file), 'utf8')).join('\n'))
  const complete = join(folder, '.complete')
  if (existsSync(complete)) return folder
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  for (const file of manifests) cpSync(join(import.meta.dirname, file), join(folder, file))
  // The registry's own settings belong to whoever runs this. Nothing of it needs to be built.
  await run('npm', ['ci', '--prefix', folder, '--ignore-scripts', '--no-fund', '--no-audit'], { ...process.env })
  writeFileSync(complete, '')
  return folder
}

/** Starts the queues. Facts: `client`, the folder in which the queue client is installed. @throws when the registry cannot be reached */
export const startAzurite = async (name: string): Promise<Running> => {
  const folder = await installed()
  const main = join(folder, 'node_modules/azurite/dist/src/queue/main.js')
  // Telemetry is on unless it is told otherwise, and the client's version of the protocol is newer than the server's.
  const quiet = ['--inMemoryPersistence', '--disableTelemetry', '--silent', '--skipApiVersionCheck']
  const running = await startServer(name, (port) => ({ file: process.execPath, args: [main, '--queueHost', '127.0.0.1', '--queuePort', String(port), ...quiet] }))
  return { ...running, facts: { client: folder } }
}
