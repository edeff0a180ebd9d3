// Ciphertext of Google Cloud KMS in variables: what is decrypted, what every failure is called, and that no ciphertext is ever an answer or part of a message.
import { KeyManagementServiceClient } from '@google-cloud/kms'
import { beforeEach, describe, expect, it } from 'vitest'
import { crc32c } from '../../../shared/credentials/crc32c.ts'
import { LatchkeyError } from '../../../shared/core/errors.ts'
import { hostedName } from '../../../shared/core/names.ts'
import { googleKms } from '../../../shared/providers/google-kms.ts'
import { clientAt, signedToken } from '../../conformance/operators/google.ts'
import { foreignAccount, knownAccount } from '../../fakes/google-bearer.ts'
import { fakeKeyRing, googleRefusal, startGoogleKmsFake, type GoogleKmsFake } from '../../fakes/google-kms.ts'
import type { WireAnswer } from '../../fakes/wire.ts'
import { canary, watch } from '../../support/canary.ts'
import { callOf } from '../../support/runtime.ts'
import { failureOf, leaks, openedKms, readHeld, type Kms, type OpenedKms } from './opened-kms.ts'

let { variables, runtime, fake, key, open } = {} as OpenedKms<GoogleKmsFake>

beforeEach(async () => {
  ({ variables, runtime, fake, key, open } = await openedKms(googleKms, startGoogleKmsFake, { hurries: true }))
})

const opening = (given: Record<string, unknown> = {}): Promise<Kms> => open({ google_kms_endpoint: fake.url, google_kms_resource_name: key, google_application_credentials: knownAccount().file, ...given })
const call = () => callOf(runtime.clock)
const textOf = async (provider: Kms, name = 'D'): Promise<string> => (await provider.read(hostedName(name), {}, call())).value.reveal()
const read = async (given: Record<string, unknown> = {}): Promise<LatchkeyError> => failureOf((await opening(given)).read(hostedName('D'), {}, call()))
/** A ciphertext that is watched: in no message, no detail and no hidden property may any form of it stand. */
const sealed = (plaintext: string | Uint8Array, aad = '', under = key): string => watch('ciphertext', fake.encrypt(under, plaintext, aad).toString('base64'))
const hex = (bytes: Buffer): string => bytes.reduce((text, byte) => `${text}\\x${byte.toString(16).padStart(2, '0')}`, '')
const answering = (body: object, status = 200): WireAnswer => ({ status, headers: { 'content-type': 'application/json; charset=UTF-8' }, body: JSON.stringify(body) })

describe('a variable that holds ciphertext of Google', () => {
  it.each([
    ['K05: base64', (bytes: Buffer) => bytes.toString('base64')],
    ['K06: the documented literal', (bytes: Buffer) => `b'${hex(bytes)}'`],
    ['the literal in other quotes', (bytes: Buffer) => `b"${hex(bytes)}"`],
    ['what a shell makes of the documented line', (bytes: Buffer) => `b${hex(bytes)}`],
  ])('%s: is decrypted and not trimmed', async (_title, write) => {
    const plaintext = `  ${canary('plaintext')}\n`
    variables['D'] = write(fake.encrypt(key, plaintext))

    expect(await textOf(await opening())).toBe(plaintext)
  })

  it('may hold nothing, any bytes, or as much as Google takes', async () => {
    const provider = await opening()
    const plaintexts = [new Uint8Array(), Uint8Array.from({ length: 256 }, (_, byte) => byte), new Uint8Array(65_536).fill(120)]
    for (const plaintext of plaintexts) {
      variables['D'] = fake.encrypt(key, plaintext).toString('base64')

      expect((await provider.read(hostedName('D'), {}, call())).value.bytes().equals(plaintext)).toBe(true)
    }
  })

  it('of an older version of the key is decrypted too', async () => {
    variables['D'] = sealed('x')
    fake.rotate(key)

    expect(await textOf(await opening())).toBe('x')
  })

  it('that is not set is absent, and nothing is sent', async () => {
    expect([(await read()).code, fake.requests.length]).toEqual(['not_found', 0])
  })

  it.each([
    ['nothing', '', /is empty/],
    ['K06: unpadded base64', 'bGF0Y2g', /neither base64/],
    ['K06: a cut literal', String.raw`b'\n$\x00\xc...'`, /escape.*character 10 of/],
    ['plain text', 'postgres://user:password@host/db', /neither base64/],
  ])('%s: is misconfigured by its name, and nothing is sent', async (_what, text, message) => {
    variables['D'] = text

    const failure = await read()

    expect(failure).toMatchObject({ code: 'misconfigured', message: expect.stringMatching(message) as string, details: { issues: [{ path: 'D' }] } })
    expect([failure.message.includes('password'), fake.requests.length]).toEqual([false, 0])
  })

  it('is bound to its name where the additional data says so', async () => {
    variables['D'] = sealed('x', 'env/D')
    variables['OTHER'] = variables['D']
    const provider = await opening({ google_kms_aad: 'env/{name}' })

    expect(await textOf(provider)).toBe('x')
    expect(await failureOf(textOf(provider, 'OTHER'))).toMatchObject({ code: 'integrity' })
  })
})

