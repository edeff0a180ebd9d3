// AWS KMS: symmetric keys with real AES-GCM, JSON 1.1 with Signature Version 4, and the refusals under the service's own names. A ciphertext begins as a real one
// does, names its key by a digest, and is bound to its header and to the encryption context: whatever is flipped, cut or missing does not decrypt.
import { createCipheriv, createDecipheriv, createHash, randomBytes, randomUUID } from 'node:crypto'
import { constraint, listOf, needed, ServiceFailure, textOf, type Input } from './aws-secrets-manager-input.ts'
import { checkSignature, fakeKeys, type FakeAccessKey } from './aws-signature.ts'
import { startFake, type Refusal, type RunningFake, type WireAnswer, type WireRequest, type WireService } from './wire.ts'

type KeyState = 'Enabled' | 'Disabled' | 'PendingDeletion'

/** One key. */
export interface HeldKey {
  readonly arn: string
  readonly usage: 'ENCRYPT_DECRYPT' | 'SIGN_VERIFY'
  readonly material: Buffer
  state: KeyState
  deletion?: number
  /** Whose access key ids the key's policy lets decrypt. Default: everybody's of this account. */
  decrypters?: readonly string[]
}

export interface KmsFakeOptions {
  readonly now?: () => number
  readonly region?: string
  readonly account?: string
  /** Whose signatures are good. Default: {@link fakeKeys}. */
  readonly keys?: readonly FakeAccessKey[]
}

/** What an operator does behind the wire, beside the running fake. */
export interface KmsFake extends RunningFake {
  readonly keys: ReadonlyMap<string, HeldKey>
  /** A new key, by its ARN. */
  createKey(usage?: HeldKey['usage']): string
  /** Base64, as `aws kms encrypt` prints it. */
  encrypt(key: string, plaintext: string | Uint8Array, context?: Readonly<Record<string, string>>): string
}

type Context = Readonly<Record<string, string>>

const limits = { plaintextBytes: 4_096, ciphertextBytes: 6_144, contextBytes: 8_192 }
/** How every symmetric ciphertext of KMS begins. */
const magic = Buffer.from([0x01, 0x02, 0x02, 0x00, 0x78])
const headBytes = magic.byteLength + 32
const shortest = headBytes + 12 + 16

const refused = (name: string, message: string): ServiceFailure => new ServiceFailure(name, message)
const digestOf = (arn: string): Buffer => createHash('sha256').update(arn).digest()

const blobOf = (input: Input, field: string, most: number): Buffer => {
  const text = needed(input[field], field)
  if (typeof text !== 'string' || Buffer.from(text, 'base64').toString('base64') !== text) throw refused('SerializationException', `${field} must be base64`)
  const bytes = Buffer.from(text, 'base64')
  if (bytes.byteLength < 1) throw constraint(field, 'have length greater than or equal to 1')
  if (bytes.byteLength > most) throw constraint(field, `have length less than or equal to ${most}`)
  return bytes
}

const contextOf = (input: Input): Context => {
  const context = input['EncryptionContext'] ?? {}
  if (typeof context !== 'object' || Array.isArray(context) || Object.values(context).some((value) => typeof value !== 'string')) throw refused('SerializationException', 'EncryptionContext must be a map of strings')
  if (Buffer.byteLength(JSON.stringify(context)) > limits.contextBytes) throw constraint('encryptionContext', `have length less than or equal to ${limits.contextBytes}`)
  return context as Context
}

const boundTo = (head: Buffer, context: Context): Buffer => Buffer.concat([head, Buffer.from(JSON.stringify(Object.entries(context).toSorted(([a], [b]) => (a < b ? -1 : 1))))])

const seal = (key: HeldKey, plaintext: Uint8Array, context: Context): Buffer => {
  const head = Buffer.concat([magic, digestOf(key.arn)])
  const iv = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key.material, iv).setAAD(boundTo(head, context))
  const sealed = Buffer.concat([cipher.update(plaintext), cipher.final()])
  return Buffer.concat([head, iv, cipher.getAuthTag(), sealed])
}

const unseal = (key: HeldKey, blob: Buffer, context: Context): Buffer => {
  try {
    const iv = blob.subarray(headBytes, headBytes + 12)
    const decipher = createDecipheriv('aes-256-gcm', key.material, iv).setAAD(boundTo(blob.subarray(0, headBytes), context)).setAuthTag(blob.subarray(headBytes + 12, shortest))
    return Buffer.concat([decipher.update(blob.subarray(shortest)), decipher.final()])
  } catch {
    throw refused('InvalidCiphertextException', '')
  }
}

const refusals: Readonly<Record<Refusal, readonly [name: string, message: string, status: number]>> = {
  denied: ['AccessDeniedException', 'User: arn:aws:sts::123456789012:assumed-role/fake/session is not authorized to perform: kms:Decrypt on this resource because no identity-based policy allows the kms:Decrypt action', 400],
  throttled: ['ThrottlingException', 'You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.', 400],
  unavailable: ['KMSInternalException', 'An internal exception occurred.', 500],
  expired_credential: ['ExpiredTokenException', 'The security token included in the request is expired', 400],
}

