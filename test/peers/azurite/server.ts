// Azurite, Microsoft's emulator of storage queues, and the client beside it: installed once, from a lockfile of their own, into the cache folder, and started on loopback.
import { join } from 'node:path'
import { npmPackages, startServer, type Running } from '../python-peers.ts'

/** Starts the queues. Facts: `client`, the folder in which the queue client is installed. @throws when the registry cannot be reached */
export const startAzurite = async (name: string): Promise<Running> => {
  const folder = await npmPackages('azurite', import.meta.dirname)
  const main = join(folder, 'node_modules/azurite/dist/src/queue/main.js')
  // Telemetry is on unless it is told otherwise, and the client's version of the protocol is newer than the server's.
  const quiet = ['--inMemoryPersistence', '--disableTelemetry', '--silent', '--skipApiVersionCheck']
  const running = await startServer(name, (port) => ({ file: process.execPath, args: [main, '--queueHost', '127.0.0.1', '--queuePort', String(port), ...quiet] }))
  return { ...running, facts: { client: folder } }
}
