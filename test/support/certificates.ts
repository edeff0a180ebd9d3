// Certificates for tests, made on the spot: an authority, servers and clients under it, expired ones, ones for another name.
// Written down to the byte, because Node can sign but cannot make certificates, and no test may depend on a program of the machine.
import { generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto'
import { isIP } from 'node:net'

/** A certificate with its key, both PEM. */
export interface Certificate {
  readonly cert: string
  readonly key: string
}

const der = (tag: number, ...parts: readonly Uint8Array[]): Buffer => {
  const content = Buffer.concat(parts)
  const length = content.byteLength < 128 ? [content.byteLength] : content.byteLength < 256 ? [0x81, content.byteLength] : [0x82, content.byteLength >> 8, content.byteLength & 255]
  return Buffer.concat([Buffer.from([tag, ...length]), content])
}
const sequence = (...parts: readonly Uint8Array[]): Buffer => der(0x30, ...parts)
const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'))
const truth = der(0x01, Buffer.from([0xff]))
const nameOf = (text: string): Buffer => sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from(text)))))
const timeOf = (date: Date): Buffer => der(0x18, Buffer.from(`${date.toISOString().replaceAll(/[-:T]|\.\d+Z$/g, '')}Z`))
const extension = (id: string, critical: boolean, content: Uint8Array): Buffer => sequence(oid(id), ...(critical ? [truth] : []), der(0x04, content))
const ecdsaWithSha256 = sequence(oid('2a8648ce3d040302'))
const addressOf = (address: string): Buffer => Buffer.from(address.includes(':') ? [...Array.from({ length: 15 }, () => 0), 1] : address.split('.').map(Number))

const day = 86_400_000

/** What stands in a certificate. Default: good from yesterday until tomorrow. */
export interface Wanted {
  readonly subject: string
  /** Host names and addresses (IPv6: `::1` only). */
  readonly names?: readonly string[]
  readonly from?: Date
  readonly until?: Date
  readonly authority?: boolean
}

interface Issuer extends Certificate {
  readonly subject: string
  readonly privateKey: KeyObject
}

/** Makes one certificate; without an issuer it signs itself. */
const certify = (wanted: Wanted, issuer?: Issuer): Issuer => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const now = Date.now()
  const alternatives = (wanted.names ?? []).map((name) => (isIP(name) === 0 ? der(0x82, Buffer.from(name)) : der(0x87, addressOf(name))))
  const serial = randomBytes(8)
  serial[0] = 0x40
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, serial),
    ecdsaWithSha256,
    nameOf(issuer?.subject ?? wanted.subject),
    sequence(timeOf(wanted.from ?? new Date(now - day)), timeOf(wanted.until ?? new Date(now + day))),
    nameOf(wanted.subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(
      extension('551d13', true, wanted.authority === true ? sequence(truth) : sequence()),
      ...(alternatives.length > 0 ? [extension('551d11', false, sequence(...alternatives))] : []),
    )),
  )
  const signature = der(0x03, Buffer.from([0]), sign('sha256', body, issuer?.privateKey ?? privateKey))
  const text = sequence(body, ecdsaWithSha256, signature).toString('base64').replaceAll(/.{64}(?=.)/g, '$&\n')
  return { subject: wanted.subject, privateKey, key: String(privateKey.export({ type: 'pkcs8', format: 'pem' })), cert: `-----BEGIN CERTIFICATE-----\n${text}\n-----END CERTIFICATE-----\n` }
}

/** A certificate that nobody vouches for. */
export const selfSigned = (wanted: Wanted): Certificate => certify(wanted)

/** An authority of the test's own, and what it signs. */
export const authority = (subject = 'an authority of a test'): { readonly cert: string; signs(wanted: Wanted): Certificate } => {
  const root = certify({ subject, authority: true })
  return { cert: root.cert, signs: (wanted) => certify(wanted, root) }
}
