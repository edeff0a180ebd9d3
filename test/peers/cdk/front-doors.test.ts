// The other front doors, deployed beside each other to a server that nobody here wrote, whose IAM is on: an HTTP API that takes tokens of an issuer of ours, function URLs, and the private REST API in an
// isolated network. Of each: a key's life through it, who is refused, and what the emulator does otherwise than AWS, tried here so that a cured one shows itself.
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { watch } from '../../support/canary.ts'
import { outside, ownAccount, told, type Answer, type Ask } from './outside.ts'
import { account, region } from './server.ts'
import { copyOf, unexplained, type Template } from './template-copy.ts'

const peer = inject('peers').ministack_cdk
const root = join(import.meta.dirname, '../../..')
const mark = randomBytes(3).toString('hex')
const token = `sk-${randomBytes(32).toString('hex')}`
const gateway = `arn:aws:iam::${account}:role/doors-gateway`
const stranger = `arn:aws:iam::${account}:role/doors-stranger`

/** What the three deployments differ in. */
const doors = {
  Tokens: { api: { authorizer: 'jwt', jwt_audience: ['latchkey'] } },
  Urls: { api: { kind: 'function_url' } },
  Closed: { network: { mode: 'isolated' }, api: { kind: 'rest_private' } },
}

/** The configuration of one; of all the functions are built from the same, because what is deployed where is not theirs to know. */
const configuration = (name: keyof typeof doors, issuer: string): object => {
  const grants = [{ action: 'keys:*' }, { action: 'keys:reveal', names: ['doors/**'] }, { action: 'secrets:*', names: ['**'] }, { action: 'ops:read' }]
  const access = [
    { name: 'gateway', aws_arn: gateway, grants },
    { name: 'signer', aws_arn: `arn:aws:iam::${account}:role/urls-invoker`, grants },
    { name: 'pod', jwt: { issuer, audience: 'latchkey', subject: 'pod' }, grants },
    { name: 'bearer', token_sha256: createHash('sha256').update(token).digest('hex'), grants },
  ]
  const settings = { access_mode: 'read_and_write', store_virtual_keys: true, prefix_for_stored_virtual_keys: 'doors/' }
  const deployment = { name: name.toLowerCase(), account, region, ...doors[name], ...(name === 'Tokens' ? { api: { ...doors.Tokens.api, jwt_issuer: issuer } } : {}) }
  return { general_settings: { master_key: 'os.environ/DOORS_MASTER_KEY', key_management_system: 'aws_secret_manager', key_management_settings: settings }, latchkey: { access, deployment } }
}