const answerOf = (status: number, body: object): WireAnswer => ({ status, headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amzn-requestid': '00000000-fake-4000-8000-000000000000' }, body: JSON.stringify(body) })
const failureOf = ({ name, message, status }: ServiceFailure): WireAnswer => answerOf(status, { __type: name, message })

const operationOf = ({ headers }: WireRequest): string => /^TrentService\.(\w+)$/.exec(headers['x-amz-target'] ?? '')?.[1] ?? ''
const readOperations: ReadonlySet<string> = new Set(['Decrypt', 'Encrypt', 'DescribeKey', 'ListKeys', 'ListAliases'])

/** The service: its keys, its rules and its wire. */
const kmsService = ({ now = () => Date.now(), region = 'us-east-1', account = '123456789012', keys: signers = [fakeKeys] }: KmsFakeOptions) => {
  const keys = new Map<string, HeldKey>()
  const aliases = new Map<string, string>()
  const stem = `arn:aws:kms:${region}:${account}:`

  const createKey = (usage: HeldKey['usage'] = 'ENCRYPT_DECRYPT'): string => {
    const arn = `${stem}key/${randomUUID()}`
    keys.set(arn, { arn, usage, material: randomBytes(32), state: 'Enabled' })
    return arn
  }
  /** Keys whose waiting time is over are gone for good. */
  const live = (arn: string | undefined): HeldKey | undefined => {
    const key = arn === undefined ? undefined : keys.get(arn)
    return key?.deletion !== undefined && key.deletion <= now() ? undefined : key
  }
  /** A key by id, ARN, alias or alias ARN. */
  const keyOf = (input: Input): HeldKey => {
    const id = needed(textOf(input, 'KeyId', 1, 2_048), 'keyId')
    const local = id.startsWith('arn:') ? (id.startsWith(stem) ? id.slice(stem.length) : undefined) : id.startsWith('alias/') ? id : `key/${id}`
    const found = live(local?.startsWith('alias/') === true ? aliases.get(local) : `${stem}${local ?? ''}`)
    if (found === undefined) throw refused('NotFoundException', id.includes('alias/') ? `Alias ${id} is not found.` : `Key '${id}' does not exist`)
    return found
  }
  const usable = (key: HeldKey): HeldKey => {
    if (key.state === 'Disabled') throw refused('DisabledException', `${key.arn} is disabled.`)
    if (key.state === 'PendingDeletion') throw refused('KMSInvalidStateException', `${key.arn} is pending deletion.`)
    if (key.usage !== 'ENCRYPT_DECRYPT') throw refused('InvalidKeyUsageException', `${key.arn} key usage is ${key.usage} which is not valid for this operation.`)
    return key
  }
  const describe = (key: HeldKey): object => ({
    KeyMetadata: { AWSAccountId: account, Arn: key.arn, KeyId: key.arn.slice(`${stem}key/`.length), KeyState: key.state, Enabled: key.state === 'Enabled', KeyUsage: key.usage, ...(key.deletion !== undefined && { DeletionDate: key.deletion / 1000 }) },
  })
  const algorithmOf = (input: Input): string => {
    const algorithm = textOf(input, 'EncryptionAlgorithm', 1, 64) ?? 'SYMMETRIC_DEFAULT'
    if (!['SYMMETRIC_DEFAULT', 'RSAES_OAEP_SHA_1', 'RSAES_OAEP_SHA_256', 'SM2PKE'].includes(algorithm)) throw constraint('encryptionAlgorithm', 'satisfy enum value set: [SYMMETRIC_DEFAULT, RSAES_OAEP_SHA_1, RSAES_OAEP_SHA_256, SM2PKE]')
    if (algorithm !== 'SYMMETRIC_DEFAULT') throw refused('InvalidKeyUsageException', 'The algorithm does not fit the key.')
    return algorithm
  }
  const setState = (input: Input, state: KeyState): object => {
    const key = keyOf(input)
    if (key.state === 'PendingDeletion') throw refused('KMSInvalidStateException', `${key.arn} is pending deletion.`)
    key.state = state
    return {}
  }

  const operations: Readonly<Record<string, (input: Input, caller: string) => object>> = {
    CreateKey: (input) => describe(keys.get(createKey(textOf(input, 'KeyUsage', 1, 64) === 'SIGN_VERIFY' ? 'SIGN_VERIFY' : 'ENCRYPT_DECRYPT')) as HeldKey),
    CreateAlias: (input) => {
      const name = needed(textOf(input, 'AliasName', 1, 256), 'aliasName')
      if (!/^alias\/[\w/-]+$/.test(name)) throw refused('InvalidAliasNameException', 'The alias name must begin with alias/')
      if (aliases.has(name)) throw refused('AlreadyExistsException', `An alias with the name ${stem}${name} already exists`)
      aliases.set(name, keyOf({ KeyId: input['TargetKeyId'] }).arn)
      return {}
    },
    DescribeKey: (input) => describe(keyOf(input)),
    EnableKey: (input) => setState(input, 'Enabled'),
    DisableKey: (input) => setState(input, 'Disabled'),
    ScheduleKeyDeletion: (input) => {
      const key = keyOf(input)
      const days = Number(input['PendingWindowInDays'] ?? 30)
      if (!(days >= 7 && days <= 30)) throw constraint('pendingWindowInDays', 'have value between 7 and 30')
      setState(input, 'PendingDeletion')
      key.deletion = now() + days * 86_400_000
      return { KeyId: key.arn, DeletionDate: key.deletion / 1000, KeyState: key.state }
    },
    CancelKeyDeletion: (input) => {
      const key = keyOf(input)
      if (key.state !== 'PendingDeletion') throw refused('KMSInvalidStateException', `${key.arn} is not pending deletion.`)
      key.state = 'Disabled'
      delete key.deletion
      return { KeyId: key.arn }
    },
    Encrypt: (input) => {
      const plaintext = blobOf(input, 'Plaintext', limits.plaintextBytes)
      const key = usable(keyOf(input))
      return { CiphertextBlob: seal(key, plaintext, contextOf(input)).toString('base64'), KeyId: key.arn, EncryptionAlgorithm: algorithmOf(input) }
    },
    Decrypt: (input, caller) => {
      const blob = blobOf(input, 'CiphertextBlob', limits.ciphertextBytes)
      const EncryptionAlgorithm = algorithmOf(input)
      const grants = listOf(input, 'GrantTokens') ?? []
      if (grants.length > 10) throw constraint('grantTokens', 'have length less than or equal to 10')
      if (grants.length > 0) throw refused('InvalidGrantTokenException', 'The grant token is not valid.')
      const asked = input['KeyId'] === undefined || input['KeyId'] === null ? undefined : keyOf(input)
      if (blob.byteLength < shortest || !blob.subarray(0, magic.byteLength).equals(magic)) {
        if (asked !== undefined) usable(asked)
        throw refused('InvalidCiphertextException', '')
      }
      const digest = blob.subarray(magic.byteLength, headBytes)
      const owner = live([...keys.keys()].find((arn) => digestOf(arn).equals(digest)))
      if (asked !== undefined && asked !== owner) throw refused('IncorrectKeyException', 'The key ID in the request does not identify a CMK that can perform this operation.')
      // The service's own words for a key of another account, another region, or none.
      if (owner === undefined || owner.decrypters?.includes(caller) === false) throw refused('AccessDeniedException', 'The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.')
      const plaintext = unseal(usable(owner), blob, contextOf(input))
      if (input['DryRun'] === true) throw refused('DryRunOperationException', 'The request would have succeeded, but the DryRun option is set.')
      return { KeyId: owner.arn, Plaintext: plaintext.toString('base64'), EncryptionAlgorithm, KeyMaterialId: createHash('sha256').update(owner.material).digest('hex') }
    },
  }

  const handle = (request: WireRequest): WireAnswer => {
    try {
      if (request.method !== 'POST' || request.headers['content-type']?.startsWith('application/x-amz-json-1.1') !== true) throw new ServiceFailure('UnknownOperationException', 'Not an AWS JSON 1.1 request.', 404)
      checkSignature(request, request.body, { region, service: 'kms', keys: signers })
      const run = Object.hasOwn(operations, operationOf(request)) ? operations[operationOf(request)] : undefined
      if (run === undefined) throw new ServiceFailure('UnknownOperationException', 'The operation is not known.', 404)
      const caller = /Credential=([^/]+)\//.exec(request.headers['authorization'] ?? '')?.[1] ?? ''
      return answerOf(200, run(parse(request.body), caller))
    } catch (error) {
      return failureOf(error instanceof ServiceFailure ? error : new ServiceFailure('KMSInternalException', 'The fake failed.', 500))
    }
  }
  const service: WireService = {
    handle,
    changes: (request) => !readOperations.has(operationOf(request)),
    refuse: (refusal, echo) => {
      const [name, message, status] = refusals[refusal]
      return failureOf(new ServiceFailure(name, `${message} ${echo}`, status))
    },
    step: (request) => ({ call: operationOf(request), name: '' }),
  }
  return { service, keys, createKey }
}

const parse = (body: Buffer): Input => {
  try {
    const input: unknown = JSON.parse(body.toString('utf8'))
    if (input !== null && typeof input === 'object' && !Array.isArray(input)) return input as Input
  } catch {
    // Answered below like any other text that is no JSON object.
  }
  throw refused('SerializationException', 'The request body is not a JSON object.')
}

/** Starts the fake on a free port of loopback. */
export const startKmsFake = async (options: KmsFakeOptions = {}): Promise<KmsFake> => {
  const { service, keys, createKey } = kmsService(options)
  const running = await startFake(service)
  return {
    ...running,
    keys,
    createKey,
    encrypt: (arn, plaintext, context = {}) => {
      const key = keys.get(arn)
      if (key === undefined) throw new Error('The fake has no such key.')
      return seal(key, Buffer.from(plaintext), context).toString('base64')
    },
  }
}

/** The name and message of a refusal, for a test that puts one in place of the truth. */
export const kmsRefusal = (name: string, message = 'It was refused.', status = 400): WireAnswer => failureOf(new ServiceFailure(name, message, status))
