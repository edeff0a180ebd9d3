// The local server as a process of its own, as `npm start` runs it, in a scratch folder and with nothing in its environment but what a test gives.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const entry = join(import.meta.dirname, '../../functions/local/server.ts')

export interface ServerProcess {
  readonly child: ChildProcess
  readonly url: string
  /** What it printed so far. */
  output(): string
  /** The commands it printed to paste. */
  readonly curls: readonly string[]
  /** The master key it made for this run. */
  readonly masterKey: string
}

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A folder of its own for one test's servers, which `close` stops and takes away. */
export class ServerFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'latchkey-server-'))
  readonly #children: ChildProcess[] = []

  write(name: string, text: string): string {
    writeFileSync(join(this.path, name), text)
    return join(this.path, name)
  }

  #spawn(env: Readonly<Record<string, string>>, args: readonly string[]): ChildProcess {
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', entry, ...args], {
      cwd: this.path,
      env: { PATH: process.env['PATH'] ?? '', PORT: '0', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#children.push(child)
    return child
  }

  /** Starts a server that is expected to listen. @throws what it printed, when it ends instead */
  async start(env: Readonly<Record<string, string>> = {}, args: readonly string[] = []): Promise<ServerProcess> {
    const child = this.#spawn(env, args)
    let stdout = ''
    let stderr = ''
    child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString('utf8')))
    await new Promise<void>((resolve, reject) => {
      child.stdout?.on('data', (chunk: Buffer) => {
        stdout += chunk.toString('utf8')
        if (/\n\n(?:curl .*\n){3}/.test(stdout)) resolve()
      })
      child.once('exit', (code) => reject(new Error(`the server ended with ${code}: ${stderr}`)))
    })
    return {
      child,
      url: /on (http:\S+)/.exec(stdout)?.[1] ?? '',
      output: () => stdout + stderr,
      curls: stdout.split('\n').filter((line) => line.startsWith('curl ')),
      masterKey: /sk-[\w-]{43}/.exec(stdout)?.[0] ?? '',
    }
  }

  /** Starts a server that is expected to refuse. */
  async refuse(env: Readonly<Record<string, string>> = {}, args: readonly string[] = []): Promise<Ended> {
    const child = this.#spawn(env, args)
    const said = { stdout: '', stderr: '' }
    child.stdout?.on('data', (chunk: Buffer) => (said.stdout += chunk.toString('utf8')))
    child.stderr?.on('data', (chunk: Buffer) => (said.stderr += chunk.toString('utf8')))
    const [code] = (await once(child, 'close')) as [number | null]
    return { code, ...said }
  }

  async close(): Promise<void> {
    for (const child of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    rmSync(this.path, { recursive: true, force: true })
  }
}
