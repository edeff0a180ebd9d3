// The fake under examination by Google's own client, over REST and over gRPC, without any of our code between them: what Cloud KMS does, as its documentation and
// its errors have it.
import { join } from 'node:path'
import { KeyManagementServiceClient } from '@google-cloud/kms'
import { grpc } from 'google-gax'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { crc32c } from '../../../shared/credentials/crc32c.ts'
import { clientAt, signedToken } from '../../conformance/operators/google.ts'
import { foreignAccount, knownAccount } from '../../fakes/google-bearer.ts'
import { GoogleFailure } from '../../fakes/google/failure.ts'
import { startGoogleGrpc, type RunningGrpc } from '../../fakes/google-grpc.ts'
import { fakeKeyRing, startGoogleKmsFake, type GoogleKmsFake } from '../../fakes/google-kms.ts'

type Client = KeyManagementServiceClient
type Decrypt = Exclude<Parameters<Client['decrypt']>[0], undefined>

let now = Date.UTC(2026, 10, 21)
let fake: GoogleKmsFake
let front: RunningGrpc
let transport: 'REST' | 'gRPC' = 'REST'
let api: Client
let key: string
const clients: Client[] = []

/** Google's client over gRPC sends no token where there is no TLS: each of its calls is given one. */
const carrying = (client: Client, token: string): Client =>
  new Proxy(client, {
    get: (target, method) => {
      const act = Reflect.get(target, method) as unknown
      return typeof act !== 'function' || method === 'close' ? act : (request: object, options: object = {}) => Reflect.apply(act, target, [request, { ...options, otherArgs: { headers: { authorization: `Bearer ${token}` } } }]) as unknown
    },
  })

const clientOf = (token: string): Client => {
  const client = new KeyManagementServiceClient(transport === 'REST' ? clientAt(fake.url, token) : { servicePath: '127.0.0.1', port: front.port, sslCreds: grpc.credentials.createInsecure(), universeDomain: 'googleapis.com' })
  clients.push(client)
  return transport === 'REST' ? client : carrying(client, token)
}

beforeAll(async () => {
  fake = await startGoogleKmsFake({ now: () => now, tokens: new Map([['an-old-token', Date.UTC(2026, 10, 20)], ['a-lasting-token', Date.UTC(2027, 0, 1)]]) })
  front = await startGoogleGrpc({ protos: join(import.meta.dirname, '../../../node_modules/@google-cloud/kms/build/protos/protos.json'), service: 'google.cloud.kms.v1.KeyManagementService', run: fake.run })
})

beforeEach(() => {
  now = Date.UTC(2026, 10, 21)
  key = fake.createKey()
})

afterAll(async () => {
  for (const client of clients) await client.close()
  await front.close()
  await fake.close()
})

const numbers: Readonly<Record<number, string>> = { 3: 'INVALID_ARGUMENT', 5: 'NOT_FOUND', 6: 'ALREADY_EXISTS', 7: 'PERMISSION_DENIED', 8: 'RESOURCE_EXHAUSTED', 9: 'FAILED_PRECONDITION', 14: 'UNAVAILABLE', 16: 'UNAUTHENTICATED' }
/** What a call came to: the status's name, or `ok`. */
const outcome = (promise: Promise<unknown>): Promise<string> => promise.then(() => 'ok', (error: { code?: number; message: string }) => numbers[error.code ?? 0] ?? error.message)
const once = { retry: null, timeout: 5_000 } as const
const encrypted = async (additionalAuthenticatedData?: Buffer, plaintext: Buffer = Buffer.from('a value')): Promise<Buffer> => {
  const [{ ciphertext }] = await api.encrypt({ name: key, plaintext, ...(additionalAuthenticatedData && { additionalAuthenticatedData }) })
  return typeof ciphertext === 'string' ? Buffer.from(ciphertext, 'base64') : Buffer.from(ciphertext ?? [])
}
const decrypt = (ciphertext: Uint8Array, more: Decrypt = {}, by: Client = api) => by.decrypt({ name: key, ciphertext, ...more }, once as never)
const flipped = (bytes: Buffer, at: number): Uint8Array => bytes.map((byte, index) => (index === at ? byte ^ 1 : byte))
const version = (): string => `${key}/cryptoKeyVersions/1`
const setState = (state: 'ENABLED' | 'DISABLED') => api.updateCryptoKeyVersion({ cryptoKeyVersion: { name: version(), state }, updateMask: { paths: ['state'] } })