describe('a front door, deployed', () => {
  if ('missing' in peer) {
    it(`is left out: ${peer.missing}`, () => {
      expect(peer.missing).not.toBe('')
    })
    return
  }
  const scratch = mkdtempSync(join(tmpdir(), 'latchkey-doors-'))
  const [shipped, copy, bundles, outputsFile] = [join(scratch, 'shipped'), join(scratch, 'copy'), join(scratch, 'dist'), join(scratch, 'outputs.json')]
  const { node, cdk, asked } = outside(peer.url, peer.facts['authority'] ?? '', scratch)
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  let issuer: Server
  let issuerUrl = ''
  let templates: readonly string[] = []
  let outputs: Readonly<Record<string, Readonly<Record<string, string>>>> = {}

  beforeAll(async () => {
    issuer = createServer({ cert: readFileSync(peer.facts['certificate'] ?? ''), key: readFileSync(peer.facts['key'] ?? '') }, (request, response) => {
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify(request.url === '/jwks' ? { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'one', alg: 'RS256', use: 'sig' }] } : { issuer: issuerUrl, jwks_uri: `${issuerUrl}/jwks` }))
    })
    await new Promise<void>((resolve) => issuer.listen(0, '127.0.0.1', resolve))
    issuerUrl = `https://127.0.0.1:${(issuer.address() as AddressInfo).port}`
    const files = (Object.keys(doors) as (keyof typeof doors)[]).map((name) => {
      const file = join(scratch, `${name}.yaml`)
      writeFileSync(file, JSON.stringify(configuration(name, issuerUrl)))
      return `${name}=${file}`
    })
    const bootstrap = ['bootstrap', `aws://${account}/${region}`, '--qualifier', 'doors', '--toolkit-stack-name', 'DoorsToolkit']
    await Promise.all([node([join(root, 'functions/build.ts'), '--host', 'lambda', '--only', 'aws_secret_manager', '--config', join(scratch, 'Tokens.yaml'), '--out', bundles]), cdk(bootstrap, scratch)])
    await node([join(root, 'test/infra/support/write-front-doors.ts'), shipped, join(bundles, 'lambda'), 'doors', ...files])
    cpSync(shipped, copy, { recursive: true })
    templates = readdirSync(copy, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.template.json'))
    for (const path of templates) writeFileSync(join(copy, path), JSON.stringify(copyOf(read(shipped, path))))
    await cdk(['deploy', '**', '--app', copy, '--require-approval', 'never', '--concurrency', '4', '--outputs-file', outputsFile, '--progress', 'events'])
    outputs = JSON.parse(readFileSync(outputsFile, 'utf8')) as typeof outputs
    const calling = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 'execute-api:Invoke', Resource: '*' }] }
    await asked(
      { kind: 'call', service: 'secretsmanager', call: 'create_secret', with: { Name: 'DOORS_MASTER_KEY', SecretString: `sk-${randomBytes(32).toString('hex')}` } },
      ...[gateway, stranger].map((arn): Ask => ({ kind: 'call', service: 'iam', call: 'create_role', with: { RoleName: arn.split('/')[1], AssumeRolePolicyDocument: JSON.stringify(ownAccount) } })),
      { kind: 'call', service: 'iam', call: 'put_role_policy', with: { RoleName: 'doors-gateway', PolicyName: 'own', PolicyDocument: JSON.stringify(calling) } },
    )
  }, 240_000)
  afterAll(async () => {
    await new Promise((resolve) => issuer.close(resolve))
    rmSync(scratch, { recursive: true, force: true })
  })

  const read = (folder: string, path: string): Template => JSON.parse(readFileSync(join(folder, path), 'utf8')) as Template
  const shown = (answers: readonly Answer[]): readonly string[] => answers.map(({ status, body = '' }) => `${status} ${body.replaceAll(/sk-[\w-]+/g, (token) => (watch('token', token), 'sk-…')).slice(0, 160)}`)
  const part = (content: object): string => Buffer.from(JSON.stringify(content)).toString('base64url')
  const bearer = (claims: object, key = privateKey): object => {
    const now = Math.floor(Date.now() / 1_000)
    const text = `${part({ alg: 'RS256', kid: 'one', typ: 'JWT' })}.${part({ iss: issuerUrl, aud: 'latchkey', sub: 'pod', iat: now, nbf: now - 5, exp: now + 600, ...claims })}`
    return { headers: { authorization: `Bearer ${text}.${sign('RSA-SHA256', Buffer.from(text), key).toString('base64url')}` } }
  }
  const life = (alias: string, read: object, keys: object, stage = ''): readonly Ask[] => [
    { kind: 'request', method: 'GET', path: `${stage}/whoami`, ...read },
    { kind: 'request', method: 'POST', path: `${stage}/key/generate`, body: { key_alias: alias }, ...keys },
    { kind: 'request', method: 'GET', path: `${stage}/secrets/doors/${alias}`, ...read },
    { kind: 'request', method: 'POST', path: `${stage}/key/regenerate`, body: { key_alias: alias }, ...keys },
    { kind: 'request', method: 'POST', path: `${stage}/key/delete`, body: { key_aliases: [alias] }, ...keys },
    { kind: 'request', method: 'GET', path: `${stage}/secrets/doors/${alias}?refresh=true`, ...read },
  ]

  const statuses = (answers: readonly Answer[]): readonly (number | undefined)[] => answers.map(({ status }) => status)
  const lived = [200, 200, 200, 200, 200, 404]

  it('is the shipped template but for what the emulator cannot take', () => {
    expect(templates.length).toBe(4)
    expect(templates.flatMap((path) => unexplained(read(shipped, path), read(copy, path)))).toEqual([])
  })

  it('differs in nothing after it was deployed', async () => {
    const log = await cdk(['diff', '**', '--app', copy, '--fail'])

    expect(log).not.toContain('[~]')
  })

  describe('that takes tokens', () => {
    const get = (more: object): Ask => ({ kind: 'request', url: outputs['Tokens-Latchkey']?.['ApiUrl'], method: 'GET', path: '/whoami', ...more })

    it('lets a pod create, read, rotate and delete a key by the token of its cluster', async () => {
      const caller = { url: outputs['Tokens-Latchkey']?.['ApiUrl'], ...bearer({}) }

      const answers = await asked(...life(`tokens-${mark}`, caller, caller))

      told('by a token', shown(answers))
      expect(statuses(answers)).toEqual(lived)
    })

    it('refuses, before the function is asked, who has no token, one that nobody or another issuer signed, one for somebody else, and an old one', async () => {
      const another = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey

      const answers = await asked(get({}), get(bearer({}, another)), get(bearer({ iss: 'https://another.example' })), get(bearer({ aud: 'another' })), get(bearer({ exp: 1 })))

      told('refused by the gateway', shown(answers))
      expect(answers.map(({ status, body }) => [status, body])).toEqual(answers.map(() => [401, '{"message": "Unauthorized"}']))
    })

    it('has the function refuse a good token of whom the file does not name', async () => {
      const [answer] = await asked(get(bearer({ sub: 'another' })))

      expect([answer?.status, answer?.body]).toEqual([401, expect.stringContaining('"code":"unauthenticated"')])
    })
  })

  describe('that is a function URL', () => {
    const urls = (): Readonly<Record<string, string>> => outputs['Urls-Latchkey'] ?? {}
    const get = (more: object): Ask => ({ kind: 'request', url: urls()['ReadUrl'], service: 'lambda', method: 'GET', path: '/whoami', headers: { 'x-litellm-api-key': token }, ...more })

    it('lets the invoker role create, read, rotate and delete a key, each at the URL of the function that does it', async () => {
      const signed = { role: urls()['InvokerRoleArn'], service: 'lambda', headers: { 'x-litellm-api-key': token } }

      const answers = await asked(...life(`urls-${mark}`, { url: urls()['ReadUrl'], ...signed }, { url: urls()['KeysUrl'], ...signed }))

      told('at function URLs', shown(answers))
      expect(statuses(answers)).toEqual(lived)
    })

    it('refuses, whatever token it brings, a request without a signature, with a wrong one, and one by a role that may call nothing, or an API only', async () => {
      const answers = await asked(get({}), get({ role: urls()['InvokerRoleArn'], forge: true }), get({ role: stranger }), get({ role: gateway }))

      told('refused', shown(answers))
      expect(statuses(answers)).toEqual([403, 403, 403, 403])
    })

    // AWS has the caller's ARN in `requestContext.authorizer.iam`; there the entry `signer` of the file would be who asks.
    it('is not told by the emulator who signed, so that a signature alone is nobody', async () => {
      const [answer] = await asked(get({ role: urls()['InvokerRoleArn'], headers: {} }))

      expect([answer?.status, answer?.body]).toEqual([401, expect.stringContaining('No credential was sent')])
    })
  })

  describe('that is private', () => {
    // Of the API's own URL the emulator knows nothing: it answers for an API under `localhost`.
    const id = (): string => new URL(outputs['Closed-LatchkeyEdge']?.['ApiUrl'] ?? '').host.split('.')[0] ?? ''
    const url = (): string => `https://${id()}.execute-api.localhost:${new URL(peer.url).port}/`
    const get = (more: object): Ask => ({ kind: 'request', url: url(), method: 'GET', path: '/latchkey/whoami', ...more })

    it("refuses a caller that does not come through its endpoint, whatever the caller's own policy says", async () => {
      const [answer] = await asked(get({ role: gateway }))

      told('refused', shown(answer === undefined ? [] : [answer]))
      expect([answer?.status, answer?.body]).toEqual([403, expect.stringMatching(/not authorized to perform: execute-api:Invoke .*explicit deny in a resource-based policy/)])
    })

    // No request has `aws:SourceVpce` in the emulator, so nobody could get in. The template keeps its policy; the API that was deployed is given one without the endpoint.
    it('lets a gateway create, read, rotate and delete a key, once its policy does not ask for the endpoint, and nobody without a signature and a right of his own', async () => {
      const policy = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${account}:root` }, Action: 'execute-api:Invoke', Resource: 'execute-api:/*' }] }
      const caller = { url: url(), role: gateway }
      await asked({ kind: 'call', service: 'apigateway', call: 'update_rest_api', with: { restApiId: id(), patchOperations: [{ op: 'replace', path: '/policy', value: JSON.stringify(policy) }] } })

      const answers = await asked(...life(`closed-${mark}`, caller, caller, '/latchkey'))
      const refused = await asked(get({}), get({ role: gateway, forge: true }), get({ role: stranger }))

      told('through the private API', shown(answers))
      told('refused', shown(refused))
      expect(statuses(answers)).toEqual(lived)
      expect(statuses(refused)).toEqual([403, 403, 403])
    })

    it('has a stage that keeps no answer, and a web ACL', async () => {
      const [stages, acls] = await asked({ kind: 'call', service: 'apigateway', call: 'get_stages', with: { restApiId: id() } }, { kind: 'call', service: 'wafv2', call: 'list_web_acls', with: { Scope: 'REGIONAL' } })

      expect(stages?.answer).toMatchObject({ item: [{ cacheClusterEnabled: false, methodSettings: { '*/*': { cacheTtlInSeconds: 0, cacheDataEncrypted: true, throttlingRateLimit: 50 } } }] })
      expect(acls?.answer).toMatchObject({ WebACLs: [{ Name: expect.stringContaining('Closed-LatchkeyEdge') }] })
    })
  })

  describe('whose functions are in an isolated network', () => {
    type Described = Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>
    let subnets: Described[string] = []
    let tables: Described[string] = []
    let endpoints: Described[string] = []

    beforeAll(async () => {
      const within = { Filters: [{ Name: 'vpc-id', Values: [outputs['Closed-Latchkey']?.['VpcId']] }] }
      const seen = await asked(...['describe_subnets', 'describe_route_tables', 'describe_vpc_endpoints'].map((call): Ask => ({ kind: 'call', service: 'ec2', call, with: within })))
      const all = Object.assign({}, ...seen.map(({ answer }) => answer)) as Described
      subnets = all['Subnets'] ?? []
      tables = all['RouteTables'] ?? []
      endpoints = all['VpcEndpoints'] ?? []
    })

    it('has two subnets without a way out, and the endpoints of Secrets Manager and of the API in them', () => {
      expect(new Set(subnets.map(({ AvailabilityZone: zone }) => zone))).toEqual(new Set(['us-east-1a', 'us-east-1b']))
      expect(new Set(tables.flatMap(({ Routes: routes }) => (routes as { GatewayId: string }[]).map(({ GatewayId: to }) => to)))).toEqual(new Set(['local']))
      expect(endpoints.map(({ ServiceName: name, SubnetIds: at }) => [name, (at as string[]).toSorted()]).toSorted()).toEqual(['execute-api', 'secretsmanager'].map((name) => [`com.amazonaws.${region}.${name}`, subnets.map(({ SubnetId: one }) => one).toSorted()]))
    })

    // So what an isolated network is for (endpoint policies, groups, no way out) is shown by the checks of templates and the evaluator alone; the life above was led by functions in no network.
    it('is a drawing of a network in the emulator: a function has no place in it, an endpoint no policy and no private name, and nothing is out of reach', async () => {
      const name = `inside-${mark}`
      const trust = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Principal: { Service: 'lambda.amazonaws.com' }, Action: 'sts:AssumeRole' }] }

      const [placed, , , , reached] = await asked(
        { kind: 'call', service: 'lambda', call: 'get_function_configuration', with: { FunctionName: 'closed-read' } },
        { kind: 'call', service: 'iam', call: 'create_role', with: { RoleName: name, AssumeRolePolicyDocument: JSON.stringify(trust) } },
        { kind: 'call', service: 'iam', call: 'put_role_policy', with: { RoleName: name, PolicyName: 'own', PolicyDocument: JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 'sqs:ListQueues', Resource: '*' }] }) } },
        { kind: 'probe', function: name, role: `arn:aws:iam::${account}:role/${name}`, with: { VpcConfig: { SubnetIds: subnets.map(({ SubnetId: one }) => one), SecurityGroupIds: [] } } },
        { kind: 'as_function', function: name, service: 'sqs', call: 'list_queues' },
      )

      expect(placed?.answer).not.toHaveProperty('VpcConfig')
      expect(endpoints.flatMap((one) => ['PolicyDocument', 'PrivateDnsEnabled', 'Groups'].filter((key) => Object.hasOwn(one, key)))).toEqual([])
      expect(reached).toEqual({ answer: 'done' })
    })
  })

  it('leaves no function, no API and no network when it is destroyed', async () => {
    const look = (): Promise<readonly Answer[]> => asked({ kind: 'call', service: 'lambda', call: 'list_functions' }, { kind: 'call', service: 'apigateway', call: 'get_rest_apis' }, { kind: 'call', service: 'apigatewayv2', call: 'get_apis' }, { kind: 'call', service: 'ec2', call: 'describe_vpcs', with: within })
    const within = { Filters: [{ Name: 'vpc-id', Values: [outputs['Closed-Latchkey']?.['VpcId']] }] }
    const before = await look()
    await cdk(['destroy', '**', '--app', copy, '--force', '--concurrency', '4'])

    const after = await look()

    const ours = (answers: readonly Answer[]): readonly number[] => {
      const [functions, rest, http, vpcs] = answers.map(({ answer }) => answer) as [{ Functions: { FunctionName: string }[] }, { items?: { name: string }[] }, { Items: { Name: string }[] }, { Vpcs: object[] }]
      const named = (names: readonly string[] = []): number => names.filter((name) => /^(?:tokens|urls|closed)(?:-(?:read|keys|rotate))?$/.test(name)).length
      return [named(functions.Functions.map(({ FunctionName: name }) => name)), named(rest.items?.map(({ name }) => name)), named(http.Items.map(({ Name: name }) => name)), vpcs.Vpcs.length]
    }
    expect(ours(before)).toEqual([9, 1, 1, 1])
    expect(ours(after)).toEqual([0, 0, 0, 0])
  })
})