describe('what Google says of a ciphertext or its key', () => {
  const refusals: readonly (readonly [title: string, prepare: () => Record<string, unknown> | void, code: string, message: RegExp])[] = [
    ['a flipped bit', () => void (variables['D'] = Buffer.from(Buffer.from(sealed('x'), 'base64').map((byte, index) => (index === 50 ? byte ^ 1 : byte))).toString('base64')), 'integrity', /changed or cut/],
    ['a ciphertext of another key', () => void (variables['D'] = sealed('x', '', fake.createKey())), 'integrity', /google_kms_resource_name/],
    ['other additional data', () => { variables['D'] = sealed('x', 'one'); return { google_kms_aad: 'two' } }, 'integrity', /google_kms_aad/],
    ['a key that there is not', () => { variables['D'] = sealed('x'); return { google_kms_resource_name: `${fakeKeyRing}/cryptoKeys/none` } }, 'misconfigured', /no such key.*google_kms_resource_name/],
    ['a disabled version', () => { variables['D'] = sealed('x'); Object.assign(fake.keys.get(key)?.versions[0] ?? {}, { state: 'DISABLED' }) }, 'version_disabled', /disabled or destroyed/],
    ['a destroyed version', () => { variables['D'] = sealed('x'); Object.assign(fake.keys.get(key)?.versions[0] ?? {}, { state: 'DESTROYED' }) }, 'version_disabled', /disabled or destroyed/],
    ['a key that Latchkey may not use', () => { variables['D'] = sealed('x'); Object.assign(fake.keys.get(key) ?? {}, { decrypters: [] }) }, 'provider_denied', /cloudkms\.cryptoKeyVersions\.useToDecrypt/],
    ['an identity that Google does not know', () => { variables['D'] = sealed('x'); return { google_application_credentials: foreignAccount().file } }, 'provider_denied', /refused cloudkms/],
  ]
  it.each(refusals)('%s is a failure of its own, never an absence, and shows nothing', async (_title, prepare, code, message) => {
    const failure = await read(prepare() ?? {})

    expect(failure).toMatchObject({ code, message: expect.stringMatching(message) as string })
    expect(leaks(failure)).toEqual([])
  })

  it.each([
    ['RESOURCE_EXHAUSTED', 'provider_throttled'],
    ['UNAVAILABLE', 'provider_unavailable'],
    ['INTERNAL', 'provider_unavailable'],
    ['UNAUTHENTICATED', 'provider_denied'],
    ['PERMISSION_DENIED', 'provider_denied'],
    ['NOT_FOUND', 'misconfigured'],
    ['FAILED_PRECONDITION', 'version_disabled'],
    ['INVALID_ARGUMENT', 'integrity'],
  ] as const)('%s is %s, and keeps nothing of its words', async (status, code) => {
    variables['D'] = sealed('x')
    fake.fault({ kind: 'says', answer: googleRefusal(status, `It was refused: ${canary('echo')}`) })

    const failure = await read()

    expect([failure.code, failure.details.vendor?.name, leaks(failure)]).toEqual([code, status, []])
  })

  it('an API that is not enabled is misconfigured', async () => {
    variables['D'] = sealed('x')
    fake.fault({ kind: 'says', answer: googleRefusal('PERMISSION_DENIED', 'Cloud KMS API has not been used in project 1.', 'SERVICE_DISABLED') })

    expect(await read()).toMatchObject({ code: 'misconfigured', message: expect.stringContaining('not enabled') as string })
  })

  it('denied, absent, throttled and unreachable are four answers', async () => {
    variables['D'] = sealed('x')
    const provider = await opening()
    const nowhere = await opening({ google_kms_endpoint: 'http://127.0.0.1:9' })
    const codes: string[] = [(await failureOf(provider.read(hostedName('ABSENT'), {}, call()))).code]
    for (const kind of ['denied', 'throttled'] as const) {
      fake.fault({ kind })
      codes.push((await failureOf(textOf(provider))).code)
      fake.heal()
    }

    expect([...codes, (await failureOf(textOf(nowhere))).code]).toEqual(['not_found', 'provider_denied', 'provider_throttled', 'provider_unavailable'])
  })
})

