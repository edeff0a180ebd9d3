// Every host over the same configuration and its own fake of AWS Secrets Manager, asked by the same plain requests. Deployed functions are the built bundles in
// processes of their own, under what the platform runs them with; in front of two functions each request goes to the one that has its route, as a gateway sends it.
import { request } from 'node:http'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { CloudHost } from '../../../functions/build/bundle.ts'
import { buildFolder } from '../../../functions/build/folder.ts'
import { readLock } from '../../../functions/build/lockfile.ts'
import { fakeKeys, startSecretsManagerFake, type SecretsManagerFake } from '../../fakes/aws-secrets-manager.ts'
import { ServerFolder } from '../server-process.ts'
import { Child } from './child.ts'
import { RuntimeApi } from './runtime-api.ts'

/** One request, as a client sends it. */
export interface Asked {
  readonly method?: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** What the platform says that is left of the function's time, where it says so at all. Default: 30 000. */
  readonly remainingMs?: number
}

/** What the client gets. */
export interface Answered {
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: string
}

/** A running host. */
export interface Host {
  readonly aws: SecretsManagerFake
  ask(asked: Asked): Promise<Answered>
  /** Everything that its processes printed. */
  output(): string
  close(): Promise<void>
}

/** The master key of every host here. */
export const masterKey = 'sk-one-master-key-for-every-host-0123456789'
/** How long a request may take on hosts that say nothing of what is left, in seconds. */
export const patienceSeconds = 3

const configuration = { general_settings: { master_key: 'os.environ/LITELLM_MASTER_KEY', key_management_system: 'aws_secret_manager', key_management_settings: { access_mode: 'read_and_write', store_virtual_keys: true } } }

const environment = (aws: SecretsManagerFake): Record<string, string> => ({
  LITELLM_MASTER_KEY: masterKey,
  AWS_REGION: 'us-east-1',
  AWS_ACCESS_KEY_ID: fakeKeys.accessKeyId,
  AWS_SECRET_ACCESS_KEY: fakeKeys.secretAccessKey,
  AWS_ENDPOINT_URL: aws.url,
})

/** Sends one request over HTTP. */
export const askUrl = (url: string, { method = 'GET', path, headers = {}, body = '' }: Asked): Promise<Answered> =>
  new Promise((resolve, reject) => {
    const sent = request(url, { method, path, headers: { ...headers, 'content-length': Buffer.byteLength(body) } }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers as Record<string, string>, body: Buffer.concat(chunks).toString('utf8') }))
    })
    sent.on('error', reject)
    sent.end(body)
  })

/** For hosts that say nothing of the time that is left. */
const patience = { LATCHKEY_REQUEST_SECONDS: String(patienceSeconds) }

const openLocal = async (): Promise<Host> => {
  const [aws, folder] = [await startSecretsManagerFake(), new ServerFolder()]
  folder.write('config.yaml', JSON.stringify(configuration))
  const { url, output } = await folder.start({ ...environment(aws), ...patience })
  return {
    aws,
    output,
    ask: (asked) => askUrl(url, asked),
    close: async () => {
      await folder.close()
      await aws.close()
    },
  }
}

type Entry = 'read' | 'keys'

/** Which of the two functions has a route. */
const entryFor = ({ method = 'GET', path }: Asked): Entry => ((method === 'GET' && !path.startsWith('/key/')) || path.startsWith('/secrets:read') || method === 'PATCH' ? 'read' : 'keys')

interface Running {
  ask(asked: Asked): Promise<Answered>
  output(): string
  close(): Promise<void>
}

