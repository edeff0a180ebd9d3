// AWS Secrets Manager on loopback: JSON 1.1 with Signature Version 4, over the rules of aws-secrets-manager-rules.ts. It checks every signature itself,
// so that a client which signs wrongly fails here as it would there, and it can be broken on purpose, before or after it has done what was asked.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { ServiceFailure, type Input } from './aws-secrets-manager-input.ts'
import { secretsManagerRules, type HeldSecret, type RulesOptions } from './aws-secrets-manager-rules.ts'
import { checkSignature, fakeKeys, type FakeAccessKey } from './aws-signature.ts'
import { bodyOf, listen, noFaults } from './wire.ts'

export { fakeKeys, type FakeAccessKey }

/** How one answer goes wrong. `unavailable_after`, `truncated`, `slow` and the nonsense come after the work is done, the rest before it is begun. */
export type FakeFaultKind =
  | 'denied'
  | 'throttled'
  | 'quota'
  | 'expired_credential'
  | 'unavailable_before'
  | 'unavailable_after'
  | 'reset'
  | 'truncated'
  | 'slow'
  | 'malformed'
  | 'html'
  | 'mistyped'
  | 'error_body'
  | 'redirect'
  | 'empty'
  | 'not_json'
  | 'no_fields'
  | 'named'
  | 'says'

export interface FakeFault {
  readonly kind: FakeFaultKind
  readonly on?: 'read' | 'change'
  /** Only these operations. Default: all. */
  readonly operations?: readonly string[]
  readonly nth?: number
  readonly times?: number
  /** For `says`: the answer, whatever the truth. */
  readonly answer?: unknown
  /** For `named`: the refusal as the service would name it. */
  readonly name?: string
  readonly status?: number
  /** Text that stands in the failure, where a careless client would repeat it. */
  readonly echo?: string
}

export interface FakeRequest {
  readonly operation: string
  readonly input: Input
  readonly headers: IncomingMessage['headers']
}

export interface SecretsManagerFakeOptions extends RulesOptions {
  /** Whose signatures are good. Default: {@link fakeKeys}. */
  readonly keys?: readonly FakeAccessKey[]
  /** What whoever signs with this access key may do; nothing is done that it does not allow. Default: everything. */
  readonly allows?: (accessKeyId: string, operation: string, input: Input) => boolean
  /** The service's time, which it says in every answer and holds signatures to. Default: the machine's is said, and signatures may be of any time. */
  readonly time?: () => number
}

const reads: ReadonlySet<string> = new Set(['GetSecretValue', 'BatchGetSecretValue', 'DescribeSecret', 'ListSecrets', 'ListSecretVersionIds', 'GetRandomPassword', 'GetResourcePolicy', 'ValidateResourcePolicy'])

const refusals: Partial<Record<FakeFaultKind, readonly [name: string, message: string, status: number]>> = {
  denied: ['AccessDeniedException', 'User: arn:aws:sts::123456789012:assumed-role/fake/session is not authorized to perform this action because no identity-based policy allows it', 400],
  throttled: ['ThrottlingException', 'Rate exceeded', 400],
  quota: ['LimitExceededException', 'The request failed because it would exceed one of the Secrets Manager quotas.', 400],
  expired_credential: ['ExpiredTokenException', 'The security token included in the request is expired', 400],
  unavailable_before: ['InternalServiceError', 'An error occurred on the server side.', 500],
  unavailable_after: ['InternalServiceError', 'An error occurred on the server side.', 500],
}

/** The running fake. */
export interface SecretsManagerFake {
  readonly url: string
  readonly secrets: Map<string, HeldSecret>
  /** Every request in the order of arrival, refused ones included. */
  readonly requests: FakeRequest[]
  /** How often an operation was asked for. */
  count(operation: string): number
  /** Creates a secret, or gives it a new current version, as an operator would in the console. */
  seed(name: string, value: string | Uint8Array): void
  /** Adds a version under labels of its own, as an operation of somebody would. */
  put(name: string, token: string, labels: readonly string[]): void
  /** Begins a rotation as the service does on its schedule: a version is reserved under AWSPENDING, without a value. Answers the secret's ARN. */
  rotate(name: string, token: string, lambda: string): string
  fault(fault: FakeFault): void
  /** Once an answer is being held back by a `slow` fault; at once when there is no such fault. */
  held(): Promise<void>
  heal(): void
  close(): Promise<void>
}

const parse = (body: Buffer): Input => {
  try {
    const input: unknown = JSON.parse(body.toString('utf8'))
    if (input !== null && typeof input === 'object' && !Array.isArray(input)) return input as Input
  } catch {
    // Answered below like any other text that is no JSON object.
  }
  throw new ServiceFailure('SerializationException', 'The request body is not a JSON object.')
}

const send = (response: ServerResponse, status: number, body: string): void => {
  response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1', 'content-length': Buffer.byteLength(body), 'x-amzn-requestid': '00000000-fake-4000-8000-000000000000' })
  response.end(body)
}

/** What a proxy or a guest network puts in place of an answer. */
const sendForeign = (response: ServerResponse, body: string, type: string): void => {
  response.writeHead(200, { 'content-type': type, 'content-length': Buffer.byteLength(body) })
  response.end(body)
}

const refusalOf = (error: unknown): { readonly status: number; readonly body: string } => {
  const failure = error instanceof ServiceFailure ? error : new ServiceFailure('InternalServiceError', 'The fake failed.', 500)
  return { status: failure.status, body: JSON.stringify({ __type: failure.name, Message: failure.message }) }
}

