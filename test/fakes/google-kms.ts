// Google Cloud KMS over REST: key rings, keys and versions, real AES-GCM bound to its version and to the additional data, checksums both ways, and refusals in
// Google's envelope. An empty plaintext is left out of the answer, as JSON of Google's messages leaves out whatever has no content.
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { crc32c } from '../../shared/credentials/crc32c.ts'
import { bearerOf, knownAccount, type FakeAccount } from './google-bearer.ts'
import { startFake, type Refusal, type RunningFake, type WireAnswer, type WireRequest, type WireService } from './wire.ts'

const states = ['CRYPTO_KEY_VERSION_STATE_UNSPECIFIED', 'ENABLED', 'DISABLED', 'DESTROYED', 'DESTROY_SCHEDULED', 'PENDING_GENERATION'] as const
const purposes = { 0: 'CRYPTO_KEY_PURPOSE_UNSPECIFIED', 1: 'ENCRYPT_DECRYPT', 5: 'ASYMMETRIC_SIGN', 6: 'ASYMMETRIC_DECRYPT', 9: 'MAC' } as const

export interface HeldVersion {
  readonly name: string
  readonly material: Buffer
  state: (typeof states)[number]
  destroyAt?: number
}

export interface HeldCryptoKey {
  readonly name: string
  readonly purpose: (typeof purposes)[keyof typeof purposes]
  readonly versions: HeldVersion[]
  primary: number
  /** Whom the key's policy lets decrypt, by email or token. Default: everybody who is known. */
  decrypters?: readonly string[]
}

export interface GoogleKmsFakeOptions {
  readonly now?: () => number
  readonly accounts?: readonly FakeAccount[]
  /** Opaque tokens, and until when they hold. */
  readonly tokens?: ReadonlyMap<string, number>
}

/** What an operator does behind the wire, beside the running fake. */
export interface GoogleKmsFake extends RunningFake {
  readonly keys: ReadonlyMap<string, HeldCryptoKey>
  /** A new key with one enabled version, by its resource name. */
  createKey(purpose?: HeldCryptoKey['purpose']): string
  encrypt(key: string, plaintext: string | Uint8Array, aad?: string): Buffer
  /** The next version of a key, made primary. */
  rotate(key: string): HeldVersion
}

/** Where the keys of the fake are. */
export const fakeKeyRing = 'projects/fake-project/locations/global/keyRings/fake-ring'

type Json = Readonly<Record<string, unknown>>
const statusNumbers = { INVALID_ARGUMENT: 400, FAILED_PRECONDITION: 400, UNAUTHENTICATED: 401, PERMISSION_DENIED: 403, NOT_FOUND: 404, ALREADY_EXISTS: 409, RESOURCE_EXHAUSTED: 429, INTERNAL: 500, UNAVAILABLE: 503 } as const
type Status = keyof typeof statusNumbers

class GoogleFailure extends Error {
  readonly status: Status
  readonly reason: string | undefined
  constructor(status: Status, message: string, reason?: string) {
    super(message)
    this.status = status
    this.reason = reason
  }
}

const jsonAnswer = (status: number, body: object): WireAnswer => ({ status, headers: { 'content-type': 'application/json; charset=UTF-8' }, body: JSON.stringify(body) })

/** A refusal in Google's envelope. */
export const googleRefusal = (status: Status, message = 'It was refused.', reason?: string): WireAnswer =>
  jsonAnswer(statusNumbers[status], { error: { code: statusNumbers[status], message, status, ...(reason !== undefined && { details: [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason, domain: 'googleapis.com' }] }) } })

const magic = Buffer.from([0x0a, 0x24, 0x00])
const headBytes = magic.byteLength + 35
const shortest = headBytes + 12 + 16
const mostBytes = 65_536

const headOf = (version: HeldVersion): Buffer => Buffer.concat([magic, createHash('sha256').update(version.name).digest(), Buffer.from([0x12, 0x01, 0x00])])

const seal = (version: HeldVersion, plaintext: Uint8Array, aad: Uint8Array): Buffer => {
  const head = headOf(version)
  const iv = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', version.material, iv).setAAD(Buffer.concat([head, aad]))
  const sealed = Buffer.concat([cipher.update(plaintext), cipher.final()])
  return Buffer.concat([head, iv, cipher.getAuthTag(), sealed])
}

const bad = (message: string): GoogleFailure => new GoogleFailure('INVALID_ARGUMENT', message)

