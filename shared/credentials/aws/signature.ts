// AWS Signature Version 4 for the one kind of request that Latchkey signs itself: a POST with a body and no query. AWS's own signer is the yardstick in the tests.
import { createHmac, hash } from 'node:crypto'
import { encodePart } from '../../core/http-client.ts'
import type { AwsKeys } from '../aws-keys.ts'

/** For whom a signature is made. */
export interface SigningScope {
  readonly region: string
  /** As in the credential scope, such as `secretsmanager`. */
  readonly service: string
}

/** What is signed: all of its headers and the whole body. */
export interface SignableRequest {
  /** Host and path of the request; a query is not signed, because there is none. */
  readonly url: URL
  /** Lower-case names. `host`, the date and the session token are added. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

const algorithm = 'AWS4-HMAC-SHA256'
const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text, 'utf8').digest()

/** Every part of the path encoded once more than it is sent, without empty ones. */
const canonicalPath = (pathname: string): string => {
  const parts = pathname.split('/').filter((part) => part !== '')
  return `/${parts.map(encodePart).join('/')}${parts.length > 0 && pathname.endsWith('/') ? '/' : ''}`
}

/** Signs for one service; keeps the key derived last, which is good for a day. `at` is in milliseconds since the epoch. Answers every header to be sent. */
export const signer = ({ region, service }: SigningScope): ((request: SignableRequest, keys: AwsKeys, at: number) => Readonly<Record<string, string>>) => {
  let derived: { readonly from: string; readonly key: Buffer } | undefined
  const signingKey = (secret: string, day: string): Buffer => {
    const from = `${day} ${secret}`
    if (derived?.from !== from) derived = { from, key: hmac(hmac(hmac(hmac(`AWS4${secret}`, day), region), service), 'aws4_request') }
    return derived.key
  }
  return ({ url, headers, body }, { accessKeyId, secretAccessKey, sessionToken }, at) => {
    const date = new Date(at).toISOString().replace(/[-:]|\.\d{3}/g, '')
    const day = date.slice(0, 8)
    const sent: Readonly<Record<string, string>> = { ...headers, host: url.host, 'x-amz-date': date, ...(sessionToken !== undefined && { 'x-amz-security-token': sessionToken }) }
    const names = Object.keys(sent).toSorted()
    const lines = names.map((name) => `${name}:${(sent[name] ?? '').replace(/[ \t]+/g, ' ').replace(/^ | $/g, '')}\n`).join('')
    const request = ['POST', canonicalPath(url.pathname), '', lines, names.join(';'), hash('sha256', body)].join('\n')
    const scope = `${day}/${region}/${service}/aws4_request`
    const signature = hmac(signingKey(secretAccessKey, day), [algorithm, date, scope, hash('sha256', request)].join('\n')).toString('hex')
    return { ...sent, authorization: `${algorithm} Credential=${accessKeyId}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}` }
  }
}
