// The Go peers: a program of a few lines in a folder of its own beside this file, built from pinned modules into the cache folder, once for every go.sum.
// Two builds of one program at once would fight for the cache, so each waits for the other by building under a name of its own and renaming.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { cacheFolder, run } from './python-peers.ts'

/** The path of the program made from `test/peers/<folder>`, built when it is not there. @throws when there is no Go, or its module proxy cannot be reached */
export const goProgram = async (folder: string, flags: readonly string[] = []): Promise<string> => {
  const source = join(import.meta.dirname, folder)
  const content = readdirSync(source).filter((file) => /\.go$|^go\.(mod|sum)$/.test(file)).sort().map((file) => readFileSync(join(source, file), 'utf8')).join('\n')
  const kept = cacheFolder(folder, content)
  const program = join(kept, folder)
  if (existsSync(program)) return program
  mkdirSync(kept, { recursive: true })
  const draft = join(kept, `${folder}.${process.pid}`)
  // The module cache and the registry's own settings belong to whoever runs this. go.sum is what was pinned: a build never adds a line to it.
  await run('go', ['build', '-C', source, '-mod=readonly', '-trimpath', ...flags, '-o', draft, '.'], { ...process.env, GOFLAGS: '' })
  renameSync(draft, program)
  return program
}

/** Starts one that prints a line once it answers, and ends when its input does: so it never outlives us. Waits 30 s at most. `scratch` is its home, and goes with it. */
export const startProgram = async (program: string, args: readonly string[], scratch: string): Promise<{ readonly line: string; stop(): Promise<void> }> => {
  const child = spawn(program, args, { cwd: scratch, env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', HOME: scratch }, stdio: ['pipe', 'pipe', 'ignore'] })
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
  const stop = async (): Promise<void> => {
    child.stdin.end()
    await ended
    rmSync(scratch, { recursive: true, force: true })
  }
  const line = await Promise.race([
    new Promise<string | undefined>((resolve) => void createInterface({ input: child.stdout }).once('line', resolve)),
    ended.then(() => undefined),
    new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 30_000).unref()),
  ])
  if (line !== undefined) return { line, stop }
  await stop()
  throw new Error('it did not answer within 30 s')
}
