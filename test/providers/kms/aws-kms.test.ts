// Ciphertext of AWS KMS in variables: what is decrypted, what every failure is called, and that no ciphertext is ever an answer or part of a message.
import { beforeEach, describe, expect, it } from 'vitest'
import { LatchkeyError } from '../../../shared/core/errors.ts'
import { hostedName } from '../../../shared/core/names.ts'
import { awsKms } from '../../../shared/providers/aws-kms.ts'
import { startKmsFake, kmsRefusal, type KmsFake } from '../../fakes/aws-kms.ts'
import { fakeKeys } from '../../fakes/aws-signature.ts'
import { canary, watch } from '../../support/canary.ts'
import { callOf } from '../../support/runtime.ts'
import { failureOf, leaks, openedKms, readHeld, type Kms, type OpenedKms } from './opened-kms.ts'

let { variables, runtime, fake, key, open } = {} as OpenedKms<KmsFake>

beforeEach(async () => {
  ({ variables, runtime, fake, key, open } = await openedKms(awsKms, startKmsFake))
})

const keyed = { aws_region_name: 'us-east-1', aws_access_key_id: fakeKeys.accessKeyId, aws_secret_access_key: fakeKeys.secretAccessKey }
const opening = (given: Record<string, unknown> = {}): Promise<Kms> => open({ ...keyed, aws_kms_endpoint: fake.url, aws_max_attempts: 1, ...given })
const call = () => callOf(runtime.clock)
const textOf = async (provider: Kms, name = 'M'): Promise<string> => (await provider.read(hostedName(name), {}, call())).value.reveal()
/** A ciphertext that is watched: in no message, no detail and no hidden property may any form of it stand. */
const sealed = (plaintext: string | Uint8Array, context: Record<string, string> = {}): string => watch('ciphertext', fake.encrypt(key, plaintext, context))
const flip = (base64: string, at: number): string => Buffer.from(Buffer.from(base64, 'base64').map((byte, index) => (index === at ? byte ^ 1 : byte))).toString('base64')
const lastSent = (): Record<string, unknown> => JSON.parse(fake.requests.at(-1)?.body.toString('utf8') ?? '{}') as Record<string, unknown>