const unseal = (version: HeldVersion, blob: Buffer, aad: Uint8Array): Buffer => {
  try {
    const decipher = createDecipheriv('aes-256-gcm', version.material, blob.subarray(headBytes, headBytes + 12)).setAAD(Buffer.concat([blob.subarray(0, headBytes), aad])).setAuthTag(blob.subarray(headBytes + 12, shortest))
    return Buffer.concat([decipher.update(blob.subarray(shortest)), decipher.final()])
  } catch {
    throw bad('Decryption failed: the ciphertext is invalid.')
  }
}

/** A field of bytes with its checksum, which is checked where it was sent. Google takes both alphabets of base64. */
const bytesOf = (body: Json, field: string): { readonly bytes: Buffer; readonly checked: boolean } => {
  const text = body[field] ?? ''
  if (typeof text !== 'string' || !/^[A-Za-z0-9+/_-]*={0,2}$/.test(text)) throw bad(`Invalid value at '${field}' (TYPE_BYTES), Base64 decoding failed`)
  const bytes = Buffer.from(text, 'base64')
  const sum = body[`${field}Crc32c`]
  if (sum !== undefined && sum !== null && Number(sum) !== crc32c(bytes)) throw bad(`The checksum in field ${field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}_crc32c did not match the data in field ${field}.`)
  return { bytes, checked: sum !== undefined && sum !== null }
}

const parse = (body: Buffer): Json => {
  try {
    // Google's own client writes a message without fields as an empty string.
    const json: unknown = JSON.parse(body.toString('utf8') || '{}') || {}
    if (json !== null && typeof json === 'object' && !Array.isArray(json)) return json as Json
  } catch {
    // Answered below like any other text that is no JSON object.
  }
  throw bad('Invalid JSON payload received.')
}

const refusals: Readonly<Record<Refusal, readonly [Status, string, string | undefined]>> = {
  denied: ['PERMISSION_DENIED', "Permission 'cloudkms.cryptoKeyVersions.useToDecrypt' denied on resource 'projects/fake-project' (or it may not exist).", 'IAM_PERMISSION_DENIED'],
  throttled: ['RESOURCE_EXHAUSTED', "Quota exceeded for quota metric 'Cryptographic requests' of service 'cloudkms.googleapis.com'.", undefined],
  unavailable: ['UNAVAILABLE', 'The service is currently unavailable.', undefined],
  expired_credential: ['UNAUTHENTICATED', 'Request had invalid authentication credentials. Expected OAuth 2 access token.', 'ACCESS_TOKEN_EXPIRED'],
}

