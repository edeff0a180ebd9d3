// The services that a cold read asks, in a process of their own: canned answers over HTTP, TLS and gRPC on loopback, counted by operation. It checks no signature and no token: its own work
// must stay small and the same for everybody. The fakes of test/fakes hold what the services really do.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { startGoogleGrpc } from '../../fakes/google-grpc.ts'
import { secretManagerProtos } from '../../fakes/google/messages.ts'

const secret = `sk-${'abcdefgh'.repeat(6)}`
const version = '0123456789abcdef0123456789abcdef'
const counts: Record<string, number> = {}
const count = (operation: string): void => {
  counts[operation] = (counts[operation] ?? 0) + 1
}

interface Canned {
  readonly operation: string
  readonly status?: number
  readonly type?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body: unknown
}

const aws = (operation: string, input: Readonly<Record<string, unknown>>): Canned => {
  const entry = (id: unknown) => ({ ARN: `arn:aws:secretsmanager:us-east-1:123456789012:secret:${String(id)}-AbCdEf`, Name: id, VersionId: 'a0000000-0000-4000-8000-000000000000', SecretString: secret, VersionStages: ['AWSCURRENT'], CreatedDate: 1_780_000_000.123 })
  const type = 'application/x-amz-json-1.1'
  if (operation === 'GetSecretValue') return { operation, type, body: entry(input['SecretId']) }
  if (operation === 'BatchGetSecretValue') return { operation, type, body: { SecretValues: (input['SecretIdList'] as readonly unknown[]).map(entry), Errors: [] } }
  return { operation: 'unknown', status: 400, type, body: { __type: 'UnknownOperationException' } }
}

const answerTo = (request: IncomingMessage, body: string): Canned => {
  const path = request.url ?? ''
  const target = request.headers['x-amz-target']
  if (typeof target === 'string') return aws(target.slice(target.indexOf('.') + 1), JSON.parse(body) as Readonly<Record<string, unknown>>)
  if (path.startsWith('/msi/token')) return { operation: 'token', body: { access_token: 'a-token-of-the-managed-identity', expires_on: String(Math.floor(Date.now() / 1000) + 86_400), resource: 'https://vault.azure.net', token_type: 'Bearer' } }
  if (path.startsWith('/secrets/')) {
    if (request.headers.authorization === undefined) return { operation: 'challenge', status: 401, headers: { 'www-authenticate': 'Bearer authorization="https://login.microsoftonline.com/00000000-0000-4000-8000-000000000000", resource="https://vault.azure.net"' }, body: { error: { code: 'Unauthorized' } } }
    const name = path.split(/[/?]/)[2] ?? ''
    return { operation: 'getSecret', body: { value: secret, id: `https://${request.headers.host ?? ''}/secrets/${name}/${version}`, attributes: { enabled: true, created: 1_780_000_000, updated: 1_780_000_000, recoveryLevel: 'Recoverable+Purgeable', recoverableDays: 90 }, tags: {} } }
  }
  if (path.startsWith('/computeMetadata/')) {
    const headers = { 'metadata-flavor': 'Google' }
    if (path.includes('/token')) return { operation: 'token', headers, body: { access_token: 'a-token-of-the-machine', expires_in: 3_599, token_type: 'Bearer' } }
    if (path.includes('universe')) return { operation: 'metadata', headers, type: 'text/plain', body: 'googleapis.com' }
    return { operation: 'metadata', headers, type: 'text/plain', body: path.includes('project-id') ? 'bench' : 'instance/' }
  }
  if (path.includes(':access')) return { operation: 'access', body: { name: 'projects/1/secrets/app-key-1/versions/1', payload: { data: Buffer.from(secret).toString('base64') } } }
  return { operation: 'unknown', status: 404, body: { error: { code: 404, status: 'NOT_FOUND', message: 'there is no such thing' } } }
}

const listener = (request: IncomingMessage, response: ServerResponse): void => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const { operation, status = 200, type = 'application/json', headers = {}, body } = answerTo(request, Buffer.concat(chunks).toString('utf8'))
    count(operation)
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(text), 'x-amzn-requestid': '00000000-0000-4000-8000-000000000000', ...headers })
    response.end(text)
  })
}

const send = (message: object): void => void process.send?.(message)
const portOf = (server: ReturnType<typeof createServer>): Promise<number> => new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)))

process.on('message', (message: { readonly tls?: { readonly cert: string; readonly key: string }; readonly counts?: true }) => {
  if (message.counts === true) {
    send({ counts: { ...counts } })
    for (const operation of Object.keys(counts)) delete counts[operation]
    return
  }
  const start = async (): Promise<void> => {
    const grpc = await startGoogleGrpc({
      protos: secretManagerProtos,
      service: 'google.cloud.secretmanager.v1.SecretManagerService',
      run: () => {
        count('access')
        return { name: 'projects/1/secrets/app-key-1/versions/1', payload: { data: Buffer.from(secret).toString('base64') } }
      },
    })
    const [plain, secure] = [createServer({ keepAliveTimeout: 60_000 }, listener), createSecureServer({ ...message.tls, keepAliveTimeout: 60_000 }, listener)]
    send({ http: await portOf(plain), https: await portOf(secure), grpc: grpc.port })
  }
  start().catch((error: unknown) => send({ failed: String(error) }))
})