describe('a variable that holds ciphertext', () => {
  it('K01: is decrypted', async () => {
    const plaintext = canary('plaintext')
    variables['M'] = sealed(plaintext)

    expect(await textOf(await opening())).toBe(plaintext)
  })

  it.each([
    ['K01: spaces and line ends', ' \t value\r\n', 'value'],
    ['what Python calls space, and JavaScript does not', '\x1c\x1d\x1e\x1f\x85value\x85', 'value'],
    ['spaces of other scripts', '\u2003value\u3000', 'value'],
    ['nothing inside', 'a  b\n c', 'a  b\n c'],
    ['no byte order mark, which Python keeps', '\uFEFFvalue', '\uFEFFvalue'],
    ['all of it, where it is nothing else', ' \n', ''],
  ])('%s: is trimmed as LiteLLM trims it', async (_what, plaintext, value) => {
    variables['M'] = fake.encrypt(key, plaintext)

    expect(await textOf(await opening())).toBe(value)
  })

  it.each([
    ['a line end behind it', (text: string) => `${text}\n`],
    ['lines of 76 characters', (text: string) => text.replace(/.{76}/g, '$&\n')],
    ['the URL-safe alphabet', (text: string) => text.replaceAll('+', '-').replaceAll('/', '_')],
  ])('may have %s', async (_what, written) => {
    variables['M'] = written(fake.encrypt(key, 'x'.repeat(200)))

    expect(await textOf(await opening())).toBe('x'.repeat(200))
  })

  it('K02: that is not set is absent, and nothing is sent', async () => {
    const provider = await opening()

    expect(await failureOf(provider.read(hostedName('M'), {}, call()))).toMatchObject({ code: 'not_found' })
    expect(fake.requests).toHaveLength(0)
  })

  it('K03: is an error when KMS refuses, never the ciphertext', async () => {
    variables['M'] = sealed(canary('plaintext'))
    const provider = await opening()
    fake.fault({ kind: 'denied', echo: canary('echo') })

    const failure = await failureOf(provider.read(hostedName('M'), {}, call()))

    expect(failure).toMatchObject({ code: 'provider_denied', details: { vendor: { name: 'AccessDeniedException' } } })
    expect(failure.message).toContain('kms:Decrypt')
    expect(leaks(failure)).toEqual([])
  })

  it('has one value and no versions', async () => {
    variables['M'] = fake.encrypt(key, 'x')
    const provider = await opening()

    for (const at of [{ version: '1' }, { stage: 'previous' }, { stage: 'pending' }] as const) expect((await failureOf(provider.read(hostedName('M'), at, call()))).code).toBe('not_found')
    expect((await provider.read(hostedName('M'), { stage: 'current', whole: true }, call())).value.reveal()).toBe('x')
  })

  it.each([
    ['nothing', '', /is empty/],
    ['spaces', ' \n ', /no base64/],
    ['plain text', 'sk-this-was-never-encrypted', /no base64/],
    ['base64 without padding', 'bGF0Y2g', /no base64/],
    ['base64 with a stray character', 'bGF0Y2hr!ZXk=', /no base64/],
    ['the literal of another manager', String.raw`b'\n$\x00'`, /no base64/],
    ['more than KMS takes', Buffer.alloc(6_145, 1).toString('base64'), /6145 bytes.*6144/],
  ])('that holds %s is misconfigured, by its name, and nothing is sent', async (_what, text, message) => {
    variables['M'] = text
    const provider = await opening()

    const failure = await failureOf(provider.read(hostedName('M'), {}, call()))

    expect(failure).toMatchObject({ code: 'misconfigured', message: expect.stringMatching(message) as string, details: { issues: [{ path: 'M' }] } })
    expect([failure.message.includes('sk-'), fake.requests.length]).toEqual([false, 0])
  })

  it('may be as large as KMS makes one', async () => {
    variables['M'] = fake.encrypt(key, 'é'.repeat(2_048))

    expect((await opening()).traits.value.maxBytes).toBe(4_096)
    expect(Buffer.byteLength(await textOf(await opening()))).toBe(4_096)
  })

  it('that decrypts to bytes which are no text is an integrity failure', async () => {
    variables['M'] = sealed(Uint8Array.of(0xff, 0xfe, 0x00))

    expect(await failureOf((await opening()).read(hostedName('M'), {}, call()))).toMatchObject({ code: 'integrity' })
  })
})