/** The service: its keys, its rules and its wire. */
const googleKmsService = ({ now = () => Date.now(), accounts = [knownAccount()], tokens }: GoogleKmsFakeOptions) => {
  const keys = new Map<string, HeldCryptoKey>()
  let made = 0

  const addVersion = (key: HeldCryptoKey): HeldVersion => {
    const version: HeldVersion = { name: `${key.name}/cryptoKeyVersions/${key.versions.length + 1}`, material: randomBytes(32), state: 'ENABLED' }
    key.versions.push(version)
    return version
  }
  const addKey = (name: string, purpose: HeldCryptoKey['purpose']): HeldCryptoKey => {
    if (keys.has(name)) throw new GoogleFailure('ALREADY_EXISTS', `CryptoKey ${name} already exists.`)
    const key: HeldCryptoKey = { name, purpose, versions: [], primary: 0 }
    keys.set(name, key)
    addVersion(key)
    return key
  }
  const keyOf = (name: string): HeldCryptoKey => {
    const key = keys.get(name)
    if (key === undefined) throw new GoogleFailure('NOT_FOUND', `CryptoKey ${name} not found.`)
    return key
  }
  const stateOf = (version: HeldVersion): HeldVersion['state'] => (version.destroyAt !== undefined && version.destroyAt <= now() ? 'DESTROYED' : version.state)
  const usable = (version: HeldVersion): HeldVersion => {
    if (stateOf(version) !== 'ENABLED') throw new GoogleFailure('FAILED_PRECONDITION', `${version.name} is not enabled, current state is: ${stateOf(version)}.`)
    return version
  }
  const may = (key: HeldCryptoKey, who: string): boolean => key.decrypters?.includes(who) !== false
  const symmetric = (key: HeldCryptoKey): HeldCryptoKey => {
    if (key.purpose !== 'ENCRYPT_DECRYPT') throw new GoogleFailure('FAILED_PRECONDITION', `The request cannot be fulfilled. Resource ${key.name} has CryptoKeyPurpose ${key.purpose}.`)
    return key
  }

  const encrypt = (name: string, body: Json): object => {
    const key = symmetric(keyOf(name))
    const [plaintext, aad] = [bytesOf(body, 'plaintext'), bytesOf(body, 'additionalAuthenticatedData')]
    if (plaintext.bytes.byteLength > mostBytes || aad.bytes.byteLength > mostBytes) throw bad('The plaintext or the additional authenticated data is too large.')
    const version = usable(key.versions[key.primary] as HeldVersion)
    const ciphertext = seal(version, plaintext.bytes, aad.bytes)
    return {
      name: version.name,
      ciphertext: ciphertext.toString('base64'),
      ciphertextCrc32c: String(crc32c(ciphertext)),
      protectionLevel: 1,
      ...(plaintext.checked && { verifiedPlaintextCrc32c: true }),
      ...(aad.checked && { verifiedAdditionalAuthenticatedDataCrc32c: true }),
    }
  }
  const decrypt = (name: string, body: Json, who: string): object => {
    const key = keys.get(name)
    if (key !== undefined && !may(key, who)) throw new GoogleFailure('PERMISSION_DENIED', `Permission 'cloudkms.cryptoKeyVersions.useToDecrypt' denied on resource '${name}' (or it may not exist).`, 'IAM_PERMISSION_DENIED')
    symmetric(keyOf(name))
    const [{ bytes: blob }, { bytes: aad }] = [bytesOf(body, 'ciphertext'), bytesOf(body, 'additionalAuthenticatedData')]
    if (blob.byteLength === 0) throw bad('Ciphertext must not be empty.')
    const at = key?.versions.findIndex((version) => blob.subarray(0, headBytes).equals(headOf(version))) ?? -1
    const version = key?.versions[at]
    if (version === undefined || blob.byteLength < shortest) throw bad("Decryption failed: verify that 'name' refers to the correct CryptoKey.")
    const plaintext = unseal(usable(version), blob, aad)
    return { ...(plaintext.byteLength > 0 && { plaintext: plaintext.toString('base64') }), plaintextCrc32c: String(crc32c(plaintext)), ...(at === key?.primary && { usedPrimary: true }), protectionLevel: 1 }
  }

  const shownVersion = (version: HeldVersion): object => ({ name: version.name, state: states.indexOf(stateOf(version)), protectionLevel: 1, algorithm: 1 })
  const shownKey = (key: HeldCryptoKey): object => ({ name: key.name, purpose: Number(Object.entries(purposes).find(([, purpose]) => purpose === key.purpose)?.[0]), primary: shownVersion(key.versions[key.primary] as HeldVersion) })
  const versionOf = (name: string): HeldVersion => {
    const [key = '', number = ''] = name.split('/cryptoKeyVersions/')
    const version = keyOf(key).versions[Number(number) - 1]
    if (version === undefined) throw new GoogleFailure('NOT_FOUND', `CryptoKeyVersion ${name} not found.`)
    return version
  }
  const setState = (version: HeldVersion, wanted: unknown): object => {
    const state = typeof wanted === 'number' ? states[wanted] : states.find((one) => one === wanted)
    if (state !== 'ENABLED' && state !== 'DISABLED') throw bad('Only ENABLED and DISABLED can be set.')
    if (!['ENABLED', 'DISABLED'].includes(stateOf(version))) throw new GoogleFailure('FAILED_PRECONDITION', `${version.name} is ${stateOf(version)}.`)
    version.state = state
    return shownVersion(version)
  }
  const destroy = (version: HeldVersion): object => {
    if (!['ENABLED', 'DISABLED'].includes(stateOf(version))) throw new GoogleFailure('FAILED_PRECONDITION', `${version.name} is ${stateOf(version)}.`)
    Object.assign(version, { state: 'DESTROY_SCHEDULED', destroyAt: now() + 30 * 86_400_000 })
    return shownVersion(version)
  }
  const restore = (version: HeldVersion): object => {
    if (stateOf(version) !== 'DESTROY_SCHEDULED') throw new GoogleFailure('FAILED_PRECONDITION', `${version.name} is ${stateOf(version)}.`)
    version.state = 'DISABLED'
    delete version.destroyAt
    return shownVersion(version)
  }

  const route = (request: WireRequest, who: string): object => {
    const [, name = '', verb = ''] = /^\/v1\/(.+?)(?::(\w+))?$/.exec(decodeURIComponent(request.path)) ?? []
    const isKey = /^projects\/[^/]+\/locations\/[^/]+\/keyRings\/[^/]+\/cryptoKeys\/[^/]+$/.test(name)
    const isVersion = /\/cryptoKeys\/[^/]+\/cryptoKeyVersions\/\d+$/.test(name)
    const body = request.method === 'GET' ? {} : parse(request.body)
    switch (`${request.method} ${isKey ? 'key' : isVersion ? 'version' : name.replace(/.*\//, '')}:${verb}`) {
      case 'POST key:encrypt':
        return encrypt(name, body)
      case 'POST key:decrypt':
        return decrypt(name, body, who)
      case 'POST key:testIamPermissions': {
        const asked = Array.isArray(body['permissions']) ? (body['permissions'] as unknown[]) : []
        const key = keys.get(name)
        return { permissions: key === undefined ? [] : asked.filter((permission) => permission !== 'cloudkms.cryptoKeyVersions.useToDecrypt' || may(key, who)) }
      }
      case 'GET key:':
        return shownKey(keyOf(name))
      case 'POST cryptoKeys:': {
        const id = request.query.get('cryptoKeyId') ?? request.query.get('crypto_key_id') ?? ''
        if (!/^[a-zA-Z0-9_-]{1,63}$/.test(id)) throw bad('The crypto_key_id is not valid.')
        const purpose = body['purpose']
        return shownKey(addKey(`${name}/${id}`, typeof purpose === 'number' && purpose in purposes ? purposes[purpose as keyof typeof purposes] : (purpose as HeldCryptoKey['purpose'])))
      }
      case 'POST cryptoKeyVersions:':
        return shownVersion(addVersion(keyOf(name.replace(/\/cryptoKeyVersions$/, ''))))
      case 'POST key:updatePrimaryVersion': {
        const key = keyOf(name)
        key.primary = key.versions.indexOf(usable(versionOf(`${name}/cryptoKeyVersions/${String(body['cryptoKeyVersionId'])}`)))
        return shownKey(key)
      }
      case 'GET version:':
        return shownVersion(versionOf(name))
      case 'PATCH version:':
        return setState(versionOf(name), body['state'])
      case 'POST version:destroy':
        return destroy(versionOf(name))
      case 'POST version:restore':
        return restore(versionOf(name))
      default:
        throw new GoogleFailure('NOT_FOUND', 'The requested URL was not found on this server.')
    }
  }

  const handle = (request: WireRequest): WireAnswer => {
    try {
      const bearer = bearerOf(request.headers['authorization'], 'https://cloudkms.googleapis.com/', now(), accounts, tokens)
      if (typeof bearer === 'string') throw new GoogleFailure('UNAUTHENTICATED', 'Request had invalid authentication credentials. Expected OAuth 2 access token.', { none: 'CREDENTIALS_MISSING', expired: 'ACCESS_TOKEN_EXPIRED', unknown: 'ACCESS_TOKEN_TYPE_UNSUPPORTED' }[bearer])
      if (request.method !== 'GET' && request.headers['content-type']?.startsWith('application/json') !== true) throw bad('The content type must be application/json.')
      return jsonAnswer(200, route(request, bearer.who))
    } catch (error) {
      return error instanceof GoogleFailure ? googleRefusal(error.status, error.message, error.reason) : googleRefusal('INTERNAL', 'The fake failed.')
    }
  }
  const service: WireService = {
    handle,
    changes: (request) => request.method !== 'GET' && !/:(decrypt|encrypt|testIamPermissions)$/.test(request.path),
    refuse: (refusal, echo) => {
      const [status, message, reason] = refusals[refusal]
      return googleRefusal(status, `${message} ${echo}`, reason)
    },
  }
  return { service, keys, keyOf, addVersion, createKey: (purpose: HeldCryptoKey['purpose'] = 'ENCRYPT_DECRYPT') => addKey(`${fakeKeyRing}/cryptoKeys/key-${(made += 1)}`, purpose).name }
}

/** Starts the fake on a free port of loopback. */
export const startGoogleKmsFake = async (options: GoogleKmsFakeOptions = {}): Promise<GoogleKmsFake> => {
  const { service, keys, keyOf, addVersion, createKey } = googleKmsService(options)
  const running = await startFake(service)
  return {
    ...running,
    keys,
    createKey,
    encrypt: (name, plaintext, aad = '') => seal(keyOf(name).versions[keyOf(name).primary] as HeldVersion, Buffer.from(plaintext), Buffer.from(aad)),
    rotate: (name) => {
      const version = addVersion(keyOf(name))
      keyOf(name).primary = keyOf(name).versions.length - 1
      return version
    },
  }
}
