// Identities that a gateway of somebody else's really checked: ministack with its IAM switched on verifies signatures and policies (HTTP and REST API, AWS_IAM) and tokens (JWT authorizer),
// and hands the built function its own events. boto3 makes roles, gateways and signed requests; the issuer of the tokens is this test.
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { clientEnv, run } from '../python-peers.ts'
import { buildArchives } from './built-archive.ts'

const peer = inject('peers').ministack_iam
const python = inject('python')
const mark = randomBytes(3).toString('hex')
const masterKey = `sk-${randomBytes(32).toString('hex')}`
const account = '123456789012'

const deploy = `
import boto3, json, sys
plan = json.loads(sys.argv[1])
mark = plan['mark']
iam, functions, v2, rest, sm = (boto3.client(name) for name in ('iam', 'lambda', 'apigatewayv2', 'apigateway', 'secretsmanager'))
def role(name, principal, actions, path='/'):
    trust = {'Version': '2012-10-17', 'Statement': [{'Effect': 'Allow', 'Principal': principal, 'Action': 'sts:AssumeRole'}]}
    arn = iam.create_role(RoleName=f'{name}-{mark}', Path=path, AssumeRolePolicyDocument=json.dumps(trust))['Role']['Arn']
    iam.put_role_policy(RoleName=f'{name}-{mark}', PolicyName='own', PolicyDocument=json.dumps({'Version': '2012-10-17', 'Statement': [{'Effect': 'Allow', 'Action': actions, 'Resource': '*'}]}))
    return arn
sm.create_secret(Name='hosted-' + mark, SecretString='kept')
own = role('function', {'Service': 'lambda.amazonaws.com'}, ['secretsmanager:GetSecretValue', 'secretsmanager:DescribeSecret'])
callers = {name: role(name, {'AWS': '*'}, 'execute-api:Invoke', '/team/') for name in ('ci', 'other')}
with open(plan['zip'], 'rb') as file: code = file.read()
arn = functions.create_function(FunctionName='latchkey-' + mark, Runtime='nodejs24.x', Role=own, Handler='read.handler', Code={'ZipFile': code}, Timeout=30, MemorySize=512, Environment={'Variables': plan['env']})['FunctionArn']
functions.add_permission(FunctionName='latchkey-' + mark, StatementId='gateways', Action='lambda:InvokeFunction', Principal='apigateway.amazonaws.com')
def http_api(name, **route):
    api_id = v2.create_api(Name=name, ProtocolType='HTTP')['ApiId']
    if 'jwt' in route:
        route = {'AuthorizationType': 'JWT', 'AuthorizerId': v2.create_authorizer(ApiId=api_id, Name='jwt', AuthorizerType='JWT', IdentitySource=['$request.header.Authorization'], JwtConfiguration=route['jwt'])['AuthorizerId']}
    target = v2.create_integration(ApiId=api_id, IntegrationType='AWS_PROXY', IntegrationUri=arn, PayloadFormatVersion='2.0')['IntegrationId']
    v2.create_route(ApiId=api_id, RouteKey='$default', Target='integrations/' + target, **route)
    v2.create_stage(ApiId=api_id, StageName='$default', AutoDeploy=True)
    return api_id
rest_id = rest.create_rest_api(name='rest')['id']
root = rest.get_resources(restApiId=rest_id)['items'][0]['id']
proxy = rest.create_resource(restApiId=rest_id, parentId=root, pathPart='{proxy+}')['id']
rest.put_method(restApiId=rest_id, resourceId=proxy, httpMethod='ANY', authorizationType='AWS_IAM')
rest.put_integration(restApiId=rest_id, resourceId=proxy, httpMethod='ANY', type='AWS_PROXY', integrationHttpMethod='POST', uri=f'arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{arn}/invocations')
rest.create_deployment(restApiId=rest_id, stageName='prod')
print(json.dumps({'iam': http_api('iam', AuthorizationType='AWS_IAM'), 'jwt': http_api('jwt', jwt={'Audience': ['latchkey'], 'Issuer': plan['issuer']}), 'rest': rest_id, 'roles': callers}))`

const call = `
import boto3, http.client, json, sys
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
answers = []
for ask in json.loads(sys.argv[1]):
    headers = {'host': ask['host'], **ask['headers']}
    if 'role' in ask:
        keys = boto3.client('sts').assume_role(RoleArn=ask['role'], RoleSessionName='run-7')['Credentials']
        signed = AWSRequest(method='GET', url='http://' + ask['host'] + ask['path'], headers=headers)
        SigV4Auth(Credentials(keys['AccessKeyId'], keys['SecretAccessKey'], keys['SessionToken']), 'execute-api', 'us-east-1').add_auth(signed)
        headers = dict(signed.headers.items())
        if ask.get('forge'): headers['Authorization'] = headers['Authorization'][:-4] + '0000'
    connection = http.client.HTTPConnection('127.0.0.1', ask['port'])
    connection.request('GET', ask['path'], headers=headers)
    response = connection.getresponse()
    answers.append({'status': response.status, 'body': response.read().decode()})
print(json.dumps(answers))`

interface Ask {
  readonly host: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly role?: string
  readonly forge?: boolean
}

