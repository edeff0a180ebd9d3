// Google Cloud KMS over REST, and by its methods' names for whoever stands gRPC in front: key rings, keys and versions, real AES-GCM bound to its version and to the additional data, checksums both ways, and refusals in
// Google's envelope. An empty plaintext is left out of the answer, as JSON of Google's messages leaves out whatever has no content.
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { crc32c } from '../../shared/credentials/crc32c.ts'
import { envelope, GoogleFailure, invalid as bad, type Json, type Status } from './google/failure.ts'
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
  /** One method by its name in the service's definition, on the same state. @throws GoogleFailure */
  run(method: string, request: Json, authorization: string | undefined): Json
  readonly keys: ReadonlyMap<string, HeldCryptoKey>
  /** A new key with one enabled version, by its resource name. */
  createKey(purpose?: HeldCryptoKey['purpose']): string
  encrypt(key: string, plaintext: string | Uint8Array, aad?: string): Buffer
  /** The next version of a key, made primary. */
  rotate(key: string): HeldVersion
}

/** Where the keys of the fake are. */
export const fakeKeyRing = 'projects/fake-project/locations/global/keyRings/fake-ring'

/** A refusal in Google's envelope. */
export const googleRefusal = (status: Status, message = 'It was refused.', reason?: string): WireAnswer => envelope(new GoogleFailure(status, message, reason))

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

const collection = 'cryptoKeys'
const keyVerbs: Readonly<Record<string, string>> = { encrypt: 'Encrypt', decrypt: 'Decrypt', testIamPermissions: 'TestIamPermissions', updatePrimaryVersion: 'UpdateCryptoKeyPrimaryVersion' }
const versionVerbs: Readonly<Record<string, string>> = { destroy: 'DestroyCryptoKeyVersion', restore: 'RestoreCryptoKeyVersion' }

