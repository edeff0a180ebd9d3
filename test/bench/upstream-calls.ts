// Bench P12: what each operation on a virtual key asks of the manager and of the gateway, counted at the fakes and never timed. A server that has not met the key before
// carries it out, as any function that starts anew would: nothing is known from an earlier request.
import { readGateway } from '../../shared/core/configuration/gateway-section.ts'
import { parseConfiguration } from '../../shared/core/configuration.ts'
import { nodeHttp } from '../../shared/core/http-client.ts'
import type { Runtime } from '../../shared/core/runtime.ts'
import { keyRoutes } from '../../shared/http/keys.ts'
import { openLatchkey } from '../../shared/latchkey.ts'
import { nodeFiles, systemRandom } from '../../shared/telemetry/node-runtime.ts'
import { fakeMasterKey, startLitellmFake, type RunningLitellm } from '../fakes/litellm-gateway.ts'
import { fakeSystems, type RunningSystem } from '../fakes/run.ts'
import { Border, nameOf, changes, type Crossing } from '../processes/border.ts'
import { callOf, envOf, ManualClock, testRuntime } from '../support/runtime.ts'

const masterKey = 'sk-0123456789abcdef0123456789abcdef-of-this-count'

interface Said {
  readonly status: number
  readonly json: Readonly<Record<string, unknown>>
}

/** The managers that keep keys, in the table's order. */
export const systems = ['aws_secret_manager', 'hashicorp_vault', 'google_secret_manager', 'azure_key_vault', 'cyberark', 'infisical'] as const

/** What one operation asked. */
export interface Asked {
  /** Requests that change something in the manager. */
  readonly writes: number
  readonly reads: number
  /** Requests to the gateway. */
  readonly gateway: number
  /** Every request by its name, in order. */
  readonly calls: readonly string[]
  /** How many of the reads ask for secrets that they do not name. */
  readonly lists: number
}

interface Operation {
  readonly name: string
  /** Whether a key must be there. */
  readonly needs: 'nothing' | 'a key' | 'a blocked key'
  act(server: Instance, key: { readonly alias: string; readonly id: string; readonly token: string }): Promise<Said>
}

/** What is counted; where nothing else is said the key is named by its alias. */
export const operations: readonly Operation[] = [
  { name: 'one page of a list', needs: 'a key', act: (server) => server.send('GET /key/list') },
  { name: 'create', needs: 'nothing', act: (server, { alias }) => server.send('POST /key/generate', { key_alias: alias, models: ['gpt-4o'] }) },
  { name: 'verify', needs: 'a key', act: (server, { token }) => server.send('POST /key/verify', { key: token }) },
  { name: 'info', needs: 'a key', act: (server, { alias }) => server.send(`GET /key/info?key_alias=${alias}`) },
  { name: 'info by key id', needs: 'a key', act: (server, { id }) => server.send(`GET /key/info?key=${id}`) },
  { name: 'rotate', needs: 'a key', act: (server, { alias }) => server.send('POST /key/regenerate', { key_alias: alias }) },
  { name: 'rotate with grace', needs: 'a key', act: (server, { alias }) => server.send('POST /key/regenerate', { key_alias: alias, grace_period: '1h' }) },
  { name: 'update', needs: 'a key', act: (server, { alias }) => server.send('POST /key/update', { key_alias: alias, models: ['gpt-4o-mini'] }) },
  { name: 'block', needs: 'a key', act: (server, { alias }) => server.send('POST /key/block', { key_alias: alias }) },
  { name: 'unblock', needs: 'a blocked key', act: (server, { alias }) => server.send('POST /key/unblock', { key_alias: alias }) },
  { name: 'rename by key id', needs: 'a key', act: (server, { id, alias }) => server.send('POST /key/update', { key: id, key_alias: `${alias}.renamed` }) },
  { name: 'delete', needs: 'a key', act: (server, { alias }) => server.send('POST /key/delete', { key_aliases: [alias] }) },
  { name: 'delete by key id', needs: 'a key', act: (server, { id }) => server.send('POST /key/delete', { keys: [id] }) },
]

/** Whether a request asks for secrets that it does not name: a page of all, or those that carry a label. Conjur reads many named ones under the address of a list. */
const lists = ({ method, path, headers }: Crossing): boolean => {
  const [at = '', query = ''] = path.split('?')
  if (headers['x-amz-target'] !== undefined) return headers['x-amz-target'].endsWith('.ListSecrets')
  return method === 'LIST' || query.includes('list=true') || (method === 'GET' && !query.includes('variable_ids=') && /\/secrets$|^\/resources\/[^/]+\/variable$/.test(at))
}