/** Builds both functions of a host and starts each. */
const openDeployed = async (host: CloudHost, start: (folder: string, entry: Entry, env: Readonly<Record<string, string>>) => Promise<Running>): Promise<Host> => {
  const [aws, folder] = [await startSecretsManagerFake(), mkdtempSync(join(tmpdir(), `latchkey-${host}-`))]
  const env = { ...environment(aws), LATCHKEY_CONFIG: JSON.stringify(configuration) }
  const open = async (entry: Entry): Promise<Running> => {
    const at = join(folder, entry)
    await buildFolder({ host, entry }, at, { only: ['aws_secret_manager', 'environment'], lock: await readLock(), version: '0.0.0' })
    return start(at, entry, env)
  }
  const functions = { read: await open('read'), keys: await open('keys') }
  return {
    aws,
    ask: (asked) => functions[entryFor(asked)].ask(asked),
    output: () => `${functions.read.output()}${functions.keys.output()}`,
    close: async () => {
      await functions.read.close()
      await functions.keys.close()
      await aws.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

type Sent = Required<Pick<Asked, 'method' | 'headers' | 'body'>>

/** One form in which AWS hands over an HTTP request. */
interface LambdaForm {
  event(asked: Sent, path: string, query: string): Readonly<Record<string, unknown>>
  /** Where the answer's headers stand. */
  readonly lists?: true
}

const listed = (headers: Readonly<Record<string, string>>): Readonly<Record<string, readonly string[]>> => Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value]]))
const decodedQuery = (query: string): Readonly<Record<string, readonly string[]>> | null => (query === '' ? null : Object.fromEntries([...new URLSearchParams(query)].map(([name, value]) => [name, [value]])))
const rawQuery = (query: string): Readonly<Record<string, readonly string[]>> => Object.fromEntries(query === '' ? [] : query.split('&').map((part) => [part.split('=')[0] ?? '', [part.split('=')[1] ?? '']]))

/** A gateway hands JSON over as text, and whatever it does not take for text as base64. */
const bodyOf = ({ body, headers }: Sent): Readonly<Record<string, unknown>> => {
  if (body === '') return { body: null, isBase64Encoded: false }
  const text = /json|text/.test(headers['content-type'] ?? '')
  return { body: text ? body : Buffer.from(body).toString('base64'), isBase64Encoded: !text }
}
const lowerCase = (headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> => Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))

const forms: Readonly<Record<string, LambdaForm>> = {
  'HTTP API': { event: (asked, rawPath, rawQueryString) => ({ version: '2.0', rawPath, rawQueryString, headers: lowerCase(asked.headers), ...bodyOf(asked), requestContext: { stage: '$default', domainName: 'a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com', http: { method: asked.method, path: rawPath } } }) },
  'REST API': {
    lists: true,
    event: (asked, path, query) => ({
      resource: '/{proxy+}', path, httpMethod: asked.method, headers: asked.headers, multiValueHeaders: listed(asked.headers), queryStringParameters: decodedQuery(query) === null ? null : Object.fromEntries(new URLSearchParams(query)),
      multiValueQueryStringParameters: decodedQuery(query), ...bodyOf(asked), requestContext: { resourcePath: '/{proxy+}', httpMethod: asked.method, path: `/prod${path}`, stage: 'prod', identity: { userArn: null, sourceIp: '192.0.2.10' } },
    }),
  },
  'load balancer': { event: (asked, path, query) => ({ requestContext: { elb: { targetGroupArn: 'arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/latchkey/6d0ecf831eec9f09' } }, httpMethod: asked.method, path, queryStringParameters: Object.fromEntries(Object.entries(rawQuery(query)).map(([name, [value]]) => [name, value])), headers: lowerCase(asked.headers), ...bodyOf(asked), ...(asked.body === '' ? { body: '' } : {}) }) },
  'load balancer with multi-value headers': { lists: true, event: (asked, path, query) => ({ requestContext: { elb: { targetGroupArn: 'arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/latchkey/6d0ecf831eec9f09' } }, httpMethod: asked.method, path, multiValueQueryStringParameters: rawQuery(query), multiValueHeaders: listed(lowerCase(asked.headers)), ...bodyOf(asked), ...(asked.body === '' ? { body: '' } : {}) }) },
  'function URL': { event: (asked, rawPath, rawQueryString) => ({ version: '2.0', routeKey: '$default', rawPath, rawQueryString, headers: lowerCase(asked.headers), ...(asked.body === '' ? { isBase64Encoded: false } : { body: Buffer.from(asked.body).toString('base64'), isBase64Encoded: true }), requestContext: { accountId: 'anonymous', stage: '$default', domainName: 'q5w6e7r8t9y0.lambda-url.eu-central-1.on.aws', http: { method: asked.method, path: rawPath } } }) },
}