/** The method that a path and a verb mean, and its message. */
const routed = (request: WireRequest): readonly [method: string, message: Json] => {
  const { method, query, headers } = request
  if (method !== 'GET' && headers['content-type']?.startsWith('application/json') !== true) throw bad('The content type must be application/json.')
  const body = method === 'GET' ? {} : parse(request.body)
  const [, name = '', verb = ''] = /^\/v1\/(.+?)(?::(\w+))?$/.exec(decodeURIComponent(request.path)) ?? []
  const [, parent = '', last = ''] = /^(.+)\/(cryptoKeys|cryptoKeyVersions)$/.exec(name) ?? []
  const isVersion = /\/cryptoKeys\/[^/]+\/cryptoKeyVersions\/\d+$/.test(name)
  const isKey = /^projects\/[^/]+\/locations\/[^/]+\/keyRings\/[^/]+\/cryptoKeys\/[^/]+$/.test(name)
  if (method === 'POST' && last === collection) return ['CreateCryptoKey', { parent, cryptoKeyId: query.get('cryptoKeyId') ?? query.get('crypto_key_id'), cryptoKey: body }]
  if (method === 'POST' && last !== '') return ['CreateCryptoKeyVersion', { parent, cryptoKeyVersion: body }]
  if (method === 'PATCH' && isVersion) return ['UpdateCryptoKeyVersion', { cryptoKeyVersion: { ...body, name } }]
  if (method === 'GET' && verb === '' && (isKey || isVersion)) return [isKey ? 'GetCryptoKey' : 'GetCryptoKeyVersion', { name }]
  const named = method !== 'POST' ? undefined : isKey ? keyVerbs[verb] : isVersion ? versionVerbs[verb] : undefined
  if (named === undefined) throw new GoogleFailure('NOT_FOUND', 'The requested URL was not found on this server.')
  return [named, { ...body, ...(named === 'TestIamPermissions' ? { resource: name } : { name }) }]
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

  /** By the methods' names in the service's definition; a request is the JSON of its message, its resource among the fields. */
  const methods: Readonly<Record<string, (name: string, request: Json, who: string) => object>> = {
    Encrypt: encrypt,
    Decrypt: decrypt,
    GetCryptoKey: (name) => shownKey(keyOf(name)),
    CreateCryptoKey: (parent, request) => {
      const id = String(request['cryptoKeyId'] ?? '')
      if (!/^[a-zA-Z0-9_-]{1,63}$/.test(id)) throw bad('The crypto_key_id is not valid.')
      const { purpose } = (request['cryptoKey'] ?? {}) as Json
      return shownKey(addKey(`${parent}/${collection}/${id}`, typeof purpose === 'number' && purpose in purposes ? purposes[purpose as keyof typeof purposes] : (purpose as HeldCryptoKey['purpose'])))
    },
    CreateCryptoKeyVersion: (parent) => shownVersion(addVersion(keyOf(parent))),
    UpdateCryptoKeyPrimaryVersion: (name, request) => {
      const key = keyOf(name)
      key.primary = key.versions.indexOf(usable(versionOf(`${name}/cryptoKeyVersions/${String(request['cryptoKeyVersionId'])}`)))
      return shownKey(key)
    },
    GetCryptoKeyVersion: (name) => shownVersion(versionOf(name)),
    UpdateCryptoKeyVersion: (_, request) => {
      const { name, state } = (request['cryptoKeyVersion'] ?? {}) as Json
      return setState(versionOf(String(name)), state)
    },
    DestroyCryptoKeyVersion: (name) => destroy(versionOf(name)),
    RestoreCryptoKeyVersion: (name) => restore(versionOf(name)),
    TestIamPermissions: (resource, request, who) => {
      const asked = Array.isArray(request['permissions']) ? (request['permissions'] as unknown[]) : []
      const key = keys.get(resource)
      return { permissions: key === undefined ? [] : asked.filter((permission) => permission !== 'cloudkms.cryptoKeyVersions.useToDecrypt' || may(key, who)) }
    },
  }

  /** Carries one method out for whoever shows a token. @throws GoogleFailure */
  const run = (method: string, request: Json, authorization: string | undefined): Json => {
    const bearer = bearerOf(authorization, 'https://cloudkms.googleapis.com/', now(), accounts, tokens)
    if (typeof bearer === 'string') throw new GoogleFailure('UNAUTHENTICATED', 'Request had invalid authentication credentials. Expected OAuth 2 access token.', { none: 'CREDENTIALS_MISSING', expired: 'ACCESS_TOKEN_EXPIRED', unknown: 'ACCESS_TOKEN_TYPE_UNSUPPORTED' }[bearer])
    const act = Object.hasOwn(methods, method) ? methods[method] : undefined
    if (act === undefined) throw new GoogleFailure('UNIMPLEMENTED', 'The method is not implemented.')
    return act(String(request['name'] ?? request['parent'] ?? request['resource'] ?? ''), request, bearer.who) as Json
  }

  const handle = (request: WireRequest): WireAnswer => {
    try {
      return { status: 200, headers: { 'content-type': 'application/json; charset=UTF-8' }, body: JSON.stringify(run(...routed(request), request.headers['authorization'])) }
    } catch (error) {
      return error instanceof GoogleFailure ? envelope(error) : googleRefusal('INTERNAL', 'The fake failed.')
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
  return { service, run, keys, keyOf, addVersion, createKey: (purpose: HeldCryptoKey['purpose'] = 'ENCRYPT_DECRYPT') => addKey(`${fakeKeyRing}/cryptoKeys/key-${(made += 1)}`, purpose).name }
}

/** Starts the fake on a free port of loopback. */
export const startGoogleKmsFake = async (options: GoogleKmsFakeOptions = {}): Promise<GoogleKmsFake> => {
  const { service, run, keys, keyOf, addVersion, createKey } = googleKmsService(options)
  const running = await startFake(service)
  return {
    ...running,
    run,
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
