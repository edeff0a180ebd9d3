// A built function in a process of its own, invoked with events as the platform would; its environment is what a test gives and nothing else.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'

/** What one invocation gave, and what the process had loaded by then. */
export interface Invocation {
  readonly answer?: { readonly statusCode: number; readonly headers: Readonly<Record<string, string>>; readonly body: string; readonly isBase64Encoded: boolean }
  readonly error?: { readonly name: string; readonly message: string }
  readonly undici: boolean
  readonly builtins: number
  readonly rss: number
}

/** A recorded event, with the caller's token and whatever else a test changes put in. */
export const recorded = (name: string, token: string, change: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> => ({
  ...(JSON.parse(readFileSync(join(import.meta.dirname, `../fixtures/lambda/${name}.json`), 'utf8').replaceAll('MASTER', token)) as Record<string, unknown>),
  ...change,
})

export class LambdaProcess {
  readonly #child: ChildProcess
  readonly #replies: AsyncIterator<string>
  readonly #lines: Interface
  /** Everything it logged. */
  readonly log: string[] = []
  stderr = ''

  constructor(bundle: string, env: Readonly<Record<string, string>>) {
    this.#child = spawn(process.execPath, [join(import.meta.dirname, 'invoke.mjs'), bundle], { env: { PATH: process.env['PATH'] ?? '', ...env }, stdio: 'pipe' })
    this.#child.stderr?.on('data', (chunk: Buffer) => (this.stderr += chunk.toString('utf8')))
    if (this.#child.stdout === null) throw new Error('the process has no output')
    this.#lines = createInterface({ input: this.#child.stdout })
    this.#replies = this.#lines[Symbol.asyncIterator]()
  }

  async #reply(): Promise<Record<string, unknown>> {
    for (;;) {
      const { value, done } = await this.#replies.next()
      if (done === true) throw new Error(`the function ended: ${this.stderr}${this.log.join('\n')}`)
      if (value.startsWith('@ ')) return JSON.parse(value.slice(2)) as Record<string, unknown>
      this.log.push(value)
    }
  }

  /** Waits until the bundle is loaded. @throws when loading fails */
  async ready(): Promise<{ readonly loaded: number; readonly undici: boolean }> {
    return (await this.#reply()) as { loaded: number; undici: boolean }
  }

  async invoke(event: unknown, remainingMs = 30_000): Promise<Invocation> {
    this.#child.stdin?.write(`${JSON.stringify({ event, remainingMs })}\n`)
    return (await this.#reply()) as unknown as Invocation
  }

  async close(): Promise<void> {
    this.#lines.close()
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    this.#child.kill('SIGKILL')
    await once(this.#child, 'exit')
  }
}
