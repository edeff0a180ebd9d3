// Every form in which AWS hands over an HTTP request, from recorded events: what the application is asked, and the form of the answer.
import { describe, expect, it } from 'vitest'
import type { Deployed } from '../../functions/deployed.ts'
import { answerHttp, type HttpAnswer } from '../../functions/lambda/http.ts'
import type { ApiRequest, ApiResponse } from '../../shared/http/api.ts'
import { testRuntime, type TestRuntime } from '../support/runtime.ts'
import { recorded } from './lambda-process.ts'

const token = 'sk-the-token-of-a-recorded-event'

interface Carried {
  readonly asked: ApiRequest & { readonly text: string }
  readonly answer: HttpAnswer
}

/** Hands an event to an application that keeps what it is asked. */
const carry = async (event: unknown, given: { readonly response?: ApiResponse; readonly remainingMs?: number; readonly runtime?: TestRuntime; readonly requestMs?: number } = {}): Promise<Carried> => {
  let asked: ApiRequest | undefined
  const runtime = given.runtime ?? testRuntime()
  const app = async (request: ApiRequest): Promise<ApiResponse> => {
    asked = request
    return given.response ?? { status: 200, headers: { 'content-type': 'text/plain; charset=utf-8', 'x-request-id': 'r1' }, body: 'ok' }
  }
  const deployed: Deployed = { app, stores: new Map(), runtime, trust: { easy_auth: false, google_iam: false }, requestMs: given.requestMs ?? 25_000 }
  const answer = await answerHttp(deployed, event, given.remainingMs ?? 30_000)
  if (asked === undefined) throw new Error('the application was not asked')
  return { asked: { ...asked, text: Buffer.from(asked.body).toString('utf8') }, answer }
}

const iamFacts = { aws_arn: ['arn:aws:sts::123456789012:assumed-role/ci/run-7', 'arn:aws:iam::123456789012:role/ci'] }

describe('an event', () => {
  it.each([
    ['http-api-get', { method: 'GET', path: '/secrets/your-test-key', query: '', text: '' }],
    ['http-api-stage-get', { method: 'GET', path: '/secrets/your-test-key', query: 'refresh=true' }],
    ['http-api-payload-1-post', { method: 'POST', path: '/secrets:read', query: '', text: '{"names":["a"]}' }],
    ['rest-api-get', { method: 'GET', path: '/secrets/your-test-key', query: '' }],
    ['rest-api-iam-get', { method: 'GET', path: '/secrets/team/db', query: 'property=pass%20word%2B&twice=a&twice=b%26c' }],
    ['alb-get', { method: 'GET', path: '/secrets/team%2Fdb', query: 'property=pass%20word%2B', text: '' }],
    ['alb-multi-value-post', { method: 'POST', path: '/secrets:read', query: '', text: '{"names":["a"]}' }],
    ['function-url-post-base64', { method: 'POST', path: '/secrets:read', text: '{"names":["your-test-key","absent"]}' }],
  ])('%s is what its caller sent', async (name, parts) => {
    const { asked } = await carry(recorded(name, token))

    expect(asked).toMatchObject(parts)
  })

  it.each(['http-api-get', 'http-api-stage-get', 'http-api-payload-1-post', 'rest-api-get', 'alb-get', 'alb-multi-value-post', 'function-url-post-base64'])('%s has its headers in lower case', async (name) => {
    const { asked } = await carry(recorded(name, token))

    expect(asked.headers['authorization']).toBe(`Bearer ${token}`)
    expect(Object.keys(asked.headers).filter((header) => header !== header.toLowerCase())).toEqual([])
  })

  it.each(['rest-api-iam-get', 'alb-multi-value-post'])('%s keeps a header that came twice', async (name) => {
    const { asked } = await carry(recorded(name, token))

    expect(asked.headers['x-twice']).toBe('one, two')
  })

  it.each([
    ['http-api-get', false],
    ['function-url-post-base64', false],
    ['alb-get', false],
    ['http-api-payload-1-post', true],
    ['rest-api-get', true],
    ['alb-multi-value-post', true],
  ])('%s is answered in its own form', async (name, lists) => {
    const { answer } = await carry(recorded(name, token))

    const headers = { 'content-type': 'text/plain; charset=utf-8', 'x-request-id': 'r1' }
    const shown = lists ? { multiValueHeaders: Object.fromEntries(Object.entries(headers).map(([header, value]) => [header, [value]])) } : { headers }
    expect(answer).toEqual({ statusCode: 200, ...shown, body: 'ok', isBase64Encoded: false })
  })

  it('of a REST API whose stage is called like a route keeps its path', async () => {
    const { asked } = await carry(recorded('rest-api-iam-get', token))

    expect(asked.path).toBe('/secrets/team/db')
  })

  it.each([
    ['/llm/secrets/a', '/secrets/a'],
    ['/secrets/a', '/secrets/a'],
    ['/llmsecrets/a', '/llmsecrets/a'],
    ['/llm', '/llm'],
  ])('behind a custom domain with LATCHKEY_BASE_PATH asks for %s as %s', async (rawPath, path) => {
    const { asked } = await carry(recorded('http-api-get', token, { rawPath }), { runtime: testRuntime({ env: { LATCHKEY_BASE_PATH: '/llm' } }) })

    expect(asked.path).toBe(path)
  })

  it.each([
    ['the platform, less 1.5 s', 10_000, 25_000, 8_500],
    ['the setting', 300_000, 5_000, 5_000],
    ['nobody any more', 1_000, 25_000, 0],
  ])('has the time of %s', async (_whose, remainingMs, requestMs, leftMs) => {
    const runtime = testRuntime()

    const { asked } = await carry(recorded('http-api-get', token), { runtime, remainingMs, requestMs })

    expect(asked.deadline - runtime.clock.now()).toBe(leftMs)
  })

  it.each([
    ['nothing', undefined],
    ['null', null],
    ['text', 'GET /secrets/a'],
    ['a list', []],
    ['a rotation step', { Step: 'createSecret', SecretId: 'a', ClientRequestToken: 'b' }],
    ['a message of a queue', { Records: [{ eventSource: 'aws:sqs', body: '{}' }] }],
    ['an event of EventBridge', { source: 'aws.secretsmanager', 'detail-type': 'AWS API Call via CloudTrail', detail: {} }],
    ['an HTTP event without a method', { version: '2.0', rawPath: '/health', requestContext: { http: {} } }],
    ['an HTTP event without a context', { httpMethod: 'GET', path: '/health' }],
  ])('that is no HTTP event is refused by its shape: %s', async (_what, event) => {
    await expect(carry(event)).rejects.toMatchObject({ code: 'invalid_request' })
  })
})