const nonsense: Partial<Record<FakeFaultKind, (response: ServerResponse, answer: string, echo: string) => void>> = {
  malformed: (response, _, echo) => send(response, 200, `{"Name": "half an answer ${echo}", `),
  html: (response, _, echo) => sendForeign(response, `<html><body>Sign in to the guest network ${echo}</body></html>`, 'text/html'),
  empty: (response) => send(response, 200, ''),
  not_json: (response, answer) => sendForeign(response, answer, 'text/plain'),
  mistyped: (response, _, echo) => sendForeign(response, `<html><body>Sign in to the guest network ${echo}</body></html>`, 'application/x-amz-json-1.1'),
  error_body: (response, _, echo) => send(response, 200, JSON.stringify({ __type: 'InternalServiceError', Message: `It failed. ${echo}` })),
  redirect: (response, _, echo) => {
    response.writeHead(302, { location: `https://elsewhere.example/${encodeURIComponent(echo)}`, 'content-length': 0 })
    response.end()
  },
  no_fields: (response) => send(response, 200, '{}'),
  truncated: (response, answer, echo) => {
    const whole = answer + echo
    response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1', 'content-length': Buffer.byteLength(whole) })
    response.write(Buffer.from(whole).subarray(0, Math.floor(whole.length / 2)), () => response.destroy())
  },
}

/** Starts the fake on a free port of loopback. */
export const startSecretsManagerFake = async (options: SecretsManagerFakeOptions = {}): Promise<SecretsManagerFake> => {
  const { region = 'us-east-1', keys = [fakeKeys], time, allows = () => true } = options
  const { secrets, operations } = secretsManagerRules(options)
  const requests: FakeRequest[] = []
  const { striking, hold, ...faults } = noFaults<FakeFault>()
  const means = (operation: string) => ({ on, operations: these }: FakeFault): boolean => (on === undefined || (on === 'read') === reads.has(operation)) && (these?.includes(operation) ?? true)

  const answerOf = (request: IncomingMessage, body: Buffer, operation: string, input: Input): { readonly status: number; readonly body: string } => {
    try {
      checkSignature(request, body, { region, service: 'secretsmanager', keys, ...(time !== undefined && { time: time() }) })
      if (request.method !== 'POST' || !String(request.headers['content-type']).startsWith('application/x-amz-json-1.1')) throw new ServiceFailure('UnknownOperationException', 'Not an AWS JSON 1.1 request.', 404)
      const run = Object.hasOwn(operations, operation) ? operations[operation] : undefined
      if (run === undefined) throw new ServiceFailure('UnknownOperationException', 'The operation is not known.', 404)
      const [, caller = ''] = /Credential=([^/]+)\//.exec(String(request.headers['authorization'])) ?? []
      if (!allows(caller, operation, input)) throw new ServiceFailure('AccessDeniedException', `User: arn:aws:iam::123456789012:user/${caller} is not authorized to perform: secretsmanager:${operation}`, 400)
      return { status: 200, body: JSON.stringify(run(input)) }
    } catch (error) {
      return refusalOf(error)
    }
  }

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await bodyOf(request)
    const operation = /^secretsmanager\.(\w+)$/.exec(String(request.headers['x-amz-target'] ?? ''))?.[1] ?? ''
    const input = parse(body)
    requests.push({ operation, input, headers: request.headers })
    const fault = striking(means(operation))
    const echo = fault?.echo ?? ''
    if (fault?.kind === 'reset') {
      request.socket.destroy()
      return
    }
    if (fault?.kind === 'named') throw new ServiceFailure(fault.name ?? 'UnknownException', `It was refused. ${echo}`, fault.status)
    const refusal = fault === undefined ? undefined : refusals[fault.kind]
    if (refusal !== undefined && fault?.kind !== 'unavailable_after') throw new ServiceFailure(refusal[0], `${refusal[1]} ${echo}`, refusal[2])
    const outcome = answerOf(request, body, operation, input)
    if (refusal !== undefined) throw new ServiceFailure(refusal[0], `${refusal[1]} ${echo}`, refusal[2])
    if (fault?.kind === 'slow') await hold()
    if (fault?.kind === 'says') return send(response, 200, JSON.stringify(fault.answer))
    const strange = fault === undefined ? undefined : nonsense[fault.kind]
    if (strange === undefined) send(response, outcome.status, outcome.body)
    else strange(response, outcome.body, echo)
  }

  const server = createServer((request, response) => {
    if (time !== undefined) response.setHeader('date', new Date(time()).toUTCString())
    answer(request, response).catch((error: unknown) => {
      const { status, body } = refusalOf(error)
      if (!response.headersSent) send(response, status, body)
    })
  })
  const { port, close } = await listen(server)
  return {
    url: `http://127.0.0.1:${port}`,
    secrets,
    requests,
    count: (operation) => requests.filter((request) => request.operation === operation).length,
    seed: (name, value) => {
      const body = typeof value === 'string' ? { SecretString: value } : { SecretBinary: Buffer.from(value).toString('base64') }
      if (secrets.has(name)) operations['PutSecretValue']?.({ SecretId: name, ...body })
      else operations['CreateSecret']?.({ Name: name, ...body })
    },
    put: (name, token, labels) => void operations['PutSecretValue']?.({ SecretId: name, ClientRequestToken: token, SecretString: 'x', VersionStages: labels }),
    rotate: (name, token, lambda) => String(operations['RotateSecret']?.({ SecretId: name, ClientRequestToken: token, RotationLambdaARN: lambda })['ARN']),
    ...faults,
    close: () => {
      faults.heal()
      return close()
    },
  }
}