describe('what KMS says of a ciphertext or its key', () => {
  const refusals: readonly (readonly [title: string, prepare: () => Record<string, unknown> | void, code: string, message: RegExp])[] = [
    ['a flipped bit', () => void (variables['M'] = flip(sealed('x'), 60)), 'integrity', /changed or cut/],
    ['a cut text', () => void (variables['M'] = Buffer.from(sealed('x'), 'base64').subarray(0, 50).toString('base64')), 'integrity', /changed or cut/],
    ['text that is base64 by chance', () => void (variables['M'] = 'skthisisbase64bychance00'), 'integrity', /no ciphertext of KMS/],
    ['a context that it was not made with', () => void (variables['M'] = sealed('x', { app: 'latchkey' })), 'integrity', /aws_kms_encryption_context/],
    ['another key than the allowed one', () => { variables['M'] = sealed('x'); return { aws_kms_key_id: fake.createKey() } }, 'misconfigured', /another key than aws_kms_key_id/],
    ['an allowed key that there is not', () => { variables['M'] = sealed('x'); return { aws_kms_key_id: 'alias/none' } }, 'misconfigured', /no such key.*aws_kms_key_id/],
    ['a key that signs', () => { variables['M'] = sealed('x'); return { aws_kms_key_id: fake.createKey('SIGN_VERIFY') } }, 'misconfigured', /aws_kms_key_id/],
    ['a disabled key', () => { variables['M'] = sealed('x'); Object.assign(fake.keys.get(key) ?? {}, { state: 'Disabled' }) }, 'version_disabled', /disabled/],
    ['a key that waits for its deletion', () => { variables['M'] = sealed('x'); Object.assign(fake.keys.get(key) ?? {}, { state: 'PendingDeletion' }) }, 'version_disabled', /scheduled deletion/],
    ['a key of somebody else', () => { variables['M'] = sealed('x'); Object.assign(fake.keys.get(key) ?? {}, { decrypters: [] }) }, 'provider_denied', /kms:Decrypt/],
  ]
  it.each(refusals)('%s is a failure of its own, never an absence, and shows nothing', async (_title, prepare, code, message) => {
    const provider = await opening(prepare() ?? {})

    const failure = await failureOf(provider.read(hostedName('M'), {}, call()))

    expect(failure).toMatchObject({ code, message: expect.stringMatching(message) as string })
    expect(failure.message.includes('M') || code === 'provider_denied').toBe(true)
    expect(leaks(failure)).toEqual([])
  })

  it.each([
    ['KeyUnavailableException', 'It is not available.', 'provider_unavailable'],
    ['DependencyTimeoutException', 'It timed out.', 'provider_unavailable'],
    ['KMSInternalException', 'It failed.', 'provider_unavailable'],
    ['ThrottlingException', 'Rate exceeded', 'provider_throttled'],
    ['LimitExceededException', 'You have exceeded the rate at which you may call KMS.', 'provider_throttled'],
    ['LimitExceededException', 'The quota of grants is used up.', 'provider_quota'],
    ['InvalidGrantTokenException', '', 'provider_denied'],
    ['AccessDeniedException', '', 'provider_denied'],
    ['UnrecognizedClientException', '', 'provider_denied'],
    ['ExpiredTokenException', '', 'provider_denied'],
    ['NotFoundException', '', 'misconfigured'],
    ['SomethingThatWasInventedSince', '', 'provider_unavailable'],
    ['constructor', '', 'provider_unavailable'],
  ])('by the name %s (%s) is %s, whatever its status', async (name, message, code) => {
    variables['M'] = sealed('x')
    const provider = await opening()
    const codes: string[] = []
    for (const status of [400, 403, 404, 500]) {
      fake.fault({ kind: 'says', answer: kmsRefusal(name, message, status) })
      codes.push((await failureOf(provider.read(hostedName('M'), {}, call()))).code)
      fake.heal()
    }

    expect(codes).toEqual([code, code, code, code])
  })

  it.each([
    ['a rate that passes', 'You have exceeded the rate at which you may call KMS.', 2],
    ['a quota that stays used up', 'The quota of grants is used up.', 1],
  ])('under LimitExceededException for %s is asked again only if it helps', async (_title, message, times) => {
    variables['M'] = sealed('x')
    const provider = await opening({ aws_max_attempts: 2 })
    fake.fault({ kind: 'says', answer: kmsRefusal('LimitExceededException', message) })

    await failureOf(provider.read(hostedName('M'), {}, call()))

    expect(fake.requests).toHaveLength(times)
  })

  it.each([
    ['a page of a guest network', { status: 200, headers: { 'content-type': 'text/html' }, body: '<html>sign in</html>' }],
    ['an object without a plaintext', { status: 200, headers: { 'content-type': 'application/x-amz-json-1.1' }, body: '{}' }],
    ['no body', { status: 200, headers: { 'content-type': 'application/x-amz-json-1.1' }, body: '' }],
    ['a plaintext that is a number', { status: 200, headers: { 'content-type': 'application/x-amz-json-1.1' }, body: '{"Plaintext": 1}' }],
    ['a redirect', { status: 302, headers: { location: 'http://127.0.0.1:1/' }, body: '' }],
  ])('in the form of %s is provider_unavailable', async (_title, answer) => {
    variables['M'] = sealed('x')
    const provider = await opening()
    fake.fault({ kind: 'says', answer })

    expect((await failureOf(provider.read(hostedName('M'), {}, call()))).code).toBe('provider_unavailable')
  })

  it('denied, absent, throttled and unreachable are four answers', async () => {
    variables['M'] = sealed('x')
    const provider = await opening()
    const nowhere = await opening({ aws_kms_endpoint: 'http://127.0.0.1:9' })
    const codes: string[] = [(await failureOf(provider.read(hostedName('ABSENT'), {}, call()))).code]
    for (const kind of ['denied', 'throttled'] as const) {
      fake.fault({ kind })
      codes.push((await failureOf(provider.read(hostedName('M'), {}, call()))).code)
      fake.heal()
    }

    expect([...codes, (await failureOf(nowhere.read(hostedName('M'), {}, call()))).code]).toEqual(['not_found', 'provider_denied', 'provider_throttled', 'provider_unavailable'])
  })
})

