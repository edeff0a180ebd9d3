// The fake under examination by AWS's own SDK, without any of our code between them: what KMS does, as its documentation and its errors have it.
import { DecryptCommand, KMS, type DecryptCommandInput } from '@aws-sdk/client-kms'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startKmsFake, type KmsFake } from '../../fakes/aws-kms.ts'
import { fakeKeys } from '../../fakes/aws-signature.ts'

const day = 86_400_000

let now = 0
let fake: KmsFake
let api: KMS
let key: string
let other: string

const clientOf = (credentials: { accessKeyId: string; secretAccessKey: string; sessionToken?: string } = fakeKeys, region = 'us-east-1'): KMS => new KMS({ region, endpoint: fake.url, credentials, maxAttempts: 1 })

beforeEach(async () => {
  now = Date.UTC(2026, 10, 21)
  fake = await startKmsFake({ now: () => now })
  api = clientOf()
  key = (await api.createKey({})).KeyMetadata?.Arn ?? ''
  other = (await api.createKey({})).KeyMetadata?.Arn ?? ''
})

afterEach(async () => {
  api.destroy()
  await fake.close()
})

/** What a call came to: the error's name, or `ok`. */
const outcome = (promise: Promise<unknown>): Promise<string> => promise.then(() => 'ok', (error: unknown) => (error instanceof Error ? error.name : 'nothing'))
const idOf = (arn: string): string => arn.replace(/.*\//, '')
const encrypted = async (EncryptionContext?: Record<string, string>, Plaintext: Uint8Array = Buffer.from('a value')): Promise<Uint8Array> => (await api.encrypt({ KeyId: key, Plaintext, ...(EncryptionContext && { EncryptionContext }) })).CiphertextBlob ?? new Uint8Array()
const decrypt = (CiphertextBlob: Uint8Array, more: Partial<DecryptCommandInput> = {}) => api.decrypt({ CiphertextBlob, ...more })
const flipped = (bytes: Uint8Array, at: number): Uint8Array => bytes.map((byte, index) => (index === at ? byte ^ 1 : byte))

/** Scenario → what the official SDK must see. */
const scenarios: readonly (readonly [title: string, run: () => Promise<unknown>, expected: string])[] = [
  ['a ciphertext that names its key', async () => decrypt(await encrypted()), 'ok'],
  ['the right key by its ARN', async () => decrypt(await encrypted(), { KeyId: key }), 'ok'],
  ['the right key by its id', async () => decrypt(await encrypted(), { KeyId: idOf(key) }), 'ok'],
  ['the right key by an alias', async () => { await api.createAlias({ AliasName: 'alias/a', TargetKeyId: key }); return decrypt(await encrypted(), { KeyId: 'alias/a' }) }, 'ok'],
  ['the right key by the ARN of an alias', async () => { await api.createAlias({ AliasName: 'alias/a', TargetKeyId: key }); return decrypt(await encrypted(), { KeyId: key.replace(/key\/.*/, 'alias/a') }) }, 'ok'],
  ['another key', async () => decrypt(await encrypted(), { KeyId: other }), 'IncorrectKeyException'],
  ['a key that there is not', async () => decrypt(await encrypted(), { KeyId: '00000000-0000-4000-8000-000000000000' }), 'NotFoundException'],
  ['an alias that there is not', async () => decrypt(await encrypted(), { KeyId: 'alias/none' }), 'NotFoundException'],
  ['a key of another region', async () => decrypt(await encrypted(), { KeyId: key.replace('us-east-1', 'eu-west-1') }), 'NotFoundException'],
  ['the same context in another order', async () => decrypt(await encrypted({ a: '1', b: '2' }), { EncryptionContext: { b: '2', a: '1' } }), 'ok'],
  ['no context where there was one', async () => decrypt(await encrypted({ a: '1' })), 'InvalidCiphertextException'],
  ['a context where there was none', async () => decrypt(await encrypted(), { EncryptionContext: { a: '1' } }), 'InvalidCiphertextException'],
  ['a context in another case', async () => decrypt(await encrypted({ a: 'x' }), { EncryptionContext: { a: 'X' } }), 'InvalidCiphertextException'],
  ['a part of the context', async () => decrypt(await encrypted({ a: '1', b: '2' }), { EncryptionContext: { a: '1' } }), 'InvalidCiphertextException'],
  ['a flipped bit in the beginning', async () => decrypt(flipped(await encrypted(), 0)), 'InvalidCiphertextException'],
  ['a flipped bit in the middle', async () => decrypt(flipped(await encrypted(), 50)), 'InvalidCiphertextException'],
  ['a flipped last bit', async () => { const blob = await encrypted(); return decrypt(flipped(blob, blob.length - 1)) }, 'InvalidCiphertextException'],
  ['a flipped bit where the key is named', async () => decrypt(flipped(await encrypted(), 10)), 'AccessDeniedException'],
  ['a cut ciphertext', async () => decrypt((await encrypted()).subarray(0, 40)), 'InvalidCiphertextException'],
  ['a ciphertext with something behind it', async () => decrypt(Buffer.concat([await encrypted(), Buffer.from('x')])), 'InvalidCiphertextException'],
  ['text', () => decrypt(Buffer.from('sk-no-ciphertext')), 'InvalidCiphertextException'],
  ['a single byte', () => decrypt(Uint8Array.of(0)), 'InvalidCiphertextException'],
  ['no byte', () => decrypt(new Uint8Array()), 'ValidationException'],
  ['6,144 bytes that are no ciphertext', () => decrypt(Buffer.alloc(6_144, 1)), 'InvalidCiphertextException'],
  ['6,145 bytes', () => decrypt(Buffer.alloc(6_145, 1)), 'ValidationException'],
  ['a plaintext of 4,096 bytes', async () => decrypt(await encrypted(undefined, Buffer.alloc(4_096, 'x'))), 'ok'],
  ['encrypting 4,097 bytes', () => encrypted(undefined, Buffer.alloc(4_097, 'x')), 'ValidationException'],
  ['encrypting nothing', () => encrypted(undefined, new Uint8Array()), 'ValidationException'],
  ['a disabled key', async () => { const blob = await encrypted(); await api.disableKey({ KeyId: key }); return decrypt(blob) }, 'DisabledException'],
  ['encrypting with a disabled key', async () => { await api.disableKey({ KeyId: key }); return encrypted() }, 'DisabledException'],
  ['a key that is enabled again', async () => { const blob = await encrypted(); await api.disableKey({ KeyId: key }); await api.enableKey({ KeyId: key }); return decrypt(blob) }, 'ok'],
  ['a key that waits for its deletion', async () => { const blob = await encrypted(); await api.scheduleKeyDeletion({ KeyId: key, PendingWindowInDays: 7 }); return decrypt(blob) }, 'KMSInvalidStateException'],
  ['a key whose deletion was taken back', async () => { const blob = await encrypted(); await api.scheduleKeyDeletion({ KeyId: key }); await api.cancelKeyDeletion({ KeyId: key }); return decrypt(blob) }, 'DisabledException'],
  ['a key that is deleted', async () => { const blob = await encrypted(); await api.scheduleKeyDeletion({ KeyId: key, PendingWindowInDays: 7 }); now += 7 * day; return decrypt(blob) }, 'AccessDeniedException'],
  ['a key that is deleted, by its name', async () => { const blob = await encrypted(); await api.scheduleKeyDeletion({ KeyId: key, PendingWindowInDays: 7 }); now += 7 * day; return decrypt(blob, { KeyId: key }) }, 'NotFoundException'],
  ['a deletion in six days', () => api.scheduleKeyDeletion({ KeyId: key, PendingWindowInDays: 6 }), 'ValidationException'],
  ['a key that only signs', async () => { const signer = (await api.createKey({ KeyUsage: 'SIGN_VERIFY' })).KeyMetadata?.Arn ?? ''; return api.encrypt({ KeyId: signer, Plaintext: Buffer.from('x') }) }, 'InvalidKeyUsageException'],
  ['an asymmetric algorithm', async () => decrypt(await encrypted(), { EncryptionAlgorithm: 'RSAES_OAEP_SHA_256' }), 'InvalidKeyUsageException'],
  ['a grant token of nobody', async () => decrypt(await encrypted(), { GrantTokens: ['token'] }), 'InvalidGrantTokenException'],
  ['a dry run', async () => decrypt(await encrypted(), { DryRun: true }), 'DryRunOperationException'],
  ['an access key of nobody', async () => clientOf({ accessKeyId: 'AKIANOBODY', secretAccessKey: 'x' }).decrypt({ CiphertextBlob: await encrypted() }), 'UnrecognizedClientException'],
  ['a wrong secret key', async () => clientOf({ ...fakeKeys, secretAccessKey: 'x' }).decrypt({ CiphertextBlob: await encrypted() }), 'InvalidSignatureException'],
  ['a session token that there is not', async () => clientOf({ ...fakeKeys, sessionToken: 'x' }).decrypt({ CiphertextBlob: await encrypted() }), 'UnrecognizedClientException'],
  ['a signature for another region', async () => clientOf(fakeKeys, 'eu-west-1').decrypt({ CiphertextBlob: await encrypted() }), 'InvalidSignatureException'],
  ['an operation that it does not know', () => api.listKeys({}), 'UnknownOperationException'],
]

describe('the fake of AWS KMS, to its official SDK', () => {
  it.each(scenarios)('answers %s as the service does', async (_title, run, expected) => {
    expect(await outcome(run())).toBe(expected)
  })

  it('gives back every byte, and says which key it was', async () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, index) => index)

    const answer = await decrypt(await encrypted({ a: 'é' }, bytes), { EncryptionContext: { a: 'é' } })

    expect([Buffer.from(answer.Plaintext ?? '').equals(bytes), answer.KeyId, answer.EncryptionAlgorithm]).toEqual([true, key, 'SYMMETRIC_DEFAULT'])
  })

  it('never gives the same ciphertext twice', async () => {
    expect(Buffer.from(await encrypted()).equals(await encrypted())).toBe(false)
  })

  it('refuses whom the policy of the key leaves out', async () => {
    const blob = await encrypted()
    const held = fake.keys.get(key)
    if (held !== undefined) held.decrypters = ['AKIASOMEBODYELSE']

    expect(await outcome(decrypt(blob))).toBe('AccessDeniedException')
  })

  it.each([
    ['denied', 'AccessDeniedException'],
    ['throttled', 'ThrottlingException'],
    ['unavailable_before', 'KMSInternalException'],
    ['expired_credential', 'ExpiredTokenException'],
  ] as const)('can be made to fail: %s', async (kind, expected) => {
    const blob = await encrypted()
    fake.fault({ kind })

    expect(await outcome(decrypt(blob))).toBe(expected)
  })

  it('does not take a request that is signed for another text', async () => {
    const blob = await encrypted()
    const command = new DecryptCommand({ CiphertextBlob: blob })
    command.middlewareStack.add(
      (next) => (args) => {
        const request = args.request as { body: string }
        request.body = request.body.replace('"CiphertextBlob":"AQIC', '"CiphertextBlob":"AQID')
        return next(args)
      },
      { step: 'finalizeRequest', priority: 'low', name: 'forger' },
    )

    expect(await outcome(api.send(command))).toBe('InvalidSignatureException')
  })
})