interface LambdaAnswer {
  readonly statusCode: number
  readonly headers?: Readonly<Record<string, string>>
  readonly multiValueHeaders?: Readonly<Record<string, readonly string[]>>
  readonly body: string
  readonly isBase64Encoded: boolean
}

/** What a client gets of a function's answer; an answer in the wrong form has no headers here, as it has none behind the platform. */
const fromLambda = (answer: LambdaAnswer, lists: boolean): Answered => ({
  status: answer.statusCode,
  headers: lists ? Object.fromEntries(Object.entries(answer.multiValueHeaders ?? {}).map(([name, values]) => [name, values.join(', ')])) : (answer.headers ?? {}),
  body: answer.isBase64Encoded ? Buffer.from(answer.body, 'base64').toString('utf8') : answer.body,
})

const openLambda = (form: LambdaForm) => (): Promise<Host> =>
  openDeployed('lambda', async (folder, entry, env) => {
    const api = await RuntimeApi.start()
    const child = new Child([join(import.meta.dirname, 'lambda-bootstrap.mjs')], { ...env, AWS_LAMBDA_RUNTIME_API: api.address, LAMBDA_TASK_ROOT: folder, _HANDLER: `${entry}.handler` })
    await Promise.race([api.idle(), child.ended()])
    return {
      ask: async ({ method = 'GET', path, headers = {}, body = '', remainingMs = 30_000 }) => {
        const [plain = '', query = ''] = path.split('?')
        const { response, error } = await api.invoke(form.event({ method, headers, body }, plain, query), remainingMs)
        if (response === undefined) throw new Error(`the function failed: ${JSON.stringify(error)} ${child.output}`)
        return fromLambda(JSON.parse(response) as LambdaAnswer, form.lists === true)
      },
      output: () => child.output,
      close: async () => {
        await child.close()
        await api.close()
      },
    }
  })

const openAzure = (): Promise<Host> =>
  openDeployed('azure', async (folder, _entry, env) => {
    const child = new Child([join(import.meta.dirname, 'azure-worker.mjs'), folder], { ...env, ...patience })
    await child.next()
    return {
      ask: async ({ method = 'GET', path, headers = {}, body }) => {
        child.say({ method, url: `https://latchkey.azurewebsites.net${path}`, headers: lowerCase(headers), ...(body === undefined ? {} : { body: Buffer.from(body).toString('base64') }) })
        return child.next()
      },
      output: () => child.output,
      close: () => child.close(),
    }
  })

const openGoogle = (): Promise<Host> =>
  openDeployed('gcp', async (folder, entry, env) => {
    const child = new Child([join(import.meta.dirname, 'gcp-framework.mjs'), folder, entry], { ...env, ...patience, NODE_ENV: 'production' })
    const { port } = await child.next<{ port: number }>()
    return { ask: (asked) => askUrl(`http://127.0.0.1:${port}`, asked), output: () => child.output, close: () => child.close() }
  })

/** Every host by the name that stands in its tests. */
export const hosts: readonly (readonly [name: string, open: () => Promise<Host>])[] = [
  ['local', openLocal],
  ...Object.entries(forms).map(([name, form]) => [`lambda, ${name}`, openLambda(form)] as const),
  ['azure', openAzure],
  ['gcp', openGoogle],
]