describe('the request', () => {
  it('holds the ciphertext and nothing else, for ciphertexts that LiteLLM takes', async () => {
    variables['M'] = fake.encrypt(key, 'x')

    await textOf(await opening())

    expect(lastSent()).toEqual({ CiphertextBlob: variables['M'] })
  })

  it('names the allowed key and the encryption context, with the name of the variable in it', async () => {
    variables['M'] = fake.encrypt(key, 'x', { env: 'M', stage: 'prod-M' })

    expect(await textOf(await opening({ aws_kms_key_id: key, aws_kms_encryption_context: { env: '{name}', stage: 'prod-{name}' } }))).toBe('x')
    expect(lastSent()).toMatchObject({ KeyId: key, EncryptionContext: { env: 'M', stage: 'prod-M' } })
  })

  it('binds a value to its variable: under another name it does not decrypt', async () => {
    variables['OTHER'] = sealed('x', { env: 'M' })

    expect(await failureOf((await opening({ aws_kms_encryption_context: { env: '{name}' } })).read(hostedName('OTHER'), {}, call()))).toMatchObject({ code: 'integrity' })
  })
})

describe('several variables', () => {
  it('are decrypted eight at a time, and answered in the order asked', async () => {
    const names = Array.from({ length: 20 }, (_, index) => `V${index}`)
    for (const name of names) variables[name] = fake.encrypt(key, `value of ${name}`)
    const provider = await opening()

    const { whileHeld, answers } = await readHeld(provider, fake, names, call())

    expect(whileHeld).toBe(8)
    expect(answers.map((answer) => (answer instanceof LatchkeyError ? answer.code : answer.value.reveal()))).toEqual(names.map((name) => `value of ${name}`))
  })

  it('succeed and fail each by itself, and one that is asked twice is decrypted once', async () => {
    variables['A'] = fake.encrypt(key, 'a')
    variables['B'] = 'no ciphertext'
    variables['C'] = ''
    const provider = await opening()

    const answers = await provider.readMany(['A', 'B', 'NONE', 'C', 'A'].map((name) => hostedName(name)), call())

    expect(answers.map((answer) => (answer instanceof LatchkeyError ? answer.code : answer.value.reveal()))).toEqual(['a', 'misconfigured', 'not_found', 'misconfigured', 'a'])
    expect(fake.requests).toHaveLength(1)
  })
})

describe('the fence', () => {
  const names = ['OPENAI_API_KEY', 'OTHER_KEY', 'LITELLM_MASTER_KEY', 'AWS_SECRET_ACCESS_KEY', 'MY_MASTER']
  const readable = ['OPENAI_API_KEY', 'LITELLM_MASTER_KEY', 'AWS_SECRET_ACCESS_KEY', 'MY_MASTER', 'NOT_SET']

  it('opens what is listed, and never the credentials of Latchkey itself', async () => {
    for (const name of names) variables[name] = fake.encrypt(key, 'x')
    const provider = await opening({ readable, never: ['my_master'] })
    const codes: Record<string, string> = {}
    for (const name of names) codes[name] = await textOf(provider, name).catch((error: LatchkeyError) => error.code)

    expect(codes).toEqual({ OPENAI_API_KEY: 'x', OTHER_KEY: 'forbidden', LITELLM_MASTER_KEY: 'forbidden', AWS_SECRET_ACCESS_KEY: 'forbidden', MY_MASTER: 'forbidden' })
    expect((await failureOf(provider.describe(hostedName('OTHER_KEY'), call()))).code).toBe('forbidden')
    expect((await provider.list({ prefix: '', limit: 10 }, call())).items.map(({ nativeName }) => nativeName)).toEqual(['OPENAI_API_KEY'])
  })

  it('is not there for the configuration itself, which decrypts its master key', async () => {
    variables['LITELLM_MASTER_KEY'] = fake.encrypt(key, 'sk-master')
    const provider = await opening()

    expect([await textOf(provider, 'LITELLM_MASTER_KEY'), (await provider.list({ prefix: '', limit: 10 }, call())).items]).toEqual(['sk-master', []])
  })

  it('lists and describes without a call, page by page', async () => {
    for (const name of ['A1', 'A2', 'A3', 'B1']) variables[name] = fake.encrypt(key, 'x')
    const provider = await opening({ readable: ['B1', 'A3', 'A1', 'A2', 'A1'] })

    const first = await provider.list({ prefix: 'A', limit: 2 }, call())
    const second = await provider.list({ prefix: 'A', limit: 2, cursor: first.cursor ?? '' }, call())
    const facts = await provider.describe(hostedName('A1'), call())

    expect([first, second].map(({ items, cursor }) => [items.map(({ name }) => name.text), cursor === undefined])).toEqual([[['A1', 'A2'], false], [['A3'], true]])
    expect((await provider.list({ prefix: 'A', limit: 2, label: ['a', 'b'] }, call())).items).toEqual([])
    expect([facts, fake.requests.length]).toEqual([{ name: hostedName('A1'), nativeName: 'A1', labels: {} }, 0])
  })
})

