// Signature Version 4, checked as every AWS service checks it: from the bytes that arrived, by our own hand, so that a client which signs wrongly fails here as
// it would there. One for all fakes of AWS.
import { createHash, createHmac } from 'node:crypto'
import { ServiceFailure } from './aws-secrets-manager-input.ts'

export interface FakeAccessKey {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

/** The access key that every fake knows by default. */
export const fakeKeys: FakeAccessKey = { accessKeyId: 'AKIAIOSFODNN7FAKE001', secretAccessKey: 'fake/secret/access/key/of/the/loopback/service' }

/** What was signed, as it arrived. */
export interface SignedRequest {
  readonly method?: string | undefined
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
}

/** Who may sign for what. */
export interface Signing {
  readonly region: string
  /** As in the credential scope. */
  readonly service: string
  readonly keys: readonly FakeAccessKey[]
  /** The service's own time: a signature may be five minutes away from it. Default: none is too old or too young. */
  readonly time?: number
}

const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()
const sha256 = (data: string | Buffer): string => createHash('sha256').update(data).digest('hex')

/** Signature Version 4 as documented. @throws ServiceFailure under the name that AWS has for it */
export const checkSignature = ({ method, headers }: SignedRequest, body: Buffer, { region, service, keys, time }: Signing): void => {
  const refuse = (name: string, message: string): never => {
    throw new ServiceFailure(name, message)
  }
  const parts = /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(String(headers['authorization'] ?? ''))
  if (parts === null) return refuse('MissingAuthenticationTokenException', 'Missing Authentication Token')
  const [, id = '', day = '', inRegion = '', inService = '', signedHeaders = '', signature = ''] = parts
  const key = keys.find((candidate) => candidate.accessKeyId === id && candidate.sessionToken === headers['x-amz-security-token'])
  if (key === undefined) return refuse('UnrecognizedClientException', 'The security token included in the request is invalid.')
  if (inRegion !== region || inService !== service) return refuse('InvalidSignatureException', `Credential should be scoped to a valid region and service: ${region}/${service}.`)
  // The query protocol of STS names its action in the body.
  for (const header of ['host', 'x-amz-date', ...(service === 'sts' ? [] : ['x-amz-target'])]) if (!signedHeaders.split(';').includes(header)) return refuse('InvalidSignatureException', `The header ${header} must be signed.`)
  const lines = signedHeaders.split(';').map((name) => `${name}:${String(headers[name] ?? '').trim().replace(/ +/g, ' ')}\n`).join('')
  const canonical = [method, '/', '', lines, signedHeaders, sha256(body)].join('\n')
  const date = String(headers['x-amz-date'])
  const scope = `${day}/${inRegion}/${inService}/aws4_request`
  const signingKey = hmac(hmac(hmac(hmac(`AWS4${key.secretAccessKey}`, day), inRegion), inService), 'aws4_request')
  const expected = hmac(signingKey, ['AWS4-HMAC-SHA256', date, scope, sha256(canonical)].join('\n')).toString('hex')
  if (expected !== signature || !date.startsWith(day)) return refuse('InvalidSignatureException', 'The request signature we calculated does not match the signature you provided.')
  const signedAt = Date.parse(date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'))
  if (time !== undefined && !(Math.abs(signedAt - time) <= 300_000)) return refuse('InvalidSignatureException', `Signature ${signedAt < time ? 'expired' : 'not yet current'}: ${date} is more than 5 min. from the time of the service.`)
}