describe('an answer', () => {
  const large = (characters: number, fill = 'a'): ApiResponse => ({ status: 200, headers: { 'content-type': 'application/json; charset=utf-8', 'x-request-id': 'r2' }, body: fill.repeat(characters) })

  it('that Lambda would not give back is a documented failure in its place', async () => {
    const { answer } = await carry(recorded('http-api-get', token), { response: large(6 * 1_048_576) })

    expect(answer.statusCode).toBe(413)
    expect(JSON.parse(answer.body)).toMatchObject({ code: 'too_large', request_id: 'r2', hint: 'Ask for fewer names at once.' })
    expect(answer.headers).toMatchObject({ 'x-request-id': 'r2', 'cache-control': 'no-store' })
  })

  it('counts as it is sent: quotes and controls take more than themselves', async () => {
    const { answer } = await carry(recorded('http-api-get', token), { response: large(1_100_000, '\u0001') })

    expect(answer.statusCode).toBe(413)
  })

  it('just below the limit goes out', async () => {
    const { answer } = await carry(recorded('http-api-get', token), { response: large(6 * 1_048_576 - 1_024) })

    expect([answer.statusCode, answer.body.length]).toEqual([200, 6 * 1_048_576 - 1_024])
  })
})

describe('the identity of an event', () => {
  it.each([
    ['http-api-iam', { kind: 'aws_arn', facts: iamFacts }],
    ['function-url-iam', { kind: 'aws_arn', facts: iamFacts }],
    ['rest-api-iam-get', { kind: 'aws_arn', facts: iamFacts }],
    ['http-api-jwt', { kind: 'jwt', facts: { issuer: ['https://idp.example'], subject: ['team-a'], audience: ['latchkey', 'other'] } }],
    ['rest-api-cognito-get', { kind: 'jwt', facts: { issuer: ['https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_EXAMPLE'], subject: ['team-a'], audience: ['7exampleclient'] } }],
  ])('%s is what the platform proved', async (name, identity) => {
    const { asked } = await carry(recorded(name, token))

    expect(asked.identity).toEqual(identity)
  })

  it.each(['http-api-get', 'http-api-payload-1-post', 'rest-api-get', 'alb-get', 'alb-multi-value-post', 'function-url-post-base64'])('%s has none', async (name) => {
    const { asked } = await carry(recorded(name, token))

    expect(asked.identity).toBeUndefined()
  })

  it('is never the word of a Lambda authorizer, whatever it calls its context', async () => {
    const { asked } = await carry(recorded('rest-api-custom-authorizer-get', token))

    expect(asked.identity).toBeUndefined()
  })

  it.each([
    ['a user', 'arn:aws:iam::123456789012:user/team/jo', ['arn:aws:iam::123456789012:user/team/jo']],
    ['a federated user', 'arn:aws:sts::123456789012:federated-user/jo', ['arn:aws:sts::123456789012:federated-user/jo']],
    ['a session in another partition', 'arn:aws-cn:sts::123456789012:assumed-role/ci/s', ['arn:aws-cn:sts::123456789012:assumed-role/ci/s', 'arn:aws-cn:iam::123456789012:role/ci']],
    ['a session that calls itself a role', 'arn:aws:sts::123456789012:assumed-role/other/role/ci', ['arn:aws:sts::123456789012:assumed-role/other/role/ci']],
  ])('of %s is its ARN, and of a session its role too', async (_who, userArn, aws_arn) => {
    const { asked } = await carry(recorded('http-api-iam', token, { requestContext: { stage: '$default', http: { method: 'GET' }, authorizer: { iam: { userArn } } } }))

    expect(asked.identity).toEqual({ kind: 'aws_arn', facts: { aws_arn } })
  })

  it.each([
    ['no text', { aud: 7, iss: ['https://idp.example'], sub: { a: 1 } }],
    ['empty', { aud: '', iss: '', sub: '' }],
    ['absent', {}],
  ])('has no facts of claims that are %s', async (_what, claims) => {
    const { asked } = await carry(recorded('http-api-jwt', token, { requestContext: { stage: '$default', http: { method: 'GET' }, authorizer: { jwt: { claims } } } }))

    expect(asked.identity).toEqual({ kind: 'jwt', facts: { issuer: [], subject: [], audience: [] } })
  })
})