/** Scenario → what the official client must see. */
const scenarios: readonly (readonly [title: string, run: () => Promise<unknown>, expected: string])[] = [
  ['a ciphertext', async () => decrypt(await encrypted()), 'ok'],
  ['another key', async () => decrypt(await encrypted(), { name: fake.createKey() }), 'INVALID_ARGUMENT'],
  ['a key that there is not', async () => decrypt(await encrypted(), { name: `${fakeKeyRing}/cryptoKeys/none` }), 'NOT_FOUND'],
  ['a key that signs', async () => decrypt(await encrypted(), { name: fake.createKey('ASYMMETRIC_SIGN') }), 'FAILED_PRECONDITION'],
  ['the right additional data', async () => decrypt(await encrypted(Buffer.from('aad')), { additionalAuthenticatedData: Buffer.from('aad') }), 'ok'],
  ['other additional data', async () => decrypt(await encrypted(Buffer.from('aad')), { additionalAuthenticatedData: Buffer.from('AAD') }), 'INVALID_ARGUMENT'],
  ['no additional data where there was some', async () => decrypt(await encrypted(Buffer.from('aad'))), 'INVALID_ARGUMENT'],
  ['additional data where there was none', async () => decrypt(await encrypted(), { additionalAuthenticatedData: Buffer.from('aad') }), 'INVALID_ARGUMENT'],
  ['a flipped first bit', async () => decrypt(flipped(await encrypted(), 0)), 'INVALID_ARGUMENT'],
  ['a flipped bit in the middle', async () => decrypt(flipped(await encrypted(), 45)), 'INVALID_ARGUMENT'],
  ['a flipped last bit', async () => { const blob = await encrypted(); return decrypt(flipped(blob, blob.length - 1)) }, 'INVALID_ARGUMENT'],
  ['a cut ciphertext', async () => decrypt((await encrypted()).subarray(0, 50)), 'INVALID_ARGUMENT'],
  ['text', () => decrypt(Buffer.from('no ciphertext')), 'INVALID_ARGUMENT'],
  ['nothing', () => decrypt(Buffer.alloc(0)), 'INVALID_ARGUMENT'],
  ['the right checksums', async () => { const blob = await encrypted(Buffer.from('a')); return decrypt(blob, { ciphertextCrc32c: { value: crc32c(blob) }, additionalAuthenticatedData: Buffer.from('a'), additionalAuthenticatedDataCrc32c: { value: crc32c(Buffer.from('a')) } }) }, 'ok'],
  ['a wrong checksum of the ciphertext', async () => { const blob = await encrypted(); return decrypt(blob, { ciphertextCrc32c: { value: crc32c(blob) ^ 1 } }) }, 'INVALID_ARGUMENT'],
  ['a wrong checksum of the additional data', async () => decrypt(await encrypted(Buffer.from('a')), { additionalAuthenticatedData: Buffer.from('a'), additionalAuthenticatedDataCrc32c: { value: 1 } }), 'INVALID_ARGUMENT'],
  ['a wrong checksum of a plaintext', () => api.encrypt({ name: key, plaintext: Buffer.from('x'), plaintextCrc32c: { value: 1 } }), 'INVALID_ARGUMENT'],
  ['encrypting 65,536 bytes', () => encrypted(undefined, Buffer.alloc(65_536)), 'ok'],
  ['encrypting 65,537 bytes', () => encrypted(undefined, Buffer.alloc(65_537)), 'INVALID_ARGUMENT'],
  ['a disabled version', async () => { const blob = await encrypted(); await setState('DISABLED'); return decrypt(blob) }, 'FAILED_PRECONDITION'],
  ['encrypting with a disabled version', async () => { await setState('DISABLED'); return encrypted() }, 'FAILED_PRECONDITION'],
  ['a version that is enabled again', async () => { const blob = await encrypted(); await setState('DISABLED'); await setState('ENABLED'); return decrypt(blob) }, 'ok'],
  ['a version that waits for its destruction', async () => { const blob = await encrypted(); await api.destroyCryptoKeyVersion({ name: version() }); return decrypt(blob) }, 'FAILED_PRECONDITION'],
  ['a version whose destruction was taken back', async () => { const blob = await encrypted(); await api.destroyCryptoKeyVersion({ name: version() }); await api.restoreCryptoKeyVersion({ name: version() }); await setState('ENABLED'); return decrypt(blob) }, 'ok'],
  ['a destroyed version', async () => { const blob = await encrypted(); await api.destroyCryptoKeyVersion({ name: version() }); now += 30 * 86_400_000; return decrypt(blob, {}, clientOf('a-lasting-token')) }, 'FAILED_PRECONDITION'],
  ['enabling what waits for its destruction', async () => { await api.destroyCryptoKeyVersion({ name: version() }); return setState('ENABLED') }, 'FAILED_PRECONDITION'],
  ['a ciphertext of an older version', async () => { const blob = await encrypted(); fake.rotate(key); return decrypt(blob) }, 'ok'],
  ['a name that is taken', () => api.createCryptoKey({ parent: fakeKeyRing, cryptoKeyId: key.replace(/.*\//, ''), cryptoKey: { purpose: 'ENCRYPT_DECRYPT' } }), 'ALREADY_EXISTS'],
  ['a token of a key that Google has never seen', async () => decrypt(await encrypted(), {}, clientOf(signedToken(foreignAccount().file, now))), 'UNAUTHENTICATED'],
  ['a token that is over', async () => decrypt(await encrypted(), {}, clientOf('an-old-token')), 'UNAUTHENTICATED'],
  ['a signed token that is over', async () => decrypt(await encrypted(), {}, clientOf(signedToken(knownAccount().file, now - 3_600_000))), 'UNAUTHENTICATED'],
  ['a signed token for two hours', async () => decrypt(await encrypted(), {}, clientOf(signedToken(knownAccount().file, now, { exp: now / 1000 + 7_200 }))), 'UNAUTHENTICATED'],
  ['a token for another service', async () => decrypt(await encrypted(), {}, clientOf(signedToken(knownAccount().file, now, { scope: 'https://www.googleapis.com/auth/drive' }))), 'UNAUTHENTICATED'],
  ['a token for this service alone', async () => decrypt(await encrypted(), {}, clientOf(signedToken(knownAccount().file, now, { scope: undefined, aud: 'https://cloudkms.googleapis.com/' }))), 'ok'],
  ['whom the policy of the key leaves out', async () => { const blob = await encrypted(); Object.assign(fake.keys.get(key) ?? {}, { decrypters: [] }); return decrypt(blob) }, 'PERMISSION_DENIED'],
]

describe.each(['REST', 'gRPC'] as const)('the fake of Google Cloud KMS, to its official client over %s', (way) => {
  beforeAll(() => {
    transport = way
    api = clientOf(signedToken(knownAccount().file, now))
  })

  it.each(scenarios)('answers %s as the service does', async (_title, run, expected) => {
    expect(await outcome(run())).toBe(expected)
  })

  it('gives back every byte with its checksum, and says whether the primary version was used', async () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index))
    const blob = await encrypted(undefined, bytes)
    const [first] = await decrypt(blob)
    fake.rotate(key)
    const [second] = await decrypt(blob)

    expect([Buffer.from(first.plaintext ?? '').equals(bytes), Number(first.plaintextCrc32c?.value), first.usedPrimary, second.usedPrimary, first.protectionLevel]).toEqual([true, crc32c(bytes), true, false, 'SOFTWARE'])
  })

  it('answers an empty plaintext with its checksum alone', async () => {
    const [answer] = await decrypt(await encrypted(undefined, Buffer.alloc(0)))

    expect([answer.plaintext?.length, Number(answer.plaintextCrc32c?.value)]).toEqual([0, 0])
  })

  it('begins a ciphertext as the documented one begins, and never makes the same twice', async () => {
    const [one, two] = [await encrypted(), await encrypted()]

    expect([one.subarray(0, 3), one.equals(two)]).toEqual([Buffer.from('\n$\0'), false])
  })

  it('says what it has verified of a request', async () => {
    const [answer] = await api.encrypt({ name: key, plaintext: Buffer.from('x'), plaintextCrc32c: { value: crc32c(Buffer.from('x')) } })

    expect([answer.verifiedPlaintextCrc32c, answer.verifiedAdditionalAuthenticatedDataCrc32c, Number(answer.ciphertextCrc32c?.value)]).toEqual([true, false, crc32c(Buffer.from(answer.ciphertext as Uint8Array))])
  })

  it('keeps keys and versions as they were made', async () => {
    const [made] = await api.createCryptoKey({ parent: fakeKeyRing, cryptoKeyId: `made-${key.replace(/.*-/, '')}`, cryptoKey: { purpose: 'ENCRYPT_DECRYPT' } })
    const [next] = await api.createCryptoKeyVersion({ parent: made.name ?? '', cryptoKeyVersion: {} })
    const [primary] = await api.updateCryptoKeyPrimaryVersion({ name: made.name ?? '', cryptoKeyVersionId: '2' })

    expect([made.purpose, made.primary?.state, next.name, primary.primary?.name]).toEqual(['ENCRYPT_DECRYPT', 'ENABLED', `${made.name}/cryptoKeyVersions/2`, next.name])
  })
})

describe('the fake of Google Cloud KMS', () => {
  beforeAll(() => {
    transport = 'REST'
    api = clientOf(signedToken(knownAccount().file, Date.UTC(2026, 10, 21)))
  })

  it.each([
    ['may', undefined, ['cloudkms.cryptoKeyVersions.useToDecrypt']],
    ['may not', [], []],
  ])('tells whoever asks what he %s do', async (_title, decrypters, permissions) => {
    Object.assign(fake.keys.get(key) ?? {}, decrypters && { decrypters })
    const [answer] = await api.testIamPermissions({ resource: key, permissions: ['cloudkms.cryptoKeyVersions.useToDecrypt'] } as never)

    expect(answer.permissions).toEqual(permissions)
  })

  it.each([
    ['denied', 'PERMISSION_DENIED'],
    ['throttled', 'RESOURCE_EXHAUSTED'],
    ['unavailable_before', 'UNAVAILABLE'],
    ['expired_credential', 'UNAUTHENTICATED'],
  ] as const)('can be made to fail: %s', async (kind, expected) => {
    const blob = await encrypted()
    fake.fault({ kind })

    const came = await outcome(decrypt(blob))
    fake.heal()

    expect(came).toBe(expected)
  })

  it('takes both transports on one state', async () => {
    const blob = await encrypted()
    transport = 'gRPC'
    const other = clientOf('a-lasting-token')
    const [answer] = await decrypt(blob, {}, other)
    front.refusal = new GoogleFailure('RESOURCE_EXHAUSTED', 'Quota exceeded.')
    const refused = await outcome(decrypt(blob, {}, other))
    front.refusal = undefined

    expect([String(answer.plaintext), refused, front.methods.at(-1)]).toEqual(['a value', 'RESOURCE_EXHAUSTED', 'Decrypt'])
  })
})