describe('an answer of Google', () => {
  const plaintext = Buffer.from('a plaintext that is long enough')
  const right = { plaintext: plaintext.toString('base64'), plaintextCrc32c: String(crc32c(plaintext)) }

  it.each([
    ['another checksum', { ...right, plaintextCrc32c: String(crc32c(plaintext) ^ 1) }, 'integrity'],
    ['another plaintext', { ...right, plaintext: Buffer.from('another').toString('base64') }, 'integrity'],
    ['no plaintext, and the checksum of one', { plaintextCrc32c: right.plaintextCrc32c }, 'integrity'],
    ['no checksum', { plaintext: right.plaintext }, 'provider_unavailable'],
    ['nothing', {}, 'provider_unavailable'],
    ['a plaintext that is no base64', { ...right, plaintext: 'a b c' }, 'provider_unavailable'],
    ['a plaintext that is a number', { ...right, plaintext: 5 }, 'provider_unavailable'],
    ['an error under 200', { error: { code: 403, status: 'PERMISSION_DENIED', message: 'x' } }, 'provider_unavailable'],
    ['a list', [], 'provider_unavailable'],
  ])('with %s is a failure, never a value', async (_title, body, code) => {
    variables['D'] = sealed('x')
    fake.fault({ kind: 'says', answer: answering(body) })

    const failure = await read()

    expect([failure.code, leaks(failure)]).toEqual([code, []])
  })

  it('with a wrong checksum is asked for once more', async () => {
    variables['D'] = fake.encrypt(key, 'x').toString('base64')
    fake.fault({ kind: 'says', answer: answering({ ...right, plaintextCrc32c: '1' }), times: 1 })

    expect([await textOf(await opening()), fake.requests.length]).toEqual(['x', 2])
  })

  it('without a plaintext is an empty value, where its checksum says so', async () => {
    variables['D'] = sealed('x')
    fake.fault({ kind: 'says', answer: answering({ plaintextCrc32c: '0' }) })

    expect(await textOf(await opening())).toBe('')
  })
})

describe('the request', () => {
  it("is Google's own client's in method, path, body and content type", async () => {
    const ciphertext = fake.encrypt(key, 'x', 'env/D')
    variables['D'] = ciphertext.toString('base64')
    const official = new KeyManagementServiceClient(clientAt(fake.url, signedToken(knownAccount().file, runtime.clock.now())))
    const aad = Buffer.from('env/D')

    await official.decrypt({ name: key, ciphertext, ciphertextCrc32c: { value: crc32c(ciphertext) }, additionalAuthenticatedData: aad, additionalAuthenticatedDataCrc32c: { value: crc32c(aad) } })
    await textOf(await opening({ google_kms_aad: 'env/{name}' }))
    await official.close()

    const [theirs, ours] = fake.requests.map(({ method, path, query, headers, body }) => ({ method, path, query: String(query), type: headers['content-type'], body: JSON.parse(body.toString('utf8')) as unknown }))
    // Theirs asks for enumerations as numbers, which we do not read.
    expect(theirs?.query).toBe('%24alt=json%3Benum-encoding%3Dint')
    expect(ours).toEqual({ ...theirs, query: '' })
  })

  it('holds the ciphertext and its checksum alone where there is no additional data, as for ciphertexts that LiteLLM takes', async () => {
    variables['D'] = fake.encrypt(key, 'x').toString('base64')

    await textOf(await opening())

    expect(JSON.parse(fake.requests[0]?.body.toString('utf8') ?? '')).toEqual({ ciphertext: variables['D'], ciphertextCrc32c: String(crc32c(Buffer.from(variables['D'], 'base64'))) })
  })

  it('names the project that calls are counted against', async () => {
    variables['D'] = fake.encrypt(key, 'x').toString('base64')

    await textOf(await opening({ google_quota_project: 'payer' }))

    expect(fake.requests[0]?.headers['x-goog-user-project']).toBe('payer')
  })
})

describe('several variables', () => {
  it('are decrypted eight at a time, and answered in the order asked', async () => {
    const names = Array.from({ length: 20 }, (_, index) => `V${index}`)
    for (const name of names) variables[name] = fake.encrypt(key, `value of ${name}`).toString('base64')
    const provider = await opening()

    const { whileHeld, answers } = await readHeld(provider, fake, names, call())

    expect(whileHeld).toBe(8)
    expect(answers.map((answer) => (answer instanceof LatchkeyError ? answer.code : answer.value.reveal()))).toEqual(names.map((name) => `value of ${name}`))
  })
})

describe('the fence', () => {
  it('opens what is listed, and never the credentials of Latchkey itself', async () => {
    const names = ['DATABASE_URL', 'OTHER', 'LITELLM_MASTER_KEY', 'GOOGLE_APPLICATION_CREDENTIALS_JSON']
    for (const name of names) variables[name] = fake.encrypt(key, 'x').toString('base64')
    const provider = await opening({ readable: ['DATABASE_URL', 'LITELLM_MASTER_KEY', 'GOOGLE_APPLICATION_CREDENTIALS_JSON'] })
    const answers: string[] = []
    for (const name of names) answers.push(await textOf(provider, name).catch((error: LatchkeyError) => error.code))

    expect(answers).toEqual(['x', 'forbidden', 'forbidden', 'forbidden'])
    expect((await provider.list({ prefix: '', limit: 5 }, call())).items.map(({ nativeName }) => nativeName)).toEqual(['DATABASE_URL'])
  })
})