const askedOf = (crossings: readonly Crossing[]): Asked => {
  const store = crossings.filter(({ service }) => service === 'store')
  const writes = store.filter(changes)
  return { writes: writes.length, reads: store.length - writes.length, gateway: crossings.length - store.length, calls: crossings.map((crossing) => `${crossing.service === 'gateway' ? 'gateway ' : ''}${nameOf(crossing)}`), lists: store.filter(lists).length }
}

/** A Latchkey in this process, and the border that its requests pass. */
interface Instance {
  readonly border: Border
  send(line: string, body?: object): Promise<Said>
}

const instance = async (system: string, store: RunningSystem, litellm: RunningLitellm | undefined, clock: ManualClock): Promise<Instance & { close(): Promise<void> }> => {
  const border = new Border()
  const address = await border.before('store', store.url)
  const env = envOf(Object.fromEntries(Object.entries(store.env).map(([name, value]) => [name, value === store.url ? address : value])))
  const runtime: Runtime = { ...testRuntime(), clock, random: systemRandom, files: nodeFiles, http: nodeHttp(clock, systemRandom), env }
  const file = {
    general_settings: { master_key: masterKey, key_management_system: system, key_management_settings: { access_mode: 'read_and_write', store_virtual_keys: true } },
    ...(litellm === undefined ? {} : { latchkey: { gateway: { url: await border.before('gateway', litellm.url), master_key: fakeMasterKey } } }),
  }
  const { configuration } = parseConfiguration(file, { env, loopback: true, gateway: readGateway })
  const latchkey = await openLatchkey(configuration, runtime, { routes: keyRoutes })
  return {
    border,
    send: async (line, body) => {
      const [method = 'GET', at = '/'] = line.split(' ')
      const [path = '/', query = ''] = at.split('?')
      const headers = { authorization: `Bearer ${masterKey}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }
      const answer = await latchkey.app({ method, path, query, headers, body: Buffer.from(body === undefined ? '' : JSON.stringify(body)), ...callOf(clock) })
      return { status: answer.status, json: JSON.parse(answer.body) as Said['json'] }
    },
    close: async () => {
      await latchkey.close()
      await border.close()
    },
  }
}

/** Counts every operation on one manager. The first round makes the folders and logs in, the second is counted. @throws when an operation is refused */
export const countCalls = async (system: string, { gateway }: { readonly gateway: boolean }): Promise<ReadonlyMap<string, Asked>> => {
  const clock = new ManualClock(Date.now(), { hurries: true })
  const now = (): number => clock.now()
  const store = await fakeSystems[system]?.(masterKey, now)
  if (store === undefined) throw new Error(`${system} has no fake`)
  const litellm = gateway ? await startLitellmFake({ now }) : undefined
  const [maker, stranger] = [await instance(system, store, litellm, clock), await instance(system, store, litellm, clock)]
  try {
    const counted = new Map<string, Asked>()
    for (const round of ['first', 'second']) {
      for (const { name, needs, act } of operations) {
        const alias = `team.one/${name.replaceAll(' ', '-')}.${round}`
        const made = needs === 'nothing' ? undefined : await maker.send('POST /key/generate', { key_alias: alias })
        if (needs === 'a blocked key') await maker.send('POST /key/block', { key_alias: alias })
        stranger.border.arm()
        const said = await act(stranger, { alias, id: String(made?.json['key_id']), token: String(made?.json['key']) })
        if (said.status !== 200) throw new Error(`${system}: ${name} was answered ${said.status} ${JSON.stringify(said.json)}`)
        counted.set(name, askedOf(stranger.border.crossings))
      }
    }
    return counted
  } finally {
    await maker.close()
    await stranger.close()
    await store.close()
    await litellm?.close()
  }
}

/** One cell: changes and reads in the manager, and what the gateway is asked. */
export const cell = ({ writes, reads, gateway }: Asked): string => [writes, reads, ...(gateway === 0 ? [] : [gateway])].join('+')

/** The table of the README. */
export const callTable = (counted: ReadonlyMap<string, readonly [alone: ReadonlyMap<string, Asked>, withGateway: ReadonlyMap<string, Asked>]>): string => {
  const rows = operations.map(({ name }) => [name, ...[...counted.values()].map(([alone, beside]) => [alone, beside].map((each) => each.get(name)).map((asked) => (asked === undefined ? '' : cell(asked))).join(' / '))])
  const head = ['operation', ...[...counted.keys()].map((system) => `\`${system}\``)]
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n')
}

/** Counts everything, without a gateway and with one. */
export const countAll = async (): Promise<ReadonlyMap<string, readonly [ReadonlyMap<string, Asked>, ReadonlyMap<string, Asked>]>> =>
  new Map(await Promise.all(systems.map(async (system) => [system, [await countCalls(system, { gateway: false }), await countCalls(system, { gateway: true })]] as const)))
