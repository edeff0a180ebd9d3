// Runs inside a network of its own, for framework-cli.test.ts: the framework's command line over the built function, which listens on every interface; the fake of Secret Manager, Google's Pub/Sub
// server, and the push between them. It is told in lines of JSON what to do and answers each with one.
import { once } from 'node:events'
import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Child } from '../../hosts/processes/child.ts'
import { followKeys } from '../../hosts/processes/rotated-keys.ts'
import { openRotatingGoogle, type GoogleRunner } from '../../hosts/processes/rotating-clouds.ts'
import { canariesIn } from '../../support/canary.ts'
import { serveTopics } from './server.ts'
import { openTopic, type Message } from './topic.ts'

/** What it is started with. */
export interface PushPlan {
  /** The built folder. */
  readonly folder: string
  /** Of Google's Pub/Sub: the server's program, and where the client is installed. */
  readonly program: string
  readonly client: string
  readonly aliases: readonly string[]
}

/** What it is told; each has its own answer. */
export type PushCommand =
  /** Secret Manager publishes about a key; `foreign`: somebody else, with another project's name, a body that contradicts it, or a message of another kind. Answers its id. */
  | { readonly do: 'publish'; readonly alias: string; readonly foreign?: 'project' | 'body' | 'type'; readonly eventType?: string }
  /** The next message is pulled, and pushed. `lost`: its answer does not arrive. Answers {@link Pushed}. */
  | { readonly do: 'push'; readonly path?: string; readonly lost?: boolean }
  /** Answers what is true of a key. */
  | { readonly do: 'look'; readonly alias: string }
  /** Secret Manager refuses everybody, or no longer. */
  | { readonly do: 'refuse' | 'heal' }
  /** Answers {@link Printed}. */
  | { readonly do: 'read' }

/** What became of one push. */
export interface Pushed {
  readonly status: number
  readonly body: string
  /** Of the service, for it. */
  readonly changes: number
}

/** What the framework printed. */
export interface Printed {
  /** The `code` of every audit line, in order. */
  readonly codes: readonly string[]
  /** What of it is a token. */
  readonly canaries: readonly unknown[]
  /** On which addresses it could have been reached. */
  readonly addresses: readonly string[]
}

const port = 8080
/** By which a push is acknowledged. */
const acknowledged: readonly number[] = [102, 200, 201, 202, 204]

const addresses = (): readonly string[] => [...new Set(Object.values(networkInterfaces()).flatMap((each) => each ?? []).map(({ address }) => address))]

const listens = (): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true))
    socket.once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })

/** The framework as its command line starts it. @throws where anybody else could reach it */
const underCli = (folder: string): GoogleRunner => async (env) => {
  if (addresses().some((address) => !['127.0.0.1', '::1'].includes(address))) throw new Error('The framework listens on every interface, so it runs in a network of its own only.')
  const child = new Child([join(import.meta.dirname, '../../../node_modules/.bin/functions-framework'), `--source=${folder}`, '--target=rotate', '--signature-type=cloudevent', `--port=${port}`], env)
  const ended = child.ended().then(() => 'ended')
  while (!(await listens())) if ((await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 50))])) === 'ended') throw new Error(`the framework ended: ${child.output}`)
  return { child, port }
}

const main = async (): Promise<void> => {
  const { folder, program, client, aliases } = JSON.parse(process.argv[2] ?? '') as PushPlan
  const { make, stateOf } = followKeys('push')
  const google = await openRotatingGoogle(async (house) => {
    for (const alias of aliases) await make(house, alias)
  }, underCli(folder))
  const server = await serveTopics(program)
  const topic = await openTopic(server.url, client)
  const [pulled, waiting]: [Message[], ((message: Message) => void)[]] = [[], []]
  topic.pull((message) => {
    const next = waiting.shift()
    if (next === undefined) pulled.push(message)
    else next(message)
  })
  const next = (): Promise<Message> => {
    const message = pulled.shift()
    return message === undefined ? new Promise((resolve) => void waiting.push(resolve)) : Promise.resolve(message)
  }
  const publish = ({ alias, foreign, eventType }: Extract<PushCommand, { do: 'publish' }>): Promise<string> => {
    const native = google.nativeOf(`litellm/${alias}`)
    if (foreign === 'type') return topic.publish(Buffer.from('{"hello": "world"}'), { from: 'somebody' })
    if (foreign === 'body') return topic.publish(Buffer.from(JSON.stringify({ name: `${native}-2d` })), { eventType: 'SECRET_ROTATE', dataFormat: 'JSON_API_V1', secretId: native })
    return topic.tell(foreign === 'project' ? native.replace(/^projects\/\d+/, 'projects/999999999999') : native, Date.now(), eventType === undefined ? {} : { eventType })
  }
  const push = async ({ path, lost }: Extract<PushCommand, { do: 'push' }>): Promise<Pushed> => {
    const [message, before] = [await next(), google.changes()]
    const { status, body } = await google.post({ 'content-type': 'application/json', 'user-agent': 'APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)' }, topic.envelope(message), path)
    if (acknowledged.includes(status) && lost !== true) message.ack()
    else message.nack()
    return { status, body, changes: google.changes() - before }
  }
  const answer = async (command: PushCommand): Promise<unknown> => {
    if (command.do === 'publish') return publish(command)
    if (command.do === 'push') return push(command)
    if (command.do === 'look') return stateOf(google, command.alias)
    if (command.do === 'refuse') return google.refuseAll()
    if (command.do === 'heal') return google.heal()
    return { codes: [...google.output().matchAll(/"action":"events:rotate".*?"code":"(\w+)"/g)].map(([, code]) => code), canaries: canariesIn(google.output()), addresses: addresses() }
  }
  const lines = createInterface({ input: process.stdin })
  let turn = Promise.resolve()
  lines.on('line', (line) => {
    turn = turn.then(async () => void process.stdout.write(`@ ${JSON.stringify((await answer(JSON.parse(line) as PushCommand)) ?? null)}\n`))
  })
  // Also while an answer is under way: a message that was waited for may never come.
  await once(lines, 'close')
  await topic.close()
  await server.stop()
  await google.close()
}

if (import.meta.main) await main()
