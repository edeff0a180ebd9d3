// The built archives as functions of a server that nobody here wrote: behind its HTTP API and its function URLs, with its own Secrets Manager below them. boto3
// deploys them and looks at what they left.
import { randomBytes } from 'node:crypto'
import { request } from 'node:http'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { strToU8, zipSync } from 'fflate'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { clientEnv, run } from '../python-peers.ts'
import { buildArchives } from './built-archive.ts'

const peer = inject('peers').ministack
const python = inject('python')
const masterKey = `sk-${randomBytes(32).toString('hex')}`
const mark = randomBytes(3).toString('hex')

const deploy = `
import boto3, json, sys
plan = json.loads(sys.argv[1])
made, functions, api = {}, boto3.client('lambda'), boto3.client('apigatewayv2')
role = boto3.client('iam').create_role(RoleName='latchkey-' + plan['mark'], AssumeRolePolicyDocument='{}')['Role']['Arn']
for name, zip in plan['zips'].items():
    with open(zip, 'rb') as file: code = file.read()
    arn = functions.create_function(FunctionName=f"latchkey-{name}-{plan['mark']}", Runtime='nodejs24.x', Role=role, Handler=plan['handlers'][name], Code={'ZipFile': code}, Timeout=30, MemorySize=512, Environment={'Variables': plan['env']})['FunctionArn']
    made[name] = {'arn': arn, 'url': functions.create_function_url_config(FunctionName=f"latchkey-{name}-{plan['mark']}", AuthType='NONE')['FunctionUrl']}
api_id = api.create_api(Name='latchkey-' + plan['mark'], ProtocolType='HTTP')['ApiId']
for name, routes in plan['routes'].items():
    target = api.create_integration(ApiId=api_id, IntegrationType='AWS_PROXY', IntegrationUri=made[name]['arn'], PayloadFormatVersion='2.0')['IntegrationId']
    for route in routes: api.create_route(ApiId=api_id, RouteKey=route, Target='integrations/' + target)
api.create_stage(ApiId=api_id, StageName='$default', AutoDeploy=True)
version = json.loads(functions.invoke(FunctionName=made['version']['arn'], Payload=b'{}')['Payload'].read())
print(json.dumps({'api': api_id, 'version': version, 'urls': {name: made[name]['url'] for name in made}}))`

const look = `
import boto3, json, sys
sm = boto3.client('secretsmanager')
facts = sm.describe_secret(SecretId=sys.argv[1])
print(json.dumps({'value': sm.get_secret_value(SecretId=sys.argv[1], VersionStage='AWSCURRENT')['SecretString'], 'tags': {tag['Key']: tag['Value'] for tag in facts['Tags']}}))`

