// Google's own test server of Pub/Sub (`pubsub-server/`) and Google's client of it, installed once, from a lockfile of its own, into the cache folder.
import { spawn } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { goProgram } from '../go-programs.ts'
import { cacheFolder, run, type Running } from '../python-peers.ts'

const manifests = ['package.json', 'package-lock.json']

const client = async (): Promise<string> => {
  const folder = cacheFolder('pubsub', manifests.map((file) => readFileSync(join(import.meta.dirname, file), 'utf8')).join('\n'))
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

/** Starts the server and waits for its address, 30 s at most. Facts: `client`, the folder in which Google's client is installed. */
export const startPubsub = async (): Promise<Running> => {
  const [program, folder] = [await goProgram('pubsub-server'), await client()]
  const child = spawn(program, [], { env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', HOME: tmpdir() }, stdio: ['pipe', 'pipe', 'ignore'] })
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
  const stop = async (): Promise<void> => {
    child.stdin.end()
    await ended
  }
  const address = await Promise.race([
    new Promise<string | undefined>((resolve) => void createInterface({ input: child.stdout }).once('line', resolve)),
    ended.then(() => undefined),
    new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 30_000).unref()),
  ])
  if (address === undefined) {
    await stop()
    throw new Error('it did not answer within 30 s')
  }
  return { url: address, facts: { client: folder }, stop }
}
