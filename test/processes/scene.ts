// One store and one gateway as fakes that stay, and real local servers on them that may go: the program of `npm start`, each a process of its own, behind a border of its own.
// The next server can be started and logged in before the one before it is killed.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fakeMasterKey, startLitellmFake, type RunningLitellm } from '../fakes/litellm-gateway.ts'
import { fakeSystems, type RunningSystem } from '../fakes/run.ts'
import { ServerFolder, type ServerProcess } from '../hosts/server-process.ts'
import { Border, type Crossing, type Strike } from './border.ts'

/** An answer of a server. */
export interface Said {
  readonly status: number
  readonly json: Readonly<Record<string, unknown>>
}

const masterKey = 'sk-0123456789abcdef0123456789abcdef-of-these-tests'
/** May read the value of a key, which the master key may not. */
const auditorToken = 'sk-auditor-0123456789abcdef0123456789abcdef'
const clockAhead = new URL('clock-ahead.ts', import.meta.url).href

/** Node's cache of compiled code makes a start much faster; only a server that ends by itself adds to it. */
const compiled = mkdtempSync(join(tmpdir(), 'latchkey-compiled-'))
process.on('exit', () => rmSync(compiled, { recursive: true, force: true }))

/** One real server. */
export class Server {
  readonly border: Border
  readonly #process: ServerProcess
  readonly #gone: Promise<unknown>

  constructor(started: ServerProcess, border: Border) {
    this.border = border
    this.#process = started
    this.#gone = once(started.child, 'exit')
  }

  /** Sends one request as the operator. @throws when the server dies over it */
  async send(line: string, body?: object, headers: Readonly<Record<string, string>> = {}): Promise<Said> {
    const [method = 'GET', path = '/'] = line.split(' ')
    const answer = await fetch(`${this.#process.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${masterKey}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    return { status: answer.status, json: (await answer.json()) as Said['json'] }
  }

  /** The token that is current in the store, as whoever may read it is answered; nothing where there is none. */
  async reveal(alias: string): Promise<string | undefined> {
    const { json } = await this.send(`GET /secrets/litellm/${alias}`, undefined, { authorization: `Bearer ${auditorToken}` })
    return typeof json['value'] === 'string' ? json['value'] : undefined
  }

  /** Does what kills the server. Answers whether the strike was carried out, and what was said in place of it. */
  async struck(strike: Omit<Strike, 'kill'>, act: () => Promise<Said>): Promise<{ readonly struck: boolean; readonly said?: Said }> {
    this.border.arm({ ...strike, kill: () => void this.#process.child.kill('SIGKILL') })
    const said = await act().catch(() => undefined)
    const { struck } = this.border
    if (struck) await this.#gone
    this.border.arm()
    return { struck, ...(said === undefined ? {} : { said }) }
  }

  /** Lets it end by itself. */
  async stop(): Promise<void> {
    this.#process.child.kill('SIGTERM')
    await this.#gone
  }
}

interface Told {
  readonly key: string
  readonly key_alias?: string
  readonly blocked?: boolean
  readonly metadata?: { readonly latchkey?: { readonly key_id?: string } }
}

/** The fakes, and the servers on them. */
export class Scene {
  readonly system: string
  readonly #store: RunningSystem
  readonly #litellm: RunningLitellm
  readonly #folder = new ServerFolder()
  readonly #borders: Border[] = []
  readonly #crossings: Crossing[] = []
  readonly #time: { ahead: number }
  readonly #gateway: boolean

  private constructor(system: string, gateway: boolean, store: RunningSystem, litellm: RunningLitellm, time: { ahead: number }) {
    this.system = system
    this.#gateway = gateway
    this.#store = store
    this.#litellm = litellm
    this.#time = time
  }

  /** Starts the fakes of one system, and no server yet. `gateway`: whether servers have one; default `true`. */
  static async open(system: string, { gateway = true }: { readonly gateway?: boolean } = {}): Promise<Scene> {
    const time = { ahead: 0 }
    const now = (): number => Date.now() + time.ahead
    const begin = fakeSystems[system]
    if (begin === undefined) throw new Error(`${system} has no fake`)
    return new Scene(system, gateway, await begin(masterKey, now), await startLitellmFake({ now }), time)
  }

  /** Starts a server and has it ask for a key that is not there, so that it is logged in. */
  async start(): Promise<Server> {
    const border = new Border(this.#crossings)
    this.#borders.push(border)
    const address = await border.before('store', this.#store.url)
    const config = {
      general_settings: { master_key: masterKey, key_management_system: this.system, key_management_settings: { access_mode: 'read_and_write', store_virtual_keys: true } },
      latchkey: {
        ...(this.#gateway ? { gateway: { url: await border.before('gateway', this.#litellm.url), master_key: fakeMasterKey } } : {}),
        access: [{ name: 'auditor', token_sha256: createHash('sha256').update(auditorToken).digest('hex'), grants: [{ action: 'keys:reveal', names: ['**'] }] }],
      },
    }
    const file = this.#folder.write(`config-${this.#borders.length}.yaml`, JSON.stringify(config))
    const places = Object.fromEntries(Object.entries(this.#store.env).map(([name, value]) => [name, value === this.#store.url ? address : value]))
    const ahead: Record<string, string> = this.#time.ahead === 0 ? {} : { NODE_OPTIONS: `--import=${clockAhead}`, CLOCK_AHEAD_MS: String(this.#time.ahead) }
    const server = new Server(await this.#folder.start({ ...places, ...ahead, NODE_COMPILE_CACHE: compiled }, ['--config', file]), border)
    await server.send('GET /key/info?key_alias=nobody')
    border.arm()
    return server
  }

  /** Time passes, for the fakes at once and for every server that starts from now on. */
  pass(ms: number): void {
    this.#time.ahead += ms
  }

  /** Whether the gateway lets a token in now. */
  accepts(token: string): boolean {
    return this.#litellm.service.accepts(token)
  }

  /** Somebody takes a token's row away at the gateway. */
  loseAtGateway(token: string): void {
    this.#litellm.service.handle({ method: 'POST', path: '/key/delete', query: new URLSearchParams(), headers: { authorization: `Bearer ${fakeMasterKey}`, 'content-type': 'application/json' }, body: Buffer.from(JSON.stringify({ keys: [token] })) })
  }

  /** Every token that the gateway was ever told of for a key, or for a key of that alias: `open`, to let it in, or also to keep it out for good. */
  told(key: { readonly keyId: string } | { readonly alias: string }, which: 'open' | 'all'): readonly string[] {
    const bodies = this.#crossings.filter(({ service, path }) => service === 'gateway' && path === '/key/generate').map(({ body }) => JSON.parse(body.toString('utf8')) as Told)
    const meant = bodies.filter((told) => ('keyId' in key ? told.metadata?.latchkey?.key_id === key.keyId : told.key_alias === key.alias))
    return [...new Set(meant.filter(({ blocked }) => which === 'all' || blocked !== true).map((told) => told.key))]
  }

  async close(): Promise<void> {
    await this.#folder.close()
    for (const border of this.#borders) await border.close()
    await this.#store.close()
    await this.#litellm.close()
  }
}
