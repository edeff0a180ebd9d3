// The key of the embedded store, and what it does: AES-256-GCM over each row, bound to what the row is said to be. The only file that sees the bytes of its
// key, and of a value on its way to the disk and back.
import { createCipheriv, createDecipheriv, createHmac, hkdfSync } from 'node:crypto'
import { LatchkeyError } from '../core/errors.ts'
import type { Random } from '../core/runtime.ts'
import { SecretValue } from '../core/secret.ts'

/** What a sealed row is said to be. It opens only under the same words, so that none can stand in for another. */
export type About = readonly (string | number | null)[]

/** Seals and opens the rows of one file. */
export interface Sealer {
  seal(about: About, plain: Uint8Array): Uint8Array
  /** `undefined`: sealed by another key, or changed, or about something else. */
  open(about: About, sealed: unknown): Buffer | undefined
  sealValue(about: About, value: SecretValue): Uint8Array
  openValue(about: About, sealed: unknown): SecretValue | undefined
  /** 32 bytes that only this key gives for these words. */
  mark(about: About): Buffer
}

const keyLength = 32
const nonceLength = 12
const tagLength = 16

/** 32 bytes written as base64 (either alphabet) or hex; anything else is no key. @throws misconfigured saying where it was written */
export const keyOf = (written: SecretValue, where: string): SecretValue => {
  const text = written.isText ? written.reveal().trim() : ''
  const bytes = /^[0-9a-f]{64}$/i.test(text) ? Buffer.from(text, 'hex') : /^[A-Za-z0-9+/_-]{43}=?$/.test(text) ? Buffer.from(text, 'base64') : undefined
  if (bytes?.length !== keyLength) throw new LatchkeyError('misconfigured', `${where} must hold ${keyLength} bytes as base64 or hex, for instance from: openssl rand -base64 32`)
  return SecretValue.ofBytes(bytes)
}

/** A new key, as a key file holds it. */
export const newKeyText = (random: Random): Uint8Array => Buffer.from(`${Buffer.from(random.bytes(keyLength)).toString('base64')}\n`)

/** Keys are drawn from the file's own salt, so that one key used for two files seals each differently. */
export const sealerOf = (key: SecretValue, salt: Uint8Array, random: Random): Sealer => {
  const derive = (use: string): Buffer => Buffer.from(hkdfSync('sha256', key.bytes(), salt, use, 32))
  const [sealing, marking] = [derive('latchkey embedded seal'), derive('latchkey embedded mark')]
  const words = (about: About): Buffer => Buffer.from(JSON.stringify(about))

  const seal: Sealer['seal'] = (about, plain) => {
    const nonce = random.bytes(nonceLength)
    const cipher = createCipheriv('aes-256-gcm', sealing, nonce).setAAD(words(about))
    return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
  }

  const open: Sealer['open'] = (about, sealed) => {
    if (!(sealed instanceof Uint8Array) || sealed.length < nonceLength + tagLength) return undefined
    const decipher = createDecipheriv('aes-256-gcm', sealing, sealed.subarray(0, nonceLength), { authTagLength: tagLength }).setAAD(words(about))
    const plain = decipher.setAuthTag(sealed.subarray(-tagLength)).update(sealed.subarray(nonceLength, -tagLength))
    try {
      return Buffer.concat([plain, decipher.final()])
    } catch {
      return undefined
    }
  }

  return {
    seal,
    open,
    sealValue: (about, value) => seal(about, value.bytes()),
    openValue: (about, sealed) => {
      const plain = open(about, sealed)
      return plain === undefined ? undefined : SecretValue.ofBytes(plain)
    },
    mark: (about) => createHmac('sha256', marking).update(words(about)).digest(),
  }
}
