// Google's client in Python examines the fake of Cloud KMS, over REST and over gRPC: a second language, checksums reckoned bit by bit, and the negative cases. It also
// makes the ciphertexts that the provider reads, and prints them as Python prints bytes, which is how LiteLLM's page shows them.
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { googleCiphertext } from '../../../shared/credentials/kms/google-ciphertext.ts'
import type { LatchkeyError } from '../../../shared/core/errors.ts'
import { hostedName } from '../../../shared/core/names.ts'
import { googleKmsTargetHarness, openGoogleKms } from '../../conformance/harnesses/google-kms.ts'
import { runtimeOver } from '../../conformance/operators/hosted-variables.ts'
import { providerConformance } from '../../conformance/provider-conformance.ts'
import { knownAccount } from '../../fakes/google-bearer.ts'
import { GoogleFailure } from '../../fakes/google/failure.ts'
import { startGoogleGrpc, type RunningGrpc } from '../../fakes/google-grpc.ts'
import { fakeKeyRing, startGoogleKmsFake, type GoogleKmsFake } from '../../fakes/google-kms.ts'
import { callOf } from '../../support/runtime.ts'
import { callsOf, outcomesOf, type Scenario } from '../google/python-calls.ts'

const client = inject('peers').python_clients

const own = `
import ast, base64
key, ring = argument['key'], argument['ring']

seal = lambda data=b'a value', aad=b'', name=None: call('encrypt', name=name or key, plaintext=data, additional_authenticated_data=aad).ciphertext
open_ = lambda data, **more: call('decrypt', **{'name': key, 'ciphertext': data, **more})
flip = lambda data, at: data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]
def new_key(purpose='ENCRYPT_DECRYPT'):
    import secrets
    return call('create_crypto_key', parent=ring, crypto_key_id='python-' + secrets.token_hex(6), crypto_key={'purpose': purpose}).name
def set_state(name, state): return call('update_crypto_key_version', crypto_key_version={'name': name, 'state': state}, update_mask={'paths': ['state']})
def fresh(act):
    global key
    key = new_key()
    blob = seal()
    act(key + '/cryptoKeyVersions/1')
    return open_(blob)
`

/** What Python must see. */
const scenarios: readonly Scenario[] = [
  ['a ciphertext', 'open_(seal())', 'ok'],
  ['checksums both ways', 'open_(seal(aad=b"a"), additional_authenticated_data=b"a", additional_authenticated_data_crc32c=crc(b"a"))', 'ok'],
  ['a wrong checksum of the ciphertext', 'open_(seal(), ciphertext_crc32c=1)', 'INVALID_ARGUMENT'],
  ['a wrong checksum of the additional data', 'open_(seal(aad=b"a"), additional_authenticated_data=b"a", additional_authenticated_data_crc32c=1)', 'INVALID_ARGUMENT'],
  ['a wrong checksum of a plaintext', "call('encrypt', name=key, plaintext=b'x', plaintext_crc32c=1)", 'INVALID_ARGUMENT'],
  ['wrong additional data', 'open_(seal(aad=b"a"), additional_authenticated_data=b"b")', 'INVALID_ARGUMENT'],
  ['missing additional data', 'open_(seal(aad=b"a"))', 'INVALID_ARGUMENT'],
  ['another key', 'open_(seal(name=new_key()))', 'INVALID_ARGUMENT'],
  ['a flipped bit', 'open_(flip(seal(), 60))', 'INVALID_ARGUMENT'],
  ['a key that there is not', "open_(seal(), name=ring + '/cryptoKeys/none')", 'NOT_FOUND'],
  ['a key that signs', "open_(seal(), name=new_key('ASYMMETRIC_SIGN'))", 'FAILED_PRECONDITION'],
  ['a disabled version', "fresh(lambda version: set_state(version, 'DISABLED'))", 'FAILED_PRECONDITION'],
  ['a version that is enabled again', "fresh(lambda version: [set_state(version, state) for state in ('DISABLED', 'ENABLED')])", 'ok'],
  ['a version that waits for its destruction', "fresh(lambda version: call('destroy_crypto_key_version', name=version))", 'FAILED_PRECONDITION'],
  ['a version whose destruction was taken back', "fresh(lambda version: [call('destroy_crypto_key_version', name=version), call('restore_crypto_key_version', name=version), set_state(version, 'ENABLED')])", 'ok'],
  ['a name that is taken', "call('create_crypto_key', parent=ring, crypto_key_id=key.split('/')[-1], crypto_key={'purpose': 'ENCRYPT_DECRYPT'})", 'ALREADY_EXISTS'],
  ['65,537 bytes', "seal(b'x' * 65537)", 'INVALID_ARGUMENT'],
  ['a foreign token', "open_(seal(), token=argument['foreign'])", 'UNAUTHENTICATED'],
  ['an expired token', "open_(seal(), token=argument['expired'])", 'UNAUTHENTICATED'],
  ['a token for another service', "open_(seal(), token=argument['elsewhere'])", 'UNAUTHENTICATED'],
  ['nonsense in place of a token', "open_(seal(), token='nonsense')", 'UNAUTHENTICATED'],
]

