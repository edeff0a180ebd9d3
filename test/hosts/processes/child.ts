// A child process that answers on its standard output in lines of JSON behind `@ `; everything else that it prints is its log.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

/** One process of a test. */
export class Child {
  readonly #process: ChildProcess
  readonly #lines: string[] = []
  readonly #waiting: ((line: string | undefined) => void)[] = []
  readonly log: string[] = []
  stderr = ''

  /** Default: a process of Node. */
  constructor(args: readonly string[], env: Readonly<Record<string, string>>, program: string = process.execPath) {
    this.#process = spawn(program, args, { env: { PATH: process.env['PATH'] ?? '', ...env }, stdio: 'pipe' })
    this.#process.stderr?.on('data', (chunk: Buffer) => (this.stderr += chunk.toString('utf8')))
    if (this.#process.stdout === null) throw new Error('the process has no output')
    const lines = createInterface({ input: this.#process.stdout })
    lines.on('line', (line) => {
      if (!line.startsWith('@ ')) return void this.log.push(line)
      const waiting = this.#waiting.shift()
      if (waiting === undefined) this.#lines.push(line.slice(2))
      else waiting(line.slice(2))
    })
    lines.on('close', () => this.#waiting.splice(0).forEach((waiting) => waiting(undefined)))
  }

  get pid(): number | undefined {
    return this.#process.pid
  }

  /** Everything it printed, for whoever looks for what must not be there. */
  get output(): string {
    return `${this.log.join('\n')}\n${this.stderr}`
  }

  say(line: unknown): void {
    this.#process.stdin?.write(`${JSON.stringify(line)}\n`)
  }

  /** Tells it that nothing more will be said. */
  end(): void {
    this.#process.stdin?.end()
  }

  /** Its next answer. @throws with its log when it ended instead */
  async next<T>(): Promise<T> {
    const line = this.#lines.shift() ?? (await new Promise<string | undefined>((resolve) => void this.#waiting.push(resolve)))
    if (line === undefined) throw new Error(`the process ended: ${this.output}`)
    return JSON.parse(line) as T
  }

  /** Resolves with its exit code once it has ended by itself. */
  async ended(): Promise<number | null> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) await once(this.#process, 'exit')
    return this.#process.exitCode
  }

  async close(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    this.#process.kill('SIGKILL')
    await once(this.#process, 'exit')
  }
}