describe('the built archives on ministack', () => {
  if ('missing' in peer) {
    it(`are left out: ${peer.missing}`, () => {
      expect(peer.missing).not.toBe('')
    })
    return
  }
  const { port } = new URL(peer.url)
  const scratch = mkdtempSync(join(tmpdir(), 'latchkey-ministack-'))
  let deployed: { readonly api: string; readonly version: string; readonly urls: Readonly<Record<string, string>> }

  beforeAll(async () => {
    const archives = await buildArchives()
    const zips: Record<string, string> = {}
    for (const [name, bytes] of [['read', archives.bytes('read')], ['keys', archives.bytes('keys')], ['version', zipSync({ 'index.mjs': strToU8('export const handler = async () => process.version') })]] as const) {
      zips[name] = join(scratch, `${name}.zip`)
      writeFileSync(zips[name] ?? '', bytes)
    }
    archives.close()
    const configuration = { general_settings: { master_key: 'os.environ/LITELLM_MASTER_KEY', key_management_system: 'aws_secret_manager', key_management_settings: { access_mode: 'read_and_write', store_virtual_keys: true } } }
    const env = { LATCHKEY_CONFIG: JSON.stringify(configuration), LITELLM_MASTER_KEY: masterKey, AWS_REGION: 'us-east-1', AWS_ENDPOINT_URL: peer.url, AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' }
    const routes = { read: ['GET /secrets/{proxy+}', 'GET /secrets', 'POST /secrets:read', 'GET /health'], keys: ['$default'] }
    const plan = { mark, zips, env, routes, handlers: { read: 'read.handler', keys: 'keys.handler', version: 'index.handler' } }
    deployed = JSON.parse(await run(python, ['-c', deploy, JSON.stringify(plan)], clientEnv(peer.url))) as typeof deployed
  }, 120_000)
  afterAll(() => rmSync(scratch, { recursive: true, force: true }))

  const send = (host: string, method: string, path: string, body?: object, token = masterKey): Promise<{ status: number; json: Record<string, unknown>; headers: Record<string, unknown> }> =>
    new Promise((resolve, reject) => {
      const text = body === undefined ? '' : JSON.stringify(body)
      const sent = request({ host: '127.0.0.1', port, method, path, headers: { host, authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }) } }, (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, json: JSON.parse(Buffer.concat(chunks).toString('utf8') || '{}') as Record<string, unknown> }))
      })
      sent.on('error', reject)
      sent.end(text)
    })
  const fronts: readonly (readonly [name: string, hostOf: (entry: 'read' | 'keys') => string])[] = [
    ['HTTP API', () => `${deployed.api}.execute-api.localhost:${port}`],
    ['function URL', (entry) => new URL(deployed.urls[entry] ?? '').host],
  ]

  it('run on the Node that they are built for', () => {
    expect(deployed.version).toMatch(/^v24\./)
  })

  it.each(fronts)('behind its %s lead a key through its life, and boto3 sees each step', async (name, hostOf) => {
    const alias = `${name.replaceAll(' ', '-').toLowerCase()}-${mark}`
    const seen = async (): Promise<{ value: string; tags: Record<string, string> }> => JSON.parse(await run(python, ['-c', look, `litellm/${alias}`], clientEnv(peer.url))) as Awaited<ReturnType<typeof seen>>

    const made = await send(hostOf('keys'), 'POST', '/key/generate', { key_alias: alias, team_id: 'payments' })
    const first = await seen()
    const rotated = await send(hostOf('keys'), 'POST', '/key/regenerate', { key_alias: alias })
    const second = await seen()
    const verified = await send(hostOf('keys'), 'POST', '/key/verify', { key: rotated.json['key'] })
    const deleted = await send(hostOf('keys'), 'POST', '/key/delete', { key_aliases: [alias] })
    const third = await seen()

    expect([made, rotated, verified, deleted].map(({ status }) => status)).toEqual([200, 200, 200, 200])
    expect([first.value, second.value]).toEqual([made.json['key'], rotated.json['key']])
    expect(first.tags).toMatchObject({ 'managed-by': 'latchkey' })
    expect(verified.json).toMatchObject({ valid: true, key_id: made.json['key_id'] })
    expect(third.value).not.toMatch(/^sk-/)
  })

  it.each(fronts)('behind its %s read a secret, whose name has a slash, and refuse a stranger', async (name, hostOf) => {
    const secret = `team/${name.replaceAll(' ', '-').toLowerCase()}-${mark}`
    await send(hostOf('keys'), 'PUT', `/secrets/${secret}`, { value: 'kept é' })

    const [read, many, stranger, health] = [await send(hostOf('read'), 'GET', `/secrets/${secret}`), await send(hostOf('read'), 'POST', '/secrets:read', { names: [secret] }), await send(hostOf('read'), 'GET', `/secrets/${secret}`, undefined, 'sk-wrong'), await send(hostOf('read'), 'GET', '/health', undefined, '')]

    expect([read.status, many.status, stranger.status, health.status]).toEqual([200, 200, 401, 200])
    expect([read.json['value'], many.json]).toMatchObject(['kept é', { results: [{ value: 'kept é' }] }])
    expect(read.headers).toMatchObject({ 'cache-control': 'no-store', 'content-type': 'application/json; charset=utf-8' })
  })
})
