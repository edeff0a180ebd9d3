// Google's own test server of Pub/Sub (`pubsub-server/`) and Google's client of it, installed once, from a lockfile of its own, into the cache folder.
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { goProgram, startProgram } from '../go-programs.ts'
import { npmPackages, type Running } from '../python-peers.ts'

/** Starts the server and waits for its address. */
export const serveTopics = async (program: string): Promise<Running> => {
  const { line, stop } = await startProgram(program, [], mkdtempSync(join(tmpdir(), 'latchkey-peer-pubsub-')))
  return { url: line, stop }
}

/** Starts the peer. Facts: `client`, the folder in which Google's client is installed; `program`, the server's own. */
export const startPubsub = async (): Promise<Running> => {
  const [program, client] = [await goProgram('pubsub-server'), await npmPackages('pubsub', import.meta.dirname)]
  return { ...(await serveTopics(program)), facts: { client, program } }
}
