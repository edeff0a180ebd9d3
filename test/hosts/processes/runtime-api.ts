// Lambda's Runtime API on loopback, as AWS documents it (2018-06-01): a runtime asks for its next event, which waits until there is one, and posts what came of
// it. Whatever runtime a test starts against it runs the built function: our own few lines, or AWS's client.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What AWS takes of one answer; a longer one is 413 for the runtime and a failed invocation for the caller. */
export const maxResponseBytes = 6 * 1_048_576 + 100

/** The function that is invoked, as the platform tells it. */
export const invokedFunction = 'arn:aws:lambda:eu-central-1:123456789012:function:latchkey'

/** What became of one event. */
export interface Outcome {
  /** The answer's own text, JSON. */
  readonly response?: string
  readonly error?: { readonly errorType?: string; readonly errorMessage?: string; readonly stackTrace?: unknown }
  /** From the event's delivery to its answer. */
  readonly milliseconds: number
}

interface Waiting {
  readonly id: string
  readonly event: string
  readonly deadline: number
  delivered: number
  settle(outcome: Outcome): void
}

const bodyOf = async (request: IncomingMessage): Promise<string> => {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

/** One function's Runtime API. */
export class RuntimeApi {
  readonly #server: Server
  readonly #queue: Waiting[] = []
  readonly #running = new Map<string, Waiting>()
  #idle: ServerResponse | undefined
  #ready: (() => void)[] = []
  #count = 0
  /** What the runtime said of a failed initialisation. */
  initError: { readonly errorType?: string; readonly errorMessage?: string } | undefined

  private constructor() {
    this.#server = createServer((request, response) => void this.#answer(request, response))
  }

  /** Listens on a free port. */
  static async start(): Promise<RuntimeApi> {
    const api = new RuntimeApi()
    await new Promise<void>((resolve) => api.#server.listen(0, '127.0.0.1', resolve))
    return api
  }

  /** For `AWS_LAMBDA_RUNTIME_API`. */
  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Resolves once a runtime has asked for an event that is not there yet: it is initialised. */
  idle(): Promise<void> {
    return this.#idle === undefined ? new Promise((resolve) => void this.#ready.push(resolve)) : Promise.resolve()
  }

  /** Hands one event to the runtime. `timeoutMs`: the function's time; it is only told, whoever runs the process keeps it. */
  invoke(event: unknown, timeoutMs = 30_000): Promise<Outcome> {
    return new Promise((settle) => {
      this.#count += 1
      const waiting: Waiting = { id: `00000000-0000-4000-8000-${String(this.#count).padStart(12, '0')}`, event: JSON.stringify(event), deadline: timeoutMs, delivered: 0, settle }
      this.#queue.push(waiting)
      if (this.#idle !== undefined) this.#deliver(this.#idle)
    })
  }

  /** Ends whatever is being worked on as the platform does when it kills the runtime. */
  kill(errorType: string): void {
    for (const waiting of this.#running.values()) waiting.settle({ error: { errorType }, milliseconds: performance.now() - waiting.delivered })
    this.#running.clear()
    this.#idle = undefined
  }

  #deliver(response: ServerResponse): void {
    const next = this.#queue.shift()
    this.#idle = next === undefined ? response : undefined
    if (next === undefined) {
      for (const ready of this.#ready.splice(0)) ready()
      return
    }
    next.delivered = performance.now()
    this.#running.set(next.id, next)
    response.writeHead(200, {
      'content-type': 'application/json',
      'lambda-runtime-aws-request-id': next.id,
      'lambda-runtime-deadline-ms': String(Date.now() + next.deadline),
      'lambda-runtime-invoked-function-arn': invokedFunction,
      'lambda-runtime-trace-id': 'Root=1-6740b0a1-1c2d3e4f5a6b7c8d9e0f1a2b;Sampled=0',
    })
    response.end(next.event)
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, id = '', what = ''] = /^\/2018-06-01\/runtime\/(?:invocation\/)?([^/]+)(?:\/(response|error))?$/.exec(request.url ?? '') ?? []
    if (request.method === 'GET' && id === 'next') return this.#deliver(response)
    const body = await bodyOf(request)
    if (id === 'init') {
      this.initError = JSON.parse(body) as { errorMessage?: string }
      return void response.writeHead(202).end()
    }
    const running = this.#running.get(id)
    if (running === undefined) return void response.writeHead(400, { 'content-type': 'application/json' }).end('{"errorType":"InvalidRequestID"}')
    this.#running.delete(id)
    const milliseconds = performance.now() - running.delivered
    if (what === 'error') running.settle({ error: JSON.parse(body) as Outcome['error'] & object, milliseconds })
    else if (Buffer.byteLength(body) > maxResponseBytes) running.settle({ error: { errorType: 'Function.ResponseSizeTooLarge' }, milliseconds })
    else running.settle({ response: body, milliseconds })
    response.writeHead(what === 'response' && Buffer.byteLength(body) > maxResponseBytes ? 413 : 202, { 'content-type': 'application/json' }).end('{"status":"OK"}')
  }

  /** Stops, and lets go of a runtime that still waits. */
  close(): Promise<void> {
    this.#server.closeAllConnections()
    return new Promise((resolve) => this.#server.close(() => resolve()))
  }
}
