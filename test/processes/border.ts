// The border between processes of ours and the fakes: a gate on loopback before each fake, which counts what passes, and which can kill the process at one request,
// before the fake has seen it or after it carried it out. Neither the fake nor the process knows of it.
import { Agent, createServer, request as ask, type IncomingMessage, type ServerResponse } from 'node:http'
import { bodyOf, listen } from '../fakes/wire.ts'

/** One request that reached a gate. */
export interface Crossing {
  /** Whose gate it was. */
  readonly service: string
  readonly method: string
  /** With the query, as it was sent. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

/** What a request is called: AWS's operations by their names, the rest by method and path, without the query. */
export const nameOf = ({ method, path, headers }: Crossing): string => headers['x-amz-target']?.split('.')[1] ?? `${method} ${path.split('?')[0] ?? ''}`

/** Whether a request is made to change something; a login is not. */
export const changes = (crossing: Crossing): boolean => {
  const call = nameOf(crossing)
  return call.includes(' ') ? !/^GET |\/(?:authenticate|login|token)$/.test(call) : !/^(?:Get|List|Describe|Batch)/.test(call)
}

/** Where a process ends: at its n-th request, which the fake does not see, or carries out without being heard. */
export interface Strike {
  readonly nth: number
  readonly when: 'before' | 'after'
  /** Must have ended the process when it returns. */
  kill(): void
}

/** Gates that share one count. */
export class Border {
  /** What passed since the last {@link arm}, also a request that was struck, in the order in which they were whole. */
  crossings: Crossing[] = []
  /** Whether the strike was carried out. */
  struck = false
  #strike: Strike | undefined
  readonly #closing: (() => Promise<void>)[] = []
  readonly #agent = new Agent({ keepAlive: true })
  readonly #log: Crossing[]

  /** `log`: where everything that ever passes is written as well. */
  constructor(log: Crossing[] = []) {
    this.#log = log
  }

  /** Counts anew from one, with a strike or without. */
  arm(strike?: Strike): void {
    this.crossings = []
    this.struck = false
    this.#strike = strike
  }

  /** Opens a gate before `url`. Answers the gate's own address. */
  async before(service: string, url: string): Promise<string> {
    const server = createServer((incoming, response) => void this.#pass(service, url, incoming, response).catch(() => response.destroy()))
    const { port, close } = await listen(server)
    this.#closing.push(close)
    return `http://127.0.0.1:${port}`
  }

  async close(): Promise<void> {
    for (const close of this.#closing) await close()
    this.#agent.destroy()
  }

  async #pass(service: string, url: string, incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bodyOf(incoming)
    const { method = '', url: path = '', headers } = incoming
    const crossing = { service, method, path, headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)])), body }
    this.#log.push(crossing)
    const count = this.crossings.push(crossing)
    const strike = this.#strike?.nth === count ? this.#strike : undefined
    const end = (): void => {
      this.struck = true
      strike?.kill()
      response.destroy()
    }
    if (strike?.when === 'before') return end()
    const answer = await passedOn(url, incoming, body, this.#agent)
    if (strike !== undefined) return end()
    response.writeHead(answer.status, answer.headers)
    response.end(answer.body)
  }
}

/** The same request at the fake, with the gate's own name as host: what is signed is signed for that. */
const passedOn = (url: string, { method, url: path, headers }: IncomingMessage, body: Buffer, agent: Agent): Promise<{ status: number; headers: IncomingMessage['headers']; body: Buffer }> =>
  new Promise((resolve, reject) => {
    const sent = ask(`${url}${path ?? ''}`, { method, headers, agent }, (answer) => {
      bodyOf(answer).then((text) => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: text }), reject)
    })
    sent.on('error', reject)
    sent.end(body)
  })