describe('identities that ministack checked', () => {
  if ('missing' in peer) {
    it(`are left out: ${peer.missing}`, () => {
      expect(peer.missing).not.toBe('')
    })
    return
  }
  const { port } = new URL(peer.url)
  const scratch = mkdtempSync(join(tmpdir(), 'latchkey-authorizers-'))
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 })
  let issuer: Server
  let deployed: { readonly iam: string; readonly jwt: string; readonly rest: string; readonly roles: Readonly<Record<string, string>> }
  let issuerUrl = ''

  beforeAll(async () => {
    issuer = createServer((request, response) => {
      response.setHeader('content-type', 'application/json')
      const discovery = { issuer: issuerUrl, jwks_uri: `${issuerUrl}/jwks`, authorization_endpoint: issuerUrl, response_types_supported: ['id_token'], subject_types_supported: ['public'], id_token_signing_alg_values_supported: ['RS256'] }
      response.end(JSON.stringify(request.url === '/jwks' ? { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'one', alg: 'RS256', use: 'sig' }] } : discovery))
    })
    await new Promise<void>((resolve) => issuer.listen(0, '127.0.0.1', resolve))
    issuerUrl = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}`
    const archives = await buildArchives()
    const zip = join(scratch, 'read.zip')
    writeFileSync(zip, archives.bytes('read'))
    archives.close()
    const grants = [{ action: 'secrets:read' }]
    const access = [{ name: 'ci', aws_arn: `arn:aws:iam::${account}:role/team/ci-${mark}`, grants }, { name: 'pipeline', jwt: { issuer: issuerUrl, audience: 'latchkey', subject: 'team-a' }, grants }]
    const configuration = { general_settings: { master_key: 'os.environ/LITELLM_MASTER_KEY', key_management_system: 'aws_secret_manager', key_management_settings: { access_mode: 'read_only' } }, latchkey: { access } }
    const env = { LATCHKEY_CONFIG: JSON.stringify(configuration), LITELLM_MASTER_KEY: masterKey, AWS_REGION: 'us-east-1', AWS_ENDPOINT_URL: peer.url }
    deployed = JSON.parse(await run(python, ['-c', deploy, JSON.stringify({ mark, zip, env, issuer: issuerUrl })], clientEnv(peer.url))) as typeof deployed
  }, 120_000)
  afterAll(async () => {
    rmSync(scratch, { recursive: true, force: true })
    await new Promise((resolve) => issuer.close(resolve))
  })

  const ask = async (asks: readonly Ask[]): Promise<readonly { status: number; body: string; json: Record<string, unknown> }[]> => {
    const plan = asks.map((one) => ({ headers: {}, ...one, port: Number(port) }))
    const answers = JSON.parse(await run(python, ['-c', call, JSON.stringify(plan)], clientEnv(peer.url))) as { status: number; body: string }[]
    return answers.map((answer) => ({ ...answer, json: JSON.parse(answer.body) as Record<string, unknown> }))
  }
  const hostOf = (id: string): string => `${id}.execute-api.localhost:${port}`
  const part = (content: object): string => Buffer.from(JSON.stringify(content)).toString('base64url')
  const tokenOf = (claims: object, key = privateKey): string => {
    const now = Math.floor(Date.now() / 1_000)
    const text = `${part({ alg: 'RS256', kid: 'one', typ: 'JWT' })}.${part({ iss: issuerUrl, aud: 'latchkey', iat: now, nbf: now - 5, exp: now + 600, ...claims })}`
    return `${text}.${sign('RSA-SHA256', Buffer.from(text), key).toString('base64url')}`
  }

  it.each([
    ['HTTP API', 'iam', ''],
    ['REST API', 'rest', '/prod'],
  ] as const)('are the session of a role behind an IAM authorizer (%s): the one that is named, with a path in its role', async (_kind, api, stage) => {
    const { ci, other } = deployed.roles
    const [host, path] = [hostOf(deployed[api]), `${stage}/secrets/hosted-${mark}`]

    const [named, unnamed, forged, both] = await ask([
      { host, path, role: ci ?? '' },
      { host, path, role: other ?? '' },
      { host, path, role: ci ?? '', forge: true },
      { host, path: `${stage}/whoami`, role: ci ?? '', headers: { 'x-litellm-api-key': masterKey } },
    ])

    expect([named?.status, named?.json['value']]).toEqual([200, 'kept'])
    expect([unnamed?.status, unnamed?.json['code']]).toEqual([401, 'unauthenticated'])
    expect([forged?.status, forged?.json['code']]).toEqual([403, undefined])
    expect(both?.json).toMatchObject({ name: 'ci+master-key', master: false })
  })

  it('are the claims of a token behind a JWT authorizer: the subject that is named, and no other', async () => {
    const host = hostOf(deployed.jwt)
    const path = `/secrets/hosted-${mark}`
    const sending = (token: string, more: object = {}): Ask => ({ host, path, headers: { authorization: `Bearer ${token}`, ...more } })

    const [named, other, foreign, token, none] = await ask([
      sending(tokenOf({ sub: 'team-a' })),
      sending(tokenOf({ sub: 'team-b' })),
      sending(tokenOf({ sub: 'team-a' }, stranger.privateKey)),
      sending(tokenOf({ sub: 'team-b' }), { 'x-litellm-api-key': masterKey }),
      { host, path },
    ])

    expect([named?.status, named?.json['value']]).toEqual([200, 'kept'])
    expect([other?.status, other?.json['code']]).toEqual([401, 'unauthenticated'])
    expect([foreign?.status, foreign?.json['code']]).toEqual([401, undefined])
    expect([token?.status, token?.json['value']]).toEqual([200, 'kept'])
    expect(none?.status).toBe(401)
  })
})
