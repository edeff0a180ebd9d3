// Who may call a fake of Google: service accounts that sign their own tokens, as Google's APIs take them, and opaque tokens with an end. Every token is checked
// as it arrives: signature, scope or audience, issuer and time.
import { generateKeyPairSync, verify, type KeyObject } from 'node:crypto'

/** A service account of the fake: its credential file, as it is downloaded, and what checks its signature. */
export interface FakeAccount {
  readonly email: string
  readonly file: string
  readonly key: KeyObject
}

const account = (email: string): FakeAccount => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const file = {
    type: 'service_account',
    project_id: 'fake-project',
    private_key_id: email.replace(/@.*/, ''),
    private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    client_email: email,
    client_id: '100000000000000000000',
    token_uri: 'https://oauth2.googleapis.com/token',
  }
  return { email, file: JSON.stringify(file), key: publicKey }
}

let known: FakeAccount | undefined
let foreign: FakeAccount | undefined
let operator: FakeAccount | undefined
/** The account that fakes of Google know; made once a process. */
export const knownAccount = (): FakeAccount => (known ??= account('reader@fake-project.iam.gserviceaccount.com'))
/** The same account to look at, with a key that Google has never seen. */
export const foreignAccount = (): FakeAccount => (foreign ??= account('reader@fake-project.iam.gserviceaccount.com'))

/** Somebody else of the same project, who looks after it; made once a process. */
export const operatorAccount = (): FakeAccount => (operator ??= account('operator@fake-project.iam.gserviceaccount.com'))

type Json = Readonly<Record<string, unknown>>
const part = (text: string | undefined): Json => {
  try {
    const json: unknown = JSON.parse(Buffer.from(text ?? '', 'base64url').toString('utf8'))
    return json !== null && typeof json === 'object' ? (json as Json) : {}
  } catch {
    return {}
  }
}

/** What a bearer token is worth. */
export type Bearer = { readonly who: string } | 'none' | 'expired' | 'unknown'

/** Whose token it is. `opaque`: further tokens and until when they hold, in epoch milliseconds. */
export const bearerOf = (authorization: string | undefined, audience: string, now: number, accounts: readonly FakeAccount[], opaque: ReadonlyMap<string, number> = new Map()): Bearer => {
  const token = /^Bearer (\S+)$/i.exec(authorization ?? '')?.[1]
  if (token === undefined) return 'none'
  const until = opaque.get(token)
  if (until !== undefined) return until > now ? { who: token } : 'expired'
  const [head, body, signature] = token.split('.')
  const claims = part(body)
  const signer = accounts.find(({ email }) => email === claims['iss'] && email === claims['sub'])
  if (signer === undefined || part(head)['alg'] !== 'RS256' || !verify('RSA-SHA256', Buffer.from(`${head}.${body}`), signer.key, Buffer.from(signature ?? '', 'base64url'))) return 'unknown'
  const scoped = String(claims['scope'] ?? '').split(' ').some((scope) => ['https://www.googleapis.com/auth/cloud-platform', 'https://www.googleapis.com/auth/cloudkms'].includes(scope))
  if (!scoped && claims['aud'] !== audience) return 'unknown'
  const [from, to] = [Number(claims['iat']) * 1000, Number(claims['exp']) * 1000]
  if (!(to - from <= 3_600_000) || from > now + 60_000) return 'unknown'
  return to > now ? { who: signer.email } : 'expired'
}