let fake: GoogleKmsFake
let front: RunningGrpc
let key: string

const started = (async () => {
  const running = await startGoogleKmsFake()
  return { running, key: running.createKey() }
})()

const run = callsOf('url' in client ? client.url : '', 'kms_v1', 'KeyManagementService', own)
const python = (way: 'REST' | 'gRPC', program: string): Promise<unknown> => run({ fake, front, more: { key, ring: fakeKeyRing } }, way, program)

const examine = async (): Promise<void> => {
  const { running, key: made } = await started
  // The exam by its target harness: a URL, a credential and a key, as any server would be named.
  providerConformance('google_kms as a target', googleKmsTargetHarness({ url: running.url, settings: { google_application_credentials: knownAccount().file, google_kms_resource_name: made } }))

  describe('the fake of Google Cloud KMS, to its client in Python', () => {
    beforeAll(async () => {
      fake = running
      key = made
      front = await startGoogleGrpc({ protos: join(import.meta.dirname, '../../../node_modules/@google-cloud/kms/build/protos/protos.json'), service: 'google.cloud.kms.v1.KeyManagementService', run: fake.run })
    })
    afterAll(async () => {
      await front.close()
      await fake.close()
    })

    it.each(['REST', 'gRPC'] as const)('answers as the service does, over %s', async (way) => {
      const came = await outcomesOf(scenarios, (program) => python(way, program))

      expect(came).toEqual(scenarios.map(([title, , expected]) => [title, expected]))
    })

    it.each(['REST', 'gRPC'] as const)('gives every byte back with a checksum that Python agrees with, over %s', async (way) => {
      const came = await python(way, `
every = bytes(range(256))
answers = [call('encrypt', name=key, plaintext=data, plaintext_crc32c=crc(data)) for data in (every, b'')]
plain = [open_(answer.ciphertext, ciphertext_crc32c=crc(answer.ciphertext)) for answer in answers]
print(json.dumps([answer.verified_plaintext_crc32c and answer.ciphertext_crc32c == crc(answer.ciphertext) for answer in answers]
  + [one.plaintext == data and one.plaintext_crc32c == crc(data) and one.used_primary for one, data in zip(plain, (every, b''))]))`)

      expect(came).toEqual([true, true, true, true])
    })

    it('throttles and denies by the names of the service', async () => {
      front.refusal = new GoogleFailure('RESOURCE_EXHAUSTED', 'Quota exceeded.')
      fake.fault({ kind: 'denied' })

      const came = [await python('gRPC', '\nprint(json.dumps(name_of(seal)))'), await python('REST', '\nprint(json.dumps(name_of(seal)))')]
      front.refusal = undefined
      fake.heal()

      expect(came).toEqual(['RESOURCE_EXHAUSTED', 'PERMISSION_DENIED'])
    })

    it('makes ciphertexts that the provider reads in every form in which Python and a shell write them', async () => {
      const forms = (await python('gRPC', `
blob = seal('grüße \\n'.encode())
print(json.dumps([base64.b64encode(blob).decode(), base64.urlsafe_b64encode(blob).decode(), repr(blob), 'b' + ''.join('\\\\x%02x' % byte for byte in blob)]))`)) as string[]
      const values: string[] = []
      for (const text of forms) {
        const runtime = runtimeOver({ D: text }, { now: Date.now() })
        const provider = await openGoogleKms(runtime, { google_kms_endpoint: fake.url, google_kms_resource_name: key })
        values.push(await provider.read(hostedName('D'), {}, callOf(runtime.clock)).then(({ value }) => value.reveal(), (error: LatchkeyError) => error.code))
        await provider.close?.()
      }

      expect(values).toEqual(forms.map(() => 'grüße \n'))
    })

    it('prints and reads bytes as our parser does: 2,000 literals of random bytes', async () => {
      const seed = randomBytes(4).readUInt32BE()
      const printed = (await python('gRPC', `
import random
source = random.Random(${seed})
some = [source.randbytes(source.randint(1, 80)) if source.random() < 0.5 else bytes(source.choice(b"'\\"\\\\ab09nx\\n\\t~ ") for _ in range(source.randint(1, 40))) for _ in range(2000)]
assert all(ast.literal_eval(repr(one)) == one for one in some)
print(json.dumps([[repr(one), one.hex()] for one in some]))`)) as [text: string, hex: string][]

      expect(printed.filter(([text, hex]) => Buffer.from(googleCiphertext(hostedName('D'), text)).toString('hex') !== hex)).toEqual([])
    })
  })
}

if ('url' in client) await examine()
else {
  describe('the fake of Google Cloud KMS, to its client in Python', () => {
    it(`is left out: ${client.missing}`, () => {
      expect(client.missing).not.toBe('')
    })
  })
}
