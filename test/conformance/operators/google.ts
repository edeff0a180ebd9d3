// How an operator of Google Cloud reaches any server with Google's own client over REST: at the address of a target, with a token that the target's credential signs.
import { createPrivateKey, sign } from 'node:crypto'
import type { ClientOptions } from 'google-gax'
import type { Target } from '../harness.ts'

interface AccountFile {
  readonly client_email: string
  readonly private_key: string
}

const base64url = (json: object): string => Buffer.from(JSON.stringify(json)).toString('base64url')

/** A token that a service account has signed for itself, good for an hour from `now`. */
export const signedToken = (file: string, now = Date.now(), claims: object = {}): string => {
  const account = JSON.parse(file) as AccountFile
  const seconds = Math.floor(now / 1000)
  const unsigned = `${base64url({ alg: 'RS256', typ: 'JWT' })}.${base64url({ iss: account.client_email, sub: account.client_email, scope: 'https://www.googleapis.com/auth/cloud-platform', iat: seconds, exp: seconds + 3_600, ...claims })}`
  return `${unsigned}.${sign('RSA-SHA256', Buffer.from(unsigned), createPrivateKey(account.private_key)).toString('base64url')}`
}

/** An identity for Google's clients that sends one token as it is. */
export const tokenAuth = (token: string) => ({
  getRequestHeaders: async () => new Headers({ authorization: `Bearer ${token}` }),
  getUniverseDomain: async () => 'googleapis.com',
  fetch: async (url: string, init: RequestInit): Promise<Response> => {
    const headers = new Headers(init.headers)
    headers.set('authorization', `Bearer ${token}`)
    return fetch(url, { ...init, headers })
  },
})

/** Options for the constructor of any of Google's clients. */
export const clientAt = (url: string, token: string): ClientOptions => {
  const { hostname, port, protocol } = new URL(url)
  return { fallback: true, servicePath: hostname, port: port === '' ? (protocol === 'http:' ? 80 : 443) : Number(port), protocol: protocol.slice(0, -1), universeDomain: 'googleapis.com', auth: tokenAuth(token) as never }
}

/** The operator of a target. */
export const googleOperator = ({ url, settings }: Target): ClientOptions => clientAt(url, signedToken(String(settings['google_application_credentials'] ?? settings['google_service_account'])))
