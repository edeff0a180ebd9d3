// Who a peer with authorities or a certificate of its own trusts, and what it shows.
import { X509Certificate } from 'node:crypto'
import { LatchkeyError } from '../errors.ts'
import type { HttpPeer } from '../http-client.ts'

/** The part of a socket's options that says so. */
export interface Trust {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly rejectUnauthorized: boolean
}

/** Tries it, so that what cannot work is said at the start. `secure`: whether it will be used. @throws misconfigured */
export const checkedTrust = ({ title, setting, ca, identity, verifyCertificate = true }: HttpPeer, secure: boolean): Trust => {
  const trust = { ...(ca !== undefined && { ca }), ...(identity !== undefined && { cert: identity.cert, key: identity.key.reveal() }), rejectUnauthorized: verifyCertificate }
  try {
    if (secure) process.getBuiltinModule('node:tls').createSecureContext(trust)
    if (ca !== undefined) new X509Certificate(ca)
  } catch {
    throw new LatchkeyError('misconfigured', `${title}: the client certificate, its key or the authorities given beside ${setting} are no PEM that fits together.`)
  }
  return trust
}