describe('the start', () => {
  it.each([
    ['K04: no region', {}, /aws_region_name.*AWS_REGION_NAME/],
    ['half a key', { aws_region_name: 'us-east-1', aws_access_key_id: 'x' }, /aws_access_key_id/],
    ['plain http to another machine', { ...keyed, aws_kms_endpoint: 'http://kms.example:4566' }, /aws_kms_endpoint must begin with https/],
  ])('%s: is refused', async (_title, given, message) => {
    expect(await failureOf(open(given))).toMatchObject({ code: 'misconfigured', message: expect.stringMatching(message) as string })
  })

  it("takes LiteLLM's region and AWS's endpoint for this service from the environment", async () => {
    Object.assign(variables, { AWS_REGION_NAME: 'us-east-1', AWS_ENDPOINT_URL_KMS: fake.url, AWS_ENDPOINT_URL: 'http://127.0.0.1:9', AWS_ACCESS_KEY_ID: fakeKeys.accessKeyId, AWS_SECRET_ACCESS_KEY: fakeKeys.secretAccessKey, M: fake.encrypt(key, 'x') })

    expect(await textOf(await open({}))).toBe('x')
  })

  it('sends nothing', async () => {
    await opening({ readable: ['M'] })

    expect(fake.requests).toHaveLength(0)
  })
})

describe('a check', () => {
  it('decrypts the first variable that may be read', async () => {
    variables['M'] = fake.encrypt(key, 'x')
    const provider = await opening({ readable: ['M'] })

    expect(await provider.check('read', call())).toEqual([{ ok: true, subject: 'kms:Decrypt', message: 'Allowed: M was decrypted.' }])
    expect((await provider.check('write', call())).map(({ ok, setting }) => [ok, setting])).toEqual([[true, undefined], [false, 'access_mode']])
  })

  it('knocks where there is none to try, and says what it does not know', async () => {
    const [finding] = await (await opening()).check('read', call())

    expect([finding?.ok, finding?.message]).toEqual([true, expect.stringContaining('once a variable that may be read is set')])
  })

  it.each([
    ['a variable that holds no ciphertext', () => { variables['M'] = 'x' }, {}, /variable M holds no base64/, 'M'],
    ['another context', () => { variables['M'] = sealed('x', { a: 'b' }) }, {}, /aws_kms_encryption_context/, 'aws_kms_encryption_context'],
    ['a key that there is not', () => undefined, { aws_kms_key_id: 'alias/none' }, /no such key/, 'aws_kms_key_id'],
    ['a wrong secret key', () => undefined, { aws_secret_access_key: 'wrong' }, /AWS refused kms:Decrypt/, 'aws_access_key_id'],
    ['nobody at the address', () => undefined, { aws_kms_endpoint: 'http://127.0.0.1:9' }, /could not be reached/, 'aws_region_name'],
  ])('names %s', async (_title, prepare, given, message, setting) => {
    prepare()
    const [finding] = await (await opening({ readable: ['M'], ...given })).check('read', call())

    expect(finding).toMatchObject({ ok: false, message: expect.stringMatching(message) as string })
    expect([finding?.setting, leaks(finding)]).toEqual([setting, []])
  })
})