describe('the start', () => {
  it.each([
    ['K07: no key', { google_application_credentials: knownAccount().file }, /google_kms_resource_name is required.*GOOGLE_KMS_RESOURCE_NAME/],
    ['a version in place of a key', { google_kms_resource_name: `${fakeKeyRing}/cryptoKeys/k/cryptoKeyVersions/1` }, /cryptoKeyVersions/],
    ['a key ring', { google_kms_resource_name: fakeKeyRing }, /must be projects\/…/],
    ['a path that climbs', { google_kms_resource_name: `${fakeKeyRing}/cryptoKeys/..` }, /must be projects\/…/],
    ['a leading slash', { google_kms_resource_name: `/${fakeKeyRing}/cryptoKeys/k` }, /must be projects\/…/],
    ['plain http to another machine', { google_kms_resource_name: `${fakeKeyRing}/cryptoKeys/k`, google_kms_endpoint: 'http://kms.example' }, /google_kms_endpoint must begin with https.*google_allow_plain_http/],
    ['too much additional data', { google_kms_resource_name: `${fakeKeyRing}/cryptoKeys/k`, google_kms_aad: 'x'.repeat(65_537) }, /google_kms_aad is 65537 bytes/],
    ['a credential file that there is not', { google_kms_resource_name: `${fakeKeyRing}/cryptoKeys/k`, google_application_credentials: '/nowhere.json' }, /google_application_credentials/],
  ])('%s: is refused', async (_title, given, message) => {
    expect(await failureOf(open(given))).toMatchObject({ code: 'misconfigured', message: expect.stringMatching(message) as string })
  })

  it("takes LiteLLM's key and credential from the environment, and sends nothing", async () => {
    Object.assign(variables, { GOOGLE_KMS_RESOURCE_NAME: key, GOOGLE_APPLICATION_CREDENTIALS: knownAccount().file, D: fake.encrypt(key, 'x').toString('base64') })
    const provider = await open({ google_kms_endpoint: fake.url })
    const sent = fake.requests.length

    expect([sent, await textOf(provider)]).toEqual([0, 'x'])
  })
})

describe('a check', () => {
  it('decrypts the first variable that may be read, or asks Google what Latchkey may do', async () => {
    variables['D'] = fake.encrypt(key, 'x').toString('base64')
    const [tried] = await (await opening({ readable: ['D'] })).check('read', call())
    const [asked] = await (await opening()).check('read', call())
    const [reached] = await (await opening()).check('reach', call())

    expect([tried, asked, reached].map((finding) => [finding?.ok, finding?.message])).toEqual([
      [true, 'Allowed: D was decrypted.'],
      [true, `Allowed: the service account ${knownAccount().email} may decrypt with the key.`],
      [true, expect.stringContaining('once a variable that may be read is set')],
    ])
    expect((await (await opening()).check('write', call())).map(({ ok, setting }) => [ok, setting])).toEqual([[true, undefined], [false, 'access_mode']])
  })

  it.each([
    ['a variable that holds no ciphertext', () => { variables['D'] = 'x' }, {}, /variable D holds neither/, 'D'],
    ['other additional data', () => { variables['D'] = sealed('x', 'aad') }, {}, /google_kms_aad/, 'google_kms_resource_name'],
    ['a key that there is not', () => undefined, { google_kms_resource_name: `${fakeKeyRing}/cryptoKeys/none` }, /may not decrypt with the key.*or there is no such key.*roles\/cloudkms\.cryptoKeyDecrypter/, 'google_kms_resource_name'],
    ['a permission that is missing', () => { Object.assign(fake.keys.get(key) ?? {}, { decrypters: [] }) }, {}, /roles\/cloudkms\.cryptoKeyDecrypter/, 'google_kms_resource_name'],
    ['an identity that Google does not know', () => undefined, { google_application_credentials: foreignAccount().file }, /refused testIamPermissions/, 'google_application_credentials'],
    ['nobody at the address', () => undefined, { google_kms_endpoint: 'http://127.0.0.1:9' }, /could not be reached/, 'google_kms_endpoint'],
  ])('names %s', async (_title, prepare, given, message, setting) => {
    prepare()
    const [finding] = await (await opening({ readable: ['D'], ...given })).check('read', call())

    expect(finding).toMatchObject({ ok: false, message: expect.stringMatching(message) as string, setting })
    expect(leaks(finding)).toEqual([])
  })
})
